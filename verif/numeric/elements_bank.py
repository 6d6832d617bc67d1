# SPDX-License-Identifier: Apache-2.0
"""Every numeric unit of every element format, at every depth: operands that hurt, golden answers, named events."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.numeric import elements, formats
from focus_rtl.hdl.numeric.accumulate import Accumulate
from focus_rtl.hdl.numeric.integer import IntegerGreater, IntegerVerdict, integer_bits
from focus_rtl.hdl.numeric.mean import Mean
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.narrow import Narrow
from focus_rtl.hdl.numeric.pipeline import NumericUnit
from focus_rtl.hdl.numeric.requantise import IntToFloat, Requantise
from focus_rtl.hdl.numeric.widen import Widen
from focus_rtl.verif.numeric.harness import Harness, Lane
from focus_rtl.verif.numeric.operands import corners, random_operands

__all__ = ["DEPTHS", "LARGEST", "OPERANDS", "UNITS", "Sets", "draw", "events", "golden", "harness"]

Sets = dict[str, NDArray[Any]]

LARGEST = 4096
"""Highest count of a mean."""
Q_BITS, N_BITS = integer_bits(64)

OPERANDS = {"a": 32, "b": 32, "e": 16, "f": 16, "i": 8, "j": 8, "x": 32, "y": 32, "inverse": 32,
            "q": Q_BITS, "n": N_BITS, "r": Q_BITS, "l": N_BITS, "t": 17}
"""a, b : binary32.  e, f : fp16 or bf16.  i, j : int8.  x, y : int32.  inverse : the reciprocal of a count.
q, r, n, l, t : of the integer comparisons."""

UNITS: dict[str, tuple[Callable[..., NumericUnit], dict[str, str]]] = {
    "widen_fp16": (Widen, {"a": "e"}),
    "widen_bf16": (lambda depth: Widen(depth, "bf16"), {"a": "e"}),
    "narrow_bf16": (lambda depth: Narrow(depth, "bf16"), {"a": "a"}),
    "multiply_bf16": (lambda depth: Multiply(depth, "bf16"), {"a": "e", "b": "f"}),
    "multiply_int8": (lambda depth: Multiply(depth, "int8"), {"a": "i", "b": "j"}),
    "accumulate_fp": (lambda depth: Accumulate(depth, "bf16"), {"a": "a", "b": "b"}),
    "accumulate_int8": (lambda depth: Accumulate(depth, "int8"), {"a": "x", "b": "y"}),
    "int_to_float": (IntToFloat, {"a": "x"}),
    "requantise": (Requantise, {"a": "x", "b": "b"}),
    "integer_greater": (IntegerGreater, {"a": "q", "b": "n", "c": "r", "d": "l"}),
    "integer_verdict": (IntegerVerdict, {"a": "q", "b": "n", "c": "l", "d": "t"}),
    "mean_fp16": (lambda depth: Mean(depth, "fp16"), {"a": "a", "b": "inverse"}),
    "mean_bf16": (lambda depth: Mean(depth, "bf16"), {"a": "a", "b": "inverse"}),
    "mean_int8": (lambda depth: Mean(depth, "int8"), {"a": "x", "b": "inverse"}),
}
"""How to make each unit, and port -> operand."""

DEPTHS = {name: (0, 1, 2, 3, 4, 6, 8) if name.startswith(("mean", "requantise")) else (0, 1, 2, 3, 4) for name in UNITS}


def harness() -> Harness:
    """All of them, results called `<unit>_<depth>`."""
    lanes = []
    for name, (make, takes) in UNITS.items():
        for depth in DEPTHS[name]:
            lanes.append(Lane(f"{name}_{depth}", partial(make, depth=depth), takes))
    return Harness(lanes, OPERANDS)


def draw(rng: np.random.Generator, count: int) -> Sets:
    """All pairs of special values, then `count` random sets."""
    base = corners(rng) + random_operands(rng, count)
    size = len(base)
    a, b, e, f = base.a, base.b, base.e.copy(), base.f.copy()
    pick = rng.random(size) < 0.4  # exponents whose product straddles the ends of binary32
    low = rng.random(size) < 0.5
    exponent = rng.integers(1, 254, size)
    other = np.clip(np.where(low, 127, 381) - exponent + rng.integers(-26, 8, size), 0, 254)
    e = np.where(pick, e & 0x807F | exponent << 7, e).astype(np.uint16)
    f = np.where(pick, f & 0x807F | other << 7, f).astype(np.uint16)
    x, y = (_integers(rng, size) for _ in range(2))
    near = rng.random(size) < 0.6  # scales that bring the accumulator to -300 .. 300, halves included
    half = rng.integers(-600, 601, size) / 2.0
    with np.errstate(all="ignore"):
        scale = (half / np.where(x == 0, 1, x)).astype(np.float32)
    power = rng.random(size) < 0.3  # exact halves
    x = np.where(power, (2 * rng.integers(-140, 140, size) + 1) << rng.integers(0, 12, size), x)
    with np.errstate(all="ignore"):
        scale = np.where(power, np.float32(0.5) / (x & -x).astype(np.float32), scale).astype(np.float32)
    b = np.where(near | power, scale.view(np.uint32), b)
    i, j = rng.integers(0, 256, (2, size))
    i[::97] = j[::97] = 128
    sets: Sets = {"a": a, "b": b, "e": e, "f": f, "i": i, "j": j,
                  "x": x.astype(np.int32).view(np.uint32), "y": y.astype(np.int32).view(np.uint32),
                  "inverse": elements.reciprocal(_counts(rng, size))}
    return sets | _comparisons(rng, size)


def _counts(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Counts of a group of every magnitude, the ends often."""
    return np.clip(rng.integers(1, 2 * LARGEST, size) >> rng.integers(0, 13, size), 1, LARGEST)


