# SPDX-License-Identifier: Apache-2.0
"""Tiles for gather: random ones, those that random ones may miss, and what happens in each, to be counted."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.job import ALL_CANDIDATES, Grid, Job, Tile, tiles_of
from focus_rtl.golden.numeric.dtypes import Bits, is_zero, numbers, quantise
from focus_rtl.golden.numeric.formats import multiply32
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.layouter import inside, neighbours, windows
from focus_rtl.golden.sic.matcher import dot, norms
from focus_rtl.verif.golden.cases import random_tile, rough_vectors, smooth_video
from focus_rtl.verif.oracles import brute

__all__ = ["EVENTS", "EVENTS_OF", "WITHOUT_A_WINDOW", "Case", "common", "events_of", "named_cases", "random_cases",
           "separated", "serial_costs", "tile_vectors"]

EVENTS = {
    "text", "outside", "key zero", "unsound neighbour first", "unsound neighbour later",
    "negative", "tie", "no candidate", "match", "at threshold", "below threshold", "chain", "dense", "masked",
    "one token", "full tile", "one unique", "all unique", "one row", "one column", "odd sides", "threshold changed",
    "previous matched", "separators", "all identical", "all zero", "zeros among others", "alternating signs",
    "chain across the tile",
}
WITHOUT_A_WINDOW = {"text", "outside", "one token", "full tile", "all unique", "one row", "one column", "odd sides",
                    "dense", "separators", "threshold changed", "all identical", "all zero", "zeros among others",
                    "alternating signs"}
"""What can happen where every vector passes."""
EVENTS_OF = {
    "fp16": {"key nan", "key inf"},
    "bf16": {"key nan", "key inf", "norm vanishes", "norm overflows", "norm subnormal", "tie at infinity",
             "infinite against finite"},
    "int8": {"-128", "saturated", "largest norm", "largest negative dot"},
}
"""Of a dtype, beside `EVENTS`."""
Case = tuple[Job, Bits]
"""A job of one tile, and its vectors."""


def common(rng: np.random.Generator, size: tuple[int, ...], dtype: str) -> Bits:
    """Elements like those of a layer."""
    return quantise(rng.normal(size=size) * (40 if dtype == "int8" else 1), dtype)


def _extreme(rng: np.random.Generator, size: tuple[int, int], dtype: str) -> Bits:
    """Where the dtype's arithmetic ends.

    int8: the largest sums, and few distinct ones.  bf16: norms, dots or their squares that overflow, vanish or are
    subnormal, a scale for each vector.  fp16: subnormal and large elements.
    """
    if dtype == "int8":
        return rng.choice((-128, 127), size, p=(0.9, 0.1)).astype(np.int8).view(np.uint8)
    powers = (-24, -20, 12, 15) if dtype == "fp16" else (-133, -75, -74, -68, -63, 20, 60, 63, 64, 120)
    scale = 2.0 ** rng.choice(powers, (size[0], 1))
    steps = rng.integers(-1, 2, size) if rng.random() < 0.5 else rng.normal(size=size)
    with np.errstate(all="ignore"):
        return quantise(steps * scale, dtype)


def tile_vectors(rng: np.random.Generator, tile: Tile, v: int, sides: tuple[int, int], dtype: str) -> Bits:
    """(tokens, v) bits: hostile ones, a smooth video, all identical, all zero, alternating signs, common, extreme."""
    kind, size = int(rng.choice(7, p=(0.5, 0.2, 0.05, 0.05, 0.05, 0.05, 0.1))), (tile.tokens, v)
    if kind == 0:
        return rough_vectors(rng, tile.tokens, v, dtype)
    if kind == 1:
        video = smooth_video(rng, Grid(4, *sides), v, dtype=dtype).reshape(4, *sides, v)
        _, frame, row, column = tile.positions.T
        return video[frame % 4, np.minimum(row, sides[0] - 1), np.minimum(column, sides[1] - 1)]
    if kind == 2:
        return np.broadcast_to(rough_vectors(rng, 1, v, dtype), size).copy()  # all identical
    if kind == 3:
        return quantise(np.where(rng.random(size) < 0.5, -0.0, 0.0), dtype)
    if kind == 4:
        signs = np.where(np.arange(tile.tokens) % 2, -1.0, 1.0)
        return quantise(np.broadcast_to(signs[:, None], size), dtype)  # opposite to the one before
    return common(rng, size, dtype) if kind == 5 else _extreme(rng, size, dtype)


def _tile(rng: np.random.Generator, p: Parameters) -> tuple[Tile, int, int]:
    height, width = (int(rng.integers(1, side + 1)) for side in p.grid_max[1:])
    shape = int(rng.integers(5))
    height, width = {0: (1, width), 1: (height, 1)}.get(shape, (height, width))
    if rng.random() < 0.3:
        return random_tile(rng, int(rng.integers(1, p.m_tile + 1)), height, width), height, width
    grid = Grid(int(rng.integers(1, 5)), height, width)
    retained = rng.random(grid.tokens) < rng.choice((0.5, 1.0))
    retained[0] = True
    tiles = tiles_of(grid, p.m_tile, retained, text_tokens=int(rng.integers(0, 4)))
    return tiles[int(rng.integers(len(tiles)))], height, width


def random_cases(rng: np.random.Generator, p: Parameters, count: int) -> list[Case]:
    """`count` tiles, each with a job of its own."""
    cases: list[Case] = []
    threshold = 0.9
    for _ in range(count):
        tile, height, width = _tile(rng, p)
        if rng.random() < 0.5:
            threshold = float(rng.choice((0.0, 0.3, 0.5, 0.9, 0.95, 0.999, 1.0)))
        mask = ALL_CANDIDATES if rng.random() < 0.7 else int(rng.integers(1 << p.candidates))
        job = Job(p.vector, p.vector, (tile,), height, width, threshold, mask, bool(rng.random() < 0.1), p.dtype,
                  p.block)
        cases.append((job, tile_vectors(rng, tile, p.vector, (height, width), p.dtype)))
    return cases


def named_cases(p: Parameters) -> list[Case]:
    """Tiles that random ones may miss: a tie, equality with the threshold, chains, one token, a full tile, masks, and
    what is the same, opposite or zero throughout; every event that is to be counted is in one of them.
    """
    unit = quantise(np.eye(p.vector), p.dtype)
    four = quantise(np.arange(p.vector) < 4, p.dtype)
    key = tuple(side - 1 for side in p.block)
    corner = Tile(np.array([(1, *place) for place in (*neighbours(key, p.block)[1::-1], key)]))
    axis = int(np.argmax(np.array(p.block) > 1))  # along which there are neighbours
    below = 0.499 if p.dtype == "int8" else float(np.nextafter(np.float32(0.5), np.float32(0)))

    def job(tile: Tile, threshold: float, dense: bool = False, mask: int = ALL_CANDIDATES) -> Job:
        return Job(p.vector, p.vector, (tile,), *p.grid_max[1:], threshold, mask, dense, p.dtype, p.block)

    def line(vectors: Bits, threshold: float, mask: int = ALL_CANDIDATES) -> Case:
        positions = np.zeros((len(vectors), 4), np.int32)
        positions[:, 0], positions[:, 1 + axis] = 1, np.arange(len(vectors))
        return job(Tile(positions), threshold, mask=mask), vectors

    def tie(numbers: list[Bits], factor: float = 1.0) -> Case:
        return job(corner, 0.5), quantise(np.array(numbers)[-corner.tokens:] * factor, p.dtype)

    def small(height: int, width: int) -> Case:
        tile = tiles_of(Grid(2, height, width), p.m_tile)[0]
        return (Job(p.vector, p.vector, (tile,), height, width, 0.9, dtype=p.dtype, block=p.block),
                same[:tile.tokens])

    left, right = np.eye(p.vector)[:2]
    full = tiles_of(Grid(p.grid_max[0], *p.grid_max[1:]), p.m_tile)[0]
    same = quantise(np.full((full.tokens, p.vector), 2.0), p.dtype)
    bends = np.array([[4, bend] + [0] * (p.vector - 2) for bend in (0, 1, 2, 3)]) * (16 if p.dtype == "int8" else 0.25)
    turning = quantise(bends, p.dtype)
    zeros = quantise(np.where(np.arange(full.tokens)[:, None] % 2, -0.0, 0.0) * np.ones(p.vector), p.dtype)
    signs = np.where(np.arange(full.tokens) % 2, -2.0, 2.0)[:, None] * np.ones(p.vector)
    spread, bent = _spiral(p)
    return [
        (job(full, 0.9), zeros), (job(full, 0.9), quantise(signs, p.dtype)), (job(spread, 0.9), bent),
        line(np.concatenate((same[:1], zeros[:1], same[:1])), 0.9), small(1, 3), small(3, 1),
        (job(Tile(full.positions[:3] * ((1,), (0,), (1,))), 0.9), same[:3]),  # text between two of the image
        tie([0 * left, right, left + right]), tie([right, 0 * left, left + right]),
        line(np.array([four, unit[0]]), 0.5), line(np.array([four, unit[0]]), below),
        tie([left, right, left + right]), tie([right, left, left + right]),
        line(turning, 0.95), line(turning[:1], 0.95), line(turning[[0, 3]], 0.95), line(same[:4], 0.9),
        line(same[:4], 0.9, mask=0), (job(full, 0.9), same), (job(full, 0.9, dense=True), same),
        (job(separated(p), 0.9), same[:separated(p).tokens]), *_named_extremes(p.dtype, tie, line, left, right),
    ]


def _spiral(p: Parameters) -> tuple[Tile, Bits]:
    """A full tile that is one chain: each vector is like the neighbours that came before it, and not like the first.

    It lies in the axes that the block spans; a vector turns by 18 degrees with each step along one of them.
    """
    sides = [size if side > 1 else 1 for size, side in zip(p.grid_max, p.block, strict=True)]
    places = np.array(list(np.ndindex(*sides)))[:p.m_tile]
    angle = places.sum(axis=1) * np.pi / 10
    vectors = np.zeros((len(places), p.vector))
    vectors[:, 0], vectors[:, 1] = np.cos(angle), np.sin(angle)
    tile = Tile(np.concatenate((np.ones((len(places), 1), np.int32), places), axis=1))
    return tile, quantise(vectors * (100 if p.dtype == "int8" else 1), p.dtype)


def separated(p: Parameters) -> Tile:
    """Rows of two, a token behind each row and behind each frame: strides of the token order larger than the grid's."""
    _, height, width = p.grid_max
    places = [(1, frame, row, column) for frame in range(min(p.grid_max[0], 2)) for row in (*range(2), height)
              for column in ((0, 1, width) if row < height else (0,))]
    return Tile(np.array(places))


