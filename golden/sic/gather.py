# SPDX-License-Identifier: Apache-2.0
"""Gather: the vectors of a tile -> the distinct ones, and a similarity map that says which one stands for each token.

Twin of `hdl/sic/gather.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.job import ALL_CANDIDATES, Tile
from focus_rtl.golden.numeric.dtypes import Bits, is_zero
from focus_rtl.golden.sic.layouter import windows
from focus_rtl.golden.sic.matcher import decide

__all__ = ["Gathered", "gather"]


@dataclass(frozen=True, eq=False)
class Gathered:
    """One output vector of a tile, concentrated.

    unique : (p, V) bits of elements, the unmatched vectors in token order, bits unchanged.
    index_map : (m_t,) int32, which of them stands for each token.
    zeros : vectors whose elements are all zero, of either sign.
    matched : tokens that matched, m_t - p.
    best_similarity : (m_t,) float64, cosine with the best candidate, for reports; NaN where there is none.
    """

    unique: Bits
    index_map: NDArray[np.int32]
    zeros: int
    matched: int
    best_similarity: NDArray[np.float64]

    @property
    def p(self) -> int:
        """Distinct vectors."""
        return len(self.unique)

    @property
    def tokens(self) -> int:
        """m_t, tokens of the tile."""
        return len(self.index_map)


def _map(neighbour: NDArray[np.int32]) -> NDArray[np.int32]:
    """(m,) token matched with or -1 -> (m,) index: a match takes its neighbour's, everything else the next new one."""
    index: list[int] = []
    unique = 0
    for other in neighbour.tolist():
        if other >= 0:
            index.append(index[other])
        else:
            index.append(unique)
            unique += 1
    return np.array(index, dtype=np.int32)


def gather(vectors: Bits, tile: Tile, height: int, width: int, t2: int, mask: int = ALL_CANDIDATES,
           dense: bool = False, window: NDArray[np.int32] | None = None, dtype: str = "fp16") -> Gathered:
    """Concentrate one output vector of a tile.

    Parameters
    ----------
    vectors : (m_t, V) bits of elements, one vector per token.
    tile : positions of the tokens.
    height, width : sides of the grid.
    t2 : squared threshold as `Job.t2` has it.
    mask : bit i enables candidate i.
    dense : match nothing; the map is the identity.
    window : `windows(tile, height, width)` where the caller has it already (it is the same for every output vector).
    dtype : element format.
    """
    if vectors.ndim != 2 or len(vectors) != tile.tokens:
        raise ValueError(f"vectors of shape {vectors.shape}: must be ({tile.tokens}, V), one per token of the tile")
    zeros = int(is_zero(vectors, dtype).all(axis=1).sum())
    if dense:
        return Gathered(vectors.copy(), np.arange(tile.tokens, dtype=np.int32), zeros, 0,
                        np.full(tile.tokens, np.nan))
    decisions = decide(vectors, windows(tile, height, width) if window is None else window, t2, mask,
                       dtype)
    alone = decisions.neighbour < 0
    return Gathered(vectors[alone], _map(decisions.neighbour), zeros, int((~alone).sum()), decisions.similarity)
