# SPDX-License-Identifier: Apache-2.0
"""A PE of every element format, cycle by cycle: marks, weight chain, active weight, psums at the promised latency."""

from typing import Any

import numpy as np
import pytest
from amaranth import Module
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from focus_rtl.golden.numeric import elements
from focus_rtl.hdl.array.pe import Pe, edge, operand_bits
from focus_rtl.hdl.numeric.mac import Product
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.numeric.campaign import draw_bf16, draw_fp16, draw_int8
from focus_rtl.verif.numeric.harness import Harness, Lane
from focus_rtl.verif.numeric.native import Native

CYCLES = 60_000
DRAW = {"fp16": draw_fp16, "bf16": draw_bf16, "int8": draw_int8}
DEPTHS = (1, 2, 3, 4)


class Edged(Unit):
    """A PE with the units of the array's edge in front of it; `o` is psum_o, x_o, swap_o, shift_o, low to high."""

    def __init__(self, depth: int, dtype: str, multiplier: str) -> None:
        self.pe = Pe(depth, dtype, multiplier)
        width = elements.ELEMENTS[dtype].bits
        self.passed = operand_bits(dtype)
        super().__init__({"x": In(width), "w": In(width), "swap": In(1), "shift": In(1), "psum": In(32),
                          "o": Out(32 + self.passed + 2)}, depth=depth, dtype=dtype, multiplier=multiplier)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pe = place(m, "pe", self.pe)
        for name, port, weight in (("x", pe.x_i, False), ("w", pe.w_i, True)):
            unit, value = edge(self.pe.dtype, weight), getattr(self, name)
            if unit is not None:
                place(m, f"{name}_edge", unit)
                m.d.comb += unit.a.eq(value)
                value = unit.o
            m.d.comb += port.eq(value)
        m.d.comb += [pe.swap_i.eq(self.swap), pe.shift_i.eq(self.shift), pe.psum_i.eq(self.psum)]
        m.d.comb += self.o.eq(pe.psum_o | pe.x_o << 32 | pe.swap_o << 32 + self.passed | pe.shift_o << 33 + self.passed)
        return m


def held(values: NDArray[Any], take: NDArray[np.bool_]) -> NDArray[Any]:
    """A register that takes `values` where told: what it holds in each cycle, 0 before the first."""
    last = np.maximum.accumulate(np.where(take, np.arange(len(values)), -1))
    return np.concatenate([[0], np.where(last >= 0, values[np.maximum(last, 0)], 0)])[:-1].astype(values.dtype)


@pytest.mark.parametrize(("dtype", "multiplier"), [("fp16", "dsp"), ("fp16", "lut"), ("bf16", "dsp"), ("int8", "dsp")])
def test_pe(dtype: str, multiplier: str, seed: int) -> None:
    rng, element = np.random.default_rng(seed), elements.ELEMENTS[dtype]
    x, w, psum = DRAW[dtype](rng, CYCLES)
    shift, swap = rng.random(CYCLES) < 0.7, rng.random(CYCLES) < 0.7
    active = held(held(w, shift), swap)
    product = element.multiply(held(x, np.ones(CYCLES, bool)), active)
    units = {f"d{depth}": depth for depth in DEPTHS}
    takes = {port: port for port in ("x", "w", "swap", "shift", "psum")}
    lanes = [Lane(name, lambda depth=depth: Edged(depth, dtype, multiplier), takes) for name, depth in units.items()]
    compared = 0
    with Native(Harness(lanes, {"x": element.bits, "w": element.bits, "swap": 1, "shift": 1, "psum": 32})) as model:
        for name, values in (("x", x), ("w", w), ("swap", swap), ("shift", shift), ("psum", psum)):
            model.inputs[name][:CYCLES, 0] = values
        model.start(CYCLES)
        results = model.finish()
        for name, depth in units.items():
            early, begin = Pe.multiply_latency(depth, dtype), 8
            o = results[name][:, 0]
            expected = element.accumulate(psum[begin:-depth], product[begin - early:CYCLES - depth - early])
            got = (o[begin + depth:] & 0xFFFFFFFF).astype(np.uint32)
            wrong = np.flatnonzero(got != expected)
            assert not wrong.size, f"{dtype}, depth {depth}, seed {seed}: the first wrong psum is {wrong[0]}"
            marks = o >> np.uint64(32 + operand_bits(dtype)) & np.uint64(3)
            assert np.array_equal(marks[1:], (swap + 2 * shift)[:-1])
            compared += len(got)
    assert compared == sum(CYCLES - 8 - depth for depth in DEPTHS)


def test_parameters_are_checked() -> None:
    with pytest.raises(ValueError, match="a PE of dtype 'fp8': must be one of fp16, bf16, int8"):
        Pe(1, "fp8")
    with pytest.raises(ValueError, match="multiplier = 'slow': must be one of dsp, lut"):
        Product(0, "slow")
