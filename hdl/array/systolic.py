# SPDX-License-Identifier: Apache-2.0
"""Systolic: vectors and weights in -> finished psums out.  Model: golden/array/systolic.py."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.array.chain import Chain
from focus_rtl.hdl.array.pe import Pe, PeRow, edge
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Systolic"]


class Systolic(Unit):
    """R x C processing elements, weight stationary, with double-buffered weights and chained row passes.

    A pass is `first` .. `last` on `vectors` against the R weight rows taken before it, bottom row first.  The next
    pass's rows are taken while it streams.  Psums leave in the order of the vectors; those of a pass with `chain_out`
    stay inside and enter the top of the next pass, which has `chain_in`.

    `vectors` is not ready for the first vector of a pass before its weights are in place, nor for a chained vector
    before its psum is back; a gap travels through the array as a bubble.  `psums` has no ready: whoever starts a pass
    has reserved room for its results.

    Latency from a vector to its psum: `latency` cycles.  Throughput one vector per cycle; passes follow each other
    without a gap for p >= R * pe_depth - pe_depth + 1, chained row passes for p >= R * pe_depth.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    vectors : In(stream of `layouts.array_beat`).  weights : In(stream of `layouts.weights`).
    psums : Out(stream of `layouts.psum_beat`, always ready).
    entered : Out(1), a vector enters in this cycle.
    wait_weights, wait_chain : Out(1), a vector is waiting for weights, for psums.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        self.multiply_latency = Pe.multiply_latency(p.pe_depth, p.dtype)
        super().__init__({
            "vectors": In(stream.Signature(layouts.array_beat(p))),
            "weights": In(stream.Signature(layouts.weights(p))),
            "psums": Out(stream.Signature(layouts.psum_beat(p), always_ready=True)),
            "entered": Out(1), "wait_weights": Out(1), "wait_chain": Out(1),
        }, p=p)

    @property
    def to_bottom(self) -> int:
        """Cycles from a vector to its psum at the bottom of column 0."""
        return 1 + self.multiply_latency + self.p.pe_depth * self.p.rows

    @property
    def latency(self) -> int:
        """Cycles from a vector to its psums on `psums`: column 0's, and the way to the last column."""
        return self.to_bottom + self.p.cols - 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = self.vectors.payload
        # Of the vector that enters in this cycle: chain_in, chain_out, leaves, last, tag.
        marks = Signal(4 + layouts.TAG_BITS)
        start, loaded, returned = Signal(), Signal(), Signal()
        m.d.comb += [
            self.vectors.ready.eq((~beat.first | loaded) & (~beat.chain_in | returned)),
            self.entered.eq(self.vectors.valid & self.vectors.ready),
            start.eq(self.entered & beat.first),
            self.wait_weights.eq(self.vectors.valid & beat.first & ~loaded),
            self.wait_chain.eq(self.vectors.valid & ~self.vectors.ready & ~self.wait_weights),
            marks.eq(Mux(self.entered, Cat(beat.chain_in, beat.chain_out, ~beat.chain_out, beat.last, beat.tag), 0)),
        ]
        history = _delays(m, marks, self.latency, "marks")
        shifts = self._load_weights(m, start, loaded)
        tops, bottoms = self._rows(m, start, shifts)
        self._chains(m, history, tops, bottoms, returned)
        self._leave(m, history, bottoms)
        return m

    def _load_weights(self, m: Module, start: Signal, loaded: Signal) -> list[Value]:
        """Take weight rows whenever the shadow registers are free; returns each row's shift mark at column 0."""
        p = self.p
        # Row i swaps pe_depth * i cycles after row 0, but the n-th weight row reaches it only at the (i+1)-th shift.
        clearance = (p.pe_depth - 1) * (p.rows - 1)
        taken = Signal(range(p.rows))
        guard = Signal(range(max(clearance, 1)))
        push = Signal()
        free = ~loaded & (guard == 0)
        m.d.comb += [
            self.weights.ready.eq(free | start if clearance == 0 else free),
            push.eq(self.weights.valid & self.weights.ready),
        ]
        with m.If(guard != 0):
            m.d.sync += guard.eq(guard - 1)
        with m.If(start):
            m.d.sync += [loaded.eq(0), guard.eq(max(clearance - 1, 0))]
        with m.If(push):
            m.d.sync += taken.eq(taken + 1)
            with m.If(taken == p.rows - 1):
                m.d.sync += [taken.eq(0), loaded.eq(1)]
        return [push & (taken >= row) for row in range(p.rows)]

    def _rows(self, m: Module, start: Signal, shifts: list[Value]) -> tuple[list[Signal], list[Signal]]:
        """The rows, with elements and swaps skewed; returns the psums into the top and out of the bottom."""
        p = self.p
        tops = [Signal(p.acc_bits, name=f"top{col}") for col in range(p.cols)]
        skewed = [_delays(m, self.weights.payload.data[col], col, f"weight{col}")[-1] for col in range(p.cols)]
        weights = Cat(_at_edge(m, f"weight{col}", value, p.dtype, True) for col, value in enumerate(skewed))
        psums: Value = Cat(tops)
        for row in range(p.rows):
            unit = place(m, f"row{row}", PeRow(p.cols, p.pe_depth, p.dtype, p.pe_multiplier))
            element = Cat(self.vectors.payload.data[row], start)
            delayed = _delays(m, element, row * p.pe_depth, f"element{row}")[-1]
            m.d.comb += [
                unit.x.eq(_at_edge(m, f"element{row}", delayed[:-1], p.dtype, False)), unit.swap.eq(delayed[-1]),
                unit.shift.eq(shifts[row]),
                unit.w_i.eq(weights), unit.psum_i.eq(psums),
            ]
            weights, psums = unit.w_o, unit.psum_o
        bottoms = [Signal(p.acc_bits, name=f"bottom{col}") for col in range(p.cols)]
        m.d.comb += Cat(bottoms).eq(psums)
        return tops, bottoms

    def _chains(self, m: Module, history: list[Value], tops: list[Signal], bottoms: list[Signal],
                returned: Signal) -> None:
        """Psums of a pass that is to be continued go round, each column in its own skewed time."""
        p = self.p
        if p.row_passes == 1:
            return  # tops stay +0
        for col, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
            chain = place(m, f"chain{col}", Chain(p.m_tile, p.memories))
            m.d.comb += [
                chain.pop.eq(history[self.multiply_latency + col][0]), top.eq(chain.o),
                chain.push.eq(history[self.to_bottom + col][1]), chain.i.eq(bottom),
            ]
        # Counted early by the cycles between a vector's entry and its pop, and by the one from a pop to its push.
        waiting = Signal(range(p.m_tile + 1))
        m.d.sync += waiting.eq(waiting + history[self.to_bottom - self.multiply_latency - 2][1] - history[0][0])
        m.d.comb += returned.eq(waiting != 0)

    def _leave(self, m: Module, history: list[Value], bottoms: list[Signal]) -> None:
        """Columns are lined up again behind the last one."""
        p = self.p
        aligned = [_delays(m, bottom, p.cols - 1 - col, f"bottom{col}")[-1] for col, bottom in enumerate(bottoms)]
        m.d.comb += [
            self.psums.valid.eq(history[self.latency][2]),
            self.psums.payload.last.eq(history[self.latency][3]),
            self.psums.payload.tag.eq(history[self.latency][4:]),
            Value.cast(self.psums.payload.data).eq(Cat(aligned)),
        ]


def _at_edge(m: Module, name: str, element: Value, dtype: str, weight: bool) -> Value:
    """What the PEs take for an element, made once for a whole row or column."""
    unit = edge(dtype, weight)
    if unit is None:
        return element
    place(m, f"{name}_edge", unit)
    m.d.comb += unit.a.eq(element)
    return unit.o


def _delays(m: Module, value: Value, cycles: int, name: str) -> list[Value]:
    """`value` now, one cycle ago, ... `cycles` cycles ago."""
    now = Value.cast(value)
    if cycles == 0:
        return [now]
    # One register for the whole line: hundreds of small ones would be most of the Verilog.
    line = Signal(len(now) * cycles, name=f"{name}_line")
    m.d.sync += line.eq(Cat(now, line))
    return [now, *(line.word_select(cycle, len(now)) for cycle in range(cycles))]
