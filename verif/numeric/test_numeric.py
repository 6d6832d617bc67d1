# SPDX-License-Identifier: Apache-2.0
"""The numeric units at every depth against the golden formats, bit by bit, in one simulation of the bank."""

import os
from typing import Any

import numpy as np
import pytest
from cocotb.triggers import Timer
from numpy.typing import NDArray

from focus_rtl.golden.numeric import formats
from focus_rtl.hdl.numeric.pipeline import cuts
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import Bench
from focus_rtl.verif.numeric.bank import DEPTHS, TAKES, UNITS, WIDTHS, Bank
from focus_rtl.verif.numeric.operands import SPECIAL32, Operands, corners, random_operands

Bits = NDArray[np.uint32]
RANDOM_SETS = 8000


def test_depth_is_checked() -> None:
    for unit in UNITS.values():
        for wrong in (-1, 5):
            with pytest.raises(ValueError, match=rf"depth = {wrong}: must be between 0 and 4"):
                unit(depth=wrong)
        for wrong_type in (1.0, True, "1"):
            with pytest.raises(TypeError, match="must be an integer between 0 and 4"):
                unit(depth=wrong_type)


def test_latency_is_depth_and_in_the_name() -> None:
    for unit in UNITS.values():
        assert [unit(depth=depth).latency for depth in DEPTHS] == list(DEPTHS)
        assert len({unit(depth=depth).module_name for depth in DEPTHS}) == len(DEPTHS)


def test_cuts_balance_the_stages() -> None:
    assert cuts([5, 1, 1, 5], 0) == [0, 0, 0, 0]
    assert cuts([5, 1, 1, 5], 1) == [0, 0, 0, 1]
    assert cuts([5, 1, 1, 5], 2) == [0, 1, 0, 1]
    assert cuts([5, 1, 1, 5], 3) == [1, 0, 1, 1]
    assert cuts([1, 1], 4) == [1, 3]


def test_bank_equals_golden() -> None:
    given = os.environ.get("FOCUS_RTL_SEED")
    result = simulate(Bank(), __name__, testcase="equals_golden", config={"random_sets": RANDOM_SETS},
                      seed=int(given) if given else None)
    found = result["tests"]["equals_golden"]
    print(f"seed {result['seed']}:", found["events"])
    assert found["compared"] == (len(SPECIAL32) ** 2 + RANDOM_SETS) * 5 * 5
    missing = [name for name, count in found["events"].items() if count == 0]
    assert not missing, f"the operands of seed {result['seed']} never made {', '.join(missing)}"
    assert len(found["events"]) == 39


@bench_test
async def equals_golden(dut: Any) -> dict[str, Any]:
    """New operands every cycle; a unit's result of depth d is expected exactly d cycles later."""
    rng = np.random.default_rng(seed())
    operands = corners(rng) + random_operands(rng, config()["random_sets"])
    sampled = await stream(dut, operands)
    compared = 0
    for name, expected in golden(operands).items():
        for depth in DEPTHS:
            got = sampled[name, depth][depth:depth + len(operands)]
            compared += compare(name, depth, operands, expected, got)
    return {"compared": compared, "events": {name: int(which.sum()) for name, which in events(operands).items()}}


async def stream(dut: Any, operands: Operands) -> dict[tuple[str, int], Bits]:
    """One set per cycle, then enough cycles to see the last leave; every result as sampled before each rising edge."""
    bench, half = Bench(dut, seed()), Timer(5, "ns")
    clock, inward, outward = bench.port("clk"), bench.port("operands"), bench.port("results")
    words = []
    for word in [*operands.packed(), *[0] * max(DEPTHS)]:
        clock.write(0)
        inward.write(word)
        await half
        words.append(outward.read())
        clock.write(1)
        await half
    return unpack(words)


def unpack(words: list[int]) -> dict[tuple[str, int], Bits]:
    """Samples of `results` -> samples of each unit and depth."""
    sampled, low = {}, 0
    for name in UNITS:
        mask = (1 << WIDTHS[name]) - 1
        for depth in DEPTHS:
            sampled[name, depth] = np.array([word >> low & mask for word in words], np.uint32)
            low += WIDTHS[name]
    return sampled


