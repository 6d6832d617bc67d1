# SPDX-License-Identifier: Apache-2.0
"""Whole layers of the golden model against the brute force, chains of layers, and the counts."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.golden.array.systolic import psums
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
from focus_rtl.golden.numeric.dtypes import DTYPES, quantise
from focus_rtl.golden.sic.gather import Gathered
from focus_rtl.golden.sic.scatter import scatter
from focus_rtl.verif.golden.cases import (
    make_params,
    preloads_like,
    random_job,
    rough_vectors,
    scales_like,
    smooth_video,
    weights_like,
)
from focus_rtl.verif.oracles import brute

SHAPES = ((1, 1, 4), (2, 2, 4), (4, 1, 4), (1, 2, 8), (4, 2, 8), (2, 8, 8), (3, 2, 6), (8, 4, 16))
"""(rows, cols, vector)"""


def _plain(slices: list[list[Slice]]) -> list[list[tuple[list[list[int]], list[int]]]]:
    return [[(part.vectors.tolist(), part.index_map.tolist()) for part in row] for row in slices]


WANTED = {"dense", "empty slice", "partial tile", "k padded", "n padded", "rows skipped", "columns skipped", "match",
          "at threshold", "tie", "chain", "text", "outside", "key zero", "unsound neighbour first", "preloaded",
          "preloaded, no vectors"}
FLOATING = WANTED | {"overflow", "nan", "subnormal", "key nan"}
WANTED_OF = {"fp16": FLOATING, "bf16": FLOATING, "int8": WANTED | {"at 127", "at -128", "other outputs"}}


def _outputs(result: list[list[Gathered]], dtype: str) -> dict[str, int]:
    """How often each extreme is among the outputs."""
    out = np.concatenate([part.unique.reshape(-1) for row in result for part in row])
    if dtype == "int8":
        high, low = int((out == 0x7F).sum()), int((out == 0x80).sum())
        return {"at 127": high, "at -128": low, "other outputs": int((out != 0).sum()) - high - low}
    infinity, nan, least = (0x7C00, 0x7E00, 0x0400) if dtype == "fp16" else (0x7F80, 0x7FC0, 0x0080)
    size = out & 0x7FFF
    return {"overflow": int((size == infinity).sum()), "nan": int((out == nan).sum()),
            "subnormal": int(((size > 0) & (size < least)).sum())}


def _accumulators(bits: NDArray[np.uint32], dtype: str) -> list[list[float]]:
    """The numbers that accumulators are, for the brute force."""
    if dtype == "int8":
        return bits.view(np.int32).tolist()
    return [[brute.single(word) for word in row] for row in bits.tolist()]


def _compare(got: list[list[Gathered]], want: list[list[brute.Concentrated]]) -> int:
    """Every word of a layer's result; returns how many."""
    words = 0
    for t, (row, other) in enumerate(zip(got, want, strict=True)):
        for i, (part, twin) in enumerate(zip(row, other, strict=True)):
            assert part.unique.tolist() == twin.unique, (t, i)
            assert part.index_map.tolist() == twin.index_map, (t, i)
            assert part.zeros == twin.zeros
            words += part.unique.size + part.tokens
    return words


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_layers_agree_with_the_brute_force(dtype: str) -> None:
    events: Counter[str] = Counter()
    words = expected = 0
    for seed in range(200):
        rng = np.random.default_rng(1000 + seed)
        rows, cols, v = SHAPES[seed % len(SHAPES)]
        params = make_params(dtype=dtype, rows=rows, cols=cols, vector=v)
        k, n = int(rng.integers(1, 3 * v)), int(rng.integers(1, 2 * v + 2))
        job = replace(random_job(rng, params, k, n), preload=bool(rng.random() < 0.4))
        slices = next_slices(concentrate(rough_vectors(rng, job.tokens, k, dtype), job, params))
        preloads = preloads_like(rng, job.tokens, n, dtype) if job.preload else None
        slices = [[Slice(part.vectors[:0], part.index_map) if rng.random() < 0.1 else part for part in row]
                  for row in slices]
        weights = weights_like(rng, k, n, dtype)
        scales = scales_like(rng, n) if dtype == "int8" else None
        got = run_layer(params, job, slices, weights, scales, preloads)
        want = brute.layer(params, job, _plain(slices), weights.tolist(), scales if scales is None else scales.tolist(),
                           preloads if preloads is None else _accumulators(preloads, dtype))
        print(f"seed {1000 + seed}")
        words += _compare(got, want)
        events += sum((twin.events for row in want for twin in row), Counter())
        counts = job.counts(params)
        expected += output_counts(got) * v + job.tokens * counts.vectors
        events.update(_outputs(got, dtype) | {
            "empty slice": sum(not part.p for row in slices for part in row), "preloaded": int(job.preload),
            "preloaded, no vectors": job.preload * sum(not any(part.p for part in row) for row in slices),
            "dense": int(job.dense), "partial tile": sum(tile.tokens % params.m_tile > 0 for tile in job.tiles),
            "k padded": int(k % v > 0), "n padded": int(n % v > 0),
            "rows skipped": int(counts.last_rows < params.row_passes),
            "columns skipped": int(counts.last_cols < params.col_passes)})
    print(f"{dtype}: {words} words compared, events {dict(sorted(events.items()))}")
    assert words == expected > 25000
    assert {name for name in WANTED_OF[dtype] if not events[name]} == set()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_array_does_not_change_a_bit(dtype: str) -> None:
    rng = np.random.default_rng(5)
    results = []
    tiles = tiles_of(Grid(2, 4, 4), 16, text_tokens=3)
    tokens, weights = rough_vectors(rng, 35, 40, dtype), weights_like(rng, 40, 21, dtype)
    scales = scales_like(rng, 21) if dtype == "int8" else None
    for rows, cols, lanes in ((1, 16, 1), (16, 1, 2), (4, 8, 4), (16, 16, 2)):
        params = make_params(dtype=dtype, rows=rows, cols=cols, vector=16, scatter_lanes=lanes)
        job = Job(40, 21, tiles, 4, 4, 0.9, dtype=dtype)
        results.append(run_layer(params, job, next_slices(concentrate(tokens, job, params)), weights, scales))
    for other in results[1:]:
        for row, twin in zip(results[0], other, strict=True):
            for part, same in zip(row, twin, strict=True):
                assert np.array_equal(part.unique, same.unique) and np.array_equal(part.index_map, same.index_map)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_layer_in_two_jobs_is_the_layer(dtype: str) -> None:
    """The accumulators of the first slices, preloaded for the rest: the same bits as in one go."""
    rng = np.random.default_rng(8)
    params = make_params(dtype=dtype)
    job = Job(24, 9, tiles_of(Grid(2, 4, 3), 16), 4, 3, 0.9, dtype=dtype)
    slices = next_slices(concentrate(rough_vectors(rng, 24, 24, dtype), job, params))
    weights = weights_like(rng, 24, 9, dtype)
    scales = scales_like(rng, 9) if dtype == "int8" else None
    acc = np.zeros((24, 9), np.uint32)
    for (_, rows), row in zip(job.spans(), slices, strict=True):
        for k, part in enumerate(row[:2]):
            acc[rows] = scatter(acc[rows], psums(part.vectors, weights[4 * k:4 * k + 4], dtype), part.index_map, dtype)
    assert acc.any()
    rest = replace(job, k=16, preload=True)
    whole = run_layer(params, job, slices, weights, scales)
    parts = run_layer(params, rest, [row[2:] for row in slices], weights[8:], scales, acc)
    for row, twin in zip(whole, parts, strict=True):
        for part, same in zip(row, twin, strict=True):
            assert np.array_equal(part.unique, same.unique) and np.array_equal(part.index_map, same.index_map)
    counts = expected_counts(params, rest, [row[2:] for row in slices])
    assert counts.preloads == 24 * 5 and expected_counts(params, job, slices).preloads == 0  # 9 columns, 2 at a time
    lanes = make_params(dtype=dtype, scatter_lanes=4)
    assert expected_counts(lanes, rest, [row[2:] for row in slices]).preloads == (4 + 2) * 5  # tiles of 16 and 8 tokens


