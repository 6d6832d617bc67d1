# SPDX-License-Identifier: Apache-2.0
"""Sec: softmax rows and k -> the offsets of the tokens that stay: the semantic concentrator of one layer.

Model: `golden/sec/sec.py`.  Test: `verif/sec/test_sec.py`.
"""

from amaranth import Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from focus_rtl.hdl.sec import layouts
from focus_rtl.hdl.sec.bubble import Bubble
from focus_rtl.hdl.sec.importance import Importance
from focus_rtl.hdl.sec.offset_encoder import OffsetEncoder
from focus_rtl.hdl.sec.radix import Radix
from focus_rtl.hdl.sec.sorter import Sorter
from focus_rtl.hdl.unit import Unit, place

__all__ = ["SORTERS", "Sec"]

SORTERS: dict[str, type[Sorter]] = {"radix": Radix, "bubble": Bubble}
"""`top_k` -> what finds the k largest; all give the same masks."""


class Sec(Unit):
    """Importance, then top-k, then the offset encoder; one order at a time.

    An order says how many tokens are present, how many of them stay (k, which software computes), and how many sweeps
    of scores will come.  With `pruned` the tokens present are those that an earlier order left: its `offsets`, without
    `last`, are this order's `previous`, and scores come for these tokens only.  Text tokens have no part in this.

    A count that is 0 or beyond `tokens_max`, or k above `tokens`, ends the order at once with the error `ORDER`;
    nothing is taken from the other streams.

    Throughput: scores as `Importance`, then the sorter's passes, in the last of which the encoder takes one token
    present per cycle.  Latency, with `radix` and without `pruned`: about 15 ceil(tokens / lanes) + tokens cycles from
    the last beat of scores to the last offset.

    Parameters
    ----------
    tokens_max, lanes, memories : as `Importance`.  top_k : `radix` or `bubble`.  offset_bits : as `OffsetEncoder`.
    counter_bits : width of the counters of `status`.

    Members
    -------
    orders : In(stream of `layouts.sec_order`).  scores : In(stream of `layouts.scores`).
    previous : In(stream of `layouts.offsets`), as many tokens' as are present; with `pruned` only.
    offsets : Out(stream of `layouts.offset_beat`), k tokens' and their escapes, `last` on the last one.
    status : Out(stream of `layouts.status`), one per order, after everything else.
    """

    def __init__(self, tokens_max: int = 12800, lanes: int = 32, top_k: str = "radix", offset_bits: int = 8,
                 memories: str = "inferred", counter_bits: int = 32) -> None:
        if top_k not in SORTERS:
            raise ValueError(f"top_k = {top_k!r} of Sec: must be one of {', '.join(SORTERS)}")
        self.tokens_max, self.lanes, self.offset_bits = tokens_max, lanes, offset_bits
        self._importance = Importance(tokens_max, lanes, memories)
        self._sorter = SORTERS[top_k](tokens_max, lanes)
        self._encoder = OffsetEncoder(tokens_max, lanes, offset_bits)
        super().__init__({
            "orders": In(stream.Signature(layouts.sec_order(tokens_max))),
            "scores": In(stream.Signature(layouts.scores(lanes))),
            "previous": In(stream.Signature(layouts.offsets(offset_bits))),
            "offsets": Out(stream.Signature(layouts.offset_beat(offset_bits))),
            "status": Out(stream.Signature(layouts.status(tokens_max, counter_bits))),
        }, tokens_max=tokens_max, lanes=lanes, top_k=top_k, offset_bits=offset_bits, memories=memories,
           counter_bits=counter_bits)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        store = place(m, "importance", self._importance)
        sorter = place(m, "sorter", self._sorter)
        encoder = place(m, "encoder", self._encoder)
        order = Signal(layouts.sec_order(self.tokens_max))
        connect(m, flipped(self.scores), store.scores)
        connect(m, sorter.masks, encoder.masks)
        connect(m, flipped(self.previous), encoder.previous)
        connect(m, encoder.offsets, flipped(self.offsets))
        m.d.comb += [
            store.r_en.eq(sorter.r_en), store.r_word.eq(sorter.r_word), sorter.r_data.eq(store.r_data),
            store.release.eq(sorter.orders.ready),
            *(getattr(part.orders.payload, name).eq(getattr(order, name)) for part, names in (
                (store, ("tokens", "sweeps", "spatial")), (sorter, ("tokens", "k")),
                (encoder, ("tokens", "k", "pruned"))) for name in names),
        ]
        self._run(m, order, store, sorter, encoder)
        return m

    def _run(self, m: Module, order: Value, store: Unit, sorter: Unit, encoder: Unit) -> None:
        """Fill the store, select and encode, tell how it ended."""
        report = self.status.payload
        new = self.orders.payload
        bad = ((new.tokens == 0) | (new.tokens > self.tokens_max) | (new.k == 0) | (new.k > new.tokens)
               | (new.sweeps == 0))
        with m.If(self.offsets.valid & self.offsets.ready):
            m.d.sync += report.symbols.eq(report.symbols + 1)
        with m.FSM() as fsm:
            with m.State("idle"):
                m.d.comb += self.orders.ready.eq(1)
                m.d.sync += [order.eq(new), report.error.eq(layouts.ERRORS["OK"]), report.symbols.eq(0),
                             *(report[phase].eq(0) for phase in layouts.PHASES)]
                with m.If(self.orders.valid):
                    m.next = "importance"
                    with m.If(bad):
                        m.d.sync += report.error.eq(layouts.ERRORS["ORDER"])
                        m.next = "tell"
            working = zip(layouts.PHASES, (store, sorter, encoder), (*list(layouts.PHASES)[1:], "tell"), strict=True)
            for phase, unit, following in working:
                with m.State(phase):
                    m.d.sync += report[phase].eq(report[phase] + 1)
                    with m.If(unit.orders.ready):
                        m.next = following
            with m.State("tell"):
                m.d.comb += self.status.valid.eq(1)
                with m.If(self.status.ready):
                    m.next = "idle"
        m.d.comb += [
            store.orders.valid.eq(fsm.ongoing("importance")), sorter.orders.valid.eq(fsm.ongoing("top_k")),
            encoder.orders.valid.eq(fsm.ongoing("top_k") | fsm.ongoing("offsets")),
        ]
