# SPDX-License-Identifier: Apache-2.0
"""Seeded configurations, jobs and data for the tests of the golden model; dense in the cases that go wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.job import Grid, Job, Tile, tiles_of
from focus_rtl.golden.params import Parameters

__all__ = ["make_params", "random_job", "random_tile", "rough_vectors", "smooth_video", "weights_like"]

Generator = np.random.Generator


def make_params(**changed: Any) -> Parameters:
    """A small configuration; every field can be changed."""
    fields: dict[str, Any] = {
        "dtype": "fp16", "rows": 2, "cols": 2, "vector": 4, "m_tile": 16, "block": (2, 2, 2), "grid_max": (16, 16, 16),
        "k_max": 4096, "n_max": 4096, "tokens_max": 4096, "scatter_lanes": 1, "psum_banks": 4, "scatter_lookahead": 2,
        "matchers": 1, "matcher_lanes": 1, "pe_depth": 1, "representative": "first", "memories": "inferred"}
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
    mask = 0x7F if rng.random() < 0.6 else int(rng.integers(0, 0x80))
    return Job(k, n, tiles, height, width, threshold, mask, dense=bool(rng.random() < 0.15))


def _alphabet(rng: Generator, size: tuple[int, ...], kind: int) -> NDArray[np.float16]:
    """Few distinct values (ties, equality with the threshold), common ones, subnormal ones, or very large ones."""
    if kind == 0:
        return rng.integers(-1, 2, size).astype(np.float16)
    if kind == 1:
        return rng.normal(size=size).astype(np.float16)
    if kind == 2:
        return (rng.integers(-5, 6, size) * 2.0 ** -24).astype(np.float16)
    return (rng.choice((-1.0, 1.0), size) * rng.uniform(30000, 65504, size)).astype(np.float16)


def _vector(rng: Generator, v: int, before: Sequence[NDArray[np.uint16]]) -> NDArray[np.uint16]:
    """One vector: new, or related to an earlier one, or hostile."""
    choice = rng.random()
    old = before[int(rng.integers(max(0, len(before) - 4), len(before)))] if before else np.zeros(v, np.uint16)
    number = old.view(np.float16)
    if choice < 0.25:
        return old.copy()
    if choice < 0.40:
        factor = np.float16(rng.choice((-1.0, 0.5, 2.0, 1.001)))
        with np.errstate(all="ignore"):
            return (number * factor).astype(np.float16).view(np.uint16)
    if choice < 0.48:
        changed = old.copy()
        changed[rng.integers(v)] ^= 1
        return changed
    if choice < 0.56:
        return np.where(rng.random(v) < 0.5, 0, 0x8000).astype(np.uint16)
    vector = _alphabet(rng, (v,), int(rng.choice(4, p=(0.6, 0.2, 0.1, 0.1)))).view(np.uint16)
    if choice < 0.62:
        vector[rng.integers(v)] = rng.choice(np.array((0x7E00, 0x7C01, 0xFFFF, 0x7C00, 0xFC00), dtype=np.uint16))
    return vector


def rough_vectors(rng: Generator, tokens: int, v: int) -> NDArray[np.uint16]:
    """(tokens, v) fp16 bits: copies, multiples, one-bit changes, zeros of both signs, NaN, infinities, extremes."""
    rows: list[NDArray[np.uint16]] = []
    for _ in range(tokens):
        rows.append(_vector(rng, v, rows))
    return np.array(rows, dtype=np.uint16)


def weights_like(rng: Generator, k: int, n: int) -> NDArray[np.uint16]:
    """(k, n) fp16 bits: mostly small whole numbers, so that structure survives, or hostile ones."""
    kind = int(rng.choice(4, p=(0.6, 0.25, 0.05, 0.1)))
    weights = np.where(rng.random((k, n)) < 0.4, _alphabet(rng, (k, n), kind), np.eye(k, n)).astype(np.float16)
    bits = weights.view(np.uint16)
    if rng.random() < 0.2:
        bits[rng.integers(k), rng.integers(n)] = rng.choice(np.array((0x7D55, 0xFC00), dtype=np.uint16))
    return bits


def smooth_video(rng: Generator, grid: Grid, k: int, likeness: float = 0.93) -> NDArray[np.uint16]:
    """(tokens, k) fp16 bits: neighbours along each axis are correlated by about `likeness`, some patches all zero."""
    field = rng.normal(size=(grid.frames, grid.height, grid.width, k))
    for axis in (0, 1, 2):
        along = np.moveaxis(field, axis, 0)
        for i in range(1, len(along)):
            alike = np.clip(likeness + 0.1 * rng.normal(size=(*along.shape[1:-1], 1)), 0, 1)
            along[i] = alike * along[i - 1] + np.sqrt(1 - alike ** 2) * along[i]
    tokens = field.reshape(grid.tokens, k)
    tokens[rng.random(grid.tokens) < 0.03] = 0
    return tokens.astype(np.float16).view(np.uint16)