def test_preloads_are_checked() -> None:
    params = make_params()
    job = Job(4, 5, tiles_of(Grid(1, 1, 3), 16), 1, 3, 1.0, preload=True)
    slices = dense_slices(np.zeros((3, 4), np.uint16), job, 4)
    good = np.zeros((3, 5), np.uint32)
    for bad, one, kind, message in (
            (good[:2], job, ValueError, r"preloads of shape \(2, 5\): must be \(3, 5\)"),
            (good.view(np.float32), job, TypeError, "preloads of dtype float32: must be uint32"),
            (None, job, ValueError, "preloads: must be given if and only if the job says preload, which is True"),
            (good, replace(job, preload=False), ValueError, "which is False")):
        with pytest.raises(kind, match=message):
            run_layer(params, one, slices, np.zeros((4, 5), np.uint16), None, bad)


def test_an_untouched_preload_keeps_its_bits() -> None:
    params = make_params()
    job = Job(4, 4, tiles_of(Grid(1, 1, 1), 16), 1, 1, 1.0, preload=True)
    empty = [[Slice(np.zeros((0, 4), np.uint16), np.zeros(1, np.int32))]]
    start = np.array([[0x80000000, 0x3F800000, 0xFF812345, 0x477FF000]], np.uint32)  # -0, 1, a NaN, beyond fp16
    row = run_layer(params, job, empty, np.zeros((4, 4), np.uint16), None, start)[0]
    assert row[0].unique.tolist() == [[0x8000, 0x3C00, 0x7E00, 0x7C00]]


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


