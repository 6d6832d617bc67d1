# SPDX-License-Identifier: Apache-2.0
"""A design and a target -> a report: emitted, put into a harness, synthesised, counted, placed and routed.

Whatever stops it, what is known until then is in the report, which says so.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.gen.errors import CommandError, Exit
from focus_rtl.gen.files import scratch, write_folder
from focus_rtl.gen.flow.estimate import estimate_design
from focus_rtl.gen.flow.harness import CLOCK, INSTANCE, harness_of
from focus_rtl.gen.flow.netlist import netlist_of, transistors_of
from focus_rtl.gen.flow.report import Report, UnitRow
from focus_rtl.gen.flow.route import DoesNotFit, route, too_much
from focus_rtl.gen.flow.targets import Clock, Target
from focus_rtl.gen.fpga import TimedOut, yosys
from focus_rtl.hdl.unit import Unit

__all__ = ["NotFinished", "Work", "new_report", "synthesise_for", "write_report"]

Progress = Callable[[str], None]


class NotFinished(CommandError):
    """Placing and routing took longer than it was given."""

    code = Exit.MISMATCH


@dataclass(frozen=True)
class Work:
    """What is to be synthesised, under which name and for what clock; `make` gives a fresh unit at every call."""

    name: str
    make: Callable[[], Unit]
    configuration: dict[str, Any]
    config_sha256: str
    target: Target
    mhz: float


def new_report(work: Work, design: EmittedDesign, seeds: Sequence[int]) -> Report:
    """A report that says what is going to be done, and with which tools.

    Raises
    ------
    ToolMissing : one of them is not here, or too old.
    """
    tools = {tool.name: f"{tool.version} ({tool.source})" for tool in (yosys(), work.target.family.place())}
    return Report(work.name, work.target, work.mhz, work.configuration, work.config_sha256,
                  hashlib.sha256(design.text.encode()).hexdigest(), tools, len(seeds))


def synthesise_for(work: Work, seeds: Sequence[int], timeout: float | None = None,
                   progress: Progress = lambda _step: None,
                   partial: Callable[[Report], None] = lambda _report: None) -> Report:
    """Everything in turn.

    Parameters
    ----------
    seeds : of placement.
    timeout : seconds for each placement and routing.
    progress : told what is being done.
    partial : given the report when something stops it, before the error goes on.

    Raises
    ------
    DoesNotFit : the target is too small.  NotFinished : `timeout`.  ToolMissing.  RuntimeError : a tool failed.
    InputOutputError : no room for temporary files.
    """
    design = verilog_of(work.make(), "", INSTANCE)
    report = new_report(work, design, seeds)
    with _told(report, partial), scratch("synth") as folder:
        progress("counting transistors")
        gates = transistors_of(design, folder)
        report.transistors = gates[design.top]
        _synthesise(work, design, report, gates, folder, progress)
        for seed in seeds:
            progress(f"placing and routing for {work.target.name}, seed {seed}")
            try:
                report.placements.append(route(work.target, Clock(CLOCK, work.mhz), folder, seed, timeout))
            except TimedOut as late:
                raise NotFinished(f"seed {seed}: {late}", "give it more with --timeout SECONDS, or take a larger "
                                  "target: one that is nearly full routes slowly") from late
    return report


@contextmanager
def _told(report: Report, partial: Callable[[Report], None]) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        report.problem = str(error).splitlines()[0] if str(error) else "interrupted"
        partial(report)
        raise


def _synthesise(work: Work, design: EmittedDesign, report: Report, gates: dict[str, int], folder: Path,
                progress: Progress) -> None:
    harness = harness_of(design)
    report.registers = harness.registers
    progress(f"synthesising for {work.target.name}")
    expected = estimate_design(design, work.target)
    found = netlist_of(design, harness, work.target, folder)
    report.whole, report.flat, report.memories = found.whole, found.flat, found.memories
    report.units = [UnitRow(branch.label, ".".join(branch.path), branch.count, takes, placed, gates[branch.module])
                    for (branch, takes), placed in zip(found.units, found.placed, strict=True)]
    report.expected = {column: expected.takes[column] for column in ("dsp", "ram")}
    excess = too_much(work.target, found.flat)
    if excess:
        raise DoesNotFit(f"{work.name} does not fit {work.target.name}: it takes {', '.join(excess)}",
                         f"focus-rtl fit --target {work.target.name} proposes what does")


def write_report(folder: Path, report: Report) -> list[str]:
    """`report.json` and `report.md`, both or neither; returns the names of those that changed."""
    return write_folder(folder, {"report.json": (json.dumps(report.to_dict(), indent=1) + "\n").encode(),
                                 "report.md": report.page().encode()})
