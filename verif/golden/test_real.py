# SPDX-License-Identifier: Apache-2.0
"""Third leg: the golden model against the algorithm in float64, exact outside a stated band."""

import numpy as np
import pytest

from focus_rtl.golden.core import concentrate, dense_slices, next_slices, run_layer, tokens_of
from focus_rtl.golden.job import Block, Grid, Job, tiles_of
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits, quantise
from focus_rtl.golden.sic.gather import gather
from focus_rtl.golden.sic.layouter import windows
from focus_rtl.golden.sic.matcher import decide
from focus_rtl.verif.golden.cases import make_params, smooth_video
from focus_rtl.verif.oracles import real


def compare(video: Bits, job: Job) -> tuple[int, int, int]:
    """Decisions and maps of every tile, both ways; returns tokens compared, matched, and in the band."""
    compared = close = matched = 0
    for tile, rows in job.spans():
        vectors = video[rows]
        got = decide(vectors, windows(tile, job.height, job.width, job.block), job.t2, job.mask, job.dtype)
        want = real.judge(real.numbers(vectors, job.dtype), tile.positions, job.height, job.width, job.threshold,
                          job.mask, job.dtype, job.block)
        assert np.array_equal(got.neighbour[~want.close], want.neighbour[~want.close])
        settled = np.where(want.close, got.neighbour, want.neighbour).tolist()
        gathered = gather(vectors, tile, job.height, job.width, job.t2, job.mask, dtype=job.dtype,
                          block=job.block)
        assert gathered.index_map.tolist() == real.index_map(settled)
        compared, close = compared + tile.tokens, close + int(want.close.sum())
        matched += int((got.neighbour >= 0).sum())
    print(f"{job.dtype}, V {video.shape[1]}, t {job.threshold}: {compared} tokens compared, {matched} matched, "
          f"{close} in the band of {real.band(video.shape[1], job.dtype):.1e}")
    return compared, matched, close


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("v", "threshold", "mask", "block"), [
    (4, 0.9, -1, (2, 2, 2)), (8, 0.9, -1, (2, 2, 2)), (16, 0.85, -1, (3, 3, 3)), (32, 0.9, -1, (2, 2, 2)),
    (32, 0.95, -1, (2, 2, 2)), (32, 0.9, 0x0B, (2, 2, 2)), (64, 0.9, -1, (1, 3, 2)), (12, 0.0, -1, (3, 1, 2))])
def test_matches_and_groups(v: int, threshold: float, mask: int, block: Block, dtype: str) -> None:
    rng = np.random.default_rng(v)
    grid = Grid(6, 9, 11)
    retained = rng.random(grid.tokens) < 0.85
    job = Job(v, v, tiles_of(grid, 256, retained), grid.height, grid.width, threshold, mask, dtype=dtype,
              block=block)
    compared, matched, close = compare(smooth_video(rng, grid, v, dtype=dtype)[retained], job)
    assert compared == retained.sum()
    assert 0.1 * compared < matched < compared
    assert close <= 0.01 * compared


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_whole_numbers_fall_into_the_band(dtype: str) -> None:
    rng = np.random.default_rng(21)
    grid = Grid(4, 8, 8)
    video = rng.integers(-1, 2, (grid.tokens, 4))
    job = Job(4, 4, tiles_of(grid, 256), 8, 8, 0.5, dtype=dtype)
    compared, matched, close = compare(quantise(video, dtype), job)
    assert compared == grid.tokens and matched > 50
    assert 20 < close < 0.6 * compared  # many ties and cosines of exactly one half, and many that are neither


def test_the_band_is_seen_and_used() -> None:
    one, other = np.array([1.0, 0, 0, 0]), np.array([1.0, 1, 1, 1])
    positions = np.array([(1, 0, 0, 0), (1, 0, 0, 1)], dtype=np.int32)
    assert real.judge(np.array([other, one]), positions, 1, 2, 0.5).close.tolist() == [False, True]
    assert real.judge(np.array([other, one]), positions, 1, 2, 0.4999).close.tolist() == [False, False]
    three = np.array([(1, 0, 0, 1), (1, 0, 1, 0), (1, 0, 1, 1)], dtype=np.int32)
    assert real.judge(np.array([[1.0, 0], [0, 1], [1, 1]]), three, 2, 2, 0.5).close.tolist() == [False, False, True]
    same = real.judge(np.array([[1.0, 1], [1, 1], [1, 1]]), three, 2, 2, 0.5)  # equal bits: the order decides
    assert same.close.tolist() == [False, False, False] and same.neighbour.tolist() == [-1, -1, 1]
    assert 1e-7 < real.band(4) < real.band(64) < 2e-6 and real.band(64, "int8") < 1e-11
    turned = np.array([[1.0, 0], [0.9, 1 - 0.9]])  # cosine 0.99388: within half a step of t^2 is not only equality
    cosine = real.judge(turned, positions, 1, 2, 0.9938837, dtype="int8")
    assert cosine.close.tolist() == [False, True]
    assert not real.judge(turned, positions, 1, 2, 0.9937, dtype="int8").close[1]


