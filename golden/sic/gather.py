# SPDX-License-Identifier: Apache-2.0
"""Gather: the vectors of a tile -> the distinct ones, and a similarity map that says which one stands for each token.

Twin of `hdl/sic/gather.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.job import ALL_CANDIDATES, BLOCK, Block, Tile
from focus_rtl.golden.numeric.dtypes import Bits, is_zero, operands
from focus_rtl.golden.numeric.elements import mean
from focus_rtl.golden.sic.layouter import windows
from focus_rtl.golden.sic.matcher import Decisions, decide

__all__ = ["Gathered", "REPRESENTATIVES", "gather", "gather_slices"]

REPRESENTATIVES = ("first", "mean")
"""What a group is replaced by."""


@dataclass(frozen=True, eq=False)
class Gathered:
    """One output vector of a tile, concentrated.

    unique : (p, V) bits of elements, one vector for each group, in the order of the groups' first tokens: that
        token's vector, bits unchanged, or the mean of the group.
    index_map : (m_t,) int32, which of them stands for each token.
    zeros : vectors that went in whose elements are all zero, of either sign.
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


def _maps(neighbour: NDArray[np.int32]) -> NDArray[np.int32]:
    """(S, m) token matched with, an earlier one, or -1 -> (S, m) index of the group.

    A match belongs to its neighbour's group; each other token begins one, and groups are numbered as they begin.
    """
    alone = neighbour < 0
    root = np.where(alone, np.arange(neighbour.shape[1]), neighbour)
    while (further := np.take_along_axis(root, root, axis=1)).tobytes() != root.tobytes():
        root = further  # each step doubles how far back along its chain a token looks
    index = np.cumsum(alone, axis=1, dtype=np.int32) - 1
    return np.take_along_axis(index, root, axis=1)


def _means(vectors: Bits, index: NDArray[np.int32], p: NDArray[np.int64], dtype: str) -> Bits:
    """(m, S, V) elements, (S, m) groups, (S,) their number -> (sum of p, V), the mean of each group, slice by slice.

    From +0, the sum of the group in token order, binary32 or int32, times f32(1) / f32(count), each rounded; then an
    element.
    """
    group = (index + (np.cumsum(p) - p)[:, None]).T  # (m, S): numbered through all slices
    numbers = operands(vectors, dtype)
    total = np.zeros((int(p.sum()), vectors.shape[-1]), dtype=numbers.dtype)
    with np.errstate(all="ignore"):
        for row, number in zip(group, numbers, strict=True):
            total[row] += number  # one token of every slice: no group twice
    count = np.bincount(group.reshape(-1), minlength=len(total))
    return mean(total.view(np.uint32), count[:, None], dtype)


def _undecided(shape: tuple[int, ...]) -> Decisions:
    return Decisions(np.full(shape, -1, np.int32), np.full(shape, -1, np.int32), np.full(shape, np.nan))


def gather_slices(vectors: Bits, window: NDArray[np.int32], t2: int, mask: int = ALL_CANDIDATES, dense: bool = False,
                  dtype: str = "fp16", representative: str = "first") -> list[Gathered]:
    """Concentrate every output vector of a tile: (m_t, S, V) bits of elements -> S results, each on its own.

    window : `layouter.windows` of the tile, the same for every output vector.  The rest: see `gather`.
    """
    if representative not in REPRESENTATIVES:
        raise ValueError(f"representative = {representative!r}: must be one of {', '.join(map(repr, REPRESENTATIVES))}")
    decisions = _undecided(vectors.shape[:2]) if dense else decide(vectors, window, t2, mask, dtype)
    zeros = is_zero(np.bitwise_or.reduce(vectors, axis=-1), dtype).sum(axis=0)
    neighbour = np.ascontiguousarray(decisions.neighbour.T)
    alone, index = neighbour < 0, _maps(neighbour)
    p = alone.sum(axis=1)
    if representative == "mean" and not dense:
        unique = _means(vectors, index, p, dtype)
    else:
        unique = vectors.swapaxes(0, 1)[alone]
    similarity = np.ascontiguousarray(decisions.similarity.T)
    ends = np.cumsum(p)
    return [Gathered(unique[end - count:end], index[number], int(zeros[number]), vectors.shape[0] - int(count),
                     similarity[number]) for number, (end, count) in enumerate(zip(ends, p, strict=True))]


def gather(vectors: Bits, tile: Tile, height: int, width: int, t2: int, mask: int = ALL_CANDIDATES,
           dense: bool = False, window: NDArray[np.int32] | None = None, dtype: str = "fp16", block: Block = BLOCK,
           representative: str = "first") -> Gathered:
    """Concentrate one output vector of a tile.

    Parameters
    ----------
    vectors : (m_t, V) bits of elements, one vector per token.
    tile : positions of the tokens.
    height, width : sides of the grid.
    t2 : squared threshold as `Job.t2` has it.
    mask : bit i enables candidate i of the block.
    dense : match nothing; the map is the identity, and no bit of a vector changes.
    window : `windows(tile, height, width, block)` where the caller has it already.
    dtype : element format.
    block : (frames, rows, columns) of the window.
    representative : `first` or `mean`, what a group is replaced by.
    """
    if vectors.ndim != 2 or len(vectors) != tile.tokens:
        raise ValueError(f"vectors of shape {vectors.shape}: must be ({tile.tokens}, V), one per token of the tile")
    seen = windows(tile, height, width, block) if window is None else window
    return gather_slices(vectors[:, None], seen, t2, mask, dense, dtype, representative)[0]
