# SPDX-License-Identifier: Apache-2.0
"""What a core of any configuration has to do, bit for bit.

Jobs back to back under every kind of stall, resets in mid-job, streams that come late.

Each check is given what stands in the bench, the emitted Verilog or its netlist, and a seed; it raises where something
differs, or did not happen.  `bad_data` has those of faulty jobs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.golden.job import Grid, Job, Tile, tiles_of
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.verif.bench.program import OUTPUTS, Program, inputs_of
from focus_rtl.verif.bench.streams import ALWAYS, Stall
from focus_rtl.verif.core.jobs import (
    astray_job,
    core_job,
    events_of,
    full_job,
    hollow_job,
    hurried_job,
    pruned_job,
    random_core_job,
)
from focus_rtl.verif.core.run import CoreJob, CoreRun, run_programs

__all__ = ["Check", "Device", "back_to_back", "clean", "concentrated", "lagging", "late_offsets", "late_positions",
           "many_tiles", "reset_in_mid_job", "small_job"]

STALLS = (ALWAYS, Stall(0.3), Stall(0.05, burst=20), Stall(0.6, burst=2), Stall(0.2, lazy=True))
KINDS = ("gather", "mixed", "dense", "one", "full", "runs", "gather")
LATE = Stall(1.0, burst=1000)  # counters of 16 bits do not wrap round


@dataclass(frozen=True)
class Device:
    """A core of `params`: as it is emitted, or another design with the same ports in its place."""

    params: Parameters
    design: EmittedDesign | None = None

    def programs(self, jobs: Sequence[CoreJob]) -> list[Program]:
        """The beats of some jobs."""
        return [each.program(self.params, number) for number, each in enumerate(jobs)]

    def run(self, batches: Sequence[Sequence[Program]], seed: int, **options: Any) -> CoreRun:
        """Options and errors as for `run_programs`.  The Verilog compiles fast, a netlist has to run fast."""
        quick = self.design is None
        return run_programs(self.params, batches, seed=seed, quick=quick, design=self.design, **options)


Check = Callable[[Device, int], CoreRun]
"""Of a device, with a seed."""


def clean(run: CoreRun) -> None:
    """Everything was compared, no job ended with an error that it should not have, every cycle has its name."""
    assert run.compared == run.expected == sum(each.words for each in run.programs) > 0
    assert [report.error for report in run.jobs] == [each.status["error"] for each in run.programs]
    for each, report in zip(run.programs, run.jobs, strict=True):
        total = sum(report.counters[name] for name in layouts.CYCLES)
        assert total % (1 << each.params.counter_bits) == report.counters["cycles"], "counters wrap round, all of them"


def small_job(device: Device, rng: np.random.Generator, dense: bool = False) -> CoreJob:
    """A job of two k-slices and one output vector."""
    params, grid = device.params, Grid(2, 3, 3)
    job = Job(2 * params.vector, params.vector, tiles_of(grid, min(params.m_tile, 8)), 3, 3, 0.7, dense=dense,
              dtype=params.dtype, block=params.block)
    return core_job(rng, params, job, "gather")


def back_to_back(device: Device, seed: int) -> CoreRun:
    """Jobs of every kind, under every kind of stall; each of the events that this is for has happened."""
    params, rng = device.params, np.random.default_rng(seed)
    jobs = [[random_core_job(rng, params, dense=kind == "dense", kind=kind, preload=bool(number % 2))
             for number, kind in enumerate(KINDS)] for _ in STALLS]
    for batch in jobs:
        batch += [hurried_job(rng, params), full_job(rng, params), hollow_job(rng, params),
                  hollow_job(rng, params, preload=True), *(pruned_job(rng, params) for _ in range(2)),
                  astray_job(rng, params, -1), astray_job(rng, params, 1)]
    run = device.run([device.programs(batch) for batch in jobs], seed, stall=STALLS)
    clean(run)
    events = events_of(params, run.programs, [each for batch in jobs for each in batch])
    events.update({name: sum(report.counters[name] for report in run.jobs) for name in layouts.COUNTERS})
    events.update({f"stall on {name}": cycles for name, cycles in run.stalled.items()})
    assert [name for name in _wanted(params) if not events[name]] == [], f"of {dict(sorted(events.items()))}"
    return run


def _wanted(params: Parameters) -> list[str]:
    """Events without which a run has shown too little."""
    wanted = ["dense job", "concentrated job", "preloaded job", "decoded job", "too few offsets", "too many offsets",
              "text without offsets", "separator", "pruning", "pruned before", "partial tile", "full tile", "p = 0",
              "first slice empty", "last slice empty", "every slice empty", "every slice empty, preloaded", "p = 1",
              "p = m_t > 1", "match", "chain",
              "K not a multiple of V", "all-zero vector",
              "array_idle", "empty_slices", "stall_input", "stall_psum", "stall_output", "scatter_chases",
              "scatter_hazards", "stall_preload"]
    wanted += ["rows skipped"] if params.row_passes > 1 else []
    wanted += ["columns skipped"] if params.col_passes > 1 else []
    wanted += ["N not a multiple of C"] if params.cols > 1 else []
    wanted += ["scatter_conflicts"] if params.scatter_lanes > 1 else []  # one lane has nobody in its way
    return wanted + [f"stall on {name}" for name in (*inputs_of(params), *OUTPUTS)]


def lagging(device: Device, seed: int) -> CoreRun:
    """Each stream in its turn comes long after all others."""
    params, rng = device.params, np.random.default_rng(seed)
    names = (*inputs_of(params), *OUTPUTS)
    batches = [device.programs([*(random_core_job(rng, params, tokens=24, slices=2, vectors=2, dense=dense,
                                                  preload=name == "preloads", decoded=False)
                                  for dense in (False, None)), pruned_job(rng, params)])
               for name in names]  # a dense job does not look at maps, a decoded one does not look at positions
    run = device.run(batches, seed, stall=[{name: Stall(1.0, burst=30)} for name in names])
    clean(run)
    assert [name for name in names if not run.stalled[name]] == []
    return run


def _longer_than(cycles: int, device: Device, rng: np.random.Generator) -> list[Program]:
    """Jobs that take more cycles than that: a stream takes no more than a beat in each."""
    made: list[Program] = []
    while max(sum(len(each.inputs[name]) for each in made) for name in inputs_of(device.params)) <= cycles:
        made += device.programs([random_core_job(rng, device.params)])
    return made


def reset_in_mid_job(device: Device, seed: int) -> CoreRun:
    """Nothing of a job that a reset has broken off is left in the next one."""
    params, rng = device.params, np.random.default_rng(seed)
    cuts = [int(cut) for cut in rng.integers(5, 400, 6)]
    batches: list[list[Program]] = []
    cut_after: dict[int, int] = {}
    for cut in cuts:
        cut_after[len(batches)] = cut
        batches += [_longer_than(cut, device, rng), device.programs([random_core_job(rng, params, tokens=20)])]
    run = device.run(batches, seed, stall=Stall(0.1), cut_after=cut_after)
    assert len(run.programs) == len(cuts) and run.compared >= run.expected > 0
    for number, cut in enumerate(cuts):
        assert run.cycles[2 * number] == cut, "a batch ended before its reset: it has to be cut in mid-job"
    return run


def concentrated(device: Device, seed: int) -> CoreRun:
    """A dense job, and the same with one vector for each tile: so many times fewer enter the array."""
    params, rng = device.params, np.random.default_rng(seed)
    v, m = params.vector, params.m_tile
    positions = np.zeros((m, 4), np.int32)
    dense = Job(4 * v, 2 * v, [Tile(positions)] * 4, 1, 1, 0.9, dense=True, dtype=params.dtype, block=params.block)
    full, few = core_job(rng, params, dense), core_job(rng, params, replace(dense, dense=False), "one")
    run = device.run([device.programs([full, few])], seed)
    clean(run)
    assert run.jobs[1].ideal_cycles * m == run.jobs[0].ideal_cycles
    assert [report.counters["array_busy"] for report in run.jobs] == [report.ideal_cycles for report in run.jobs]
    return run


def many_tiles(device: Device, seed: int) -> CoreRun:
    """Tiles of one token and outputs that stand still: the job has ended only when every one of them has left."""
    params, rng = device.params, np.random.default_rng(seed)
    jobs = [core_job(rng, params, Job(params.vector, params.vector, [Tile(np.zeros((1, 4), np.int32))] * tiles, 1, 1,
                                      0.5, dtype=params.dtype, block=params.block), "one") for tiles in (34, 100)]
    closed = dict.fromkeys(("outputs", "out_maps", "summary"), Stall(1.0, burst=600))
    run = device.run([device.programs(jobs)], seed, stall=closed)
    clean(run)
    return run


def late_offsets(device: Device, seed: int) -> CoreRun:
    """The array goes on without them, gather waits; of what is wrong with them the status tells, however late."""
    rng = np.random.default_rng(seed)
    batches = [device.programs([astray_job(rng, device.params, surplus), pruned_job(rng, device.params)])
               for surplus in (0, 1, -1)]
    run = device.run(batches, seed, stall={"retained": LATE})
    clean(run)
    astray = layouts.ERRORS["OFFSET"]
    assert [report.error for report in run.jobs] == [0, 0, astray, 0, astray, 0]
    assert all(report.counters["stall_positions"] > 0 for report in run.jobs[1::2])
    return run


def late_positions(device: Device, seed: int) -> CoreRun:
    """A job that is told positions waits for them, one that is told offsets does not."""
    rng = np.random.default_rng(seed)
    told = pruned_job(rng, device.params)
    direct = replace(told, job=replace(told.job, offsets=None))
    run = device.run([device.programs([each]) for each in (told, direct)], seed, stall={"positions": LATE})
    clean(run)
    waits = [report.counters["stall_positions"] for report in run.jobs]
    assert waits[0] < 100 < waits[1], "a decoded job looks at positions, or a direct one does not wait for them"
    return run
