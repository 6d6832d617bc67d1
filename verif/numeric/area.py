# SPDX-License-Identifier: Apache-2.0
"""Area and speed of the arithmetic: each unit alone on ECP5, out of context, between registers, and in transistors.

    python -m focus_rtl.verif.numeric.area --json docs/areas.json           # the rows that are missing or stale
    python -m focus_rtl.verif.numeric.area --json docs/areas.json --jobs 2  # two rows at a time
    python -m focus_rtl.verif.numeric.area --json docs/areas.json --transistors    # those alone, of what is recorded
    python -m focus_rtl.verif.numeric.area "pe dtype=int8 depth=1"          # one row, printed; `pe` alone: all of its

Each row is measured by a process of its own and recorded at once; one that fails is reported, the others go on.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focus_rtl.gen.fpga import nextpnr_ecp5, yosys
from focus_rtl.gen.synth import DEVICE, Registered, synthesise
from focus_rtl.gen.units import ChosenUnit, choose
from focus_rtl.verif.bench.toolchain import ToolMissing, toolchain
from focus_rtl.verif.flow.recount import Counted, recount
from focus_rtl.verif.numeric.speed import speed
from focus_rtl.verif.records import Record, design_of, put, read, stamp

__all__ = ["ROWS", "Row", "measure", "pending"]

SEEDS = 5
"""Placements whose median is the Fmax that is recorded."""


@dataclass(frozen=True)
class Row:
    """A unit with the parameters that are set, a word each (`dtype=fp16`), and a depth, if it has one."""

    unit: str
    settings: tuple[str, ...]
    depth: int | None

    @property
    def words(self) -> tuple[str, ...]:
        """All parameters, as `--set` takes them."""
        return self.settings if self.depth is None else (*self.settings, f"depth={self.depth}")

    @property
    def name(self) -> str:
        """What a record is called, and the command line."""
        return " ".join((self.unit, *self.words))

    @property
    def chosen(self) -> ChosenUnit:
        """The unit as `gen/units.py` has it."""
        return choose(self.unit, self.words)

    def design(self) -> str:
        """SHA-256 of the Verilog that is synthesised: the unit between registers."""
        return design_of(Registered(self.chosen.make(), self.depth == 0))


MEASURED: tuple[tuple[str, tuple[int | None, ...]], ...] = (
    ("pe dtype=fp16", (1, 2, 3, 4)),
    ("pe dtype=bf16", (1, 2, 3, 4)),
    ("pe dtype=int8", (1, 2, 3, 4)),
    ("pe dtype=fp16 multiplier=lut", (4,)),
    ("pe dtype=int8 multiplier=lut", (1,)),
    ("recode", (0,)),
    ("product", (1,)),
    ("add_product", (3, 4)),
    ("multiply dtype=fp16", (1,)),
    ("multiply dtype=bf16", (3,)),
    ("multiply dtype=int8", (1,)),
    ("add", (2, 4)),
    ("accumulate dtype=int8", (1,)),
    ("widen dtype=fp16", (1,)),
    ("narrow dtype=fp16", (1, 2)),
    ("narrow dtype=bf16", (1,)),
    ("int_to_float", (2,)),
    ("multiply32", (2, 4)),
    ("requantise", (4, 8)),
    ("requantise multiplier=lut", (4,)),
    ("requantise_serial", (None,)),
    ("product_greater", (2, 4)),
    ("product_greater multiplier=lut", (2,)),
    ("product_greater multiplier=serial", (2,)),
    ("integer_greater", (2,)),
    ("integer_verdict", (3,)),
    ("integer_greater multiplier=serial", (2,)),
    ("integer_verdict multiplier=serial", (3,)),
    ("integer_square", (2,)),
    ("mean dtype=fp16", (4,)),
)
"""What is measured: a unit with its settings, and the depths.

Not the integer comparisons by parallel multipliers of 42 by 21 bits: ABC does not finish mapping their gates.
"""

ROWS: dict[str, Row] = {row.name: row for what, depths in MEASURED for depth in depths
                        for row in (Row(what.split()[0], tuple(what.split()[1:]), depth),)}


def measure(row: Row, seeds: int = SEEDS, tell: Callable[[str], None] = lambda _step: None) -> dict[str, Any]:
    """The record of a row: every figure with its unit, the configuration, and where it comes from."""
    begin = time.monotonic()
    chosen = row.chosen
    found = synthesise(chosen.make, range(1, seeds + 1), row.depth != 0, tell)
    tell("simulating")
    rate, ratio = speed(chosen.make)
    figures = {"lut": (found.lut, "LUT"), "ff": (found.ff, "FF"), "dsp": (found.dsp, "DSP slices"),
               "fmax": (found.fmax_mhz, "MHz"), "transistors": (found.transistors, "transistors"),
               "cycles": (rate, "cycles per CPU second"), "cycles_ratio": (ratio, "of a bare register's")}
    command = " ".join(["focus-rtl synth --unit", row.unit, *(f"--set {word}" for word in row.words),
                        f"--seeds {seeds}; python -m focus_rtl.verif.numeric.area", f"'{row.name}'"])
    tools = {"yosys": yosys().version, "nextpnr-ecp5": nextpnr_ecp5().version,
             "verilator": toolchain().verilator.version}
    return {"figures": {name: {"value": value, "unit": unit} for name, (value, unit) in figures.items()},
            "fmax_seeds": found.seeds, "device": " ".join(DEVICE), "configuration": chosen.configuration,
            "seconds": round(time.monotonic() - begin),
            **stamp(command, row.design(), tools)}


def pending(rows: list[Row], path: Path, seeds: int) -> list[Row]:
    """Those that are not recorded, or of another design than today's, or with fewer seeds."""
    known = read(path)
    return [row for row in rows if row.name not in known or len(known[row.name]["fmax_seeds"]) < seeds
            or known[row.name]["design_sha256"] != row.design()]


