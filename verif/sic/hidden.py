# SPDX-License-Identifier: Apache-2.0
"""Whether gather hides behind the next output tile's GEMM: one core, one job, with gather and with it switched off."""

from dataclasses import dataclass, replace

import numpy as np

from focus_rtl.gen.tokens import output_scales
from focus_rtl.golden.core import dense_slices
from focus_rtl.golden.job import Grid, Job, tiles_of
from focus_rtl.golden.numeric.dtypes import quantise
from focus_rtl.golden.params import Parameters
from focus_rtl.verif.core.run import CoreJob, run_core_jobs
from focus_rtl.verif.sic.film import SEED

__all__ = ["Hidden", "hidden", "worst_case"]


@dataclass(frozen=True)
class Hidden:
    """Cycles of the job with gather and without; ideal : vectors through the array; tiles : output tiles."""

    gathered: int
    bypassed: int
    ideal: int
    tiles: int

    @property
    def ratio(self) -> float:
        """With over without."""
        return self.gathered / self.bypassed


def worst_case(params: Parameters, inner: int, tiles: int, vectors: int) -> CoreJob:
    """Full tiles of random tokens at every place of the grid, frame by frame: no two outputs alike, maps of p = m.

    Parameters
    ----------
    inner : K.  tiles, vectors : m-tiles and output vectors; their product is the number of output tiles.

    Raises
    ------
    ValueError : the grid has not enough places.
    """
    _, height, width = params.grid_max
    tokens = tiles * params.m_tile
    grid = Grid(-(-tokens // (height * width)), height, width)
    if grid.frames > params.grid_max[0]:
        raise ValueError(f"{tiles} tiles of {params.m_tile} tokens: the grid {params.grid_max} has not enough places")
    kept = np.arange(grid.tokens) < tokens
    rng = np.random.default_rng([SEED, 7])
    job = Job(inner, vectors * params.vector, tiles_of(grid, params.m_tile, kept), height, width, 1.0,
              dtype=params.dtype).check(params)
    size = 40 if params.dtype == "int8" else 1
    data = quantise(rng.normal(size=(tokens, inner)) * size, params.dtype)
    weights = quantise(rng.normal(size=(inner, job.n)) * (size if params.dtype == "int8" else inner ** -0.5),
                       params.dtype)
    scales = output_scales(data, weights, params.dtype)
    return CoreJob(job, dense_slices(data, job, params.vector), weights, scales)


def hidden(params: Parameters, each: CoreJob, quick: bool = False) -> Hidden:
    """Run the job twice on one core, gathered and dense, each from a core at rest; every word is compared.

    Raises
    ------
    AssertionError : something matched.  Mismatch, SimulationError, BuildError, ToolMissing.
    """
    runs = [run_core_jobs(params, [one], seed=SEED, quick=quick, timeout=3600)
            for one in (each, replace(each, job=replace(each.job, dense=True)))]
    if any(part.matched for row in runs[0].programs[0].result for part in row):
        raise AssertionError("a vector matched: this is not the worst case")
    gathered, bypassed = (run.jobs[0] for run in runs)
    counts = each.job.counts(params)
    return Hidden(gathered.counters["cycles"], bypassed.counters["cycles"], bypassed.ideal_cycles,
                  counts.tiles * counts.vectors)
