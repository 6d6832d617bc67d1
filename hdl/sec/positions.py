# SPDX-License-Identifier: Apache-2.0
"""Positions: where the tokens of a tile come from, told once or as offsets -> one position per token and output vector.

Model: `golden/sec/places.py`.  Test: `verif/sec/test_positions.py`.
"""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.sec.layouts import offset_beat
from focus_rtl.hdl.sec.offset_decoder import OffsetDecoder
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Positions"]


class Positions(Unit):
    """Gather's positions: those of `direct`, or, in a job that says `decoded`, decoded from its `retained` offsets.

    Offsets come once per job, and gather needs a tile's positions once per output vector: a ring of m positions is
    filled by the decoder and replayed.  While the last output vector goes by, each entry is free again as soon as it
    has been read, so that the next tile's positions come in behind it.  A tile of `text` has no offsets: its tokens
    get image = 0, as tokens without an offset do.

    The offsets of a job end with `last`.  With the first image tile of a job they begin to be taken, behind its last
    tile they are taken and dropped until `last` has come: `busy` is high until then.

    Throughput one position per cycle; latency 2 cycles from `direct`, and 5 from an offset within a row.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    tiles : In(stream of `layouts.place_order`), taken with the tile's last position.
    direct : In(stream of `layouts.position`), tokens * vectors per tile; not looked at where `decoded`.
    retained : In(stream of `offset_beat`), one packet per job with `decoded` and an image tile.
    positions : Out(stream of `layouts.position`).
    busy : Out(1).  The job's offsets have not ended yet, although its tiles have.
    bad_offset : Out(1), pulses: fewer offsets than tokens, more of them, or a token behind the last frame.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({
            "tiles": In(stream.Signature(layouts.place_order(p))),
            "direct": In(stream.Signature(layouts.position(p))),
            "retained": In(stream.Signature(offset_beat(p.offset_bits))),
            "positions": Out(stream.Signature(layouts.position(p))), "busy": Out(1), "bad_offset": Out(1),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        ring = place(m, "ring", Ram(layouts.position(p).size, p.m_tile, p.memories))
        decoder = place(m, "decoder", OffsetDecoder(p.sec_tokens_max, p.offset_bits, *p.grid_max))
        connect(m, flipped(self.retained), decoder.offsets)
        begun, ended, closing = Signal(), Signal(), Signal()  # of the job's offsets; closing: behind its last tile
        base, held = Signal(p.index_bits), Signal(p.count_bits)  # the ring's oldest position, and how many it holds
        write, release = Signal(), Signal()
        over = ended & ~decoder.positions.valid  # no further position will come to the ring
        m.d.comb += [
            write.eq(decoder.positions.valid & (held != p.m_tile) & ~closing),
            decoder.positions.ready.eq((held != p.m_tile) | closing),
            ring.w_en.eq(write), ring.w_addr.eq(base + held), ring.w_data.eq(Value.cast(decoder.positions.payload)),
            decoder.orders.valid.eq(begun & ~ended), self.busy.eq(closing),
        ]
        m.d.sync += [base.eq(base + release), held.eq(Mux(closing, 0, held + write - release))]
        missing, done = self._walk(m, ring, base, held, over, closing, release)
        image = self.tiles.valid & self.tiles.payload.decoded & ~self.tiles.payload.text
        with m.If(image & ~begun & ~closing):
            m.d.sync += [begun.eq(1), *(decoder.orders.payload[name].eq(self.tiles.payload[name])
                                        for name in decoder.orders.payload.shape().members)]
        with m.If(decoder.orders.ready):
            m.d.sync += ended.eq(1)
        with m.If(done & self.tiles.payload.last & begun):
            m.d.sync += closing.eq(1)
        with m.If(closing & over):
            m.d.sync += [closing.eq(0), begun.eq(0), ended.eq(0)]
        left_over = closing & ((held != 0) | decoder.positions.valid)
        m.d.comb += self.bad_offset.eq(missing | left_over | decoder.beyond)
        return m

    def _walk(self, m: Module, ring: Ram, base: Value, held: Value, over: Value, closing: Value,
              release: Signal) -> tuple[Value, Value]:
        """A tile's tokens, once per output vector; returns whether a token has no offset, and whether a tile ends."""
        tile = self.tiles.payload
        token, vector = Signal.like(tile.tokens), Signal.like(tile.vectors, init=1)
        last_token, last_vector = token + 1 == tile.tokens, vector == tile.vectors
        here, free, step = Signal(), Signal(), Signal()  # `here`: a position is on offer
        skid = place(m, "skid", Skid(layouts.position(self.p)))  # gather decides late
        connect(m, skid.o, flipped(self.positions))
        image, kept, stored = tile.decoded & ~tile.text, Signal(), Signal()
        given = Signal(layouts.position(self.p))
        # Entries before the token's are gone on the last pass: then it is the oldest.
        there, place_ = Mux(last_vector, held != 0, token < held), Mux(last_vector, base, base + token)
        m.d.comb += [
            kept.eq(image & there), free.eq(self.tiles.valid & ~closing & (~here | skid.i.ready)),
            step.eq(free & Mux(tile.decoded, tile.text | kept | over, self.direct.valid)),
            self.direct.ready.eq(free & ~tile.decoded),
            ring.r_en.eq(step & kept), ring.r_addr.eq(place_), release.eq(step & kept & last_vector),
            self.tiles.ready.eq(step & last_token & last_vector),
            skid.i.valid.eq(here),
            Value.cast(skid.i.payload).eq(Mux(stored, ring.r_data, Value.cast(given))),
        ]
        with m.If(step):
            m.d.sync += [here.eq(1), stored.eq(kept), token.eq(Mux(last_token, 0, token + 1)),
                         Value.cast(given).eq(Mux(tile.decoded, 0, Value.cast(self.direct.payload)))]
            with m.If(last_token):
                m.d.sync += vector.eq(Mux(last_vector, 1, vector + 1))
        with m.Elif(skid.i.ready):
            m.d.sync += here.eq(0)
        return step & image & ~kept, Cat(step, last_token, last_vector).all()
