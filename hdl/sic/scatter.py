# SPDX-License-Identifier: Apache-2.0
"""Scatter: psums and maps in -> accumulated, rounded output columns.  Model: golden/sic/scatter.py."""

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.sic.map_reader import MapReader
from focus_rtl.hdl.sic.psum_store import PsumStore
from focus_rtl.hdl.sic.scatter_lane import ScatterLane
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Scatter"]


class Scatter(Unit):
    """acc[j] += psum[map[j]] for every token j of a tile, S tokens per cycle, chasing the psums as they arrive.

    Taking an order reserves room for its psums in a ring of 2 m, so psums need no ready; one is taken while m are free,
    or m / 2 where it has no more, and up to `layouts.ORDERS` are under way.  Psums come in the sequence of the orders,
    under their order's tag, the last of each marked `last`; an order with a count of 0 has none.  Lanes work through
    orders without regard to each other; an order's room goes free, oldest first, when every lane is through with it
    and its last psum has come.

    With `preload` the first slice adds to what `preloads` brings, a beat for the S tokens of a map word; each lane
    takes its part when it comes to it, and the beat goes when all have.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    orders : In(stream of `layouts.scatter_order`).  psums : In(stream of `layouts.psum_beat`, always ready).
    map_full, map_release, r_en, r_word, r_data : to the map buffer.
    preloads : In(stream of `layouts.preloads`), for each column pass of a preloaded tile one beat per map word.
    tile : In(stream of 1), a free output tile.
    out_en, out_addr, out_data, out_done : Out, one each lane, to the output buffer; see `ScatterLane`.
    bad_index : Out(1).  wait_tile : Out(1).
    conflicts, chases, hazards, preload_waits : Out, lanes that wait in this cycle for a bank, for a psum, for their own
        adder, for their part of `preloads`, where nothing else is missing.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        lanes = p.scatter_lanes
        words = p.m_tile // lanes
        super().__init__({
            "orders": In(stream.Signature(layouts.scatter_order(p))),
            "psums": In(stream.Signature(layouts.psum_beat(p), always_ready=True)),
            "map_full": In(1), "map_release": Out(1),
            "r_en": Out(1), "r_word": Out(range(words)), "r_data": In(lanes * p.index_bits),
            "tile": In(stream.Signature(1)),
            "out_en": Out(lanes), "out_done": Out(lanes),
            "out_addr": Out(data.ArrayLayout((2 * p.col_passes * words - 1).bit_length(), lanes)),
            "out_data": Out(data.ArrayLayout(p.cols * p.leave_bits, lanes)),
            "bad_index": Out(1), "wait_tile": Out(1),
            "conflicts": Out(range(lanes + 1)), "chases": Out(range(lanes + 1)), "hazards": Out(range(lanes + 1)),
            "preloads": In(stream.Signature(layouts.preloads(p))), "preload_waits": Out(range(lanes + 1)),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        lanes = [place(m, f"lane{lane}", ScatterLane(p)) for lane in range(p.scatter_lanes)]
        reader = place(m, "reader", MapReader(p))
        store = place(m, "store", PsumStore(p))
        arrived = self._orders(m, reader, store, lanes)
        m.d.comb += [
            self.map_release.eq(reader.map_release), reader.map_full.eq(self.map_full),
            self.r_en.eq(reader.r_en), self.r_word.eq(reader.r_word), reader.r_data.eq(self.r_data),
            reader.tile.valid.eq(self.tile.valid), self.tile.ready.eq(reader.tile.ready),
            self.bad_index.eq(reader.bad_index), self.wait_tile.eq(reader.wait_tile),
            reader.room.eq(Cat(lane.room for lane in lanes).all()),
        ]
        for number, lane in enumerate(lanes):
            m.d.comb += [
                lane.push.eq(reader.push), Value.cast(lane.entry).eq(Value.cast(reader.entries[number])),
                lane.psum.eq(store.r_data[number]),
                store.r_en[number].eq(lane.go & ~lane.head.void & ~lane.head.nothing),
                store.r_place[number].eq(lane.head.place),
                self.out_en[number].eq(lane.out_en), self.out_done[number].eq(lane.out_done),
                self.out_addr[number].eq(lane.out_addr), self.out_data[number].eq(lane.out_data),
            ]
        self._grant(m, lanes, arrived, self._preload(m, lanes))
        return m

    def _preload(self, m: Module, lanes: list[ScatterLane]) -> list[Value]:
        """Hands every lane its part of a beat; returns the lanes whose oldest entry waits for one."""
        beat, taken, takes = self.preloads, Signal(len(lanes)), Signal(len(lanes))
        m.d.comb += beat.ready.eq((taken | takes).all())
        m.d.sync += taken.eq(Mux(beat.ready, 0, taken | takes))
        for number, lane in enumerate(lanes):
            m.d.comb += [
                lane.preload.eq(Value.cast(beat.payload).word_select(number, len(lane.preload))),
                takes[number].eq(lane.go & lane.head.preload),
            ]
        return [lane.offered & lane.head.preload & (~beat.valid | taken[number]) for number, lane in enumerate(lanes)]

    def _orders(self, m: Module, reader: MapReader, store: PsumStore, lanes: list[ScatterLane]) -> Signal:
        """Orders under way, by tag, and their room in the ring; returns the place of the psum that comes next."""
        p = self.p
        order, psum = self.orders.payload, self.psums.payload
        held = [Signal(layouts.scatter_order(p), name=f"held{tag}") for tag in range(layouts.ORDERS)]
        bases = [Signal(p.index_bits + 2, name=f"base{tag}") for tag in range(layouts.ORDERS)]
        used, unread = Signal(layouts.ORDERS), Signal(layouts.ORDERS)
        reading, oldest = Signal(layouts.TAG_BITS), Signal(layouts.TAG_BITS)
        reserved, arrived = Signal(p.index_bits + 2), Signal(p.index_bits + 2)
        room = Signal(range(2 * p.m_tile + 1), init=2 * p.m_tile)
        taken, freed = Signal(), Signal()
        count = Signal(p.count_bits)
        through = self._through(m, taken, freed, oldest, lanes)
        m.d.comb += [
            count.eq(Mux(order.count > order.tokens, order.tokens, order.count)),
            self.orders.ready.eq(~used.bit_select(order.tag, 1) & self._fits(room)),
            taken.eq(self.orders.valid & self.orders.ready),
            freed.eq(used.bit_select(oldest, 1) & through.bit_select(oldest, 1)),
            reader.orders.valid.eq(unread.bit_select(reading, 1)), reader.base.eq(Array(bases)[reading]),
            Value.cast(reader.orders.payload).eq(Array([Value.cast(one) for one in held])[reading]),
            store.w_en.eq(self.psums.valid), store.w_place.eq(arrived), store.w_data.eq(Value.cast(psum.data)),
        ]
        back = Mux(freed, Array(one.count for one in held)[oldest], 0)
        m.d.sync += [
            room.eq(Mux(taken, room - count + back, room + back)),  # `taken` comes late
            arrived.eq(arrived + self.psums.valid), oldest.eq(oldest + freed),
        ]
        with m.If(freed):
            m.d.sync += used.bit_select(oldest, 1).eq(0)
        with m.If(reader.orders.valid & reader.orders.ready):
            m.d.sync += [unread.bit_select(reading, 1).eq(0), reading.eq(reading + 1)]
        with m.If(taken):
            m.d.sync += [reserved.eq(reserved + count), used.bit_select(order.tag, 1).eq(1),
                         unread.bit_select(order.tag, 1).eq(1)]
        for tag in range(layouts.ORDERS):
            with m.If(taken & (order.tag == tag)):
                m.d.sync += [Value.cast(held[tag]).eq(Value.cast(order)), held[tag].count.eq(count),
                             bases[tag].eq(reserved)]
        return arrived

    def _fits(self, room: Signal) -> Value:
        """Room for a whole tile, or for half of one where that is enough: whoever offers an order waits for this, and
        it takes no subtraction.
        """
        order, top = self.orders.payload, self.p.index_bits
        small = [~(count[top] | (count[top - 1] & count[:top - 1].any())) for count in (order.count, order.tokens)]
        return room[top:].any() | (room[top - 1] & Cat(small).any())

    def _through(self, m: Module, taken: Signal, freed: Signal, oldest: Signal, lanes: list[ScatterLane]) -> Signal:
        """By tag: every lane is through with the order, and its last psum has come, which no map need name."""
        order, psum = self.orders.payload, self.psums.payload
        through = Signal(layouts.ORDERS)
        for tag in range(layouts.ORDERS):
            parts = Signal(len(lanes) + 1, name=f"through{tag}")
            ending = Cat(*(lane.go & lane.head.final & (lane.head.tag == tag) for lane in lanes),
                         (self.psums.valid & psum.last & (psum.tag == tag))
                         | (taken & (order.tag == tag) & (order.count == 0)))
            m.d.sync += parts.eq(Mux(freed & (oldest == tag), 0, parts | ending))
            m.d.comb += through[tag].eq(parts.all())
        return through

    def _grant(self, m: Module, lanes: list[ScatterLane], arrived: Signal, waits: list[Value]) -> None:
        """Which lanes go in this cycle: in an order that rotates, each whose bank is not taken at another address.

        waits : by lane, it waits for its preload; a lane without a token takes its part of the beat as well.
        """
        p = self.p
        bank_bits, ring_bits = p.psum_banks.bit_length() - 1, p.index_bits + 1
        heads = [lane.head for lane in lanes]
        # Places are told apart modulo 4 m, twice the ring: a psum is here if its place lies behind the next one's.
        here = [lane.offered & (lane.head.nothing | (lane.head.place - arrived)[ring_bits]) for lane in lanes]
        wants = [ready & ~lane.head.void & ~lane.hazard & ~wait
                 for ready, lane, wait in zip(here, lanes, waits, strict=True)]
        clash = {(a, b): (heads[a].place[:bank_bits] == heads[b].place[:bank_bits])
                 & (heads[a].place[:ring_bits] != heads[b].place[:ring_bits])
                 & ~heads[a].nothing & ~heads[b].nothing
                 for a in range(len(lanes)) for b in range(a)}
        turn = Signal(range(p.scatter_lanes))
        m.d.sync += turn.eq(turn + 1)
        granted = Signal(p.scatter_lanes)
        with m.Switch(turn):
            for first in range(p.scatter_lanes):
                with m.Case(first):
                    before: dict[int, Value] = {}
                    for lane in [(first + step) % p.scatter_lanes for step in range(p.scatter_lanes)]:
                        blocked = Value.cast(0)
                        for other, went in before.items():
                            blocked = blocked | (went & clash[max(lane, other), min(lane, other)])
                        before[lane] = wants[lane] & ~blocked
                        m.d.comb += granted[lane].eq(before[lane])
        for number, lane in enumerate(lanes):
            m.d.comb += lane.go.eq(granted[number] | (lane.offered & lane.head.void & ~waits[number]))
        m.d.comb += [
            self.conflicts.eq(sum((w & ~granted[n] for n, w in enumerate(wants)), Value.cast(0))),
            self.hazards.eq(sum((lane.hazard for lane in lanes), Value.cast(0))),
            self.chases.eq(sum((lane.offered & ~lane.head.void & ~ready
                                for ready, lane in zip(here, lanes, strict=True)), Value.cast(0))),
            self.preload_waits.eq(sum((wait & (ready | lane.head.void)
                                       for ready, lane, wait in zip(here, lanes, waits, strict=True)), Value.cast(0))),
        ]
