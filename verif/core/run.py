# SPDX-License-Identifier: Apache-2.0
"""Runs jobs on a core of any configuration and compares every word with the golden model.

    run = run_core_jobs(params, [CoreJob(job, slices, weights)], stall=Stall(0.3), seed=1)
    run.compared, run.jobs[0].counters["cycles"]

The tests, the campaign, the mutants and `focus-rtl demo` are all this one function.
"""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.golden.core import Slice
from focus_rtl.golden.job import Job
from focus_rtl.golden.numeric.dtypes import Bits
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sec.sec import SecOrder
from focus_rtl.golden.sic.scatter import Scales
from focus_rtl.hdl import layouts
from focus_rtl.hdl.core import Core
from focus_rtl.verif.bench.build import build
from focus_rtl.verif.bench.player import Played, Segment, play
from focus_rtl.verif.bench.program import OUTPUTS, Program, inputs_of, program, unpack
from focus_rtl.verif.bench.runner import SimulationError
from focus_rtl.verif.bench.scoreboard import Scoreboard
from focus_rtl.verif.bench.streams import ALWAYS, Stall

__all__ = ["CoreJob", "CoreRun", "JobReport", "Stalls", "run_core_jobs", "run_programs"]

Stalls = Stall | dict[str, Stall]


@dataclass(frozen=True, eq=False)
class CoreJob:
    """A golden job and its data: what `golden.core.run_layer` takes, and what is pruned beside it."""

    job: Job
    slices: Sequence[Sequence[Slice]]
    weights: Bits
    scales: Scales | None = None
    preloads: NDArray[np.uint32] | None = None
    prunings: Sequence[SecOrder] = ()

    def program(self, params: Parameters, seed: int) -> Program:
        """Its beats; `seed` fills what the machine ignores."""
        return program(params, self.job, self.slices, self.weights, seed, self.scales, self.preloads, self.prunings)


@dataclass(frozen=True)
class JobReport:
    """What the hardware said of a job: error code, the counters of `hdl.layouts.COUNTERS` (cycles among them)."""

    error: int
    counters: dict[str, int]
    ideal_cycles: int
    words: int


@dataclass(frozen=True)
class CoreRun:
    """Everything equal: how many words, and what each job took.

    folder : of the build in the cache.  cycles : from reset to the last word, per batch.
    stalled : cycles that each side of a stream paused, by stream.
    """

    jobs: list[JobReport]
    compared: int
    expected: int
    cycles: list[int]
    stalled: dict[str, int]
    seed: int
    seconds_build: float
    seconds_run: float
    cached: bool
    folder: Path
    waves: str | None = None
    programs: list[Program] = field(default_factory=list, repr=False)


@functools.lru_cache(maxsize=4)
def _design(params: Parameters, prefix: str) -> EmittedDesign:
    return verilog_of(Core(params), prefix)


def run_core_jobs(params: Parameters, jobs: Sequence[CoreJob], *, seed: int, **options: Any) -> CoreRun:
    """Run jobs back to back on one core; parameters, result and errors as for `run_programs`."""
    programs = [each.program(params, seed + number) for number, each in enumerate(jobs)]
    return run_programs(params, [programs], seed=seed, **options)


def run_programs(params: Parameters, batches: Sequence[Sequence[Program]], *, seed: int,
                 stall: Stalls | Sequence[Stalls] = ALWAYS, cut_after: dict[int, int] | None = None,
                 replay: str | None = None, prefix: str = "", waves: bool = False, timeout: float = 600,
                 patience: int = 20000, cache_dir: Path | None = None, quick: bool = False,
                 compilers: int | None = None, progress: Callable[[str], None] | None = None,
                 design: EmittedDesign | None = None) -> CoreRun:
    """Run batches of jobs, with a reset before each batch, and compare.

    Parameters
    ----------
    params : configuration of the core; its memories must be inferred.
    batches : jobs that run back to back.
    seed : of all stalls.
    stall : of every stream, or by stream (the others never stall); one for all batches or one each.
    cut_after : batch -> cycles after which it is broken off (the reset of the next one then hits it in mid-job); only
        what came until then is compared.
    replay : the command to name in a message (else the seed and the configuration's hash are named).
    patience : cycles without any transfer after which the run fails.
    compilers : compiler processes at a time.
    design : what to simulate in place of the emitted core, with the same ports.
    prefix, waves, timeout, cache_dir, quick, progress : see `bench.runner.simulate`.

    Raises
    ------
    Mismatch : a word differs, is missing, or is left over.
    SimulationError : a protocol error, or nothing moved.  BuildError, ToolMissing, CacheError.
    """
    start = time.monotonic()
    if progress:
        progress("emitting Verilog")
    design = design or _design(params, prefix)
    built = build(design, waves, cache_dir, quick=quick, jobs=compilers, progress=progress)
    seconds = time.monotonic() - start
    every = [stall] * len(batches) if isinstance(stall, Stall | dict) else stall
    segments = [_segment(batch, one, (cut_after or {}).get(number))
                for number, (batch, one) in enumerate(zip(batches, every, strict=True))]
    played, result = play(design, built, segments, seed=seed, patience=patience, timeout=timeout, progress=progress)
    hint = replay or f"seed {seed}, configuration {params.sha256[:12]}"
    hint += f"\n  waves: {result['waves']}" if "waves" in result else ""
    boards = [_check(batch, part, segment, hint, seed)
              for batch, part, segment in zip(batches, played, segments, strict=False)]
    stalled: dict[str, int] = {}
    for part in played:
        for name, cycles in part.stalled.items():
            stalled[name] = stalled.get(name, 0) + cycles
    whole = [(batch, part) for batch, part, segment in zip(batches, played, segments, strict=True)
             if segment.limit is None]
    return CoreRun(
        jobs=[report for batch, part in whole for report in _reports(batch, part)],
        compared=sum(board.compared for board in boards), expected=sum(board.expected for batch, board in zip(
            batches, boards, strict=True) if any(batch is some for some, _ in whole)),
        cycles=[part.cycles for part in played], stalled=stalled, seed=seed, seconds_build=round(seconds, 3),
        seconds_run=result["seconds_run"], cached=built.cached, folder=built.folder, waves=result.get("waves"),
        programs=[each for batch, _ in whole for each in batch])


def _segment(batch: Sequence[Program], stall: Stalls, limit: int | None) -> Segment:
    names = inputs_of(batch[0].params)
    stalls = dict.fromkeys((*names, *OUTPUTS), stall) if isinstance(stall, Stall) else stall
    inputs = {name: [word for each in batch for word in each.inputs[name]] for name in names}
    return Segment(inputs, {name: sum(each.count_of(name) for each in batch) for name in OUTPUTS}, stalls, limit)


def _check(batch: Sequence[Program], played: Played, segment: Segment, replay: str, seed: int) -> Scoreboard:
    board = Scoreboard(batch, replay)
    board.check(played.received, complete=played.failure is None and segment.limit is None)
    if played.failure is not None:  # and nothing that came before it was wrong
        raise SimulationError(f"{played.failure}\n  seed {seed}; {replay}")
    return board


def _reports(batch: Sequence[Program], played: Played) -> list[JobReport]:
    statuses = [unpack(layouts.status(each.params), word)
                for each, word in zip(batch, played.received["status"].words, strict=True)]
    return [JobReport(status.pop("error"), status, each.counts.ideal_cycles, each.words)
            for each, status in zip(batch, statuses, strict=True)]
