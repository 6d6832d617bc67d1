# SPDX-License-Identifier: Apache-2.0
"""Area of units and of the whole core, module by module: transistors through ABC, ECP5 cells, and Fmax.

The hierarchy stays: each distinct module is synthesised once and counted as often as it is placed, so the largest core
takes a minute.  Nothing is optimised across a module's border; that is the same for all that are compared here.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.gen.flow.cells import read_cells, total
from focus_rtl.gen.flow.netlist import run_synthesis, transistors_of
from focus_rtl.gen.flow.route import fmax_of, out_of_context, run_nextpnr
from focus_rtl.gen.flow.targets import COLUMNS, ECP5
from focus_rtl.gen.memories import block_modules, memory_rows, total_bits
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.core import Core
from focus_rtl.hdl.sic.gather import Gather
from focus_rtl.hdl.sic.layouter import Layouter
from focus_rtl.hdl.sic.matcher import Matcher
from focus_rtl.hdl.sic.psum_store import PsumStore
from focus_rtl.hdl.sic.scatter import Scatter
from focus_rtl.hdl.sic.scatter_lane import ScatterLane
from focus_rtl.hdl.unit import Unit

__all__ = ["BITS_PER_PE", "ROUTED", "UNITS", "Area", "Share", "area_of", "share_of", "transistors"]

UNITS: dict[str, type[Unit]] = {"layouter": Layouter, "matcher": Matcher, "gather": Gather, "scatter": Scatter}
"""Units of the concentrator by name; each takes the `Parameters`."""

FOCUS = ("gather", "map_buffer", "scatter", "sec", "positions")
DENSE = ("array", "input_buffer", "weight_fifo", "output_buffer", "assembler", "output_stage")
"""Blocks of the core that concentration adds, and those it adds them to; control and its orders are in neither."""

BITS_PER_PE = 6540
"""Bits of SRAM that take the area of an fp16 PE, as the budget has it."""

ROUTED = 5_000
"""LUTs up to which a unit is placed and routed: beyond, that takes longer than anything else here, and a core's speed
is what `focus-rtl synth` says of the core.
"""

DEVICE = out_of_context("85k", "CABGA756", 100)


@dataclass(frozen=True)
class Area:
    """A unit out of context.

    transistors : of its logic, in static CMOS, memories left out.  bits : of its memories.
    lut, ff, dsp, ram : on ECP5, memories inferred.  fmax_mhz : between registers, one seed; None beyond `ROUTED` LUTs.
    """

    transistors: int
    bits: int
    lut: int
    ff: int
    dsp: int
    ram: int
    fmax_mhz: float | None


@dataclass(frozen=True)
class Share:
    """What concentration adds to a core, in transistors of logic.

    focus : gather, map buffer, scatter but for its first lane, and as `sec` the semantic concentrator and what decodes
    its offsets, by block.  dense : first lane,
    array, buffers.  pe : one PE.  dense_bits : of the buffers and accumulators.  psum_bits : of the psum store, which a
    machine without scatter may do without.  focus_bits : of gather, map buffer and semantic concentrator.
    """

    focus: dict[str, int]
    dense: dict[str, int]
    pe: int
    dense_bits: int
    psum_bits: int
    focus_bits: int

    def _memory(self, bits: int) -> float:
        return bits * self.pe / BITS_PER_PE

    def ratio(self, psums: bool = True, memories: bool = False) -> float:
        """Focus over array, accumulator and buffers.

        psums : the psum store is one of the buffers.  memories : those of Focus count as well.
        """
        base = sum(self.dense.values()) + self._memory(self.dense_bits + (self.psum_bits if psums else 0))
        extra = self._memory(self.focus_bits) if memories else 0
        return (sum(self.focus.values()) + extra) / base


def transistors(design: EmittedDesign) -> dict[str, int]:
    """Module -> transistors of its logic and all below it; the design's memories are black boxes and count nothing.

    Raises
    ------
    ToolMissing, RuntimeError : no Yosys, or it failed.
    """
    with tempfile.TemporaryDirectory(prefix="focus-rtl-area-") as folder:
        return transistors_of(design, Path(folder))


def _ecp5(design: EmittedDesign, folder: Path) -> dict[str, int]:
    """LUTs, registers, multipliers and block memories of a design whose memories are inferred."""
    run_synthesis(ECP5, {"unit.v": design.text}, design.top, folder, f" -noflatten{ECP5.bare} -json unit.json",
                  after=f"delete t:$scopeinfo\ntee -q -o cells.json stat -json -top {design.top}")
    cells = read_cells(folder / "cells.json")
    return {column: total(cells, design.top, partial(ECP5.cells_of, column)) for column in COLUMNS}


def area_of(unit: type[Unit], params: Parameters, seed: int = 1, routed: int = ROUTED) -> Area:
    """Area and speed of a unit; `seed` of placement, `routed`: LUTs up to which it is placed at all."""
    logic = verilog_of(unit(replace(params, memories="macros")))
    design = verilog_of(unit(replace(params, memories="inferred")))
    with tempfile.TemporaryDirectory(prefix="focus-rtl-area-") as name:
        folder = Path(name)
        cells = _ecp5(design, folder)
        fmax = fmax_of(run_nextpnr(ECP5, DEVICE, folder, "unit.json", seed)) if cells["lut"] <= routed else None
    return Area(transistors(logic)[logic.top], _bits(logic), **cells, fmax_mhz=fmax)


def _bits(design: EmittedDesign) -> int:
    return total_bits(memory_rows(design))


def share_of(params: Parameters) -> Share:
    """Synthesise the whole core, and set what concentration adds against the dense machine."""
    params = replace(params, memories="macros")
    design = verilog_of(Core(params))
    modules, area, bits = block_modules(design), transistors(design), Counter[str]()
    for row in memory_rows(design):
        bits[row.block] += row.total
    lane = area[ScatterLane(params).module_name]
    focus = {name: area[modules[name]] for name in FOCUS}
    focus["scatter"] -= lane
    focus["sec"] += focus.pop("positions")
    dense = {name: area[modules[name]] for name in DENSE if name in modules}
    psums = _bits(verilog_of(PsumStore(params)))
    pe = area[_only(area, "pe_d")]
    return Share(focus, {**dense, "lane": lane}, pe, bits["scatter"] - psums + sum(bits[name] for name in DENSE), psums,
                 sum(bits[name] for name in FOCUS) - bits["scatter"])


def _only(area: dict[str, int], start: str) -> str:
    """The one module whose name starts so."""
    (found,) = (name for name in area if name.startswith(start))
    return found
