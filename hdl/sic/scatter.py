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

    Taking an order reserves one of two psum halves, so psums need no ready.  They are announced in the sequence of the
    orders, each slice closed by `last`.  Lanes work through orders without regard to each other; a half goes free when
    every lane is through with it and its last psum has come.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    orders : In(stream of `layouts.scatter_order`).  psums : In(stream of `layouts.psum_beat`, always ready).
    map_full, map_release, r_en, r_word, r_data : to the map buffer.
    tile : In(stream of 1), a free output tile.
    out_en, out_addr, out_data, out_done : Out, one each lane, to the output buffer; see `ScatterLane`.
    bad_index : Out(1).  wait_tile : Out(1).
    conflicts, chases, hazards : Out, lanes that wait in this cycle for a bank, for a psum, for their own adder.
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
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        lanes = [place(m, f"lane{lane}", ScatterLane(p)) for lane in range(p.scatter_lanes)]
        reader = place(m, "reader", MapReader(p))
        store = place(m, "store", PsumStore(p))
        arrived = self._halves(m, reader, store, lanes)
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
                store.r_en[number].eq(lane.go & ~lane.head.void), store.r_half[number].eq(lane.head.half),
                store.r_index[number].eq(lane.head.index),
                self.out_en[number].eq(lane.out_en), self.out_done[number].eq(lane.out_done),
                self.out_addr[number].eq(lane.out_addr), self.out_data[number].eq(lane.out_data),
            ]
        self._grant(m, lanes, arrived)
        return m

    def _halves(self, m: Module, reader: MapReader, store: PsumStore, lanes: list[ScatterLane]) -> list[Signal]:
        """Orders held, one per psum half; psums arriving into the older one that is not complete."""
        p = self.p
        held = [Signal(layouts.scatter_order(p), name=f"held{half}") for half in range(2)]
        used = [Signal(name=f"used{half}") for half in range(2)]
        unread = [Signal(name=f"unread{half}") for half in range(2)]
        arrived = [Signal(p.count_bits, name=f"arrived{half}") for half in range(2)]
        taking, filling, reading = Signal(), Signal(), Signal()
        m.d.comb += [
            self.orders.ready.eq(~Array(used)[taking]),
            reader.orders.valid.eq(Array(unread)[reading]), reader.half.eq(reading),
            Value.cast(reader.orders.payload).eq(Mux(reading, Value.cast(held[1]), Value.cast(held[0]))),
            store.w_en.eq(self.psums.valid), store.w_half.eq(filling),
            store.w_index.eq(Array(arrived)[filling]), store.w_data.eq(Value.cast(self.psums.payload.data)),
        ]
        with m.If(self.psums.valid):
            m.d.sync += Array(arrived)[filling].eq(Array(arrived)[filling] + 1)
            with m.If(self.psums.payload.last):
                m.d.sync += filling.eq(~filling)
        with m.If(reader.orders.valid & reader.orders.ready):
            m.d.sync += [Array(unread)[reading].eq(0), reading.eq(~reading)]
        for half in range(2):
            with m.If(self.orders.valid & self.orders.ready & (taking == half)):
                m.d.sync += [
                    Value.cast(held[half]).eq(Value.cast(self.orders.payload)),
                    used[half].eq(1), unread[half].eq(1), arrived[half].eq(0), taking.eq(~half & 1),
                ]
            # A map need not name the last psums: the half is free only when they have come as well.
            finished = Signal(p.scatter_lanes + 1, name=f"finished{half}")
            ending = Cat(*(lane.go & lane.head.final & (lane.head.half == half) for lane in lanes),
                         self.psums.valid & self.psums.payload.last & (filling == half))
            with m.If((finished | ending).all()):
                m.d.sync += [finished.eq(0), used[half].eq(0)]
            with m.Else():
                m.d.sync += finished.eq(finished | ending)
        return arrived

    def _grant(self, m: Module, lanes: list[ScatterLane], arrived: list[Signal]) -> None:
        """Which lanes go in this cycle: in an order that rotates, each whose bank is not taken at another address."""
        p = self.p
        bank_bits = p.psum_banks.bit_length() - 1
        heads = [lane.head for lane in lanes]
        here = [lane.offered & (lane.head.index < Array(arrived)[lane.head.half]) for lane in lanes]
        wants = [ready & ~lane.head.void & ~lane.hazard for ready, lane in zip(here, lanes, strict=True)]
        clash = {(a, b): (heads[a].index[:bank_bits] == heads[b].index[:bank_bits])
                 & ((heads[a].index != heads[b].index) | (heads[a].half != heads[b].half))
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
            m.d.comb += lane.go.eq(granted[number] | (lane.offered & lane.head.void))
        m.d.comb += [
            self.conflicts.eq(sum((w & ~granted[n] for n, w in enumerate(wants)), Value.cast(0))),
            self.hazards.eq(sum((lane.hazard for lane in lanes), Value.cast(0))),
            self.chases.eq(sum((lane.offered & ~lane.head.void & ~ready
                                for ready, lane in zip(here, lanes, strict=True)), Value.cast(0))),
        ]
