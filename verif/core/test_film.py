# SPDX-License-Identifier: Apache-2.0
"""A film through the Verilog: a few cases of `verif/core/film.py` on a configuration that other tests build, too."""

from focus_rtl.golden.job import Grid
from focus_rtl.verif.core.film import CONFIGURATIONS, GRIDS, run_film
from focus_rtl.verif.core.test_core import TINY
from focus_rtl.verif.golden.film import BLOCKS, DROPS, THRESHOLDS

CASES = [(DROPS[0], THRESHOLDS[0]), (DROPS[1], THRESHOLDS[2]), (DROPS[3], THRESHOLDS[4])]


def test_film(seed: int) -> None:
    found = run_film(TINY, Grid(5, 3, 3, row_stride=4), CASES, None, seed)
    print(found)
    assert found.passed and found.layers == 2 * len(CASES) and found.matched > 0


def test_configurations_are_every_block_and_fit_every_grid() -> None:
    assert [params.block for params in CONFIGURATIONS] == list(BLOCKS)
    assert {params.dtype for params in CONFIGURATIONS} == {"fp16", "bf16", "int8"}
    met = {(params.dtype, GRIDS[number % 9 // 3]) for number, params in enumerate(CONFIGURATIONS)}
    assert len(met) == 3 * len(GRIDS)
    for params in CONFIGURATIONS:
        assert all(grid.tokens + 2 <= params.tokens_max for grid in GRIDS)
