# SPDX-License-Identifier: Apache-2.0
"""Sums and scales whose product lies on a half, or where only binary32 puts it there; and the bins of such products."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.numeric import elements, formats

__all__ = ["HALVES", "NAMES", "OUT_OF_REACH", "draw_halves", "half_bins"]

Bits = NDArray[np.uint32]

CONVERSIONS = ("sum exact", "sum rounded")
HALVES = ("a half", "a half from below", "a half from above", "a place below a half", "a place above a half", "apart")
"""Where the product, rounded to binary32, lies: on a half, and then where it was before; on the number next to one."""
PARITIES, LENGTHS, SIGNS = ("even", "odd"), range(8), ("positive", "negative")
BEYOND = tuple(f"{what}, {sign}" for what in ("128 or more", "infinite") for sign in SIGNS)

_INNER = tuple(product(CONVERSIONS, HALVES, PARITIES, LENGTHS, SIGNS))
NAMES = (*(f"{conversion}, {half}, whole number {parity}, of {length} bits, {sign}"
           for conversion, half, parity, length, sign in _INNER), *BEYOND, "NaN")
"""Of the bins."""

OUT_OF_REACH = {number: "0 is even and 1 is odd" for number, (_, _, parity, length, _) in enumerate(_INNER)
                if (parity, length) in (("odd", 0), ("even", 1))}
"""Bins that no operands reach, and why."""


def draw_halves(rng: np.random.Generator, size: int) -> tuple[Bits, Bits, Bits]:
    """int32 sums and binary32 scales (the third operand is none): most products on a half or next to one."""
    length = rng.integers(0, 8, size)
    whole = rng.integers(1 << 7, 1 << 8, size) >> (8 - length)
    odd = 2 * whole + 1  # twice the half
    magnitude = rng.integers(1 << 30, 1 << 31, size) >> rng.integers(0, 30, size)
    few = odd << rng.integers(0, 31 - length, size).clip(0, 30)  # of them a power of two makes the half, exactly
    noise = np.where(few >= 1 << 24, rng.integers(-3, 4, size) * (rng.random(size) < 0.7), 0)
    exact = rng.random(size) < 0.3
    least = 1 << rng.integers(0, 3, size)  # of them no bit but those of the scale is below the half
    magnitude = np.where(rng.random(size) < 0.1, least, magnitude)
    x = np.clip(np.where(exact, few + noise, magnitude), 1, (1 << 31) - 1)
    single = x.astype(np.float32).astype(np.float64)
    scale = np.where(exact, odd / 2 / few, odd / 2 / single).astype(np.float32).view(np.uint32)
    nudge = rng.choice([-2, -1, 0, 1, 2], size, p=[0.05, 0.25, 0.4, 0.25, 0.05]) * ~exact
    bits = scale.astype(np.int64) + nudge | rng.integers(0, 2, size) << 31
    x = np.where(rng.random(size) < 0.5, x, -x)
    kind = rng.random(size)
    special = rng.choice([0, 1, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0xFF800000],
                         size)
    bits = np.where(kind < 0.05, rng.integers(0, 1 << 32, size), np.where(kind < 0.08, special, bits))
    x = np.where((kind > 0.03) & (kind < 0.09), rng.choice([0, 1, -1, (1 << 31) - 1, -(1 << 31), 1 << 24], size), x)
    return x.astype(np.int32).view(np.uint32), bits.astype(np.uint32), np.zeros(size, np.uint32)


def half_bins(acc: Bits, scale: Bits, _element: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The bin of each sum and scale, a number of `NAMES`.  A float64 holds the exact product of two binary32."""
    single = formats.to_float32(elements.int_to_float(acc)).astype(np.float64)
    with np.errstate(all="ignore"):
        exact = np.abs(single * formats.to_float32(scale).astype(np.float64))
        y = formats.to_float32(formats.multiply32(elements.int_to_float(acc), scale))
        inner = np.abs(np.where(np.isfinite(y), y, np.float32(0)))
    whole = np.floor(inner).clip(0, 127)
    half = (whole + 0.5).astype(np.float32)
    place = np.select([inner == half, inner == np.nextafter(half, np.float32(0)),
                       inner == np.nextafter(half, np.float32(256))], [0, 3, 4], 5)
    place = np.where(place == 0, np.select([exact < half, exact > half], [1, 2], 0), place)
    rounded = single != acc.view(np.int32)
    negative = np.signbit(y)
    length = np.frexp(whole)[1]
    number = np.ravel_multi_index((rounded.astype(int), place, whole.astype(int) & 1, length, negative.astype(int)),
                                  (len(CONVERSIONS), len(HALVES), len(PARITIES), len(LENGTHS), len(SIGNS)))
    number = np.where(np.abs(y) >= 128, len(_INNER) + 2 * np.isinf(y) + negative, number)
    return np.asarray(np.where(np.isnan(y), len(NAMES) - 1, number), np.int64)
