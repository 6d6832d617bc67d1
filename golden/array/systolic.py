# SPDX-License-Identifier: Apache-2.0
"""Psums of a k-slice: vectors and weights -> one chain of sums per vector and column, binary32 or int32.

Twin of `hdl/array/systolic.py`.  The array's size, its passes and its depth do not appear: they do not change a bit.
"""

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.numeric.dtypes import Bits, operands, raw

__all__ = ["psums"]

_BLOCK = 1 << 16
"""Psums worked on at once, so that product and sum stay in a cache; elementwise, hence without effect on the bits."""


def psums(vectors: Bits, weights: Bits, dtype: str = "fp16") -> NDArray[np.uint32]:
    """psum = psum + x[i] * w[i], i ascending over the V elements, from +0.

    Product and sum are each rounded to binary32, or exact in int32, which wraps (K <= 131071 cannot get there).

    Parameters
    ----------
    vectors : (p, V), bits of elements.
    weights : (V, N), bits of elements.
    dtype : element format.

    Returns
    -------
    (p, N) uint32, binary32 or int32 bits; every NaN is the canonical one (a NaN stays one through the rest of its
    chain, so making it canonical at the end is the same as making it so after each sum).
    """
    if vectors.ndim != 2 or weights.ndim != 2 or vectors.shape[1] != weights.shape[0]:
        raise ValueError(f"vectors {vectors.shape} and weights {weights.shape}: must be (p, V) and (V, N)")
    x, w = operands(vectors, dtype), operands(weights, dtype)
    total = np.zeros((len(x), w.shape[1]), dtype=x.dtype)
    step = max(1, _BLOCK // max(1, w.shape[1]))
    with np.errstate(all="ignore"):
        for start in range(0, len(x), step):
            part = total[start:start + step]
            columns = np.ascontiguousarray(x[start:start + step].T)
            product = np.empty_like(part)
            for element, weight in zip(columns, w, strict=True):
                np.multiply(element[:, None], weight, out=product)
                np.add(part, product, out=part)
    return raw(total)
