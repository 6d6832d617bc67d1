# SPDX-License-Identifier: Apache-2.0
"""ScatterLane: map entries in -> accumulated sums, for every S-th token."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import TAG_BITS
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.numeric.accumulate import Accumulate
from focus_rtl.hdl.numeric.narrow import Narrow
from focus_rtl.hdl.unit import Unit, place

__all__ = ["ScatterLane", "entry_layout"]


def entry_layout(p: Parameters) -> data.StructLayout:
    """A token to be accumulated.

    The psum at `place` of the ring, modulo 4 m, goes to token `word` of this lane, column group `col`; with `nothing`
    it is -0 (0 in int32), which leaves the accumulator as it is.  `first`: the accumulator reads as +0, or with
    `preload` as what is given for this token; `leave`: the sum goes out instead of back.  `void`: the lane has no token
    here.  `final`: the lane's last entry of the order `tag`; `tile_done`: and of the output tile.
    """
    return data.StructLayout({
        "place": p.index_bits + 2, "tag": TAG_BITS, "word": range(p.m_tile // p.scatter_lanes),
        "col": range(p.col_passes), "nothing": 1, "first": 1, "preload": 1, "leave": 1, "void": 1, "final": 1,
        "tile_done": 1,
    })


class ScatterLane(Unit):
    """Queue, accumulators and adders of one lane; entries are worked off strictly in order.

    An entry whose token still has a sum on its way is not offered (`hazard`).  From `go` on nothing stalls: the psum
    comes a cycle later, the sum `pe_depth` cycles after that, and is written back or sent out one cycle later: narrowed
    to the element format, but for int8, whose sums are scaled when they are read.  Throughput one entry per cycle.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    push, entry : In, an entry for the queue; only while `room`.
    room : Out(1), after the entries already under way at least one more fits.
    offered, head, hazard : Out, the oldest entry, and why it is held back.  go : In(1), takes it.
    psum : In(C accumulator words), in the cycle after `go`.  preload : In(C accumulator words), in that of `go`.
    out_en, out_addr, out_data, out_done : Out, sums that leave: address (word, half and column group), C words of
        `leave_bits`;
        `out_done` pulses behind the lane's last word of an output tile.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        self.words = p.m_tile // p.scatter_lanes
        self.out_depth = 2 * p.col_passes * self.words
        entry = entry_layout(p)
        super().__init__({
            "push": In(1), "entry": In(entry), "room": Out(1),
            "offered": Out(1), "head": Out(entry), "hazard": Out(1), "go": In(1),
            "psum": In(p.cols * p.acc_bits), "preload": In(p.cols * p.acc_bits),
            "out_en": Out(1), "out_addr": Out(range(self.out_depth)), "out_data": Out(p.cols * p.leave_bits),
            "out_done": Out(1),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._queue(m)
        self._accumulate(m)
        return m

    def _queue(self, m: Module) -> None:
        # Two map words are on their way when `room` is seen, and one more may be asked for in that cycle.
        depth = self.p.scatter_lookahead + 3
        slots = [Signal(self.entry.shape(), name=f"slot{slot}") for slot in range(depth)]
        level = Signal(range(depth + 1))
        m.d.sync += level.eq(level + self.push - self.go)
        m.d.comb += [
            self.room.eq(level <= self.p.scatter_lookahead),
            self.offered.eq(level != 0),
            Value.cast(self.head).eq(Value.cast(slots[0])),
        ]
        for slot, here in enumerate(slots):
            behind = slots[slot + 1] if slot + 1 < depth else here
            with m.If(self.push & Mux(self.go, level == slot + 1, level == slot)):  # `go` comes late
                m.d.sync += Value.cast(here).eq(Value.cast(self.entry))
            with m.Elif(self.go):
                m.d.sync += Value.cast(here).eq(Value.cast(behind))

    def _accumulate(self, m: Module) -> None:
        p = self.p
        head, ram = self.head, place(m, "sums", Ram(p.cols * p.acc_bits, p.col_passes * self.words, p.memories))
        address = Cat(head.word, head.col)
        # What travels with a sum: writes back, leaves, ends the lane's tile, column group, address.
        marks = Cat(self.go & ~head.void & ~head.leave, self.go & ~head.void & head.leave,
                    self.go & head.final & head.tile_done, address)
        line = [marks]
        busy: Value = Signal()
        for stage in range(p.pe_depth + 1):
            held = Signal(len(marks), name=f"marks{stage + 1}")
            m.d.sync += held.eq(line[-1])
            line.append(held)
            busy = busy | (held[0] & (held[3:] == address))
        fresh, nothing, sums = Signal(), Signal(), []
        start, neutral = Signal(p.cols * p.acc_bits), 0 if p.dtype == "int8" else 1 << p.acc_bits - 1
        m.d.sync += [fresh.eq(head.first), nothing.eq(head.nothing), start.eq(Mux(head.preload, self.preload, 0))]
        m.d.comb += [
            self.hazard.eq(self.offered & ~head.first & ~head.void & busy),
            ram.r_en.eq(self.go & ~head.first & ~head.void), ram.r_addr.eq(address),
        ]
        for col in range(p.cols):
            total = place(m, f"total{col}", Accumulate(p.pe_depth, p.dtype))
            m.d.comb += [
                total.a.eq(Mux(fresh, start.word_select(col, p.acc_bits), ram.r_data.word_select(col, p.acc_bits))),
                total.b.eq(Mux(nothing, neutral, self.psum.word_select(col, p.acc_bits))),
            ]
            m.d.sync += self.out_data.word_select(col, p.leave_bits).eq(self._rounded(m, col, total.o))
            sums.append(total.o)
        done = line[-1]
        m.d.comb += [ram.w_en.eq(done[0]), ram.w_addr.eq(done[3:]), ram.w_data.eq(Cat(sums))]
        self._leave(m, done)

    def _rounded(self, m: Module, col: int, total: Value) -> Value:
        if self.p.leave_bits == self.p.acc_bits:
            return total
        rounded = place(m, f"rounded{col}", Narrow(0, self.p.dtype))
        m.d.comb += rounded.a.eq(total)
        return rounded.o

    def _leave(self, m: Module, done: Value) -> None:
        p = self.p
        word_bits = (self.words - 1).bit_length()
        half = Signal()
        with m.If(done[2]):
            m.d.sync += half.eq(~half)
        m.d.sync += [
            self.out_en.eq(done[1]), self.out_done.eq(done[2]),
            self.out_addr.eq(Cat(done[3:3 + word_bits], done[3 + word_bits:] + Mux(half, p.col_passes, 0))),
        ]
