# SPDX-License-Identifier: Apache-2.0
"""The whole core, bit for bit: jobs back to back under every kind of stall, resets in mid-job, faulty jobs."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from focus_rtl.golden.core import Slice
from focus_rtl.golden.job import Grid, Job, Tile, tiles_of
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.verif.bench.program import OUTPUTS, Program, inputs_of, program, rejected
from focus_rtl.verif.bench.streams import ALWAYS, Stall
from focus_rtl.verif.core.jobs import (
    astray_job,
    core_job,
    events_of,
    hollow_job,
    hurried_job,
    pruned_job,
    random_core_job,
)
from focus_rtl.verif.core.run import CoreJob, CoreRun, run_programs
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

BOTH = pytest.mark.parametrize("params", [TINY, WIDE], ids=["tiny", "wide"])

STALLS = (ALWAYS, Stall(0.3), Stall(0.05, burst=20), Stall(0.6, burst=2), Stall(0.2, lazy=True))
KINDS = ("gather", "mixed", "dense", "one", "full", "runs", "gather")
ERRORS = layouts.ERRORS
CYCLE_NAMES = list(layouts.COUNTERS)[1:8]
"""The counters that every cycle of a job is spread over."""


def _run(params: Parameters, batches: Sequence[Sequence[Program]], **options: Any) -> CoreRun:
    return run_programs(params, batches, quick=True, **options)  # some thousand cycles each


def _programs(params: Parameters, jobs: list[CoreJob]) -> list[Program]:
    return [each.program(params, number) for number, each in enumerate(jobs)]


def _clean(run: CoreRun) -> None:
    """Everything was compared, no job ended with an error that it should not have, every cycle has its name."""
    assert run.compared == run.expected == sum(each.words for each in run.programs) > 0
    assert [report.error for report in run.jobs] == [each.status["error"] for each in run.programs]
    for report in run.jobs:
        assert sum(report.counters[name] for name in CYCLE_NAMES) == report.counters["cycles"]


@pytest.mark.parametrize("params", [TINY, WIDE, HASTY, BRAIN, BYTES, SHARED],
                         ids=["tiny", "wide", "hasty", "bf16", "int8", "shared"])
def test_jobs_back_to_back_under_every_stall(params: Parameters, seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs = [[random_core_job(rng, params, dense=kind == "dense", kind=kind, preload=bool(number % 2))
             for number, kind in enumerate(KINDS)] for _ in STALLS]
    for batch in jobs:
        batch += [hurried_job(rng, params), hollow_job(rng, params), hollow_job(rng, params, preload=True),
                  *(pruned_job(rng, params) for _ in range(2)), astray_job(rng, params, -1), astray_job(rng, params, 1)]
    run = _run(params, [_programs(params, batch) for batch in jobs], seed=seed, stall=STALLS)
    _clean(run)
    events = events_of(params, run.programs, [each for batch in jobs for each in batch])
    events.update({name: sum(report.counters[name] for report in run.jobs) for name in layouts.COUNTERS})
    events.update({f"stall on {name}": cycles for name, cycles in run.stalled.items()})
    print(f"seed {seed}: {run.compared} words, {dict(sorted(events.items()))}")
    wanted = ["dense job", "concentrated job", "preloaded job", "decoded job", "too few offsets", "too many offsets",
              "text without offsets", "separator", "pruning", "pruned before", "partial tile", "full tile", "p = 0",
              "first slice empty", "last slice empty", "every slice empty", "every slice empty, preloaded", "p = 1",
              "p = m_t > 1", "match", "chain",
              "K not a multiple of V", "N not a multiple of C", "all-zero vector",
              "array_idle", "empty_slices", "stall_input", "stall_psum", "stall_output", "scatter_chases",
              "scatter_hazards", "stall_preload"]
    wanted += ["rows skipped"] if params.row_passes > 1 else []
    wanted += ["columns skipped"] if params.col_passes > 1 else []
    wanted += ["scatter_conflicts"] if params.scatter_lanes > 1 else []  # one lane has nobody in its way
    wanted += [f"stall on {name}" for name in (*inputs_of(params), *OUTPUTS)]
    assert [name for name in wanted if not events[name]] == []


@BOTH
def test_each_stream_may_lag_behind_all_others(params: Parameters, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = (*inputs_of(params), *OUTPUTS)
    batches = [_programs(params, [random_core_job(rng, params, tokens=24, slices=2, vectors=2, dense=dense,
                                                  preload=name == "preloads", decoded=False)
                                  for dense in (False, None)] + [pruned_job(rng, params)])
               for name in names]  # a dense job does not look at maps, a decoded one does not look at positions
    run = _run(params, batches, seed=seed, stall=[{name: Stall(1.0, burst=30)} for name in names])
    _clean(run)
    assert [name for name in names if not run.stalled[name]] == []


@BOTH
def test_reset_in_mid_job(params: Parameters, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cuts = [int(cut) for cut in rng.integers(5, 400, 6)]
    batches: list[list[Program]] = []
    cut_after: dict[int, int] = {}
    for cut in cuts:
        cut_after[len(batches)] = cut
        batches += [_programs(params, [random_core_job(rng, params) for _ in range(3)]),
                    _programs(params, [random_core_job(rng, params, tokens=20)])]
    run = _run(params, batches, seed=seed, stall=Stall(0.1), cut_after=cut_after)
    assert len(run.programs) == len(cuts) and run.compared >= run.expected > 0
    for number, cut in enumerate(cuts):
        assert run.cycles[2 * number] == cut, "a batch ended before its reset: it has to be cut in mid-job"


def _small(params: Parameters, rng: Generator, dense: bool = False) -> CoreJob:
    grid = Grid(2, 3, 3)
    v = params.vector
    job = Job(2 * v, v, tiles_of(grid, min(params.m_tile, 8)), 3, 3, 0.7, dense=dense, dtype=params.dtype)
    return core_job(rng, params, job, "gather")


LIMITS: dict[str, Callable[[Parameters], int]] = {
    "tiles": lambda p: p.tokens_max, "slices": lambda p: -(-p.k_max // p.vector), "last_rows": lambda p: p.row_passes,
    "vectors": lambda p: -(-p.n_max // p.vector), "last_cols": lambda p: p.col_passes, "last_lanes": lambda p: p.vector,
    "height": lambda p: p.grid_max[1], "width": lambda p: p.grid_max[2]}


def _field(name: str, value: int) -> Callable[[dict[str, int]], dict[str, int]]:
    return lambda fields: fields | {name: value}


@BOTH
def test_bad_counts_end_a_job_at_once(params: Parameters, seed: int) -> None:
    rng = np.random.default_rng(seed)
    batch, layout = [], layouts.job(params)
    for name, limit in LIMITS.items():
        good = _small(params, rng)
        for value in (0, limit(params) + 1):
            if value < 1 << layout[name].width:
                batch.append(rejected(params, good.job, _field(name, value)))
        batch += _programs(params, [good])
    run = _run(params, [batch], seed=seed, stall=Stall(0.2))
    _clean(run)
    errors = Counter(report.error for report in run.jobs)
    assert errors[ERRORS["JOB"]] >= 2 * len(LIMITS) - 2 and errors[ERRORS["OK"]] == len(LIMITS)


@BOTH
def test_bad_tile_stops_the_core_until_reset(params: Parameters, seed: int) -> None:
    rng = np.random.default_rng(seed)
    batches = []
    for tokens in (0, params.m_tile + 1):
        good = _small(params, rng)
        batches += [[rejected(params, good.job, tokens=tokens)], _programs(params, [good])]
    run = _run(params, batches, seed=seed)
    _clean(run)
    assert [report.error for report in run.jobs] == [ERRORS["TILE"], ERRORS["OK"]] * 2


def _with_slice(job: CoreJob, tile: int, k: int, part: Slice) -> CoreJob:
    slices = [list(row) for row in job.slices]
    slices[tile][k] = part
    return replace(job, slices=slices)


@BOTH
def test_bad_slices_and_indices_are_told_and_survived(params: Parameters, seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs: list[CoreJob] = []
    for surplus in (1, params.m_tile):  # beyond the tokens, and beyond the buffer
        good = _small(params, rng)
        part, tokens = good.slices[1][0], good.job.tiles[1].tokens
        many = np.resize(part.vectors, (tokens + surplus, params.vector))
        jobs += [_with_slice(good, 1, 0, Slice(many, part.index_map)), good]
    dense = _small(params, rng, dense=True)
    for kept in (-1, 0):  # one too few, none at all
        few = Slice(dense.slices[0][1].vectors[:kept], dense.slices[0][1].index_map)
        jobs += [_with_slice(dense, 0, 1, few), dense]
    for index in (1, 0):  # behind the last vector; the largest that there is
        good = _small(params, rng)
        part = good.slices[0][1]
        bad = part.index_map.copy()
        bad[3] = part.p if index and part.p < params.m_tile else params.m_tile - 1
        jobs += [_with_slice(good, 0, 1, Slice(part.vectors, bad)), good]
    run = _run(params, [_programs(params, jobs)], seed=seed, stall=Stall(0.2))
    _clean(run)
    expected = [ERRORS[name] for name in ("SLICE", "SLICE", "SLICE", "SLICE", "INDEX", "INDEX")]
    assert [report.error for report in run.jobs] == [error for pair in zip(expected, [0] * 6, strict=True)
                                                     for error in pair]


@BOTH
def test_void_counts_on_the_first_beat_of_a_slice_alone(params: Parameters, seed: int) -> None:
    """`void` without `last` closes its slice all the same; on a later beat it means nothing."""
    rng = np.random.default_rng(seed)
    jobs = [hollow_job(rng, params) for _ in range(3)]
    made, layout = _programs(params, jobs), layouts.slice_beat(params)
    void, last = 1 << layout["void"].offset, 1 << layout["last"].offset
    changed = dict.fromkeys((void, last), 0)
    for each in made:
        begins = True
        for number, beat in enumerate(each.inputs["vectors"]):
            flips = last if beat & void else 0 if begins else void
            each.inputs["vectors"][number] ^= flips
            begins = bool(beat & last)
            changed[flips] = changed.get(flips, 0) + 1
    assert all(changed.values())
    _clean(_run(params, [made], seed=seed, stall=Stall(0.2)))


BAD_SCALES = (0.0, -1.0, np.inf, np.nan)


def _with_bad_scale(params: Parameters, good: CoreJob, column: int, scale: float, tile: int) -> Program:
    """The job with another scale for `column` in one tile.  No weight of it is set: 0 stays 0 under any scale."""
    weights = good.weights.copy()
    weights[:, column] = 0
    made = program(params, good.job, good.slices, weights, 0, good.scales)
    counts = good.job.counts(params)
    beat, lane = tile * counts.all_cols + column // params.cols, 32 * (column % params.cols)
    clear = made.inputs["scales"][beat] & ~(0xFFFFFFFF << lane)
    made.inputs["scales"][beat] = clear | int(np.float32(scale).view(np.uint32)) << lane
    made.status["error"] = ERRORS["SCALE"]
    return made


def test_bad_scales_are_told_and_survived(seed: int) -> None:
    rng, batch = np.random.default_rng(seed), []
    for number, scale in enumerate(BAD_SCALES):
        good = _small(BYTES, rng)
        column = [0, good.job.n - 1][number % 2]
        batch += [_with_bad_scale(BYTES, good, column, scale, tile=[0, len(good.job.tiles) - 1][number // 2]),
                  *_programs(BYTES, [good])]
    run = _run(BYTES, [batch], seed=seed, stall=Stall(0.2))
    _clean(run)
    assert [report.error for report in run.jobs] == [ERRORS["SCALE"], ERRORS["OK"]] * len(BAD_SCALES)


@BOTH
def test_a_concentrated_job_takes_fewer_cycles(params: Parameters, seed: int) -> None:
    rng = np.random.default_rng(seed)
    v, m = params.vector, params.m_tile
    positions = np.zeros((m, 4), np.int32)
    dense = Job(4 * v, 2 * v, [Tile(positions)] * 4, 1, 1, 0.9, dense=True)
    full, few = core_job(rng, params, dense), core_job(rng, params, replace(dense, dense=False), "one")
    run = _run(params, [_programs(params, [full, few])], seed=seed)
    _clean(run)
    for report in run.jobs:
        print(f"{report.ideal_cycles} ideal, counters {report.counters}")
    cycles = [report.counters["cycles"] for report in run.jobs]
    assert run.jobs[1].ideal_cycles * m == run.jobs[0].ideal_cycles
    assert cycles[1] < cycles[0] and cycles[0] < 1.25 * run.jobs[0].ideal_cycles + 50 * params.pe_depth + m


def test_waits_for_a_groups_sum_are_counted(seed: int) -> None:
    """Vectors that are all alike are one group and follow each other faster than the adder; a dense job has no sums."""
    ones = np.full((HASTY.vector, HASTY.vector), 0x3C00, np.uint16)
    tiles = tiles_of(Grid(1, 4, 4), HASTY.m_tile)
    alike = Job(HASTY.vector, HASTY.vector, tiles, 4, 4, 0.5)
    one, every = Slice(ones[:1], np.zeros(16, np.int32)), Slice(np.full((16, 2), 0x3C00, np.uint16), np.arange(16))
    jobs = [CoreJob(alike, [[one]], ones), CoreJob(replace(alike, dense=True), [[every]], ones)]
    run = _run(HASTY, [_programs(HASTY, jobs)], seed=seed)
    _clean(run)
    assert run.programs[0].result[0][0].p == 1
    assert [report.counters["mean_hazards"] > 0 for report in run.jobs] == [True, False]


def test_more_tiles_than_the_counters_hold(seed: int) -> None:
    """Tiles of one token and outputs that stand still: the job has ended only when every one of them has left."""
    params = make_params(m_tile=8, grid_max=(4, 4, 4), k_max=4, n_max=4, tokens_max=512, psum_banks=1, matchers=7,
                         matcher_lanes=4, pe_depth=4)
    rng = np.random.default_rng(seed)
    jobs = [core_job(rng, params, Job(4, 4, [Tile(np.zeros((1, 4), np.int32))] * tiles, 1, 1, 0.5), "one")
            for tiles in (34, 100)]
    closed = dict.fromkeys(("outputs", "out_maps", "summary"), Stall(1.0, burst=600))
    _clean(_run(params, [_programs(params, jobs)], seed=seed, stall=closed))


def test_of_several_errors_the_lowest_is_told(seed: int) -> None:
    """A slice with too many vectors and an index beyond another: SLICE, whichever is seen first."""
    rng = np.random.default_rng(seed)
    each = _small(TINY, rng)
    slices = [list(row) for row in each.slices]
    slices[0][0] = replace(slices[0][0], index_map=np.full_like(slices[0][0].index_map, TINY.m_tile - 1))
    surplus = np.resize(slices[-1][-1].vectors, (each.job.tiles[-1].tokens + 3, TINY.vector))
    slices[-1][-1] = replace(slices[-1][-1], vectors=surplus)
    made = _programs(TINY, [CoreJob(each.job, slices, each.weights), _small(TINY, rng)])
    stalls = [ALWAYS, Stall(0.5), {"maps": Stall(0.9, burst=20)}, {"vectors": Stall(0.9, burst=20)}]
    run = _run(TINY, [made] * len(stalls), seed=seed, stall=stalls)
    _clean(run)
    assert [report.error for report in run.jobs] == [layouts.ERRORS["SLICE"], layouts.ERRORS["OK"]] * len(stalls)
