# SPDX-License-Identifier: Apache-2.0
"""Random jobs for a core of any configuration, with the events that a campaign has to have seen."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from focus_rtl.golden.core import Slice, concentrate, next_slices
from focus_rtl.golden.job import ALL_CANDIDATES, Grid, Job, Tile, field_limit, tiles_of
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sec.offsets import ESCAPE, decode, encode
from focus_rtl.golden.sec.places import Offsets
from focus_rtl.golden.sec.sec import SecOrder, prune
from focus_rtl.golden.sec.topk import budget
from focus_rtl.verif.bench.program import Program
from focus_rtl.verif.core.run import CoreJob
from focus_rtl.verif.golden.cases import preloads_like, rough_vectors, scales_like, weights_like
from focus_rtl.verif.sec.cases import KINDS as SCORE_KINDS
from focus_rtl.verif.sec.cases import rows_of

__all__ = ["astray_job", "core_job", "decoded_tiles", "events_of", "full_job", "hollow_job", "hurried_job",
           "pruned_job", "random_core_job", "random_grid", "random_prunings", "random_slice", "random_tiles"]

SLICE_KINDS = ("one", "full", "any", "runs", "none")


def random_grid(rng: Generator, params: Parameters, tokens: int) -> Grid:
    """A grid of about `tokens` tokens at most, within the configuration."""
    frames, height, width = params.grid_max
    height, width = int(rng.integers(1, min(height, 6) + 1)), int(rng.integers(1, min(width, 6) + 1))
    return Grid(int(np.clip(tokens // (height * width), 1, frames)), height, width)


def _disorder(rng: Generator, params: Parameters, tokens: int) -> Tile:
    """Positions in any order, repeated, outside the grid, text between them."""
    frames, *sides = params.grid_max
    limits = [min(frames, 3), *(min(field_limit(side) + 1, 5) for side in sides)]
    places = [rng.integers(0, limit, tokens) for limit in limits]
    return Tile(np.stack((rng.random(tokens) < 0.9, *places), axis=1).astype(np.int32))


def random_tiles(rng: Generator, params: Parameters, grid: Grid) -> tuple[Tile, ...]:
    """A video with holes, text behind it, sometimes a tile in disorder."""
    retained = rng.random(grid.tokens) < rng.choice((0.6, 1.0))
    retained[0] = True
    tiles = tiles_of(grid, params.m_tile, retained, text_tokens=int(rng.choice((0, 0, 2))))
    if rng.random() < 0.4:
        tiles += (_disorder(rng, params, int(rng.integers(1, params.m_tile + 1))),)
    return tiles


def decoded_tiles(rng: Generator, params: Parameters, grid: Grid, surplus: int = 0,
                  text: int | None = None, separators: bool | None = None) -> tuple[tuple[Tile, ...], Offsets]:
    """A video with holes and text behind it, told as offsets; its first and its last token are there.

    surplus : offsets more, or less, than there are tokens for.  text : tokens of it, or else 2 in one of three.
    separators : between its rows, or else in one of two.
    """
    row = grid.width + int(rng.integers(2) if separators is None else separators)
    apart = Grid(grid.frames, grid.height, grid.width, row, grid.height * row + 2 * int(rng.integers(2)))
    if apart.frame_stride <= params.sec_tokens_max:
        grid = apart
    retained = rng.random(grid.tokens) < rng.choice((0.3, 0.7, 1.0))
    retained[[0, -1]] = True
    symbols = encode(retained, params.offset_bits)
    sizes = [tile.tokens for tile in tiles_of(grid, params.m_tile, retained)]
    if surplus < 0:
        kept = np.flatnonzero(symbols != ESCAPE)[:surplus]
        symbols = symbols[:kept[-1] + 1] if len(kept) else np.array((ESCAPE,), np.uint16)
    symbols = np.append(symbols, np.ones(max(surplus, 0), np.uint16))
    text = int(rng.choice((0, 0, 2))) if text is None else text
    offsets = Offsets(symbols, params.offset_bits, grid.strides, (*(False for _ in sizes), *([True] if text else [])))
    sizes += [min(text, params.m_tile)] if text else []
    return tuple(Tile(places) for places in offsets.places(sizes)), offsets


def random_prunings(rng: Generator, params: Parameters, layers: int = 6) -> list[SecOrder]:
    """Layers that prune one after another, ratios relative to the tokens there were at first."""
    tokens = present = int(rng.integers(1, min(params.sec_tokens_max, 32) + 1))
    previous, orders = None, []
    for ratio in sorted(rng.uniform(0, 1, layers), reverse=True):
        rows = rows_of(rng, str(rng.choice(SCORE_KINDS)), int(rng.integers(1, params.sec_lanes + 3)), present).rows
        order = SecOrder(rows, budget(float(ratio), tokens, present), previous, bool(rng.integers(2)))
        orders.append(order)
        previous, present = prune(rows, order.k, params.offset_bits, previous).symbols, order.k
    return orders


def random_slice(rng: Generator, tokens: int, vector: int, kind: str, dtype: str) -> Slice:
    """A slice of any shape a layer may have sent: p = 0, 1 or m, any map, or runs of one index (hazards)."""
    if kind == "none":
        return Slice(rough_vectors(rng, 1, vector, dtype)[:0], np.zeros(tokens, np.int32))
    p = {"one": 1, "full": tokens}.get(kind, int(rng.integers(1, tokens + 1)))
    index = rng.permutation(tokens) if kind == "full" else rng.integers(0, p, tokens)
    if kind == "runs":
        index = np.sort(index)
    return Slice(rough_vectors(rng, p, vector, dtype), index.astype(np.int32))


def _cut(slices: list[Slice], job: Job, vector: int) -> list[Slice]:
    """Clear the elements beyond K in the last slice, as the contract of the stream wants."""
    beyond = job.k - (len(slices) - 1) * vector
    slices[-1].vectors[:, beyond:] = 0
    return slices


def core_job(rng: Generator, params: Parameters, job: Job, kind: str = "gather") -> CoreJob:
    """Data for a job.  kind : `gather` concentrates rough tokens; one of `SLICE_KINDS`, or `mixed` of all of them."""
    v = params.vector
    if job.dense or kind == "gather":
        slices = next_slices(concentrate(rough_vectors(rng, job.tokens, job.k, params.dtype), job, params))
    else:
        kinds = [kind] if kind != "mixed" else list(SLICE_KINDS)
        slices = [_cut([random_slice(rng, tile.tokens, v, str(rng.choice(kinds)), params.dtype)
                        for _ in range(math.ceil(job.k / v))], job, v) for tile in job.tiles]
    scales = scales_like(rng, job.n) if params.dtype == "int8" else None
    preloads = preloads_like(rng, job.tokens, job.n, params.dtype) if job.preload else None
    return CoreJob(job, slices, weights_like(rng, job.k, job.n, params.dtype), scales, preloads)


def _length(rng: Generator, step: int, most: int) -> int:
    """A length of K or N in elements: below `step`, a multiple of it, or anything."""
    choice = rng.random()
    if choice < 0.25:
        return int(rng.integers(1, min(step, most) + 1))
    if choice < 0.5:
        return step * int(rng.integers(1, max(most // step, 1) + 1))
    return int(rng.integers(1, most + 1))


def random_core_job(rng: Generator, params: Parameters, tokens: int = 40, slices: int = 3, vectors: int = 3,
                    dense: bool | None = None, kind: str | None = None, preload: bool | None = None,
                    decoded: bool | None = None) -> CoreJob:
    """A job of about `tokens` tokens, at most `slices` k-slices and `vectors` output vectors.

    dense : or else one job in six.  kind : of the data, see `core_job`; or else any.  preload : or else one in three.
    decoded : positions as offsets, or else one in three.
    """
    v = params.vector
    k = _length(rng, v, min(params.k_max, slices * v))
    n = _length(rng, v, min(params.n_max, vectors * v))
    grid = random_grid(rng, params, tokens)
    mask = ALL_CANDIDATES if rng.random() < 0.6 else int(rng.integers(1 << params.candidates))
    threshold = float(rng.choice((0.0, 0.5, 0.7, 0.9, 1.0)))
    if dense is None:
        dense = bool(rng.random() < 1 / 6)
    tiles, offsets = _told(rng, params, grid, bool(rng.random() < 1 / 3) if decoded is None else decoded)
    job = Job(k, n, tiles, grid.height, grid.width, threshold, mask, dense,
              params.dtype, params.block, bool(rng.random() < 1 / 3) if preload is None else preload, offsets)
    return core_job(rng, params, job, kind or str(rng.choice(("gather", "mixed", "gather", "runs"))))


def _told(rng: Generator, params: Parameters, grid: Grid, decoded: bool) -> tuple[tuple[Tile, ...], Offsets | None]:
    """Tiles, and their offsets if the machine is to be told so and its fields have room for the strides."""
    if decoded and grid.frame_stride <= params.sec_tokens_max:
        return decoded_tiles(rng, params, grid)
    return random_tiles(rng, params, grid), None


def pruned_job(rng: Generator, params: Parameters) -> CoreJob:
    """A job told as offsets, with separators and text, beside some layers of pruning."""
    return replace(_small_decoded(rng, params, 0, 3, True), prunings=random_prunings(rng, params))


def astray_job(rng: Generator, params: Parameters, surplus: int) -> CoreJob:
    """A job with so many offsets more, or less, than it has tokens for; they are told as an error."""
    return _small_decoded(rng, params, surplus)


def _small_decoded(rng: Generator, params: Parameters, surplus: int, text: int | None = None,
                   separators: bool | None = None) -> CoreJob:
    """Two frames of at most 3 x 4, in two output vectors; the second frame is there if the grid has room for it."""
    frames, height, width = params.grid_max
    grid = Grid(min(frames, 2), min(height, 3), min(width, 4))
    tiles, offsets = decoded_tiles(rng, params, grid, surplus, text, separators)
    job = Job(params.vector, min(params.vector + 1, params.n_max), tiles, grid.height, grid.width, 0.5,
              dtype=params.dtype, block=params.block, offsets=offsets)
    return core_job(rng, params, job)


def hurried_job(rng: Generator, params: Parameters) -> CoreJob:
    """Tiles of one token and one column pass: the same accumulator is wanted again as soon as it can be (hazards)."""
    tiles = [Tile(np.zeros((1, 4), np.int32))] * 6
    return core_job(rng, params, Job(min(4 * params.vector, params.k_max), 1, tiles, 1, 1, 0.5, dtype=params.dtype,
                                         block=params.block),
                    "one")


def full_job(rng: Generator, params: Parameters) -> CoreJob:
    """A tile of m tokens, of a video as large as it may be; one k-slice and one output vector."""
    video = Grid(*params.grid_max)
    tile = Tile(np.resize(video.positions, (params.m_tile, 4)))
    return core_job(rng, params, Job(params.vector, params.vector, [tile], video.height, video.width, 0.5,
                                     dtype=params.dtype, block=params.block))


def hollow_job(rng: Generator, params: Parameters, preload: bool = False) -> CoreJob:
    """A tile for each way in which some of three slices, the others of any kind, are empty; two output vectors.

    preload : the tile without any vector, the last, starts with a -0, which has to leave as one.
    """
    v, ways = params.vector, [[k for k in range(3) if way >> k & 1] for way in range(1, 8)]
    most = min(params.m_tile, params.tokens_max // len(ways))
    tiles = [Tile(np.zeros((int(rng.integers(1, most + 1)), 4), np.int32)) for _ in ways]
    job = Job(3 * v, min(v + 1, params.n_max), tiles, 1, 1, 0.5, dtype=params.dtype, block=params.block,
              preload=preload)
    made = core_job(rng, params, job, "any")
    if made.preloads is not None and params.dtype != "int8":
        made.preloads[-tiles[-1].tokens, 0] = 1 << 31
    slices = [[random_slice(rng, tile.tokens, v, "none", params.dtype) if k in empty else part
               for k, part in enumerate(row)] for tile, row, empty in zip(tiles, made.slices, ways, strict=True)]
    return CoreJob(job, slices, made.weights, made.scales, made.preloads)


def events_of(params: Parameters, programs: Sequence[Program], jobs: Sequence[CoreJob]) -> Counter[str]:
    """How often the jobs contain each named event."""
    events: Counter[str] = Counter()
    for made, each in zip(programs, jobs, strict=True):
        job, counts = each.job, each.job.counts(params)
        slices = [part for row in each.slices for part in row]
        sizes = [tile.tokens for tile in job.tiles for _ in range(counts.slices)]
        events["dense job" if job.dense else "concentrated job"] += 1
        events["preloaded job"] += job.preload
        events.update(_told_events(job))
        events["pruning"] += len(each.prunings)
        events["pruned before"] += sum(order.previous is not None for order in each.prunings)
        events["partial tile"] += sum(tile.tokens < params.m_tile for tile in job.tiles)
        events["full tile"] += sum(tile.tokens == params.m_tile for tile in job.tiles)
        events["text tile"] += sum(not tile.image.any() for tile in job.tiles)
        empty = [[not part.p for part in row] for row in each.slices]
        events["p = 0"] += sum(map(sum, empty))
        events["first slice empty"] += sum(row[0] and not all(row) for row in empty)
        events["last slice empty"] += sum(row[-1] and not all(row) for row in empty)
        events["every slice empty"] += sum(map(all, empty))
        events["every slice empty, preloaded"] += sum(map(all, empty)) * job.preload
        events["p = 1"] += sum(part.p == 1 for part in slices)
        events["p = m_t > 1"] += sum(part.p == size > 1 for part, size in zip(slices, sizes, strict=True))
        events["K not a multiple of V"] += job.k % params.vector > 0
        events["N not a multiple of C"] += job.n % params.cols > 0
        events["N not a multiple of V"] += job.n % params.vector > 0
        events["rows skipped"] += counts.last_rows < params.row_passes
        events["columns skipped"] += counts.last_cols < params.col_passes
        events["several slices"] += counts.slices > 1
        events["match"] += sum(part.matched for row in made.result for part in row)
        events["all-zero vector"] += sum(part.zeros for row in made.result for part in row)
        events["chain"] += _chains(made)
    return events


def _told_events(job: Job) -> Counter[str]:
    """What is special about a job's offsets."""
    if job.offsets is None:
        return Counter()
    image = sum(tile.tokens for tile, text in zip(job.tiles, job.offsets.text, strict=True) if not text)
    more = len(decode(job.offsets.symbols, job.offsets.bits)) - image
    outside = sum(int((tile.image & (tile.places[:, 1:] >= (job.height, job.width)).any(axis=1)).sum())
                  for tile in job.tiles)
    return Counter({"decoded job": 1, "too few offsets": more < 0, "too many offsets": more > 0,
                    "text without offsets": sum(job.offsets.text), "separator": outside})


def _chains(made: Program) -> int:
    """Groups of three tokens or more: a match of a match, or several of one."""
    return sum(int((np.bincount(part.index_map) > 2).sum()) for row in made.result for part in row)