def said(record: dict[str, Any]) -> str:
    """A record in one line."""
    value = {name: figure["value"] for name, figure in record["figures"].items()}
    return (f"{value['lut']} LUT, {value['ff']} FF, {value['dsp']} DSP, {value['fmax']:.0f} MHz, "
            f"{value['transistors']:,} transistors, {value['cycles'] / 1e6:.1f} M cycles/CPU s")


def _in_own_process(row: Row, seeds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "focus_rtl.verif.numeric.area", row.name, "--seeds", str(seeds), "--raw"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr + done.stdout).strip()[-1500:] or f"ended with code {done.returncode}")
    return json.loads(done.stdout)


def run(rows: list[Row], path: Path | None, jobs: int, seeds: int) -> list[str]:
    """Measure rows, record each as it comes; returns the names of those that failed."""
    failed = []
    pool = ThreadPoolExecutor(jobs)
    try:
        waiting = {pool.submit(_in_own_process, row, seeds): row for row in rows}
        for number, done in enumerate(as_completed(waiting), 1):
            name = waiting[done].name
            try:
                record = done.result()
                if path:
                    put(path, name, record)
                print(f"[{number}/{len(rows)}] {name}: {said(record)} ({record['seconds']} s)", flush=True)
            except Exception as error:  # whatever it is: the other rows are worth having
                failed.append(name)
                print(f"[{number}/{len(rows)}] {name}: FAILED: {error}", flush=True)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C no further row begins
    return failed


def _replaced(record: Record, count: int) -> tuple[Record, int]:
    figure = record["figures"]["transistors"]
    return record | {"figures": record["figures"] | {"transistors": figure | {"value": count}}}, figure["value"]


def count_again(rows: list[Row], path: Path) -> list[str]:
    """Only the transistors of rows that are recorded; returns the names of those that are stale."""
    return recount(path, {row.name: Counted(row.design, row.chosen.make) for row in rows},
                   "python -m focus_rtl.verif.numeric.area --transistors", _replaced)


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.numeric.area",
                                     description="area and speed of the arithmetic")
    parser.add_argument("rows", nargs="*", metavar="row", help="`pe`, or in full `pe dtype=int8 depth=1`; else all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"of placement; Fmax is their median ({SEEDS})")
    parser.add_argument("--json", type=Path, help="record there; what is there of the same design is not measured")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time (1)")
    parser.add_argument("--list", action="store_true", help="only say which rows would be measured")
    parser.add_argument("--transistors", action="store_true", help="count only them, of the rows that --json has")
    parser.add_argument("--raw", action="store_true", help="measure one row here and print its record as JSON")
    given = parser.parse_args()
    chosen = [row for row in ROWS.values() if not given.rows or row.name in given.rows or row.unit in given.rows]
    unknown = [name for name in given.rows if not any(name in (row.name, row.unit) for row in chosen)]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if given.seeds < 1 or given.jobs < 1:
        parser.error("--seeds and --jobs are at least 1")
    if given.transistors and not given.json:
        parser.error("--transistors changes what is recorded: it needs --json")
    try:
        if given.transistors:
            return int(bool(count_again(chosen, given.json)))
        if given.raw:
            print(json.dumps(measure(chosen[0], given.seeds, lambda step: print(f"{step} ...", file=sys.stderr))))
            return 0
        tools = f"yosys {yosys().version}, nextpnr {nextpnr_ecp5().version}, {given.seeds} seeds"
    except ToolMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    rows = pending(chosen, given.json, given.seeds) if given.json else chosen
    print(f"{len(rows)} of {len(chosen)} rows to measure; {tools}", flush=True)
    if given.list:
        print("\n".join(row.name for row in rows))
        return 0
    failed = run(rows, given.json, given.jobs, given.seeds)
    if failed:
        print(f"{len(failed)} failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
