# SPDX-License-Identifier: Apache-2.0
"""binary16 and binary32 on raw bits: every operation is the NumPy expression of the IEEE-754 one, NaN made canonical.

Raw bits are unsigned integers, `uint16` for an element (binary16) and `uint32` for a product, psum or accumulator
(binary32).  Everything is elementwise, takes arrays of any shape and broadcasts.  Rounding is to nearest even,
subnormals, infinities and signed zeros are honoured, and every NaN that comes out is the positive quiet one with
nothing else in its fraction, whatever went in: a copy keeps its payload, arithmetic does not.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["NAN16", "NAN32", "Bits16", "Bits32", "add32", "canonical", "canonical16", "from_float", "multiply",
           "multiply32", "narrow", "product_greater", "to_float", "to_float32", "widen"]

_NOT_BITS = "raw bits are integers, not {}: convert numbers with from_float"

Bits16 = NDArray[np.uint16]
Bits32 = NDArray[np.uint32]

NAN16 = np.uint16(0x7E00)
NAN32 = np.uint32(0x7FC00000)
"""The one NaN that arithmetic produces, in each format."""


def _half(bits: ArrayLike) -> NDArray[np.float16]:
    """Bits of binary16, integers of any dtype -> the same as numbers."""
    array = np.asarray(bits)
    if array.dtype.kind not in "ui":
        raise TypeError(_NOT_BITS.format(array.dtype))
    return array.astype(np.uint16, copy=False).view(np.float16)


def _single(bits: ArrayLike) -> NDArray[np.float32]:
    """Bits of binary32, integers of any dtype -> the same as numbers."""
    array = np.asarray(bits)
    if array.dtype.kind not in "ui":
        raise TypeError(_NOT_BITS.format(array.dtype))
    return array.astype(np.uint32, copy=False).view(np.float32)


def _bits16(number: NDArray[np.float16]) -> Bits16:
    """Numbers -> bits, NaN made canonical."""
    array = np.asarray(number, dtype=np.float16)
    return np.where(np.isnan(array), NAN16, array.view(np.uint16))


def _bits32(number: NDArray[np.float32]) -> Bits32:
    """Numbers -> bits, NaN made canonical."""
    array = np.asarray(number, dtype=np.float32)
    return np.where(np.isnan(array), NAN32, array.view(np.uint32))


def canonical16(bits: ArrayLike) -> Bits16:
    """binary16 bits -> the same, every NaN replaced by 0x7E00."""
    return _bits16(_half(bits))


def canonical(bits: ArrayLike) -> Bits32:
    """binary32 bits -> the same, every NaN replaced by 0x7FC00000."""
    return _bits32(_single(bits))


def widen(bits: ArrayLike) -> Bits32:
    """binary16 -> binary32; exact, so nothing is rounded (a NaN becomes the canonical one)."""
    with np.errstate(all="ignore"):
        return _bits32(_half(bits).astype(np.float32))


def narrow(bits: ArrayLike) -> Bits16:
    """binary32 -> binary16, rounded once; too large becomes infinity, too small a subnormal or a signed zero."""
    with np.errstate(all="ignore"):
        return _bits16(_single(bits).astype(np.float16))


def multiply(a: ArrayLike, b: ArrayLike) -> Bits32:
    """binary16 x binary16 -> binary32; exact: two 11-bit significands make 22 bits, the least product is 2**-48."""
    with np.errstate(all="ignore"):
        return _bits32(_half(a).astype(np.float32) * _half(b).astype(np.float32))


def add32(a: ArrayLike, b: ArrayLike) -> Bits32:
    """binary32 + binary32 -> binary32, rounded once; x + -x = +0 and -0 + -0 = -0."""
    with np.errstate(all="ignore"):
        return _bits32(_single(a) + _single(b))


def multiply32(a: ArrayLike, b: ArrayLike) -> Bits32:
    """binary32 x binary32 -> binary32, rounded once."""
    with np.errstate(all="ignore"):
        return _bits32(_single(a) * _single(b))


def product_greater(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> NDArray[np.bool_]:
    """binary32 a, b, c, d -> a * b > c * d, neither product rounded.

    binary64 holds any product of two binary32 numbers exactly (48 of 53 bits, exponents far inside).  A NaN, or the
    one that infinity times zero makes, compares False; zeros of either sign are equal.
    """
    with np.errstate(all="ignore"):
        left = _single(a).astype(np.float64) * _single(b).astype(np.float64)
        right = _single(c).astype(np.float64) * _single(d).astype(np.float64)
        return np.asarray(left > right)


def to_float(bits: ArrayLike) -> NDArray[np.float32]:
    """Element (binary16) bits -> the numbers they stand for, as float32; exact."""
    return _half(bits).astype(np.float32)


def from_float(numbers: ArrayLike) -> Bits16:
    """Numbers (float64, float32, ...) -> element (binary16) bits, rounded once, straight from the dtype given."""
    with np.errstate(all="ignore"):
        return _bits16(np.asarray(numbers).astype(np.float16))


def to_float32(bits: ArrayLike) -> NDArray[np.float32]:
    """binary32 bits -> the numbers they stand for."""
    return _single(bits).copy()
