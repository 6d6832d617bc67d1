# SPDX-License-Identifier: Apache-2.0
"""Utilisation of the array over 1,000 k-slices, counted by the core and, apart from it, by a monitor; all words equal.

    python -m focus_rtl.verif.array.utilisation                  # the table, with every lost cycle by name
    python -m focus_rtl.verif.array.utilisation --json docs/array.json     # ... into the records
    python -m focus_rtl.verif.array.utilisation --write          # the records into docs/array.md

Utilisation is the useful element MACs over R * C * (cycles from the first weight shift to the last psum), with every
ready held high; K and N are multiples of V, so that no MAC is padding.
"""

import argparse
import dataclasses
import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from focus_rtl.gen.configuration import load
from focus_rtl.golden.core import Slice
from focus_rtl.golden.job import Job, Tile
from focus_rtl.golden.numeric.dtypes import quantise
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.verif.array.watched import LOST, WatchedCore, Window, names, window_of
from focus_rtl.verif.bench.program import OUTPUTS, Program, program, unpack
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.scoreboard import Received, Scoreboard
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import Bench
from focus_rtl.verif.pages import fill, grid, shown
from focus_rtl.verif.records import ROOT, Record, design_of, put, read, stamp

__all__ = ["LAWS", "PAGE", "SEED", "SHAPES", "STORE", "Measured", "differences", "main", "measure", "name_of",
           "parameters", "render"]

MODULE = "focus_rtl.verif.array.utilisation"  # also where this is run as a program

STORE, PAGE = ROOT / "docs" / "array.json", ROOT / "docs" / "array.md"

SEED = 1
"""Of the data and the slices' sizes."""

SLICES = 1000

LAWS = ("exact", "uniform")
"""Vectors of a slice: pe_depth * R, or uniform between that and twice that."""

SHAPES: tuple[tuple[str, int, int, int, int], ...] = (
    ("fp16", 4, 4, 4, 1), ("fp16", 4, 4, 4, 2), ("fp16", 2, 1, 2, 3), ("fp16", 4, 4, 16, 2), ("bf16", 8, 4, 8, 3),
    ("bf16", 4, 8, 8, 4), ("bf16", 6, 3, 12, 1), ("int8", 4, 4, 4, 4), ("int8", 8, 8, 8, 1), ("int8", 16, 16, 16, 1),
    ("int8", 16, 16, 16, 2), ("int8", 16, 8, 16, 3), ("int8", 8, 16, 16, 1), ("int8", 2, 4, 8, 1),
    ("int8", 32, 32, 32, 1))
"""Data type, R, C, V, pe_depth."""


