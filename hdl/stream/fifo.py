# SPDX-License-Identifier: Apache-2.0
"""Fifo: a stream buffer in a Ram."""

from amaranth import Module, Mux, Signal, Value
from amaranth.hdl import ShapeLike
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Fifo"]


class Fifo(Unit):
    """Stream in -> the same stream out, up to `depth` transfers apart.

    The Ram reads a cycle after it is asked, so its output register serves as the head of the queue.  A word is read
    at the earliest in the cycle after it was written: the Ram never sees one address twice in a cycle.
    Latency 2 cycles, throughput one transfer per cycle.

    Parameters
    ----------
    shape : payload shape.  depth : words in the Ram, at least 2 (one more waits at the output).
    memories : see `Ram`.

    Members
    -------
    i : In(stream of shape).  o : Out(stream of shape).
    """

    latency = 2

    def __init__(self, shape: ShapeLike, depth: int, memories: str = "inferred") -> None:
        if depth < 2:
            raise ValueError(f"a Fifo of depth {depth}: must be at least 2")
        self.shape, self.depth, self.memories = shape, depth, memories
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))},
                         shape=shape, depth=depth, memories=memories)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        payload = Value.cast(self.i.payload)
        ram = place(m, "ram", Ram(len(payload), self.depth, self.memories))
        level = Signal(range(self.depth + 1))
        head, tail = Signal(range(self.depth)), Signal(range(self.depth))
        push, pop = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(level != self.depth),
            push.eq(self.i.valid & self.i.ready),
            pop.eq((level != 0) & (~self.o.valid | self.o.ready)),
            ram.w_en.eq(push), ram.w_addr.eq(tail), ram.w_data.eq(payload),
            ram.r_en.eq(pop), ram.r_addr.eq(head),
            Value.cast(self.o.payload).eq(ram.r_data),
        ]
        m.d.sync += level.eq(level + push - pop)
        with m.If(push):
            m.d.sync += tail.eq(_next(tail, self.depth))
        with m.If(pop):
            m.d.sync += [head.eq(_next(head, self.depth)), self.o.valid.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


def _next(pointer: Signal, depth: int) -> Value:
    return Mux(pointer == depth - 1, 0, pointer + 1)
