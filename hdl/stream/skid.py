# SPDX-License-Identifier: Apache-2.0
"""Skid: a two-entry register slice, so that no `ready` runs through a block boundary."""

from amaranth import Module, Signal
from amaranth.hdl import ShapeLike, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.unit import Unit

__all__ = ["Skid"]


class Skid(Unit):
    """Stream in -> the same stream out, registered in both directions.

    Order and contents are kept.  `o.valid`, `o.payload` and `i.ready` come from registers.  Latency 1 cycle,
    throughput one transfer per cycle, capacity two.

    Parameters
    ----------
    shape : payload shape.

    Members
    -------
    i : In(stream of shape).  o : Out(stream of shape).
    """

    latency = 1

    def __init__(self, shape: ShapeLike) -> None:
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))},
                         shape=shape)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spare_valid = Signal()
        spare = Signal(self.shape)
        m.d.comb += self.i.ready.eq(~spare_valid)
        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += [
                self.o.valid.eq(spare_valid | self.i.valid),
                spare_valid.eq(0),
            ]
            with m.If(spare_valid):
                m.d.sync += Value.cast(self.o.payload).eq(Value.cast(spare))
            with m.Else():
                m.d.sync += Value.cast(self.o.payload).eq(Value.cast(self.i.payload))
        with m.Elif(self.i.valid & ~spare_valid):
            m.d.sync += [spare_valid.eq(1), Value.cast(spare).eq(Value.cast(self.i.payload))]
        return m
