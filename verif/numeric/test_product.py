# SPDX-License-Identifier: Apache-2.0
"""Products by DSP slices, by rows of adders and serially: the same bits everywhere, and the serial contract."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.hdl import Fragment
from numpy.typing import NDArray

from focus_rtl.gen.emit import verilog_of
from focus_rtl.golden.numeric import elements, formats
from focus_rtl.hdl.numeric.compare import ProductGreater
from focus_rtl.hdl.numeric.integer import IntegerGreater, IntegerVerdict, integer_bits
from focus_rtl.hdl.numeric.integer_square import IntegerSquare
from focus_rtl.hdl.numeric.mac import Product
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.multiply32 import Multiply32
from focus_rtl.hdl.numeric.pipeline import NumericUnit, cuts
from focus_rtl.hdl.numeric.product import MULTIPLIERS, PARALLEL, IntegerProduct, multiplying
from focus_rtl.hdl.numeric.requantise import Requantise
from focus_rtl.verif.bench.scoreboard import Mismatch
from focus_rtl.verif.numeric.elements_bank import draw
from focus_rtl.verif.numeric.harness import Harness, Lane
from focus_rtl.verif.numeric.native import Native
from focus_rtl.verif.numeric.operands import corners, random_operands

Words = NDArray[np.uint64]
Made = tuple[Callable[[], NumericUnit], dict[str, str]]
"""How to make a unit, and port -> operand."""

SHAPES = ((2, 2), (3, 8), (8, 8), (11, 13), (24, 24), (42, 21), (40, 17))
"""Widths of the factors: the machine's, and odd ones."""

CYCLES = 12_000
SLOWEST = 9
"""Interval of the slowest serial unit: 24 bits."""


