# SPDX-License-Identifier: Apache-2.0
"""The budgets of the concentrator, measured on the emitted Verilog: docs/budgets.json and docs/budgets.md.

    python -m focus_rtl.verif.sic.budgets --json docs/budgets.json            # the rows that are missing or stale
    python -m focus_rtl.verif.sic.budgets --json docs/budgets.json gather     # of one table, or one row by name
    python -m focus_rtl.verif.sic.budgets --list
    python -m focus_rtl.verif.sic.budgets --render                                 # the page from the records

A row is recorded as soon as it is measured: what was broken off goes on where it stopped.  A record stands as long as
its design emits the same Verilog and its stimulus is the same.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.fpga import nextpnr_ecp5, yosys
from focus_rtl.verif.bench.build import BuildError
from focus_rtl.verif.bench.runner import SimulationError
from focus_rtl.verif.bench.toolchain import ToolMissing, toolchain
from focus_rtl.verif.pages import fill, grid, shown
from focus_rtl.verif.records import ROOT, Record, put, read, stamp
from focus_rtl.verif.sic.budget_rows import ROWS, Row
from focus_rtl.verif.tables import Table

__all__ = ["PAGE", "RECORDS", "TABLES", "differences", "main", "measure", "pending", "render"]

RECORDS = ROOT / "docs" / "budgets.json"
PAGE = ROOT / "docs" / "budgets.md"

Cells = tuple[str, ...]


def measure(row: Row) -> Record:
    """The record of a row: every figure with its unit, the configuration, and where it comes from."""
    begin = time.monotonic()
    figures = row.measure(row.params)
    tools = {"yosys": yosys().version, "nextpnr-ecp5": nextpnr_ecp5().version,
             "verilator": toolchain().verilator.version}
    command = f"python -m focus_rtl.verif.sic.budgets '{row.name}'"
    return {"figures": {name: {"value": value, "unit": unit} for name, (value, unit) in figures.items()},
            "configuration": row.words, "configuration_sha256": row.params.sha256, "stimulus": row.stimulus,
            "seconds": round(time.monotonic() - begin), **stamp(command, row.design(), tools)}


def pending(rows: Iterable[Row], path: Path) -> list[Row]:
    """Those that are not recorded, or of another configuration, stimulus or design than today's."""
    known = read(path)

    def stands(row: Row) -> bool:
        record = known.get(row.name)
        return (record is not None and record["configuration_sha256"] == row.params.sha256
                and record["stimulus"] == row.stimulus and record["design_sha256"] == row.design())
    return [row for row in rows if not stands(row)]


# --- the page ---


def _value(record: Record, figure: str) -> float:
    return record["figures"][figure]["value"]


def _key(name: str, *keys: str) -> Cells:
    """The values of a row's name; `-` for a key that it does not have."""
    values = dict(word.split("=") for word in name.split()[1:])
    return tuple(values.get(key, "-") for key in keys)


def _gather(name: str, record: Record) -> Cells:
    return (*_key(name, "data", "matchers", "lanes"), f"{_value(record, 'per_vector'):.2f}",
            f"{_value(record, 'cycles'):,}", f"{_value(record, 'tokens'):,}", f"{_value(record, 'unique'):,}")


def _scatter(name: str, record: Record) -> Cells:
    def percent(figure: str) -> str:
        return f"{100 * _value(record, figure):.1f} %"
    return (*_key(name, "S", "banks", "ahead"), f"{_value(record, 'resident'):.3f}", percent("of_lanes"),
            percent("resident_conflicts"), percent("resident_hazards"), f"{_value(record, 'chasing'):.3f}",
            *(percent(f"chasing_{cause}") for cause in ("conflicts", "chases", "hazards")))


def _hidden(name: str, record: Record) -> Cells:
    return (*_key(name, "dtype", "array", "lanes"), f"{_value(record, 'gathered'):,}",
            f"{_value(record, 'bypassed'):,}", f"{_value(record, 'ideal'):,}", f"{100 * _value(record, 'ratio'):.2f} %")


def _area(name: str, record: Record) -> Cells:
    fmax = record["figures"]["fmax_mhz"]["value"]
    whole = (f"{_value(record, figure):,}" for figure in ("transistors", "bits", "lut", "ff", "dsp", "ram"))
    return (*_key(name, "unit", "matchers", "lanes", "S", "banks"), *whole, "-" if fmax is None else f"{fmax:.0f}")


def _share(name: str, record: Record) -> Cells:
    millions = (f"{_value(record, figure) / 1e6:.3f}" for figure in ("gather", "scatter", "sec", "array", "lane"))
    return (*_key(name, "matchers", "lanes"), *millions, *(
        f"{100 * _value(record, figure):.2f} %" for figure in ("ratio", "ratio_without_psums", "ratio_with_memories")))


def _table(name: str, head: Cells, row: Callable[[str, Record], Cells]) -> Table:
    return Table(RECORDS, {each.name: each.design for each in ROWS.values() if each.table == name}, head, row)


