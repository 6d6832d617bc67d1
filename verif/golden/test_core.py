# SPDX-License-Identifier: Apache-2.0
"""Whole layers of the golden model against the brute force, chains of layers, and the counts."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

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
from focus_rtl.verif.golden.cases import make_params, random_job, rough_vectors, smooth_video, weights_like
from focus_rtl.verif.oracles import brute

SHAPES = ((1, 1, 4), (2, 2, 4), (4, 1, 4), (1, 2, 8), (4, 2, 8), (2, 8, 8), (3, 2, 6), (8, 4, 16))
"""(rows, cols, vector)"""


def _plain(slices: list[list[Slice]]) -> list[list[tuple[list[list[int]], list[int]]]]:
    return [[(part.vectors.tolist(), part.index_map.tolist()) for part in row] for row in slices]


def test_random_layers_agree_with_the_brute_force() -> None:
    events: Counter[str] = Counter()
    words = expected = 0
    for seed in range(320):
        rng = np.random.default_rng(1000 + seed)
        rows, cols, v = SHAPES[seed % len(SHAPES)]
        params = make_params(rows=rows, cols=cols, vector=v)
        k, n = int(rng.integers(1, 3 * v)), int(rng.integers(1, 2 * v + 2))
        job = random_job(rng, params, k, n)
        slices = next_slices(concentrate(rough_vectors(rng, job.tokens, k), job, params))
        weights = weights_like(rng, k, n)
        got = run_layer(params, job, slices, weights)
        want = brute.layer(params, job, _plain(slices), weights.tolist())
        for t, (row, other) in enumerate(zip(got, want, strict=True)):
            for i, (part, twin) in enumerate(zip(row, other, strict=True)):
                assert part.unique.tolist() == twin.unique, (seed, t, i)
                assert part.index_map.tolist() == twin.index_map, (seed, t, i)
                assert part.zeros == twin.zeros
                words += part.unique.size + part.tokens
                events += twin.events
        out = np.concatenate([part.unique.reshape(-1) for row in got for part in row])
        counts = job.counts(params)
        expected += output_counts(got) * v + job.tokens * counts.vectors
        events.update({"overflow": int(((out & 0x7FFF) == 0x7C00).sum()), "nan": int((out == 0x7E00).sum()),
                       "subnormal": int((((out & 0x7C00) == 0) & ((out & 0x3FF) > 0)).sum()), "dense": int(job.dense),
                       "partial tile": sum(tile.tokens % params.m_tile > 0 for tile in job.tiles),
                       "k padded": int(k % v > 0), "n padded": int(n % v > 0),
                       "rows skipped": int(counts.last_rows < params.row_passes),
                       "columns skipped": int(counts.last_cols < params.col_passes)})
    print(f"{words} words compared, events {dict(sorted(events.items()))}")
    assert words == expected > 40000
    wanted = ("overflow", "nan", "subnormal", "dense", "partial tile", "k padded", "n padded", "rows skipped",
              "columns skipped", "match", "at threshold", "tie", "chain", "text", "outside", "key nan", "key zero",
              "unsound neighbour first")
    assert [name for name in wanted if not events[name]] == []


def test_the_array_does_not_change_a_bit() -> None:
    rng = np.random.default_rng(5)
    results = []
    tiles = tiles_of(Grid(2, 4, 4), 16, text_tokens=3)
    tokens, weights = rough_vectors(rng, 35, 40), weights_like(rng, 40, 21)
    for rows, cols, lanes in ((1, 16, 1), (16, 1, 2), (4, 8, 4), (16, 16, 2)):
        params = make_params(rows=rows, cols=cols, vector=16, scatter_lanes=lanes)
        job = Job(40, 21, tiles, 4, 4, 0.9)
        results.append(run_layer(params, job, next_slices(concentrate(tokens, job, params)), weights))
    for other in results[1:]:
        for row, twin in zip(results[0], other, strict=True):
            for part, same in zip(row, twin, strict=True):
                assert np.array_equal(part.unique, same.unique) and np.array_equal(part.index_map, same.index_map)


def test_padding_columns_are_plus_zero_whatever_the_vectors_hold() -> None:
    params = make_params()
    job = Job(4, 5, tiles_of(Grid(1, 1, 3), 16), 1, 3, 1.0, dense=True)
    tokens = np.full((3, 4), 0x7C00, dtype=np.uint16)  # infinity times a padding weight would be NaN
    row = run_layer(params, job, dense_slices(tokens, job, 4), np.full((4, 5), 0x3C00, np.uint16))[0]
    assert (row[0].unique == 0x7C00).all()
    assert (row[1].unique == [0x7C00, 0, 0, 0]).all()


def test_dense_is_the_identity() -> None:
    params = make_params(vector=16, rows=4, cols=4)
    rng = np.random.default_rng(6)
    grid = Grid(2, 4, 4)
    job = Job(40, 16, tiles_of(grid, 16), 4, 4, 0.9, dense=True)
    tokens = smooth_video(rng, grid, 40)
    slices = next_slices(concentrate(tokens, job, params))
    for row, twin in zip(slices, dense_slices(tokens, job, 16), strict=True):
        for part, same in zip(row, twin, strict=True):
            assert np.array_equal(part.vectors, same.vectors) and np.array_equal(part.index_map, same.index_map)
    assert np.array_equal(tokens_of(slices, 40), tokens)


def test_concentrated_layer_equals_dense_layer_on_the_replaced_tokens() -> None:
    params = make_params(vector=8, rows=4, cols=2, m_tile=32)
    rng = np.random.default_rng(7)
    grid = Grid(3, 4, 4)
    tiles = tiles_of(grid, 32, text_tokens=5)
    sparse, dense = Job(20, 24, tiles, 4, 4, 0.8), Job(20, 24, tiles, 4, 4, 0.8, dense=True)
    tokens = np.concatenate([smooth_video(rng, grid, 20), rough_vectors(rng, 5, 20)])
    slices = next_slices(concentrate(tokens, sparse, params))
    weights = (rng.normal(size=(20, 24)) / 4).astype(np.float16).view(np.uint16)
    assert sum(part.p for row in slices for part in row) < 0.8 * 53 * 3
    replaced = dense_slices(tokens_of(slices, 20), dense, 8)
    left, right = run_layer(params, sparse, slices, weights), run_layer(params, dense, replaced, weights)
    outputs = tokens_of(next_slices(right), 24)
    again = [[part.unique for part in row] for row in concentrate(outputs, Job(24, 1, tiles, 4, 4, 0.8), params)]
    for row, twin in zip(left, again, strict=True):
        for part, unique in zip(row, twin, strict=True):
            assert np.array_equal(part.unique, unique)


def test_two_layers_in_a_chain() -> None:
    params = make_params(vector=8, rows=4, cols=4)
    rng = np.random.default_rng(8)
    grid = Grid(2, 4, 4)
    tiles = tiles_of(grid, 16)
    first, second = Job(20, 13, tiles, 4, 4, 0.9), Job(13, 9, tiles, 4, 4, 0.9)
    slices = next_slices(concentrate(smooth_video(rng, grid, 20), first, params))
    slices = next_slices(run_layer(params, first, slices, weights_like(rng, 20, 13)))
    assert [len(row) for row in slices] == [second.counts(params).slices] * 2
    assert len(run_layer(params, second, slices, weights_like(rng, 13, 9))[1]) == 2


def test_counts_of_a_worked_example() -> None:
    # K 20 = 8 + 8 + 4 in slices of 8: 2 + 2 + 1 passes of 4 rows.  N 13 = 8 + 5: 4 + 3 passes of 2 columns.
    params = make_params(vector=8, rows=4, cols=2, scatter_lanes=2, m_tile=16)
    tiles = tiles_of(Grid(1, 3, 7), 16)
    job, dense = Job(20, 13, tiles, 3, 7, 0.9), Job(20, 13, tiles, 3, 7, 0.9, dense=True)
    p = [[3, 1, 4], [5, 2, 5]]
    slices = [[Slice(np.zeros((count, 8), np.uint16), np.zeros(tile.tokens, np.int32)) for count in row]
              for tile, row in zip(tiles, p, strict=True)]
    got = expected_counts(params, job, slices)
    assert (got.job, got.tiles, got.status) == (1, 2, 1)
    assert got.vectors == 20 * 2
    assert got.maps == (8 + 3) * 3 * 2  # 16 and 5 tokens, two a word
    assert got.passes == 2 * 7 * 5 and got.weights == got.passes * 4
    assert got.positions == got.out_maps == 21 * 2 and got.summary == 4
    assert got.ideal_cycles == ((3 + 1) * 2 + 4 + (5 + 2) * 2 + 5) * 7
    assert expected_counts(params, dense, slices).maps == 0


def test_a_malformed_slice_is_run_as_the_machine_runs_it() -> None:
    params = make_params()
    job = Job(4, 4, tiles_of(Grid(1, 1, 2), 16), 1, 2, 1.0)
    weights = np.eye(4, dtype=np.float16).view(np.uint16)
    vectors = np.array([[0x3C00, 0, 0, 0], [0, 0x3C00, 0, 0], [0, 0, 0x3C00, 0]], np.uint16)
    surplus = run_layer(params, job, [[Slice(vectors, np.array([1, 2], np.int32))]], weights)[0][0]
    assert surplus.unique.tolist() == [vectors[1].tolist(), vectors[0].tolist()]  # two kept, index 2 read as 0


@pytest.mark.parametrize(("change", "message"), [
    (lambda s, w: (s, w[:-1]), r"weights of shape \(5, 6\): must be \(6, 6\)"),
    (lambda s, w: (s, w.astype(np.int32)), "weights of dtype int32: must be uint16"),
    (lambda s, w: (s[:-1], w), "slices: must be 2 tiles of 2 slices"),
    (lambda s, w: ([s[0], [s[1][0], Slice(s[1][1].vectors | 0x3C00, s[1][1].index_map)]], w),
     "elements beyond K = 6 must be"),
    (lambda s, w: ([s[0], [s[1][0], Slice(s[1][1].vectors, s[1][1].index_map[1:])]], w), r"must be \(4,\)"),
    (lambda s, w: ([s[0], [s[1][0], Slice(s[1][1].vectors, s[1][1].index_map + 16)]], w), "between 0 and 15"),
    (lambda s, w: ([s[0], [s[1][0], Slice(s[1][1].vectors[:0], s[1][1].index_map)]], w), "vectors of slice 1"),
])
def test_data_that_does_not_fit_is_refused(change: Callable[..., Any], message: str) -> None:
    params = make_params()
    job = Job(6, 6, tiles_of(Grid(1, 4, 5), 16), 4, 5, 0.9)
    rng = np.random.default_rng(9)
    slices = next_slices(concentrate(rough_vectors(rng, 20, 6), job, params))
    slices, weights = change(slices, weights_like(rng, 6, 6))
    with pytest.raises((TypeError, ValueError), match=message):
        run_layer(params, job, slices, weights)