@pytest.mark.parametrize("dtype", DTYPES)
def test_concentrated_layer_equals_dense_layer_on_the_replaced_tokens(dtype: str) -> None:
    params = make_params(dtype=dtype, vector=8, rows=4, cols=2, m_tile=32)
    rng = np.random.default_rng(7)
    grid = Grid(3, 4, 4)
    tiles = tiles_of(grid, 32, text_tokens=5)
    sparse = Job(20, 24, tiles, 4, 4, 0.8, dtype=dtype)
    dense = Job(20, 24, tiles, 4, 4, 0.8, dense=True, dtype=dtype)
    tokens = np.concatenate([smooth_video(rng, grid, 20, dtype=dtype), rough_vectors(rng, 5, 20, dtype)])
    slices = next_slices(concentrate(tokens, sparse, params))
    weights = quantise(rng.normal(size=(20, 24)) * (30 if dtype == "int8" else 0.25), dtype)
    scales = np.full(24, 0.007, np.float32) if dtype == "int8" else None
    assert sum(part.p for row in slices for part in row) < 0.8 * 53 * 3
    replaced = dense_slices(tokens_of(slices, 20), dense, 8)
    left = run_layer(params, sparse, slices, weights, scales)
    right = run_layer(params, dense, replaced, weights, scales)
    outputs = tokens_of(next_slices(right), 24)
    last = Job(24, 1, tiles, 4, 4, 0.8, dtype=dtype)
    again = [[part.unique for part in row] for row in concentrate(outputs, last, params)]
    for row, twin in zip(left, again, strict=True):
        for part, unique in zip(row, twin, strict=True):
            assert np.array_equal(part.unique, unique)


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_layers_in_a_chain(dtype: str) -> None:
    params = make_params(dtype=dtype, vector=8, rows=4, cols=4)
    rng = np.random.default_rng(8)
    grid = Grid(2, 4, 4)
    tiles = tiles_of(grid, 16)
    first, second = Job(20, 13, tiles, 4, 4, 0.9, dtype=dtype), Job(13, 9, tiles, 4, 4, 0.9, dtype=dtype)
    scales = scales_like(rng, 13) if dtype == "int8" else None
    slices = next_slices(concentrate(smooth_video(rng, grid, 20, dtype=dtype), first, params))
    slices = next_slices(run_layer(params, first, slices, weights_like(rng, 20, 13, dtype), scales))
    assert [len(row) for row in slices] == [second.counts(params).slices] * 2
    scales = None if scales is None else scales[:9]
    assert len(run_layer(params, second, slices, weights_like(rng, 13, 9, dtype), scales)[1]) == 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_empty_slice_is_one_of_zeros(dtype: str) -> None:
    """Whatever the weights hold that do not belong to it; and the same as a dense layer without those columns."""
    rng = np.random.default_rng(11)
    params = make_params(dtype=dtype, vector=8, rows=4, cols=4)
    job = Job(24, 12, tiles_of(Grid(2, 4, 4), 16), 4, 4, 0.9, dtype=dtype)
    tokens = quantise(rng.normal(size=(32, 24)) * 20, dtype)
    weights = quantise(rng.normal(size=(24, 12)) * 20, dtype)
    scales = np.full(12, 0.003, np.float32) if dtype == "int8" else None
    full = next_slices(concentrate(tokens, job, params))
    for way in range(1, 8):
        gone = [k for k in range(3) if way >> k & 1]
        empty = [[Slice(part.vectors[:0], part.index_map) if k in gone else part for k, part in enumerate(row)]
                 for row in full]
        zeros = [[Slice(np.zeros_like(part.vectors[:1]), np.zeros_like(part.index_map)) if k in gone else part
                  for k, part in enumerate(row)] for row in full]
        assert np.array_equal(tokens_of(empty, 24), tokens_of(zeros, 24))
        for row, twin in zip(run_layer(params, job, empty, weights, scales),
                             run_layer(params, job, zeros, weights, scales), strict=True):
            for part, same in zip(row, twin, strict=True):
                assert np.array_equal(part.unique, same.unique) and np.array_equal(part.index_map, same.index_map)
        if way == 7:
            assert all(not part.unique.any() and part.zeros == part.tokens for row in run_layer(
                params, job, empty, weights, scales) for part in row)


