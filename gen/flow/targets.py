# SPDX-License-Identifier: Apache-2.0
"""The FPGAs that a design can be synthesised for: what they hold, how tools name it, how a clock is said to them."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.fpga import nextpnr_ecp5, nextpnr_ice40
from focus_rtl.verif.bench.toolchain import Tool

__all__ = ["COLUMNS", "ECP5", "FAMILIES", "ICE40", "TARGETS", "Clock", "Family", "Target", "target_named"]

COLUMNS = ("lut", "ff", "dsp", "ram")
"""What is counted: look-up tables of four inputs, flip-flops, multipliers, RAM blocks."""


@dataclass(frozen=True)
class Clock:
    """The one description of the clock, from which the constraints of every family are written."""

    port: str
    mhz: float


@dataclass(frozen=True)
class Family:
    """What is common to the FPGAs of a family.

    synth : Yosys' command, without the top.  place : finds nextpnr.
    cost : column -> cell -> how many of it the cell takes; a flip-flop cell of a name that begins so counts one.
    flip_flops : how the names of flip-flop cells begin.  used : column -> name in nextpnr's report.
    option, suffix, line : nextpnr's option for a file of constraints, its suffix, and the line that says a clock.
    bare : Yosys' option that leaves out pads.
    """

    name: str
    synth: str
    place: Callable[[], Tool]
    cost: Mapping[str, Mapping[str, int]]
    flip_flops: str
    used: Mapping[str, str]
    option: str
    suffix: str
    line: str
    bare: str = ""

    def constraints(self, clock: Clock) -> str:
        """The text of the constraints file."""
        return self.line.format(port=clock.port, mhz=clock.mhz) + "\n"

    def cells_of(self, column: str, cell: str) -> int:
        """How many of `column` a cell of that type takes."""
        if column == "ff" and cell.startswith(self.flip_flops):
            return 1
        return self.cost.get(column, {}).get(cell, 0)


@dataclass(frozen=True)
class Target:
    """An FPGA: its capacity by column, nextpnr's options that choose it, and the clock that boards with it run at."""

    name: str
    family: Family
    device: tuple[str, ...]
    holds: Mapping[str, int]
    mhz: float


# A 16 x 4 distributed memory takes four look-up tables, and two more for its write port.
ECP5 = Family(
    "ecp5", "synth_ecp5", nextpnr_ecp5,
    {"lut": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6}, "dsp": {"MULT18X18D": 1}, "ram": {"DP16KD": 1}},
    "TRELLIS_FF", {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "dsp": "MULT18X18D", "ram": "DP16KD"},
    "--lpf", "lpf", 'FREQUENCY PORT "{port}" {mhz:g} MHZ;', " -noiopad")
# A logic cell holds a look-up table, a carry and a flip-flop; nextpnr says how many cells, not what is in them.
# An enable of its own for few flip-flops leaves the other cells of their tile to nobody: then a look-up table does it.
ICE40 = Family(
    "ice40", "synth_ice40 -dffe_min_ce_use 12", nextpnr_ice40,
    {"lut": {"SB_LUT4": 1}, "dsp": {"SB_MAC16": 1},
     "ram": {f"SB_RAM40_4K{edges}": 1 for edges in ("", "NR", "NW", "NRNW")}},
    "SB_DFF", {"lut": "ICESTORM_LC", "dsp": "ICESTORM_DSP", "ram": "ICESTORM_RAM"},
    "--pcf", "pcf", "set_frequency {port} {mhz:g}")

FAMILIES = {family.name: family for family in (ECP5, ICE40)}


def _ecp5(size: int, lut: int, dsp: int, ram: int) -> Target:
    device = (f"--{size}k", "--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained")
    return Target(f"ecp5-{size}k", ECP5, device, {"lut": lut, "ff": lut, "dsp": dsp, "ram": ram}, 80)


def _ice40(name: str, package: str, cells: int, dsp: int, ram: int, mhz: float) -> Target:
    device = (f"--{name}", "--package", package, "--pcf-allow-unconstrained")
    return Target(f"ice40-{name}", ICE40, device, {"lut": cells, "ff": cells, "dsp": dsp, "ram": ram}, mhz)


TARGETS = {target.name: target for target in (
    _ecp5(25, 24288, 28, 56), _ecp5(45, 43848, 72, 108), _ecp5(85, 83640, 156, 208),
    _ice40("up5k", "sg48", 5280, 8, 30, 24), _ice40("hx8k", "ct256", 7680, 0, 32, 48))}
"""By the name on the command line; ECP5 in its slowest speed grade.  UP5K's four large single-port memories are left
out: every memory here is written and read in the same cycle."""


def target_named(name: str) -> Target:
    """The target; CommandError, with the nearest name, where there is none."""
    if name not in TARGETS:
        near = difflib.get_close_matches(name, TARGETS, 1, 0.3) or ["ecp5-25k"]
        raise CommandError(f"there is no target {name!r}: the targets are {', '.join(TARGETS)}",
                           f"try --target {near[0]}")
    return TARGETS[name]
