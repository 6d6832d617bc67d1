# SPDX-License-Identifier: Apache-2.0
"""The golden formats against what is not NumPy: exact fractions rounded here, the `struct` module, and known cases."""

import math
import os
import struct
from fractions import Fraction

import numpy as np
import pytest

from focus_rtl.golden.numeric import formats
from focus_rtl.verif.numeric.operands import SPECIAL16, SPECIAL32, random_operands

SEED = int(os.environ.get("FOCUS_RTL_SEED", "20"))
RANDOM = 3000
NAN, INFINITY = "nan", "infinity"
Number = Fraction | str
"""An exact finite value, or one of the two words."""

SINGLE, HALF = (8, 23), (5, 10)
"""Exponent and fraction bits of binary32 and binary16."""


def take_apart(bits: int, layout: tuple[int, int]) -> tuple[int, Number]:
    """Bits -> (sign, magnitude), by the definition of the format."""
    exponents, fractions = layout
    sign, exponent = bits >> exponents + fractions, bits >> fractions & (1 << exponents) - 1
    fraction = bits & (1 << fractions) - 1
    if exponent == (1 << exponents) - 1:
        return sign, NAN if fraction else INFINITY
    scale = max(exponent, 1) - (1 << exponents - 1) + 1 - fractions
    return sign, Fraction(fraction + (exponent > 0) * (1 << fractions)) * Fraction(2) ** scale


def put_together(sign: int, magnitude: Number, layout: tuple[int, int]) -> int:
    """The bits nearest to a magnitude, ties to even: counted in units of the last place of its binade."""
    exponents, fractions = layout
    top = ((1 << exponents) - 1) << fractions
    if magnitude == NAN:
        return top | 1 << fractions - 1
    if isinstance(magnitude, str):
        return sign << exponents + fractions | top
    least = 2 - (1 << exponents - 1)  # exponent of the least normal
    binade = least
    if magnitude > 0:
        binade = max(least, magnitude.numerator.bit_length() - magnitude.denominator.bit_length())
        binade -= binade > least and Fraction(2) ** binade > magnitude
    units = round(magnitude / Fraction(2) ** (binade - fractions))  # Python rounds halves of a Fraction to even
    # Units of a normal number include the hidden bit, which counts as one step of the exponent.
    return sign << exponents + fractions | min((binade - least << fractions) + units, top)


def exact_sum(a: int, b: int) -> int:
    (sign_a, x), (sign_b, y) = take_apart(a, SINGLE), take_apart(b, SINGLE)
    if NAN in (x, y) or (x == y == INFINITY and sign_a != sign_b):
        return put_together(0, NAN, SINGLE)
    if INFINITY in (x, y):
        return put_together(sign_a if x == INFINITY else sign_b, INFINITY, SINGLE)
    assert isinstance(x, Fraction) and isinstance(y, Fraction)
    total = (-x if sign_a else x) + (-y if sign_b else y)
    return put_together(sign_a & sign_b if total == 0 else int(total < 0), abs(total), SINGLE)


def magnitude_of_product(x: Number, y: Number) -> Number:
    if NAN in (x, y) or (INFINITY in (x, y) and 0 in (x, y)):
        return NAN
    if isinstance(x, str) or isinstance(y, str):
        return INFINITY
    return x * y


def exact_product(a: int, b: int, layout: tuple[int, int]) -> int:
    (sign_a, x), (sign_b, y) = take_apart(a, layout), take_apart(b, layout)
    return put_together(sign_a ^ sign_b, magnitude_of_product(x, y), SINGLE)


def exact_greater(a: int, b: int, c: int, d: int) -> bool:
    def product(one: int, other: int) -> tuple[int, Number]:
        (sign_a, x), (sign_b, y) = take_apart(one, SINGLE), take_apart(other, SINGLE)
        return -1 if sign_a ^ sign_b else 1, magnitude_of_product(x, y)
    (sign_left, left), (sign_right, right) = product(a, b), product(c, d)
    if NAN in (left, right):
        return False
    huge = Fraction(2) ** 300  # above every finite product
    values = [sign * (huge if isinstance(m, str) else m) for sign, m in ((sign_left, left), (sign_right, right))]
    return values[0] > values[1]


