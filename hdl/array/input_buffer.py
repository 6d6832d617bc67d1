# SPDX-License-Identifier: Apache-2.0
"""InputBuffer: vectors of k-slices in -> a ring of slices on chip, the oldest being read while others arrive."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, connect, flipped

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.stream.fifo import Fifo
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.hdl.unit import Unit, place

__all__ = ["SLICES", "InputBuffer", "slot_layout"]

SLICES = 8
"""Complete slices that it may hold."""


def slot_layout(p: Parameters) -> data.StructLayout:
    """A complete slice: how many vectors it holds; `surplus`: more than m came, the rest was dropped."""
    return data.StructLayout({"count": p.count_bits, "surplus": 1})


class InputBuffer(Unit):
    """A ring of 2 m vectors, R elements a word, so that a row pass reads one word per vector.

    A slice takes up what it needs, and is offered on `slot` once its vector marked `last` is in; taking the offer frees
    its place.  A beat marked `void` at the beginning of a slice is a slice without vectors, whatever its `last` says;
    later in a slice the mark means nothing.  The first beat of a slice is announced on `opened`; there is room for
    2 SLICES announcements that nobody has taken.

    Writing takes V/R cycles per vector; reading one cycle per word, data one cycle after the address.  A slice is on
    offer three cycles after its last word.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    vectors : In(stream of `layouts.slice_beat`).
    opened : Out(stream of 1), per slice: it has no vectors.
    slot : Out(stream of `slot_layout`), the oldest complete slice; its transfer frees the slice.
    r_en, r_row, r_index : In, read request within the offered slice: row pass, vector.
    r_data : Out(R elements), in the cycle after the request; stands until the next.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({
            "vectors": In(stream.Signature(layouts.slice_beat(p))),
            "opened": Out(stream.Signature(1)),
            "slot": Out(stream.Signature(slot_layout(p))),
            "r_en": In(1), "r_row": In(range(p.row_passes)), "r_index": In(p.index_bits),
            "r_data": Out(p.rows * p.element_bits),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        bits = p.rows * p.element_bits
        ram = place(m, "ram", Ram(bits, 2 * p.row_passes * p.m_tile, p.memories))
        slots = place(m, "slots", Fifo(slot_layout(p), SLICES, p.memories))
        announced = place(m, "announced", Fifo(1, 2 * SLICES, p.memories))
        head, tail = Signal(p.index_bits + 1), Signal(p.index_bits + 1)  # the slice on offer, the vector that comes
        row = Signal(range(p.row_passes))
        store, step = self._take(m, row, slots, announced)
        m.d.comb += [
            ram.w_en.eq(store), ram.w_addr.eq(Cat(tail, row)),
            ram.w_data.eq(Value.cast(self.vectors.payload.data).word_select(row, bits)),
            ram.r_en.eq(self.r_en), ram.r_addr.eq(Cat((head + self.r_index)[:len(head)], self.r_row)),
            self.r_data.eq(ram.r_data),
        ]
        with m.If(step):
            m.d.sync += tail.eq(tail + 1)
        with m.If(self.slot.valid & self.slot.ready):
            m.d.sync += head.eq(head + self.slot.payload.count)
        skid = place(m, "slot_skid", Skid(slot_layout(p)))  # whoever takes a slot decides late
        connect(m, slots.o, skid.i)
        connect(m, skid.o, flipped(self.slot))
        connect(m, announced.o, flipped(self.opened))
        return m

    def _take(self, m: Module, row: Signal, slots: Fifo, announced: Fifo) -> tuple[Value, Signal]:
        """Word by word; returns whether a word is to be written, and whether it completes a vector."""
        p = self.p
        beat = self.vectors.payload
        held, count, surplus = Signal(range(2 * p.m_tile + 1)), Signal(p.count_bits), Signal()
        begins = (count == 0) & (row == 0)
        void, room = begins & beat.void, count != p.m_tile
        wanted, last_row = ~void & room, row == p.row_passes - 1
        able, word, whole, step = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            able.eq(slots.i.ready & (announced.i.ready | ~begins) & (~wanted | (held != 2 * p.m_tile))),
            self.vectors.ready.eq(able & (last_row | void)),
            word.eq(self.vectors.valid & able), whole.eq(word & (last_row | void)), step.eq(whole & wanted),
            announced.i.valid.eq(word & begins), announced.i.payload.eq(void),
            slots.i.valid.eq(whole & (beat.last | void)),
            slots.i.payload.count.eq(count + wanted), slots.i.payload.surplus.eq(surplus | ~room),
        ]
        freed, count_freed = Signal(), Signal(p.count_bits, reset_less=True)
        m.d.sync += [freed.eq(self.slot.valid & self.slot.ready), count_freed.eq(self.slot.payload.count),
                     held.eq(held + step - Mux(freed, count_freed, 0))]
        with m.If(word):
            m.d.sync += row.eq(Mux(last_row | void, 0, row + 1))
        with m.If(whole):
            m.d.sync += [count.eq(count + wanted), surplus.eq(surplus | ~room)]
        with m.If(slots.i.valid):
            m.d.sync += [count.eq(0), surplus.eq(0)]
        return word & wanted, step
