# SPDX-License-Identifier: Apache-2.0
"""Generation, build and simulation of arrays of 4 x 4 to 64 x 64, recorded in docs/array-speed.json.

    python -m focus_rtl.verif.array.bench                             # every row; half an hour and more
    python -m focus_rtl.verif.array.bench "fp16 32" "int8 32"         # these rows
    python -m focus_rtl.verif.array.bench --write                     # only the table of docs/array.md and the picture

A row simulates seeded normal operands on all lanes in every cycle; the checksum of all psums must be the golden
model's.  A row of `PLAIN` is measured a second time as Amaranth writes it by itself, one module per instance.
"""

import argparse
import hashlib
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.hdl.array.systolic import Systolic
from focus_rtl.verif.array import driver, emission, full_rate
from focus_rtl.verif.bench.toolchain import toolchain
from focus_rtl.verif.pages import fill, grid, origin, shown
from focus_rtl.verif.records import ARRAY_SPEED, ROOT, Record, put, read, stamp

__all__ = ["DTYPES", "PLAIN", "ROWS", "SIZES", "design", "differences", "exponent", "law", "main", "plot", "render"]

PAGE, PICTURE = ROOT / "docs" / "array.md", ROOT / "docs" / "array-speed.svg"

SIZES = (4, 8, 16, 32, 64)
DTYPES = ("fp16", "int8")
ROWS = tuple(f"{dtype} {size}" for dtype in DTYPES for size in SIZES)
PLAIN = ("fp16 8", "fp16 16", "int8 8")
"""Rows with a plain emission beside them; larger ones take Verilator and the compiler very long."""

SEED = 1
RUNS = 5
WORK = 40_000_000
"""Cycles of a run times PEs: about a second."""

LIMIT = 900
"""Seconds that a step of a plain build may take."""

FIGURES: dict[str, tuple[str, Callable[[Record], float]]] = {
    "generation, CPU s": ("generation_seconds", lambda row: row["generation_seconds"]),
    "Verilog, bytes": ("verilog_bytes", lambda row: row["verilog_bytes"]),
    "build, CPU s": ("build_seconds", lambda row: row["build_seconds"]),
    "simulation, CPU s per million cycles": ("rate", lambda row: 1e6 / row["rate"]),
}
"""What grows with the array: title, what a record must have, and how to read it off one."""


def design(dtype: str) -> str:
    """SHA-256 that stands for all rows of a data type: of the smallest array, which has every module of the largest."""
    text = verilog_of(Systolic(emission.parameters(SIZES[0], dtype)), name="array").text  # no name of a configuration
    return hashlib.sha256(text.encode()).hexdigest()


def measure(name: str, tell: Callable[[str], None], simulated: bool = True) -> Record:
    """All figures of a row, or only those of the generation."""
    dtype, size = name.split()[0], int(name.split()[1])
    p = emission.parameters(size, dtype)
    tell("generating")
    cost, made = emission.measured(size, dtype)
    figures = {"generation_seconds": cost.seconds, "generation_megabytes": cost.megabytes,
               "verilog_bytes": cost.bytes, "modules": cost.modules}
    if simulated:
        figures |= _simulated(name, made, driver.Operands.drawn(p, SEED), tell)
    command = f"python -m focus_rtl.verif.array.bench '{name}'" + " --generate" * (not simulated)
    tools = {"verilator": toolchain().verilator.version, "compiler": toolchain().compiler.version}
    return figures | {"seed": SEED, "pe_depth": p.pe_depth, **stamp(command, design(dtype), tools)}


