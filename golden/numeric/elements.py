# SPDX-License-Identifier: Apache-2.0
"""What `dtype` changes: bits of elements -> numbers, products, sums, and what leaves the accumulators.

Elements are raw bits, `uint16` for fp16 and bf16, `uint8` (two's complement) for int8; products, psums and accumulators
are raw `uint32`, binary32 or int32 (two's complement).  Everything is elementwise and broadcasts.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focus_rtl.golden.numeric import formats
from focus_rtl.golden.numeric.formats import Bits32

__all__ = ["DTYPES", "Bits", "add", "check_bits", "check_dtype", "container", "is_zero", "leave", "multiply", "numbers",
           "operands", "quantise", "result"]

DTYPES = ("fp16", "bf16", "int8")

Bits = NDArray[np.uint8] | NDArray[np.uint16]
"""Elements: uint8 for int8, else uint16."""

_CONTAINERS: dict[str, np.dtype[Any]] = {
    "fp16": np.dtype(np.uint16), "bf16": np.dtype(np.uint16), "int8": np.dtype(np.uint8)}
_WIDEN: dict[str, Callable[[ArrayLike], Bits32]] = {"fp16": formats.widen, "bf16": formats.widen_bf16}
_NARROW: dict[str, Callable[[ArrayLike], NDArray[np.uint16]]] = {"fp16": formats.narrow, "bf16": formats.narrow_bf16}


def check_dtype(dtype: str) -> None:
    """Refuse a dtype that does not exist."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype = {dtype!r}: must be one of {', '.join(map(repr, DTYPES))}")


def container(dtype: str) -> np.dtype[Any]:
    """NumPy dtype of an array of elements."""
    check_dtype(dtype)
    return _CONTAINERS[dtype]


def check_bits(name: str, matrix: Bits, dtype: str, shape: tuple[int, ...] | None = None) -> None:
    """Refuse an array that does not hold elements of `dtype`, or not as many as `shape` says."""
    wanted = container(dtype)
    if matrix.dtype != wanted:
        raise TypeError(f"{name} of dtype {matrix.dtype}: must be {wanted}, the bits of {dtype} numbers")
    if shape is not None and matrix.shape != shape:
        raise ValueError(f"{name} of shape {matrix.shape}: must be {shape}")


def operands(bits: Bits, dtype: str) -> NDArray[Any]:
    """Elements as what the array multiplies: float32 numbers, or int32 ones for int8; exact."""
    check_bits("elements", bits, dtype)
    if dtype == "int8":
        return bits.view(np.int8).astype(np.int32)
    return _WIDEN[dtype](bits).view(np.float32)


def result(total: NDArray[Any]) -> Bits32:
    """Sums of float32 or int32 numbers -> raw bits, NaN made canonical."""
    bits: Bits32 = total.view(np.uint32)
    return bits if total.dtype.kind == "i" else formats.canonical(bits)


def multiply(a: Bits, b: Bits, dtype: str) -> Bits32:
    """Product of two elements: int32 or fp16's binary32 exactly, bf16's rounded to binary32 where it is subnormal."""
    with np.errstate(all="ignore"):
        return result(np.asarray(operands(a, dtype) * operands(b, dtype)))


def add(a: Bits32, b: Bits32, dtype: str) -> Bits32:
    """Sum of two products, psums or accumulators: binary32 rounded once, or int32 (which wraps)."""
    check_dtype(dtype)
    return np.asarray(a + b, dtype=np.uint32) if dtype == "int8" else formats.add32(a, b)


def is_zero(bits: Bits, dtype: str) -> NDArray[np.bool_]:
    """Whether an element is zero, of either sign."""
    check_bits("elements", bits, dtype)
    return np.asarray(bits == 0 if dtype == "int8" else (bits & 0x7FFF) == 0)


def numbers(bits: Bits, dtype: str) -> NDArray[np.float32]:
    """Elements -> the numbers they stand for, as float32; exact."""
    return operands(bits, dtype).astype(np.float32)


def quantise(values: ArrayLike, dtype: str) -> Bits:
    """Numbers (float32) -> elements: rounded to nearest even; int8 clips to -128 .. 127, and NaN gives 0."""
    check_dtype(dtype)
    single = np.asarray(values, dtype=np.float32)
    if dtype == "int8":
        clipped = np.clip(np.rint(np.where(np.isnan(single), np.float32(0), single)), -128, 127)
        return np.asarray(clipped.astype(np.int8)).view(np.uint8)
    return _NARROW[dtype](single.view(np.uint32))


def _scales(scales: NDArray[np.float32] | None, columns: int) -> NDArray[np.float32]:
    if scales is None:
        raise ValueError(f"scales = None: int8 needs {columns} of them, one per output column")
    if scales.dtype != np.float32:
        raise TypeError(f"scales of dtype {scales.dtype}: must be float32")
    if scales.shape != (columns,):
        raise ValueError(f"scales of shape {scales.shape}: must be ({columns},), one per output column")
    bad = np.flatnonzero(~(np.isfinite(scales) & (scales > 0)))
    if len(bad):
        raise ValueError(f"scales[{bad[0]}] = {scales[bad[0]]}: must be finite and positive")
    return scales


def leave(acc: Bits32, dtype: str = "fp16", scales: NDArray[np.float32] | None = None) -> Bits:
    """Accumulators -> elements.

    Parameters
    ----------
    acc : (..., N) uint32, binary32 or int32 bits.
    scales : (N,) float32, finite and positive, for int8 only: y = f32(acc) * scale, both rounded to binary32, then to
        the nearest integer (half to even), then clipped.

    Raises
    ------
    TypeError, ValueError : scales that are missing, superfluous, or not what they must be.
    """
    check_dtype(dtype)
    if dtype != "int8":
        if scales is not None:
            raise ValueError(f"scales: {dtype} has none, they belong to int8")
        return _NARROW[dtype](acc)
    factors = _scales(scales, acc.shape[-1])
    with np.errstate(all="ignore"):
        return quantise(np.ascontiguousarray(acc).view(np.int32).astype(np.float32) * factors, dtype)
