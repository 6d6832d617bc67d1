# SPDX-License-Identifier: Apache-2.0
"""InputBuffer: vectors of k-slices in -> two slices on chip, one being read while the other fills."""

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.unit import Unit, place

__all__ = ["InputBuffer", "slot_layout"]


def slot_layout(p: Parameters) -> data.StructLayout:
    """A full slot: how many vectors it holds; `surplus`: more than m came, the rest was dropped."""
    return data.StructLayout({"count": p.count_bits, "surplus": 1})


class InputBuffer(Unit):
    """Two slots of m vectors, R elements a word, so that a row pass reads one word per vector.

    A slot is filled up to the vector marked `last`, then offered on `slot`; taking the offer frees it.  Writing takes
    V/R cycles per vector; reading one cycle per word, data one cycle after the address.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    vectors : In(stream of `layouts.vector_beat`).
    slot : Out(stream of `slot_layout`), valid while the oldest slot is full; its transfer frees the slot.
    r_en, r_row, r_index : In, read request within the offered slot: row pass, vector.
    r_data : Out(R elements), in the cycle after the request; stands until the next.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({
            "vectors": In(stream.Signature(layouts.vector_beat(p))),
            "slot": Out(stream.Signature(slot_layout(p))),
            "r_en": In(1), "r_row": In(range(p.row_passes)), "r_index": In(p.index_bits),
            "r_data": Out(p.rows * p.element_bits),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        bits = p.rows * p.element_bits
        ram = place(m, "ram", Ram(bits, 2 * p.row_passes * p.m_tile, p.memories))
        full = [Signal(name=f"full{half}") for half in range(2)]
        held = [Signal(slot_layout(p), name=f"held{half}") for half in range(2)]
        filling, reading = Signal(), Signal()
        row = Signal(range(p.row_passes))
        level = Signal(slot_layout(p))
        beat, room = self.vectors.payload, level.count != p.m_tile
        whole = Signal()
        m.d.comb += [
            self.vectors.ready.eq(~Array(full)[filling] & (row == p.row_passes - 1)),
            whole.eq(self.vectors.valid & self.vectors.ready),
            ram.w_en.eq(self.vectors.valid & ~Array(full)[filling] & room),
            ram.w_addr.eq(Cat(level.count[:p.index_bits], Mux(filling, p.row_passes, 0) + row)),
            ram.w_data.eq(Value.cast(beat.data).word_select(row, bits)),
            ram.r_en.eq(self.r_en),
            ram.r_addr.eq(Cat(self.r_index, Mux(reading, p.row_passes, 0) + self.r_row)),
            self.r_data.eq(ram.r_data),
            self.slot.valid.eq(Array(full)[reading]),
            Value.cast(self.slot.payload).eq(Mux(reading, Value.cast(held[1]), Value.cast(held[0]))),
        ]
        with m.If(self.slot.valid & self.slot.ready):
            m.d.sync += [Array(full)[reading].eq(0), reading.eq(~reading)]
        with m.If(self.vectors.valid & ~Array(full)[filling]):
            m.d.sync += row.eq(Mux(row == p.row_passes - 1, 0, row + 1))
        with m.If(whole):
            m.d.sync += [level.count.eq(level.count + room), level.surplus.eq(level.surplus | ~room)]
            with m.If(beat.last):
                m.d.sync += [Array(full)[filling].eq(1), filling.eq(~filling), Value.cast(level).eq(0)]
                for half in range(2):
                    with m.If(filling == half):
                        m.d.sync += [held[half].count.eq(level.count + room),
                                     held[half].surplus.eq(level.surplus | ~room)]
        return m
