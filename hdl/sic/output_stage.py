# SPDX-License-Identifier: Apache-2.0
"""OutputStage: int32 sums and scales in -> int8 elements.

Model: `leave` in golden/sic/scatter.py.  Test: `verif/sic/test_output_stage.py`.
"""

from dataclasses import dataclass

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.numeric.pipeline import late
from focus_rtl.hdl.numeric.requantise import Requantise
from focus_rtl.hdl.numeric.requantise_serial import RequantiseSerial
from focus_rtl.hdl.stream.fifo import Fifo
from focus_rtl.hdl.unit import Unit, place

__all__ = ["OutputStage"]

_DEPTH = 8
"""Register stages of a requantiser."""


@dataclass(frozen=True)
class _Step:
    """A step of a vector: `now`, the vector's `last`, and the elements of its lanes."""

    now: Value
    last: Value
    elements: Value


class OutputStage(Unit):
    """Requantises the vectors of an output tile with one scale per column, C / `scale_share` elements in a step.

    For each order it takes the scales of its column passes first, then the tile's vectors.  A vector is begun only when
    there is room for its elements, so that the requantisers never stall: in the queue behind them, or, where they are
    serial, in the one word that its steps fill.  Columns that were not computed hold +0 and stay 0 under any scale.
    Throughput a step per `interval` cycles, a vector per `pace` cycles, a beat of scales per cycle before each tile;
    latency `latency` cycles from a vector's last word to its elements.

    Parameters
    ----------
    p : configuration; `dtype` is int8.

    Members
    -------
    orders : In(stream of `layouts.output_order`).  scales : In(stream of `layouts.scales`).
    words : In(stream of `layouts.output_word`), V/C a vector.  elements : Out(stream of `layouts.vector_elements`).
    bad_scale : Out(1), pulse: a scale is zero, negative, infinite or NaN.
    """

    def __init__(self, p: Parameters) -> None:
        self.p, self.serial = p, p.scale_multiplier == "serial"
        self.lanes = p.cols // p.scale_share
        self.steps = p.vector // self.lanes
        self.interval = RequantiseSerial.latency + 1 if self.serial else 1
        # What is under way in the requantisers, and one more so that taking a vector and beginning one overlap.
        self.room = 1 if self.serial else 2 + -(-(_DEPTH + 3) // self.steps)
        super().__init__({
            "orders": In(stream.Signature(layouts.output_order(p))),
            "scales": In(stream.Signature(layouts.scales(p))),
            "words": In(stream.Signature(layouts.output_word(p))),
            "elements": Out(stream.Signature(layouts.vector_elements(p))),
            "bad_scale": Out(1),
        }, p=p)

    @property
    def latency(self) -> int:
        """Cycles from the transfer of a vector's last word to that of its elements, if nobody waits."""
        return 2 + RequantiseSerial.latency if self.serial else 1 + _DEPTH + Fifo.latency

    @property
    def pace(self) -> int:
        """Cycles from a vector to the next of its tile, if nobody waits."""
        return self.steps * self.interval + (2 if self.serial else 0)  # then the word is given away before

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        order = self.orders.payload
        ram = place(m, "scales_", Ram(p.cols * p.acc_bits, p.col_passes, p.memories))
        loaded, col, part = Signal(), Signal(range(p.col_passes)), Signal(range(p.scale_share))
        token = Signal(p.count_bits)
        issue, room, rested = Signal(), Signal(), Signal()
        last_part, last_token = part == p.scale_share - 1, token == order.tokens - 1
        last_step = last_part & (col == p.col_passes - 1)
        begins = (col == 0) & (part == 0)
        m.d.comb += [
            self.scales.ready.eq(self.orders.valid & ~loaded),
            ram.w_en.eq(self.scales.valid & self.scales.ready), ram.w_addr.eq(col),
            ram.w_data.eq(Value.cast(self.scales.payload)),
            self.bad_scale.eq(ram.w_en & Cat(_unsound(scale) for scale in self.scales.payload.scale).any()),
            issue.eq(loaded & self.words.valid & (~begins | room) & rested),
            ram.r_en.eq(issue), ram.r_addr.eq(col),
            self.words.ready.eq(issue & last_part), self.orders.ready.eq(issue & last_step & last_token),
        ]
        with m.If(ram.w_en):
            m.d.sync += col.eq(Mux(col == order.cols - 1, 0, col + 1))
            with m.If(col == order.cols - 1):
                m.d.sync += loaded.eq(1)
        with m.If(issue):
            m.d.sync += part.eq(Mux(last_part, 0, part + 1))
            with m.If(last_part):
                m.d.sync += col.eq(Mux(last_step, 0, col + 1))
            with m.If(last_step):
                m.d.sync += token.eq(Mux(last_token, 0, token + 1))
                with m.If(last_token):
                    m.d.sync += loaded.eq(0)
        sums, scales = self._operands(m, issue, col, part, ram.r_data)
        requantise = self._one_at_a_time if self.serial else self._pipelined
        step = requantise(m, issue, last_step, sums, scales, rested)
        self._leave(m, issue & begins, step, room)
        return m

    def _operands(self, m: Module, issue: Value, col: Value, part: Value, scales: Value) -> tuple[Value, Value]:
        """Sums and scales of the step issued in the cycle before; the scales stand until the next one."""
        p = self.p
        width = self.lanes * p.acc_bits
        sums, held = Signal(width, reset_less=True), Signal.like(part, reset_less=True)
        with m.If(issue):
            m.d.sync += [sums.eq(_chosen(Value.cast(self.words.payload.data), part, width)), held.eq(part)]
        return sums, _chosen(scales, held, width)

    def _pipelined(self, m: Module, issue: Value, last: Value, sums: Value, scales: Value, rested: Value) -> _Step:
        """Requantisers that take operands in every cycle."""
        m.d.comb += rested.eq(1)
        lanes = [place(m, f"lane{lane}", Requantise(_DEPTH, self.p.scale_multiplier))
                 for lane in range(self.lanes)]
        self._feed(m, lanes, sums, scales)
        marks = late(m, Cat(issue, last), 1 + _DEPTH, "marks", reset=True)
        return _Step(marks[0], marks[1], Cat(lane.o for lane in lanes))

    def _one_at_a_time(self, m: Module, issue: Value, last: Value, sums: Value, scales: Value, rested: Value) -> _Step:
        """Serial requantisers, all in step: one is begun when the one before is done."""
        lanes = [place(m, f"lane{lane}", RequantiseSerial()) for lane in range(self.lanes)]
        self._feed(m, lanes, sums, scales)
        busy, ends, done = Signal(), Signal(), lanes[0].done
        m.d.comb += [rested.eq(~busy | done), *(lane.start.eq(late(m, issue, 1, f"start{number}", reset=True))
                                                for number, lane in enumerate(lanes))]
        with m.If(issue):
            m.d.sync += [busy.eq(1), ends.eq(last)]
        with m.Elif(done):
            m.d.sync += busy.eq(0)
        return _Step(done, ends, Cat(lane.o for lane in lanes))

    def _feed(self, m: Module, lanes: list[Unit], sums: Value, scales: Value) -> None:
        for number, lane in enumerate(lanes):
            m.d.comb += [lane.a.eq(sums.word_select(number, self.p.acc_bits)),
                         lane.b.eq(scales.word_select(number, self.p.acc_bits))]

    def _leave(self, m: Module, begun: Value, step: _Step, room: Value) -> None:
        """A vector's steps are put together, and wait until they are taken; for how many vectors there is room."""
        p = self.p
        before = Signal((self.steps - (0 if self.serial else 1)) * self.lanes * p.element_bits, reset_less=True)
        whole = Cat(before, step.elements)
        with m.If(step.now):
            m.d.sync += before.eq(whole[len(whole) - len(before):])
        pending, taken = Signal(range(self.room + 1)), self.elements.valid & self.elements.ready
        m.d.sync += pending.eq(pending + begun - taken)
        m.d.comb += room.eq(pending != self.room)
        complete = step.now & step.last
        if self.serial:
            with m.If(complete | taken):
                m.d.sync += self.elements.valid.eq(complete)
            m.d.comb += Value.cast(self.elements.payload).eq(before)
            return
        queue = place(m, "queue", Fifo(layouts.vector_elements(p), self.room, p.memories))
        m.d.comb += [
            queue.i.valid.eq(complete), Value.cast(queue.i.payload).eq(whole),
            self.elements.valid.eq(queue.o.valid), queue.o.ready.eq(self.elements.ready),
            Value.cast(self.elements.payload).eq(Value.cast(queue.o.payload)),
        ]


def _chosen(word: Value, number: Value, width: int) -> Value:
    """Part `number` of a word of parts."""
    return Array(word.word_select(part, width) for part in range(len(word) // width))[number]


def _unsound(scale: Value) -> Value:
    """A binary32 that is not a finite positive number."""
    return scale[31] | (scale[23:31] == 0xFF) | ~scale[:31].any()
