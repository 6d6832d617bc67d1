# SPDX-License-Identifier: Apache-2.0
"""Random distinct configurations of the core, each with random jobs, all equal to the golden model; prints its bins.

    python -m focus_rtl.verif.core.campaign 200 --seed 7
    python -m focus_rtl.verif.core.campaign 200 --seed 7 --only 31      # replays one of them
"""

import argparse
import functools
import json
import multiprocessing
import secrets
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.verif.bench.program import INPUTS, OUTPUTS
from focus_rtl.verif.bench.streams import ALWAYS, Stall
from focus_rtl.verif.core.configurations import empty_bins, plan, value_bins
from focus_rtl.verif.core.jobs import astray_job, events_of, hollow_job, hurried_job, pruned_job, random_core_job
from focus_rtl.verif.core.run import CoreJob, run_programs

__all__ = ["Outcome", "campaign", "empty_events", "main"]

STALLS = (Stall(0.3), Stall(0.05, burst=20), Stall(0.6, burst=2), Stall(0.2, lazy=True))
KINDS = ("gather", "one", "full", "mixed")

EVENTS = (
    "dense job", "concentrated job", "preloaded job", "decoded job", "too few offsets", "too many offsets",
    "text without offsets", "separator", "pruning", "pruned before", "partial tile", "full tile", "text tile", "p = 0",
    "first slice empty", "last slice empty", "every slice empty", "every slice empty, preloaded", "p = 1",
    "p = m_t > 1", "match", "chain",
    "all-zero vector", "K not a multiple of V", "N not a multiple of C", "N not a multiple of V", "rows skipped",
    "columns skipped", "several slices", "stall_input", "stall_psum", "stall_weights", "stall_chain", "stall_output",
    "empty_slices", "scatter_conflicts", "scatter_chases", "scatter_hazards", "stall_preload",
    *(f"stall on {name}" for name in (*INPUTS, *OUTPUTS)))
"""What has to happen at least once in a campaign of 10 or more."""


@dataclass(frozen=True)
class Outcome:
    """What came of one configuration: words compared and expected, cycles, events; or why it failed."""

    number: int
    params: Parameters
    compared: int
    expected: int
    cycles: int
    seconds: float
    events: Counter[str]
    failure: str | None = None

    @property
    def passed(self) -> bool:
        return self.failure is None and self.compared == self.expected > 0


def _jobs(params: Parameters, seed: int, number: int) -> list[list[CoreJob]]:
    """Two batches: every kind of data once without stalls, then at random under stalls."""
    rng = np.random.default_rng((seed, number))
    draw = functools.partial(random_core_job, rng, params, tokens=min(2 * params.m_tile, 40), slices=3, vectors=2)
    first = [draw(dense=False, kind=kind) for kind in KINDS]
    second = [draw(dense=True), draw(dense=False), hurried_job(rng, params), hollow_job(rng, params),
              hollow_job(rng, params, preload=True), pruned_job(rng, params), *(astray_job(rng, params, surplus)
                                                                                for surplus in (-1, 1)), draw()]
    return [first, second]


def run_one(params: Parameters, seed: int, number: int, count: int, cache_dir: Path | None, keep: bool,
            timeout: float = 300) -> Outcome:
    """One configuration; what is wrong with it is in the outcome, never raised."""
    start = time.monotonic()
    replay = f"python -m focus_rtl.verif.core.campaign {count} --seed {seed} --only {number}"
    try:
        batches = _jobs(params, seed, number)
        programs = [[each.program(params, seed) for each in batch] for batch in batches]
        run = run_programs(params, programs, seed=seed, stall=[ALWAYS, STALLS[number % len(STALLS)]], replay=replay,
                           timeout=timeout, cache_dir=cache_dir, quick=True, compilers=1)
    except (AssertionError, RuntimeError, ValueError, OSError) as error:
        return Outcome(number, params, 0, 0, 0, time.monotonic() - start, Counter(),
                       f"{type(error).__name__}: {error}\n  replay: {replay}")
    events = events_of(params, run.programs, [each for batch in batches for each in batch])
    events.update({name: sum(report.counters[name] for report in run.jobs) for name in layouts.COUNTERS})
    events.update({f"stall on {name}": cycles for name, cycles in run.stalled.items()})
    if not keep:
        shutil.rmtree(run.folder, ignore_errors=True)
    return Outcome(number, params, run.compared, run.expected, sum(run.cycles), time.monotonic() - start, events)


