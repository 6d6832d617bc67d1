# SPDX-License-Identifier: Apache-2.0
"""Seeded configurations, jobs and data for the tests of the golden model; dense in the cases that go wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.job import ALL_CANDIDATES, Grid, Job, Tile, tiles_of
from focus_rtl.golden.numeric.dtypes import Bits, numbers, quantise
from focus_rtl.golden.params import Parameters

__all__ = ["make_params", "preloads_like", "random_job", "random_tile", "rough_vectors", "scales_like", "smooth_video",
           "weights_like"]

Generator = np.random.Generator

MULTIPLIERS = ("pe_multiplier", "dot_multiplier", "compare_multiplier", "scale_multiplier")
"""Fields that say how a unit multiplies."""

SPECIAL: dict[str, tuple[Bits, Bits]] = {
    "fp16": (np.array((0, 0x8000), np.uint16), np.array((0x7E00, 0x7C01, 0xFFFF, 0x7C00, 0xFC00), np.uint16)),
    "bf16": (np.array((0, 0x8000), np.uint16), np.array((0x7FC0, 0x7F81, 0xFFFF, 0x7F80, 0xFF80), np.uint16)),
    "int8": (np.array((0, 0), np.uint8), np.array((0x80, 0x81, 0x7F), np.uint8))}
"""Both zeros, and the elements that are out of the ordinary: NaN and infinities, or the ends of int8."""

HOSTILE_WEIGHTS: dict[str, Bits] = {
    "fp16": np.array((0x7D55, 0xFC00), np.uint16), "bf16": np.array((0x7F95, 0xFF80), np.uint16),
    "int8": np.array((0x80, 0x7F), np.uint8)}


def make_params(**changed: Any) -> Parameters:
    """A small configuration; every field can be changed."""
    fields: dict[str, Any] = {
        "dtype": "fp16", "rows": 2, "cols": 2, "vector": 4, "m_tile": 16, "block": (2, 2, 2), "grid_max": (16, 16, 16),
        "k_max": 4096, "n_max": 4096, "tokens_max": 4096, "scatter_lanes": 1, "psum_banks": 4, "scatter_lookahead": 2,
        "matchers": 1, "matcher_lanes": 1, "pe_depth": 1, **dict.fromkeys(MULTIPLIERS, "dsp"),
        "match_depth": 2, "scale_share": 1, "representative": "first", "sec_tokens_max": 64, "sec_lanes": 2,
        "top_k": "radix", "offset_bits": 4, "counter_bits": 32, "memories": "inferred"}
    return Parameters(**(fields | changed))


def random_tile(rng: Generator, tokens: int, height: int, width: int) -> Tile:
    """Positions in any order: repeated ones, ones outside the grid, text between them."""
    positions = np.stack((rng.random(tokens) < 0.9, rng.integers(0, 4, tokens), rng.integers(0, height + 1, tokens),
                          rng.integers(0, width + 1, tokens)), axis=1)
    return Tile(positions.astype(np.int32))


def random_job(rng: Generator, params: Parameters, k: int, n: int) -> Job:
    """A few tiles: a video with holes and text, sometimes a tile in disorder; the last image tile is often partial."""
    height, width = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    grid = Grid(int(rng.integers(1, 4)), height, width)
    retained = rng.random(grid.tokens) < rng.choice((0.6, 1.0))
    retained[0] = True
    tiles = tiles_of(grid, params.m_tile, retained, text_tokens=int(rng.integers(0, 4)))
    if rng.random() < 0.4:
        tiles += (random_tile(rng, int(rng.integers(1, params.m_tile + 1)), height, width),)
    threshold = float(rng.choice((0.0, 0.5, 0.7, 0.9, 1.0)))
    mask = ALL_CANDIDATES if rng.random() < 0.6 else int(rng.integers(1 << params.candidates))
    return Job(k, n, tiles, height, width, threshold, mask, bool(rng.random() < 0.15), params.dtype,
               params.block)


def _elements(values: NDArray[Any], dtype: str) -> Bits:
    """Numbers -> bits of elements."""
    with np.errstate(all="ignore"):
        return values.astype(np.float16).view(np.uint16) if dtype == "fp16" else quantise(values, dtype)


def _tiny(rng: Generator, size: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Subnormal fp16; bf16 that is subnormal, or whose products vanish or are subnormal; int8 near zero."""
    steps = rng.integers(-5, 6, size)
    if dtype == "int8":
        return steps
    return steps * 2.0 ** (-24 if dtype == "fp16" else int(rng.choice((-133, -76, -73, -66, -45))))


