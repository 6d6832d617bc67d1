# SPDX-License-Identifier: Apache-2.0
"""OutputStage: int32 sums and scales in -> int8 elements.

Model: `leave` in golden/sic/scatter.py.  Test: `verif/sic/test_output_stage.py`.
"""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.numeric.requantise import Requantise
from focus_rtl.hdl.stream.fifo import Fifo
from focus_rtl.hdl.unit import Unit, place

__all__ = ["OutputStage"]

_DEPTH = 4
"""Register stages of a requantiser."""


class OutputStage(Unit):
    """Requantises the vectors of an output tile with one scale per column, C elements a cycle.

    For each order it takes the scales of its column passes first, then the tile's vectors.  A vector is begun only when
    the queue behind the requantisers has room for it, so that they never stall.  Columns that were not computed hold +0
    and stay 0 under any scale.
    Throughput C elements per `interval` cycles (1, but for a serial `scale_multiplier`), a beat of scales per cycle
    before each tile; latency `latency` cycles from a vector's transfer to its elements.

    Parameters
    ----------
    p : configuration; `dtype` is int8.

    Members
    -------
    orders : In(stream of `layouts.output_order`).  scales : In(stream of `layouts.scales`).
    vectors : In(stream of `layouts.accumulators`).  elements : Out(stream of `layouts.vector_elements`).
    bad_scale : Out(1), pulse: a scale is zero, negative, infinite or NaN.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        lane = self._lane()
        self.interval, self._requantising = lane.interval, lane.latency
        # What is under way in the requantisers, and one more so that taking a vector and beginning one overlap.
        self.queue = 2 + -(-(self._requantising + 3) // (p.col_passes * self.interval))
        super().__init__({
            "orders": In(stream.Signature(layouts.output_order(p))),
            "scales": In(stream.Signature(layouts.scales(p))),
            "vectors": In(stream.Signature(layouts.accumulators(p))),
            "elements": Out(stream.Signature(layouts.vector_elements(p))),
            "bad_scale": Out(1),
        }, p=p)

    @property
    def latency(self) -> int:
        """Cycles from the transfer of a vector to that of its elements, if nobody waits."""
        return 1 + self._requantising + Fifo.latency

    def _lane(self) -> Requantise:
        # A serial product brings a register of its own.
        serial = self.p.scale_multiplier == "serial"
        return Requantise(_DEPTH - 1 if serial else _DEPTH, self.p.scale_multiplier)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        order, width = self.orders.payload, p.cols * p.acc_bits
        ram = place(m, "scales_", Ram(width, p.col_passes, p.memories))
        loaded, col, token = Signal(), Signal(range(p.col_passes)), Signal(p.count_bits)
        issue, room = Signal(), Signal()
        last_col, last_token = col == p.col_passes - 1, token == order.tokens - 1
        m.d.comb += [
            self.scales.ready.eq(self.orders.valid & ~loaded),
            ram.w_en.eq(self.scales.valid & self.scales.ready), ram.w_addr.eq(col),
            ram.w_data.eq(Value.cast(self.scales.payload)),
            self.bad_scale.eq(ram.w_en & Cat(_unsound(scale) for scale in self.scales.payload.scale).any()),
            issue.eq(loaded & self.vectors.valid & ((col != 0) | room) & self._rested(m, issue)),
            ram.r_en.eq(issue), ram.r_addr.eq(col),
            self.vectors.ready.eq(issue & last_col), self.orders.ready.eq(issue & last_col & last_token),
        ]
        with m.If(ram.w_en):
            m.d.sync += col.eq(Mux(col == order.cols - 1, 0, col + 1))
            with m.If(col == order.cols - 1):
                m.d.sync += loaded.eq(1)
        with m.If(issue):
            m.d.sync += col.eq(Mux(last_col, 0, col + 1))
            with m.If(last_col):
                m.d.sync += token.eq(Mux(last_token, 0, token + 1))
                with m.If(last_token):
                    m.d.sync += loaded.eq(0)
        sums = Signal(width)
        m.d.sync += sums.eq(Value.cast(self.vectors.payload).word_select(col, width))
        self._requantise(m, issue, col, sums, ram.r_data, room)
        return m

    def _rested(self, m: Module, issue: Signal) -> Value:
        """Whether the requantisers take operands again: `interval` cycles after they took some."""
        if self.interval == 1:
            return Const(1, 1)
        wait = Signal(range(self.interval))
        with m.If(issue):
            m.d.sync += wait.eq(self.interval - 1)
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        return wait == 0

    def _requantise(self, m: Module, issue: Signal, col: Signal, sums: Signal, scales: Value, room: Signal) -> None:
        """C requantisers a cycle behind the issue, and the queue that room is kept in."""
        p = self.p
        queue = place(m, "queue", Fifo(layouts.vector_elements(p), self.queue, p.memories))
        begun, lanes, group = issue & (col == 0), [], []
        for lane in range(p.cols):
            unit = place(m, f"lane{lane}", self._lane())
            m.d.comb += [unit.a.eq(sums.word_select(lane, p.acc_bits)),
                         unit.b.eq(scales.word_select(lane, p.acc_bits))]
            lanes.append(unit)
            group.append(unit.o)
        marks: Value = Cat(issue, col)
        for stage in range(self._requantising + 1):
            held = Signal(len(marks), name=f"marks{stage}")
            m.d.sync += held.eq(marks)
            if stage == 0 and self.interval > 1:
                m.d.comb += [lane.start.eq(held[0]) for lane in lanes]
            marks = held
        valid, place_ = marks[0], marks[1:]
        parts = []
        for number in range(p.col_passes - 1):
            part = Signal(p.cols * p.element_bits, name=f"part{number}")
            with m.If(valid & (place_ == number)):
                m.d.sync += part.eq(Cat(group))
            parts.append(part)
        pending = Signal(range(self.queue + 1))
        taken = self.elements.valid & self.elements.ready
        m.d.sync += pending.eq(pending + begun - taken)
        m.d.comb += [
            room.eq(pending != self.queue),
            queue.i.valid.eq(valid & (place_ == p.col_passes - 1)),
            Value.cast(queue.i.payload).eq(Cat(*parts, *group)),
            self.elements.valid.eq(queue.o.valid), queue.o.ready.eq(self.elements.ready),
            Value.cast(self.elements.payload).eq(Value.cast(queue.o.payload)),
        ]


def _unsound(scale: Value) -> Value:
    """A binary32 that is not a finite positive number."""
    return scale[31] | (scale[23:31] == 0xFF) | ~scale[:31].any()
