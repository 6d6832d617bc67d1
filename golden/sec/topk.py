# SPDX-License-Identifier: Apache-2.0
"""Top-k: one score per token, and k -> which tokens are kept.

Twin of `hdl/sec/radix.py` and `hdl/sec/bubble.py`, which both compute this.
"""

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.sec.importance import INFINITY, Scores

__all__ = ["budget", "keep"]


def budget(ratio: float, original: int, present: int) -> int:
    """k, as software computes it: that share of the original number of tokens, at least 1, at most those present."""
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio = {ratio}: must be between 0 and 1")
    if not 1 <= present <= original:
        raise ValueError(f"present = {present}: must be between 1 and the original number of tokens, {original}")
    return max(1, min(int(float(ratio) * original), present))


def keep(scores: Scores, k: int) -> NDArray[np.bool_]:
    """(M,) bool: the k tokens of the largest scores; between equal scores the lower token index wins.

    Parameters
    ----------
    scores : (M,) uint16, cleaned binary16 bits (`importance`).
    k : 1 .. M.
    """
    scores = np.asarray(scores)
    if scores.dtype != np.uint16 or scores.ndim != 1 or (scores > INFINITY).any():
        raise ValueError("scores: must be one row of uint16, binary16 bits, neither negative nor NaN")
    if not 1 <= k <= len(scores):
        raise ValueError(f"k = {k}: must be between 1 and the number of tokens, {len(scores)}")
    best_first = np.argsort(-scores.astype(np.int32), kind="stable")  # stable: of equal scores the first comes first
    kept = np.zeros(len(scores), dtype=np.bool_)
    kept[best_first[:k]] = True
    return kept
