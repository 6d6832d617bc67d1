# SPDX-License-Identifier: Apache-2.0
"""The measurements of the concentrator, where the result is known beforehand; the page and its records."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from focus_rtl.gen.emit import verilog_of
from focus_rtl.golden.job import Grid, Job, tiles_of
from focus_rtl.golden.numeric.dtypes import quantise
from focus_rtl.golden.sic.layouter import windows
from focus_rtl.hdl.sic.gather import Gather
from focus_rtl.hdl.sic.layouter import Layouter
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.verif.golden.cases import make_params
from focus_rtl.verif.records import put, read
from focus_rtl.verif.sic import budgets
from focus_rtl.verif.sic.areas import Share, area_of, transistors
from focus_rtl.verif.sic.budget_rows import ROWS, Row
from focus_rtl.verif.sic.gather_rate import gather_rate
from focus_rtl.verif.sic.hidden import hidden, worst_case
from focus_rtl.verif.sic.scatter_path import ScatterPath
from focus_rtl.verif.sic.scatter_rate import scatter_rate, shares


def test_gather_takes_a_round_for_each_visible_neighbour(seed: int) -> None:
    params = make_params(dtype="int8", vector=8, matcher_lanes=4, m_tile=32, grid_max=(8, 4, 4))
    tiles = tiles_of(Grid(6, 4, 4), 32)
    job = Job(8, 8, tiles, 4, 4, 1.0, dtype="int8")
    rng = np.random.default_rng(seed)
    data = [quantise(rng.integers(1, 100, (tile.tokens, 8)), "int8") for tile in tiles]
    found = gather_rate(params, verilog_of(Gather(params)), job, data)
    slots = sum(int(1 + (row >= 0).sum()) for tile in tiles for row in windows(tile, 4, 4))
    first = sum(int(1 + (row >= 0).sum()) for row in windows(tiles[0], 4, 4))
    assert found.tokens == sum(tile.tokens for tile in tiles[1:])
    assert found.unique == found.tokens  # nothing is beyond a threshold of 1
    assert found.compared == 2 * 96 + len(tiles)
    assert found.cycles == 2 * (slots - first)
    with pytest.raises(ValueError, match="at least two"):
        gather_rate(params, verilog_of(Gather(params)), job, data[:1])


def test_scatter_rate_is_what_the_banks_allow() -> None:
    params = make_params(vector=2, scatter_lanes=2, psum_banks=2, scatter_lookahead=4, m_tile=64)
    design = verilog_of(ScatterPath(params))
    tokens = np.arange(64, dtype=np.int32)
    found = scatter_rate(params, design, [(tokens * 0, 3)] * 4)  # one address for both lanes
    assert found["resident"].rate == 2 and found["resident"].conflicts == 0
    found = scatter_rate(params, design, [(tokens % 2 * 2, 3)] * 4)  # always two words of one bank
    assert found["resident"].rate == pytest.approx(1, abs=0.05)  # the second map begins and ends within the queues
    assert shares(found["resident"], 2)["conflicts"] == pytest.approx(0.5, abs=0.03)
    found = scatter_rate(params, design, [(tokens, 64)] * 4)  # a psum a cycle, for two lanes
    assert found["resident"].rate == 2 and found["resident"].chases == 0
    assert found["chasing"].rate == pytest.approx(1, abs=0.07) and found["chasing"].chases > 0
    with pytest.raises(ValueError, match="an even number"):
        scatter_rate(params, design, [(tokens, 64)])


def test_gather_hides_behind_a_longer_gemm() -> None:
    params = make_params(dtype="int8", rows=4, cols=4, m_tile=16, grid_max=(16, 4, 4), scatter_lanes=2,
                         matcher_lanes=4, tokens_max=256)
    each = worst_case(params, 64, 2, 5)
    found = hidden(params, each, quick=True)
    assert found.tiles == 10 and found.ideal == 10 * 16 * 16
    # What cannot hide is the last tile: each of its vectors takes up to eight slots instead of one cycle.
    assert 0 < found.gathered - found.bypassed <= 7 * 16
    assert found.ratio == found.gathered / found.bypassed
    with pytest.raises(ValueError, match="not enough places"):
        worst_case(params, 64, 17, 1)


def test_areas_count_every_instance() -> None:
    skid = transistors(verilog_of(Skid(16)))
    (whole,) = skid.values()
    assert whole > 2 * 17 * 16  # two words with their valid bits, 16 transistors a flip-flop
    params = make_params(grid_max=(4, 4, 4))
    found = area_of(Layouter, params, routed=0)
    assert found.fmax_mhz is None
    assert found.bits == 8 * 4 * (4 * 16 + 2)  # banks, entries, elements and the frame
    assert found.ff > 8 * 4 and found.lut > 0 and found.transistors > 16 * 8 * 4  # a valid bit for each entry


def test_share_is_logic_over_logic_and_buffers() -> None:
    share = Share({"gather": 10, "scatter": 6}, {"array": 60, "lane": 20}, 6540, 15, 5, 4)
    assert share.ratio() == 16 / (80 + 20)
    assert share.ratio(psums=False) == 16 / (80 + 15)
    assert share.ratio(memories=True) == 20 / 100


def test_the_page_is_rendered_from_the_records() -> None:
    assert budgets.differences(budgets.PAGE.read_text(encoding="utf-8")) == []
    assert sorted(read(budgets.RECORDS).keys() - ROWS.keys()) == []


def test_rows_are_measured_once_per_design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    counted: list[int] = []

    def count(_params: object) -> dict[str, tuple[float | int | None, str]]:
        counted.append(1)
        if len(counted) == 1:
            raise AssertionError("words differ")
        return {"cycles": (7, "cycles")}

    row = Row("gather", {"data": "none"}, "tiny", (), lambda _params: Skid(3), "nothing", count)
    monkeypatch.setattr(budgets, "ROWS", {row.name: row})
    path = tmp_path / "records.json"
    assert budgets.main(["--json", str(path)]) == 1 and not path.exists()  # what fails is not recorded
    assert budgets.main(["--json", str(path)]) == 0
    assert budgets.main(["--json", str(path)]) == 0
    assert len(counted) == 2 and "0 of 1 rows to measure" in capsys.readouterr().out
    record = read(path)[row.name]
    assert record["figures"] == {"cycles": {"value": 7, "unit": "cycles"}}
    assert record["configuration_sha256"] == row.params.sha256 and record["design_sha256"] == row.design()
    assert row.name in record["command"] and record["commit"] and record["tools"]["verilator"]
    for changed in (replace(row, stimulus="other"), replace(row, unit=lambda _params: Skid(4)),
                    replace(row, settings=("pe_depth=4",))):
        assert budgets.pending([changed], path) == [changed]
    put(path, row.name, record | {"design_sha256": "0"})
    assert budgets.pending([row], path) == [row]
    with pytest.raises(SystemExit):
        budgets.main(["no such row"])


def test_budgets_speak_of_rows_that_are_measured() -> None:
    assert [budget.row for budget in budgets.BUDGETS if budget.row not in ROWS] == []
    record = {"figures": {"of_lanes": {"value": 0.95, "unit": "of S"}}}
    budget = budgets.BUDGETS[0]
    assert budget.cells({budget.row: record})[-1] == "met"
    worse = json.loads(json.dumps(record).replace("0.95", "0.9499"))
    assert budget.cells({budget.row: worse})[-1] == "**not met**"
    assert budget.cells({})[-1] == "not measured yet"
