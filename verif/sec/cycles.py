# SPDX-License-Identifier: Apache-2.0
"""Cycles of both sorters at the published sizes, beside M k / a and the Q K^T they hide behind; and what they cost.

    python -m focus_rtl.verif.sec.cycles                         # the rows that are missing or stale, printed
    python -m focus_rtl.verif.sec.cycles --json docs/sec.json    # recorded; then python -m focus_rtl.verif.tables write
    python -m focus_rtl.verif.sec.cycles --only "cycles radix 2366 236"
    python -m focus_rtl.verif.sec.cycles --json docs/sec.json --transistors     # those alone, of what is recorded

Every mask that a sorter sends is compared with the golden model: a run that counts wrong masks counts for nothing.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from focus_rtl.gen.fpga import nextpnr_ecp5, yosys
from focus_rtl.gen.synth import Registered, synthesise
from focus_rtl.gen.units import choose
from focus_rtl.golden.sec import attention
from focus_rtl.golden.sec.importance import importance
from focus_rtl.golden.sec.topk import keep
from focus_rtl.hdl.sec import layouts
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config
from focus_rtl.verif.bench.streams import Bench
from focus_rtl.verif.flow.recount import Counted, recount
from focus_rtl.verif.records import SEC, Record, design_of, put, read, stamp
from focus_rtl.verif.sec.cases import beats, kept_words, softmax_rows
from focus_rtl.verif.sec.tops import StoredSorter

__all__ = ["AREAS", "CASES", "LANES", "ROWS", "TOKENS_MAX", "Row", "main", "measured", "pending", "qk_cycles"]

TOKENS_MAX, LANES = 12800, 32
CASES = ((2366, 236), (6272, 2508), (11648, 4659))
"""(M, k): image tokens present, tokens that stay."""

HEADS, DEPTH, SIDE = 28, 128, 32
"""Attention heads, elements of a head's query, and sides of the array, for the time of Q K^T."""

SORTERS = ("radix", "bubble")
AREAS = (*SORTERS, "importance", "offset_encoder", "offset_decoder")
PLACEMENTS = 3
SCORES_SEED = 1
MODULE = "focus_rtl.verif.sec.cycles"  # not __name__, which is __main__ when this is the command


def qk_cycles(tokens: int) -> int:
    """Cycles of the image rows of Q K^T in a published network, on the published array."""
    return attention.qk_cycles(tokens, HEADS, DEPTH, SIDE, SIDE)


@bench_test
async def counts_the_cycles(dut: Any) -> dict[str, Any]:
    """From the cycle in which the scores are complete to the last mask; without the bench's own loop, for its speed."""
    sorter, tokens, k = config()["case"]
    unit, bench = StoredSorter(sorter, config()["tokens_max"], config()["lanes"]), Bench(dut, SCORES_SEED)
    rng = np.random.default_rng(SCORES_SEED)
    rows = softmax_rows(rng, 1, tokens)
    want = kept_words(keep(importance(rows), k), unit.lanes)
    await bench.reset()
    bench.write("masks_ready", 1)
    bench.write("orders_payload", layouts.select_order(unit.tokens_max).const(
        {"tokens": tokens, "k": k}).as_value().value)
    bench.write("orders_valid", 1)
    bench.source("fills", [layouts.fill_order(unit.tokens_max).const(
        {"tokens": tokens, "sweeps": 1, "spatial": 0}).as_value().value])
    bench.source("scores", beats(rng, rows, unit.lanes, False))
    await bench.run(until=lambda: bench.read("full") == 1)
    begin, masks = bench.cycle, []
    while len(masks) < len(want):
        if bench.read("masks_valid"):
            masks.append(bench.read("masks_payload") | bench.read("masks_last") << unit.lanes)
        if len(masks) < len(want):
            await bench.edge()
    assert masks == want, f"{sorter}: other masks than the golden model's"
    return {"compared": len(masks), "cycles": bench.cycle - begin}


def measured(sorter: str, tokens: int, k: int, tokens_max: int = TOKENS_MAX, lanes: int = LANES) -> int:
    """Cycles of one case, its masks compared."""
    result = simulate(StoredSorter(sorter, tokens_max, lanes), MODULE, seed=SCORES_SEED,
                      config={"case": (sorter, tokens, k), "tokens_max": tokens_max, "lanes": lanes})
    cycles: int = result["tests"]["counts_the_cycles"]["cycles"]
    return cycles


@dataclass(frozen=True)
class Row:
    """name : of the record.  design : SHA-256 of what is measured.  measure : gives what is recorded."""

    name: str
    design: Callable[[], str]
    measure: Callable[[], Record]


def _cycles_row(sorter: str, tokens: int, k: int) -> Row:
    def measure() -> Record:
        return {"cycles": measured(sorter, tokens, k), "published": tokens * k // LANES, "qk": qk_cycles(tokens)}
    return Row(f"cycles {sorter} {tokens} {k}", lambda: design_of(StoredSorter(sorter, TOKENS_MAX, LANES)), measure)


def _area_row(unit: str) -> Row:
    def measure() -> Record:
        found = synthesise(choose(unit).make, range(1, PLACEMENTS + 1), False)
        return {"lut": found.lut, "ff": found.ff, "ram": found.ram, "fmax": found.fmax_mhz,
                "transistors": found.transistors}
    return Row(f"area {unit}", lambda: design_of(Registered(choose(unit).make(), True)), measure)


ROWS: dict[str, Row] = {row.name: row for row in (
    *(_cycles_row(sorter, *case) for case in CASES for sorter in SORTERS), *map(_area_row, AREAS))}


def pending(path: Path) -> list[str]:
    """Rows that are not recorded there, or of another design than today's."""
    records = read(path)
    return [name for name, row in ROWS.items()
            if name not in records or records[name]["design_sha256"] != row.design()]


def count_again(path: Path) -> list[str]:
    """Only the transistors of the areas that are recorded; returns the names of those that are stale."""
    rows = {f"area {unit}": Counted(ROWS[f"area {unit}"].design, choose(unit).make) for unit in AREAS}
    return recount(path, rows, "python -m focus_rtl.verif.sec.cycles --transistors",
                   lambda record, count: (record | {"transistors": count}, record["transistors"]))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.sec.cycles", description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="record there what is measured")
    parser.add_argument("--only", nargs="+", default=[], choices=list(ROWS), metavar="ROW", help="these rows only")
    parser.add_argument("--transistors", action="store_true", help="count only them, of the areas that --json has")
    chosen = parser.parse_args(argv)
    if chosen.transistors:
        return int(bool(count_again(chosen.json or SEC)))
    for name in chosen.only or pending(chosen.json or SEC):
        found = ROWS[name].measure()
        print(f"{name}: {', '.join(f'{key} {value:,}' for key, value in found.items())}", flush=True)
        if chosen.json:
            tools = {"nextpnr": nextpnr_ecp5().version, "yosys": yosys().version} if name.startswith("area") else None
            put(chosen.json, name, found | stamp(f'python -m focus_rtl.verif.sec.cycles --only "{name}"',
                                                 ROWS[name].design(), tools))
    return 0


if __name__ == "__main__":
    sys.exit(main())
