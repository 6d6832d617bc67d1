# SPDX-License-Identifier: Apache-2.0
"""How many cycles gather takes for a tile, measured on the emitted unit while every word is compared with the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.golden.job import Job
from focus_rtl.golden.numeric.dtypes import Bits, quantise
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.gather import Gathered, gather
from focus_rtl.golden.sic.layouter import windows
from focus_rtl.hdl import layouts
from focus_rtl.verif.bench.build import build
from focus_rtl.verif.bench.player import Segment, play
from focus_rtl.verif.bench.program import elements, pack
from focus_rtl.verif.sic.film import SEED, Film

__all__ = ["DATA", "GatherRate", "gather_rate", "tile_data"]

DATA = ("film", "all unique")
"""The first layer's outputs; random vectors at the film's positions, of which no two are alike."""


@dataclass(frozen=True)
class GatherRate:
    """cycles : from the last index of the first tile to that of the last one.  tokens : of these tiles.

    unique : vectors that went out of these tiles.  compared : words that equal the golden model's.
    """

    cycles: int
    tokens: int
    unique: int
    compared: int


def tile_data(params: Parameters, film: Film, kind: str, tiles: int) -> list[Bits]:
    """Vectors of the first `tiles` tiles, (m_t, V) each, of the kind (of `DATA`)."""
    if kind == "film":
        return [vectors[0] for vectors in film.outputs[:tiles]]
    rng = np.random.default_rng([SEED, 5])
    size = 40 if params.dtype == "int8" else 1
    return [quantise(rng.normal(size=(tile.tokens, params.vector)) * size, params.dtype)
            for tile in film.job.tiles[:tiles]]


def gather_rate(params: Parameters, design: EmittedDesign, job: Job, data: Sequence[Bits]) -> GatherRate:
    """Play tiles back to back into a `Gather`, without a stall, and compare every word.

    Parameters
    ----------
    params : of the unit.  design : the unit as emitted.
    job : grid, threshold, and the tiles of which the first `len(data)` are played.
    data : vectors of each tile; at least two of them.

    Raises
    ------
    AssertionError : a word differs from the golden model.  SimulationError, BuildError, ToolMissing.
    """
    tiles = job.tiles[:len(data)]
    if len(tiles) < 2:
        raise ValueError(f"{len(tiles)} tile: must be at least two, the first one only fills the pipeline")
    wanted = [gather(vectors, tile, job.height, job.width, job.t2, job.mask, False,
                     windows(tile, job.height, job.width), params.dtype)
              for vectors, tile in zip(data, tiles, strict=True)]
    expected = _expected(params, wanted)
    inputs = {
        "orders": [pack(layouts.gather_order(params), tokens=tile.tokens, height=job.height, width=job.width, t2=job.t2,
                        mask=job.mask, dense=0) for tile in tiles],
        "vectors": [word for vectors in data for word in elements(vectors)],
        "positions": [pack(layouts.position(params), column=column, row=row, frame=frame, image=image)
                      for tile in tiles for image, frame, row, column in tile.positions.tolist()],
    }
    built = build(design, quick=True)
    segment = Segment(inputs, {name: len(words) for name, words in expected.items()})
    (played,), _ = play(design, built, [segment], seed=SEED)
    if played.failure:
        raise AssertionError(played.failure)
    for name, words in expected.items():
        if played.received[name].words != words:
            raise AssertionError(f"{name}: the words differ from the golden model")
    ends = np.cumsum([tile.tokens for tile in tiles]) - 1
    cycles = played.received["out_maps"].cycles
    return GatherRate(cycles[ends[-1]] - cycles[ends[0]], int(ends[-1] - ends[0]), sum(part.p for part in wanted[1:]),
                      sum(len(words) for words in expected.values()))


def _expected(params: Parameters, wanted: Sequence[Gathered]) -> dict[str, list[int]]:
    """Words of the output streams."""
    vector_last, index = layouts.vector_beat(params)["last"], layouts.index_beat(params)
    expected: dict[str, list[int]] = {"outputs": [], "out_maps": [], "summary": []}
    for part in wanted:
        expected["outputs"] += elements(part.unique)
        expected["outputs"][-1] |= 1 << vector_last.offset
        expected["out_maps"] += [pack(index, index=value, last=0) for value in part.index_map.tolist()]
        expected["out_maps"][-1] |= 1 << index["last"].offset
        expected["summary"].append(pack(layouts.summary(params), unique=part.p, zeros=part.zeros))
    return expected
