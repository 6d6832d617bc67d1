# SPDX-License-Identifier: Apache-2.0
"""The weights of `fit`, fitted to what Yosys makes of cores and units: gen/flow/weights.json and docs/fit.json.

    python -m focus_rtl.verif.flow.calibrate            # measure what is missing or stale, fit, write both
    python -m focus_rtl.verif.flow.calibrate --list     # only say what would be measured

Nothing is placed.  Every outer unit of every point is an equation, and so is the whole: its look-up tables are the sum
of its bits of each kind, times the kind's weight.  All points count alike, whatever their size.
"""

import argparse
import dataclasses
import functools
import hashlib
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from focus_rtl.gen.configuration import load, preset_names
from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.gen.files import scratch
from focus_rtl.gen.flow.estimate import FILE, Bits, Weights, count_bits
from focus_rtl.gen.flow.features import KINDS
from focus_rtl.gen.flow.harness import INSTANCE, harness_of
from focus_rtl.gen.flow.netlist import NETLIST, netlist_of
from focus_rtl.gen.flow.targets import TARGETS
from focus_rtl.gen.fpga import yosys
from focus_rtl.gen.units import choose
from focus_rtl.hdl.core import Core
from focus_rtl.verif.flow.ending import ended
from focus_rtl.verif.records import FIT, Record, anonymous, put, read, stamp

__all__ = ["POINTS", "Point", "fitted", "lone_flip_flops", "measure", "pending", "refit"]

COMMAND = "python -m focus_rtl.verif.flow.calibrate"


@dataclass(frozen=True)
class Point:
    """A core (a preset), or with `unit` a unit by name, on a target; `changes` as `--set` takes them."""

    target: str
    source: str
    changes: tuple[str, ...] = ()
    unit: bool = False

    @property
    def name(self) -> str:
        """What its record is called."""
        return " ".join((self.target, self.source, *self.changes))

    def emitted(self) -> EmittedDesign:
        """Its Verilog."""
        if self.unit:
            return verilog_of(choose(self.source, self.changes).make(), "", INSTANCE)
        return verilog_of(Core(load(self.source, self.changes).parameters), "", INSTANCE)

    @functools.cached_property
    def sha256(self) -> str:
        """Of the Verilog, without names of configurations."""
        return hashlib.sha256(anonymous(self.emitted().text).encode()).hexdigest()

    def design(self) -> str:
        """`sha256`, as tables want it."""
        return self.sha256


SEC = ("tokens_max=256", "lanes=2", "offset_bits=4")
LEAN = ("dtype=int8", "compare_multiplier=serial", "scale_multiplier=serial")


def _board(name: str) -> str:
    """The target of a board's preset."""
    return max((target for target in TARGETS if name.startswith(target)), key=len)


POINTS = {point.name: point for point in (
    *(Point("ice40-hx8k", "integer_product", ("depth=1", f"a_bits={bits}", "b_bits=8"), unit=True) for bits in (8, 16)),
    Point("ecp5-25k", "mean", unit=True),
    *(Point(target, *unit, unit=True) for target in ("ecp5-25k", "ice40-up5k") for unit in (
        ("sec", SEC), ("requantise_serial", ()), ("offset_encoder", SEC[:2]))),
    Point("ice40-up5k", "tiny", LEAN),
    *(Point(_board(name), name) for name in preset_names() if name.startswith(tuple(TARGETS))))}
"""By name: products where there are no multipliers, what is small, and the presets of boards, each on its own."""


def lone_flip_flops(netlist: Path, top: str) -> int:
    """Flip-flops of iCE40 that take a logic cell of their own: what they store does not come from a look-up table that
    feeds nothing else.
    """
    body = json.loads(netlist.read_text(encoding="utf-8"))["modules"][top]
    cells = list(body["cells"].values())
    inputs = [bit for cell in cells for pin, bits in cell["connections"].items()
              if cell["port_directions"][pin] == "input" for bit in bits]
    read = Counter([*inputs, *(bit for port in body["ports"].values() for bit in port["bits"])])
    tables = {cell["connections"]["O"][0] for cell in cells if cell["type"] == "SB_LUT4"}
    stored = [cell["connections"]["D"][0] for cell in cells if cell["type"].startswith("SB_DFF")]
    return sum(bit not in tables or read[bit] > 1 for bit in stored)


def measure(point: Point) -> Record:
    """What synthesis makes of a point, and what `fit` counts in it."""
    begin, chip, design = time.monotonic(), TARGETS[point.target], point.emitted()
    counted = count_bits(design, chip)
    with scratch("calibrate") as folder:
        harness = harness_of(design)
        found = netlist_of(design, harness, chip, folder)
        alone = lone_flip_flops(folder / NETLIST, harness.top) if chip.family.name == "ice40" else 0
    units = {branch.path[0]: takes["lut"] for branch, takes in found.units if len(branch.path) == 1}
    return {"target": point.target, "core": not point.unit, "lut": found.whole["lut"], "ff": found.whole["ff"],
            "lone": max(alone - harness.lone, 0), "bits": asdict(counted.whole),
            "units": {name: {"lut": units[name], "bits": asdict(bits)} for name, (_, bits) in counted.units.items()},
            "seconds": round(time.monotonic() - begin), **stamp(COMMAND, point.sha256, {"yosys": yosys().version})}


