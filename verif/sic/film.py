# SPDX-License-Identifier: Apache-2.0
"""The default clip as the concentrator sees it: the maps of both layers' inputs, and the output vectors of the first.

What `focus-rtl demo` runs through the hardware is computed here by the golden model alone, so that a unit can be
measured on real data without the rest of the core.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.plan import plan_of, source_of
from focus_rtl.gen.tokens import layer_weights, output_scales
from focus_rtl.gen.video import photo_clip
from focus_rtl.golden.core import next_slices, run_layer
from focus_rtl.golden.job import Job
from focus_rtl.golden.numeric.dtypes import Bits
from focus_rtl.golden.params import Parameters

__all__ = ["SEED", "Film", "film"]

SEED = 1
"""The demo's."""


@dataclass(frozen=True, eq=False)
class Film:
    """What the clip becomes in a configuration.

    job : the first layer, concentrated.
    maps[t] : index maps of tile t with their p: the k-slices of the first layer's input, then of the second's.
    outputs[t] : the first layer's output vectors before gather, (vectors, m_t, V) bits of elements.
    """

    job: Job
    maps: Sequence[Sequence[tuple[NDArray[np.int32], int]]]
    outputs: Sequence[Sequence[Bits]]


@functools.lru_cache(maxsize=2)
def film(params: Parameters) -> Film:
    """The clip with the demo's own grid, widths, weights and seed."""
    plan = plan_of(params)
    source = source_of(params, plan, photo_clip(plan.grid.frames, plan.grid.height, plan.grid.width, SEED), SEED)
    job, _ = plan.jobs(params, dense=False)
    weights = layer_weights(job.k, job.n, SEED, 1, params.dtype)
    scales = output_scales(source.tokens, weights, params.dtype)
    nothing = replace(job, mask=0)  # no neighbour counts: gather passes every vector of the very same layer
    whole = run_layer(params, nothing, next_slices(source.inputs[0]), weights, scales)
    maps = [[(part.index_map, part.p) for part in (*first, *second)]
            for first, second in zip(*source.inputs, strict=True)]
    return Film(job, maps, [[part.unique for part in row] for row in whole])
