# SPDX-License-Identifier: Apache-2.0
"""Weights of `fit`: what is fitted is what was put in, the error is an unseen core's, and the file says the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from focus_rtl.gen.configuration import preset_names
from focus_rtl.gen.flow.estimate import FILE, WEIGHTS, Weights, weights_in
from focus_rtl.gen.flow.features import KINDS
from focus_rtl.gen.flow.targets import TARGETS
from focus_rtl.verif import tables
from focus_rtl.verif.flow import calibrate
from focus_rtl.verif.flow.calibrate import POINTS, fitted, lone_flip_flops, measure, pending, refit, solved
from focus_rtl.verif.records import FIT, Record, put, read, stamp

TRUE = Weights({"add": 0.9, "compare": 0.3, "select": 0.7, "logic": 1.3, "reduce": 0.0, "shift": 0.25, "product": 1.1},
               0.5, 0.0)


def bits(rng: np.random.Generator, small: int) -> dict[str, Any]:
    return {"kinds": {kind: int(rng.integers(50, 1000)) for kind in KINDS}, "ff": 400, "small_lut": small,
            "small_ff": 100}


def lut(found: dict[str, Any]) -> float:
    return found["small_lut"] + sum(TRUE.weights[kind] * count for kind, count in found["kinds"].items())


def records(rng: np.random.Generator, off: float = 1.0) -> list[Record]:
    """Points that the weights explain, but for the last core, which takes `off` times as much."""
    made = []
    for number in range(12):
        whole, inner = bits(rng, 24), bits(rng, 12)
        made.append({"target": "ice40-up5k", "core": number != 0, "lut": lut(whole) * (off if number == 11 else 1),
                     "ff": 500, "lone": 250, "bits": whole, "units": {"a": {"lut": lut(inner), "bits": inner}}})
    return made


def test_what_was_put_in_comes_out(seed: int) -> None:
    found = fitted(records(np.random.default_rng(seed)))
    assert found.weights == pytest.approx(TRUE.weights, abs=2e-3) and found.cells_per_ff == 0.5
    assert found.error <= 0.01, "rounding only"


def test_no_weight_is_negative() -> None:
    equations = np.array([[1.0, 1.0, 0.0], [1.0, 2.0, 0.0], [1.0, 3.0, 0.0]])
    assert solved(equations, np.array([3.0, 2.0, 1.0])).tolist() == [2.0, 0.0, 0.0], "the mean, not a slope down"
    assert solved(equations, np.array([1.0, 3.0, 5.0]))[0] == 0, "nor a base below nothing"


def test_the_error_is_that_of_a_core_that_the_fit_has_not_seen(seed: int) -> None:
    made = records(np.random.default_rng(seed), 1.5)
    off = abs(calibrate._off(made[-1], fitted(made[:-1])))
    assert off > 0.15, "the others explain themselves alone"
    assert 0 <= fitted(made).error - off < 0.02
    made[-1]["core"] = False
    assert fitted(made).error < off, "a unit may be further off"


def test_the_file_and_the_records_say_what_was_fitted(tmp_path: Path, seed: int) -> None:
    rng, path, file = np.random.default_rng(seed), tmp_path / "fit.json", tmp_path / "weights.json"
    names = [name for name, point in POINTS.items() if TARGETS[point.target].family.name == "ice40"]
    file.write_text(FILE.read_text(encoding="utf-8"), encoding="utf-8")
    for name, record in zip(names, records(rng), strict=False):
        put(path, name, record | stamp("how", "design"))
    found = refit(path, file)
    now = weights_in(file.read_text(encoding="utf-8"))
    assert now == {"ice40": found["ice40"], "ecp5": WEIGHTS["ecp5"]}, "a family without points keeps its weights"
    figures = read(path)[names[1]]["figures"]
    assert figures["estimated"]["value"] == pytest.approx(figures["measured"]["value"], rel=0.01)
    assert figures["measured"]["unit"] == "logic cells" and figures["error_ff"]["value"] == 0
    figures["measured"]["value"], figures["estimated"]["value"], figures["error"]["value"] = 2000, 1900, -0.05
    row = tables.TABLES["fit"].row("ice40-up5k sec lanes=2", {"figures": figures})
    assert row == ("`sec lanes=2`", "`ice40-up5k`", "2,000", "1,900", "-5.0%", "500", "500", "+0.0%")


def test_a_flip_flop_shares_its_cell_with_the_table_that_feeds_it_alone(tmp_path: Path) -> None:
    def cell(kind: str, **pins: int) -> dict[str, Any]:
        return {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}, "port_directions": {
            pin: "output" if pin in "OQ" else "input" for pin in pins}}
    cells = {"t1": cell("SB_LUT4", I0=1, O=2), "shares": cell("SB_DFF", D=2, Q=3), "t2": cell("SB_LUT4", I0=3, O=4),
             "read elsewhere": cell("SB_DFFE", D=4, Q=5), "t3": cell("SB_LUT4", I0=4, O=6), "after": cell(
                 "SB_DFFESR", D=5, Q=7), "to a pin": cell("SB_DFF", D=6, Q=8)}
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"ports": {"o": {"bits": [6]}}, "cells": cells}}}))
    assert lone_flip_flops(path, "top") == 3


def test_a_point_is_measured_and_stands_until_its_design_changes(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    point, path = next(point for point in POINTS.values() if point.source == "integer_product"), tmp_path / "fit.json"
    monkeypatch.setattr(calibrate, "POINTS", {point.name: point})
    assert pending(path) == [point]
    record = measure(point)
    assert record["bits"]["kinds"]["product"] == 64 and 40 < record["lut"] < 250 and not record["core"]
    put(path, point.name, record)
    assert pending(path) == []
    put(path, point.name, record | {"design_sha256": "0" * 64})
    assert pending(path) == [point]


def test_points_cover_the_presets_of_boards_and_both_families() -> None:
    of_boards = {name for name in preset_names() if name.startswith(("ecp5", "ice40"))}
    assert {point.source for point in POINTS.values()} >= of_boards
    assert {TARGETS[point.target].family.name for point in POINTS.values() if not point.unit} == {"ecp5", "ice40"}


def test_the_weights_are_those_of_the_records(tmp_path: Path) -> None:
    """Fitted again from what is recorded: the file in the package, the error that `fit` states, each row's figures."""
    path, file = tmp_path / "fit.json", tmp_path / "weights.json"
    path.write_text(FIT.read_text(encoding="utf-8"), encoding="utf-8")
    assert refit(path, file) == WEIGHTS
    assert read(path) == read(FIT) and file.read_text(encoding="utf-8") == FILE.read_text(encoding="utf-8")
