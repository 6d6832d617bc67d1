# SPDX-License-Identifier: Apache-2.0
"""Layouter: a token's vector and position -> the vectors of its 2 x 2 x 2 window, and which of them count.

Model: `golden/sic/layouter.py`.  Test: `verif/sic/test_layouter.py`.
"""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import position, vector_elements
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.unit import Unit, place

__all__ = ["BANKS", "Layouter", "bank_depth", "bank_of", "exchange", "offset_of", "place_layout"]

BANKS = 8
"""Banks, and positions of a window; number = frame, row, column parity, column low."""

_WORD = 32
"""Valid bits are kept in words of this many, so that no signal grows with the grid."""


def bank_depth(p: Parameters) -> int:
    """Entries of a bank: a quarter of the largest frame, sides rounded up."""
    _, height, width = p.grid_max
    return -(-height // 2) * -(-width // 2)


def place_layout(p: Parameters) -> StructLayout:
    """What is left of a position inside the grid: enough to find its entry and those of its neighbours."""
    return StructLayout({"column": bits_for(p.grid_max[2] - 1), "row": bits_for(p.grid_max[1] - 1), "frame": 1})


def bank_of(spot: Value) -> Value:
    """Bank of a `place_layout` view."""
    return Cat(spot.column[0], spot.row[0], spot.frame[0])


def offset_of(p: Parameters, spot: Value, row_parity: Value | int, column_parity: Value | int) -> Value:
    """Entry, in the banks of the given parities, of that position of `spot`'s window which lies in them.

    A neighbour's half coordinate is that of the key, or one less where the key is even and the neighbour odd, which is
    (x - 1) >> 1 for every odd neighbour.  The stride is that of the widest grid, so no multiplier is needed.
    """
    row, column = ((axis - (parity & 1))[:len(axis)] >> 1
                   for axis, parity in ((spot.row, Value.cast(row_parity)), (spot.column, Value.cast(column_parity))))
    return (row * -(-p.grid_max[2] // 2) + column)[:bits_for(bank_depth(p) - 1)]


def exchange(values: list[Value], key: Value) -> list[Value]:
    """The list with element i ^ key at place i; its own inverse.  The length is a power of two."""
    for bit in range((len(values) - 1).bit_length()):
        values = [Mux(key[bit], values[index ^ 1 << bit], value) for index, value in enumerate(values)]
    return values


class Layouter(Unit):
    """Eight banks by parity of frame, row and column: one vector written and its whole window read per cycle.

    In a cycle with `en`, the position's seven neighbours are read and the vector is written to its own bank, the only
    one that is not read: no address is read and written in one cycle.  The next token, one cycle later, sees it.  One
    cycle after `en`, and until the next, `banks` holds the vectors and `visible` says which of them are candidates:
    bit 4*df + 2*dr + dc for the neighbour (frame - df, row - dr, column - dc), in bank `bank_of(place) ^ bit`.
    Visible is what was written since `clear` by exactly that position with `live`, and is enabled.

    A position with image = 0 or outside `height` x `width` is neither written nor sees anything (`entered` = 0).

    Latency 1 cycle, throughput one token per cycle.

    Members
    -------
    clear : In(1).  Forgets every entry; not together with `en`.
    en : In(1).  A token: `position`, `vector`, and `live`: if 0, it hides what it overwrites but is never visible.
    height, width : In.  Sides of the grid, within the configuration.
    enabled : In(7).  Bit i enables candidate i, number i + 1 of `visible`.
    banks : Out(V elements), eight.
    visible : Out(8).  Bit 0, the key itself, is 0.
    entered : Out(1).  The token was written.
    place : Out(place_layout).  Where.
    """

    latency = 1

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({
            "clear": In(1), "en": In(1), "position": In(position(p)), "vector": In(vector_elements(p)), "live": In(1),
            "height": In(bits_for(p.grid_max[1])), "width": In(bits_for(p.grid_max[2])), "enabled": In(p.candidates),
            "banks": Out(vector_elements(p)).array(BANKS), "visible": Out(BANKS), "entered": Out(1),
            "place": Out(place_layout(p)),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spot = Signal(place_layout(self.p))
        enter = Signal()
        m.d.comb += [
            spot.column.eq(self.position.column), spot.row.eq(self.position.row), spot.frame.eq(self.position.frame),
            enter.eq(self.en & self.position.image & (self.position.row < self.height)
                     & (self.position.column < self.width)),
        ]
        with m.If(self.en):
            m.d.sync += [self.entered.eq(enter), self.place.eq(spot)]
        reach, reach_s1 = Signal(BANKS), Signal(BANKS)
        m.d.comb += reach.eq(self._reach())
        frame_s1 = Signal.like(self.position.frame)
        with m.If(self.en):
            m.d.sync += [reach_s1.eq(Mux(enter, reach, 0)), frame_s1.eq(self.position.frame)]
        asked = exchange(list(reach), bank_of(spot))
        hits = [self._bank(m, bank, enter, spot, asked[bank], frame_s1) for bank in range(BANKS)]
        m.d.comb += self.visible.eq(Cat(exchange(hits, bank_of(self.place))) & reach_s1)
        return m

    def _reach(self) -> Value:
        """By candidate: enabled, and not beyond the grid's first frame, row or column."""
        position = self.position
        edge = Cat(position.column == 0, position.row == 0, position.frame == 0)
        return Cat(0, *(self.enabled[number - 1] & ~(edge & number).any() for number in range(1, BANKS)))

    def _bank(self, m: Module, bank: int, enter: Value, spot: Value, asked: Value, frame_s1: Value) -> Value:
        """One bank; returns, one cycle after the read, whether it holds what the window wants of it."""
        frame_bits = len(frame_s1)
        words = place(m, f"bank{bank}", Ram(self.p.vector * self.p.element_bits + frame_bits, bank_depth(self.p),
                                            self.p.memories))
        offset = Signal(bits_for(bank_depth(self.p) - 1), name=f"offset{bank}")
        write = Signal(name=f"write{bank}")
        m.d.comb += [
            offset.eq(offset_of(self.p, spot, bank >> 1 & 1, bank & 1)),
            write.eq(enter & (bank_of(spot) == bank)),
            words.w_en.eq(write), words.w_addr.eq(offset),
            words.w_data.eq(Cat(Value.cast(self.vector), self.position.frame)),
            words.r_en.eq(enter & asked), words.r_addr.eq(offset),
            Value.cast(self.banks[bank]).eq(words.r_data[:-frame_bits]),
        ]
        wanted = Signal(frame_bits, name=f"wanted{bank}")
        m.d.comb += wanted.eq(frame_s1 - (frame_s1[0] ^ bank >> 2))
        return self._valid(m, bank, write, offset) & (words.r_data[-frame_bits:] == wanted)

    def _valid(self, m: Module, bank: int, write: Value, offset: Value) -> Value:
        """The bank's valid bits; returns the one at `offset`, a cycle after `en`."""
        split = _WORD.bit_length() - 1
        words = [Signal(min(_WORD, bank_depth(self.p) - base), name=f"valid{bank}_{base}")
                 for base in range(0, bank_depth(self.p), _WORD)]
        entry = Signal(_WORD, name=f"entry{bank}")
        m.d.comb += entry.eq(Const(1, 1) << offset[:split])
        for number, word in enumerate(words):
            with m.If(self.clear):
                m.d.sync += word.eq(0)
            with m.Elif(write & (offset[split:] == number)):
                m.d.sync += word.eq(Mux(self.live, word | entry, word & ~entry))
        chosen, valid_s1 = Signal(_WORD, name=f"chosen{bank}"), Signal(name=f"valid{bank}_s1")
        m.d.comb += chosen.eq(Array(words)[offset[split:]] if len(words) > 1 else words[0])
        with m.If(self.en):
            m.d.sync += valid_s1.eq(chosen.bit_select(offset[:split], 1))
        return valid_s1
