# SPDX-License-Identifier: Apache-2.0
"""Presets of boards, placed and routed, each within the bounds that it is given: nothing grows or slows down unseen.

    python -m focus_rtl.verif.flow.boards                               # all of them, one seed, checked
    python -m focus_rtl.verif.flow.boards --ci                          # those of every change: a few minutes
    python -m focus_rtl.verif.flow.boards --seeds 5 --json docs/boards.json     # what is missing or stale, recorded
    python -m focus_rtl.verif.flow.boards ecp5-25k --seeds 5            # one of them

Each row is measured by a process of its own and recorded at once; one that fails is reported, the others go on.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focus_rtl.gen.configuration import load
from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.flow.harness import INSTANCE, harness_of
from focus_rtl.gen.flow.netlist import flat_script
from focus_rtl.gen.flow.report import Report
from focus_rtl.gen.flow.run import Work, synthesise_for
from focus_rtl.gen.flow.targets import COLUMNS, TARGETS
from focus_rtl.hdl.core import Core
from focus_rtl.verif.bench.toolchain import ToolMissing
from focus_rtl.verif.flow.ending import ended
from focus_rtl.verif.flow.workers import Children, workers
from focus_rtl.verif.pages import grid
from focus_rtl.verif.records import Record, anonymous, put, read, stamp

__all__ = ["ROWS", "Row", "judge", "measure", "pending", "run"]


@dataclass(frozen=True)
class Row:
    """What is synthesised, and its bounds.

    target : by name.  lut, ff : at most, without the harness.  dsp, ram : exactly.  mhz : at least, in the worst seed.
    source : a preset.  ci : placed with every change; the others in `make regress`.
    """

    target: str
    lut: int
    ff: int
    dsp: int
    ram: int
    mhz: float
    source: str
    ci: bool = False

    @property
    def work(self) -> Work:
        """What the flow is to do."""
        chip = TARGETS[self.target]
        params = load(self.source).parameters
        return Work(self.source, lambda: Core(params), params.to_dict(), params.sha256, chip, chip.mhz)

    def design(self) -> str:
        """SHA-256 of the Verilog that is synthesised, its harness, and what Yosys is told, without names of
        configurations.
        """
        design = verilog_of(self.work.make(), "", INSTANCE)
        harness = harness_of(design)
        told = flat_script(design, harness, TARGETS[self.target])
        return hashlib.sha256(anonymous(design.text + harness.text + told).encode()).hexdigest()


# One iCE40 and one ECP5 with every change.  LUT and FF a little above what was measured.
ROWS = {
    "ice40-up5k": Row("ice40-up5k", 3_800, 2_900, 5, 20, 24, "ice40-up5k", ci=True),
    "ecp5-25k": Row("ecp5-25k", 10_800, 8_500, 22, 22, 80, "ecp5-25k", ci=True),
    "ecp5-85k": Row("ecp5-85k", 12_000, 13_500, 80, 31, 80, "ecp5-85k"),
    "ecp5-85k-fp16": Row("ecp5-85k", 29_000, 14_600, 38, 17, 50, "ecp5-85k-fp16"),
}
"""By name; the only place of the bounds."""


def measure(name: str, seeds: int, timeout: float | None = None) -> Record:
    """The record of a row: every figure with its unit, the configuration, and where it comes from.

    Raises
    ------
    CommandError : it does not fit, or was not placed and routed in `timeout` seconds.  ToolMissing, RuntimeError.
    """
    begin, row = time.monotonic(), ROWS[name]
    report = synthesise_for(row.work, range(1, seeds + 1), timeout,
                            lambda step: print(f"{name}: {step} ...", file=sys.stderr, flush=True))
    return record_of(name, report, row.design()) | {"seconds": round(time.monotonic() - begin)}


def record_of(name: str, report: Report, design: str) -> Record:
    """What is recorded of a report."""
    found, units = report.to_dict(), {"lut": "LUT", "ff": "FF", "dsp": "DSP slices", "ram": "block memories"}
    figures = {column: (found["whole"][column], units[column]) for column in COLUMNS}
    figures |= {"transistors": (found["whole"]["transistors"], "transistors"),
                "fmax_worst": (found["fmax_worst_mhz"], "MHz"), "fmax_median": (found["fmax_median_mhz"], "MHz")}
    kept = ("target", "clock_mhz", "configuration", "config_sha256", "units", "used", "holds", "harness_registers",
            "seeds", "critical_path", "problems", "complete")
    command = f"python -m focus_rtl.verif.flow.boards {name} --seeds {report.wanted}"
    return {"figures": {figure: {"value": value, "unit": unit} for figure, (value, unit) in figures.items()},
            **{key: found[key] for key in kept}, **stamp(command, design, report.tools)}


def judge(row: Row, record: Record) -> list[str]:
    """Everything that is out of bounds or not as the configuration says, in words."""
    value = {figure: each["value"] for figure, each in record["figures"].items()}
    found = [*record["problems"], *([] if record["complete"] else ["it was not finished"])]
    for column in COLUMNS:
        bound = getattr(row, column)
        if column in ("lut", "ff") and value[column] > bound:
            found.append(f"{value[column]:,} {column.upper()}, and {bound:,} are allowed")
        if column in ("dsp", "ram") and value[column] != bound:
            found.append(f"{value[column]:,} {column.upper()}, and it has to be {bound:,}")
    if value["fmax_worst"] < row.mhz:
        found.append(f"{value['fmax_worst']:g} MHz, and {row.mhz:g} are wanted")
    return found


def pending(names: Sequence[str], path: Path, seeds: int) -> list[str]:
    """Those that are not recorded, or of another design than today's, or with fewer seeds, or out of bounds."""
    known = read(path)
    return [name for name in names if name not in known or len(known[name]["seeds"]) < seeds
            or known[name]["design_sha256"] != ROWS[name].design() or judge(ROWS[name], known[name])]


