# SPDX-License-Identifier: Apache-2.0
"""Importance: the text-to-image rows of the softmax -> one score per image token.

Twin of `hdl/sec/importance.py`.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["INFINITY", "clean", "importance"]

Scores = NDArray[np.uint16]

INFINITY = 0x7C00
"""binary16 bits of infinity: the largest score."""


def clean(bits: Scores) -> Scores:
    """Scores as they are compared: what is negative (-0 too) or NaN counts as +0.

    bits : any shape, uint16, binary16 bits.
    """
    scores = np.asarray(bits)
    if scores.dtype != np.uint16:
        raise TypeError(f"scores of dtype {scores.dtype}: must be uint16, the bits of binary16")
    numbers = scores.view(np.float16)
    return np.where(np.isnan(numbers) | np.signbit(numbers), np.uint16(0), scores)


def importance(rows: Scores) -> Scores:
    """s[j] = the largest score of image token j over all heads and text rows.

    Non-negative binary16 numbers are ordered like their bits, so the maximum is taken of the bits.

    Parameters
    ----------
    rows : (heads * text rows, M) uint16, binary16 bits; the order of the rows does not matter.

    Returns
    -------
    (M,) uint16, 0 .. 0x7C00.
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"scores of shape {rows.shape}: must be (rows, tokens), at least one of each")
    best = np.zeros(rows.shape[1], dtype=np.uint16)
    for row in clean(rows):
        best = np.maximum(best, row)
    return best
