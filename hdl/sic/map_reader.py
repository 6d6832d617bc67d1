# SPDX-License-Identifier: Apache-2.0
"""MapReader: scatter orders in -> one entry per token for each lane."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.sic.scatter_lane import entry_layout
from focus_rtl.hdl.unit import Unit

__all__ = ["MapReader"]


class MapReader(Unit):
    """Reads the order's map word by word, or counts where it has none, and spreads it over the lanes.

    A word is asked for only when every lane has room.  The first column group of a last slice waits for a free output
    tile.  Latency 2 cycles, throughput S entries per cycle.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    orders : In(stream of `layouts.scatter_order`); `base` : In, place of its first psum in the ring, modulo 4 m.
    map_full, map_release, r_en, r_word, r_data : to the map buffer.
    tile : In(stream of 1), its transfer takes a free output tile.
    room : In(1), every lane has room.  push : Out(1), entries : Out, one each lane.
    bad_index : Out(1), pulse: an index is not below the slice's count, and was replaced by 0.
    wait_tile : Out(1), nothing is read for want of an output tile.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        self.words = p.m_tile // p.scatter_lanes
        super().__init__({
            "orders": In(stream.Signature(layouts.scatter_order(p))), "base": In(p.index_bits + 2),
            "map_full": In(1), "map_release": Out(1),
            "r_en": Out(1), "r_word": Out(range(self.words)), "r_data": In(p.scatter_lanes * p.index_bits),
            "tile": In(stream.Signature(1)),
            "room": In(1), "push": Out(1), "entries": Out(data.ArrayLayout(entry_layout(p), p.scatter_lanes)),
            "bad_index": Out(1), "wait_tile": Out(1),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        order = self.orders.payload
        lanes_log = (p.scatter_lanes - 1).bit_length()
        word = Signal(range(self.words))
        last_word = word == (order.tokens - 1)[lanes_log:p.count_bits]
        opens = order.last & (order.col == 0) & (word == 0)
        able, issue = Signal(), Signal()
        without = order.dense | (order.count == 0)
        m.d.comb += [
            able.eq(self.orders.valid & self.room & (without | self.map_full)),
            issue.eq(able & (~opens | self.tile.valid)),
            self.tile.ready.eq(able & opens),
            self.wait_tile.eq(able & opens & ~self.tile.valid),
            self.r_en.eq(issue & ~without), self.r_word.eq(word),
            self.orders.ready.eq(issue & last_word),
            self.map_release.eq(issue & last_word & order.map_done & ~without),
        ]
        with m.If(issue):
            m.d.sync += word.eq(Mux(last_word, 0, word + 1))
        self._spread(m, issue, word, last_word)
        return m

    def _spread(self, m: Module, issue: Signal, word: Signal, last_word: Value) -> None:
        """A cycle later, when the word is here: index, checked, and everything else the lanes need, into a register."""
        p = self.p
        order, here = Signal.like(self.orders.payload), Signal()
        base, asked, final = Signal.like(self.base), Signal.like(word), Signal()
        m.d.sync += [here.eq(issue), Value.cast(order).eq(Value.cast(self.orders.payload)), base.eq(self.base),
                     asked.eq(word), final.eq(last_word), self.push.eq(here)]
        wrong, nothing = [], order.count == 0
        for lane in range(p.scatter_lanes):
            token = Cat(Const(lane, (p.scatter_lanes - 1).bit_length()), asked)
            index = Mux(order.dense, token, self.r_data.word_select(lane, p.index_bits))
            void = token >= order.tokens
            wrong.append(here & ~void & ~nothing & (index >= order.count))
            entry = self.entries[lane]
            m.d.sync += [
                entry.place.eq(Mux(index >= order.count, base, base + index)), entry.tag.eq(order.tag),
                entry.nothing.eq(nothing), entry.word.eq(asked), entry.col.eq(order.col), entry.first.eq(order.first),
                entry.preload.eq(order.first & order.preload), entry.leave.eq(order.last), entry.void.eq(void),
                entry.final.eq(final), entry.tile_done.eq(order.tile_done),
            ]
        m.d.sync += self.bad_index.eq(Cat(wrong).any())
