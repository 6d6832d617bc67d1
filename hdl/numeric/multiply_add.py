# SPDX-License-Identifier: Apache-2.0
"""MultiplyAdd: two elements and an accumulator -> accumulator + element * element, product and sum each rounded once.

Model: `accumulate(psum, multiply(x, w))` of `golden.numeric.elements`.
"""

from amaranth import Module
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.numeric.accumulate import Accumulate
from focus_rtl.hdl.numeric.mac import AddProduct, Product
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.recode import ELEMENT_BIAS, WEIGHT_BIAS, Recode
from focus_rtl.hdl.unit import Unit, place

__all__ = ["MultiplyAdd"]


class MultiplyAdd(Unit):
    """What a PE computes, with operands as they are stored: for use alone, and to test the PE's arithmetic.

    The product is combinational, the sum has `depth` registers.  Latency `depth` cycles, throughput one per cycle.

    Parameters
    ----------
    depth : registers, 0 .. 4.
    dtype : fp16, bf16 or int8.
    multiplier : dsp or lut, see `product`.

    Members
    -------
    a, b : In(16), or In(8) for int8, the elements.
    c : In(32), the accumulator; for fp16 +-0, normal, infinite or the canonical NaN, see `AddProduct`.  o : Out(32).
    """

    def __init__(self, depth: int = 0, dtype: str = "fp16", multiplier: str = "dsp") -> None:
        self.dtype, self.multiplier = dtype, multiplier
        self._product = Product(0, multiplier) if dtype == "fp16" else Multiply(0, dtype, multiplier)
        self._total = AddProduct(depth) if dtype == "fp16" else Accumulate(depth, dtype)
        width = 8 if dtype == "int8" else 16
        super().__init__({"a": In(width), "b": In(width), "c": In(32), "o": Out(32)}, depth=depth, dtype=dtype,
                         multiplier=multiplier)

    @property
    def latency(self) -> int:
        """Cycles from operands to result."""
        return self._total.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        product, total = place(m, "product", self._product), place(m, "total", self._total)
        for port, bias in (("a", ELEMENT_BIAS), ("b", WEIGHT_BIAS)):
            element = getattr(self, port)
            if self.dtype == "fp16":
                recode = place(m, f"{port}_edge", Recode(0, bias))
                m.d.comb += recode.a.eq(element)
                element = recode.o
            m.d.comb += getattr(product, port).eq(element)
        m.d.comb += [total.a.eq(self.c), total.b.eq(product.o), self.o.eq(total.o)]
        return m
