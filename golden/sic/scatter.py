# SPDX-License-Identifier: Apache-2.0
"""Scatter: psums of the distinct vectors, found through the similarity map -> the accumulator of every token.

Twin of `hdl/sic/scatter.py`.  `leave` says what becomes of an accumulator after its last k-slice.
"""

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.numeric.dtypes import Bits, element
from focus_rtl.golden.numeric.elements import requantise

__all__ = ["leave", "scatter"]

Bits32 = NDArray[np.uint32]
Scales = NDArray[np.float32]


def scatter(acc: Bits32, psums: Bits32, index_map: NDArray[np.integer], dtype: str = "fp16") -> Bits32:
    """acc[j] + psums[index_map[j]], rounded to binary32, or in int32.

    Parameters
    ----------
    acc : (m, N) uint32, binary32 or int32 bits (0 before the first k-slice).
    psums : (p, N) uint32, the same kind of bits, p >= 1 (an empty slice is not scattered at all).
    index_map : (m,) integers.  An index >= p is read as 0; the machine ends such a job with an error code.
    dtype : element format, which decides the kind.

    Returns
    -------
    (m, N) uint32.
    """
    index = np.asarray(index_map)
    return element(dtype).accumulate(acc, psums[np.where(index < len(psums), index, 0)])


def _checked(scales: Scales | None, columns: int) -> Scales:
    if scales is None:
        raise ValueError(f"scales are missing: int8 needs {columns} of them, one per output column")
    if scales.dtype != np.float32:
        raise TypeError(f"scales of dtype {scales.dtype}: must be float32")
    if scales.shape != (columns,):
        raise ValueError(f"scales of shape {scales.shape}: must be ({columns},), one per output column")
    for column in np.flatnonzero(~(np.isfinite(scales) & (scales > 0))):
        raise ValueError(f"scale of column {column} = {scales[column]}: must be finite and positive")
    return scales


def leave(acc: Bits32, dtype: str = "fp16", scales: Scales | None = None) -> Bits:
    """Accumulators -> elements.

    fp16, bf16: rounded once, to nearest even; too large becomes infinity.  int8: y = f32(acc) * scale, both rounded to
    binary32, then the nearest integer (half to even), clipped to -128 .. 127.

    Parameters
    ----------
    acc : (..., N) uint32, binary32 or int32 bits.
    scales : (N,) float32, finite and positive; for int8, and only for it.

    Raises
    ------
    TypeError, ValueError : scales that are missing, superfluous, or not what they must be.
    """
    if dtype == "int8":
        return requantise(acc, _checked(scales, acc.shape[-1]).view(np.uint32))
    if scales is not None:
        raise ValueError(f"scales are for int8; {dtype} has none")
    return element(dtype).narrow(acc)