# --- the fit ---


def solved(equations: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Least squares without negative weights: what would weigh less than nothing weighs nothing."""
    kept = np.any(equations != 0, axis=0)
    while True:
        weights = np.zeros(equations.shape[1])
        weights[kept] = np.linalg.lstsq(equations[:, kept], wanted, rcond=None)[0]
        if np.all(weights >= 0):
            return weights
        kept[int(np.argmin(weights))] = False


def _row(bits: Mapping[str, Any], lut: float, share: float) -> tuple[list[float], float]:
    return [bits["kinds"].get(kind, 0) / share for kind in KINDS], (lut - bits["small_lut"]) / share


def _least_squares(records: Sequence[Record]) -> Weights:
    rows = [_row(part["bits"], part["lut"], record["lut"]) for record in records
            for part in (record, *record["units"].values())]
    found = solved(np.array([row for row, _ in rows]), np.array([wanted for _, wanted in rows]))
    weights = {kind: round(float(value), 3) for kind, value in zip(KINDS, found, strict=True)}
    if not any(record["bits"]["kinds"].get("product") for record in records):
        weights["product"] = 1.0  # no point has one: a look-up table for each pair of bits
    cells = sum(record["lone"] for record in records) / sum(record["ff"] for record in records)
    return Weights(weights, round(cells, 3), 0.0)


def fitted(records: Sequence[Record]) -> Weights:
    """The weights of a family from its points.

    The error is that of a core that the fit has not seen: each is left out once, and the one that is then furthest off
    counts, in whole per cent, rounded up.
    """
    worst = max(abs(_off(record, _least_squares([other for other in records if other is not record])))
                for record in records if record["core"])
    return dataclasses.replace(_least_squares(records), error=math.ceil(100 * worst) / 100)


def _estimated(record: Record, weights: Weights) -> tuple[int, int]:
    bits = Bits(**record["bits"])
    ff = bits.ff + bits.small_ff
    return round(bits.tables(weights) + weights.cells_per_ff * ff), ff


def _off(record: Record, weights: Weights) -> float:
    return _estimated(record, weights)[0] / (record["lut"] + record["lone"]) - 1


def refit(path: Path, file: Path) -> dict[str, Weights]:
    """Fit the weights to all records, write them to `file`, and into each record what is estimated with them."""
    records = {name: record for name, record in read(path).items() if name in POINTS}
    families: dict[str, dict[str, Record]] = {}
    for name, record in records.items():
        families.setdefault(TARGETS[record["target"]].family.name, {})[name] = record
    weights = {family: fitted(list(found.values())) for family, found in sorted(families.items())}
    for family, found in families.items():
        for name, record in found.items():
            lut, ff = _estimated(record, weights[family])
            values = {"measured": record["lut"] + record["lone"], "estimated": lut, "measured_ff": record["ff"],
                      "estimated_ff": ff}
            figures: Record = {key: {"value": value, "unit": "FF" if key.endswith("ff") else "LUT" if family == "ecp5"
                                     else "logic cells"} for key, value in values.items()}
            figures["error"] = {"value": round(_off(record, weights[family]), 4), "unit": "of what was measured"}
            figures["error_ff"] = {"value": round(ff / record["ff"] - 1, 4), "unit": "of what was measured"}
            put(path, name, record | {"figures": figures})
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    lines = [f' "{name}": {json.dumps(value)}' for name, value in sorted(
        (known | {family: asdict(found) for family, found in weights.items()}).items())]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return weights


def pending(path: Path) -> list[Point]:
    """Points that are not recorded, or of another design than today's."""
    known = read(path)
    return [point for name, point in POINTS.items()
            if name not in known or known[name]["design_sha256"] != point.sha256]


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="fit the weights of `focus-rtl fit`")
    parser.add_argument("--json", type=Path, default=FIT, help="records (docs/fit.json)")
    parser.add_argument("--weights", type=Path, default=FILE, help="weights (gen/flow/weights.json)")
    parser.add_argument("--list", action="store_true", help="only say what would be measured")
    given = parser.parse_args()
    points = pending(given.json)
    print(f"{len(points)} of {len(POINTS)} points to measure", flush=True)
    for point in points:
        if given.list:
            print(point.name)
            continue
        record = measure(point)
        put(given.json, point.name, record)
        print(f"{point.name}: {record['lut']:,} LUT, {record['ff']:,} FF ({record['seconds']} s)", flush=True)
    if not given.list:
        for family, found in refit(given.json, given.weights).items():
            print(f"{family}: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(ended(main))