def _integers(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """int32 of every magnitude, its ends, and runs of ones that round up a binade."""
    magnitude = rng.integers(0, 1 << 31, size) >> rng.integers(0, 31, size)
    run = (np.int64(1) << rng.integers(0, 32, size)) - rng.integers(0, 3, size)
    value = np.choose(rng.integers(0, 4, size), [magnitude, run, rng.choice([0, 1, 2**31 - 1, 2**31, 2**24 + 1], size),
                                                 magnitude | 0x7F])
    return np.clip(np.where(rng.random(size) < 0.5, value, -value), -(1 << 31), (1 << 31) - 1)


def _comparisons(rng: np.random.Generator, size: int) -> Sets:
    """q * n against r * l: anything, equal by other factors, one apart; and verdicts around the threshold."""
    largest = 64 << 14
    n, other = (rng.integers(1, largest + 1, size) >> rng.integers(0, 20, size) | 1 for _ in range(2))
    d = rng.integers(-largest, largest + 1, size) >> rng.integers(0, 20, size)
    q = d * np.abs(d)
    kind = rng.integers(0, 4, size)
    step = rng.integers(-1, 2, size)
    factor = rng.integers(1, 1 << 10, size)
    r = np.choose(kind, [rng.permutation(q), q, q // factor * factor // factor + step, -q])
    n, other = np.minimum(n, largest), np.where(kind == 1, n, np.minimum(other, largest))
    equal = rng.random(size) < 0.2  # q * n == r * l with q != r
    base = rng.integers(-(1 << 20), 1 << 20, size)
    q, r = np.where(equal, base * 6, q), np.where(equal, base * 10, r)
    n, other = np.where(equal, factor * 5, n), np.where(equal, factor * 3, other)
    t = np.where(rng.random(size) < 0.2, rng.choice([0, 1, 65535, 65536], size), rng.integers(0, 65537, size))
    close = rng.random(size) < 0.3  # q at the threshold or one beside it
    q = np.where(close & ~equal, (t * n * other >> 16) + step, q)
    return {"q": q, "n": n, "r": r, "l": other, "t": t}


def golden(s: Sets) -> dict[str, NDArray[Any]]:
    """What each unit has to answer."""
    inverse = s["inverse"]
    mean16, mean_b = (elements.ELEMENTS[name].narrow(formats.multiply32(s["a"], inverse)) for name in ("fp16", "bf16"))
    return {
        "widen_fp16": formats.widen(s["e"]), "widen_bf16": elements.widen_bf16(s["e"]),
        "narrow_bf16": elements.narrow_bf16(s["a"]), "multiply_bf16": elements.multiply_bf16(s["e"], s["f"]),
        "multiply_int8": elements.multiply_int8(s["i"], s["j"]), "accumulate_fp": formats.add32(s["a"], s["b"]),
        "accumulate_int8": elements.add_int32(s["x"], s["y"]), "int_to_float": elements.int_to_float(s["x"]),
        "requantise": elements.requantise(s["x"], s["b"]),
        "integer_greater": elements.integer_greater(s["q"], s["n"], s["r"], s["l"]),
        "integer_verdict": elements.integer_match(s["q"], s["n"], s["l"], s["t"]),
        "mean_fp16": mean16, "mean_bf16": mean_b,
        "mean_int8": elements.requantise(s["x"], inverse),
    }


def events(s: Sets) -> dict[str, NDArray[np.bool_]]:
    """Named cases, each to be met at least once; decided on the golden side."""
    with np.errstate(all="ignore"):
        return _float_events(s) | _integer_events(s)


def _float_events(s: Sets) -> dict[str, NDArray[np.bool_]]:
    e, f = elements.widen_bf16(s["e"]), elements.widen_bf16(s["f"])
    product = elements.multiply_bf16(s["e"], s["f"])
    magnitude, finite = product & np.uint32(0x7FFFFFFF), ((e | f) & 0x7F800000 != 0x7F800000)
    exact = formats.to_float32(e).astype(np.float64) * formats.to_float32(f).astype(np.float64)
    subnormal = (magnitude < 0x00800000) & (magnitude > 0)
    rounded = formats.to_float32(product).astype(np.float64) != exact
    tail = s["a"] & 0xFFFF
    small = (e & 0x7FFFFFFF < 0x00800000) & (e & 0x7FFFFFFF > 0)
    return {
        "multiply_bf16: subnormal out, exact": subnormal & ~rounded,
        "multiply_bf16: subnormal out, rounded": subnormal & rounded,
        "multiply_bf16: overflow": (magnitude == 0x7F800000) & finite,
        "multiply_bf16: underflow to zero": (magnitude == 0) & (exact != 0),
        "multiply_bf16: subnormal in, normal out": small & (magnitude >= 0x00800000) & (magnitude < 0x7F800000),
        "multiply_bf16: NaN": magnitude > 0x7F800000,
        "narrow_bf16: tie, down": (tail == 0x8000) & (s["a"] & 0x10000 == 0),
        "narrow_bf16: tie, up": (tail == 0x8000) & (s["a"] & 0x10000 != 0),
        "narrow_bf16: overflow": (elements.narrow_bf16(s["a"]) & 0x7FFF == 0x7F80)
        & (s["a"] & 0x7F800000 != 0x7F800000),
        "narrow_bf16: NaN with payload in the low half": (s["a"] & 0x7FFFFFFF > 0x7F800000) & (s["a"] & 0x7F0000 == 0),
        "widen_fp16: subnormal": (s["e"] & 0x7C00 == 0) & (s["e"] & 0x3FF != 0),
        "widen: NaN": (s["e"] & 0x7C00 == 0x7C00) & (s["e"] & 0x3FF != 0),
        "mean: count of 1": s["inverse"] == 0x3F800000, "mean: largest count": s["inverse"] == 0x39800000,
        "mean: no power of two": s["inverse"] & 0x7FFFFF != 0,
    }


def _integer_events(s: Sets) -> dict[str, NDArray[np.bool_]]:
    x, y = s["x"].view(np.int32).astype(np.int64), s["y"].view(np.int32).astype(np.int64)
    scaled = formats.to_float32(formats.multiply32(elements.int_to_float(s["x"]), s["b"]))
    single = formats.to_float32(elements.int_to_float(s["x"])).astype(np.float64)
    left, right = s["q"] * s["n"], s["r"] * s["l"]
    least, scaled_q = s["t"] * s["n"] * s["l"], s["q"] * 65536
    return {
        "multiply_int8: -128 * -128": (s["i"] == 128) & (s["j"] == 128),
        "accumulate_int8: wraps up": x + y > 2**31 - 1, "accumulate_int8: wraps down": x + y < -(2**31),
        "int_to_float: least": x == -(2**31), "int_to_float: zero": x == 0, "int_to_float: rounded": single != x,
        "int_to_float: rounds into the next binade": np.abs(single) > np.abs(x),
        "requantise: tie to even": (np.abs(scaled) % 1 == 0.5) & (np.abs(scaled) < 127),
        "requantise: 127.5 is clipped": scaled == 127.5, "requantise: -128.5 rounds to -128": scaled == -128.5,
        "requantise: clipped above": (scaled > 200) & (scaled < np.inf), "requantise: clipped below": scaled < -200,
        "requantise: infinity": np.isinf(scaled), "requantise: NaN": np.isnan(scaled),
        "requantise: half rounds to 0": scaled == 0.5, "requantise: negative tie": scaled == -1.5,
        "integer_greater: yes": left > right, "integer_greater: no": left < right,
        "integer_greater: equal, other factors": (left == right) & (s["q"] != s["r"]) & (left != 0),
        "integer_greater: one apart": np.abs(left - right) == 1,
        "integer_greater: both below zero": (left < 0) & (right < 0),
        "integer_verdict: yes": scaled_q > least, "integer_verdict: equal": (scaled_q == least) & (least > 0),
        "integer_verdict: threshold 1": s["t"] == 65536, "integer_verdict: below zero": s["q"] < 0,
    }
