# SPDX-License-Identifier: Apache-2.0
"""A golden job with its data -> the beats of every stream of the core, in the order of docs/architecture.md.

Fields are packed from the layouts in `hdl/layouts.py`, so widths and orders are written down once.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.core import Expected, Slice, expected_counts, output_counts, run_layer
from focus_rtl.golden.job import Counts, Job, Tile
from focus_rtl.golden.numeric.dtypes import Bits
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sec.sec import SecOrder
from focus_rtl.golden.sic.gather import Gathered
from focus_rtl.golden.sic.scatter import Scales
from focus_rtl.hdl import layouts
from focus_rtl.verif.bench.packing import pack, unpack
from focus_rtl.verif.bench.prunings import SEC_INPUTS, SEC_OUTPUTS, offset_beats, sec_beats

__all__ = ["INPUTS", "OUTPUTS", "Program", "elements", "inputs_of", "pack", "program", "rejected", "unpack"]

Bits32 = NDArray[np.uint32]

INPUTS = ("job", "tiles", "vectors", "maps", "weights", "positions", "retained", "preloads", *SEC_INPUTS, "scales")
OUTPUTS = ("outputs", "out_maps", "summary", "status", *SEC_OUTPUTS)


def inputs_of(params: Parameters) -> tuple[str, ...]:
    """The input streams of a core: only int8 has scales."""
    return INPUTS if params.dtype == "int8" else INPUTS[:-1]


def elements(matrix: Bits) -> list[int]:
    """(rows, n) raw bits -> per row its n elements in one integer, element 0 low."""
    rows = np.ascontiguousarray(matrix, dtype=matrix.dtype.newbyteorder("<"))
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


@dataclass
class Program:
    """The beats of one job.

    inputs, expected : words by stream, each list in the order of the stream.
    status : the fields of the `status` beat that follow from the job.  sec_status : those of each `sec_status` beat.
    counts : beats and passes computed apart from the beats themselves (golden).
    result : the golden result, result[t][n]; None for a job that is refused.
    """

    params: Parameters
    job: Job
    inputs: dict[str, list[int]]
    expected: dict[str, list[int]]
    status: dict[str, int]
    counts: Expected
    result: list[list[Gathered]] = field(default_factory=list)
    sec_status: list[dict[str, int]] = field(default_factory=list)

    def told(self, stream: str, index: int) -> dict[str, int]:
        """The fields that are known of a beat of `status` or `sec_status`."""
        return self.status if stream == "status" else self.sec_status[index]

    @property
    def words(self) -> int:
        """Beats to be compared, `status` included, as the counts have it."""
        return sum(self.count_of(stream) for stream in OUTPUTS)

    def count_of(self, stream: str) -> int:
        """Beats of an output stream, computed from the golden result and the counts, not from the packed beats."""
        return output_counts(self.result) if stream == "outputs" else int(getattr(self.counts, stream))


def _job_beat(params: Parameters, job: Job, counts: Counts) -> int:
    told = job.offsets.strides if job.offsets else None
    video = {"frames": told.frames, "row_stride": told.row, "frame_stride": told.frame} if told else {
        "frames": 0, "row_stride": 0, "frame_stride": 0}
    return pack(layouts.job(params), tiles=counts.tiles, slices=counts.slices, last_rows=counts.last_rows,
                vectors=counts.vectors, last_cols=counts.last_cols, last_lanes=counts.last_lanes, height=job.height,
                width=job.width, t2=job.t2, mask=job.mask, dense=int(job.dense),
                preload=int(job.preload), decoded=int(told is not None), **video)


def _slice_beats(params: Parameters, vectors: Bits) -> list[int]:
    """The vectors of a k-slice; an empty one is a beat without any, in which the machine ignores the elements."""
    layout = layouts.slice_beat(params)
    words = elements(vectors) or [1 << layout["void"].offset | (1 << layout["data"].width) - 1]
    words[-1] |= 1 << layout["last"].offset
    return words


def _output_beats(params: Parameters, vectors: Bits) -> list[int]:
    words = elements(vectors)
    words[-1] |= 1 << layouts.vector_beat(params)["last"].offset
    return words


def _map_beats(params: Parameters, index_map: NDArray[np.int32], junk: random.Random) -> list[int]:
    """S indices a word; the lanes beyond the last token hold anything: the machine ignores them."""
    lanes, bits = params.scatter_lanes, params.index_bits
    index = index_map.tolist()
    index += [junk.randrange(params.m_tile) for _ in range(-len(index) % lanes)]
    return [sum(index[start + lane] << lane * bits for lane in range(lanes)) for start in range(0, len(index), lanes)]


def _weight_tiles(params: Parameters, counts: Counts, weights: Bits) -> dict[tuple[int, int], list[int]]:
    """By n, k: for c, r the R rows of the tile, bottom row first."""
    v, rows, cols = params.vector, params.rows, params.cols
    whole = np.zeros((counts.slices * v, counts.vectors * v), dtype=weights.dtype)
    whole[:weights.shape[0], :weights.shape[1]] = weights
    tiles: dict[tuple[int, int], list[int]] = {}
    for n in range(counts.vectors):
        for k in range(counts.slices):
            words = tiles[n, k] = []
            for c in range(counts.cols_of(n)):
                column = n * v + c * cols
                for r in range(counts.rows_of(k)):
                    row = k * v + r * rows
                    words += elements(whole[row:row + rows, column:column + cols][::-1])
    return tiles


def _scale_beats(params: Parameters, counts: Counts, scales: Scales, junk: random.Random) -> list[int]:
    """For n, c: the scales of C columns; those beyond N hold anything sound: only zeros are multiplied with them."""
    whole = np.full(counts.vectors * params.vector, junk.uniform(0.5, 2.0), np.float32)
    whole[:len(scales)] = scales
    by_pass = elements(whole.view(np.uint32).reshape(-1, params.cols))
    return [by_pass[n * params.col_passes + c] for n in range(counts.vectors) for c in range(counts.cols_of(n))]


def _preload_beats(params: Parameters, counts: Counts, tile: Tile, preloads: Bits32,
                   junk: random.Random) -> list[int]:
    """For n, c: C columns of S tokens a word.  Columns beyond N and lanes beyond the last token hold anything."""
    cols, groups = params.cols, -(-tile.tokens // params.scatter_lanes)
    fill = np.random.default_rng(junk.randrange(1 << 30))
    whole = fill.integers(0, 1 << 32, (groups * params.scatter_lanes, counts.vectors * params.vector), np.uint32)
    whole[:tile.tokens, :preloads.shape[1]] = preloads
    words = []
    for n in range(counts.vectors):
        for c in range(counts.cols_of(n)):
            column = n * params.vector + c * cols
            words += elements(whole[:, column:column + cols].reshape(groups, params.scatter_lanes * cols))
    return words


def _position_beats(params: Parameters, tile: Tile) -> list[int]:
    layout = layouts.position(params)
    return [pack(layout, column=column, row=row, frame=frame, image=image)
            for image, frame, row, column in tile.positions.tolist()]


def _place_beats(params: Parameters, job: Job, vectors: int, beats: dict[str, list[int]]) -> None:
    """Where the tokens are, in one form or the other, and which tiles are text, which only one of them asks."""
    if job.offsets is None:
        beats["positions"] += [beat for tile in job.tiles for beat in _position_beats(params, tile) * vectors]
    else:
        beats["retained"] += offset_beats(params, job.offsets.symbols[:job.offsets.taken])
    text = job.offsets.text if job.offsets else [False] * len(job.tiles)
    beats["tiles"] += [pack(layouts.tile(params), tokens=tile.tokens, text=int(each))
                       for tile, each in zip(job.tiles, text, strict=True)]


def _inputs(params: Parameters, job: Job, slices: Sequence[Sequence[Slice]], weights: Bits, scales: Scales | None,
            preloads: Bits32 | None, junk: random.Random) -> dict[str, list[int]]:
    counts = job.counts(params)
    beats: dict[str, list[int]] = {name: [] for name in inputs_of(params)}
    beats["job"].append(_job_beat(params, job, counts))
    _place_beats(params, job, counts.vectors, beats)
    weight_tiles = _weight_tiles(params, counts, weights)
    for (tile, rows), row in zip(job.spans(), slices, strict=True):
        for n, k in weight_tiles:  # every m-tile takes all weights again
            beats["vectors"] += _slice_beats(params, row[k].vectors)
            if not row[k].p:
                continue
            beats["weights"] += weight_tiles[n, k]
            if not job.dense:
                beats["maps"] += _map_beats(params, row[k].index_map, junk)
        if preloads is not None:
            beats["preloads"] += _preload_beats(params, counts, tile, preloads[rows], junk)
    if scales is not None:
        beats["scales"] = _scale_beats(params, counts, scales, junk) * counts.tiles
    return beats


def _outputs(params: Parameters, result: list[list[Gathered]]) -> dict[str, list[int]]:
    index, last = layouts.index_beat(params), layouts.index_beat(params)["last"]
    beats: dict[str, list[int]] = {"outputs": [], "out_maps": [], "summary": []}
    for row in result:
        for part in row:
            beats["outputs"] += _output_beats(params, part.unique)
            words = [pack(index, index=value, last=0) for value in part.index_map.tolist()]
            words[-1] |= 1 << last.offset
            beats["out_maps"] += words
            beats["summary"].append(pack(layouts.summary(params), unique=part.p, zeros=part.zeros))
    return beats


def _error(job: Job, slices: Sequence[Sequence[Slice]]) -> int:
    """The code the job ends with: of several the lowest."""
    wrong = bad_index = False
    for tile, row in zip(job.tiles, slices, strict=True):
        for part in row:
            wrong |= part.p > tile.tokens or (job.dense and part.p < tile.tokens)
            bad_index |= not job.dense and part.p > 0 and int(part.index_map.max()) >= min(part.p, tile.tokens)
    astray = job.offsets is not None and job.offsets.wrong([tile.tokens for tile in job.tiles])
    return layouts.ERRORS["SLICE" if wrong else "INDEX" if bad_index else "OFFSET" if astray else "OK"]


def program(params: Parameters, job: Job, slices: Sequence[Sequence[Slice]], weights: Bits, seed: int = 0,
            scales: Scales | None = None, preloads: Bits32 | None = None,
            prunings: Sequence[SecOrder] = ()) -> Program:
    """All beats of a job and what must come of it.

    Parameters
    ----------
    params, job, slices, weights, scales, preloads : as for `golden.core.run_layer`.
    seed : of what is in lanes that the machine ignores.
    prunings : orders of the semantic concentrator, which works beside the job.
    """
    result = run_layer(params, job, slices, weights, scales, preloads)
    counts = expected_counts(params, job, slices, prunings)
    # `vectors_in` is not foretold: the input buffer takes the next job's vectors before this job has ended.
    status = {"error": _error(job, slices), "array_busy": counts.ideal_cycles, "vectors_out": output_counts(result)}
    if params.representative == "first":
        status["mean_hazards"] = 0
    beside = sec_beats(params, prunings, np.random.default_rng(seed))
    inputs = _inputs(params, job, slices, weights, scales, preloads, random.Random(seed)) | beside.inputs
    made = Program(params, job, inputs, _outputs(params, result) | {"offsets": beside.offsets}, status, counts, result,
                   beside.status)
    for stream in made.inputs:
        if len(made.inputs[stream]) != getattr(counts, stream):
            raise AssertionError(f"{stream}: {len(made.inputs[stream])} beats packed, "
                                 f"{getattr(counts, stream)} counted")
    return made


def rejected(params: Parameters, job: Job, change: Callable[[dict[str, int]], dict[str, int]] | None = None,
             tokens: int | None = None) -> Program:
    """A job that the machine refuses, which takes nothing from the data streams.

    Parameters
    ----------
    job : a good one.
    change : turns the fields of its `job` beat into bad ones (error JOB).
    tokens : of its first tile, a bad number (error TILE; the core stops until reset).
    """
    layout = layouts.job(params)
    counts = job.counts(params)
    fields = unpack(layout, _job_beat(params, job, counts))
    beats: dict[str, list[int]] = {name: [] for name in inputs_of(params)}
    beats["job"].append(pack(layout, **(change(fields) if change else fields)))
    if tokens is not None:
        beats["tiles"].append(pack(layouts.tile(params), tokens=tokens, text=0))
    none = Expected(job=1, tiles=len(beats["tiles"]), vectors=0, maps=0, weights=0, positions=0, retained=0, preloads=0,
                    scales=0, summary=0, out_maps=0, status=1, passes=0, ideal_cycles=0)
    status = {"error": layouts.ERRORS["JOB" if tokens is None else "TILE"], "array_busy": 0, "vectors_out": 0}
    return Program(params, job, beats, {"outputs": [], "out_maps": [], "summary": [], "offsets": []}, status, none)
