# SPDX-License-Identifier: Apache-2.0
"""OffsetEncoder: which tokens stay -> their distances, in a narrow field with an escape.

Model: `golden/sec/offsets.py`.  Test: `verif/sec/test_offsets.py`.
"""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from focus_rtl.hdl.sec import layouts
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.hdl.unit import Unit, place

__all__ = ["OffsetEncoder"]


class OffsetEncoder(Unit):
    """Masks over the tokens present in, offsets between those that stay out; both in terms of the original tokens.

    With `reach` = 2**offset_bits - 1, an offset 1 .. reach is a token that stays, that far from the one before it (the
    first one's from token -1); 0 is the escape, which adds `reach` and is no token.

    With `pruned`, tokens are missing already: `previous` says, encoded the same way, how far each present token is from
    the present one before.  Without, every distance is 1 and nothing is taken from `previous`.

    Throughput: one token present per cycle (with `pruned` one offset of `previous`), and a cycle more for a token whose
    distance needs an escape that is not yet sent.  Latency 2 cycles from a token to its offset.  An order is taken when
    its last offset is; one of k = 0 sends nothing.

    Parameters
    ----------
    tokens_max, lanes : as `Importance`.  offset_bits : width of an offset, 1 .. 16.

    Members
    -------
    orders : In(stream of `layouts.encode_order`); k of the masks' bits are set.
    masks : In(stream of `layouts.mask_beat`), ceil(tokens / lanes) words; bits beyond `tokens` are ignored.
    previous : In(stream of `layouts.offsets`).
    offsets : Out(stream of `layouts.offset_beat`), `last` on the k-th token's.
    """

    latency = 2

    def __init__(self, tokens_max: int = 12800, lanes: int = 32, offset_bits: int = 8) -> None:
        layouts.check_lanes("OffsetEncoder", tokens_max, lanes)
        layouts.check_offset_bits("OffsetEncoder", offset_bits)
        self.tokens_max, self.lanes, self.offset_bits = tokens_max, lanes, offset_bits
        super().__init__({
            "orders": In(stream.Signature(layouts.encode_order(tokens_max))),
            "masks": In(stream.Signature(layouts.mask_beat(lanes))),
            "previous": In(stream.Signature(layouts.offsets(offset_bits))),
            "offsets": Out(stream.Signature(layouts.offset_beat(offset_bits))),
        }, tokens_max=tokens_max, lanes=lanes, offset_bits=offset_bits)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        order = self.orders.payload
        skid = place(m, "skid", Skid(self.offsets.payload.shape()))
        connect(m, skid.o, flipped(self.offsets))
        free = Signal()
        m.d.comb += free.eq(~skid.i.valid | skid.i.ready)
        seen, sent, lane, owed = Signal.like(order.tokens), Signal.like(order.k), Signal(range(self.lanes)), Signal()
        more = self.orders.valid & (seen != order.tokens)
        ready, token = Signal(), Signal()
        symbol = Mux(order.pruned, self.previous.payload.offset, 1)
        m.d.comb += [
            ready.eq(more & ~owed & free & self.masks.valid & (~order.pruned | self.previous.valid)),
            token.eq(ready & (symbol != 0)),
            self.previous.ready.eq(ready & order.pruned),
            self.masks.ready.eq(token & ((lane == self.lanes - 1) | (seen == order.tokens - 1))),
            self.orders.ready.eq(self.orders.valid & (seen == order.tokens) & ~owed & ~skid.i.valid & ~skid.o.valid),
        ]
        with m.If(self.orders.ready):
            m.d.sync += [seen.eq(0), sent.eq(0)]
        with m.If(token):
            m.d.sync += [seen.eq(seen + 1), lane.eq(Mux(self.masks.ready, 0, lane + 1))]
        stays = self.masks.payload.mask.bit_select(lane, 1)
        self._emit(m, order, skid.i, symbol, {"ready": ready, "token": token, "stays": stays, "sent": sent,
                                              "owed": owed, "free": free})
        return m

    def _emit(self, m: Module, order: Value, out: stream.Interface, symbol: Value, now: dict[str, Value]) -> None:
        """One symbol into the register `out`: an escape as soon as the distance is sure to need one, or a token's.

        `gap` is the distance so far, what was escaped taken off: 0 .. reach - 1, or, while it is `owed`, 1 .. reach.
        """
        reach = (1 << self.offset_bits) - 1
        gap = Signal(self.offset_bits)
        total = Signal(self.offset_bits + 1)
        wanted, stays, escape = Signal(), Signal(), Signal()
        m.d.comb += [
            total.eq(gap + Mux(symbol == 0, reach, symbol)), wanted.eq(now["sent"] != order.k),
            stays.eq(now["token"] & now["stays"]),
            escape.eq(now["ready"] & Mux(stays, total > reach, total >= reach)),
        ]
        with m.If(now["free"]):
            m.d.sync += [out.valid.eq(wanted & (escape | stays | now["owed"])), out.payload.offset.eq(0),
                         out.payload.last.eq(0)]
            with m.If(now["owed"] | (stays & ~escape)):
                m.d.sync += [now["owed"].eq(0), gap.eq(0), now["sent"].eq(now["sent"] + wanted),
                             out.payload.offset.eq(Mux(now["owed"], gap, total)),
                             out.payload.last.eq(now["sent"] == order.k - 1)]
            with m.Elif(now["ready"]):
                m.d.sync += [gap.eq(Mux(escape, total - reach, total)), now["owed"].eq(stays)]
        with m.If(self.orders.ready):
            m.d.sync += gap.eq(0)