def campaign(count: int, seed: int, workers: int = 2, cache_dir: Path | None = None, keep: bool = False,
             only: Sequence[int] = (), timeout: float = 300) -> Iterator[Outcome]:
    """Outcomes of `count` distinct configurations, as they come.

    Parameters
    ----------
    workers : configurations at a time.
    cache_dir : of the builds.  keep : leave them there, also the ones that passed.
    only : numbers of the configurations to run (none: all).
    timeout : seconds that one simulation may take.
    """
    chosen = [(number, params) for number, params in enumerate(plan(seed, count)) if not only or number in only]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures: list[Future[Outcome]] = [pool.submit(run_one, params, seed, number, count, cache_dir, keep, timeout)
                                          for number, params in chosen]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def empty_events(outcomes: Sequence[Outcome]) -> list[str]:
    """Events that never happened, in a campaign long enough to expect them."""
    events: Counter[str] = sum((outcome.events for outcome in outcomes), Counter())
    return [name for name in EVENTS if not events[name]] if len(outcomes) >= 10 else []


def _line(outcome: Outcome) -> str:
    p = outcome.params
    grid = "x".join(str(side) for side in p.grid_max)
    verdict = "equal" if outcome.passed else "FAILED"
    return (f"{outcome.number:4} {p.sha256[:12]} {p.dtype} R {p.rows:2} C {p.cols:2} V {p.vector:2} m {p.m_tile:2} "
            f"grid {grid:7} S {p.scatter_lanes} banks {p.psum_banks:2} ahead {p.scatter_lookahead:2} "
            f"block {'x'.join(str(side) for side in p.block)} matchers {p.matchers:2} lanes {p.matcher_lanes:2} "
            f"depth {p.pe_depth}: "
            f"{outcome.compared:5} words, {outcome.cycles:6} cycles, {outcome.seconds:5.1f} s, {verdict}")


def _print_bins(outcomes: Sequence[Outcome], tell: Callable[[str], None]) -> None:
    bins = Counter(name for outcome in outcomes for name in value_bins(outcome.params))
    events: Counter[str] = sum((outcome.events for outcome in outcomes), Counter())
    single = sorted(name for name in bins if "," not in name)
    tell("values: " + "; ".join(f"{name}: {bins[name]}" for name in single))
    tell(f"pairs of values: {len(bins) - len(single)} distinct")
    tell("events: " + "; ".join(f"{name}: {events[name]}" for name in EVENTS))


def _summary(seed: int, outcomes: Sequence[Outcome], empty: Sequence[str]) -> dict[str, object]:
    return {"schema": "focus-rtl-campaign-1", "seed": seed, "configurations": len(outcomes),
            "words_expected": sum(outcome.expected for outcome in outcomes),
            "words_compared": sum(outcome.compared for outcome in outcomes),
            "failed": [outcome.number for outcome in outcomes if not outcome.passed], "empty_bins": list(empty),
            "config_sha256": [outcome.params.sha256 for outcome in outcomes]}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("count", type=int, help="number of configurations")
    parser.add_argument("--seed", type=int, default=None, help="of everything (default: a fresh one, printed)")
    parser.add_argument("--jobs", type=int, default=2, help="configurations at a time (default 2)")
    parser.add_argument("--only", type=int, nargs="+", default=[], help="run these numbers only")
    parser.add_argument("--timeout", type=float, default=300, help="seconds a simulation may take (default 300)")
    parser.add_argument("--cache-dir", type=Path, default=None, help="folder of the builds")
    parser.add_argument("--keep", action="store_true", help="keep every build in the cache")
    parser.add_argument("--json", type=Path, default=None, help="write a summary to this file")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a campaign and print it; 0 if all is equal and no bin is empty, else 1."""
    arguments = _arguments(argv)
    seed = secrets.randbits(31) if arguments.seed is None else arguments.seed
    print(f"campaign of {arguments.count} configurations, seed {seed}", flush=True)
    outcomes = []
    for outcome in campaign(arguments.count, seed, arguments.jobs, arguments.cache_dir, arguments.keep, arguments.only,
                            arguments.timeout):
        outcomes.append(outcome)
        print(_line(outcome), flush=True)
        if outcome.failure:
            print(outcome.failure, flush=True)
    outcomes.sort(key=lambda outcome: outcome.number)
    _print_bins(outcomes, print)
    empty = [] if arguments.only else empty_bins([outcome.params for outcome in outcomes]) + empty_events(outcomes)
    failed = [outcome.number for outcome in outcomes if not outcome.passed]
    summary = _summary(seed, outcomes, empty)
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=1) + "\n")
    print(f"{len(outcomes)} configurations, {summary['words_compared']} of {summary['words_expected']} words compared, "
          f"failed: {failed or 'none'}, empty bins: {empty or 'none'}, seed {seed}")
    return 1 if failed or empty or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
