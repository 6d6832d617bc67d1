# SPDX-License-Identifier: Apache-2.0
"""Queue: a stream buffer in registers, for a few narrow words."""

from amaranth import Module, Mux, Signal, Value
from amaranth.hdl import ShapeLike
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.unit import Unit

__all__ = ["Queue"]


class Queue(Unit):
    """Stream in -> the same stream out, up to `depth` transfers apart; words move up as the oldest one leaves.

    Latency 1 cycle, throughput one transfer per cycle.

    Parameters
    ----------
    shape : payload shape.  depth : words, at least 2.

    Members
    -------
    i : In(stream of shape).  o : Out(stream of shape).
    """

    latency = 1

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        if depth < 2:
            raise ValueError(f"a Queue of depth {depth}: must be at least 2")
        self.shape, self.depth = shape, depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))},
                         shape=shape, depth=depth)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        payload = Value.cast(self.i.payload)
        words = [Signal(len(payload), name=f"word{place}", reset_less=True) for place in range(self.depth)]
        level, push, pop = Signal(range(self.depth + 1)), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(level != self.depth), self.o.valid.eq(level != 0),
            push.eq(self.i.valid & self.i.ready), pop.eq(self.o.valid & self.o.ready),
            Value.cast(self.o.payload).eq(words[0]),
        ]
        m.d.sync += level.eq(level + push - pop)
        for place, (word, behind) in enumerate(zip(words, [*words[1:], payload], strict=True)):
            # `pop` comes late: both places where a word may go are known before it.
            with m.If(push & Mux(pop, level == place + 1, level == place)):
                m.d.sync += word.eq(payload)
            with m.Elif(pop):
                m.d.sync += word.eq(behind)
        return m
