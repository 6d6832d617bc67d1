# SPDX-License-Identifier: Apache-2.0
"""The same array without Verilator: in Amaranth's own simulator, bit for bit, and through Yosys."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator, TickTrigger

from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.fpga import run_tool, yosys
from focus_rtl.golden.numeric.dtypes import DTYPES
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.array.systolic import Systolic
from focus_rtl.verif.array.test_systolic import Work, random_work
from focus_rtl.verif.golden.cases import make_params

SHAPES = {"fp16": {"rows": 2, "cols": 1, "vector": 4, "pe_depth": 2}, "bf16": {"rows": 1, "cols": 2, "vector": 2},
          "int8": {"rows": 2, "cols": 2, "vector": 4}}
"""Small: this simulator takes a millisecond a cycle."""


def parameters(dtype: str) -> Parameters:
    return make_params(dtype=dtype, m_tile=8, **SHAPES[dtype])


def simulated(p: Parameters, work: Work, rng: np.random.Generator) -> list[int]:
    """The psums that Amaranth's simulator gives, both inputs pausing at random; `last` is the highest bit."""
    array, came = Systolic(p), []

    async def feed(context: Any, port: Any, words: list[int]) -> None:
        for word in words:
            while rng.random() < 0.2:
                await context.tick()
            context.set(port.payload.as_value(), word)
            context.set(port.valid, 1)
            await context.tick().until(port.ready)
            context.set(port.valid, 0)

    async def vectors(context: Any) -> None:
        await feed(context, array.vectors, work.vectors)

    async def weights(context: Any) -> None:
        await feed(context, array.weights, work.weights)

    async def psums(context: Any) -> None:
        tick: TickTrigger = context.tick().sample(array.psums.valid, array.psums.payload.as_value())
        quiet = 0
        while quiet < 200:
            _, _, valid, word = await tick
            quiet = 0 if valid else quiet + 1
            came.extend([word] * valid)

    simulator = Simulator(array)
    simulator.add_clock(1e-6)
    for bench in (vectors, weights, psums):
        simulator.add_testbench(bench)
    simulator.run()
    return came


@pytest.mark.parametrize("dtype", DTYPES)
def test_equals_the_model_in_amaranths_simulator(dtype: str, seed: int) -> None:
    p, rng = parameters(dtype), np.random.default_rng(seed)
    work = random_work(p, rng, 4, True)
    assert len(work.psums) > p.m_tile
    assert simulated(p, work, rng) == work.psums


@pytest.mark.parametrize("dtype", ["fp16", "int8"])
def test_passes_synthesis(dtype: str, tmp_path: Path) -> None:
    """No latch, no loop, nothing undriven; and one multiplier for each PE."""
    p = parameters(dtype)
    design = verilog_of(Systolic(p))
    (tmp_path / "array.v").write_text(design.text, encoding="utf-8")
    run_tool(yosys(), tmp_path, "-q", "-p", f"read_verilog array.v; synth_ecp5 -top {design.top} -noiopad; "
             "check -assert; tee -q -o cells.json stat -json")
    cells = json.loads((tmp_path / "cells.json").read_text(encoding="utf-8"))["design"]["num_cells_by_type"]
    assert cells["MULT18X18D"] == p.rows * p.cols
    assert cells["TRELLIS_FF"] > 0 and not [cell for cell in cells if "LATCH" in cell.upper()]
