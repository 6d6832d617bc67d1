# SPDX-License-Identifier: Apache-2.0
"""Pe and PeRow: the processing element, and a row of them as one module."""

from amaranth import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.numeric.accumulate import Accumulate
from focus_rtl.hdl.numeric.mac import AddProduct, Product
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.pipeline import NumericUnit
from focus_rtl.hdl.numeric.recode import ELEMENT_BIAS, WEIGHT_BIAS, Recode, recoded
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Pe", "PeRow", "edge", "operand_bits"]

_ELEMENT_BITS = {"fp16": 16, "bf16": 16, "int8": 8}


def operand_bits(dtype: str) -> int:
    """Width of an element or weight inside the array: fp16 is recoded at the edge, the others pass as they are."""
    return recoded().size if dtype == "fp16" else _ELEMENT_BITS[dtype]


def edge(dtype: str, weight: bool) -> NumericUnit | None:
    """The combinational unit that makes what a PE takes from an element or a weight; None where that is the same."""
    return Recode(0, WEIGHT_BIAS if weight else ELEMENT_BIAS) if dtype == "fp16" else None


class Pe(Unit):
    """Element from the left, psum from above -> the same element to the right, psum + element * weight below.

    The element and its marks move one PE to the right per cycle.  A weight shifts down through the shadow register with
    `shift`; `swap`, which travels with the first element of a pass, makes the shadow the active weight for that element
    on.  The psum must arrive `1 + multiply_latency` cycles after its element and leaves `depth` cycles later.

    Parameters
    ----------
    depth : cycles from psum in to psum out, at least 1.  `multiply_latency` cycles more for the product.
    dtype : fp16, bf16 or int8.
    multiplier : `dsp` or `lut`, see `product`.

    Members
    -------
    x_i, x_o : the element, `operand_bits(dtype)`.  swap_i, swap_o, shift_i, shift_o : 1, the marks.
    w_i, w_o : the weight chain, as wide as the element.
    psum_i, psum_o : 32.  For fp16, `psum_i` is +-0 or what a PE gave: never subnormal, NaN only canonical.
    """

    def __init__(self, depth: int, dtype: str = "fp16", multiplier: str = "dsp") -> None:
        if depth < 1:
            raise ValueError(f"a PE of depth {depth}: must be at least 1")
        if dtype not in _ELEMENT_BITS:
            raise ValueError(f"a PE of dtype {dtype!r}: must be one of {', '.join(_ELEMENT_BITS)}")
        self.depth, self.dtype, self.multiplier = depth, dtype, multiplier
        width = operand_bits(dtype)
        super().__init__({
            "x_i": In(width), "x_o": Out(width), "swap_i": In(1), "swap_o": Out(1), "shift_i": In(1), "shift_o": Out(1),
            "w_i": In(width), "w_o": Out(width), "psum_i": In(32), "psum_o": Out(32),
        }, depth=depth, dtype=dtype, multiplier=multiplier)

    @staticmethod
    def multiply_latency(depth: int, dtype: str = "fp16") -> int:
        """Register stages between the operands and the product."""
        if dtype == "int8":
            return 1  # behind a DSP slice, where a register costs nothing and the adder's carry would follow otherwise
        if depth == 1:
            return 0
        return 3 if dtype == "bf16" else 1  # a bf16 product is rounded

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # No reset: what is in here leaves to the right, or is written anew, before anything that enters after a reset
        # meets it.  The element and its marks are one register: a simulator moves one word.
        held, waiting, active = (Signal(width, name=name, reset_less=True) for name, width in (
            ("held", len(self.x_i) + 2), ("waiting", len(self.w_i)), ("active", len(self.w_i))))
        early = self.multiply_latency(self.depth, self.dtype)
        if self.dtype == "fp16":
            product = place(m, "product", Product(early, self.multiplier))
            total = place(m, "total", AddProduct(self.depth))
        else:
            product = place(m, "product", Multiply(early, self.dtype, self.multiplier))
            total = place(m, "total", Accumulate(self.depth, self.dtype))
        m.d.sync += held.eq(Cat(self.x_i, self.swap_i, self.shift_i))
        with m.If(self.shift_i):
            m.d.sync += waiting.eq(self.w_i)
        with m.If(self.swap_i):
            m.d.sync += active.eq(waiting)
        m.d.comb += [
            Cat(self.x_o, self.swap_o, self.shift_o).eq(held), self.w_o.eq(waiting),
            product.a.eq(self.x_o), product.b.eq(active),
            total.a.eq(self.psum_i), total.b.eq(product.o),
            self.psum_o.eq(total.o),
        ]
        return m


class PeRow(Unit):
    """A row of `cols` PEs: elements enter at column 0, weights and psums pass from above to below.

    Parameters
    ----------
    cols : PEs.  depth, dtype, multiplier : see `Pe`.

    Members
    -------
    x, swap, shift : In, at column 0; x of `operand_bits(dtype)`.
    w_i, w_o : `operand_bits(dtype)` each column.  psum_i, psum_o : 32 each column.
    """

    def __init__(self, cols: int, depth: int, dtype: str = "fp16", multiplier: str = "dsp") -> None:
        self.cols, self.depth, self.dtype, self.multiplier = cols, depth, dtype, multiplier
        width = operand_bits(dtype)
        super().__init__({
            "x": In(width), "swap": In(1), "shift": In(1),
            "w_i": In(width * cols), "w_o": Out(width * cols), "psum_i": In(32 * cols), "psum_o": Out(32 * cols),
        }, cols=cols, depth=depth, dtype=dtype, multiplier=multiplier)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        x, swap, shift = self.x, self.swap, self.shift
        width = len(self.x)
        for col in range(self.cols):
            pe = place(m, f"pe{col}", Pe(self.depth, self.dtype, self.multiplier))
            m.d.comb += [
                pe.x_i.eq(x), pe.swap_i.eq(swap), pe.shift_i.eq(shift),
                pe.w_i.eq(self.w_i.word_select(col, width)), self.w_o.word_select(col, width).eq(pe.w_o),
                pe.psum_i.eq(self.psum_i.word_select(col, 32)), self.psum_o.word_select(col, 32).eq(pe.psum_o),
            ]
            x, swap, shift = pe.x_o, pe.swap_o, pe.shift_o
        return m
