# SPDX-License-Identifier: Apache-2.0
"""A film through the Verilog: two chained layers per case, every word compared with the golden model.

    python -m focus_rtl.verif.core.film                    # every block, three formats, all drop rates and thresholds
    python -m focus_rtl.verif.core.film --video FILM       # a film of your own after the photograph clip
    python -m focus_rtl.verif.core.film --only 3 --seed 7  # one of the configurations
    python -m focus_rtl.verif.core.film --video FILM --json docs/concentrator.json    # those that are not recorded

A configuration is a block in a format with a kind of representative; it is built once and runs every drop rate and
threshold, the grids in turn.
"""

import argparse
import hashlib
import itertools
import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from focus_rtl.gen.tokens import clip_tokens, layer_weights, output_scales
from focus_rtl.gen.video import Clip, photo_clip, read_video
from focus_rtl.golden.core import concentrate, next_slices, run_layer, tokens_of
from focus_rtl.golden.job import Block, Grid, Job, tiles_of
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.sic.gather import Gather
from focus_rtl.hdl.sic.scatter import Scatter
from focus_rtl.verif.bench.streams import Stall
from focus_rtl.verif.bench.toolchain import toolchain
from focus_rtl.verif.core.run import CoreJob, run_core_jobs
from focus_rtl.verif.golden.cases import make_params
from focus_rtl.verif.golden.film import BLOCKS, DROPS, THRESHOLDS
from focus_rtl.verif.records import Record, design_of, put, read, stamp

__all__ = ["CONFIGURATIONS", "GRIDS", "NAMES", "Case", "Outcome", "cases_of", "design", "pending", "record", "run_film"]

Case = tuple[Grid, float, float]
"""A grid, the part of the tokens that is dropped, the threshold."""

GRIDS = (Grid(6, 4, 4), Grid(3, 5, 6), Grid(4, 6, 4, row_stride=5))
"""The last one's rows end in a separator."""



def _configuration(dtype: str, block: Block, representative: str) -> Parameters:
    return make_params(dtype=dtype, block=block, vector=8, m_tile=32, matcher_lanes=4, representative=representative)


CONFIGURATIONS = (
    *(_configuration(DTYPES[sum(block) % 3], block, "first") for block in BLOCKS),
    *(_configuration(DTYPES[(frames + 2 * rows) % 3], (frames, rows, (frames + rows) % 3 + 1), "mean")
      for frames, rows in itertools.product((1, 2, 3), repeat=2)))
"""Every block with first vectors, and means with each pair of sides; each side of each axis meets each format."""

NAMES = tuple(f"rtl {'x'.join(map(str, p.block))} {p.dtype} {p.representative}" for p in CONFIGURATIONS)
"""What their records are called."""


def cases_of(number: int) -> list[Case]:
    """What configuration `number` runs: every drop rate and threshold, the grids in turn, from another one on each."""
    return [(GRIDS[(turn + number) % len(GRIDS)], drop, threshold)
            for turn, (drop, threshold) in enumerate(itertools.product(DROPS, THRESHOLDS))]


@dataclass(frozen=True)
class Outcome:
    """What a configuration's cases came to: layers run, words compared and expected, matches among the outputs.

    film : in words.  failure : what went wrong, if anything did.
    """

    layers: int
    compared: int
    expected: int
    matched: int
    film: str = ""
    failure: str = ""

    @property
    def passed(self) -> bool:
        return not self.failure and self.compared == self.expected > 0


def _clip(grid: Grid, video: Path | None, seed: int) -> Clip:
    sides = grid.frames, grid.height, grid.width
    return photo_clip(*sides, seed) if video is None else read_video(video, *sides)


def _tokens(params: Parameters, grid: Grid, video: Path | None, seed: int) -> Bits:
    """(grid.tokens, 2V): a film's tokens, and zeros for separators."""
    tokens = clip_tokens(_clip(grid, video, seed), 2 * params.vector, seed, params.dtype)
    everything = np.zeros((grid.tokens, 2 * params.vector), tokens.dtype)
    row, column = grid.positions.T[2:]
    everything[(row < grid.height) & (column < grid.width)] = tokens
    return everything


def _layers(params: Parameters, tokens: Bits, grid: Grid, drop: float, threshold: float, seed: int) -> list[CoreJob]:
    """The film's concentrated tokens through two layers, as jobs; the second takes what the first gives."""
    retained = np.random.default_rng(seed).random(grid.tokens) >= drop
    retained[:2] = True
    width = tokens.shape[1]
    job = Job(width, width, tiles_of(grid, params.m_tile, retained, text_tokens=2), grid.height, grid.width,
              threshold, dtype=params.dtype, block=params.block)
    present = np.concatenate([tokens[retained], np.ones((2, width), tokens.dtype)])
    slices, jobs = next_slices(concentrate(present, job, params)), []
    for layer in range(2):
        weights = layer_weights(width, width, seed, layer, params.dtype)
        scales = output_scales(tokens_of(slices, width), weights, params.dtype)
        jobs.append(CoreJob(job, slices, weights, scales))
        slices = next_slices(run_layer(params, job, slices, weights, scales))
    return jobs


