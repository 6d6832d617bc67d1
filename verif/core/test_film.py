# SPDX-License-Identifier: Apache-2.0
"""A film through the Verilog: a few cases of `verif/core/film.py` on configurations that other tests build, too."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from focus_rtl.golden.job import Grid
from focus_rtl.golden.numeric.dtypes import DTYPES
from focus_rtl.golden.params import Parameters
from focus_rtl.verif.core import film
from focus_rtl.verif.core.film import CONFIGURATIONS, GRIDS, NAMES, Outcome, cases_of, pending, record, run_film
from focus_rtl.verif.core.test_core import HASTY, TINY
from focus_rtl.verif.golden.film import BLOCKS, DROPS, THRESHOLDS
from focus_rtl.verif.records import put

GRID = Grid(4, 3, 3, row_stride=4)
CASES = [(GRID, DROPS[0], THRESHOLDS[0]), (GRID, DROPS[1], THRESHOLDS[2]), (GRID, DROPS[3], THRESHOLDS[4])]


@pytest.mark.parametrize("params", [TINY, HASTY], ids=["first", "mean"])
def test_film(params: Parameters, seed: int) -> None:
    found = run_film(params, CASES, None, seed)
    print(found)
    assert found.passed and found.layers == 2 * len(CASES) and found.matched > 0


def test_configurations_cross_what_they_should() -> None:
    first = [params for params in CONFIGURATIONS if params.representative == "first"]
    means = [params for params in CONFIGURATIONS if params.representative == "mean"]
    assert [params.block for params in first] == list(BLOCKS) and len(set(NAMES)) == len(CONFIGURATIONS) == 36
    assert {params.dtype for params in first} == set(DTYPES)
    for axes in ((0, 1), (0, 2), (1, 2)):
        assert len({tuple(params.block[axis] for axis in axes) for params in means}) == len(means) == 9
    for kind, axis in itertools.product((first, means), range(3)):
        assert len({(params.block[axis], params.dtype) for params in kind}) == 9
    met = Counter(case for number in range(len(CONFIGURATIONS)) for case in cases_of(number))
    assert len(met) == len(GRIDS) * len(DROPS) * len(THRESHOLDS) and min(met.values()) >= 12
    for number, params in enumerate(CONFIGURATIONS):
        assert {case[0] for case in cases_of(number)} == set(GRIDS)
        assert all(grid.tokens + 2 <= params.tokens_max for grid in GRIDS)


def test_what_is_recorded_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.json"
    monkeypatch.setattr(film, "design", lambda number: f"of {number}")
    assert pending([0, 1], path, 1) == [0, 1]
    put(path, NAMES[1], record(1, [Outcome(2, 30, 30, 4, "a film")], "the command"))
    assert pending([0, 1], path, 1) == [0]
    assert pending([0, 1], path, 2) == [0, 1], "the second film is not recorded"
    monkeypatch.setattr(film, "design", lambda number: "of another day")
    assert pending([0, 1], path, 1) == [0, 1]