@pytest.mark.parametrize("size", [2e-8, 1e5, 2e8])
def test_bf16_of_unusual_size(size: float) -> None:
    # Far from 1 as values go, but every product, norm, square and threshold is still a normal binary32 number.
    rng = np.random.default_rng(40)
    grid, v = Grid(6, 9, 11), 32
    video = real.numbers(smooth_video(rng, grid, v, dtype="bf16"), "bf16") * size
    compared, matched, close = compare(quantise(video, "bf16"),
                                       Job(v, v, tiles_of(grid, 256), 9, 11, 0.9, dtype="bf16"))
    assert compared == grid.tokens and matched > 0.1 * compared and close < 0.01 * compared


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
@pytest.mark.parametrize(("v", "k", "n"), [(4, 30, 9), (16, 100, 40), (32, 512, 70)])
def test_dense_gemm_is_within_its_bound(v: int, k: int, n: int, dtype: str) -> None:
    rng = np.random.default_rng(k)
    grid = Grid(2, 5, 6)
    params = make_params(dtype=dtype, vector=v, m_tile=32)
    job = Job(k, n, tiles_of(grid, 32), 5, 6, 0.9, dense=True, dtype=dtype)
    tokens = smooth_video(rng, grid, k, dtype=dtype)
    weights = quantise(rng.normal(size=(k, n)) / np.sqrt(k), dtype)
    result = run_layer(params, job, dense_slices(tokens, job, v), weights)
    got = real.numbers(tokens_of(next_slices(result), n), dtype)
    x, w = real.numbers(tokens, dtype), real.numbers(weights, dtype)
    error, bound = np.abs(got - x @ w), real.gemm_bound(x, w, v, dtype)
    print(f"K {k}: {error.size} outputs, worst error {(error / bound).max():.2f} of its bound")
    assert error.size == grid.tokens * n and (error <= bound).all()
    assert (error > 0.05 * bound).any()  # the bound is not so wide that anything would pass


@pytest.mark.parametrize(("v", "k", "n"), [(4, 30, 9), (16, 100, 40), (32, 512, 70)])
def test_dense_gemm_of_int8_is_the_nearest_integer(v: int, k: int, n: int) -> None:
    rng = np.random.default_rng(k)
    grid = Grid(2, 5, 6)
    job = Job(k, n, tiles_of(grid, 32), 5, 6, 0.9, dense=True, dtype="int8")
    tokens = smooth_video(rng, grid, k, dtype="int8")
    weights = quantise(rng.normal(size=(k, n)) * 40, "int8")
    scales = (rng.uniform(0.5, 3, n) / np.sqrt(k) / 40).astype(np.float32)
    result = run_layer(make_params(dtype="int8", vector=v, m_tile=32), job, dense_slices(tokens, job, v), weights,
                       scales)
    got = real.numbers(tokens_of(next_slices(result), n), "int8")
    want, close = real.requantised(real.numbers(tokens, "int8"), real.numbers(weights, "int8"), scales.astype(float))
    clipped = int((np.abs(want) >= 127).sum())
    print(f"K {k}: {got.size} outputs, {clipped} at the ends, {int(close.sum())} too close to a half")
    assert got.size == grid.tokens * n and (got[~close] == want[~close]).all() and close.mean() < 0.001
    assert 0 < clipped < 0.3 * got.size and len(np.unique(got)) > 100


def test_concentrated_gemm_is_within_its_bound_of_the_replaced_tokens() -> None:
    rng = np.random.default_rng(3)
    grid, v, k, n = Grid(3, 6, 6), 8, 40, 24
    params = make_params(vector=v, m_tile=32)
    job = Job(k, n, tiles_of(grid, 32), 6, 6, 1.0, mask=0)  # nothing merges on the way out
    tokens = smooth_video(rng, grid, k)
    slices = next_slices(concentrate(tokens, Job(k, n, job.tiles, 6, 6, 0.8), params))
    replaced = np.concatenate([np.concatenate([part.vectors[part.index_map] for part in row], axis=1)
                               for row in slices])
    weights = (rng.normal(size=(k, n)) / 6).astype(np.float16).view(np.uint16)
    result = run_layer(params, job, slices, weights)
    got = real.numbers(np.concatenate([np.concatenate([part.unique for part in row], axis=1) for row in result]))
    x, w = real.numbers(replaced), real.numbers(weights)
    assert (np.abs(got - x @ w) <= real.gemm_bound(x, w, v)).all()
    assert (replaced != tokens).any()
