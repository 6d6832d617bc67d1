# SPDX-License-Identifier: Apache-2.0
"""A full tile at the size of every day, as `array.full` runs it at full size: m tokens, four slices, every bit."""

from focus_rtl.gen.configuration import load
from focus_rtl.hdl import layouts
from focus_rtl.verif.array.full import full_tile, run_full


def test_a_full_tile(seed: int) -> None:
    p = load("regress").parameters
    job = full_tile(p, seed)
    assert [tile.tokens for tile in job.job.tiles] == [p.m_tile] and len(job.slices[0]) == 4
    run = run_full(p, seed)
    assert run.compared == run.expected > 2 * p.m_tile
    assert [report.error for report in run.jobs] == [layouts.ERRORS["OK"]] * 2
    concentrated, dense = (report.counters for report in run.jobs)
    passes = p.row_passes * p.col_passes
    assert concentrated["array_busy"] == passes * sum(part.p for part in job.slices[0])
    assert dense["array_busy"] == passes * 4 * p.m_tile
    for counters in (concentrated, dense):
        assert sum(counters[name] for name in layouts.CYCLES) == counters["cycles"]
