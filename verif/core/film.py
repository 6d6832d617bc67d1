# SPDX-License-Identifier: Apache-2.0
"""A film through the Verilog: two chained layers per case, every word compared with the golden model.

    python -m focus_rtl.verif.core.film                    # every block, three formats, all drop rates and thresholds
    python -m focus_rtl.verif.core.film --video FILM       # a film of your own instead of the photograph clip
    python -m focus_rtl.verif.core.film --only 3 --seed 7  # one of the configurations

A configuration is a block in a format; it is built once and runs every drop rate and threshold on one of the grids.
"""

import argparse
import multiprocessing
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from focus_rtl.gen.tokens import clip_tokens, layer_weights, output_scales
from focus_rtl.gen.video import photo_clip, read_video
from focus_rtl.golden.core import concentrate, next_slices, run_layer, tokens_of
from focus_rtl.golden.job import Grid, Job, tiles_of
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits
from focus_rtl.golden.params import Parameters
from focus_rtl.verif.bench.streams import Stall
from focus_rtl.verif.core.run import CoreJob, run_core_jobs
from focus_rtl.verif.golden.cases import make_params
from focus_rtl.verif.golden.film import BLOCKS, DROPS, THRESHOLDS

__all__ = ["CONFIGURATIONS", "Outcome", "run_film"]

GRIDS = (Grid(6, 4, 4), Grid(3, 5, 6), Grid(4, 6, 4, row_stride=5))
"""The last one's rows end in a separator."""

CONFIGURATIONS = tuple(make_params(dtype=DTYPES[number % 3], block=block, vector=8, m_tile=32, matcher_lanes=4)
                       for number, block in enumerate(BLOCKS))
"""Every block, the formats in turn."""


@dataclass(frozen=True)
class Outcome:
    """What a configuration's cases came to: layers run, words compared and expected, matches among the outputs."""

    layers: int
    compared: int
    expected: int
    matched: int
    failure: str = ""

    @property
    def passed(self) -> bool:
        return not self.failure and self.compared == self.expected > 0


def _tokens(params: Parameters, grid: Grid, video: Path | None, seed: int) -> Bits:
    """(grid.tokens, 2V): a film's tokens, and zeros for separators."""
    sides = grid.frames, grid.height, grid.width
    clip = photo_clip(*sides, seed) if video is None else read_video(video, *sides)
    tokens = clip_tokens(clip, 2 * params.vector, seed, params.dtype)
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


def run_film(params: Parameters, grid: Grid, cases: list[tuple[float, float]], video: Path | None, seed: int,
             cache_dir: Path | None = None, compilers: int | None = None) -> Outcome:
    """One configuration: two layers per case (drop rate, threshold) back to back, under stalls.

    Raises
    ------
    Mismatch, SimulationError, BuildError : as `run_core_jobs`.
    """
    tokens = _tokens(params, grid, video, seed)
    jobs = [layer for number, (drop, threshold) in enumerate(cases)
            for layer in _layers(params, tokens, grid, drop, threshold, seed + number)]
    run = run_core_jobs(params, jobs, seed=seed, stall=Stall(0.2), quick=True, cache_dir=cache_dir,
                        compilers=compilers)
    matched = sum(part.matched for each in jobs
                  for row in run_layer(params, each.job, each.slices, each.weights, each.scales) for part in row)
    return Outcome(len(jobs), run.compared, run.expected, matched)


def _one(number: int, video: Path | None, seed: int) -> Outcome:
    """Configuration `number` with every drop rate and threshold; what is wrong with it is in the outcome."""
    cases = [(drop, threshold) for drop in DROPS for threshold in THRESHOLDS]
    folder = Path(tempfile.mkdtemp(prefix="focus-rtl-film-"))
    try:
        return run_film(CONFIGURATIONS[number], GRIDS[number % 9 // 3], cases, video, seed, folder, compilers=1)
    except Exception as error:  # the others still have something to say
        return Outcome(0, 0, 0, 0, f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.core.film", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a film (default: a photograph, panned and zoomed)")
    parser.add_argument("--seed", type=int, default=1, help="of clip, weights, dropped tokens and stalls")
    parser.add_argument("--only", type=int, nargs="*", metavar="NUMBER",
                        help=f"of the {len(CONFIGURATIONS)} configurations; else all")
    parser.add_argument("--jobs", type=int, default=2, help="configurations at a time")
    told = parser.parse_args()
    numbers = range(len(CONFIGURATIONS)) if told.only is None else told.only
    with ProcessPoolExecutor(told.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = {number: pool.submit(_one, number, told.video, told.seed) for number in numbers}
        outcomes = {}
        for number, future in found.items():
            params, outcome = CONFIGURATIONS[number], future.result()
            print(f"{number}: block {params.block}, {params.dtype}: {outcome.layers} layers, {outcome.compared} words "
                  f"equal, {outcome.matched} matches{'' if outcome.passed else ': FAILED ' + outcome.failure}",
                  flush=True)
            outcomes[number] = outcome
    idle = [number for number, outcome in outcomes.items() if CONFIGURATIONS[number].candidates and not outcome.matched]
    print(f"{sum(outcome.compared for outcome in outcomes.values())} words compared in {len(outcomes)} configurations"
          + f"; nothing matched in {idle}" * bool(idle))
    return int(bool(idle) or not all(outcome.passed for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
