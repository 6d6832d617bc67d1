# SPDX-License-Identifier: Apache-2.0
"""What is proved of gather with means: of what it hands to the averager, and of the averager alone, for whatever adding
and scaling are.  Together: each mean that leaves is made of its group's vectors, all of them, in token order.
"""

from dataclasses import replace

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import View
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.layouts import vector_beat
from focus_rtl.hdl.numeric.pipeline import late
from focus_rtl.hdl.sic.averager import Averager, member
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.formal.gathering import (
    PARAMS,
    PLACES,
    TOKENS,
    WATCHED,
    Free,
    FreeGather,
    Mapping,
    Watch,
    bounded,
    offered,
)
from focus_rtl.verif.formal.smt import Claim

__all__ = ["AVERAGING"]

MEANS = replace(PARAMS, representative="mean")
MEMBERS, MEAN_CYCLES = 3, 16
"""Most vectors of a tile of the averager alone; cycles after the reset."""

HAND_ON_CYCLES = 14


# --- what gather hands over ---


class HandsOn(Unit):
    """Stands in for the averager: takes a vector at any time and sends it on at once, or its index and its marks."""

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(member(MEANS))), "o": Out(stream.Signature(vector_beat(MEANS))),
                          "hazard": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        one, go, which = self.i.payload, place(m, "go", Free(1)).o, place(m, "which", Free(1, constant=True)).o
        m.d.comb += [
            self.o.valid.eq(self.i.valid & go), self.i.ready.eq(self.o.ready & go), self.o.payload.last.eq(one.last),
            Value.cast(self.o.payload.data).eq(Mux(which, Cat(one.index, one.first, one.dense), Value.cast(one.data))),
        ]
        return m


class GatherOfMembers(FreeGather):
    """Gather, any decisions, that hands its vectors over to nobody."""

    def _averager(self) -> HandsOn:
        return HandsOn()


class LosesMembers(GatherOfMembers):
    """A vector goes although nobody took it."""

    def _emit_means(self, m: Module, here: Value, leave: Value, others: Value, key: View, result: View) -> Value:
        super()._emit_means(m, here, leave, others, key, result)
        return Const(1, 1)


class WatchMembers(Watch):
    """Every vector is handed over, in order, with the index of the map, `first` where a group begins, and `dense`."""

    params = MEANS

    def _leaving(self, tokens: Value, unique: Value) -> Value:
        return tokens

    def _stands(self, m: Module, gather: FreeGather, chosen: Value, one: Mapping, fed: Array, kept: Array) -> Value:
        own, began = Signal(self.params.index_bits), Signal()
        with m.If(one.now & (one.token == chosen)):
            m.d.sync += [own.eq(one.index), began.eq(one.index == one.unique)]
        which = place(m, "which", Free(1, constant=True)).o
        marks = Cat(own, began, gather.orders.payload.dense)
        return kept[chosen] == Mux(which, marks, fed[chosen])


# --- the averager alone: any arithmetic ---


class AnyTime(Unit):
    """Stands in for the averager's division: done at any time, and its result is the count itself."""

    def __init__(self, count_bits: int) -> None:
        super().__init__({"valid": In(1), "count": In(count_bits), "take": In(1), "done": Out(1), "o": Out(32)},
                         count_bits=count_bits)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held, go = Signal(), place(m, "go", Free(1)).o
        m.d.comb += [self.done.eq(self.valid & (held | go)), self.o.eq(self.count)]
        m.d.sync += held.eq(self.done & ~self.take)
        return m


def added(total: Value, element: Value) -> Value:
    """Stands for any function of a sum and an element: a list of what was added, newest first.

    Of lists that are equal every function that is folded over them is, too.  A sum has room for four elements.
    """
    return Cat(element, total)[:len(total)]


def scaled(total: Value, count: Value, which: Value) -> Value:
    """Stands for any function of a sum and a count: `which` of the bytes of both; they are equal if all of them are."""
    return Cat(total, count, Const(0, 8 - len(count)))[:40].word_select(which, 8)


class FreeAverager(Averager):
    """Averager whose sums are `added` and whose means are `scaled`; division takes any time.

    scale_depth : a stage, so that more fits into the cycles.
    """

    scale_depth = 1

    def _divider(self) -> AnyTime:
        return AnyTime(self.p.count_bits)

    def _add(self, m: Module, data: Value, old: Value) -> tuple[Value, Value]:
        p, bits = self.p, self.p.acc_bits
        sums = Cat(added(old.word_select(lane, bits), data.word_select(lane, p.element_bits))
                   for lane in range(p.vector))
        count = (old[p.vector * bits:] + 1)[:p.count_bits]
        return late(m, sums, p.pe_depth, "sums"), late(m, count, p.pe_depth, "count")

    def _scale(self, m: Module, part: Value, work: View) -> Value:
        which, count = place(m, "which", Free(3, constant=True)).o, work.scale[:self.p.count_bits]
        lanes = [part.word_select(lane, self.p.acc_bits) for lane in range(self.p.matcher_lanes)]
        means = Cat(Mux(work.dense, total[:self.p.element_bits], scaled(total, count, which)) for total in lanes)
        return late(m, means, self.scale_depth, "means")


