# SPDX-License-Identifier: Apache-2.0
"""A unit -> its area and speed on ECP5: Yosys, then nextpnr out of context, between registers; and in transistors.

A whole core, and a unit with pins on any target, go through `flow`.
"""

import hashlib
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from amaranth import Module, Signal
from amaranth.lib.wiring import In, Out

from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.files import scratch
from focus_rtl.gen.flow.netlist import run_synthesis, transistors_of
from focus_rtl.gen.flow.route import fmax_of, out_of_context, run_nextpnr, used_of
from focus_rtl.gen.flow.targets import ECP5
from focus_rtl.hdl.unit import Unit, place, ports_of

__all__ = ["DEVICE", "Registered", "Synthesis", "synthesise", "transistors"]

SIZE = "25k"
PACKAGE, MHZ = "CABGA381", 150
DEVICE = out_of_context(SIZE, PACKAGE, MHZ)
"""ECP5-25F in its slowest speed grade, no pins placed."""

@dataclass(frozen=True)
class Synthesis:
    """What a unit costs, between registers that are not counted.

    lut, ff, dsp : TRELLIS_COMB, TRELLIS_FF, MULT18X18D.  ram : DP16KD.
    fmax_mhz : median over the seeds after place and route.  seeds : every one's.
    transistors : estimate for static CMOS, module by module, without memories.  sha256 : of the Verilog measured.
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
    device, wrapped = out_of_context(size, PACKAGE, MHZ), Registered(make(), not registered)
    design = verilog_of(wrapped)
    with scratch("synth") as folder:
        progress("synthesising")
        run_synthesis(ECP5, {"unit.v": design.text}, design.top, folder, f"{ECP5.bare} -json unit.json")
        found, cells = [], {}
        for seed in seeds:
            progress(f"placing and routing, seed {seed}")
            report = run_nextpnr(ECP5, device, folder, "unit.json", seed, timeout)
            found.append(fmax_of(report))
            cells = used_of(ECP5, report)
        progress("counting transistors")
        gates = transistors(make())
    return Synthesis(cells["lut"], cells["ff"] - wrapped.registers, cells.get("dsp", 0), cells.get("ram", 0),
                     statistics.median(found), tuple(found), gates, hashlib.sha256(design.text.encode()).hexdigest())


def transistors(unit: Unit) -> int:
    """Transistors of a unit's logic, by `flow.netlist.transistors_of`; raises as that does."""
    design = verilog_of(unit)
    with scratch("gates") as folder:
        return transistors_of(design, folder)[design.top]