TABLES: dict[str, Table] = {
    "gather": _table("gather", (
        "data", "-:matchers", "-:lanes", "-:cycles per vector", "-:cycles per tile", "-:its tokens", "-:distinct"),
        _gather),
    "scatter": _table("scatter", (
        "-:S", "-:banks", "-:look-ahead", "-:resident, tokens per cycle", "-:of S", "-:conflicts", "-:hazards",
        "-:chasing, tokens per cycle", "-:conflicts", "-:chases", "-:hazards"), _scatter),
    "hidden": _table("hidden", (
        "dtype", "array", "-:lanes", "-:cycles", "-:with gather off", "-:ideal", "-:ratio"), _hidden),
    "area": _table("area", (
        "unit", "-:matchers", "-:lanes", "-:S", "-:banks", "-:transistors", "-:memory, bits", "-:LUT", "-:FF", "-:DSP",
        "-:block memories", "-:Fmax, MHz"), _area),
    "share": _table("share", (
        "-:matchers", "-:lanes", "-:gather, M", "-:scatter beyond its first lane, M", "-:semantic, M", "-:array, M",
        "-:first lane, M", "-:ratio", "-:psum store no buffer", "-:with memories"), _share),
}


@dataclass(frozen=True)
class Budget:
    """Words, the row and figure it is for, and the limit: at least, or at most."""

    words: str
    row: str
    figure: str
    limit: float
    least: bool

    def cells(self, records: dict[str, Record]) -> Cells:
        """Words, row, measured, and whether it is met."""
        if self.row not in records:
            return self.words, f"`{self.row}`", "-", "not measured yet"
        value = _value(records[self.row], self.figure)
        met = value >= self.limit if self.least else value <= self.limit
        return self.words, f"`{self.row}`", f"{value:.3f}", "met" if met else "**not met**"


BUDGETS = (
    Budget("scatter, at least 0.95 S tokens per cycle", "scatter S=2 banks=8 ahead=4", "of_lanes", 0.95, least=True),
    Budget("the same, S = 4", "scatter S=4 banks=32 ahead=4", "of_lanes", 0.95, least=True),
    Budget("gather, all candidates at once: a vector per cycle", "gather data=film matchers=7 lanes=32", "per_vector",
           1.005, least=False),
    Budget("gather hidden: at most 101 % of the cycles without", "hidden dtype=int8 array=32x32 lanes=32", "ratio",
           1.01, least=False),
    Budget("logic of concentration, at most 2.7 %", "share matchers=1 lanes=8", "ratio", 0.027, least=False),
)


def render(name: str, path: Path = RECORDS) -> str:
    """The lines of a table."""
    records = read(path)
    if name == "budgets":
        lines = grid(("budget", "row", "-:measured", ""), [budget.cells(records) for budget in BUDGETS])
    else:
        lines = list(TABLES[name].lines(records))
    return "\n".join(lines) + "\n"


def differences(text: str) -> list[str]:
    """Complaints about the page: tables that it lacks or has too many of, and those that differ from the records."""
    tables, wanted = shown(text), {*TABLES, "budgets"}
    return [f"{name}: missing, or no table of this page" for name in sorted(wanted ^ tables.keys())] + [
        f"{name}: differs from its records; cure: python -m focus_rtl.verif.sic.budgets --render"
        for name in sorted(wanted & tables.keys()) if tables[name] != render(name)]


# --- the command ---


def _chosen(words: Sequence[str]) -> list[Row]:
    return [row for row in ROWS.values() if not words or row.table in words or row.name in words]


def _run(rows: Sequence[Row], path: Path | None) -> int:
    failed = 0
    for number, row in enumerate(rows, 1):
        try:
            record = measure(row)
        except (AssertionError, CommandError, RuntimeError, SimulationError, BuildError) as error:  # the others go on
            failed += 1
            print(f"[{number}/{len(rows)}] {row.name}: FAILED: {error}", flush=True)
            continue
        if path:
            put(path, row.name, record)
        said = ", ".join(f"{name} {figure['value']}" for name, figure in record["figures"].items())
        print(f"[{number}/{len(rows)}] {row.name}: {said} ({record['seconds']} s)", flush=True)
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.sic.budgets", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"a table ({', '.join(TABLES)}) or a row; else all")
    parser.add_argument("--json", type=Path, help="record there; what is there of the same design is not measured")
    parser.add_argument("--list", action="store_true", help="only say which rows would be measured")
    parser.add_argument("--render", action="store_true", help="write the tables of docs/budgets.md")
    given = parser.parse_args(arguments)
    if given.render:
        fill(PAGE, {name: partial(render, name) for name in (*TABLES, "budgets")})
        return 0
    chosen = _chosen(given.rows)
    unknown = [word for word in given.rows if word not in TABLES and word not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; --list names them")
    rows = pending(chosen, given.json) if given.json else chosen
    print(f"{len(rows)} of {len(chosen)} rows to measure", flush=True)
    if given.list:
        print("\n".join(row.name for row in rows))
        return 0
    try:
        failed = _run(rows, given.json)
    except ToolMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
