# SPDX-License-Identifier: Apache-2.0
"""The whole core, bit for bit, in configurations that differ in everything: `checks` and `bad_data` on the Verilog."""

import numpy as np
import pytest

from focus_rtl.golden.core import Slice
from focus_rtl.golden.job import Grid, Job, tiles_of
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import ERRORS
from focus_rtl.verif.core import bad_data, checks
from focus_rtl.verif.core.checks import Device
from focus_rtl.verif.core.run import CoreJob
from focus_rtl.verif.golden.cases import make_params

TINY = make_params(grid_max=(8, 4, 4), k_max=64, n_max=64, tokens_max=256, psum_banks=2, matcher_lanes=4)
WIDE = make_params(rows=2, cols=4, vector=8, m_tile=32, grid_max=(8, 6, 6), scatter_lanes=2, psum_banks=4,
                   scatter_lookahead=4, matchers=2, matcher_lanes=2, pe_depth=2,
                   compare_multiplier="serial")
HASTY = make_params(rows=2, cols=2, vector=2, grid_max=(4, 5, 5), k_max=16, n_max=16, tokens_max=512, scatter_lanes=4,
                    matchers=7, matcher_lanes=2, pe_depth=2, representative="mean")
"""Sums follow each other faster than the adder, in scatter and in the means, and decisions every cycle."""

BRAIN = make_params(dtype="bf16", rows=4, cols=2, vector=4, grid_max=(8, 5, 4), k_max=64, n_max=64, tokens_max=256,
                    psum_banks=2, matchers=4, matcher_lanes=2, pe_depth=3, pe_multiplier="lut",
                    compare_multiplier="lut", match_depth=3, counter_bits=16)
BYTES = make_params(dtype="int8", rows=3, cols=2, vector=6, grid_max=(8, 4, 6), k_max=64, n_max=64, tokens_max=256,
                    scatter_lanes=2, matchers=2, matcher_lanes=2, pe_multiplier="lut", dot_multiplier="lut",
                    compare_multiplier="serial", scale_multiplier="lut", scale_share=2)
"""The other data types, without any multiplication that needs a DSP slice."""

SHARED = make_params(dtype="int8", rows=2, cols=2, vector=4, m_tile=8, grid_max=(4, 4, 4), k_max=32, n_max=32,
                     tokens_max=256, psum_banks=2, compare_multiplier="shared", scale_multiplier="serial",
                     counter_bits=16)
"""Gather takes one vector at a time."""

SMALL = make_params(m_tile=8, grid_max=(4, 4, 4), k_max=4, n_max=4, tokens_max=512, psum_banks=1, matchers=7,
                    matcher_lanes=4, pe_depth=4)
"""Counters of few bits."""

GATHERS = pytest.mark.parametrize("params", [TINY, SHARED], ids=["tiny", "shared"])
BOTH = pytest.mark.parametrize("params", [TINY, WIDE], ids=["tiny", "wide"])


@pytest.mark.parametrize("params", [TINY, WIDE, HASTY, BRAIN, BYTES, SHARED],
                         ids=["tiny", "wide", "hasty", "bf16", "int8", "shared"])
def test_jobs_back_to_back_under_every_stall(params: Parameters, seed: int) -> None:
    checks.back_to_back(Device(params), seed)


@BOTH
def test_each_stream_may_lag_behind_all_others(params: Parameters, seed: int) -> None:
    checks.lagging(Device(params), seed)


@BOTH
def test_reset_in_mid_job(params: Parameters, seed: int) -> None:
    checks.reset_in_mid_job(Device(params), seed)


@BOTH
def test_bad_counts_end_a_job_at_once(params: Parameters, seed: int) -> None:
    run = bad_data.bad_counts(Device(params), seed)
    assert sum(report.error == ERRORS["JOB"] for report in run.jobs) >= 2 * len(bad_data.LIMITS) - 2


@BOTH
def test_bad_tile_stops_the_core_until_reset(params: Parameters, seed: int) -> None:
    bad_data.bad_tile(Device(params), seed)


@BOTH
def test_bad_slices_and_indices_are_told_and_survived(params: Parameters, seed: int) -> None:
    bad_data.bad_data(Device(params), seed)


@BOTH
def test_void_counts_on_the_first_beat_of_a_slice_alone(params: Parameters, seed: int) -> None:
    bad_data.void(Device(params), seed)


def test_bad_scales_are_told_and_survived(seed: int) -> None:
    bad_data.bad_scales(Device(BYTES), seed)


@BOTH
def test_a_concentrated_job_takes_fewer_cycles(params: Parameters, seed: int) -> None:
    dense, few = checks.concentrated(Device(params), seed).jobs
    bound = 1.25 * dense.ideal_cycles + 50 * params.pe_depth + params.m_tile
    assert few.counters["cycles"] < dense.counters["cycles"] < bound


def test_waits_for_a_groups_sum_are_counted(seed: int) -> None:
    """Vectors that are all alike are one group and follow each other faster than the adder; a dense job has no sums."""
    device, ones = Device(HASTY), np.full((HASTY.vector, HASTY.vector), 0x3C00, np.uint16)
    alike = Job(HASTY.vector, HASTY.vector, tiles_of(Grid(1, 4, 4), HASTY.m_tile), 4, 4, 0.5)
    dense = Job(HASTY.vector, HASTY.vector, alike.tiles, 4, 4, 0.5, dense=True)
    one, every = Slice(ones[:1], np.zeros(16, np.int32)), Slice(np.full((16, 2), 0x3C00, np.uint16), np.arange(16))
    run = device.run([device.programs([CoreJob(alike, [[one]], ones), CoreJob(dense, [[every]], ones)])], seed)
    checks.clean(run)
    assert run.programs[0].result[0][0].p == 1
    assert [report.counters["mean_hazards"] > 0 for report in run.jobs] == [True, False]


def test_more_tiles_than_the_counters_hold(seed: int) -> None:
    checks.many_tiles(Device(SMALL), seed)


def test_of_several_errors_the_lowest_is_told(seed: int) -> None:
    bad_data.lowest_error(Device(TINY), seed)


def test_bad_videos_end_a_job_at_once(seed: int) -> None:
    bad_data.bad_videos(Device(TINY), seed)


@GATHERS
def test_offsets_that_come_late(params: Parameters, seed: int) -> None:
    checks.late_offsets(Device(params), seed)


@GATHERS
def test_positions_that_come_late_are_waited_for(params: Parameters, seed: int) -> None:
    checks.late_positions(Device(params), seed)
