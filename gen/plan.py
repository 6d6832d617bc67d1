# SPDX-License-Identifier: Apache-2.0
"""The shape of the demo for any configuration, and what the golden model makes of its tokens.

What is run is in docs/demo.md.  Test: verif/gen/test_demo.py.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.tokens import clip_tokens, layer_weights, output_scales
from focus_rtl.gen.video import Clip
from focus_rtl.golden.core import concentrate, next_slices, run_layer
from focus_rtl.golden.job import Grid, Job, tiles_of
from focus_rtl.golden.numeric.dtypes import Bits
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sec.offsets import decode
from focus_rtl.golden.sec.places import Offsets
from focus_rtl.golden.sic.gather import Gathered

__all__ = ["THRESHOLD", "Plan", "Source", "plan_of", "source_of"]

THRESHOLD = 0.9

Result = list[list[Gathered]]


@dataclass(frozen=True)
class Plan:
    """The shape of the demo: a token grid and the widths before, between and behind its two layers."""

    grid: Grid
    widths: tuple[int, int, int]

    def jobs(self, params: Parameters, dense: bool) -> tuple[Job, Job]:
        """The two layers as jobs over the whole image, without text."""
        return self.job(params, 0, dense), self.job(params, 1, dense)

    def job(self, params: Parameters, layer: int, dense: bool, text: int = 0,
            symbols: NDArray[np.uint16] | None = None) -> Job:
        """A layer, 0 or 1, as a job.

        text : tokens of it, behind the image.  symbols : the offsets of the image tokens that are still there, which
        the job is told instead of their positions; None: all of them.
        """
        retained, offsets = None, None
        if symbols is not None:
            retained = np.zeros(self.grid.tokens, np.bool_)
            retained[decode(symbols, params.offset_bits)] = True
        tiles = tiles_of(self.grid, params.m_tile, retained, text)
        if symbols is not None:
            offsets = Offsets(symbols, params.offset_bits, self.grid.strides,
                              tuple(not bool(tile.image.any()) for tile in tiles))
        return Job(self.widths[layer], self.widths[layer + 1], tiles, self.grid.height, self.grid.width, THRESHOLD,
                   dense=dense, dtype=params.dtype, block=params.block, offsets=offsets).check(params)


def plan_of(params: Parameters) -> Plan:
    """The smallest demo with everything in it, for any configuration.

    At least three full m-tiles and a partial one; a tile spans about 2.5 frames, so that there are neighbours in time;
    8 and 9 k-slices, 9 and 5 output vectors, the last of them partial and, where C > 1, no multiple of C.

    Raises
    ------
    CommandError : the configuration's limits are too small.
    """
    vector, (frames_max, height_max, width_max) = params.vector, params.grid_max
    side = max(round(math.sqrt(params.m_tile / 2.5)), 2)
    height, width = min(side, height_max), min(side, width_max)
    frames = 3 * params.m_tile // (height * width) + 1
    if frames * height * width % params.m_tile == 0:
        frames += 1
    rest = min((5 * vector + 7) // 8, vector - 1)
    while rest > 1 and rest % params.cols == 0:
        rest -= 1
    widths = (8 * vector, 8 * vector + rest, 4 * vector + rest)
    needs = {"grid_max[0]": (frames, frames_max), "tokens_max": (frames * height * width, params.tokens_max),
             "k_max": (widths[1], params.k_max), "n_max": (widths[1], params.n_max),
             "sec_tokens_max": (frames * height * width, params.sec_tokens_max)}
    small = [f"{name} of at least {need} (it is {has})" for name, (need, has) in needs.items() if need > has]
    if small:
        raise CommandError(f"this configuration is too small for the demo, which needs {', '.join(small)}",
                           "raise it, or run a preset: focus-rtl demo --preset regress")
    return Plan(Grid(frames, height, width), widths)


@dataclass(frozen=True)
class Source:
    """The clip or the noise as tokens, and what the golden gather and the golden layer 1 make of them.

    inputs[layer][t][k] : the concentrated inputs of both layers, with their statistics.
    """

    tokens: Bits
    inputs: tuple[Result, Result]

    @property
    def cosines(self) -> NDArray[np.float64]:
        """Best similarity of every vector of both inputs."""
        return np.concatenate([part.best_similarity for result in self.inputs for row in result for part in row])


def source_of(params: Parameters, plan: Plan, clip: Clip, seed: int) -> Source:
    """Tokens of a clip and the concentrated inputs of both layers, all of it golden."""
    job, _ = plan.jobs(params, dense=False)
    tokens = clip_tokens(clip, job.k, seed, params.dtype)
    first = concentrate(tokens, job, params)
    weights = layer_weights(job.k, job.n, seed, 1, params.dtype)
    scales = output_scales(tokens, weights, params.dtype)
    return Source(tokens, (first, run_layer(params, job, next_slices(first), weights, scales)))
