# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of every element format on raw bits: fp16 and bf16 with binary32 accumulators, int8 with int32 ones.

Raw bits are unsigned integers: `uint16` (fp16, bf16) or `uint8` (int8) for an element, `uint32` for a product, psum or
accumulator.  Everything is elementwise and broadcasts; NaN that arithmetic makes is canonical, as in `formats`.
bfloat16 is that of `ml_dtypes`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import ArrayLike, NDArray

from focus_rtl.golden.numeric import formats
from focus_rtl.golden.numeric.formats import Bits16, Bits32

__all__ = ["BFLOAT_NAN", "ELEMENTS", "Bits8", "Element", "add_int32", "int_to_float", "integer_greater",
           "integer_match", "mean", "multiply_bf16", "multiply_int8", "narrow_bf16", "reciprocal", "requantise",
           "widen_bf16"]

Bits8 = NDArray[np.uint8]

BFLOAT_NAN = np.uint16(0x7FC0)
"""The one NaN that arithmetic produces in bfloat16."""


def _bits(array: ArrayLike, dtype: type[np.unsignedinteger[Any]]) -> NDArray[Any]:
    found = np.asarray(array)
    if found.dtype.kind not in "ui":
        raise TypeError(f"raw bits are integers, not {found.dtype}")
    return found.astype(dtype, copy=False)


def _int32(bits: ArrayLike) -> NDArray[np.int32]:
    return _bits(bits, np.uint32).view(np.int32)


# --- bfloat16 ---


def widen_bf16(bits: ArrayLike) -> Bits32:
    """bfloat16 -> binary32, exact; a NaN becomes the canonical one."""
    numbers = _bits(bits, np.uint16).view(ml_dtypes.bfloat16)
    with np.errstate(all="ignore"):
        return formats.canonical(numbers.astype(np.float32).view(np.uint32))


def narrow_bf16(bits: ArrayLike) -> Bits16:
    """binary32 -> bfloat16, rounded once."""
    with np.errstate(all="ignore"):
        numbers = formats.to_float32(bits).astype(ml_dtypes.bfloat16)
        return np.where(np.isnan(numbers), BFLOAT_NAN, numbers.view(np.uint16))


def multiply_bf16(a: ArrayLike, b: ArrayLike) -> Bits32:
    """bfloat16 x bfloat16 -> binary32, rounded once: only where the product leaves the normal range is it inexact."""
    return formats.multiply32(widen_bf16(a), widen_bf16(b))


# --- int8 ---


def multiply_int8(a: ArrayLike, b: ArrayLike) -> Bits32:
    """int8 x int8 -> int32, exact."""
    product = _bits(a, np.uint8).view(np.int8).astype(np.int32) * _bits(b, np.uint8).view(np.int8).astype(np.int32)
    return np.asarray(product, np.int32).view(np.uint32)


def add_int32(a: ArrayLike, b: ArrayLike) -> Bits32:
    """int32 + int32 -> int32, modulo 2**32."""
    with np.errstate(over="ignore"):
        return np.asarray(_bits(a, np.uint32) + _bits(b, np.uint32), np.uint32)


def int_to_float(bits: ArrayLike) -> Bits32:
    """int32 -> binary32, rounded to nearest even."""
    return np.asarray(_int32(bits).astype(np.float32)).view(np.uint32)


def requantise(acc: ArrayLike, scale: ArrayLike) -> Bits8:
    """int32 accumulator, binary32 scale -> int8: rint(f32(acc) * scale), half to even, clipped; NaN gives 0."""
    with np.errstate(all="ignore"):
        y = formats.to_float32(formats.multiply32(int_to_float(acc), scale))
        clipped = np.clip(np.rint(np.where(np.isnan(y), np.float32(0), y)), -128, 127)
    return np.asarray(clipped.astype(np.int8)).view(np.uint8)


def integer_greater(q_a: ArrayLike, n_b: ArrayLike, q_b: ArrayLike, n_a: ArrayLike) -> NDArray[np.bool_]:
    """q_a * n_b > q_b * n_a, exact: |q| < 2**41 and n < 2**21 keep the products within int64."""
    left = np.asarray(q_a, np.int64) * np.asarray(n_b, np.int64)
    return np.asarray(left > np.asarray(q_b, np.int64) * np.asarray(n_a, np.int64))


def integer_match(q: ArrayLike, n_u: ArrayLike, n_v: ArrayLike, t2: ArrayLike) -> NDArray[np.bool_]:
    """q * 65536 > t2 * n_u * n_v, exact in int64."""
    least = np.asarray(t2, np.int64) * np.asarray(n_u, np.int64) * np.asarray(n_v, np.int64)
    return np.asarray(np.asarray(q, np.int64) * 65536 > least)


# --- the mean of a group ---


def reciprocal(count: ArrayLike) -> Bits32:
    """f32(1) / f32(count), rounded once."""
    return np.asarray(np.float32(1) / np.asarray(count).astype(np.float32), np.float32).view(np.uint32)


def mean(total: ArrayLike, count: ArrayLike, dtype: str) -> NDArray[Any]:
    """A group's sum (binary32 or int32 bits) times the reciprocal of its count, rounded to the element format."""
    if dtype == "int8":
        return requantise(total, reciprocal(count))
    return ELEMENTS[dtype].narrow(formats.multiply32(total, reciprocal(count)))


@dataclass(frozen=True)
class Element:
    """An element format and its arithmetic.

    name : the dtype.  bits : of an element.  storage : NumPy type of raw elements.
    multiply : element x element -> product.  accumulate : acc + acc -> acc.
    widen : element -> accumulator, exact.  narrow : accumulator -> element (int8 has `requantise` instead: raises).
    """

    name: str
    bits: int
    storage: type[np.unsignedinteger[Any]]
    multiply: Callable[[ArrayLike, ArrayLike], Bits32]
    accumulate: Callable[[ArrayLike, ArrayLike], Bits32]
    widen: Callable[[ArrayLike], Bits32]
    narrow: Callable[[ArrayLike], NDArray[Any]]


def _widen_int8(bits: ArrayLike) -> Bits32:
    return _bits(bits, np.uint8).view(np.int8).astype(np.int32).view(np.uint32)


def _no_narrow(bits: ArrayLike) -> NDArray[Any]:
    raise ValueError("an int8 accumulator is requantised with a scale, not narrowed")


ELEMENTS: dict[str, Element] = {
    "fp16": Element("fp16", 16, np.uint16, formats.multiply, formats.add32, formats.widen, formats.narrow),
    "bf16": Element("bf16", 16, np.uint16, multiply_bf16, formats.add32, widen_bf16, narrow_bf16),
    "int8": Element("int8", 8, np.uint8, multiply_int8, add_int32, _widen_int8, _no_narrow),
}
"""By the name of the dtype."""
