# SPDX-License-Identifier: Apache-2.0
"""A netlist -> placed and routed, once per seed: how fast, what is used, and which path is the slowest."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.flow.names import register_of, unit_of
from focus_rtl.gen.flow.netlist import NETLIST
from focus_rtl.gen.flow.targets import Clock, Family, Target
from focus_rtl.gen.fpga import ToolFailed, read_json, run_tool

__all__ = ["CriticalPath", "DoesNotFit", "Routed", "Step", "critical_path", "fmax_of", "out_of_context", "route",
           "run_nextpnr", "too_much", "used_of"]

FULL = re.compile(r"unable to place cell|no (?:more )?bels|unable to find legal placement|failed to (?:place|legalise)"
                  r"|unable to legalise|failed to expand region", re.IGNORECASE)
"""How nextpnr says that there is no room."""


class DoesNotFit(CommandError):
    """The target holds less than the design takes."""


@dataclass(frozen=True)
class Step:
    """A stretch of a path within one unit: its names from the top, its delay with the wires to it, its cells."""

    unit: str
    ns: float
    cells: int


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path: the register that it starts from, the one that it ends in, and the units that it passes."""

    start: str
    end: str
    ns: float
    steps: list[Step]


@dataclass(frozen=True)
class Routed:
    """One placement.  used : cells by column, with the harness."""

    seed: int
    mhz: float
    used: dict[str, int]
    path: CriticalPath


def too_much(target: Target, takes: dict[str, int]) -> list[str]:
    """What a design takes more of than the target holds, in words."""
    names = {"lut": "LUTs", "ff": "flip-flops", "dsp": "multipliers", "ram": "RAM blocks"}
    return [f"{count:,} {names[column]} of {target.holds[column]:,}" for column, count in takes.items()
            if count > target.holds[column]]


def route(target: Target, clock: Clock, folder: Path, seed: int, timeout: float | None = None) -> Routed:
    """Place and route the netlist in `folder`.

    Raises
    ------
    DoesNotFit : no room.  fpga.TimedOut : not finished in `timeout` seconds.  ToolMissing, RuntimeError.
    """
    family, constraints = target.family, f"clock.{target.family.suffix}"
    (folder / constraints).write_text(family.constraints(clock), encoding="utf-8")
    options = (*target.device, family.option, constraints, "--timing-allow-fail")
    report = run_nextpnr(family, options, folder, NETLIST, seed, timeout, target.name)
    return Routed(seed, fmax_of(report), used_of(family, report), critical_path(report))


def out_of_context(size: str, package: str, mhz: int) -> tuple[str, ...]:
    """nextpnr's options for a unit without pins on an ECP5 of that size (`25k`), in its slowest speed grade."""
    return (f"--{size}", "--package", package, "--speed", "6", "--out-of-context", "--freq", str(mhz),
            "--timing-allow-fail")


def run_nextpnr(family: Family, options: Sequence[str], folder: Path, netlist: str, seed: int,
                timeout: float | None = None, name: str = "") -> dict[str, Any]:
    """Place and route a netlist in `folder`, and give nextpnr's report: the one place that does.

    options : the device and what is wanted of it.  name : of the target, for messages; else the device.

    Raises
    ------
    DoesNotFit : no room.  fpga.TimedOut : not finished in `timeout` seconds.  ToolMissing, RuntimeError.
    """
    (folder / "report.json").unlink(missing_ok=True)
    try:
        run_tool(family.place(), folder, "-q", *options, "--json", netlist, "--seed", str(seed), "--report",
                 "report.json", timeout=timeout)
    except ToolFailed as error:
        if FULL.search(str(error)):
            words = next(line for line in str(error).splitlines() if FULL.search(line))
            chip = name or f"{family.name} {options[0].removeprefix('--')}"
            cure = f"focus-rtl fit --target {name} proposes what does" if name else "take a larger target"
            raise DoesNotFit(f"the design does not fit {chip}: {words.removeprefix('ERROR: ')}", cure) from error
        raise
    report: dict[str, Any] = read_json(folder / "report.json")
    return report


def fmax_of(report: dict[str, Any]) -> float:
    """MHz of the slowest clock in nextpnr's report."""
    slowest: float = min(clock["achieved"] for clock in report["fmax"].values())
    return round(slowest, 1)


def used_of(family: Family, report: dict[str, Any]) -> dict[str, int]:
    """Cells by column in nextpnr's report."""
    return {column: report["utilization"][name]["used"] for column, name in family.used.items()
            if name in report["utilization"]}


def critical_path(report: dict[str, Any]) -> CriticalPath:
    """The slowest path from register to register in nextpnr's report, cells gathered by unit."""
    inner = [path for path in report["critical_paths"] if "<async>" not in (path["from"], path["to"])]
    path = max(inner, key=lambda each: sum(hop["delay"] for hop in each["path"]))["path"]
    steps: list[Step] = []
    cells: set[str] = set()
    for hop in path:
        cell = hop["to"]["cell"]
        # Cells that nextpnr adds have names of its own: they belong to where the path comes from.
        unit = steps[-1].unit if steps and cell.startswith("$") else unit_of(cell)
        if steps and steps[-1].unit == unit:
            cells.add(cell)
            steps[-1] = Step(unit, steps[-1].ns + hop["delay"], len(cells))
        else:
            cells = {cell}
            steps.append(Step(unit, hop["delay"], 1))
    return CriticalPath(register_of(path[0]["from"]["cell"]), register_of(path[-1]["to"]["cell"]),
                        round(sum(hop["delay"] for hop in path), 2),
                        [Step(step.unit, round(step.ns, 2), step.cells) for step in steps])