def beginnings(rng: np.random.Generator, cycles: int, interval: int) -> NDArray[np.int64]:
    """Cycles in which operands are there, as close to each other as allowed or a little further apart."""
    gaps = interval + rng.choice((0, 0, 0, 1, 2, 7), cycles // interval)
    starts = np.cumsum(gaps) - interval
    return starts[starts < cycles]


def run(lanes: dict[str, Made], widths: dict[str, int],
        operands: dict[str, NDArray[Any]], starts: NDArray[np.int64]) -> dict[str, Words]:
    """What every lane answers to operands that are new in every cycle; by lane, one word a cycle.

    Operands between the `starts` are there to be ignored by what is serial.
    """
    made = []
    for name, (make, takes) in lanes.items():
        start = {"start": "start"} if make().interval > 1 else {}
        made.append(Lane(name, make, takes | start))
    count = len(next(iter(operands.values())))
    with Native(Harness(made, widths | {"start": 1})) as model:
        for name, values in operands.items():
            model.inputs[name][:count, 0] = values
        model.inputs["start"][:count, 0] = 0
        model.inputs["start"][starts, 0] = 1
        model.start(count)
        results = model.finish()
        return {name: results[name][:, 0].astype(np.uint64) for name in lanes}


def check(lanes: dict[str, Made], got: dict[str, Words],
          want: Callable[[str], NDArray[Any]], starts: NDArray[np.int64], seed: int) -> int:
    """Compare each result in its one cycle; returns how many were."""
    compared = 0
    for name, (make, _) in lanes.items():
        unit, answers = make(), want(name).astype(np.uint64)
        at = starts if unit.interval > 1 else np.arange(len(answers))
        at = at[at + unit.latency < len(answers)]
        wrong = at[got[name][at + unit.latency] != answers[at]]
        if wrong.size:
            raise Mismatch(f"{name}: {wrong.size} of {len(at)} differ, the first in cycle {wrong[0]}: expected "
                           f"{answers[wrong[0]]:#x}, got {got[name][wrong[0] + unit.latency]:#x}; seed {seed}")
        compared += len(at)
    return compared


# --- products of whole numbers ---

def factors(rng: np.random.Generator, bits: int, count: int) -> NDArray[np.int64]:
    """Words of so many bits: any, few bits set, few bits clear, the ends."""
    any_, few = rng.integers(0, 1 << bits, count), 1 << rng.integers(0, bits, count)
    ends = rng.choice((0, 1, (1 << bits) - 1, 1 << bits - 1, (1 << bits - 1) - 1), count)
    return np.choose(rng.choice(4, count, p=(0.5, 0.1, 0.1, 0.3)), (any_, few, few ^ ((1 << bits) - 1), ends))


def exact(a: NDArray[np.int64], b: NDArray[np.int64], shape: tuple[int, int], signed: str) -> Words:
    """The product modulo 2**(bits of both), which two's complement does not change."""
    bits = sum(shape)
    x = np.where((signed != "none") & (a >> shape[0] - 1 == 1), a - (1 << shape[0]), a)
    y = np.where((signed == "both") & (b >> shape[1] - 1 == 1), b - (1 << shape[1]), b)
    return x.astype(np.uint64) * y.astype(np.uint64) & np.uint64((1 << bits) - 1)


def products() -> tuple[dict[str, Made], dict[str, int]]:
    """Every kind for every shape and sign, called <kind>_<signed>_<shape>, and the widths of their operands."""
    lanes: dict[str, Made] = {}
    widths: dict[str, int] = {}
    for number, shape in enumerate(SHAPES):
        ports = {port: f"{port}{number}" for port in "ab"}
        widths |= zip(ports.values(), shape, strict=True)
        for kind in MULTIPLIERS:
            for signed in ("none", "a") if kind == "serial" else ("none", "a", "both"):
                lanes[f"{kind}_{signed}_{number}"] = (partial(IntegerProduct, number % 4, *shape, signed, kind), ports)
    return lanes, widths


def test_every_kind_is_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lanes, widths = products()
    operands = {name: factors(rng, bits, CYCLES) for name, bits in widths.items()}
    starts = beginnings(rng, CYCLES, SLOWEST)

    def want(name: str) -> Words:
        _, signed, number = name.split("_")
        return exact(operands[f"a{number}"], operands[f"b{number}"], SHAPES[int(number)], signed)
    compared = check(lanes, run(lanes, widths, operands, starts), want, starts, seed)
    assert compared > len(SHAPES) * (6 * (CYCLES - 4) + 2 * CYCLES // 12)


# --- the serial contract ---

def test_latency_and_interval_are_as_stated() -> None:
    for kind in PARALLEL:
        unit = IntegerProduct(2, 24, 24, multiplier=kind)
        assert (unit.interval, unit.latency) == (1, 2)
    for bits, cycles in ((2, 2), (3, 2), (4, 3), (17, 7), (21, 8), (24, 9)):
        unit = IntegerProduct(1, 24, bits, multiplier="serial")
        assert (unit.interval, unit.latency) == (cycles, cycles + 1)
    # Two one after another: the slower sets the interval, both count for the latency.
    verdict = IntegerVerdict(2, 64, "serial")
    assert (verdict.interval, verdict.latency) == (8, 2 + 8 + 7)


def test_a_product_begun_too_early_or_read_in_another_cycle_is_wrong() -> None:
    """All bits set, and a first factor of its own each time: every partial sum differs from every product."""
    lanes, widths = products()
    name = f"serial_none_{SHAPES.index((24, 24))}"
    unit, each = lanes[name][0](), 30
    distances = {step: 600 * place + 20 + step * np.arange(each) for place, step in enumerate(
        (unit.interval - 1, unit.interval, unit.interval + 1))}
    a, b = ((1 << 24) - 1 - np.arange(2000)).astype(np.int64), np.full(2000, (1 << 24) - 1)
    operands = dict.fromkeys(widths, np.zeros(2000, np.int64)) | dict(zip(lanes[name][1].values(), (a, b), strict=True))
    got = run(lanes, widths, operands, np.concatenate(list(distances.values())))[name]
    right = {}
    for step, starts in distances.items():
        wanted = exact(a, b, (24, 24), "none")[starts]
        right[step - unit.interval] = [int(np.count_nonzero(got[starts + unit.latency + late] == wanted))
                                       for late in (-1, 0, 1)]
    # Of those that begin too early only the last is whole, because nothing follows it.
    assert right == {-1: [0, 1, 0], 0: [0, each, 0], 1: [0, each, 0]}


# --- every unit that multiplies ---

Q_BITS, N_BITS = integer_bits(64)
WIDTHS = {"a": 32, "b": 32, "c": 32, "d": 32, "e": 16, "f": 16, "i": 8, "j": 8, "x": 32, "s": 32, "h": 32,
          "q": Q_BITS, "n": N_BITS, "r": Q_BITS, "l": N_BITS, "t": 17}

UNITS: dict[str, tuple[Callable[..., NumericUnit], dict[str, str], tuple[str, ...]]] = {
    "multiply_fp16": (partial(Multiply, dtype="fp16"), {"a": "e", "b": "f"}, PARALLEL),
    "multiply_bf16": (partial(Multiply, dtype="bf16"), {"a": "e", "b": "f"}, PARALLEL),
    "multiply_int8": (partial(Multiply, dtype="int8"), {"a": "i", "b": "j"}, PARALLEL),
    "multiply32": (Multiply32, {"a": "a", "b": "b"}, MULTIPLIERS),
    "greater": (ProductGreater, {port: port for port in "abcd"}, MULTIPLIERS),
    "requantise": (Requantise, {"a": "x", "b": "s"}, PARALLEL),
    "integer_greater": (IntegerGreater, {"a": "q", "b": "n", "c": "r", "d": "l"}, MULTIPLIERS),
    "integer_verdict": (IntegerVerdict, {"a": "q", "b": "n", "c": "l", "d": "t"}, MULTIPLIERS),
    "integer_square": (IntegerSquare, {"a": "h"}, MULTIPLIERS),
}
"""How to make each, port -> operand, and its kinds."""


def operands_of_all(rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Those of `elements_bank`, of the comparison, and dots to be squared."""
    plain, rest = corners(rng) + random_operands(rng, CYCLES), draw(rng, CYCLES)
    h = rng.integers(-(64 << 14), (64 << 14) + 1, len(plain)) >> rng.integers(0, 20, len(plain))
    h[:2] = (64 << 14, -(64 << 14))
    return {name: getattr(plain, name) for name in "abcdef"} | {name: rest[name] for name in "ijxqrnlt"} | {
        "s": rest["b"], "h": h.astype(np.int32).view(np.uint32)}


def golden(o: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What each unit has to answer."""
    h = o["h"].view(np.int32).astype(np.int64)
    with np.errstate(all="ignore"):
        return {
            "multiply_fp16": formats.multiply(o["e"], o["f"]), "multiply_bf16": elements.multiply_bf16(o["e"], o["f"]),
            "multiply_int8": elements.multiply_int8(o["i"], o["j"]), "multiply32": formats.multiply32(o["a"], o["b"]),
            "greater": formats.product_greater(o["a"], o["b"], o["c"], o["d"]),
            "requantise": elements.requantise(o["x"], o["s"]),
            "integer_greater": elements.integer_greater(o["q"], o["n"], o["r"], o["l"]),
            "integer_verdict": elements.integer_match(o["q"], o["n"], o["l"], o["t"]),
            "integer_square": h * np.abs(h) & (1 << Q_BITS) - 1,
        }


def test_every_unit_that_multiplies_equals_golden(seed: int) -> None:
    rng = np.random.default_rng(seed)
    operands = operands_of_all(rng)
    lanes = {f"{name}_{kind}_{depth}": (partial(make, depth=depth, multiplier=kind), takes)
             for name, (make, takes, kinds) in UNITS.items() for kind in kinds if kind != "dsp"
             for depth in ((0, 2) if kind == "serial" else (3,))}
    count = len(operands["a"])
    starts = beginnings(rng, count, SLOWEST)
    answers = golden(operands)
    got = run(lanes, WIDTHS, operands, starts)
    compared = check(lanes, got, lambda name: answers[name.rsplit("_", 2)[0]], starts, seed)
    serial = sum(make().interval > 1 for make, _ in lanes.values())
    assert serial == 10 and compared > (len(lanes) - serial) * (count - 10) + serial * count // 12
    assert 0.1 < float(np.mean(answers["greater"][starts])) < 0.9


def test_no_tool_finds_a_multiplication_but_in_dsp() -> None:
    for wanted in (("dsp",), ("lut", "serial")):
        lanes = [Lane(f"{name}_{kind}", partial(make, depth=1, multiplier=kind), {})
                 for name, (make, _, kinds) in UNITS.items() for kind in kinds if kind in wanted]
        modules = verilog_of(Harness(lanes, {"nothing": 1})).text.split("endmodule")
        with_product = [text for text in modules if " * " in text]
        assert len(with_product) == (len(UNITS) if wanted == ("dsp",) else 0)


# --- what is refused ---

def test_parameters_are_checked() -> None:
    for refuse, legal in ((lambda: Product(0, "serial"), "dsp, lut"), (lambda: Multiply(0, "fp16", "slow"), "dsp, lut"),
                          (lambda: Multiply32(0, "slow"), "dsp, lut, serial"),
                          (lambda: Requantise(0, "serial"), "dsp, lut"),
                          (lambda: IntegerProduct(multiplier=""), "dsp, lut, serial")):
        with pytest.raises(ValueError, match=f"multiplier = .*: must be one of {legal}$"):
            refuse()
    with pytest.raises(ValueError, match="a_bits = 1: must be between 2 and 64"):
        IntegerProduct(0, 1)
    with pytest.raises(ValueError, match="signed = 'b': must be one of none, a, both"):
        IntegerProduct(0, 8, 8, "b")
    with pytest.raises(ValueError, match="a serial product takes no signed factor b; must be one of none, a"):
        IntegerProduct(0, 8, 8, "both", "serial")


def test_a_factor_of_another_width_than_announced_is_refused() -> None:
    (stage,) = multiplying("dsp", 1, 7, o=("a", "b"))
    with pytest.raises(ValueError, match="o: a factor of 8 bits where 7 were announced"):
        stage.step(fragment := Module(), SimpleNamespace(a=Signal(8), b=Signal(8)))
    Fragment.get(fragment, None)


def test_registers_stand_beside_what_has_its_own() -> None:
    assert cuts([4, 0, 6, 6, 7], 2) == [0, 0, 1, 0, 1]
    assert cuts([4, 0, 6, 6, 7], 2, [1]) == [0, 0, 0, 1, 1]
