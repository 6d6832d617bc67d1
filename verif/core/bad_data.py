# SPDX-License-Identifier: Apache-2.0
"""Faulty jobs on a core of any configuration: told by their codes and survived, or the core stops until a reset."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from focus_rtl.golden.core import Slice
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.verif.bench.program import Program, program, rejected
from focus_rtl.verif.bench.streams import ALWAYS, Stall
from focus_rtl.verif.core.checks import Device, clean, small_job
from focus_rtl.verif.core.jobs import hollow_job, pruned_job
from focus_rtl.verif.core.run import CoreJob, CoreRun

__all__ = ["bad_counts", "bad_data", "bad_scales", "bad_tile", "bad_videos", "lowest_error", "void"]

ERRORS = layouts.ERRORS
BAD_SCALES = (0.0, -1.0, np.inf, np.nan)
VIDEO = {"decoded": 1, "frames": 2, "row_stride": 3, "frame_stride": 12}

LIMITS: dict[str, Callable[[Parameters], int]] = {
    "tiles": lambda p: p.tokens_max, "slices": lambda p: -(-p.k_max // p.vector), "last_rows": lambda p: p.row_passes,
    "vectors": lambda p: -(-p.n_max // p.vector), "last_cols": lambda p: p.col_passes, "last_lanes": lambda p: p.vector,
    "height": lambda p: p.grid_max[1], "width": lambda p: p.grid_max[2]}
VIDEO_LIMITS: dict[str, Callable[[Parameters], int]] = {
    "frames": lambda p: p.grid_max[0], "row_stride": lambda p: p.sec_tokens_max,
    "frame_stride": lambda p: p.sec_tokens_max}


def _refused(device: Device, good: CoreJob, name: str, limit: int, others: dict[str, int]) -> list[Program]:
    """A job with 0 in a field, and one with more than its limit if the field can say it."""
    width = layouts.job(device.params)[name].width
    return [rejected(device.params, good.job, lambda fields, value=value: fields | others | {name: value})
            for value in (0, limit + 1) if value < 1 << width]


def _ended_at_once(device: Device, seed: int, limits: dict[str, Callable[[Parameters], int]], others: dict[str, int],
                   make: Callable[[Device, np.random.Generator], CoreJob]) -> CoreRun:
    rng, batch = np.random.default_rng(seed), []
    for name, limit in limits.items():
        good = make(device, rng)
        batch += [*_refused(device, good, name, limit(device.params), others), *device.programs([good])]
    run = device.run([batch], seed, stall=Stall(0.2))
    clean(run)
    assert Counter(report.error for report in run.jobs) == {ERRORS["JOB"]: len(batch) - len(limits),
                                                            ERRORS["OK"]: len(limits)}
    assert len(batch) > 2 * len(limits), "no field can say more than its limit"
    return run


def bad_counts(device: Device, seed: int) -> CoreRun:
    """A count of a job that is 0 or too large ends the job at once, and the next one is taken."""
    return _ended_at_once(device, seed, LIMITS, {}, small_job)


def bad_videos(device: Device, seed: int) -> CoreRun:
    """With `decoded` only: the good jobs between them say nothing of frames and strides, or the right things."""
    return _ended_at_once(device, seed, VIDEO_LIMITS, VIDEO, lambda device, rng: pruned_job(rng, device.params))


def bad_tile(device: Device, seed: int) -> CoreRun:
    """A tile of no tokens, or too many, stops the core until it is reset."""
    params, rng = device.params, np.random.default_rng(seed)
    batches = []
    for tokens in (0, params.m_tile + 1):
        good = small_job(device, rng)
        batches += [[rejected(params, good.job, tokens=tokens)], device.programs([good])]
    run = device.run(batches, seed)
    clean(run)
    assert [report.error for report in run.jobs] == [ERRORS["TILE"], ERRORS["OK"]] * 2
    return run


def _with_slice(job: CoreJob, tile: int, k: int, part: Slice) -> CoreJob:
    slices = [list(row) for row in job.slices]
    slices[tile][k] = part
    return replace(job, slices=slices)


def bad_data(device: Device, seed: int) -> CoreRun:
    """Slices with too many or too few vectors, indices of vectors that are not there: told, and survived."""
    params, rng = device.params, np.random.default_rng(seed)
    jobs: list[CoreJob] = []
    for surplus in (1, params.m_tile):  # beyond the tokens, and beyond the buffer
        good = small_job(device, rng)
        part, tokens = good.slices[1][0], good.job.tiles[1].tokens
        many = np.resize(part.vectors, (tokens + surplus, params.vector))
        jobs += [_with_slice(good, 1, 0, Slice(many, part.index_map)), good]
    dense = small_job(device, rng, dense=True)
    for kept in (-1, 0):  # one too few, none at all
        few = Slice(dense.slices[0][1].vectors[:kept], dense.slices[0][1].index_map)
        jobs += [_with_slice(dense, 0, 1, few), dense]
    for index in (1, 0):  # behind the last vector; the largest that there is
        good = small_job(device, rng)
        part = good.slices[0][1]
        bad = part.index_map.copy()
        bad[3] = part.p if index and part.p < params.m_tile else params.m_tile - 1
        jobs += [_with_slice(good, 0, 1, Slice(part.vectors, bad)), good]
    run = device.run([device.programs(jobs)], seed, stall=Stall(0.2))
    clean(run)
    expected = [ERRORS[name] for name in ("SLICE", "SLICE", "SLICE", "SLICE", "INDEX", "INDEX")]
    assert [report.error for report in run.jobs] == [error for pair in zip(expected, [0] * 6, strict=True)
                                                     for error in pair]
    return run


def void(device: Device, seed: int) -> CoreRun:
    """`void` without `last` closes its slice all the same; on a later beat it means nothing."""
    params, rng = device.params, np.random.default_rng(seed)
    made, layout = device.programs([hollow_job(rng, params) for _ in range(3)]), layouts.slice_beat(params)
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
    run = device.run([made], seed, stall=Stall(0.2))
    clean(run)
    return run


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


def bad_scales(device: Device, seed: int) -> CoreRun:
    """int8 only: scales that are no numbers above 0 are told and survived."""
    rng, batch = np.random.default_rng(seed), []
    for number, scale in enumerate(BAD_SCALES):
        good = small_job(device, rng)
        column = [0, good.job.n - 1][number % 2]
        tile = [0, len(good.job.tiles) - 1][number // 2]
        batch += [_with_bad_scale(device.params, good, column, scale, tile), *device.programs([good])]
    run = device.run([batch], seed, stall=Stall(0.2))
    clean(run)
    assert [report.error for report in run.jobs] == [ERRORS["SCALE"], ERRORS["OK"]] * len(BAD_SCALES)
    return run


def lowest_error(device: Device, seed: int) -> CoreRun:
    """A slice with too many vectors and an index beyond another: SLICE, whichever is seen first."""
    params, rng = device.params, np.random.default_rng(seed)
    each = small_job(device, rng)
    slices = [list(row) for row in each.slices]
    slices[0][0] = replace(slices[0][0], index_map=np.full_like(slices[0][0].index_map, params.m_tile - 1))
    surplus = np.resize(slices[-1][-1].vectors, (each.job.tiles[-1].tokens + 3, params.vector))
    slices[-1][-1] = replace(slices[-1][-1], vectors=surplus)
    made = device.programs([replace(each, slices=slices), small_job(device, rng)])
    stalls = [ALWAYS, Stall(0.5), {"maps": Stall(0.9, burst=20)}, {"vectors": Stall(0.9, burst=20)}]
    run = device.run([made] * len(stalls), seed, stall=stalls)
    clean(run)
    assert [report.error for report in run.jobs] == [ERRORS["SLICE"], ERRORS["OK"]] * len(stalls)
    return run
