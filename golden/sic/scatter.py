# SPDX-License-Identifier: Apache-2.0
"""Scatter: psums of the distinct vectors, found through the similarity map -> the accumulator of every token.

Twin of `hdl/sic/scatter.py`.
"""

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.numeric.formats import add32, narrow

__all__ = ["leave", "scatter"]


def scatter(acc: NDArray[np.uint32], psums: NDArray[np.uint32],
            index_map: NDArray[np.integer]) -> NDArray[np.uint32]:
    """acc[j] + psums[index_map[j]], rounded to binary32.

    Parameters
    ----------
    acc : (m, N) uint32, binary32 bits; +0 before the first k-slice.
    psums : (p, N) uint32, binary32 bits, p >= 1.
    index_map : (m,) integers.  An index >= p is read as 0; the machine ends such a job with an error code.

    Returns
    -------
    (m, N) uint32.
    """
    index = np.asarray(index_map)
    return add32(acc, psums[np.where(index < len(psums), index, 0)])


def leave(acc: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """Accumulators, binary32 bits -> elements, fp16 bits: rounded once, too large becomes infinity."""
    return narrow(acc)
