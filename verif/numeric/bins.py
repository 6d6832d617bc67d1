# SPDX-License-Identifier: Apache-2.0
"""Bins of a sum of two binary32 numbers: exponent difference x add or cancel x rounding x class of the result.

A zero and a subnormal have the exponent of the least normal; difference 26 stands for all from 26 on.  `cancel` means
that the signs differ.  The rounding says where the exact sum lies between the two binary32 numbers around it, seen from
zero.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "DISTANCES", "ROUNDINGS", "SHAPE", "SIGNS", "bin_names", "bin_of", "unreachable"]

DISTANCES, SIGNS = 27, ("add", "cancel")
ROUNDINGS = ("exact", "below", "tie", "above")
CLASSES = ("normal", "subnormal", "zero", "infinity", "NaN")
SHAPE = (DISTANCES, len(SIGNS), len(ROUNDINGS), len(CLASSES))

Bits = NDArray[np.uint32]


def bin_of(x: Bits, y: Bits, total: Bits) -> NDArray[np.int64]:
    """Number of the bin of each x + y = total, below the product of SHAPE."""
    field_x, field_y = (np.maximum((bits >> np.uint32(23) & np.uint32(255)).astype(np.int64), 1) for bits in (x, y))
    distance = np.minimum(np.abs(field_x - field_y), DISTANCES - 1)
    cancel = ((x ^ y) >> np.uint32(31)).astype(np.int64)
    magnitude = total & np.uint32(0x7FFFFFFF)
    kinds = [magnitude > 0x7F800000, magnitude == 0x7F800000, magnitude == 0, magnitude < 0x00800000]
    kind = np.select(kinds, [4, 3, 2, 1], 0)
    rounding = _rounding(x, y, cancel)
    special = (field_x == 255) | (field_y == 255)
    return np.ravel_multi_index((distance, cancel, np.where(special, 0, rounding), kind), SHAPE)


def _rounding(x: Bits, y: Bits, cancel: NDArray[np.int64]) -> NDArray[np.int64]:
    with np.errstate(all="ignore"):
        a, b = (bits.view(np.float32).astype(np.float64) for bits in (x, y))
        total = a + b
        # binary64 holds the sum of numbers up to 28 binades apart; beyond, what is added is below a quarter of a unit.
        lost = (total - a != b) | (total - b != a)
        _, exponent = np.frexp(total)
        units = np.ldexp(np.abs(total), 24 - np.maximum(exponent, -125))
        rest = units - np.floor(units)
    told = np.select([rest == 0, rest < 0.5, rest == 0.5], [0, 1, 2], 3)
    return np.asarray(np.where(lost, np.where(cancel == 1, 3, 1), told), np.int64)


def bin_names(number: int) -> str:
    """A bin in words."""
    distance, sign, rounding, kind = (int(part) for part in np.unravel_index(number, SHAPE))
    return f"{distance}{'+' if distance == DISTANCES - 1 else ''} {SIGNS[sign]} {ROUNDINGS[rounding]} {CLASSES[kind]}"


def unreachable(fp16: bool) -> dict[int, str]:
    """Bins that no operands reach, and why; `fp16`: one operand is a product of binary16, the other not subnormal."""
    reasons = {}
    for number in range(int(np.prod(SHAPE))):
        distance, sign, rounding, kind = (int(part) for part in np.unravel_index(number, SHAPE))
        why = _why_not(distance, SIGNS[sign], ROUNDINGS[rounding], CLASSES[kind], fp16)
        if why:
            reasons[number] = why
    return reasons


def _why_not(distance: int, sign: str, rounding: str, kind: str, fp16: bool) -> str:
    """Why a bin is out of reach; empty if it is not."""
    if kind == "NaN":
        return "" if rounding == "exact" else "a NaN is not rounded"
    if kind == "zero":
        return "" if rounding == "exact" and distance == 0 else "only equal magnitudes make a zero"
    if kind == "subnormal":
        return _why_no_subnormal(distance, sign, rounding, fp16)
    if kind == "infinity":
        return _why_no_infinity(distance, sign, rounding, fp16)
    return _why_no_normal(distance, sign, rounding, fp16)


def _why_no_subnormal(distance: int, sign: str, rounding: str, fp16: bool) -> str:
    if fp16:
        return "no sum of products of binary16 is subnormal"
    if rounding != "exact":
        return "a subnormal sum is a multiple of the least subnormal, hence exact"
    near = distance == 0 or (distance == 1 and sign == "cancel")
    return "" if near else "the larger operand is normal and nothing cancels it"


def _why_no_infinity(distance: int, sign: str, rounding: str, fp16: bool) -> str:
    if rounding == "exact" and not (sign == "cancel" and distance == 0):
        return ""  # an infinite operand
    if sign == "cancel":
        return "infinity less infinity is NaN, and a difference does not overflow"
    if fp16:
        return "a product of binary16 is too small to carry a finite psum over"
    if distance == 0:
        return "" if rounding == "tie" else "one bit is lost: exact or a tie"
    if distance < 24 or (distance == 24 and rounding in ("tie", "above")):
        return ""
    return "the smaller operand is too small to carry the larger over"


def _why_no_normal(distance: int, sign: str, rounding: str, fp16: bool) -> str:
    if rounding == "exact":
        return ""
    if distance == 0:
        return "" if sign == "add" and rounding == "tie" else "at most one bit is lost, and none of a difference"
    if distance == 1 and sign == "cancel" and rounding != "tie":
        return "at most one bit is lost"
    if distance == 24 and sign == "add" and rounding == "below" and fp16:
        return "only a subnormal psum is below half a unit at this distance"
    if distance == 25 and sign == "add" and rounding != "below":
        return "what is added is below half a unit"
    if distance == 26 and rounding != ("below" if sign == "add" else "above"):
        return "what is added or taken away is below half a unit, even of the binade below"
    return ""
