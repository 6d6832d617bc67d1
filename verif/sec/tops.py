# SPDX-License-Identifier: Apache-2.0
"""Units of the semantic concentrator joined as `hdl/sec/sec.py` joins them, for the tests of a part of it."""

from amaranth import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from focus_rtl.hdl.layouts import grid_position
from focus_rtl.hdl.sec import layouts
from focus_rtl.hdl.sec.importance import Importance
from focus_rtl.hdl.sec.offset_decoder import OffsetDecoder
from focus_rtl.hdl.sec.offset_encoder import OffsetEncoder
from focus_rtl.hdl.sec.sec import SORTERS
from focus_rtl.hdl.unit import Unit, place

__all__ = ["OffsetPair", "StoredSorter"]


class StoredSorter(Unit):
    """Scores in, masks out: importance and a sorter, without the encoder.

    Members
    -------
    fills, scores : `orders` and `scores` of `Importance`.  orders, masks : of the sorter.  full : Out(1).
    """

    def __init__(self, top_k: str, tokens_max: int, lanes: int) -> None:
        self.tokens_max, self.lanes, self.top_k = tokens_max, lanes, top_k
        super().__init__({
            "fills": In(stream.Signature(layouts.fill_order(tokens_max))),
            "scores": In(stream.Signature(layouts.scores(lanes))),
            "orders": In(stream.Signature(layouts.select_order(tokens_max))),
            "masks": Out(stream.Signature(layouts.mask_beat(lanes))), "full": Out(1),
        }, top_k=top_k, tokens_max=tokens_max, lanes=lanes)

    def elaborate(self, platform: object) -> Module:
        """The sorter's order waits until the scores are there."""
        m = Module()
        store = place(m, "store", Importance(self.tokens_max, self.lanes))
        sorter = place(m, "sorter", SORTERS[self.top_k](self.tokens_max, self.lanes))
        connect(m, flipped(self.fills), store.orders)
        connect(m, flipped(self.scores), store.scores)
        connect(m, sorter.masks, flipped(self.masks))
        m.d.comb += [
            store.r_en.eq(sorter.r_en), store.r_word.eq(sorter.r_word), sorter.r_data.eq(store.r_data),
            store.release.eq(sorter.orders.ready), self.full.eq(store.full),
            sorter.orders.payload.eq(self.orders.payload), sorter.orders.valid.eq(self.orders.valid & store.full),
            self.orders.ready.eq(sorter.orders.ready),
        ]
        return m


class OffsetPair(Unit):
    """Encoder and decoder, each with streams of its own; `offsets` of the one are not joined to the other's.

    Members
    -------
    orders, masks, previous, offsets : of `OffsetEncoder`.
    decodes, symbols, positions, beyond : `orders`, `offsets`, `positions` and `beyond` of `OffsetDecoder`.
    """

    def __init__(self, tokens_max: int, lanes: int, offset_bits: int, grid_max: tuple[int, int, int]) -> None:
        self.encoder = OffsetEncoder(tokens_max, lanes, offset_bits)
        self.decoder = OffsetDecoder(tokens_max, offset_bits, *grid_max)
        super().__init__({
            "orders": In(stream.Signature(layouts.encode_order(tokens_max))),
            "masks": In(stream.Signature(layouts.mask_beat(lanes))),
            "previous": In(stream.Signature(layouts.offsets(offset_bits))),
            "offsets": Out(stream.Signature(layouts.offset_beat(offset_bits))),
            "decodes": In(stream.Signature(layouts.decode_order(tokens_max, grid_max))),
            "symbols": In(stream.Signature(layouts.offset_beat(offset_bits))),
            "positions": Out(stream.Signature(grid_position(grid_max))), "beyond": Out(1),
        }, tokens_max=tokens_max, lanes=lanes, offset_bits=offset_bits, grid_max=grid_max)

    def elaborate(self, platform: object) -> Module:
        """Side by side."""
        m = Module()
        encoder, decoder = place(m, "encoder", self.encoder), place(m, "decoder", self.decoder)
        for name in ("orders", "masks", "previous"):
            connect(m, flipped(getattr(self, name)), getattr(encoder, name))
        connect(m, encoder.offsets, flipped(self.offsets))
        connect(m, flipped(self.decodes), decoder.orders)
        connect(m, flipped(self.symbols), decoder.offsets)
        connect(m, decoder.positions, flipped(self.positions))
        m.d.comb += self.beyond.eq(decoder.beyond)
        return m
