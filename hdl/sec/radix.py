# SPDX-License-Identifier: Apache-2.0
"""Radix: stored scores -> which tokens hold the k largest, found bit by bit from the most significant one.

Model: `golden/sec/topk.py`.  Test: `verif/sec/test_topk.py`.
"""

from itertools import pairwise

from amaranth import Module, Mux, Signal, Value
from amaranth.lib.wiring import connect, flipped

from focus_rtl.hdl.sec.sorter import Sorter
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.hdl.unit import place

__all__ = ["Radix"]

_GROUP = 8  # lanes that are counted in one cycle


class Radix(Sorter):
    """The k-th largest score, then every token above it, and of those equal to it the first ones.

    A pass per bit, most significant first: how many scores are at least what is known of the k-th largest, with this
    bit set?  At least k: the bit is 1, else 0.  Then one more pass sends the masks, in token order; where a word has
    more scores equal to the k-th largest than may stay, its lowest ones are taken one per cycle.

    Lanes of the last word beyond `tokens` must read 0: they come after every token, so they are never taken.

    Latency from an order to its last mask, with W = ceil(tokens / lanes): (W + 6) * score_bits + W + 5 cycles, and up
    to `lanes` more for that one word.  Throughput one mask per cycle.

    Parameters, Members
    -------------------
    As `Sorter`.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        order = self.orders.payload
        word, reading, sending, step = Signal(range(max(self.words, 2))), Signal(), Signal(), Signal()
        last = word == (order.tokens - 1)[self.lanes.bit_length() - 1:]
        m.d.comb += [self.r_en.eq(reading & step), self.r_word.eq(word)]
        with m.If(self.r_en):
            m.d.sync += word.eq(Mux(last, 0, word + 1))
            with m.If(last):
                m.d.sync += reading.eq(0)
        trial, above = Signal(self.score_bits), Signal.like(order.k)
        counted = self._counter(m, last, trial, sending, step)
        finished = self._send(m, counted, order.k - above, sending, step)
        m.d.comb += self.orders.ready.eq(finished)
        self._search(m, reading, sending, trial, above, counted, finished)
        return m

    def _search(self, m: Module, reading: Value, sending: Value, trial: Value, above: Value, counted: "_Counted",
                finished: Value) -> None:
        """A pass per bit: `trial` is what is known of the k-th largest score, with the next bit set.

        `above` is the count of the last trial that was too large, in the end of the scores above the k-th largest.
        """
        known, bit = Signal(self.score_bits), Signal(self.score_bits)
        count, enough = Signal.like(above), Signal()
        so_far = Mux(enough, trial, known)
        with m.If(counted.valid):
            m.d.sync += count.eq(count + counted.number)
        with m.FSM():
            with m.State("idle"):
                m.d.sync += [known.eq(0), above.eq(0), count.eq(0), sending.eq(0),
                             bit.eq(1 << (self.score_bits - 1)), trial.eq(1 << (self.score_bits - 1))]
                with m.If(self.orders.valid):
                    m.d.sync += reading.eq(1)
                    m.next = "count"
            with m.State("count"), m.If(counted.valid & counted.last):
                m.next = "compare"
            with m.State("compare"):
                m.d.sync += enough.eq(count >= self.orders.payload.k)
                m.next = "decide"
            with m.State("decide"):
                m.d.sync += [known.eq(so_far), trial.eq(so_far | bit[1:]), bit.eq(bit[1:]), count.eq(0), reading.eq(1)]
                with m.If(~enough):
                    m.d.sync += above.eq(count)
                with m.If(bit[0]):
                    m.next = "send"
                with m.Else():
                    m.next = "count"
            with m.State("send"):
                m.d.sync += sending.eq(1)
                with m.If(finished):
                    m.next = "idle"

    def _counter(self, m: Module, last: Value, trial: Value, sending: Value, step: Value) -> "_Counted":
        """Behind the memory: compare with `trial`, count in groups, add the groups.

        Counted is what is at least `trial`; with `sending`, what equals it.
        """
        s1, s2, s3, s4 = stages = [_Counted(self, f"s{stage}") for stage in range(1, 5)]
        groups = [Signal(range(_GROUP + 1), name=f"group{low}", reset_less=True)
                  for low in range(0, self.lanes, _GROUP)]
        with m.If(step):
            m.d.sync += [s1.valid.eq(self.r_en), s1.last.eq(last)]
            for before, after in pairwise(stages):
                m.d.sync += [after.valid.eq(before.valid), after.last.eq(before.last)]
            for lane in range(self.lanes):
                score = self.r_data.word_select(lane, self.score_bits)
                m.d.sync += [s2.enough[lane].eq(score >= trial), s2.equal[lane].eq(score == trial)]
            counts = Mux(sending, s2.equal, s2.enough)
            m.d.sync += [group.eq(_sum(list(counts[number * _GROUP:(number + 1) * _GROUP])))
                         for number, group in enumerate(groups)]
            m.d.sync += [s3.enough.eq(s2.enough), s3.equal.eq(s2.equal), s4.number.eq(_sum(groups)),
                         s4.enough.eq(s3.enough), s4.equal.eq(s3.equal)]
        return s4

    def _send(self, m: Module, counted: "_Counted", room_at_first: Value, sending: Value, step: Value) -> Value:
        """Masks out, with at most `room` scores equal to the k-th largest; returns whether the last one leaves.

        What stays of a word is `enough` without `equal`.  Equal scores that fit stay all; else the lowest stop being
        called equal, one per cycle, until there is no room.
        """
        skid = place(m, "skid", Skid(self.masks.payload.shape()))
        connect(m, skid.o, flipped(self.masks))
        room, here, fits, leave = Signal.like(room_at_first), Signal(), Signal(), Signal()
        m.d.comb += [
            here.eq(counted.valid & sending), fits.eq(counted.number <= room),
            skid.i.valid.eq(here & (fits | (room == 0))), skid.i.payload.last.eq(counted.last),
            skid.i.payload.mask.eq(counted.enough & ~Mux(fits, 0, counted.equal)),
            leave.eq(skid.i.valid & skid.i.ready), step.eq(~here | leave),
        ]
        with m.If(~sending):
            m.d.sync += room.eq(room_at_first)
        with m.Elif(leave & fits):
            m.d.sync += room.eq(room - counted.number)
        with m.Elif(here & ~skid.i.valid):
            m.d.sync += [room.eq(room - 1), counted.equal.eq(counted.equal & (counted.equal - 1))]
        return leave & counted.last


class _Counted:
    """A word on its way: which of its scores are at least, and which are equal to `trial`, and how many count."""

    def __init__(self, unit: Radix, name: str) -> None:
        self.valid, self.last = Signal(name=f"valid_{name}"), Signal(name=f"last_{name}")
        self.enough, self.equal = (Signal(unit.lanes, name=f"{part}_{name}", reset_less=True)
                                   for part in ("enough", "equal"))
        self.number = Signal(range(unit.lanes + 1), name=f"number_{name}", reset_less=True)


def _sum(values: list[Value]) -> Value:
    """Of unsigned numbers, as a balanced tree."""
    while len(values) > 1:
        values = [values[i] + values[i + 1] if i + 1 < len(values) else values[i] for i in range(0, len(values), 2)]
    return values[0]
