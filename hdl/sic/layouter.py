# SPDX-License-Identifier: Apache-2.0
"""Layouter: a token's vector and position -> the vectors of its window, and which of them count.

Model: `golden/sic/layouter.py`.  Test: `verif/sic/test_layouter.py`.
"""

import itertools

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import position, vector_elements
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.sic.window import (
    bank_depth,
    behind,
    code_bits,
    code_of,
    offset_of,
    place_layout,
    rotate,
    spot_of,
)
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Layouter"]

_WORD = 32
"""Valid bits are kept in words of this many, so that no signal grows with the grid."""


class Layouter(Unit):
    """A bank for every position of the window, by the rests of frame, row and column: one vector written and its whole
    window read per cycle.

    In a cycle with `en`, the position's neighbours are read and the vector is written to its own bank, the only one
    that is not read: no address is read and written in one cycle.  The next token, one cycle later, sees it.  One
    cycle after `en`, and until the next, `banks` holds the vectors and `visible` says which of them are candidates:
    bit (df*bh + dr)*bw + dc for the neighbour (frame - df, row - dr, column - dc), in the bank that `behind` gives
    for `place`.  Visible is what was written since `clear` by exactly that position with `live`, and is enabled.

    A position with image = 0 or outside `height` x `width` is neither written nor sees anything (`entered` = 0).

    Latency 1 cycle, throughput one token per cycle.

    Members
    -------
    clear : In(1).  Forgets every entry; not together with `en`.
    en : In(1).  A token: `position`, `vector`, and `live`: if 0, it hides what it overwrites but is never visible.
    height, width : In.  Sides of the grid, within the configuration.
    enabled : In(candidates).  Bit i enables candidate i, number i + 1 of `visible`.
    banks : Out(V elements), one for each position of the window.
    visible : Out(positions of the window).  Bit 0, the key itself, is 0.
    entered : Out(1).  The token was written.
    place : Out(place_layout).  Where.
    """

    latency = 1

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({
            "clear": In(1), "en": In(1), "position": In(position(p)), "vector": In(vector_elements(p)), "live": In(1),
            "height": In(bits_for(p.grid_max[1])), "width": In(bits_for(p.grid_max[2])), "enabled": In(p.candidates),
            "banks": Out(vector_elements(p)).array(p.window), "visible": Out(p.window), "entered": Out(1),
            "place": Out(place_layout(p)),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        spot = spot_of(m, p, self.position)
        enter = Signal()
        m.d.comb += enter.eq(self.en & self.position.image & (self.position.row < self.height)
                             & (self.position.column < self.width))
        with m.If(self.en):
            m.d.sync += [self.entered.eq(enter), self.place.eq(spot)]
        reach, reach_s1 = Signal(p.window), Signal(p.window)
        m.d.comb += reach.eq(self._reach())
        frame_s1 = Signal.like(self.position.frame)
        with m.If(self.en):
            m.d.sync += [reach_s1.eq(Mux(enter, reach, 0)), frame_s1.eq(self.position.frame)]
        asked = rotate(p.block, list(reach), spot.rest)
        hits = [self._bank(m, bank, enter, spot, asked[bank], frame_s1) for bank in range(p.window)]
        m.d.comb += self.visible.eq(Cat(rotate(p.block, hits, self.place.rest)) & reach_s1)
        return m

    def _reach(self) -> Value:
        """By candidate: enabled, and not beyond the grid's first frame, row or column."""
        position, reach = self.position, []
        for number, (df, dr, dc) in enumerate(itertools.product(*(range(side) for side in self.p.block))):
            inside = [axis >= back for axis, back in ((position.frame, df), (position.row, dr), (position.column, dc))
                      if back]
            reach.append(self.enabled[number - 1] & Cat(inside).all() if number else Const(0, 1))
        return Cat(reach)

    def _bank(self, m: Module, bank: int, enter: Value, spot: Value, asked: Value, frame_s1: Value) -> Value:
        """One bank; returns, one cycle after the read, whether it holds what the window wants of it."""
        frame_bits, code = len(frame_s1), code_of(self.p.block, bank)
        words = place(m, f"bank{bank}", Ram(self.p.vector * self.p.element_bits + frame_bits, bank_depth(self.p),
                                            self.p.memories))
        offset = Signal(bits_for(bank_depth(self.p) - 1), name=f"offset{bank}")
        write = Signal(name=f"write{bank}")
        m.d.comb += [
            offset.eq(offset_of(self.p, spot, code)), write.eq(enter & (spot.rest == code)),
            words.w_en.eq(write), words.w_addr.eq(offset),
            words.w_data.eq(Cat(Value.cast(self.vector), self.position.frame)),
            words.r_en.eq(enter & asked), words.r_addr.eq(offset),
            Value.cast(self.banks[bank]).eq(words.r_data[:-frame_bits]),
        ]
        wanted = Signal(frame_bits, name=f"wanted{bank}")
        spatial = code_bits(self.p.block[1:])
        frames_back = behind(self.p.block[:1], self.place.rest[spatial:], code >> spatial)
        m.d.comb += wanted.eq(frame_s1 - frames_back)
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
