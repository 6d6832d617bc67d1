# SPDX-License-Identifier: Apache-2.0
"""Bubble: stored scores -> which tokens hold the k largest, `lanes` of them per pass of a streaming sorter.

Model: `golden/sec/topk.py`.  Test: `verif/sec/test_topk.py`.
"""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import connect, flipped

from focus_rtl.hdl.sec.sorter import Sorter
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.hdl.unit import place

__all__ = ["Bubble"]


class Bubble(Sorter):
    """The published sorter: `lanes` cells in a row hold the largest scores that came by, in descending order.

    A pass streams all scores past the cells, one per cycle; each cell keeps the larger of its own and what comes.  What
    lies before the *border*, the last token of the pass before, is left out.  In a pass that needs fewer than `lanes`
    tokens, the first cells are closed, so that the border is always in the last one.  When k tokens lie before the
    border, a last pass sends the masks, in token order.

    Lanes of the last word beyond `tokens` must read 0: they come after every token, so they are never taken.

    Latency from an order to its last mask, with W = ceil(tokens / lanes): (W * lanes + 4) * ceil(k / lanes) +
    W * lanes + 4 cycles.  Throughput one mask per `lanes` cycles.

    Parameters, Members
    -------------------
    As `Sorter`.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        order = self.orders.payload
        start, sending, step = Signal(), Signal(), Signal()
        left, border = Signal.like(order.k), _Entry(self, "border")
        entry = self._serial(m, order, start, step)
        before = Signal()
        with m.If(step):
            m.d.sync += before.eq(border.valid & ((entry.score > border.score) | (entry.score == border.score)
                                                  & (entry.token <= border.token)))
        here = _Entry(self, "here")
        with m.If(step):
            here.follow(m, entry)
        last_cell = self._cells(m, here, here.valid & ~before & ~sending, start, left)
        finished = self._send(m, here, before, sending, step)
        m.d.comb += self.orders.ready.eq(finished)
        with m.FSM():
            with m.State("idle"):
                m.d.sync += [left.eq(order.k), border.valid.eq(0), sending.eq(0)]
                with m.If(self.orders.valid):
                    m.next = "start"
            with m.State("start"):
                m.d.comb += start.eq(1)
                m.d.sync += sending.eq(left == 0)
                m.next = "stream"
            with m.State("stream"):
                with m.If(finished):
                    m.next = "idle"
                with m.Elif(here.valid & here.last & ~sending):
                    m.next = "turn"
            with m.State("turn"):
                m.d.sync += [border.valid.eq(1), border.score.eq(last_cell.score), border.token.eq(last_cell.token),
                             left.eq(Mux(left > self.lanes, left - self.lanes, 0))]
                m.next = "start"
        return m

    def _serial(self, m: Module, order: Value, start: Value, step: Value) -> "_Entry":
        """All scores, one per cycle: the memory holds its word until the next one is asked for."""
        word, lane, reading = Signal(range(max(self.words, 2))), Signal(range(self.lanes)), Signal()
        last_lane = lane == self.lanes - 1
        last = last_lane & (word == (order.tokens - 1)[len(lane):])
        entry = _Entry(self, "entry")
        m.d.comb += [self.r_en.eq(start | (reading & step & last_lane & ~last)),
                     self.r_word.eq(Mux(start, 0, word + 1))]
        with m.If(start):
            m.d.sync += [reading.eq(1), word.eq(0), lane.eq(0)]
        with m.Elif(reading & step):
            m.d.sync += lane.eq(lane + 1)
            with m.If(last):
                m.d.sync += reading.eq(0)
            with m.Elif(last_lane):
                m.d.sync += word.eq(word + 1)
        with m.If(step):
            m.d.sync += [entry.valid.eq(reading), entry.last.eq(last), entry.token.eq(Cat(lane, word)),
                         entry.score.eq(self.r_data.word_select(lane, self.score_bits))]
        return entry

    def _cells(self, m: Module, here: "_Entry", insert: Value, start: Value, left: Value) -> "_Entry":
        """The row of cells; an empty one is below every score, a closed one at least as large as any."""
        cells = [_Entry(self, f"cell{number}") for number in range(self.lanes)]
        larger = [insert & (Cat(here.score, Const(1, 1)) > Cat(cell.score, cell.valid)) for cell in cells]
        before = None
        for number, cell in enumerate(cells):
            closed = left + number < self.lanes
            with m.If(start):
                m.d.sync += [cell.valid.eq(closed), cell.score.eq(Mux(closed, ~0, 0))]
            with m.Elif(larger[number]):
                if before is None:
                    cell.follow(m, here)
                else:
                    with m.If(larger[number - 1]):
                        cell.follow(m, before)
                    with m.Else():
                        cell.follow(m, here)
            before = cell
        return cells[-1]

    def _send(self, m: Module, here: "_Entry", before: Value, sending: Value, step: Value) -> Value:
        """Masks out, gathered bit by bit; returns whether the last one leaves."""
        skid = place(m, "skid", Skid(self.masks.payload.shape()))
        connect(m, skid.o, flipped(self.masks))
        mask = Signal(self.lanes)
        m.d.comb += [
            skid.i.valid.eq(here.valid & sending & here.token[:self.lanes.bit_length() - 1].all()),
            skid.i.payload.mask.eq(Cat(mask[1:], before)), skid.i.payload.last.eq(here.last),
            step.eq(~skid.i.valid | skid.i.ready),
        ]
        with m.If(here.valid & step):
            m.d.sync += mask.eq(Cat(mask[1:], before))
        return skid.i.valid & skid.i.ready & here.last


class _Entry:
    """A score, whose it is, whether there is one, and whether it is the last of a pass."""

    def __init__(self, unit: Bubble, name: str) -> None:
        self.valid, self.last = Signal(name=f"valid_{name}"), Signal(name=f"last_{name}")
        self.score = Signal(unit.score_bits, name=f"score_{name}", reset_less=True)
        self.token = Signal(range(max(unit.words, 2) * unit.lanes), name=f"token_{name}", reset_less=True)

    def follow(self, m: Module, other: "_Entry") -> None:
        """Take what the other one holds."""
        m.d.sync += [getattr(self, part).eq(getattr(other, part)) for part in ("valid", "last", "score", "token")]
