# SPDX-License-Identifier: Apache-2.0
"""MapBuffer: similarity maps in -> two maps on chip, replayed for every column pass."""

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.unit import Unit, place

__all__ = ["MapBuffer"]


class MapBuffer(Unit):
    """Two slots of m indices, S a word; one is read while the other is filled.

    For each tile order it takes `vectors * slices` maps of ceil(tokens / S) words, none where the order is `dense`.
    One word per cycle in, one per cycle out, data one cycle after the address.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    tiles : In(stream of `layouts.tile_order`).  maps : In(stream of `layouts.maps`).
    slices : In(stream of 1), per slice: it has no vectors, hence no map.
    full : Out(1), the oldest map is complete.  release : In(1), frees it.
    r_en, r_word : In, read request within the oldest map.  r_data : Out(S indices), in the cycle after.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        self.words = p.m_tile // p.scatter_lanes
        super().__init__({
            "tiles": In(stream.Signature(layouts.tile_order(p))),
            "maps": In(stream.Signature(layouts.maps(p))), "slices": In(stream.Signature(1)),
            "full": Out(1), "release": In(1),
            "r_en": In(1), "r_word": In(range(self.words)), "r_data": Out(p.scatter_lanes * p.index_bits),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        ram = place(m, "ram", Ram(p.scatter_lanes * p.index_bits, 2 * self.words, p.memories))
        tile = self.tiles.payload
        full = [Signal(name=f"full{half}") for half in range(2)]
        filling, reading = Signal(), Signal()
        word = Signal(range(self.words))
        piece, vector = Signal.like(tile.slices, init=1), Signal.like(tile.vectors, init=1)  # from 1, to be compared
        lanes_log = (p.scatter_lanes - 1).bit_length()
        last_word = word == (tile.tokens - 1)[lanes_log:p.count_bits]
        last_map = (piece == tile.slices) & (vector == tile.vectors)
        present, without, taken, through = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            present.eq(self.tiles.valid & self.slices.valid), without.eq(tile.dense | self.slices.payload),
            self.maps.ready.eq(present & ~without & ~Array(full)[filling]),
            taken.eq(self.maps.valid & self.maps.ready),
            through.eq((present & without) | (taken & last_word)),
            self.slices.ready.eq(through), self.tiles.ready.eq(through & last_map),
            ram.w_en.eq(taken), ram.w_addr.eq(Cat(word, filling)),
            ram.w_data.eq(Value.cast(self.maps.payload)),
            ram.r_en.eq(self.r_en), ram.r_addr.eq(Cat(self.r_word, reading)), self.r_data.eq(ram.r_data),
            self.full.eq(Array(full)[reading]),
        ]
        with m.If(self.release):
            m.d.sync += [Array(full)[reading].eq(0), reading.eq(~reading)]
        with m.If(taken):
            m.d.sync += word.eq(Mux(last_word, 0, word + 1))
            with m.If(last_word):
                m.d.sync += [Array(full)[filling].eq(1), filling.eq(~filling)]
        with m.If(through):
            m.d.sync += piece.eq(Mux(piece == tile.slices, 1, piece + 1))
            with m.If(piece == tile.slices):
                m.d.sync += vector.eq(Mux(last_map, 1, vector + 1))
        return m