def test_the_reference_rounds_like_the_machine() -> None:
    # The reference of this file against CPython's own double -> single conversion.
    rng = np.random.default_rng(SEED)
    count = 0
    for number in rng.normal(size=500) * 10.0 ** rng.integers(-46, 38, 500):
        bits = struct.unpack("<I", struct.pack("<f", number))[0]
        assert put_together(int(number < 0), Fraction(abs(float(number))), SINGLE) == bits
        count += 1
    assert count == 500


def test_widen_every_half() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16)
    got, numbers = formats.widen(halves), formats.to_float(halves)
    assert got.dtype == np.uint32 and got.shape == halves.shape
    for half, bits, number in zip(halves.tolist(), got.tolist(), numbers.tolist(), strict=True):
        value = struct.unpack("<e", struct.pack("<H", half))[0]
        if math.isnan(value):
            assert bits == 0x7FC00000 and math.isnan(number)
        else:
            assert struct.pack("<I", bits) == struct.pack("<f", value) == struct.pack("<f", number)


def test_narrow_takes_back_every_half() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16)
    assert np.array_equal(formats.narrow(formats.widen(halves)), formats.canonical16(halves))
    assert np.array_equal(formats.from_float(formats.to_float(halves)), formats.canonical16(halves))


def test_narrow_around_every_boundary() -> None:
    # Every half, every middle between two, and one unit of binary32 to either side of each.
    halves = np.arange(0x7C00, dtype=np.uint16)
    low = formats.widen(halves).astype(np.int64)
    exact = formats.to_float(halves).astype(np.float64)
    halfway = np.concatenate([(exact[:-1] + exact[1:]) / 2, [65520.0]]).astype(np.float32)
    middle = halfway.view(np.uint32).astype(np.int64)
    cases = np.concatenate([at + step for at in (low, middle) for step in (-1, 0, 1)])
    cases = cases[cases >= 0].astype(np.uint32)
    assert len(cases) == 6 * 0x7C00 - 1
    for sign in (0, 1 << 31):
        got = formats.narrow(cases | np.uint32(sign))
        for bits, result in zip((cases | np.uint32(sign)).tolist(), got.tolist(), strict=True):
            try:
                expected = struct.unpack("<H", struct.pack("<e", struct.unpack("<f", struct.pack("<I", bits))[0]))[0]
            except OverflowError:
                expected = 0x7C00 | sign >> 16
            assert result == expected, hex(bits)


def test_narrow_special_and_random() -> None:
    cases = np.concatenate([SPECIAL32, random_operands(np.random.default_rng(SEED), RANDOM).a])
    for bits, result in zip(cases.tolist(), formats.narrow(cases).tolist(), strict=True):
        assert result == put_together(*take_apart(bits, SINGLE), HALF), hex(bits)


def test_add_and_multiply32_exactly() -> None:
    operands = random_operands(np.random.default_rng(SEED), RANDOM)
    grid_a, grid_b = (grid.ravel() for grid in np.meshgrid(SPECIAL32, SPECIAL32))
    a, b = np.concatenate([operands.a, grid_a]), np.concatenate([operands.b, grid_b])
    sums, products = formats.add32(a, b), formats.multiply32(a, b)
    assert sums.dtype == products.dtype == np.uint32 and len(sums) == RANDOM + len(SPECIAL32) ** 2
    for x, y, total, product in zip(a.tolist(), b.tolist(), sums.tolist(), products.tolist(), strict=True):
        assert total == exact_sum(x, y), (hex(x), hex(y))
        assert product == exact_product(x, y, SINGLE), (hex(x), hex(y))


def test_multiply_exactly() -> None:
    operands = random_operands(np.random.default_rng(SEED), RANDOM)
    grid_e, grid_f = (grid.ravel() for grid in np.meshgrid(SPECIAL16, SPECIAL16))
    e, f = np.concatenate([operands.e, grid_e]), np.concatenate([operands.f, grid_f])
    inexact = 0
    for x, y, product in zip(e.tolist(), f.tolist(), formats.multiply(e, f).tolist(), strict=True):
        assert product == exact_product(x, y, HALF), (hex(x), hex(y))
        magnitude = magnitude_of_product(take_apart(x, HALF)[1], take_apart(y, HALF)[1])
        inexact += isinstance(magnitude, Fraction) and take_apart(product & 0x7FFFFFFF, SINGLE)[1] != magnitude
    assert inexact == 0


