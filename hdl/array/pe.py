# SPDX-License-Identifier: Apache-2.0
"""Pe and PeRow: the processing element, and a row of them as one module."""

from amaranth import Module, Signal
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.numeric.add import Add
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Pe", "PeRow"]


class Pe(Unit):
    """Element from the left, psum from above -> the same element to the right, psum + element * weight below.

    The element and its marks move one PE to the right per cycle.  A weight shifts down through the shadow register with
    `shift`; `swap`, which travels with the first element of a pass, makes the shadow the active weight for that element
    on.  The psum must arrive `1 + multiply_latency` cycles after its element and leaves `depth` cycles later.

    Parameters
    ----------
    depth : cycles from psum in to psum out, at least 1.  From 2 on, the product has a register of its own.

    Members
    -------
    x_i, x_o : 16, the element.  swap_i, swap_o, shift_i, shift_o : 1, the marks.
    w_i, w_o : 16, the weight chain.  psum_i, psum_o : 32.
    """

    def __init__(self, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"a PE of depth {depth}: must be at least 1")
        self.depth = depth
        super().__init__({
            "x_i": In(16), "x_o": Out(16), "swap_i": In(1), "swap_o": Out(1), "shift_i": In(1), "shift_o": Out(1),
            "w_i": In(16), "w_o": Out(16), "psum_i": In(32), "psum_o": Out(32),
        }, depth=depth)

    @staticmethod
    def multiply_latency(depth: int) -> int:
        """Register stages between the operands and the product."""
        return 1 if depth > 1 else 0

    def elaborate(self, platform: object) -> Module:
        m = Module()
        active = Signal(16)
        product = place(m, "product", Multiply(self.multiply_latency(self.depth)))
        total = place(m, "total", Add(self.depth))
        m.d.sync += [self.x_o.eq(self.x_i), self.swap_o.eq(self.swap_i), self.shift_o.eq(self.shift_i)]
        with m.If(self.shift_i):
            m.d.sync += self.w_o.eq(self.w_i)
        with m.If(self.swap_i):
            m.d.sync += active.eq(self.w_o)
        m.d.comb += [
            product.a.eq(self.x_o), product.b.eq(active),
            total.a.eq(self.psum_i), total.b.eq(product.o),
            self.psum_o.eq(total.o),
        ]
        return m


class PeRow(Unit):
    """A row of `cols` PEs: elements enter at column 0, weights and psums pass from above to below.

    Parameters
    ----------
    cols : PEs.  depth : see `Pe`.

    Members
    -------
    x, swap, shift : In, at column 0.  w_i, w_o : 16 each column.  psum_i, psum_o : 32 each column.
    """

    def __init__(self, cols: int, depth: int) -> None:
        self.cols, self.depth = cols, depth
        super().__init__({
            "x": In(16), "swap": In(1), "shift": In(1),
            "w_i": In(16 * cols), "w_o": Out(16 * cols), "psum_i": In(32 * cols), "psum_o": Out(32 * cols),
        }, cols=cols, depth=depth)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        x, swap, shift = self.x, self.swap, self.shift
        for col in range(self.cols):
            pe = place(m, f"pe{col}", Pe(self.depth))
            m.d.comb += [
                pe.x_i.eq(x), pe.swap_i.eq(swap), pe.shift_i.eq(shift),
                pe.w_i.eq(self.w_i.word_select(col, 16)), self.w_o.word_select(col, 16).eq(pe.w_o),
                pe.psum_i.eq(self.psum_i.word_select(col, 32)), self.psum_o.word_select(col, 32).eq(pe.psum_o),
            ]
            x, swap, shift = pe.x_o, pe.swap_o, pe.shift_o
        return m