def _in_own_process(children: Children, name: str, seeds: int, timeout: float | None) -> Record:
    record: Record = json.loads(children.run("focus_rtl.verif.flow.boards", name, "--seeds", str(seeds), "--raw",
                                             *(["--timeout", str(timeout)] if timeout else [])))
    return record


def line(name: str, record: Record) -> tuple[str, ...]:
    """A record beside its bounds, as cells of a table."""
    row, value = ROWS[name], {figure: each["value"] for figure, each in record["figures"].items()}
    units = ", ".join(dict.fromkeys(step["unit"] for step in record["critical_path"]["steps"]))
    return (name, row.target, *(f"{value[column]:,} ({getattr(row, column):,})" for column in COLUMNS),
            f"{value['fmax_worst']:g} ({row.mhz:g})", str(len(record["seeds"])), units, f"{record['seconds']}")


HEAD = ("row", "target", "-:LUT (at most)", "-:FF (at most)", "-:DSP (exactly)", "-:RAM (exactly)",
        "-:MHz, worst (at least)", "-:seeds", "slowest path through", "-:s")


def run(names: Sequence[str], jobs: int, seeds: int, timeout: float | None = None,
        path: Path | None = None) -> Mapping[str, list[str]]:
    """Measure rows, print them beside their bounds; returns what is wrong with which.

    path : where each is recorded as it comes.
    """
    wrong: dict[str, list[str]] = {}
    lines: dict[str, tuple[str, ...]] = {}
    with workers(jobs) as (pool, children):
        waiting = {pool.submit(_in_own_process, children, name, seeds, timeout): name for name in names}
        for number, done in enumerate(as_completed(waiting), 1):
            name, problems = waiting[done], []
            try:
                record = done.result()
                if path:
                    put(path, name, record)
                problems, lines[name] = judge(ROWS[name], record), line(name, record)
            except Exception as error:  # whatever it is: the other rows are worth having
                problems = [str(error)]
            print(f"[{number}/{len(names)}] {name}: {'FAILED' if problems else 'within its bounds'}", flush=True)
            if problems:
                wrong[name] = problems
    print("\n".join(grid(HEAD, [lines[name] for name in names if name in lines])))
    for name, problems in wrong.items():
        print("\n".join(f"{name}: FAILED: {problem}" for problem in problems))
    return wrong


def _arguments() -> Any:
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.flow.boards", description="presets of boards")
    parser.add_argument("rows", nargs="*", metavar="row", help=f"{', '.join(ROWS)}; else all")
    parser.add_argument("--ci", action="store_true", help="only those that are placed with every change")
    parser.add_argument("--seeds", type=int, default=1, help="of placement (1)")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time (1)")
    parser.add_argument("--timeout", type=float, help="seconds for each placement and routing")
    parser.add_argument("--json", type=Path, help="record there; what is there of the same design is not measured")
    parser.add_argument("--raw", action="store_true", help="measure one row here and print its record as JSON")
    given = parser.parse_args()
    unknown = [name for name in given.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if given.seeds < 1 or given.jobs < 1:
        parser.error("--seeds and --jobs are at least 1")
    return given


def main() -> int:
    """Command line; returns the exit code."""
    given = _arguments()
    names = given.rows or [name for name, row in ROWS.items() if row.ci or not given.ci]
    if given.raw:
        try:
            print(json.dumps(measure(names[0], given.seeds, given.timeout)))
        except (CommandError, ToolMissing, RuntimeError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        return 0
    chosen = pending(names, given.json, given.seeds) if given.json else names
    print(f"{len(chosen)} of {len(names)} rows to measure, {given.seeds} seed{'s' * (given.seeds > 1)}", flush=True)
    wrong = run(chosen, given.jobs, given.seeds, given.timeout, given.json)
    print(f"{len(wrong)} of {len(chosen)} failed: {', '.join(wrong)}" if wrong else "every row is within its bounds")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(ended(main))
