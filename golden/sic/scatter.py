# SPDX-License-Identifier: Apache-2.0
"""Scatter: psums of the distinct vectors, found through the similarity map -> the accumulator of every token.

Twin of `hdl/sic/scatter.py`.  `leave` says what becomes of an accumulator after its last k-slice.
"""

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.numeric.elements import add, leave

__all__ = ["leave", "scatter"]


def scatter(acc: NDArray[np.uint32], psums: NDArray[np.uint32], index_map: NDArray[np.integer],
            dtype: str = "fp16") -> NDArray[np.uint32]:
    """acc[j] + psums[index_map[j]], rounded to binary32, or in int32.

    Parameters
    ----------
    acc : (m, N) uint32, binary32 or int32 bits (0 before the first k-slice).
    psums : (p, N) uint32, the same kind of bits, p >= 1.
    index_map : (m,) integers.  An index >= p is read as 0; the machine ends such a job with an error code.
    dtype : element format, which decides the kind.

    Returns
    -------
    (m, N) uint32.
    """
    index = np.asarray(index_map)
    return add(acc, psums[np.where(index < len(psums), index, 0)], dtype)