def parameters(dtype: str, rows: int, cols: int, vector: int, depth: int) -> Parameters:
    """The configuration: m holds two of the longest slices, scatter is faster than the array, gather is not waited for.

    A ring of 2 m psums has to hold the order that streams, and those before it that are still being scattered.
    """
    m_tile = max(8, 1 << math.ceil(math.log2(4 * depth * rows)))
    return dataclasses.replace(
        load("regress").parameters, dtype=dtype, rows=rows, cols=cols, vector=vector, pe_depth=depth, m_tile=m_tile,
        grid_max=(1, 1, 1), k_max=25 * vector, n_max=vector, tokens_max=max(4096, 80 * depth * rows), scatter_lanes=4,
        psum_banks=min(16, m_tile // 2), scatter_lookahead=8, matchers=1, matcher_lanes=1)


def _program(p: Parameters, law: str, slices: int, seed: int) -> Program:
    """A job of so many slices: tiles of 2 pe_depth R text tokens, 25 slices and an output vector each."""
    rng, least = np.random.default_rng(seed), p.pe_depth * p.rows
    tiles = [Tile(np.zeros((2 * least, 4), np.int32))] * (slices // 25)
    job = Job(25 * p.vector, p.vector, tiles, 1, 1, 0.9, dtype=p.dtype)

    def one() -> Slice:
        count = least if law == "exact" else int(rng.integers(least, 2 * least + 1))
        vectors = quantise(rng.standard_normal((count, p.vector)) * (40 if p.dtype == "int8" else 1), p.dtype)
        index = np.sort(np.append(np.arange(count), rng.integers(0, count, 2 * least - count)))
        return Slice(vectors, index.astype(np.int32))

    weights = quantise(rng.standard_normal((job.k, job.n)) * (40 if p.dtype == "int8" else 1), p.dtype)
    scales = np.full(job.n, 0.01, np.float32) if p.dtype == "int8" else None
    return program(p, job, [[one() for _ in range(25)] for _ in tiles], weights, seed, scales)


@bench_test
async def watch(dut: Any) -> dict[str, Any]:
    """The simulation's side: one job without any stall, with the probes of every cycle."""
    bench, trace, span = Bench(dut, seed(), patience=20000), [], [0, 0]
    for name, words in config()["inputs"].items():
        bench.source(name, [int(word, 16) for word in words])
    for name, count in config()["expected"].items():
        bench.sink(name, count)
    await bench.reset()
    start = bench.cycle

    def look(_cycle: int) -> None:
        trace.append(bench.read("probes"))
        if bench.read("job_valid") and bench.read("job_ready"):
            span[0] = len(trace)
        if bench.read("status_valid") and not span[1]:
            span[1] = len(trace) - 2  # the counts of the last cycle are in one later

    bench.hooks.append(look)
    await bench.run()
    received = {name: [[hex(word) for word in sink.words], sink.cycles] for name, sink in bench.sinks.items()}
    return {"compared": sum(len(sink.words) for sink in bench.sinks.values()), "received": received, "trace": trace,
            "job": span, "cycles": bench.cycle - start}


@dataclass(frozen=True)
class Measured:
    """What came of a job: words compared, the monitor's window, and its recount of the core's own counters.

    counters, recount : of the whole job, `cycles` and the names that make it up; they must be equal.
    """

    params: Parameters
    law: str
    slices: int
    macs: int
    compared: int
    window: Window
    counters: dict[str, int]
    recount: dict[str, int]

    @property
    def utilisation(self) -> float:
        """From the golden count of MACs."""
        return self.macs / (self.params.rows * self.params.cols * self.window.cycles)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        p = self.params
        return {"dtype": p.dtype, "rows": p.rows, "cols": p.cols, "vector": p.vector, "pe_depth": p.pe_depth,
                "m_tile": p.m_tile, "configuration_sha256": p.sha256, "law": self.law, "slices": self.slices,
                "macs": self.macs, "cycles": self.window.cycles, "utilisation": round(self.utilisation, 6),
                "lost": self.window.lost, "words_compared": self.compared}


def measure(p: Parameters, law: str, seed: int, slices: int = SLICES, **options: Any) -> Measured:
    """Run `slices` slices (a multiple of 25) and compare every word; `options` as for `bench.runner.simulate`.

    Raises
    ------
    Mismatch, SimulationError; AssertionError where monitor, counters and golden counts do not agree.
    """
    made = _program(p, law, slices, seed)
    inputs = {name: [hex(word) for word in words] for name, words in made.inputs.items()}
    result = simulate(WatchedCore(p), MODULE, seed=seed, quick=True, **options, config={
        "inputs": inputs, "expected": {name: made.count_of(name) for name in OUTPUTS}})["tests"]["watch"]
    received = {name: Received([int(word, 16) for word in words], cycles)
                for name, (words, cycles) in result["received"].items()}
    compared = Scoreboard([made], f"seed {seed}").check(received)
    status = unpack(layouts.status(p), received["status"].words[0])
    found, (start, end) = names(result["trace"], p.rows), result["job"]
    counters = {name: status[name] for name in ("cycles", *layouts.CYCLES)}
    recount = {"cycles": end - start, **{name: found[start:end].count(name) for name in layouts.CYCLES}}
    window = window_of(result["trace"], found)
    macs = made.counts.ideal_cycles * p.rows * p.cols
    assert recount == counters, f"the monitor counts {recount}, the core {counters}"
    assert sum(window.by_name.values()) == window.cycles
    assert window.by_name["array_busy"] * p.rows * p.cols == macs
    return Measured(p, law, slices, macs, compared, window, counters, recount)


def name_of(shape: tuple[str, int, int, int, int], law: str) -> str:
    """Name of a measurement's record."""
    dtype, rows, cols, vector, depth = shape
    return f"{dtype} {rows}x{cols} V={vector} pe_depth={depth} {law}"


def _lines(record: Record) -> tuple[str, ...]:
    least = record["pe_depth"] * record["rows"]
    count = f"{least}" if record["law"] == "exact" else f"{least} .. {2 * least}"
    lost = ", ".join(f"{LOST[name]} {cycles}" for name, cycles in record["lost"].items())
    return (record["dtype"], f"{record['rows']} x {record['cols']}", str(record["vector"]), str(record["pe_depth"]),
            count, f"{record['cycles']:,}", f"{100 * record['utilisation']:.2f} %", lost)


def render() -> str:
    """The records as a Markdown table, in the order of `SHAPES`."""
    records = read(STORE)
    rows = [_lines(records[name]) for shape in SHAPES for law in LAWS if (name := name_of(shape, law)) in records]
    head = ("dtype", "R x C", "V", "pe_depth", "p", "cycles", "utilisation", "lost cycles")
    return "\n".join(grid(head, rows)) + "\n"


def differences() -> list[str]:
    """What the page shows other than the records say."""
    if shown(PAGE.read_text(encoding="utf-8")).get("utilisation") == render():
        return []
    return [f"{PAGE.name} differs from {STORE.name}; cure: python -m {MODULE} --write"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every shape under both laws; 0 if none is below 99 %."""
    parser = argparse.ArgumentParser(prog="utilisation", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path, help="put the records into this file")
    parser.add_argument("--only", nargs="+", help="names of records to measure, as in docs/array.json")
    parser.add_argument("--write", action="store_true", help="measure nothing: render docs/array.md")
    given = parser.parse_args(argv)
    if given.write:
        fill(PAGE, {"utilisation": render})
        return 0
    least = 1.0
    for shape, law in itertools.product(SHAPES, LAWS):
        name, p = name_of(shape, law), parameters(*shape)
        if given.only and name not in given.only:
            continue
        record = measure(p, law, SEED).to_dict()
        least = min(least, record["utilisation"])
        print(f"{name}: {100 * record['utilisation']:.2f} % of {record['cycles']:,} cycles, lost {record['lost']}",
              flush=True)
        if given.json:
            put(given.json, name, record | stamp(f"python -m {MODULE} --only '{name}' --json docs/array.json",
                                                 design_of(WatchedCore(p))))
    print(f"least utilisation {100 * least:.2f} %, seed {SEED}")
    return 0 if least >= 0.99 else 1


if __name__ == "__main__":
    sys.exit(main())
