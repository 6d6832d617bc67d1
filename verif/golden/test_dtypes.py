# SPDX-License-Identifier: Apache-2.0
"""What is peculiar to int8 and bf16, by name: saturation, ties, the int32 bound, products that vanish or overflow."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.golden.array.systolic import psums
from focus_rtl.golden.core import concentrate, dense_slices, next_slices, run_layer
from focus_rtl.golden.job import Grid, Job, Tile, tiles_of
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits, check_bits, is_zero, numbers, quantise
from focus_rtl.golden.params import ConfigurationError
from focus_rtl.golden.sic.matcher import dot
from focus_rtl.golden.sic.scatter import leave, scatter
from focus_rtl.verif.golden.cases import make_params, rough_vectors, scales_like
from focus_rtl.verif.golden.test_gather import agree, line, run
from focus_rtl.verif.oracles import brute, real

LOW, HIGH = 0x80, 0x7F  # -128 and 127


def int8(*values: int) -> NDArray[np.uint8]:
    return np.array(values, dtype=np.int8).view(np.uint8)


def int32(*values: int) -> NDArray[np.uint32]:
    return np.array(values, dtype=np.int32).view(np.uint32)


def bf16(rows: list[list[float]]) -> Bits:
    """Numbers that bf16 holds exactly, as bits."""
    bits = quantise(rows, "bf16")
    assert numbers(bits, "bf16").tolist() == rows
    return bits


def maps(vectors: Bits, dtype: str, threshold: float, tile: Tile | None = None) -> list[int]:
    """Map of vectors that lie in a row, after the brute force has said the same."""
    tile = tile or line(len(vectors))
    job = Job(vectors.shape[1], 1, (tile,), 4, max(len(vectors), 4), threshold, dtype=dtype)
    agree(vectors, tile, job)
    return [int(index) for index in run(vectors, tile, job).index_map]


def leave8(acc: list[int], scale: float) -> list[int]:
    """int8 numbers that leave, after the brute force has said the same."""
    factor = np.float32(scale)
    got: list[int] = leave(int32(*acc)[:, None], "int8", np.array([factor])).view(np.int8)[:, 0].tolist()
    assert got == [brute.requantise(value, float(factor)) for value in acc]
    return got


@pytest.mark.parametrize(("dtype", "element", "leaving"), [("fp16", 16, 16), ("bf16", 16, 16), ("int8", 8, 32)])
def test_widths(dtype: str, element: int, leaving: int) -> None:
    params = make_params(dtype=dtype)
    assert (params.element_bits, params.acc_bits, params.leave_bits) == (element, 32, leaving)


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="dtype = 'fp32': must be one of 'fp16', 'bf16', 'int8'; try 'fp16'"):
        make_params(dtype="fp32")
    with pytest.raises(ValueError, match="dtype = 'fp32': must be one of 'fp16', 'bf16', 'int8'"):
        psums(np.zeros((1, 2), np.uint16), np.zeros((2, 1), np.uint16), "fp32")


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_is_the_number_that_the_oracles_say(dtype: str) -> None:
    bits: Bits = np.arange(1 << 16, dtype=np.uint16) if dtype != "int8" else np.arange(1 << 8, dtype=np.uint8)
    mine = np.array([brute.number(int(word), dtype) for word in bits], dtype=np.float64)
    assert np.array_equal(numbers(bits, dtype).astype(np.float64), mine, equal_nan=True)
    assert np.array_equal(real.numbers(bits, dtype), mine, equal_nan=True)
    assert np.array_equal(is_zero(bits, dtype), mine == 0)
    kept = ~np.isnan(mine)
    assert np.array_equal(quantise(mine[kept], dtype), bits[kept])  # -0 included


def test_int8_products_are_exact() -> None:
    whole = np.arange(256).astype(np.uint8)
    got = psums(whole[:, None], whole[None, :], "int8").view(np.int32)
    mine = [[brute.number(a, "int8") * brute.number(b, "int8") for b in range(256)] for a in range(256)]
    assert got.tolist() == mine and got.max() == got[LOW, LOW] == 1 << 14 and got.min() == got[LOW, HIGH] == -16256


def test_int8_accumulators_reach_their_bound_and_no_further() -> None:
    slices, rest = divmod(131071, 64)
    one = psums(np.full((1, 64), LOW, np.uint8), np.full((64, 1), LOW, np.uint8), "int8")
    last = psums(np.full((1, rest), LOW, np.uint8), np.full((rest, 1), LOW, np.uint8), "int8")
    acc = np.zeros((1, 1), np.uint32)
    for psum in [one] * slices + [last]:
        acc = scatter(acc, psum, np.zeros(1, np.int32), "int8")
    assert acc[0, 0] == 131071 << 14 == (1 << 31) - (1 << 14)  # the longest sum of the largest products
    beyond = scatter(acc, int32(1 << 14)[:, None], np.zeros(1, np.int32), "int8")  # one more, which no job may have
    assert beyond.view(np.int32)[0, 0] == -1 << 31 == brute.total((1 << 31) - (1 << 14), 1 << 14, "int8")
    with pytest.raises(ConfigurationError, match="k_max = 131072: must be between 1 and 131071"):
        make_params(dtype="int8", k_max=131072)


def test_int8_saturates_at_both_ends() -> None:
    assert leave8([126, 127, 128, 1000, 2 ** 31 - 1], 1.0) == [126, 127, 127, 127, 127]
    assert leave8([-127, -128, -129, -1000, -2 ** 31], 1.0) == [-127, -128, -128, -128, -128]
    assert leave8([0, 1, -1, 2 ** 31 - 1, -2 ** 31], 3.4e38) == [0, 127, -128, 127, -128]  # the last two are infinite
    assert leave8([2 ** 31 - 1, -2 ** 31, 1], 1e-45) == [0, 0, 0]


def test_int8_ties_go_to_even() -> None:
    odd = list(range(-9, 10, 2))  # halves: -4.5, -3.5, ... 4.5
    assert leave8(odd, 0.5) == [-4, -4, -2, -2, 0, 0, 2, 2, 4, 4]
    assert leave8([253, 255, 257, -255, -257, -259], 0.5) == [126, 127, 127, -128, -128, -128]


def test_int8_rounds_at_each_of_three_steps() -> None:
    assert leave8([2 ** 24 + 1], 2.0 ** -25) == [0]  # a little over a half, but not as binary32
    assert leave8([2 ** 24 + 2], 2.0 ** -25) == [1]
    assert float(np.float32(1 / 6)) > 1 / 6
    assert leave8([3, -3], 1 / 6) == [0, 0]  # the product rounds to a half, and that to even


def test_int8_leaving_agrees_with_the_brute_force() -> None:
    rng = np.random.default_rng(50)
    near = rng.integers(-600, 600, (60, 40))
    acc = np.where(rng.random((60, 40)) < 0.6, near, rng.integers(-2 ** 31, 2 ** 31, (60, 40))).astype(np.int32)
    scales = scales_like(rng, 40)
    got = leave(acc.view(np.uint32), "int8", scales).view(np.int8)
    assert got.tolist() == [[brute.requantise(a, s) for a, s in zip(row, scales.tolist(), strict=True)]
                            for row in acc.tolist()]
    product = acc.astype(np.float64) * scales
    ties = (np.abs(product) < 128) & (product - np.floor(product) == 0.5)
    high, low = int((got == 127).sum()), int((got == -128).sum())
    print(f"{got.size} words, {int(ties.sum())} ties, {high} and {low} at the ends")
    assert ties.sum() > 50 and high > 100 and low > 100


@pytest.mark.parametrize(("scales", "kind", "message"), [
    (None, ValueError, "scales are missing: int8 needs 3 of them"),
    ([1, 2], ValueError, r"scales of shape \(2,\): must be \(3,\)"),
    ([1, 0, 1], ValueError, r"scale of column 1 = 0\.0: must be finite and positive"),
    ([1, 1, -0.5], ValueError, r"scale of column 2 = -0\.5: must be finite and positive"),
    ([np.inf, 1, 1], ValueError, "scale of column 0 = inf: must be finite and positive"),
    ([1, np.nan, 1], ValueError, "scale of column 1 = nan: must be finite and positive")])
def test_scales_are_checked(scales: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        leave(np.zeros((2, 3), np.uint32), "int8", scales if scales is None else np.array(scales, dtype=np.float32))


def test_scales_of_the_wrong_kind_are_refused() -> None:
    doubles: Any = np.ones(3)
    with pytest.raises(TypeError, match="scales of dtype float64: must be float32"):
        leave(np.zeros((2, 3), np.uint32), "int8", doubles)
    for dtype in ("fp16", "bf16"):
        with pytest.raises(ValueError, match=f"scales are for int8; {dtype} has none"):
            leave(np.zeros((2, 3), np.uint32), dtype, np.ones(3, np.float32))


@pytest.mark.parametrize(("dtype", "given"), [("int8", np.uint16), ("bf16", np.uint8), ("fp16", np.int16)])
def test_elements_of_another_width_are_refused(dtype: str, given: Any) -> None:
    with pytest.raises(TypeError, match=f"weights of dtype {np.dtype(given)}: must be uint.*, the bits of {dtype}"):
        check_bits("weights", np.zeros((2, 2), given), dtype)


def test_int8_norms_and_decisions_at_the_ends() -> None:
    lowest, highest = np.full(64, LOW, np.uint8), np.full(64, HIGH, np.uint8)
    both = np.array([lowest, highest, lowest])
    assert dot(both, both[::-1], "int8").tolist() == [1 << 20, 64 * 127 ** 2, 1 << 20]
    assert dot(lowest, highest, "int8").view(np.int32) == -64 * 128 * 127
    assert maps(np.array([lowest] * 4), "int8", 1 - 1e-5) == [0, 0, 0, 0]  # 2**56 against a little less
    assert maps(np.array([lowest] * 2), "int8", 1.0) == [0, 1]  # equal: exact arithmetic never exceeds a cosine of 1
    assert maps(np.array([lowest, highest]), "int8", 0.0) == [0, 1]
    assert maps(np.array([int8(LOW - 256, 0, 0, 0), int8(*[-128] * 4)]), "int8", 0.5) == [0, 1]  # exactly a half
    assert maps(np.array([int8(-128, 0, 0, 0), int8(-128, -128, -128, -127)]), "int8", 0.5) == [0, 0]


def test_int8_zero_vectors_are_counted() -> None:
    job = Job(2, 1, (line(3),), 4, 4, 0.0, dtype="int8")
    vectors = np.array([int8(0, 0), int8(-128, 0), int8(0, 0)])
    agree(vectors, line(3), job)
    assert run(vectors, line(3), job).zeros == 2


def test_bf16_products_overflow_vanish_and_round() -> None:
    big, small, least = 2.0 ** 100, 2.0 ** -100, 2.0 ** -133
    x = bf16([[big, 1.0], [-big, 1.0], [small, 1.0], [-least, 1.0], [2.0 ** -75 * 1.5, 0.0], [2.0 ** -75, 0.0]])
    w = bf16([[big, small, 2.0 ** -75], [0.0, 0.0, 0.0]])
    got = psums(x, w, "bf16")
    assert got.tolist() == [[brute.single_bits(brute.psum(row, column, "bf16")) for column in w.T.tolist()]
                            for row in x.tolist()]
    assert got[:2, 0].tolist() == [0x7F800000, 0xFF800000]  # overflow
    assert got[2:4, 1].tolist() == [0, 0]  # both vanish; the -0 disappears in the chain
    assert got[4:, 2].tolist() == [1, 0]  # 0.75 and 0.5 of the least binary32: up, and the tie to even


def test_bf16_leaves_to_infinity_and_to_subnormals() -> None:
    bits = np.array([0x7F7F7FFF, 0x7F7F8000, 0xFF7FFFFF, 0x00008000, 0x00008001, 0x00018000, 0x7F800001], np.uint32)
    assert leave(bits, "bf16").tolist() == [0x7F7F, 0x7F80, 0xFF80, 0, 1, 2, 0x7FC0]


def test_bf16_vector_with_a_norm_of_zero_or_infinity_is_skipped_but_not_zero() -> None:
    for size in (2.0 ** -80, 2.0 ** 64, 2.0 ** 127):
        vectors = bf16([[size, 0.0], [size, 0.0], [1.0, 1.0], [1.0, 1.0]])
        assert maps(vectors, "bf16", 0.0) == [0, 1, 2, 2]
        assert run(vectors, line(4), Job(2, 1, (line(4),), 4, 4, 0.0, dtype="bf16")).zeros == 0


def test_bf16_match_is_lost_where_the_square_vanishes() -> None:
    assert maps(bf16([[2.0 ** -40, 0.0]] * 2), "bf16", 0.9) == [0, 1]  # q = 2**-160 is +0
    assert maps(bf16([[2.0 ** -30, 0.0]] * 2), "bf16", 0.9) == [0, 0]
    assert maps(bf16([[2.0 ** 31, 0.0]] * 2), "bf16", 0.9) == [0, 0]


def test_bf16_beyond_the_safe_range_follows_ieee_all_the_same() -> None:
    # |d| >= 2**64: q is infinite and exceeds any threshold, even where the cosine is next to nothing ...
    first, key = [2.0 ** 62, 0.0], [8.0, 2.0 ** 62]
    assert maps(bf16([first, key]), "bf16", 0.999) == [0, 0]
    # ... and of two candidates with an infinite q the earlier wins, though the later is the key itself.
    tile = Tile(np.array([(1, 0, 0, 1), (1, 0, 1, 0), (1, 0, 1, 1)]))
    assert maps(bf16([key, first, key]), "bf16", 0.9, tile) == [0, 1, 1]


def test_bf16_below_the_safe_range_a_subnormal_square_may_round_to_a_match() -> None:
    vectors = np.array([[44217, 11366], [44016, 11465]], np.uint16)  # of size 5e-12
    x, y = real.numbers(vectors, "bf16")
    assert 0.55 < (x @ y) ** 2 / (x @ x) / (y @ y) < 0.6 < 0.9 ** 2
    assert maps(vectors, "bf16", 0.9) == [0, 0]
    assert maps(vectors + np.array([64 << 7], np.uint16), "bf16", 0.9) == [0, 1]  # the same, 2**64 times as large


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_keep_every_bit(dtype: str) -> None:
    rng = np.random.default_rng(52)
    params = make_params(dtype=dtype, vector=8, rows=4, cols=4)
    job = Job(8, 8, tiles_of(Grid(1, 4, 4), 16), 4, 4, 1.0, mask=0, dtype=dtype)
    raw = rng.integers(0, 1 << 16, (16, 8), dtype=np.uint16)
    tokens: Bits = raw.astype(np.uint8) if dtype == "int8" else raw
    for slices in (next_slices(concentrate(tokens, job, params)), dense_slices(tokens, job, 8)):
        assert np.array_equal(slices[0][0].vectors, tokens)


def test_int8_padding_columns_are_zero_and_scales_go_with_their_columns() -> None:
    params = make_params(dtype="int8")
    job = Job(4, 6, tiles_of(Grid(1, 1, 3), 16), 1, 3, 1.0, dense=True, dtype="int8")
    tokens = rough_vectors(np.random.default_rng(53), 3, 4, "int8")
    tokens[0] = int8(8, 8, 8, 8)
    scales = np.array([1, 0.5, 0.25, 0.125, 2, 4], np.float32)
    row = run_layer(params, job, dense_slices(tokens, job, 4), np.ones((4, 6), np.uint8), scales)[0]
    assert row[0].unique[0].tolist() == [32, 16, 8, 4] and row[1].unique[0].tolist() == [64, 127, 0, 0]
