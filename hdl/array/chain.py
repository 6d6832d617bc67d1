# SPDX-License-Identifier: Apache-2.0
"""Chain: where a column's psums wait between two row passes of one k-slice."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Chain"]


class Chain(Unit):
    """Psums in at the bottom of a column -> the same psums, in order, for its top.

    The array's edge keeps count, so there is neither full nor empty here.  A psum may be popped from the cycle before
    its push on: one that is wanted as soon as it comes passes by the memory.
    Latency 1 cycle from `pop` to `o`, 0 from `i` to `o`; throughput one push and one pop per cycle.

    Parameters
    ----------
    depth : psums of the longest slice.  memories : see `Ram`.

    Members
    -------
    push, i : In(1), In(32).  pop : In(1), at the earliest in the cycle before the push.
    o : Out(32), the popped psum in the cycle after `pop`, +0 in every other.
    """

    def __init__(self, depth: int, memories: str = "inferred") -> None:
        self.depth, self.memories = depth, memories
        super().__init__({"push": In(1), "i": In(32), "pop": In(1), "o": Out(32)}, depth=depth, memories=memories)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ram = place(m, "ram", Ram(32, self.depth, self.memories))
        head, tail = Signal(range(self.depth)), Signal(range(self.depth))
        level = Signal(signed(self.depth.bit_length() + 1))  # -1 in the cycle in which a popped psum comes
        stored, fresh = Signal(), Signal()
        from_ram, from_last, from_input = Signal(), Signal(), Signal()
        last = Signal(32, reset_less=True)
        m.d.comb += [
            stored.eq(level > 0), fresh.eq((level == 0) & self.push),
            ram.w_en.eq(self.push), ram.w_addr.eq(tail), ram.w_data.eq(self.i),
            ram.r_en.eq(self.pop & stored), ram.r_addr.eq(head),
            self.o.eq(Mux(from_ram, ram.r_data, Mux(from_last, last, Mux(from_input, self.i, 0)))),
        ]
        m.d.sync += [
            level.eq(level + self.push - self.pop), last.eq(self.i), from_ram.eq(self.pop & stored),
            from_last.eq(self.pop & fresh), from_input.eq(self.pop & ~stored & ~fresh),
        ]
        with m.If(self.push):
            m.d.sync += tail.eq(Mux(tail == self.depth - 1, 0, tail + 1))
        with m.If(self.pop):
            m.d.sync += head.eq(Mux(head == self.depth - 1, 0, head + 1))
        return m
