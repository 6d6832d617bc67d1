# SPDX-License-Identifier: Apache-2.0
"""Netlists do what the Verilog does: memories of every width, products, a whole unit; the cells' models are right."""

import random
import re
from typing import Any

import pytest

from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.flow.targets import TARGETS
from focus_rtl.gen.units import choose
from focus_rtl.verif.bench.build import build
from focus_rtl.verif.bench.runner import run
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import Bench
from focus_rtl.verif.flow.gates import CASES, gate_level
from focus_rtl.verif.flow.models import models_of
from focus_rtl.verif.memory.test_ram import Rams

WIDTH = 20


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


def test_a_core_of_each_family_is_simulated() -> None:
    assert {TARGETS[target].family.name for _, _, target in CASES.values()} == {"ecp5", "ice40"}
