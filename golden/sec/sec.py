# SPDX-License-Identifier: Apache-2.0
"""The semantic concentrator: softmax rows and k -> the offsets of the tokens that stay, layer after layer.

Twin of `hdl/sec/sec.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.sec.importance import Scores, importance
from focus_rtl.golden.sec.offsets import decode, encode
from focus_rtl.golden.sec.topk import keep

__all__ = ["Pruned", "SecOrder", "prune", "sweeps"]


def sweeps(rows: int, lanes: int, spatial: bool) -> int:
    """How often all tokens are gone through for so many rows, a = lanes rows at a time or one."""
    return -(-rows // lanes) if spatial else rows


@dataclass(frozen=True, eq=False)
class SecOrder:
    """What a layer's pruning is told: arguments as for `prune`.

    spatial : scores come as a rows of a token, else as a tokens of a row, a = lanes; it changes no bit.
    """

    rows: Scores
    k: int
    previous: NDArray[np.uint16] | None = None
    spatial: bool = False

    @property
    def tokens(self) -> int:
        """Image tokens present."""
        return int(self.rows.shape[1])

    def sweeps(self, lanes: int) -> int:
        """See `sweeps`."""
        return sweeps(len(self.rows), lanes, self.spatial)

    def beats(self, lanes: int) -> int:
        """Beats of scores."""
        return self.sweeps(lanes) * (self.tokens if self.spatial else -(-self.tokens // lanes))


@dataclass(frozen=True, eq=False)
class Pruned:
    """What a layer leaves.

    tokens : (k,) int64, original indices of the tokens that stay, ascending.
    symbols : their offsets, encoded; the next layer's `previous`.
    """

    tokens: NDArray[np.int64]
    symbols: NDArray[np.uint16]


def prune(rows: Scores, k: int, bits: int, previous: NDArray[np.uint16] | None = None) -> Pruned:
    """One layer: of the tokens present, keep the k most important.

    Parameters
    ----------
    rows : (heads * text rows, tokens present) uint16, binary16 bits of the softmax; column i belongs to the i-th token
        that is present.
    k : 1 .. tokens present.
    bits : width of an offset.
    previous : symbols of the layer before, which say which tokens are present; None: all of them, 0 .. M-1.

    Raises
    ------
    ValueError : `previous` speaks of another number of tokens than `rows`, or k is out of range.
    """
    scores = importance(rows)
    present = np.arange(len(scores)) if previous is None else decode(previous, bits)
    if len(present) != len(scores):
        raise ValueError(f"scores of {len(scores)} tokens: the offsets before say that {len(present)} are present")
    tokens = present[keep(scores, k)]
    mask = np.zeros(int(tokens[-1]) + 1, dtype=np.bool_)
    mask[tokens] = True
    return Pruned(tokens, encode(mask, bits))