def test_counts_of_empty_slices() -> None:
    # As in the worked example below, the second slice of the first tile and the last of the second empty.
    params = make_params(vector=8, rows=4, cols=2, scatter_lanes=2, m_tile=16)
    tiles = tiles_of(Grid(1, 3, 7), 16)
    slices = [[Slice(np.zeros((count, 8), np.uint16), np.zeros(tile.tokens, np.int32)) for count in row]
              for tile, row in zip(tiles, [[3, 0, 4], [5, 2, 0]], strict=True)]
    got = expected_counts(params, Job(20, 13, tiles, 3, 7, 0.9), slices)
    assert got.vectors == (3 + 1 + 4 + 5 + 2 + 1) * 2
    assert got.maps == (8 + 8 + 3 + 3) * 2
    assert got.passes == 7 * (2 + 1 + 2 + 2) and got.weights == got.passes * 4
    assert got.ideal_cycles == (3 * 2 + 4 + (5 + 2) * 2) * 7
    assert got.positions == got.out_maps == 21 * 2


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
    assert got.scales == 0
    whole = Job(20, 13, tiles, 3, 7, 0.9, dtype="int8")
    eight = make_params(dtype="int8", vector=8, rows=4, cols=2, scatter_lanes=2)
    assert expected_counts(eight, whole, slices).scales == 2 * 7  # two tiles, 4 + 3 column passes, whatever the slices


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
    (lambda s, w: ([s[0], [s[1][0], Slice(s[1][1].vectors[:0, :3], s[1][1].index_map)]], w), "vectors of slice 1"),
])
def test_data_that_does_not_fit_is_refused(change: Callable[..., Any], message: str) -> None:
    params = make_params()
    job = Job(6, 6, tiles_of(Grid(1, 4, 5), 16), 4, 5, 0.9)
    rng = np.random.default_rng(9)
    slices = next_slices(concentrate(rough_vectors(rng, 20, 6), job, params))
    slices, weights = change(slices, weights_like(rng, 6, 6))
    with pytest.raises((TypeError, ValueError), match=message):
        run_layer(params, job, slices, weights)
