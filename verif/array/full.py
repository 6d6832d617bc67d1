# SPDX-License-Identifier: Apache-2.0
"""The core at full size, one tile of m = 1024 tokens with K = 128: every output bit against the golden model.

    python -m focus_rtl.verif.array.full                        # paper and paper-int8, minutes
    python -m focus_rtl.verif.array.full --preset regress
"""

import argparse
import dataclasses
import secrets
import sys
from collections.abc import Sequence

import numpy as np

from focus_rtl.gen.configuration import load
from focus_rtl.golden.core import concentrate, next_slices
from focus_rtl.golden.job import Grid, Job, tiles_of
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.verif.core.run import CoreJob, CoreRun, run_core_jobs
from focus_rtl.verif.golden.cases import scales_like, smooth_video, weights_like

__all__ = ["full_tile", "main", "run_full"]

PRESETS = ("paper", "paper-int8")


def full_tile(p: Parameters, seed: int) -> CoreJob:
    """Four k-slices of a video that fills one tile, and one output vector."""
    rng = np.random.default_rng(seed)
    height = width = 1 << (p.m_tile.bit_length() - 1) // 3
    grid = Grid(p.m_tile // (height * width), height, width)
    job = Job(4 * p.vector, p.vector, tiles_of(grid, p.m_tile), height, width, 0.9, dtype=p.dtype, block=p.block)
    video = smooth_video(rng, grid, job.k, dtype=p.dtype)
    scales = scales_like(rng, job.n) if p.dtype == "int8" else None
    return CoreJob(job, next_slices(concentrate(video, job, p)), weights_like(rng, job.k, job.n, p.dtype), scales)


def run_full(p: Parameters, seed: int) -> CoreRun:
    """Concentrated and dense, one after the other; raises where a bit differs."""
    job = full_tile(p, seed)
    dense = dataclasses.replace(job.job, dense=True)
    everything = [[dataclasses.replace(part, vectors=part.vectors[part.index_map]) for part in row]
                  for row in job.slices]
    return run_core_jobs(p, [job, dataclasses.replace(job, job=dense, slices=everything)], seed=seed, timeout=3000)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the presets; returns 0, or raises."""
    parser = argparse.ArgumentParser(prog="full", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--preset", nargs="+", default=PRESETS, help="configurations (default: both at full size)")
    parser.add_argument("--seed", type=int, default=None, help="of the data (default: a fresh one, printed)")
    given = parser.parse_args(argv)
    seed = secrets.randbits(31) if given.seed is None else given.seed
    for name in given.preset:
        p = load(name).parameters
        run = run_full(p, seed)
        busy, cycles = ([report.counters[counter] for report in run.jobs] for counter in ("array_busy", "cycles"))
        print(f"{name}: {p.rows} x {p.cols}, m = {p.m_tile}, K = {4 * p.vector}, seed {seed}: {run.compared} of "
              f"{run.expected} words equal; array busy {busy} of {cycles} cycles, concentrated and dense; "
              f"build {run.seconds_build:.0f} s, run {run.seconds_run:.0f} s", flush=True)
        assert run.compared == run.expected > 2 * p.m_tile
        assert all(report.error == layouts.ERRORS["OK"] for report in run.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
