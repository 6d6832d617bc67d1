# SPDX-License-Identifier: Apache-2.0
"""Netlists do what the Verilog does: memories of every width, products, a whole unit; the cells' models are right."""

import inspect
import random
import re
from typing import Any

import pytest
from amaranth import Module
from amaranth.lib.wiring import In, Out

from focus_rtl.gen.configuration import load
from focus_rtl.gen.emit import EmittedDesign, PortInfo, verilog_of
from focus_rtl.gen.flow.targets import TARGETS
from focus_rtl.gen.units import choose
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.bench.build import build
from focus_rtl.verif.bench.runner import SimulationError, run
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import Bench
from focus_rtl.verif.core import bad_data, checks
from focus_rtl.verif.flow.boards import ROWS
from focus_rtl.verif.flow.gates import checks_of, gate_level
from focus_rtl.verif.flow.models import models_of
from focus_rtl.verif.memory.test_ram import Rams

WIDTH = 20


class OneAddress(Unit):
    """A memory that is read where it could be written, and only while it is not: Yosys gives both one port of a block.

    write, read, address, data : In.  found : Out, what was read last; a write leaves it.
    """

    WORDS = 32

    def __init__(self) -> None:
        super().__init__({"write": In(1), "read": In(1), "address": In(5), "data": In(17), "found": Out(17)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ram = place(m, "ram", Ram(17, self.WORDS))
        m.d.comb += [ram.w_en.eq(self.write), ram.w_addr.eq(self.address), ram.w_data.eq(self.data),
                     ram.r_en.eq(self.read & ~self.write), ram.r_addr.eq(self.address), self.found.eq(ram.r_data)]
        return m


def _value(word: int) -> int:
    return word - (word >> (WIDTH - 1) << WIDTH)


@bench_test
async def multiplies(dut: Any) -> dict[str, Any]:
    bench, choice, compared = Bench(dut, seed()), random.Random(seed()), 0
    corners = [0, 1, 1 << 17, (1 << 17) - 1, 1 << 18, 1 << (WIDTH - 1), (1 << WIDTH) - 1]
    signed = config()["signed"] == "both"
    await bench.reset()
    for a, b in [(a, b) for a in corners for b in corners] + [
            (choice.getrandbits(WIDTH), choice.getrandbits(WIDTH)) for _ in range(300)]:
        bench.write("a", a)
        bench.write("b", b)
        for _ in range(2):
            await bench.edge()
        exact = _value(a) * _value(b) if signed else a * b
        assert bench.read("o") == exact % (1 << 2 * WIDTH), f"{a} * {b}"
        compared += 1
    return {"compared": compared}


@bench_test
async def reads_at_one_address(dut: Any) -> dict[str, Any]:
    bench, choice, held = Bench(dut, seed()), random.Random(seed()), 0
    for name in ("write", "read"):
        bench.write(name, 0)
    await bench.reset()
    contents = [choice.getrandbits(17) for _ in range(OneAddress.WORDS)]
    steps = [(1, 0, address) for address in range(OneAddress.WORDS)] + [(0, 1, 0)] + [
        (choice.getrandbits(1), choice.getrandbits(1), choice.randrange(OneAddress.WORDS)) for _ in range(300)]
    for number, (write, read, address) in enumerate(steps):
        if number >= OneAddress.WORDS and write:
            contents[address] = choice.getrandbits(17)
        for name, value in {"write": write, "read": read, "address": address, "data": contents[address]}.items():
            bench.write(name, value)
        await bench.edge()
        if read and not write:
            held = contents[address]
        if number >= OneAddress.WORDS:
            assert bench.read("found") == held, f"step {number}, address {address}"
    return {"compared": len(steps) - OneAddress.WORDS}


@pytest.mark.parametrize("target", ["ecp5-25k", "ice40-up5k"])
def test_a_memory_that_is_written_and_read_at_one_address(target: str, seed: int) -> None:
    chip = TARGETS[target]
    gates = gate_level(verilog_of(OneAddress(), "", "core"), chip)
    if chip.family.name == "ecp5":
        assert re.search(r"^    \.DOA0\(\\?found *\[0\]", gates.text, re.M), "not read through the port that writes"
    found = run(gates, build(gates, quick=True), __name__, testcase="reads_at_one_address", seed=seed)
    assert found["compared"] == 301


@pytest.mark.parametrize("target", ["ecp5-25k", "ice40-up5k"])
def test_memories_in_the_netlist_read_what_was_written(target: str, seed: int) -> None:
    chip = TARGETS[target]
    gates = gate_level(verilog_of(Rams(), "", "core"), chip)
    cell = {"ecp5": "DP16KD", "ice40": "SB_RAM40_4K"}[chip.family.name]
    assert gates.text.count(f"\n  {cell} #(") >= 2
    found = run(gates, build(gates, quick=True), "focus_rtl.verif.memory.test_ram", testcase="reads_what_was_written",
                seed=seed)
    assert found["compared"] > 500


@pytest.mark.parametrize(("target", "signed"), [("ecp5-25k", "none"), ("ecp5-25k", "both"), ("ice40-up5k", "both")])
def test_products_in_the_netlist_are_exact(target: str, signed: str, seed: int) -> None:
    chip = TARGETS[target]
    unit = choose("integer_product", [f"a_bits={WIDTH}", f"b_bits={WIDTH}", "depth=1", f"signed={signed}"]).make()
    gates = gate_level(verilog_of(unit, "", "core"), chip)
    cell = {"ecp5": "MULT18X18D", "ice40": "SB_MAC16"}[chip.family.name]
    assert gates.text.count(f"\n  {cell} #(") + gates.text.count(f"\n  {cell} ") >= 4
    found = run(gates, build(gates, quick=True), __name__, testcase="multiplies", seed=seed,
                config={"signed": signed})
    assert found["compared"] == 49 + 300


@pytest.mark.parametrize(("target", "cells"), [
    ("ecp5-25k", ("LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD", "MULT18X18D", "PFUMX", "L6MUX21")),
    ("ice40-hx8k", ("SB_LUT4", "SB_CARRY", "SB_DFF", "SB_DFFE", "SB_DFFESR", "SB_RAM40_4K", "SB_MAC16"))])
def test_every_model_is_there(target: str, cells: tuple[str, ...]) -> None:
    text = models_of(TARGETS[target].family)
    for cell in cells:
        assert len(re.findall(rf"^\s*module {cell}\b", text, re.M)) == 1
    assert "specify" not in text


@bench_test
async def goes_on(dut: Any) -> dict[str, Any]:
    bench = Bench(dut, seed())
    bench.write("odd", 0)
    await bench.reset()
    await bench.edge()
    bench.write("odd", config()["odd"])
    for _ in range(3):
        await bench.edge()
    return {"compared": 1}


CELLS = {
    "DP16KD": ".CLKA(clk), .CLKB(clk), .WEB(odd), .DOB0(q), "
              + ", ".join(f".{pin}(1'b0)" for pin in
                          ("RSTA", "RSTB", *(f"CS{port}{bit}" for port in "AB" for bit in "012"))),
    "MULT18X18D": ".A0(odd), .P0(q)",
}


@pytest.mark.parametrize(("cell", "parameter", "odd", "ends"), [
    ("DP16KD", '.REGMODE_B("NOREG")', 0, False), ("DP16KD", '.REGMODE_B("NOREG")', 1, True),
    ("DP16KD", '.REGMODE_B("OUTREG")', 0, True), ("DP16KD", '.WRITEMODE_A("WRITETHROUGH")', 0, True),
    ("MULT18X18D", '.REG_OUTPUT_CLK("NONE")', 1, False), ("MULT18X18D", '.REG_OUTPUT_CLK("CLK0")', 0, True)])
def test_what_a_model_does_not_do_ends_the_simulation(cell: str, parameter: str, odd: int, ends: bool,
                                                      seed: int) -> None:
    """Other parameters than the mapping's; of a memory also a write through the port that reads."""
    text = (f"module core(input clk, input rst, input odd, output q);\n  {cell} #({parameter}) it ({CELLS[cell]});\n"
            "endmodule\n")
    ports = [PortInfo("clk", 1, True), PortInfo("rst", 1, True), PortInfo("odd", 1, True), PortInfo("q", 1, False)]
    design = EmittedDesign("core", models_of(TARGETS["ecp5-25k"].family) + text, ["core"], {}, ports)
    built = build(design, quick=True)
    if not ends:
        assert run(design, built, __name__, testcase="goes_on", seed=seed, config={"odd": odd})["compared"] == 1
        return
    with pytest.raises(SimulationError, match=r"core\.it: used in a way that has no model"):
        run(design, built, __name__, testcase="goes_on", seed=seed, config={"odd": odd})


def test_with_every_change_a_core_of_each_family_is_simulated() -> None:
    assert {TARGETS[row.target].family.name for row in ROWS.values() if row.ci} == {"ecp5", "ice40"}


def test_a_netlist_is_checked_for_all_that_the_verilog_is() -> None:
    every = {each for module in (checks, bad_data) for each in vars(module).values()
             if inspect.isfunction(each) and each.__module__ == module.__name__
             and list(inspect.signature(each).parameters) == ["device", "seed"]}
    assert len(every) > 10 and set(checks_of(load("ecp5-25k").parameters)) == every
    assert every - set(checks_of(load("ecp5-85k-fp16").parameters)) == {bad_data.bad_scales}, "only int8 has scales"