def _named_extremes(dtype: str, tie: Callable[..., Case], line: Callable[..., Case], left: NDArray[np.float64],
                    right: NDArray[np.float64]) -> list[Case]:
    """NaN and infinities.  Of bf16: norms that vanish, are subnormal or overflow; squares that overflow, so that the
    earlier of two wins.  Of int8: the ends of what a dot can be.
    """
    one = np.ones(len(left))
    factors = {"fp16": _odd(left), "bf16": [*_odd(left), 2.0 ** -80, 2.0 ** -66, 2.0 ** 64], "int8": []}[dtype]
    among = [line(quantise(np.array([one, one * factor, one]), dtype), 0.9) for factor in factors]
    if dtype == "bf16":
        huge = 2.0 ** 40  # norms of 2**80, squared dots of 2**160
        return [*among, tie([left, right, left + right], huge), tie([right, left, left + right], huge),
                tie([left, 2 * right, left + 3 * right], huge), tie([left / huge, right, left + right], huge),
                tie([left, -right, left + right], huge)]
    if dtype == "int8":
        ends = quantise(np.array([[-128], [127], [-128], [-128]]) * np.ones(len(left)), dtype)
        return [line(ends, threshold) for threshold in (0.9, 1.0)]
    return among


def _odd(left: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Factors that put an infinity of either sign or a NaN into the first lane."""
    return [np.where(left > 0, odd, 1.0) for odd in (np.inf, -np.inf, np.nan)]


def events_of(case: Case, before: Job | None, p: Parameters) -> tuple[Counter[str], int]:
    """What a tile is there for, and how many words come out of it; the brute force says what happened inside."""
    job, vectors = case
    tile, = job.tiles
    told = brute.gather(vectors.tolist(), [tuple(place) for place in tile.positions.tolist()], job)
    unique = len(told.unique)
    window = windows(tile, job.height, job.width, p.block)
    happened = {
        "dense": job.dense, "masked": job.mask != (1 << p.candidates) - 1, "one token": tile.tokens == 1,
        "full tile": tile.tokens == p.m_tile,
        "one unique": unique == 1 < tile.tokens, "all unique": 1 < unique == tile.tokens,
        "one row": job.height == 1 < job.width, "one column": job.width == 1 < job.height,
        "odd sides": job.height % 2 and job.width % 2,
        "threshold changed": before is not None and before.t2 != job.t2,
        "separators": np.array_equal(tile.positions, separated(p).positions),
        **_kinds(vectors, unique, job, p),
        "previous matched": bool((window[1:] == np.arange(tile.tokens - 1)[:, None]).any()) and unique == 1,
    }
    extremes = _extremes(vectors, window, job)
    return (told.events + extremes + Counter(name for name, seen in happened.items() if seen),
            unique + tile.tokens + 1)


def serial_costs(p: Parameters, job: Job, vectors: Bits, cycles: dict[str, int]) -> list[int]:
    """Cycles from `valid` to `decided` of each vector in a `SerialMatcher`; `cycles`: what takes how long there."""
    tile, = job.tiles
    zero, window = is_zero(vectors, p.dtype).all(axis=1), windows(tile, job.height, job.width, p.block)
    found = []
    for token, (image, *place) in enumerate(tile.positions.tolist()):
        where = (place[0], place[1], place[2])
        if job.dense or not image or not inside(where, job.height, job.width):
            found.append(cycles["passes"])
            continue
        total, best = cycles["entered"], False
        for number, (there, other) in enumerate(zip(neighbours(where, p.block), window[token].tolist(), strict=True)):
            if zero[token]:
                continue
            if not job.mask >> number & 1 or min(there) < 0:
                total += cycles["apart"]
            elif other < 0 or zero[other]:
                total += cycles["hidden"]
            elif int(dot(vectors[token], vectors[other], p.dtype).view(np.int32)) <= 0:
                total += cycles["opposed"]
            else:
                total += cycles["later" if best else "first"]
                best = True
        found.append(total + best * cycles["best"])
    return found


def _kinds(vectors: Bits, unique: int, job: Job, p: Parameters) -> dict[str, bool]:
    """Tiles that are hostile as a whole."""
    zero, wide = is_zero(vectors, p.dtype).all(axis=1), numbers(vectors, p.dtype).astype(np.float64)
    several = len(vectors) > 1
    with np.errstate(all="ignore"):
        cosine = wide @ wide[0] / np.sqrt((wide * wide).sum(axis=1) * (wide[0] @ wide[0]))
        opposite = bool((wide[1:] == -wide[:-1]).all())
    return {"all identical": several and not zero[0] and bool((vectors == vectors[0]).all()),
            "all zero": several and bool(zero.all()), "zeros among others": bool(zero.any() and not zero.all()),
            "alternating signs": several and not zero[0] and opposite,
            "chain across the tile": unique == 1 and len(vectors) == p.m_tile and bool((cosine < job.threshold).any())}


def _extremes(vectors: Bits, window: NDArray[np.int32], job: Job) -> Counter[str]:
    """What a tile shows of the ends of its dtype's arithmetic."""
    dtype, v = job.dtype, vectors.shape[1]
    norm, real = norms(vectors, dtype), ~is_zero(vectors, dtype).all(axis=1)
    seen = (window >= 0) & (job.mask >> np.arange(window.shape[1]) & 1 > 0) & (not job.dense)
    dots = dot(vectors[:, None], vectors[window], dtype)
    if dtype == "int8":
        ends = np.isin(vectors, (0x80, 0x7F)).all(axis=1)
        return Counter({"-128": int((vectors == 0x80).sum()), "saturated": int(ends.sum()),
                        "largest norm": int((norm == v << 14).sum()),
                        "largest negative dot": int((seen & (dots.view(np.int32) == -v * 128 * 127)).sum())})
    if dtype == "fp16":
        return Counter()
    finite = np.isfinite(numbers(vectors, dtype)).all(axis=1)
    sound = (norm > 0) & (norm < 0x7F800000)
    fair = seen & sound[:, None] & sound[window]
    infinite = fair & (multiply32(dots, dots & 0x7FFFFFFF) == 0x7F800000)
    return Counter({
        "norm vanishes": int((real & (norm == 0)).sum()), "norm overflows": int((finite & (norm == 0x7F800000)).sum()),
        "norm subnormal": int(((norm > 0) & (norm < 0x00800000)).sum()),
        "tie at infinity": int((infinite.sum(axis=1) > 1).sum()),
        "infinite against finite": int((infinite.any(axis=1) & (fair & ~infinite).any(axis=1)).sum())})
