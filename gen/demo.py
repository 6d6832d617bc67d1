# SPDX-License-Identifier: Apache-2.0
"""`focus-rtl demo`: a video through two layers of generated Verilog, dense and concentrated, compared bit for bit.

What is run, what is compared and what the figures mean: docs/demo.md.  Test: verif/gen/test_demo.py.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.errors import CommandError, Exit, InputOutputError
from focus_rtl.gen.picture import merged_share, picture_of, write_picture
from focus_rtl.gen.report import (
    Control,
    Findings,
    LayerFigures,
    Shares,
    histogram,
    print_report,
    shares_of,
    stage,
    to_json,
)
from focus_rtl.gen.tokens import clip_tokens, layer_weights
from focus_rtl.gen.video import Clip, noise_clip, photo_clip, read_video
from focus_rtl.golden.core import (
    Slice,
    concentrate,
    dense_slices,
    expected_counts,
    next_slices,
    output_counts,
    run_layer,
    tokens_of,
)
from focus_rtl.golden.job import Grid, Job, tiles_of
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.gather import Gathered

__all__ = ["Plan", "plan_of", "run_demo"]

THRESHOLD = 0.9

Bits = NDArray[np.uint16]
Slices = list[list[Slice]]
Result = list[list[Gathered]]


@dataclass(frozen=True)
class Plan:
    """The shape of the demo: a token grid and the widths before, between and behind its two layers."""

    grid: Grid
    widths: tuple[int, int, int]

    def jobs(self, params: Parameters, dense: bool) -> tuple[Job, Job]:
        """The two layers as jobs."""
        tiles = tiles_of(self.grid, params.m_tile)
        first, second = (Job(k, n, tiles, self.grid.height, self.grid.width, THRESHOLD, dense=dense).check(params)
                         for k, n in zip(self.widths, self.widths[1:], strict=False))
        return first, second


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
             "k_max": (widths[1], params.k_max), "n_max": (widths[1], params.n_max)}
    small = [f"{name} of at least {need} (it is {has})" for name, (need, has) in needs.items() if need > has]
    if small:
        raise CommandError(f"this configuration is too small for the demo, which needs {', '.join(small)}",
                           "raise it, or run a preset: focus-rtl demo --preset regress")
    return Plan(Grid(frames, height, width), widths)


@dataclass(frozen=True)
class Golden:
    """What the golden model says: per layer its input, job and result."""

    jobs: tuple[Job, Job]
    weights: tuple[Bits, Bits]
    sources: tuple[Result, Result]
    inputs: tuple[Slices, Slices]
    results: tuple[Result, Result]


def golden_chain(params: Parameters, plan: Plan, tokens: Bits, seed: int, dense: bool) -> Golden:
    """Both layers in the golden model; `sources` are the concentrated inputs with their statistics."""
    jobs = plan.jobs(params, dense)
    first, second = (layer_weights(job.k, job.n, seed, at).view(np.uint16) for at, job in enumerate(jobs, 1))
    source = concentrate(tokens, jobs[0], params)
    entry = next_slices(source)
    middle = run_layer(params, jobs[0], entry, first)
    end = run_layer(params, jobs[1], next_slices(middle), second)
    return Golden(jobs, (first, second), (source, middle), (entry, next_slices(middle)), (middle, end))