class ForgetsMembers(FreeAverager):
    """A sum does not go on from what was there."""

    def _add(self, m: Module, data: Value, old: Value) -> tuple[Value, Value]:
        return super()._add(m, data, Const(0, len(old)))


class WatchAverager(Unit):
    """An averager with a free input that is such as gather hands over, and what watches the first of its tiles.

    assumed, holds, complete, merged : as `Watch` has them.
    """

    def __init__(self, averager: type[FreeAverager]) -> None:
        self.averager = averager
        super().__init__({name: Out(1) for name in WATCHED}, averager=averager.__name__)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit = place(m, "averager", self.averager(MEANS))
        chosen = place(m, "chosen", Free(PLACES, constant=True)).o
        one, legal = unit.i.payload, offered(m, unit.i, "members") & self._legal(m, unit)
        m.d.comb += [unit.o.ready.eq(place(m, "ready", Free(1)).o), self.assumed.eq(legal)]
        taken, groups, count, ended = Signal(4), Signal(4), Signal(MEANS.count_bits), Signal()
        sums, only, dense = Signal(MEANS.vector * MEANS.acc_bits), Signal(len(Value.cast(one.data))), Signal()
        with m.If(unit.i.valid & unit.i.ready & ~ended):
            m.d.sync += [taken.eq(taken + 1), groups.eq(groups + one.first), ended.eq(one.last), dense.eq(one.dense)]
            with m.If(one.index == chosen):
                m.d.sync += [count.eq(count + 1), only.eq(Value.cast(one.data)), sums.eq(Cat(
                    added(sums.word_select(lane, MEANS.acc_bits), one.data[lane]) for lane in range(MEANS.vector)))]
        self._compare(m, unit, chosen, Mux(dense, only, self._mean(m, sums, count)), groups, ended, taken)
        return m

    def _legal(self, m: Module, unit: Averager) -> Value:
        """A vector is of a group that has begun in its tile or, marked so, of the next one; a tile is dense or not."""
        one, here, begun, dense = unit.i.payload, Signal(4), Signal(4), Signal()
        with m.If(unit.i.valid & unit.i.ready):
            m.d.sync += [here.eq(Mux(one.last, 0, here + 1)), begun.eq(Mux(one.last, 0, begun + one.first)),
                         dense.eq(one.dense)]
        return ~unit.i.valid | Cat(
            one.index <= begun, one.first == (one.index == begun), ~one.dense | one.first,
            (here == 0) | (one.dense == dense), (here < MEMBERS - 1) | one.last).all()

    def _mean(self, m: Module, sums: Value, count: Value) -> Value:
        which = place(m, "which", Free(3, constant=True)).o
        return Cat(scaled(sums.word_select(lane, MEANS.acc_bits), count, which) for lane in range(MEANS.vector))

    def _compare(self, m: Module, unit: Averager, chosen: Value, wanted: Value, groups: Value, ended: Value,
                 taken: Value) -> None:
        """Means leave behind the tile's last vector, one for each group, each once and in its place."""
        sent, done, wrong, kept = Signal(4), Signal(), Signal(), Signal(len(wanted))
        with m.If(unit.o.valid & unit.o.ready & ~done):
            m.d.sync += [sent.eq(sent + 1), done.eq(unit.o.payload.last)]
            with m.If(sent == chosen):
                m.d.sync += kept.eq(Value.cast(unit.o.payload.data))
            with m.If(~ended | (unit.o.payload.last != (sent == groups - 1))):
                m.d.sync += wrong.eq(1)
        m.d.comb += [
            self.complete.eq(done), self.merged.eq(done & (groups < taken)),
            self.holds.eq(~wrong & (~done | (sent == groups) & ((chosen >= groups) | (kept == wanted)))),
        ]


AVERAGING: dict[str, Claim] = {
    "gathered_members": bounded(
        f"gather with means, any decisions, any stalls, {HAND_ON_CYCLES} cycles after reset, a tile of up to {TOKENS} "
        "tokens: map[j] <= j and < p, one summary; the averager is handed every vector once, in order, with the map's "
        "index and `first` where a group begins",
        lambda: WatchMembers(GatherOfMembers), lambda: WatchMembers(LosesMembers), HAND_ON_CYCLES,
        ("which.o", "gather.averager.which.o")),
    "averaged": bounded(
        f"averager, any sums and scales, any stalls, {MEAN_CYCLES} cycles after reset, tiles of up to {MEMBERS} "
        "vectors as gather hands them over: one mean for each group, in order, of all its vectors and no other, in "
        "token order, and of their count; dense vectors unchanged", lambda: WatchAverager(FreeAverager),
        lambda: WatchAverager(ForgetsMembers), MEAN_CYCLES, ("which.o", "averager.which.o")),
}