def _simulated(name: str, made: EmittedDesign, operands: driver.Operands,
               tell: Callable[[str], None]) -> dict[str, Any]:
    p, figures = operands.p, _built(made, operands, tell)
    tell("under cocotb")
    under = full_rate.measured(operands, max(2, 4096 // (p.rows * p.m_tile // 16)), SEED)
    figures["cocotb_rate"] = under["cycles"] / under["seconds"]
    if name in PLAIN:
        figures["plain"] = _plain(p.rows, p.dtype, operands, tell)
    return figures


def _built(made: EmittedDesign, operands: driver.Operands, tell: Callable[[str], None],
           limit: float | None = None) -> dict[str, Any]:
    """Build, and the best of `RUNS` simulations."""
    p = operands.p
    with tempfile.TemporaryDirectory() as folder:
        tell("building")
        built = driver.build(made, p.cols, Path(folder), limit)
        tell(f"built in {built.seconds:.1f} s of CPU; simulating")
        cycles = WORK // (p.rows * p.cols) + 2 * Systolic(p).latency
        runs = [driver.simulate(built.executable, operands, cycles, Path(folder)) for _ in range(RUNS)]
    best = max(runs, key=lambda run: run.rate)
    tell(f"{best.rate:,.0f} cycles per CPU second")
    return {"build_seconds": built.seconds, "cpp_bytes": built.cpp, "cycles": best.cycles, "checksum": best.checksum,
            "rate": best.rate, "rates": [run.rate for run in runs]}


def _plain(size: int, dtype: str, operands: driver.Operands, tell: Callable[[str], None]) -> dict[str, Any]:
    tell("one module per instance: generating")
    cost, made = emission.measured(size, dtype, alone=True)
    found = {"generation_seconds": cost.seconds, "generation_megabytes": cost.megabytes, "verilog_bytes": cost.bytes,
             "modules": cost.modules}
    try:
        return found | _built(made, operands, tell, LIMIT)
    except subprocess.TimeoutExpired:
        return found | {"stopped_after_seconds": LIMIT}


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Of the power of n that fits best, over the three largest sizes: there the fixed part weighs least."""
    largest = sorted(zip(sizes, values, strict=True))[-3:]
    return float(np.polyfit(np.log([size for size, _ in largest]), np.log([value for _, value in largest]), 1)[0])


def law(power: float) -> str:
    """The name of the growth with n, the side of the array."""
    names = {0: "constant", 1: "linear", 2: "quadratic, as the number of PEs", 3: "cubic"}
    nearest = min(names, key=lambda each: abs(each - power))
    word = names[nearest]
    return word if abs(power - nearest) < 0.25 else f"between {names[math.floor(power)]} and {names[math.ceil(power)]}"


def _curve(records: dict[str, Record], dtype: str, title: str) -> tuple[list[int], list[float]]:
    """Sides and values of the rows that have a figure."""
    key, value = FIGURES[title]
    rows = {size: records[name] for size in SIZES if key in records.get(name := f"{dtype} {size}", {})}
    return list(rows), [value(row) for row in rows.values()]


def plot(path: Path) -> None:
    """Every figure over the side of the array, on logarithmic axes, a line for each data type."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure
    rcParams["svg.hashsalt"] = "array"
    records = read(ARRAY_SPEED)
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    for axes, title in zip(figure.subplots(2, 2).flat, FIGURES, strict=True):
        for dtype, marker in zip(DTYPES, "os", strict=True):
            axes.loglog(*_curve(records, dtype, title), marker=marker, label=dtype)
        axes.set_xticks(SIZES, [f"{size} x {size}" for size in SIZES])
        axes.minorticks_off()
        axes.set_title(title)
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    figure.savefig(path, metadata={"Date": None})


def render() -> str:
    """The records as tables and sentences, in Markdown."""
    records = {name: record for name in ROWS if (record := read(ARRAY_SPEED).get(name))}
    if not records:
        return "Not measured yet.\n"
    lines = grid(("array", "-:generation, s", "-:MB", "-:Verilog, kB", "-:modules", "-:Verilator and compiler, s",
                   "-:cycles per CPU second", "-:under cocotb"), [_row(name, row) for name, row in records.items()])
    compared = [(name, row, row["plain"]) for name, row in records.items() if "rate" in row.get("plain", {})]
    if compared:
        lines += ["", "Beside one module per instance, as Amaranth writes it by itself, measured in the same run:", ""]
        lines += grid(("array", "-:generation, s", "-:MB", "-:Verilog, kB", "-:modules", "-:Verilator and compiler, s",
                        "-:cycles per CPU second", "-:speed-up"), [
            (*_row(name, row | plain_row | {"cocotb_rate": None})[:-1], f"{row['rate'] / plain_row['rate']:.2f}x")
            for name, row, plain_row in compared])
    laws = _laws(records)
    if laws:
        lines += ["", "Growth with the side n of the array, fitted to the three largest:", "", *laws]
    return "\n".join([*lines, "", origin(records.values()), ""])


def _row(name: str, row: Record) -> tuple[str, ...]:
    dtype, size = name.split()
    late = [f"{row[key]:{form}}" if row.get(key) else "-"
            for key, form in (("build_seconds", ".1f"), ("rate", ",.0f"), ("cocotb_rate", ",.0f"))]
    return (f"{dtype}, {size} x {size}", f"{row['generation_seconds']:.1f}", f"{row['generation_megabytes']:.0f}",
            f"{row['verilog_bytes'] / 1000:.0f}", f"{row['modules']:,}", *late)


def _laws(records: dict[str, Record]) -> list[str]:
    lines = []
    for dtype in DTYPES:
        curves = {title: curve for title in FIGURES if len((curve := _curve(records, dtype, title))[0]) > 2}
        powers = {title: exponent(*curve) for title, curve in curves.items()}
        if powers:
            lines.append(f"- {dtype}: " + "; ".join(f"{title} n^{power:.2f}, {law(power)}"
                                                    for title, power in powers.items()))
    return lines


def differences() -> list[str]:
    """What the page shows other than the records say, and records of another design than today's."""
    found = []
    if shown(PAGE.read_text(encoding="utf-8")).get("speed") != render():
        found.append(f"{PAGE.name} differs from {ARRAY_SPEED.name}; cure: "
                     "python -m focus_rtl.verif.array.bench --write")
    today = {dtype: design(dtype) for dtype in DTYPES}
    return found + [f"{ARRAY_SPEED.name}: {name}: its design has changed since; measure it again: {record['command']}"
                    for name, record in read(ARRAY_SPEED).items() if record["design_sha256"] != today[name.split()[0]]]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.array.bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of: {', '.join(ROWS)}")
    parser.add_argument("--generate", action="store_true", help="neither build nor simulate these rows")
    parser.add_argument("--write", action="store_true", help="measure nothing: render docs/array.md and the picture")
    told = parser.parse_args(argv)
    if told.write:
        fill(PAGE, {"speed": render})
        plot(PICTURE)
        return 0
    unknown = set(told.rows) - set(ROWS)
    if unknown:
        parser.error(f"no row {unknown.pop()!r}; there are {', '.join(ROWS)}")
    for name in told.rows or ROWS:
        put(ARRAY_SPEED, name, measure(name, lambda phrase, name=name: print(f"{name}: {phrase}", flush=True),
                                       not told.generate))
    return 0


if __name__ == "__main__":
    sys.exit(main())