def golden(o: Operands) -> dict[str, Bits]:
    """What each unit has to answer."""
    results: dict[str, Any] = {
        "add": formats.add32(o.a, o.b), "multiply32": formats.multiply32(o.a, o.b),
        "multiply": formats.multiply(o.e, o.f), "narrow": formats.narrow(o.a),
        "greater": formats.product_greater(o.a, o.b, o.c, o.d)}
    return {name: bits.astype(np.uint32) for name, bits in results.items()}


def compare(name: str, depth: int, operands: Operands, expected: Bits, got: Bits) -> int:
    """Number of words compared; raises on the first difference."""
    wrong = np.flatnonzero(expected != got)
    if wrong.size:
        first, digits = int(wrong[0]), -(-WIDTHS[name] // 4)
        inputs = ", ".join(f"{port} = {getattr(operands, port)[first]:#x}" for port in TAKES[name])
        raise AssertionError(
            f"{name} at depth {depth}: {wrong.size} of {len(expected)} differ; the first is set {first}, {inputs}: "
            f"expected {expected[first]:#0{digits + 2}x}, got {got[first]:#0{digits + 2}x}; "
            f"replay with FOCUS_RTL_SEED={seed()}")
    return len(expected)


# --- what the operands were about, counted on the golden side ---


def magnitude(bits: Bits) -> Bits:
    return bits & np.uint32(0x7FFFFFFF)


def is_nan(bits: Bits) -> NDArray[np.bool_]:
    return np.asarray(magnitude(bits) > 0x7F800000)


def is_infinite(bits: Bits) -> NDArray[np.bool_]:
    return np.asarray(magnitude(bits) == 0x7F800000)


def is_zero(bits: Bits) -> NDArray[np.bool_]:
    return np.asarray(magnitude(bits) == 0)


def is_subnormal(bits: Bits) -> NDArray[np.bool_]:
    return (magnitude(bits) < 0x00800000) & ~is_zero(bits)


def is_finite(bits: Bits) -> NDArray[np.bool_]:
    return np.asarray(magnitude(bits) < 0x7F800000)


def is_tie(exact: NDArray[np.float64], kept: int) -> NDArray[np.bool_]:
    """Whether a normal number, exact in binary64, lies half way between two of `kept` fraction bits."""
    rest = exact.view(np.uint64) & np.uint64((1 << 52 - kept) - 1)
    return np.asarray(rest == np.uint64(1 << 51 - kept))


def events(o: Operands) -> dict[str, NDArray[np.bool_]]:
    with np.errstate(all="ignore"):
        return add_events(o) | multiply_events(o) | narrow_events(o) | greater_events(o)


def add_events(o: Operands) -> dict[str, NDArray[np.bool_]]:
    a, b, total = o.a, o.b, formats.add32(o.a, o.b)
    x, y = (formats.to_float32(bits).astype(np.float64) for bits in (a, b))
    exact = (x + y - x == y) & (x + y - y == x)  # the binary64 sum lost nothing
    opposite, normal = (a ^ b) >> np.uint32(31) == 1, is_finite(total) & (magnitude(total) >= 0x00800000)
    normals = ~is_subnormal(a) & ~is_subnormal(b) & ~is_zero(a) & ~is_zero(b)
    distance = np.abs((magnitude(a) >> np.uint32(23)).astype(int) - (magnitude(b) >> np.uint32(23)).astype(int))
    tie = exact & normal & is_tie(x + y, 23)
    return {
        "add: NaN in": is_nan(a) | is_nan(b),
        "add: infinity minus infinity": is_infinite(a) & is_infinite(b) & opposite,
        "add: infinity plus finite": is_infinite(a) & is_finite(b),
        "add: subnormal in": is_subnormal(a) | is_subnormal(b),
        "add: subnormal out of normals": is_subnormal(total) & normals,
        "add: subnormals make a normal": is_subnormal(a) & is_subnormal(b) & normal,
        "add: x + -x": (total == 0) & opposite & ~is_zero(a),
        "add: -0 + -0": (a == 0x80000000) & (b == 0x80000000),
        "add: -0 + +0": (a == 0x80000000) & (b == 0),
        "add: overflow": is_infinite(total) & is_finite(a) & is_finite(b),
        "add: tie to even, down": tie & (np.abs(x + y) > np.abs(formats.to_float32(total))),
        "add: tie to even, up": tie & (np.abs(x + y) < np.abs(formats.to_float32(total))),
        "add: massive cancellation": opposite & normal & (distance <= 1) & (np.abs(x + y) < np.abs(x) * 2.0 ** -20),
        "add: sticky only": opposite & (distance > 26) & normal & ~is_zero(b) & ~is_zero(a),
    }


def multiply_events(o: Operands) -> dict[str, NDArray[np.bool_]]:
    a, b, product = o.a, o.b, formats.multiply32(o.a, o.b)
    e, f = formats.widen(o.e), formats.widen(o.f)
    small_e, small_f = (((bits & 0x7FFF) < 0x0400) & (bits & 0x7FFF != 0) for bits in (o.e, o.f))
    exact = formats.to_float32(a).astype(np.float64) * formats.to_float32(b).astype(np.float64)
    normal, nonzero = is_finite(product) & (magnitude(product) >= 0x00800000), ~is_zero(a) & ~is_zero(b)
    return {
        "multiply32: NaN in": is_nan(a) | is_nan(b),
        "multiply32: infinity times zero": is_infinite(a) & is_zero(b) | is_infinite(b) & is_zero(a),
        "multiply32: subnormal in, normal out": (is_subnormal(a) | is_subnormal(b)) & normal,
        "multiply32: subnormal out": is_subnormal(product),
        "multiply32: underflow to zero": is_zero(product) & nonzero,
        "multiply32: both subnormal": is_subnormal(a) & is_subnormal(b),
        "multiply32: overflow": is_infinite(product) & is_finite(a) & is_finite(b),
        "multiply32: tie": is_tie(exact, 23) & normal,
        "multiply: NaN in": is_nan(e) | is_nan(f),
        "multiply: infinity times zero": is_infinite(e) & is_zero(f) | is_infinite(f) & is_zero(e),
        "multiply: one subnormal": small_e ^ small_f,
        "multiply: both subnormal": small_e & small_f,
    }


def narrow_events(o: Operands) -> dict[str, NDArray[np.bool_]]:
    a, result = o.a, formats.narrow(o.a).astype(np.uint32) & np.uint32(0x7FFF)
    exact = formats.to_float32(a).astype(np.float64)
    return {
        "narrow: NaN with payload": is_nan(a) & (a != formats.NAN32),
        "narrow: overflow": (result == 0x7C00) & is_finite(a),
        "narrow: subnormal out": (result < 0x0400) & (result != 0),
        "narrow: underflow to zero": (result == 0) & ~is_zero(a),
        "narrow: tie": is_tie(exact, 10) & (result >= 0x0400) & (result < 0x7C00),
    }


def greater_events(o: Operands) -> dict[str, NDArray[np.bool_]]:
    a, b, c, d = (formats.to_float32(bits).astype(np.float64) for bits in (o.a, o.b, o.c, o.d))
    left, right, finite = a * b, c * d, is_finite(o.a) & is_finite(o.b) & is_finite(o.c) & is_finite(o.d)
    rounded = formats.multiply32(o.a, o.b) == formats.multiply32(o.c, o.d)
    small = is_subnormal(o.a) | is_subnormal(o.b) | is_subnormal(o.c) | is_subnormal(o.d)
    return {
        "greater: yes": left > right,
        "greater: no": left < right,
        "greater: equal, other factors": finite & (left == right) & (left != 0) & (a != c) & (a != d),
        "greater: equal only when rounded": finite & rounded & (left > right) & (np.abs(left) > 2.0 ** -126),
        "greater: both below zero": finite & (left < 0) & (left > right),
        "greater: infinity": np.isinf(left) & ~np.isnan(right),
        "greater: NaN": np.isnan(left) | np.isnan(right),
        "greater: subnormal operand decides": finite & small & (left > right) & (left != 0) & (right != 0),
    }