def test_product_greater_exactly() -> None:
    rng = np.random.default_rng(SEED)
    operands = random_operands(rng, RANDOM)
    special = rng.choice(SPECIAL32, (4, RANDOM))
    a, b, c, d = (np.concatenate([getattr(operands, name), special[i]]) for i, name in enumerate("abcd"))
    got = formats.product_greater(a, b, c, d)
    assert got.dtype == np.bool_ and 0 < got.sum() < len(got)
    for *sets, result in zip(a.tolist(), b.tolist(), c.tolist(), d.tolist(), got.tolist(), strict=True):
        assert result == exact_greater(*sets), [hex(bits) for bits in sets]


@pytest.mark.parametrize(("a", "b", "total"), [
    (0x3F800000, 0x33800000, 0x3F800000),  # 1 + 2**-24: half way, to even, down
    (0x3F800001, 0x33800000, 0x3F800002),  # ... and up
    (0x3F800000, 0x33800001, 0x3F800001),  # just above half way
    (0x3F800000, 0xBF800000, 0x00000000),  # x + -x = +0
    (0x80000000, 0x80000000, 0x80000000),  # -0 + -0 = -0
    (0x80000000, 0x00000000, 0x00000000),
    (0x00800000, 0x80000001, 0x007FFFFF),  # least normal less least subnormal
    (0x7F7FFFFF, 0x73000000, 0x7F800000),  # half a unit above the largest: infinity
    (0x7F7FFFFF, 0x72FFFFFF, 0x7F7FFFFF),
    (0x7F800000, 0xFF800000, 0x7FC00000),  # infinity less infinity
    (0xFF800001, 0x00000000, 0x7FC00000),  # a negative, signalling NaN comes out canonical
])
def test_known_sums(a: int, b: int, total: int) -> None:
    assert formats.add32(a, b) == formats.add32(b, a) == total


@pytest.mark.parametrize(("bits", "result"), [
    (0x477FE000, 0x7BFF), (0x477FEFFF, 0x7BFF), (0x477FF000, 0x7C00),  # 65504, just below 65520, 65520
    (0x33000000, 0x0000), (0x33000001, 0x0001), (0x33C00000, 0x0002), (0xB3000000, 0x8000),  # halves of the least
    (0x387FE000, 0x0400), (0x387FC000, 0x03FF), (0x00000001, 0x0000), (0x80000001, 0x8000),
    (0x3F801000, 0x3C00), (0x3F803000, 0x3C02), (0xFFC12345, 0x7E00), (0xFF800000, 0xFC00),
])
def test_known_narrowings(bits: int, result: int) -> None:
    assert formats.narrow(bits) == result


def test_canonical_leaves_numbers_alone() -> None:
    numbers = SPECIAL32[~np.isnan(SPECIAL32.view(np.float32))]
    assert np.array_equal(formats.canonical(numbers), numbers)
    assert set(formats.canonical(np.setdiff1d(SPECIAL32, numbers)).tolist()) == {0x7FC00000}


def test_from_float_rounds_once() -> None:
    # By way of binary32 this would become a tie, and fall.
    assert formats.from_float(1 + 2.0 ** -11 + 2.0 ** -40) == 0x3C01
    assert formats.from_float([65520.0, -1e-9, math.nan, -math.inf]).tolist() == [0x7C00, 0x8000, 0x7E00, 0xFC00]


def test_shapes_broadcast() -> None:
    column, row = np.zeros((3, 1), np.uint32), np.zeros((1, 4), np.uint32)
    assert formats.add32(column, row).shape == formats.product_greater(column, row, row, column).shape == (3, 4)
    assert formats.narrow(np.zeros((2, 0, 5), np.uint32)).shape == (2, 0, 5)
    assert formats.multiply(np.uint16(0x3C00), np.full((2, 2), 0x4000, np.uint16)).tolist() == [[0x40000000] * 2] * 2


def test_numbers_are_not_bits() -> None:
    for function in (formats.widen, formats.narrow, formats.canonical, formats.canonical16, formats.to_float):
        with pytest.raises(TypeError, match="raw bits are integers, not float64: convert numbers with from_float"):
            function(np.array([1.0]))
