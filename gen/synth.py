# SPDX-License-Identifier: Apache-2.0
"""A unit -> its area and speed on ECP5: Yosys, then nextpnr out of context, between registers; and in transistors.

A whole core, and a unit with pins on any target, go through `flow`.
"""

import hashlib
import json
import re
import statistics
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from amaranth import Module, Signal
from amaranth.lib.wiring import In, Out

from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.fpga import nextpnr_ecp5, run_tool, yosys
from focus_rtl.hdl.unit import Unit, place, ports_of

__all__ = ["DEVICE", "Registered", "Synthesis", "synthesise", "transistors"]

SIZE = "25k"
DEVICE = (f"--{SIZE}", "--package", "CABGA381", "--speed", "6", "--out-of-context", "--freq", "150",
          "--timing-allow-fail")
"""ECP5-25F in its slowest speed grade, no pins placed."""

TRANSISTORS = """read_verilog gates.v
blackbox {memories}
synth -flatten -noabc -top {top}
dfflegalize -cell $_DFF_P_ 01
delete t:$scopeinfo
abc -g cmos4
opt_clean
delete t:{memories}
tee -q -o gates.txt stat -tech cmos
"""
"""The one script of the estimate.  Into a file, because after `abc` YoWASP's Yosys 0.70 prints nothing more."""


@dataclass(frozen=True)
class Synthesis:
    """What a unit costs, between registers that are not counted.

    lut, ff, dsp : TRELLIS_COMB, TRELLIS_FF, MULT18X18D.  ram : DP16KD.
    fmax_mhz : median over the seeds after place and route.  seeds : every one's.
    transistors : estimate for static CMOS, after ABC, without memories.  sha256 : of the Verilog measured.
    """

    lut: int
    ff: int
    dsp: int
    ram: int
    fmax_mhz: float
    seeds: tuple[float, ...]
    transistors: int
    sha256: str


class Registered(Unit):
    """A unit between registers: at every input, and at every output where `both`; so each of its paths has two ends."""

    def __init__(self, inner: Unit, both: bool) -> None:
        self.inner, self.both = inner, both
        self._ports = ports_of(inner)
        super().__init__({port.name: (In if port.inward else Out)(len(port.value)) for port in self._ports},
                         of=inner.module_name, both=int(both))

    @property
    def registers(self) -> int:
        """Flip-flops that are not the unit's own."""
        return sum(len(port.value) for port in self._ports if port.inward or self.both)

    def elaborate(self, platform: object) -> Module:
        """Wire it up."""
        m = Module()
        place(m, "unit", self.inner)
        for port in self._ports:
            outside = getattr(self, port.name)
            source, sink = (outside, port.value) if port.inward else (port.value, outside)
            if port.inward or self.both:
                register = Signal(len(outside), name=f"{port.name}_register", reset_less=True)
                m.d.sync += register.eq(source)
                source = register
            m.d.comb += sink.eq(source)
        return m


def synthesise(make: Callable[[], Unit], seeds: Iterable[int], registered: bool,
               progress: Callable[[str], None] = lambda _step: None, size: str = SIZE,
               timeout: float | None = None) -> Synthesis:
    """Synthesise, place and route a unit.

    Parameters
    ----------
    make : a fresh unit at every call.
    seeds : of placement.
    registered : the unit ends in registers of its own; else its outputs get some for the measurement.
    progress : told what is being done.
    size : of the ECP5.
    timeout : seconds for each placement and routing.

    Raises
    ------
    ToolMissing : Yosys or nextpnr is not installed.  RuntimeError : one of them failed.  TimedOut : `timeout`.
    """
    tools, device = (yosys(), nextpnr_ecp5()), (f"--{size}", *DEVICE[1:])
    wrapped = Registered(make(), not registered)
    design = verilog_of(wrapped)
    with tempfile.TemporaryDirectory(prefix="focus-rtl-synth-") as kept:
        folder = Path(kept)
        (folder / "unit.v").write_text(design.text, encoding="utf-8")
        progress("synthesising")
        run_tool(tools[0], folder, "-q", "-p",
                 f"read_verilog unit.v; synth_ecp5 -noiopad -top {design.top} -json unit.json")
        found, cells = [], {}
        for seed in seeds:
            progress(f"placing and routing, seed {seed}")
            run_tool(tools[1], folder, *device, "--json", "unit.json", "--seed", str(seed), "--report", "report.json",
                     timeout=timeout)
            report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
            found.append(round(next(clock["achieved"] for clock in report["fmax"].values()), 1))
            cells = {name: entry["used"] for name, entry in report["utilization"].items()}
        progress("counting transistors")
        gates = transistors(make(), folder)
    return Synthesis(cells["TRELLIS_COMB"], cells["TRELLIS_FF"] - wrapped.registers, cells.get("MULT18X18D", 0),
                     cells.get("DP16KD", 0), statistics.median(found), tuple(found), gates,
                     hashlib.sha256(design.text.encode()).hexdigest())


def transistors(unit: Unit, folder: Path) -> int:
    """Yosys' estimate for static CMOS after ABC, by `TRANSISTORS`; a flip-flop counts as 16, a `Ram` as nothing."""
    design = verilog_of(unit)
    (folder / "gates.v").write_text(design.text, encoding="utf-8")
    statistics_file = folder / "gates.txt"
    statistics_file.unlink(missing_ok=True)
    run_tool(yosys(), folder, "-q", "-p", TRANSISTORS.format(top=design.top, memories="*ram_w*_d*"))
    said = statistics_file.read_text(encoding="utf-8") if statistics_file.exists() else ""
    found = re.findall(r"Estimated number of transistors:\s+(\d+)\s*$", said, re.MULTILINE)
    if not found:
        raise RuntimeError(f"Yosys gave no complete estimate for {design.top}")
    return int(found[-1])