def _huge(rng: Generator, size: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Large fp16 and int8; bf16 whose squared dots, norms or own products overflow."""
    sign = rng.choice((-1.0, 1.0), size)
    if dtype == "fp16":
        return sign * rng.uniform(30000, 65504, size)
    if dtype == "int8":
        return sign * rng.integers(100, 129, size)
    return sign * rng.uniform(1, 1.99, size) * 2.0 ** int(rng.choice((32, 62, 127)))


def _alphabet(rng: Generator, size: tuple[int, ...], kind: int, dtype: str = "fp16") -> Bits:
    """Few distinct values (ties, equality with the threshold), common ones, tiny ones, or very large ones."""
    if kind == 0:
        return _elements(rng.integers(-1, 2, size), dtype)
    if kind == 1:
        return _elements(rng.normal(size=size) * (40 if dtype == "int8" else 1), dtype)
    return _elements((_tiny if kind == 2 else _huge)(rng, size, dtype), dtype)


def _vector(rng: Generator, v: int, before: Sequence[Bits], dtype: str) -> Bits:
    """One vector: new, or related to an earlier one, or hostile."""
    choice = rng.random()
    zeros, odd = SPECIAL[dtype]
    old = before[int(rng.integers(max(0, len(before) - 4), len(before)))] if before else np.zeros(v, zeros.dtype)
    if choice < 0.25:
        return old.copy()
    if choice < 0.40:
        factor = np.float16(rng.choice((-1.0, 0.5, 2.0, 1.001)))
        with np.errstate(all="ignore"):
            return _elements(numbers(old, dtype) * factor, dtype)
    if choice < 0.48:
        changed = old.copy()
        changed[rng.integers(v)] ^= 1
        return changed
    if choice < 0.56:
        return np.asarray(np.where(rng.random(v) < 0.5, zeros[0], zeros[1]))
    vector = _alphabet(rng, (v,), int(rng.choice(4, p=(0.6, 0.2, 0.1, 0.1))), dtype)
    if choice < 0.62:
        vector[rng.integers(v)] = rng.choice(odd)
    return vector


def rough_vectors(rng: Generator, tokens: int, v: int, dtype: str = "fp16") -> Bits:
    """(tokens, v) bits: copies, multiples, one-bit changes, zeros of both signs, NaN, infinities, extremes."""
    rows: list[Bits] = []
    for _ in range(tokens):
        rows.append(_vector(rng, v, rows, dtype))
    return np.array(rows, dtype=SPECIAL[dtype][0].dtype)


def weights_like(rng: Generator, k: int, n: int, dtype: str = "fp16") -> Bits:
    """(k, n) bits of elements: mostly small whole numbers, so that structure survives, or hostile ones."""
    kind = int(rng.choice(4, p=(0.6, 0.25, 0.05, 0.1)))
    bits = np.where(rng.random((k, n)) < 0.4, _alphabet(rng, (k, n), kind, dtype), _elements(np.eye(k, n), dtype))
    if rng.random() < 0.2:
        bits[rng.integers(k), rng.integers(n)] = rng.choice(HOSTILE_WEIGHTS[dtype])
    return bits


def scales_like(rng: Generator, n: int) -> NDArray[np.float32]:
    """(n,) float32: powers of two (ties of the rounding), common ones, some so large or small that nothing is left."""
    common = rng.uniform(0.01, 1.5, n)
    powers = 2.0 ** rng.integers(-7, 2, n)
    extreme = rng.choice((1e-45, 1e-38, 3e37, 3.4e38), n)
    kind = rng.random(n)
    return np.where(kind < 0.45, powers, np.where(kind < 0.9, common, extreme)).astype(np.float32)


ACCUMULATORS = {
    "float": np.array((0x80000000, 0, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC12345, 0x7F800001, 1, 0x807FFFFF,
                       0x7F7FFFFF), np.uint32),
    "int8": np.array((0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000), np.uint32)}
"""Uncommon accumulators: zeros, infinities, NaN with payloads, subnormals, the largest; int32 at its ends."""


def preloads_like(rng: Generator, tokens: int, n: int, dtype: str) -> NDArray[np.uint32]:
    """(tokens, n) uint32: accumulators such as a layer leaves, one in ten out of the ordinary."""
    if dtype == "int8":
        plain = rng.integers(-(1 << 31), 1 << 31, (tokens, n)) >> rng.integers(0, 30, (tokens, n))
        bits = plain.astype(np.int32).view(np.uint32)
    else:
        plain = rng.integers(-8, 9, (tokens, n)) * rng.choice((0.25, 1.0, 0.1), (tokens, 1))
        bits = plain.astype(np.float32).view(np.uint32)
    special = ACCUMULATORS["int8" if dtype == "int8" else "float"]
    return np.where(rng.random((tokens, n)) < 0.1, rng.choice(special, (tokens, n)), bits)


def smooth_video(rng: Generator, grid: Grid, k: int, likeness: float = 0.93, dtype: str = "fp16") -> Bits:
    """(tokens, k) bits: neighbours along each axis are correlated by about `likeness`, some patches all zero."""
    field = rng.normal(size=(grid.frames, grid.height, grid.width, k))
    for axis in (0, 1, 2):
        along = np.moveaxis(field, axis, 0)
        for i in range(1, len(along)):
            alike = np.clip(likeness + 0.1 * rng.normal(size=(*along.shape[1:-1], 1)), 0, 1)
            along[i] = alike * along[i - 1] + np.sqrt(1 - alike ** 2) * along[i]
    tokens = field.reshape(grid.tokens, k)
    tokens[rng.random(grid.tokens) < 0.03] = 0
    return _elements(tokens * (40 if dtype == "int8" else 1), dtype)
