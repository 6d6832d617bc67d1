# SPDX-License-Identifier: Apache-2.0
"""Chain, tree, scatter and rounding of the golden model against the brute force, number by number."""

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.golden.array.systolic import psums
from focus_rtl.golden.numeric.dtypes import DTYPES
from focus_rtl.golden.sic.matcher import dot, norms
from focus_rtl.golden.sic.scatter import leave, scatter
from focus_rtl.verif.golden.cases import rough_vectors
from focus_rtl.verif.oracles import brute

SPECIAL32 = np.array([0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000,
                      0x7FC00000, 0x7F800001, 0xFFFFFFFF, 0x3F800000, 0xBF800000, 0x33000000, 0x33000001, 0x477FEFFF,
                      0x477FF000, 0x38800000, 0x387FFFFF, 0x38000001], dtype=np.uint32)
"""Zeros, subnormals, extremes, infinities, NaN, one, halves of the least fp16, the edges of overflow and subnormal."""


@pytest.mark.parametrize("dtype", DTYPES)
def test_psum_chain(dtype: str) -> None:
    rng = np.random.default_rng(11)
    compared = 0
    for p, v, n in ((1, 2, 1), (5, 4, 3), (7, 12, 5), (9, 16, 4), (3, 64, 6)):
        x, w = rough_vectors(rng, p, v, dtype), rough_vectors(rng, n, v, dtype).T
        got = psums(x, w, dtype)
        assert got.shape == (p, n) and got.dtype == np.uint32
        for i, row in enumerate(x.tolist()):
            for j, column in enumerate(w.T.tolist()):
                assert got[i, j] == brute.word(brute.psum(row, column, dtype), dtype), (p, v, i, j)
                compared += 1
    assert compared == 1 + 15 + 35 + 36 + 18


def test_psum_order_is_ascending_and_starts_at_zero() -> None:
    big, one = 0x6C00, 0x3C00  # 4096 and 1: 2**24 swallows a 1 that comes after it
    assert psums(np.array([[big, one, big | 0x8000]], np.uint16), np.array([[big], [one], [big]], np.uint16)) == 0
    assert psums(np.array([[one, big, big | 0x8000]], np.uint16),
                 np.array([[one], [big], [big]], np.uint16))[0, 0] == 0
    assert psums(np.array([[big, big | 0x8000, one]], np.uint16),
                 np.array([[big], [big], [one]], np.uint16))[0, 0] == 0x3F800000
    assert psums(np.array([[0x8000, 0x8000]], np.uint16), np.array([[one], [one]], np.uint16))[0, 0] == 0  # never -0


@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks_of_vectors_do_not_show(dtype: str) -> None:
    rng = np.random.default_rng(12)
    x, w = rough_vectors(rng, 300, 4, dtype), rough_vectors(rng, 500, 4, dtype).T
    whole = psums(x, w, dtype)
    for start in range(0, 300, 7):
        assert np.array_equal(whole[start:start + 7], psums(x[start:start + 7], w, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("v", [2, 3, 4, 5, 7, 12, 16, 33, 64])
def test_dot_is_the_tree(v: int, dtype: str) -> None:
    rng = np.random.default_rng(100 + v)
    a, b = rough_vectors(rng, 24, v, dtype), rough_vectors(rng, 24, v, dtype)
    got, own = dot(a, b, dtype), norms(a, dtype)
    for i in range(24):
        assert got[i] == brute.word(brute.dot(a[i].tolist(), b[i].tolist(), dtype), dtype), i
        assert own[i] == brute.word(brute.dot(a[i].tolist(), a[i].tolist(), dtype), dtype), i


def test_the_tree_is_not_the_chain() -> None:
    a = np.array([[0x6C00, 0x3C00, 0x3C00, 0x6C00]], np.uint16)  # products 2**24, 1, 1, -2**24
    b = np.array([[0x6C00, 0x3C00, 0x3C00, 0xEC00]], np.uint16)
    assert dot(a, b)[0] == 0x3F800000 and psums(a, b.T)[0, 0] == 0


def test_scatter_adds_through_the_map() -> None:
    acc = np.repeat(SPECIAL32[:, None], len(SPECIAL32), axis=1)
    index = np.arange(len(SPECIAL32)) % 3
    table = np.stack([SPECIAL32, SPECIAL32[::-1], np.roll(SPECIAL32, 5)])
    got = scatter(acc, table, index)
    for j in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            total = brute.add(brute.single(int(acc[j, c])), brute.single(int(table[index[j], c])))
            assert got[j, c] == brute.single_bits(total), (j, c)


def test_scatter_reads_a_bad_index_as_zero() -> None:
    table = np.array([[0x3F800000], [0x40000000]], np.uint32)
    assert scatter(np.zeros((3, 1), np.uint32), table, np.array([1, 2, 9])).tolist() == [[0x40000000], [0x3F800000],
                                                                                        [0x3F800000]]


def rounding_bits() -> NDArray[np.uint32]:
    """binary32 bits around everything that leaving fp16 and bf16 can do: edges, ties, every size."""
    rng = np.random.default_rng(13)
    bits = np.concatenate([SPECIAL32, rng.integers(0x32800000, 0x47900000, 4000).astype(np.uint32),
                           (rng.integers(0x32800, 0x47900, 2000) << 12).astype(np.uint32),
                           rng.integers(0, 1 << 31, 4000).astype(np.uint32),
                           (rng.integers(0, 1 << 16, 2000) << 15).astype(np.uint32)])
    return np.concatenate([bits, bits | np.uint32(0x80000000)])


@pytest.mark.parametrize(("dtype", "reached"), [
    ("fp16", {0x7C00, 0xFC00, 0x7E00, 0x0000, 0x8000, 0x0001, 0x7BFF}),
    ("bf16", {0x7F80, 0xFF80, 0x7FC0, 0x0000, 0x8000, 0x0080, 0x7F7F})])
def test_leaving_rounds_to_nearest_even(dtype: str, reached: set[int]) -> None:
    bits = np.concatenate([rounding_bits(), np.array([0x7F7F7FFF, 0x7F7F0000, 0x00800000], np.uint32)])
    got = leave(bits, dtype)
    assert [int(x) for x in got] == [brute.leave(brute.single(int(x)), dtype) for x in bits]
    assert reached <= set(got.tolist())
