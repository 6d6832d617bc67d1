# SPDX-License-Identifier: Apache-2.0
"""The units of every element format at every depth against golden, bit by bit; golden against exact fractions."""

from fractions import Fraction

import numpy as np
import pytest

from focus_rtl.golden.numeric import elements, formats
from focus_rtl.hdl.numeric.accumulate import Accumulate
from focus_rtl.hdl.numeric.integer import IntegerGreater, IntegerVerdict
from focus_rtl.hdl.numeric.mean import Mean
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.narrow import Narrow
from focus_rtl.hdl.numeric.requantise import Requantise
from focus_rtl.hdl.numeric.widen import Widen
from focus_rtl.verif.numeric.elements_bank import DEPTHS, UNITS, draw, events, golden, harness
from focus_rtl.verif.numeric.native import Native
from focus_rtl.verif.numeric.operands import SPECIAL32, random_operands
from focus_rtl.verif.numeric.test_formats import (
    NAN,
    SINGLE,
    magnitude_of_product,
    put_together,
    take_apart,
)

BFLOAT = (8, 7)
RANDOM_SETS = 100_000


def test_bank_of_elements_equals_golden(seed: int) -> None:
    sets = draw(np.random.default_rng(seed), RANDOM_SETS)
    size, compared = len(sets["a"]), 0
    expected = golden(sets)
    with Native(harness()) as model:
        assert size + 8 <= model.capacity
        for name, values in sets.items():
            model.inputs[name][:size, 0] = values
        model.start(size + 8)
        results = model.finish()
        for name, answers in expected.items():
            for depth in DEPTHS[name]:
                got = results[f"{name}_{depth}"][depth:depth + size, 0]
                wrong = np.flatnonzero(got != answers)
                if wrong.size:
                    at = wrong[0]
                    inputs = {port: hex(int(sets[operand][at])) for port, operand in UNITS[name][1].items()}
                    pytest.fail(f"{name} at depth {depth}: {wrong.size} of {size} differ, the first at {inputs}: "
                                f"expected {int(answers[at]):#x}, got {int(got[at]):#x}; replay with --seed {seed}")
                compared += len(got)
    assert compared == size * sum(len(depths) for depths in DEPTHS.values())
    found = {name: int(which.sum()) for name, which in events(sets).items()}
    print(f"seed {seed}: {compared:,} words,", found)
    missing = [name for name, count in found.items() if count == 0]
    assert not missing, f"the operands of seed {seed} never made {', '.join(missing)}"
    assert len(found) == 40


@pytest.mark.parametrize("unit", [Multiply, Narrow, Widen, Accumulate, Mean])
def test_dtype_is_checked(unit: type) -> None:
    with pytest.raises(ValueError, match=f"{unit.__name__} of dtype 'fp8': must be one of fp16, bf16"):
        unit(0, "fp8")


def test_depth_is_checked() -> None:
    assert Requantise(8).latency == Mean(8).latency == 8
    for unit in (Requantise, Mean):
        with pytest.raises(ValueError, match="depth = 9: must be between 0 and 8"):
            unit(9)
    for comparison in (IntegerGreater, IntegerVerdict):
        with pytest.raises(ValueError, match="for vectors of 65: must be between 2 and 64"):
            comparison(0, vector=65)


# --- golden against what is neither NumPy nor ml_dtypes ---


def test_bfloat16_exactly() -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    for bits, wide in zip(every.tolist(), elements.widen_bf16(every).tolist(), strict=True):
        assert wide == put_together(*take_apart(bits, BFLOAT), SINGLE), hex(bits)
    assert np.array_equal(elements.narrow_bf16(elements.widen_bf16(every)),
                          np.where(every & 0x7FFF > 0x7F80, 0x7FC0, every))


def test_narrow_bf16_exactly(seed: int) -> None:
    cases = np.concatenate([SPECIAL32, random_operands(np.random.default_rng(seed), 4000).a])
    cases = np.concatenate([cases, cases & np.uint32(0xFFFF0000) | np.uint32(0x8000), cases | np.uint32(0xFFFF)])
    for bits, result in zip(cases.tolist(), elements.narrow_bf16(cases).tolist(), strict=True):
        assert result == put_together(*take_apart(bits, SINGLE), BFLOAT), hex(bits)


def test_multiply_bf16_exactly(seed: int) -> None:
    sets = draw(np.random.default_rng(seed), 4000)
    rounded = 0
    for x, y, product in zip(*(sets[name].tolist() for name in "ef"),
                             elements.multiply_bf16(sets["e"], sets["f"]).tolist(), strict=True):
        (sign_x, a), (sign_y, b) = take_apart(x, BFLOAT), take_apart(y, BFLOAT)
        exact = magnitude_of_product(a, b)
        assert product == put_together(sign_x ^ sign_y, exact, SINGLE), (hex(x), hex(y))
        rounded += isinstance(exact, Fraction) and take_apart(product & 0x7FFFFFFF, SINGLE)[1] != exact
    assert rounded > 0


def test_requantise_exactly(seed: int) -> None:
    sets = draw(np.random.default_rng(seed), 4000)
    for acc, scale, got in zip(sets["x"].view(np.int32).tolist(), sets["b"].tolist(),
                               elements.requantise(sets["x"], sets["b"]).view(np.int8).tolist(), strict=True):
        single = put_together(int(acc < 0), Fraction(abs(acc)), SINGLE)
        (sign_a, a), (sign_b, b) = take_apart(single, SINGLE), take_apart(scale, SINGLE)
        y = take_apart(put_together(0, magnitude_of_product(a, b), SINGLE), SINGLE)[1]
        if y == NAN:
            assert got == 0
            continue
        whole = 10**6 if isinstance(y, str) else round(y)  # of a Fraction: halves to even
        assert got == max(-128, min(127, -whole if sign_a ^ sign_b else whole)), (acc, hex(scale))


def test_reciprocals_are_ieee() -> None:
    counts = np.arange(1, 4097)
    assert elements.reciprocal(counts).tolist() == [put_together(0, Fraction(1, count), SINGLE)
                                                    for count in range(1, 4097)]


def test_integers_are_exact(seed: int) -> None:
    sets = draw(np.random.default_rng(seed), 4000)
    q, n, r, other, t = (sets[name].tolist() for name in "qnrlt")
    assert elements.integer_greater(q, n, r, other).tolist() == [
        a * b > c * d for a, b, c, d in zip(q, n, r, other, strict=True)]
    assert elements.integer_match(q, n, other, t).tolist() == [
        a * 65536 > d * b * c for a, b, c, d in zip(q, n, other, t, strict=True)]
    i = np.arange(256, dtype=np.uint8)
    numbers = [k - 256 * (k > 127) for k in range(256)]
    products = elements.multiply_int8(i[:, None], i[None]).view(np.int32).tolist()
    assert products == [[a * b for a in numbers] for b in numbers]


def test_elements_agree_with_formats() -> None:
    fp16 = elements.ELEMENTS["fp16"]
    assert (fp16.multiply, fp16.accumulate, fp16.narrow) == (formats.multiply, formats.add32, formats.narrow)
    with pytest.raises(ValueError, match="requantised with a scale"):
        elements.ELEMENTS["int8"].narrow(np.zeros(1, np.uint32))
    with pytest.raises(TypeError, match="raw bits are integers"):
        elements.widen_bf16(np.zeros(1))
