# SPDX-License-Identifier: Apache-2.0
"""Averager: the vectors of a tile, each with its group -> the mean of every group, in the order of the groups.

Model: `mean` in `golden/sic/gather.py`.  Test: `verif/sic/test_averager.py`.
"""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import StructLayout, View
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import vector_beat, vector_elements
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.numeric.accumulate import Accumulate
from focus_rtl.hdl.numeric.mean import Mean, Reciprocal
from focus_rtl.hdl.numeric.pipeline import late
from focus_rtl.hdl.numeric.widen import Widen
from focus_rtl.hdl.stream.fifo import Fifo
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Averager", "member"]

def member(p: Parameters) -> StructLayout:
    """A vector of a group: `first` of it (groups begin in ascending order), `last` of the tile; see `Averager`."""
    return StructLayout({"data": vector_elements(p), "index": p.index_bits, "first": 1, "dense": 1, "last": 1})


class Averager(Unit):
    """Adds up the vectors of each group in token order, from +0, and sends out the sums over their counts.

    Two halves, each with a word for every group of a tile: one is filled while the other is scaled and sent.  A group's
    first vector is added to +0, any other to what the word holds; a vector whose group is still in the adders waits
    (`hazard`).  When a tile is complete its groups are read in order, the reciprocal of the next count is made while
    `matcher_lanes` elements a cycle of the one before are scaled.  With `dense`, every vector is a group of its own,
    kept beside the adders and sent without a bit changed.

    Throughput: in, a vector per cycle, and `adding` cycles between two of one group; out, a group per V / lanes cycles,
    or per `Reciprocal.latency` and one where its count is no power of two.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    i : In(stream of `member`).  o : Out(stream of `vector_beat`), `last` on the tile's last group.
    hazard : Out(1).  In this cycle a vector waits for its group's sum.
    """

    scale_depth = 4
    """Register stages from a sum to its mean."""

    def __init__(self, p: Parameters) -> None:
        self.p = p
        self.beats = p.vector // p.matcher_lanes
        # What is under way behind a group's first beat, and one more so that taking a vector and beginning one overlap.
        self.queue = 2 + -(-(self.scale_depth + 3) // self.beats)
        self._word = StructLayout({"sums": p.vector * p.acc_bits, "count": p.count_bits})
        self._parcel = StructLayout({"sums": p.vector * p.acc_bits, "scale": 32, "dense": 1, "last": 1})
        super().__init__({"i": In(stream.Signature(member(p))), "o": Out(stream.Signature(vector_beat(p))),
                          "hazard": Out(1)}, p=p)

    @property
    def adding(self) -> int:
        """Cycles from the transfer of a vector to the first in which another one of its group can be taken."""
        return self.p.pe_depth + 2

    def elaborate(self, platform: object) -> Module:
        m = Module()
        halves = [place(m, f"half{number}", Ram(self._word.size, self.p.m_tile, self.p.memories))
                  for number in range(2)]
        closed, complete, dense = (Signal(2, name=name) for name in ("closed", "complete", "dense"))
        groups = [Signal(self.p.index_bits, name=f"last_group{number}") for number in range(2)]
        self._fill(m, halves, closed, complete, dense, groups)
        parcel, offered, taken = self._read(m, halves, closed, complete, dense, groups)
        self._send(m, parcel, offered, taken)
        return m

    def _fill(self, m: Module, halves: list[Ram], closed: Signal, complete: Signal, dense: Signal,
              groups: list[Signal]) -> None:
        """Takes a vector (_s0), reads its group's sum (_s1), adds, and writes it back (_s2)."""
        p, one = self.p, self.i.payload
        half, accept = Signal(), Signal()
        marks = Signal(StructLayout({"index": p.index_bits, "half": 1, "dense": 1, "last": 1}))
        m.d.comb += [marks.index.eq(one.index), marks.half.eq(half), marks.dense.eq(one.dense), marks.last.eq(one.last)]
        valid, mark = accept, marks
        under_way = []
        for stage in range(1, p.pe_depth + 2):
            valid = late(m, valid, 1, f"valid{stage}", reset=True)
            mark = View(marks.shape(), late(m, Value.cast(mark), 1, f"mark{stage}"))
            under_way.append((valid, mark))
        waits = Cat(busy & (there.index == one.index) & (there.half == half) & ~there.dense
                    for busy, there in under_way).any()
        free = ~closed.bit_select(half, 1)
        m.d.comb += [
            self.hazard.eq(self.i.valid & free & waits & ~one.first),
            self.i.ready.eq(free & ~(waits & ~one.first)), accept.eq(self.i.valid & self.i.ready),
        ]
        with m.If(accept):
            m.d.sync += dense.bit_select(half, 1).eq(one.dense)
            with m.If(one.first):
                m.d.sync += Array(groups)[half].eq(one.index)
            with m.If(one.last):
                m.d.sync += [closed.bit_select(half, 1).eq(1), half.eq(~half)]
        first_s1 = late(m, one.first, 1, "first")
        (valid_s1, mark_s1), (valid_s2, mark_s2) = under_way[0], under_way[-1]
        old = Mux(mark_s1.half, halves[1].r_data, halves[0].r_data)
        data_s1 = late(m, Value.cast(one.data), 1, "data")
        sums, count = self._add(m, data_s1, Mux(first_s1, 0, old))
        elements = [data_s1.word_select(lane, p.element_bits) for lane in range(p.vector)]
        plain = Cat(*(Cat(element, Const(0, p.acc_bits - p.element_bits)) for element in elements))
        for number, ram in enumerate(halves):
            # A dense vector goes around the adders; a half never holds both kinds, so they do not meet.
            bare, summed = Signal(name=f"bare{number}"), Signal(name=f"summed{number}")
            m.d.comb += [
                bare.eq(valid_s1 & mark_s1.dense & (mark_s1.half == number)),
                summed.eq(valid_s2 & ~mark_s2.dense & (mark_s2.half == number)),
                ram.w_en.eq(bare | summed), ram.w_addr.eq(Mux(bare, mark_s1.index, mark_s2.index)),
                ram.w_data.eq(Mux(bare, plain, Cat(sums, count))),
                ram.r_en.eq(accept & ~one.first & (half == number)), ram.r_addr.eq(one.index),
            ]
            with m.If(bare & mark_s1.last | summed & mark_s2.last):
                m.d.sync += complete[number].eq(1)

    def _add(self, m: Module, data: Value, old: Value) -> tuple[Value, Value]:
        """Sums and count of a group with one vector more, `pe_depth` cycles later."""
        p, sums = self.p, []
        for lane in range(p.vector):
            add = place(m, f"add{lane}", Accumulate(p.pe_depth, p.dtype))
            m.d.comb += [add.a.eq(old.word_select(lane, p.acc_bits)),
                         add.b.eq(self._widen(m, lane, data.word_select(lane, p.element_bits)))]
            sums.append(add.o)
        count = (old[p.vector * p.acc_bits:] + 1)[:p.count_bits]
        return Cat(*sums), late(m, count, p.pe_depth, "count")

    def _widen(self, m: Module, lane: int, element: Value) -> Value:
        """An element as a binary32 or int32 number."""
        if self.p.dtype == "int8":
            return Cat(element, element[-1].replicate(self.p.acc_bits - len(element)))
        unit = place(m, f"widen{lane}", Widen(0, self.p.dtype))
        m.d.comb += unit.a.eq(element)
        return unit.o

    def _read(self, m: Module, halves: list[Ram], closed: Signal, complete: Signal, dense: Signal,
              groups: list[Signal]) -> tuple[View, Value, Signal]:
        """Walks over the groups of a complete half; returns a group's sums with its reciprocal, offered until taken."""
        p = self.p
        half, group, here, last_here, half_here = (Signal(), Signal(p.index_bits), Signal(), Signal(), Signal())
        taken, ask, last = Signal(), Signal(), Signal()
        reciprocal = place(m, "reciprocal", self._divider())
        word = View(self._word, Mux(half_here, halves[1].r_data, halves[0].r_data))
        bare = dense.bit_select(half_here, 1)
        parcel, offered = Signal(self._parcel), Signal()
        m.d.comb += [
            ask.eq(complete.bit_select(half, 1) & (~here | taken)), last.eq(group == Array(groups)[half]),
            reciprocal.valid.eq(here & ~bare), reciprocal.count.eq(word.count), reciprocal.take.eq(taken & ~bare),
            offered.eq(here & (bare | reciprocal.done)),
            parcel.sums.eq(word.sums), parcel.scale.eq(reciprocal.o), parcel.dense.eq(bare), parcel.last.eq(last_here),
        ]
        for number, ram in enumerate(halves):
            with m.If(ask & (half == number)):
                m.d.comb += [ram.r_en.eq(1), ram.r_addr.eq(group)]
        with m.If(ask):
            m.d.sync += [here.eq(1), last_here.eq(last), half_here.eq(half), group.eq(Mux(last, 0, group + 1))]
            with m.If(last):
                m.d.sync += [complete.bit_select(half, 1).eq(0), half.eq(~half)]
        with m.Elif(taken):
            m.d.sync += here.eq(0)
        with m.If(taken & last_here):  # and not before: until then the memory's output holds a word of this half
            m.d.sync += closed.bit_select(half_here, 1).eq(0)
        return parcel, offered, taken

    def _divider(self) -> Unit:
        return Reciprocal(self.p.m_tile)

    def _send(self, m: Module, parcel: View, offered: Value, taken: Signal) -> None:
        """Scales a group after the other, `matcher_lanes` elements a cycle, into a queue that room is kept in."""
        p, lanes = self.p, self.p.matcher_lanes
        queue = place(m, "queue", Fifo(vector_beat(p), self.queue, p.memories))
        work, busy, beat = Signal(self._parcel), Signal(), Signal(range(max(self.beats, 2)))
        pending, room, final = Signal(range(self.queue + 1)), Signal(), Signal()
        sent = self.o.valid & self.o.ready
        m.d.comb += [
            room.eq(pending != self.queue), final.eq(beat == self.beats - 1),
            taken.eq(offered & room & (~busy | final)),
            self.o.valid.eq(queue.o.valid), queue.o.ready.eq(self.o.ready),
            Value.cast(self.o.payload).eq(Value.cast(queue.o.payload)),
        ]
        m.d.sync += pending.eq(pending + taken - sent)
        with m.If(taken):
            m.d.sync += [Value.cast(work).eq(Value.cast(parcel)), busy.eq(1), beat.eq(0)]
        with m.Elif(busy):
            m.d.sync += beat.eq(beat + 1)
            with m.If(final):
                m.d.sync += busy.eq(0)
        part = work.sums.word_select(beat, lanes * p.acc_bits) if self.beats > 1 else work.sums
        means = self._scale(m, part, work)
        valid, last, place_ = (late(m, value, self.scale_depth, name, reset=name == "busy") for value, name in
                               ((busy, "busy"), (work.last, "last_group"), (beat, "beat")))
        parts: list[Value] = []
        for number in range(self.beats - 1):
            kept = Signal(len(means), name=f"part{number}")
            with m.If(valid & (place_ == number)):
                m.d.sync += kept.eq(means)
            parts.append(kept)
        m.d.comb += [queue.i.valid.eq(valid & (place_ == self.beats - 1)),
                     Value.cast(queue.i.payload).eq(Cat(*parts, means, last))]

    def _scale(self, m: Module, part: Value, work: View) -> Value:
        """The means of some lanes, or with `dense` what was put there, `scale_depth` cycles later."""
        p, means = self.p, []
        bare = late(m, work.dense, self.scale_depth, "bare")
        multiplier = "dsp" if p.scale_multiplier == "dsp" else "lut"  # a serial one would hold up every beat
        for lane in range(p.matcher_lanes):
            total = part.word_select(lane, p.acc_bits)
            unit = place(m, f"mean{lane}", Mean(self.scale_depth, p.dtype, multiplier))
            m.d.comb += [unit.a.eq(total), unit.b.eq(work.scale)]
            means.append(Mux(bare, late(m, total[:p.element_bits], self.scale_depth, f"plain{lane}"), unit.o))
        return Cat(*means)
