# SPDX-License-Identifier: Apache-2.0
"""gen/functions.py and gen/registers.py: logic in functions gives the bits of Amaranth's own simulator.

Random modules first, then the PE itself, at every depth and of every data type that is written so.
"""

import random
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from numpy.typing import NDArray

from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.gen.functions import FunctionError, in_functions
from focus_rtl.gen.registers import clocked
from focus_rtl.hdl.array.pe import Pe, operand_bits
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.bench.scoreboard import Mismatch
from focus_rtl.verif.numeric import native
from focus_rtl.verif.numeric.harness import Harness, Lane
from focus_rtl.verif.numeric.native import Native

WIDTHS = {"a": 7, "b": 12, "c": 5, "d": 1}
"""Ports of a random unit; its output is 24 bits wide."""


class Random(Unit):
    """Random logic of the four inputs, with `depth` registers: operators, `If`, `Switch`, parts, signed numbers."""

    in_functions = True

    def __init__(self, number: int, depth: int) -> None:
        self.number, self.depth = number, depth
        super().__init__({name: In(width) for name, width in WIDTHS.items()} | {"o": Out(24)}, number=number,
                         depth=depth)

    def elaborate(self, platform: object) -> Module:
        """Stages of random values, each of those before it."""
        m, choice = Module(), random.Random(self.number)
        values: list[Value] = [getattr(self, name) for name in WIDTHS]
        for stage in range(self.depth + 1):
            for _ in range(8):
                values.append(self._value(m, choice, values, f"s{stage}"))
            if stage < self.depth:
                values = [self._register(m, choice, values, value, stage) for value in choice.sample(values, 5)]
        for bit in range(24):
            value = choice.choice(values)
            m.d.comb += self.o[bit].eq(value[choice.randrange(len(value))])
        return m

    def _register(self, m: Module, choice: random.Random, values: list[Value], value: Value, stage: int) -> Signal:
        register = Signal(value.shape(), name=f"held{stage}", reset_less=True)
        kind = choice.randrange(3)
        if kind == 0:
            m.d.sync += register.eq(value)
        elif kind == 1:
            with m.If(choice.choice(values)[0]):
                m.d.sync += register.eq(value)
        else:
            with m.Switch(Cat(choice.choice(values)[0], choice.choice(values)[-1])):
                with m.Case(1):
                    m.d.sync += register[len(register) // 2:].eq(value)
                with m.Case(2, 3):
                    m.d.sync += register.eq(~value)
        return register

    def _value(self, m: Module, choice: random.Random, values: list[Value], name: str) -> Signal:
        x, y, z = (choice.choice(values) for _ in range(3))
        kind = choice.randrange(14)
        if kind < 12:
            value = [
                lambda: x + y, lambda: x - y, lambda: x * y, lambda: Cat(x, y), lambda: x ^ ~y,
                lambda: Mux(x.bool(), y, z), lambda: x.as_signed() * y.as_signed(), lambda: x.as_signed() + y,
                lambda: (x >> y[:3]), lambda: x.as_signed() >> y[:3], lambda: Cat(x < y, x == z, x.as_signed() < 0),
                lambda: Cat(x.any(), y.all(), z.xor(), x[len(x) // 2:]),
            ][kind]()[:18]
            result = Signal(value.shape(), name=name)
            m.d.comb += result.eq(value)
            return result
        result = Signal(10, name=name, init=choice.randrange(1 << 10))
        if kind == 12:
            with m.If(x[0]):
                m.d.comb += result.eq(y)
            with m.Elif(z.any()):
                m.d.comb += result[3:7].eq(x)
        else:
            with m.Switch(Cat(x, y, z)[:3]):
                with m.Case("0-1"):
                    m.d.comb += result.eq(x + z)
                with m.Case(2, 6):
                    m.d.comb += result[:4].eq(y)
                with m.Default(), m.If(z[-1]):
                    m.d.comb += result[2:].eq(z)
        return result


class Whole(Unit):
    """A PE with its outputs side by side on `o`, those of the element and the weight added up."""

    def __init__(self, depth: int, dtype: str) -> None:
        self.depth, self.dtype = depth, dtype
        bits = operand_bits(dtype)
        super().__init__({"x": In(bits), "w": In(bits), "swap": In(1), "shift": In(1), "psum": In(32),
                          "o": Out(32 + bits + 2)}, depth=depth, dtype=dtype)

    def elaborate(self, platform: object) -> Module:
        """The PE, all its outputs in sight."""
        m = Module()
        pe = place(m, "pe", Pe(self.depth, self.dtype))
        m.d.comb += [
            pe.x_i.eq(self.x), pe.w_i.eq(self.w), pe.swap_i.eq(self.swap), pe.shift_i.eq(self.shift),
            pe.psum_i.eq(self.psum),
            self.o.eq(Cat(pe.psum_o, (pe.x_o + pe.w_o)[:len(self.x)], pe.swap_o, pe.shift_o)),
        ]
        return m


OPERANDS = {**WIDTHS, "x": 19, "w": 19, "swap": 1, "shift": 1, "psum": 32}
CYCLES = 250


def units(seed: int) -> dict[str, Callable[[], Unit]]:
    """Random units behind 0 to 2 registers, and PEs whose logic is in functions."""
    found: dict[str, Callable[[], Unit]] = {f"r{n}": partial(Random, seed * 8 + n, n % 3) for n in range(5)}
    return found | {f"{dtype}_{depth}": partial(Whole, depth, dtype)
                    for dtype, depth in (("fp16", 1), ("fp16", 2), ("fp16", 4), ("bf16", 2))}


def stimulus(seed: int) -> dict[str, NDArray[np.uint64]]:
    """Random bits; half of the psums near the products, so that sums cancel and round."""
    rng = np.random.default_rng(seed)
    drawn = {name: rng.integers(0, 1 << width, CYCLES, np.uint64) for name, width in OPERANDS.items()}
    near = rng.integers(100 << 23, 140 << 23, CYCLES, np.uint64) | drawn["swap"] << np.uint64(31)
    drawn["psum"] = np.where(rng.random(CYCLES) < 0.5, near, drawn["psum"])
    return drawn


def simulated(unit: Unit, inputs: dict[str, NDArray[np.uint64]]) -> list[int]:
    """What Amaranth's own simulator makes of the unit, after one cycle of zeros."""
    seen: list[int] = []
    ports = [name for name in inputs if hasattr(unit, name)]
    steps = [[int(inputs[name][cycle]) & (1 << len(getattr(unit, name))) - 1 for name in ports]
             for cycle in range(CYCLES)]

    async def bench(ctx: Any) -> None:
        await ctx.tick()
        for step in steps:
            for name, value in zip(ports, step, strict=True):
                ctx.set(getattr(unit, name), value)
            seen.append(ctx.get(unit.o))
            await ctx.tick()
    top = Module()
    top.submodules.unit = unit
    top.d.sync += Signal(name="clocked").eq(1)
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def kept_inside(design: EmittedDesign) -> EmittedDesign:
    """The design with the functions where every tool but Verilator finds them: in their modules."""
    assert "`ifdef VERILATOR" in design.text
    return replace(design, text=re.sub(r"^`(ifn?def) VERILATOR$", r"`\1 NOWHERE", design.text, flags=re.MULTILINE))


def test_functions_give_the_bits_of_the_unit(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, made = stimulus(seed), units(seed)
    expected = {name: simulated(make(), inputs) for name, make in made.items()}
    assert all(len(set(values)) > 10 for name, values in expected.items() if "_" in name)
    placings: dict[str, Callable[[EmittedDesign], EmittedDesign]] = {"outside": lambda d: d, "inside": kept_inside}
    for where, placing in placings.items():
        monkeypatch.setattr(native, "verilog_of", lambda unit, placing=placing: placing(verilog_of(unit)))
        lanes = [Lane(name, make, {port: port for port in OPERANDS if hasattr(make(), port)})
                 for name, make in made.items()]
        with Native(Harness(lanes, OPERANDS)) as model:
            for name, values in inputs.items():
                model.inputs[name][:CYCLES, 0] = values
            model.start(CYCLES)
            results = model.finish()
            for name, values in expected.items():
                wrong = np.flatnonzero(results[name][:, 0] != np.array(values, np.uint64))
                if wrong.size:
                    raise Mismatch(f"{name}, functions {where}, seed {seed}: first wrong in cycle {wrong[0]}")


def test_random_units_are_written_as_functions(seed: int) -> None:
    for depth in range(3):
        text = verilog_of(Random(seed, depth)).text
        assert "endfunction" in text and "always @*" not in text
        assert not re.search(r"^  assign .* [-+*&|^?<] ", text, re.MULTILINE), "logic outside of functions"


FIXED = "module m(a, o);\n  input a;\n  wire a;\n  output o;\n  wire o;\n{}endmodule\n"


@pytest.mark.parametrize(("body", "message"), [
    ("  wire x;\n  wire y;\n  assign x = y & a;\n  assign y = ~ x;\n  assign o = x;\n", "m: x depends on itself"),
    ("  initial o = a;\n", "m: neither logic, register nor instance: initial o = a;"),
    ("  wire step1;\n  assign step1 = ~ a;\n  assign o = ~ step1;\n", "m: a signal is called step1"),
])
def test_what_cannot_be_a_function_is_refused(body: str, message: str) -> None:
    with pytest.raises(FunctionError, match=message):
        in_functions(FIXED.format(body))


def test_wires_alone_are_left_alone() -> None:
    text = FIXED.format("  assign o = a;\n")
    assert in_functions(text) == text


def test_a_word_may_feed_itself_bit_by_bit() -> None:
    """A ripple of parts of one wire is no loop; every part is set before it is read."""
    text = in_functions(FIXED.format("  wire [2:0] x;\n  assign x[2] = ~ x[1];\n  assign x[0] = ~ a;\n"
                                     "  assign x[1] = ~ x[0];\n  assign o = x[2];\n"))
    assert re.findall(r"^ +(x\[\d\]) =", text, re.MULTILINE) == ["x[0]", "x[1]", "x[2]"]


REGISTER = """\
module m(a, clk, o);
  reg \\$start  = 0;
  reg \\$1 ;
  input a;
  input clk;
  output o;
  reg o = 1'h0;
  always @(posedge clk)
    o <= \\$1 ;
  always @* begin
    if (\\$start ) begin end
    \\$1  = o;
    if (a) begin
      \\$1  = 1'h1;
    end
  end
{}endmodule
"""


def test_a_register_is_one_block() -> None:
    assert clocked(REGISTER.format("")) == """\
module m(a, clk, o);
  input a;
  input clk;
  output o;
  reg o = 1'h0;
  always @(posedge clk) begin
    if (a) begin
      o <= 1'h1;
    end
  end
endmodule
"""


def test_a_next_value_that_is_used_elsewhere_stays() -> None:
    text = REGISTER.format("  assign next = \\$1 ;\n")
    assert clocked(text) == text
