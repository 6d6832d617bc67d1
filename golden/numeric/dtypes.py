# SPDX-License-Identifier: Apache-2.0
"""What a configuration's `dtype` decides, for the blocks that take any: arrays of elements, their sums, their zeros.

Elements are raw bits, `uint16` for fp16 and bf16, `uint8` (two's complement) for int8; products, psums and accumulators
are raw `uint32`, binary32 or int32 (two's complement).  Everything is elementwise and broadcasts.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focus_rtl.golden.numeric.elements import ELEMENTS, Element
from focus_rtl.golden.numeric.formats import Bits32, canonical

__all__ = ["DTYPES", "Bits", "check_bits", "element", "is_zero", "numbers", "operands", "quantise", "raw"]

DTYPES = tuple(ELEMENTS)

Bits = NDArray[np.unsignedinteger[Any]]
"""Elements: uint8 for int8, else uint16."""


def element(dtype: str) -> Element:
    """The element format of that name, or a ValueError with the names that exist."""
    if dtype not in ELEMENTS:
        raise ValueError(f"dtype = {dtype!r}: must be one of {', '.join(map(repr, DTYPES))}")
    return ELEMENTS[dtype]


def check_bits(name: str, matrix: Bits, dtype: str, shape: tuple[int, ...] | None = None) -> None:
    """Refuse an array that does not hold elements of `dtype`, or not as many as `shape` says."""
    wanted = np.dtype(element(dtype).storage)
    if matrix.dtype != wanted:
        raise TypeError(f"{name} of dtype {matrix.dtype}: must be {wanted}, the bits of {dtype} numbers")
    if shape is not None and matrix.shape != shape:
        raise ValueError(f"{name} of shape {matrix.shape}: must be {shape}")


@functools.cache
def _every_operand(dtype: str) -> NDArray[Any]:
    """(2**bits,) what each element stands for: looked up, an array of them is widened several times as fast."""
    every = np.arange(1 << element(dtype).bits, dtype=element(dtype).storage)
    return element(dtype).widen(every).view(np.int32 if dtype == "int8" else np.float32)


def operands(bits: Bits, dtype: str) -> NDArray[Any]:
    """Elements as the numbers that are multiplied, float32 or, for int8, int32; exact, and NaN is the canonical one."""
    return np.asarray(np.take(_every_operand(dtype), bits))


def raw(total: NDArray[Any]) -> Bits32:
    """Sums of float32 or int32 numbers -> raw bits, NaN made canonical."""
    bits: Bits32 = total.view(np.uint32)
    return bits if total.dtype.kind == "i" else canonical(bits)


def is_zero(bits: Bits, dtype: str) -> NDArray[np.bool_]:
    """Whether an element is zero, of either sign."""
    return np.asarray(operands(bits, dtype) == 0)


def numbers(bits: Bits, dtype: str) -> NDArray[np.float32]:
    """Elements -> the numbers they stand for, as float32; exact."""
    return operands(bits, dtype).astype(np.float32)


def quantise(values: ArrayLike, dtype: str) -> Bits:
    """Numbers (float32) -> elements, to nearest even; int8 clips to -128 .. 127, and NaN gives 0."""
    single = np.asarray(values, dtype=np.float32)
    if dtype != "int8":
        return element(dtype).narrow(single.view(np.uint32))
    with np.errstate(all="ignore"):
        clipped = np.clip(np.rint(np.where(np.isnan(single), np.float32(0), single)), -128, 127)
    return np.asarray(clipped.astype(np.int8)).view(np.uint8)
