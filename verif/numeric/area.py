# SPDX-License-Identifier: Apache-2.0
"""Area and speed of the arithmetic: each unit alone on ECP5, out of context, between registers, and in transistors.

    python -m focus_rtl.verif.numeric.area                      # the whole table, some minutes
    python -m focus_rtl.verif.numeric.area pe_fp16 --seeds 1    # one unit, quickly
    python -m focus_rtl.verif.numeric.area --json figures.json
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from amaranth import Module
from amaranth.lib.wiring import In, Out

from focus_rtl.gen.fpga import nextpnr_ecp5, yosys
from focus_rtl.gen.synth import DEVICE, synthesise
from focus_rtl.hdl.array.pe import Pe
from focus_rtl.hdl.numeric.accumulate import Accumulate
from focus_rtl.hdl.numeric.add import Add
from focus_rtl.hdl.numeric.compare import ProductGreater
from focus_rtl.hdl.numeric.integer import IntegerGreater, IntegerVerdict
from focus_rtl.hdl.numeric.mac import AddProduct, Product
from focus_rtl.hdl.numeric.mean import Reciprocal
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.multiply32 import Multiply32
from focus_rtl.hdl.numeric.narrow import Narrow
from focus_rtl.hdl.numeric.recode import Recode
from focus_rtl.hdl.numeric.requantise import IntToFloat, Requantise
from focus_rtl.hdl.numeric.widen import Widen
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.bench.toolchain import ToolMissing
from focus_rtl.verif.numeric.harness import Harness, Lane
from focus_rtl.verif.numeric.native import Native

__all__ = ["UNITS", "Figures", "measure"]

CYCLES = 200_000
"""Simulated per measurement of speed."""

UNITS: dict[str, tuple[Callable[[int], Unit], tuple[int, ...]]] = {
    "pe_fp16": (lambda depth: Pe(depth, "fp16"), (1, 2, 3, 4)),
    "pe_fp16_lut": (lambda depth: Pe(depth, "fp16", "lut"), (4,)),
    "pe_bf16": (lambda depth: Pe(depth, "bf16"), (1, 2, 3, 4)),
    "pe_int8": (lambda depth: Pe(depth, "int8"), (1, 2)),
    "recode": (Recode, (0,)),
    "product_fp16": (Product, (1,)),
    "add_product": (AddProduct, (3, 4)),
    "multiply_fp16": (Multiply, (1,)),
    "multiply_bf16": (lambda depth: Multiply(depth, "bf16"), (3,)),
    "multiply_int8": (lambda depth: Multiply(depth, "int8"), (1,)),
    "add": (Add, (2, 4)),
    "accumulate_int8": (lambda depth: Accumulate(depth, "int8"), (1,)),
    "widen_fp16": (Widen, (1,)),
    "narrow_fp16": (Narrow, (1, 2)),
    "narrow_bf16": (lambda depth: Narrow(depth, "bf16"), (1,)),
    "int_to_float": (IntToFloat, (2,)),
    "multiply32": (Multiply32, (2, 4)),
    "requantise": (Requantise, (4, 8)),
    "product_greater": (ProductGreater, (2, 4)),
    "integer_greater": (IntegerGreater, (2,)),
    "integer_verdict": (IntegerVerdict, (3,)),
    "reciprocal_256": (lambda depth: Reciprocal(depth, 256), (1,)),
}
"""How to make each unit of some depth, and the depths that are measured."""


@dataclass(frozen=True)
class Figures:
    """What a unit costs: LUT, FF (its own), DSP slices, median and every seed's Fmax, transistors (a multiplier of
    gates and the registers included), simulated cycles per second of one instance, SHA-256 of the Verilog measured.
    """

    unit: str
    depth: int
    lut: int
    ff: int
    dsp: int
    fmax_mhz: float
    seeds: tuple[float, ...]
    transistors: int
    cycles_per_s: int
    sha256: str


def cycles_per_second(make: Callable[[], Unit], rng: np.random.Generator) -> int:
    """Best of five runs of the compiled model on random operands; 0 for a unit that has more than `o`."""
    unit = make()
    members = {path[0]: member for path, member, _ in unit.signature.flatten(unit)}
    inputs = {name: len(getattr(unit, name)) for name, member in members.items() if member.flow == In}
    if "o" not in members:
        return 0
    with Native(Harness([Lane("o", make, {name: name for name in inputs})], inputs)) as model:
        count = min(CYCLES, model.capacity)
        for name, width in inputs.items():
            model.inputs[name][:count, 0] = rng.integers(0, 1 << width, count)
        best = float("inf")
        for _ in range(5):
            begin = time.perf_counter()
            model.start(count)
            model.finish()
            best = min(best, time.perf_counter() - begin)
    return round(count / best)


class _PeAsFunction(Unit):
    """A PE with its psum output called `o`, as the harness wants it."""

    def __init__(self, pe: Pe) -> None:
        self.pe = pe
        width = len(pe.x_i)
        super().__init__({"x_i": In(width), "w_i": In(width), "swap_i": In(1), "shift_i": In(1), "psum_i": In(32),
                          "o": Out(32)}, of=pe.module_name)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pe = place(m, "pe", self.pe)
        for name in ("x_i", "w_i", "swap_i", "shift_i", "psum_i"):
            m.d.comb += getattr(pe, name).eq(getattr(self, name))
        m.d.comb += self.o.eq(pe.psum_o)
        return m


def measure(name: str, depth: int, seeds: range, speed: bool = True) -> Figures:
    """All figures of a unit at a depth."""
    make = UNITS[name][0]
    found = synthesise(lambda: make(depth), seeds, depth != 0)

    def alone() -> Unit:
        unit = make(depth)
        return _PeAsFunction(unit) if isinstance(unit, Pe) else unit

    cycles = cycles_per_second(alone, np.random.default_rng(1)) if speed else 0
    return Figures(name, depth, found.lut, found.ff, found.dsp, found.fmax_mhz, found.seeds, found.transistors, cycles,
                   found.sha256)


def _rows(names: list[str], seeds: range) -> Iterator[Figures]:
    for name in names:
        for depth in UNITS[name][1]:
            row = measure(name, depth, seeds)
            print(f"| {row.unit} | {row.depth} | {row.lut} | {row.ff} | {row.dsp} | {row.fmax_mhz:.0f} | "
                  f"{row.transistors:,} | {row.cycles_per_s / 1e6:.1f} M |", flush=True)
            yield row


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.numeric.area",
                                     description="area and speed of the arithmetic")
    parser.add_argument("units", nargs="*", metavar="unit", help=f"of {', '.join(UNITS)}; else all")
    parser.add_argument("--seeds", type=int, default=5, help="of placement, 1 .. n; Fmax is their median (default: 5)")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.units) - set(UNITS))
    if unknown:
        parser.error(f"no unit {', '.join(unknown)}; there are {', '.join(UNITS)}")
    if chosen.seeds < 1:
        parser.error("--seeds is at least 1")
    try:
        tools = {"yosys": yosys().version, "nextpnr-ecp5": nextpnr_ecp5().version}
    except ToolMissing as missing:
        print(missing)
        return 1
    versions = ", ".join(f"{name} {version}" for name, version in tools.items())
    print(f"ECP5-25F, speed grade 6, {versions}, median of {chosen.seeds} seeds")
    print("| unit | depth | LUT | FF | DSP | Fmax, MHz | transistors | simulated cycles/s |\n" + "|---" * 8 + "|")
    rows = list(_rows(chosen.units or list(UNITS), range(1, chosen.seeds + 1)))
    if chosen.json:
        document = {"tools": tools, "device": " ".join(DEVICE), "figures": [asdict(row) for row in rows]}
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