def run_film(params: Parameters, cases: list[Case], video: Path | None, seed: int, cache_dir: Path | None = None,
             compilers: int | None = None) -> Outcome:
    """One configuration: two layers per case back to back, under stalls.

    Raises
    ------
    Mismatch, SimulationError, BuildError : as `run_core_jobs`.
    """
    grids = {case[0] for case in cases}
    tokens = {grid: _tokens(params, grid, video, seed) for grid in grids}
    jobs = [layer for number, (grid, drop, threshold) in enumerate(cases)
            for layer in _layers(params, tokens[grid], grid, drop, threshold, seed + number)]
    run = run_core_jobs(params, jobs, seed=seed, stall=Stall(0.2), quick=True, cache_dir=cache_dir,
                        compilers=compilers)
    matched = sum(part.matched for each in jobs
                  for row in run_layer(params, each.job, each.slices, each.weights, each.scales) for part in row)
    return Outcome(len(jobs), run.compared, run.expected, matched, _clip(cases[0][0], video, seed).origin)


def _one(number: int, videos: list[Path | None], seed: int) -> list[Outcome]:
    """Configuration `number` with all its cases, film after film; what is wrong with one is in its outcome."""
    folder = Path(tempfile.mkdtemp(prefix="focus-rtl-film-"))
    outcomes = []
    try:
        for video in videos:
            try:
                outcomes.append(run_film(CONFIGURATIONS[number], cases_of(number), video, seed, folder, compilers=1))
            except Exception as error:  # the others still have something to say
                outcomes.append(Outcome(0, 0, 0, 0, failure=f"{type(error).__name__}: {error}"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return outcomes


def design(number: int) -> str:
    """SHA-256 of the Verilog that decides about configuration `number`'s words: gather's and scatter's."""
    params = CONFIGURATIONS[number]
    return hashlib.sha256((design_of(Gather(params)) + design_of(Scatter(params))).encode()).hexdigest()


def record(number: int, outcomes: list[Outcome], command: str) -> Record:
    """What is kept of a configuration whose words were all equal; the photograph's outcome first."""
    def totals(outcome: Outcome) -> dict[str, Any]:
        return {name: getattr(outcome, name) for name in ("film", "layers", "compared", "matched")}
    tools = {"verilator": toolchain().verilator.version}
    return {"films": [totals(outcome) for outcome in outcomes], "different": 0,
            **stamp(command, design(number), tools)}


def pending(numbers: Iterable[int], path: Path, films: int) -> list[int]:
    """Configurations that are not recorded with that many films, or of another design than today's."""
    known = read(path)
    return [number for number in numbers if len(known.get(NAMES[number], {"films": []})["films"]) < films
            or known[NAMES[number]]["design_sha256"] != design(number)]


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.core.film", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a film, after the photograph that is panned and zoomed")
    parser.add_argument("--seed", type=int, default=1, help="of clip, weights, dropped tokens and stalls")
    parser.add_argument("--only", type=int, nargs="*", metavar="NUMBER",
                        help=f"of the {len(CONFIGURATIONS)} configurations; else all")
    parser.add_argument("--jobs", type=int, default=2, help="configurations at a time")
    parser.add_argument("--json", type=Path, help="record there; what is there of the same design is not run")
    told = parser.parse_args()
    videos = [None, told.video] if told.video else [None]
    numbers = list(range(len(CONFIGURATIONS))) if told.only is None else told.only
    numbers = pending(numbers, told.json, len(videos)) if told.json else numbers
    failed, compared = [], 0
    with ProcessPoolExecutor(told.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = {number: pool.submit(_one, number, videos, told.seed) for number in numbers}
        for number, future in found.items():
            outcomes = future.result()
            good = sum(_said(number, outcome) for outcome in outcomes) == len(videos)
            failed += [] if good else [number]
            compared += sum(outcome.compared for outcome in outcomes)
            if good and told.json:
                put(told.json, NAMES[number], record(number, outcomes, _command(told.video, told.seed, number)))
    print(f"{compared} words compared in {len(numbers)} configurations" + f"; FAILED: {failed}" * bool(failed))
    return int(bool(failed))


def _command(video: Path | None, seed: int, number: int) -> str:
    return f"python -m focus_rtl.verif.core.film --seed {seed} --only {number}" + " --video FILM" * (video is not None)


def _said(number: int, outcome: Outcome) -> bool:
    """Prints what became of a configuration; returns whether it is well: all words equal, and something matched."""
    idle = bool(CONFIGURATIONS[number].candidates) and not outcome.matched
    verdict = "" if outcome.passed and not idle else f": FAILED {outcome.failure or 'nothing matched' * idle}"
    print(f"{number}: {NAMES[number]}, {outcome.film}: {outcome.layers} layers, {outcome.compared} words equal, "
          f"{outcome.matched} matches{verdict}", flush=True)
    return not verdict


if __name__ == "__main__":
    sys.exit(main())
