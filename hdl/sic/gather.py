# SPDX-License-Identifier: Apache-2.0
"""Gather: the vectors of an output tile -> the distinct ones, the similarity map, the summary.

Model: `golden/sic/gather.py`.  Test: `verif/sic/test_gather.py`.
"""

from dataclasses import dataclass

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import StructLayout, View
from amaranth.lib.wiring import In, Out, connect, flipped

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import gather_order, index_beat, position, summary, vector_beat, vector_elements
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.sic.averager import Averager
from focus_rtl.hdl.sic.layouter import Layouter
from focus_rtl.hdl.sic.matcher import Matcher, decision_layout
from focus_rtl.hdl.sic.serial_matcher import SerialMatcher
from focus_rtl.hdl.sic.window import bank_depth, behind, entry_of, offset_of
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Gather"]

_INDEX_CYCLES, _FETCH_CYCLES, _COLLECT_CYCLES = 2, 1, 2


@dataclass(frozen=True)
class _Fetched:
    """A vector being taken in the cycle with `fetch`: the tile it is of, and what is known of it (`Gather._entry`).

    `window` is driven by whoever takes the vector: it may be fetched.
    """

    fetch: Value
    tile: View
    key: View
    window: Signal


class Gather(Unit):
    """Drops vectors that are nearly parallel to a neighbour of theirs; keeps order and bits of the others, or replaces
    each by the mean of those that it stands for.

    fetch: takes the next vector and its position, reads its window, writes it into its bank and into the queue of
    vectors in flight.  match: `Matcher`.  index: a match takes its neighbour's index, read late, everything else the
    next new one.  collect: emits in order.  Only fetch ever waits: it starts a vector when the queue has room for it,
    and all that follows up to the queues runs freely.  A tile may start while the one before is still in flight, unless
    the threshold changes.  The last distinct vector of a tile is known only at the tile's end, so one vector is held
    back: it leaves with last = 0 when the next one comes, with last = 1 at the end.  With `mean`, vectors leave through
    the `Averager` instead, behind the tile's last index.

    All-zero vectors, text, padding, positions outside the grid, and everything when `dense`, pass unmatched in a cycle.
    With a window of one position there is neither a layouter nor a matcher, and everything passes.  With
    `compare_multiplier` = `shared`, none of this is there but what sends vectors out: a vector waits at the port until
    the `SerialMatcher` has decided on it and it has left, and is then taken.
    Throughput: at most N / U rounds per vector (a window of N positions, U dot units), fewer where neighbours are
    missing, of `Matcher.pace` cycles each: V / lanes, or more with serial multipliers; then `pause`.  No more than
    `in_flight` vectors in `latency` cycles; tiles are at least `between` cycles apart.  One at a time:
    `SerialMatcher.cycles`, and two between vectors.

    Parameters
    ----------
    p : the configuration.

    Members
    -------
    orders : In(stream of gather_order).  One per tile; sides within the configuration, tokens in 1 .. m.
    vectors : In(stream of V elements).  One per token, in token order.
    positions : In(stream of position).  One per token.
    outputs : Out(stream of vector_beat).  The distinct vectors; `last` on the tile's last.
    out_maps : Out(stream of index_beat).  One index per token; `last` on the tile's last.
    summary : Out(stream of summary).  One per tile, with its last index.
    mean_hazard : Out(1).  In this cycle a vector waits until its group's sum can be read; never with `first`.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({
            "orders": In(stream.Signature(gather_order(p))), "vectors": In(stream.Signature(vector_elements(p))),
            "positions": In(stream.Signature(position(p))), "outputs": Out(stream.Signature(vector_beat(p))),
            "out_maps": Out(stream.Signature(index_beat(p))), "summary": Out(stream.Signature(summary(p))),
            "mean_hazard": Out(1),
        }, p=p)
        self._mean = p.representative == "mean"
        self._entry = StructLayout({"data": vector_elements(p), "zero": 1, **({"dense": 1} if self._mean else {}),
                                    "last": 1})
        self._result = StructLayout({"index": p.index_bits, "unique": 1})

    between = 2
    """Cycles from the fetch of a tile's last vector to that of the next tile's first, at least."""

    @property
    def latency(self) -> int:
        """Cycles from the fetch of a vector without neighbours to its index at `out_maps`; one at a time, of any."""
        if self.one_at_a_time:
            return 0
        if not self.p.candidates:
            return _INDEX_CYCLES + _COLLECT_CYCLES
        matcher = Matcher(self.p)
        return _FETCH_CYCLES + matcher.pace - 1 + matcher.latency + _INDEX_CYCLES + _COLLECT_CYCLES

    @property
    def in_flight(self) -> int:
        """Vectors in the queue: enough for the full rate where each has neighbours in half of its rounds."""
        if not self.p.candidates:
            return 1 << (self.latency + 2).bit_length()
        matcher = Matcher(self.p)
        needed = self.latency // (max(1, matcher.rounds // 2) * matcher.pace) + 3
        return max(16, 1 << (needed - 1).bit_length())

    @property
    def pause(self) -> int:
        """Cycles between a vector's last round and the next vector's fetch: the way is long, and may be cut."""
        return int(self.p.match_depth > 2 and self.p.candidates > 0 and not self.one_at_a_time)

    @property
    def one_at_a_time(self) -> bool:
        """Whether the next vector is looked at only when the one before has left: the `SerialMatcher` decides."""
        return self.p.compare_multiplier == "shared" and self.p.candidates > 0

    def elaborate(self, platform: object) -> Module:
        m = Module()
        (self._step if self.one_at_a_time else self._flow)(m)
        return m

    def _flow(self, m: Module) -> None:
        """Vectors follow each other through memories."""
        queue = place(m, "keys", Ram(self._entry.size, self.in_flight, self.p.memories))
        results = place(m, "results", Ram(self._result.size, self.in_flight, self.p.memories))
        taken = Signal()  # the collector read a vector out of the queue
        fetched = self._fetch(m, queue, taken)
        decided, decision = self._match(m, fetched) if self.p.candidates else self._pass(m, fetched)
        done = self._index(m, decided, decision, results)
        self._collect(m, queue, results, done, taken)

    def _step(self, m: Module) -> None:
        """A vector waits at the port until it has been decided on and has left; so nothing of it has to be stored."""
        matcher, tile = place(m, "matcher", SerialMatcher(self.p)), self._order(m, Const(1, 1))
        key, zero, result, leave = Signal(self._entry), Signal(), Signal(self._result), Signal()
        self._tell(m, key, zero, tile)
        wanted = tile.running & self.vectors.valid
        m.d.comb += [
            matcher.valid.eq(wanted & self.positions.valid), self.vectors.ready.eq(matcher.done),
            # Ready without a position says that one is wanted, as in `_flow`: such cycles are counted.
            self.positions.ready.eq(matcher.done | wanted & ~self.positions.valid),
            Value.cast(matcher.vector).eq(Value.cast(self.vectors.payload)),
            Value.cast(matcher.position).eq(Value.cast(self.positions.payload)),
            matcher.zero.eq(key.zero), matcher.dense.eq(tile.order.dense), matcher.last.eq(key.last),
            matcher.height.eq(tile.order.height), matcher.width.eq(tile.order.width),
            matcher.enabled.eq(tile.order.mask), matcher.t2.eq(tile.t2), matcher.leave.eq(leave),
            result.index.eq(matcher.index), result.unique.eq(matcher.unique),
        ]
        self._emit(m, matcher.decided, leave, key, result)

    def _order(self, m: Module, idle: Value) -> View:
        """The tile being fetched: takes an order when there is none; a new threshold waits until all have left."""
        order, waiting, running = Signal(gather_order(self.p)), Signal(), Signal()
        left = Signal(self.p.count_bits)
        tile = StructLayout({"order": gather_order(self.p), "left": self.p.count_bits, "running": 1,
                             "t2": len(order.t2)})
        view = Signal(tile)
        t2 = Signal.like(order.t2)
        same = Signal()
        m.d.comb += [
            self.orders.ready.eq(~running & ~waiting), same.eq(idle | (self.orders.payload.t2 == t2)),
            Value.cast(view).eq(Cat(Value.cast(order), left, running, t2)),
        ]
        with m.If(self.orders.valid & self.orders.ready):
            m.d.sync += [Value.cast(order).eq(Value.cast(self.orders.payload)), left.eq(self.orders.payload.tokens),
                         running.eq(same), waiting.eq(~same)]
            with m.If(same):
                m.d.sync += t2.eq(self.orders.payload.t2)
        with m.If(waiting & idle):
            m.d.sync += [t2.eq(order.t2), running.eq(1), waiting.eq(0)]
        with m.If(self.vectors.valid & self.vectors.ready):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 1):
                m.d.sync += running.eq(0)
        return view

    def _tell(self, m: Module, key: View, zero: Value, tile: View) -> None:
        """What is known of the vector at the port."""
        m.d.comb += [
            zero.eq(~Cat(*(_magnitude(self.p, element) for element in self.vectors.payload)).any()),
            Value.cast(key.data).eq(Value.cast(self.vectors.payload)), key.zero.eq(zero), key.last.eq(tile.left == 1),
        ]
        if self._mean:
            m.d.comb += key.dense.eq(tile.order.dense)

    def _fetch(self, m: Module, queue: Ram, taken: Value) -> _Fetched:
        """Starts the next vector when the window is free, or is being left, and the queue has room."""
        in_flight, tail = Signal(range(self.in_flight + 1)), Signal(range(self.in_flight))
        free, fetch, zero, window = Signal(), Signal(), Signal(), Signal()
        tile = self._order(m, in_flight == 0)
        key = Signal(self._entry)
        m.d.comb += [
            free.eq(tile.running & (in_flight != self.in_flight) & window),
            self.vectors.ready.eq(free & self.positions.valid), self.positions.ready.eq(free & self.vectors.valid),
            fetch.eq(free & self.vectors.valid & self.positions.valid),
        ]
        self._tell(m, key, zero, tile)
        m.d.comb += [
            queue.w_en.eq(fetch), queue.w_addr.eq(tail), queue.w_data.eq(Value.cast(key)),
        ]
        m.d.sync += in_flight.eq(in_flight + fetch - taken)
        with m.If(fetch):
            m.d.sync += tail.eq(tail + 1)
        return _Fetched(fetch, tile, key, window)

    def _match(self, m: Module, fetched: _Fetched) -> tuple[Value, View]:
        """Puts each vector into its window and decides on it; returns when, and what."""
        layouter, matcher = place(m, "layouter", Layouter(self.p)), place(m, "matcher", Matcher(self.p))
        fetch, tile, key = fetched.fetch, fetched.tile, fetched.key
        busy, live = Signal(), Signal()
        m.d.comb += [
            fetched.window.eq(~busy if self.pause else ~busy | matcher.done),
            layouter.clear.eq(~tile.running), layouter.en.eq(fetch), layouter.live.eq(~key.zero),
            Value.cast(layouter.position).eq(Value.cast(self.positions.payload)),
            Value.cast(layouter.vector).eq(Value.cast(self.vectors.payload)),
            layouter.height.eq(tile.order.height), layouter.width.eq(tile.order.width),
            layouter.enabled.eq(tile.order.mask),
            matcher.valid.eq(busy), matcher.active.eq(layouter.entered & live), matcher.visible.eq(layouter.visible),
            Value.cast(matcher.place).eq(Value.cast(layouter.place)), matcher.t2.eq(tile.t2),
        ]
        for bank in range(self.p.window):
            m.d.comb += Value.cast(matcher.banks[bank]).eq(Value.cast(layouter.banks[bank]))
        with m.If(fetch):
            m.d.sync += [busy.eq(1), Value.cast(matcher.key).eq(Value.cast(self.vectors.payload)),
                         matcher.last.eq(key.last), live.eq(~key.zero & ~tile.order.dense)]
        with m.Elif(matcher.done):
            m.d.sync += busy.eq(0)
        return matcher.decided, matcher.decision

    def _pass(self, m: Module, fetched: _Fetched) -> tuple[Value, View]:
        """What stands in for layouter and matcher where a window has one position: every vector passes at once."""
        decision = Signal(decision_layout(self.p))
        m.d.comb += [fetched.window.eq(1), decision.last.eq(fetched.key.last)]
        return fetched.fetch, decision

    def _index(self, m: Module, decided: Value, decision: View, results: Ram) -> Value:
        """Decides on each vector's index a cycle (_s1) after the neighbour's is asked for; returns when it does."""
        decision_s1 = Signal(decision_layout(self.p))
        valid_s1 = Signal()
        index, unique, tail = Signal(self.p.index_bits), Signal(self.p.index_bits), Signal(range(self.in_flight))
        m.d.sync += [valid_s1.eq(decided), Value.cast(decision_s1).eq(Value.cast(decision))]
        nearest = self._nearest(m, decided, decision, valid_s1 & decision_s1.active, index)
        m.d.comb += [
            index.eq(Mux(decision_s1.match, nearest, unique)),
            results.w_en.eq(valid_s1), results.w_addr.eq(tail), results.w_data.eq(Cat(index, ~decision_s1.match)),
        ]
        with m.If(valid_s1):
            m.d.sync += [tail.eq(tail + 1),
                         unique.eq(Mux(decision_s1.last, 0, unique + (decision_s1.match == 0)))]
        return valid_s1

    def _nearest(self, m: Module, decided: Value, decision: View, write: Value, index: Value) -> Value:
        """The index of the neighbour that `decision` names, a cycle later; keeps what is written then, `index`."""
        if not self.p.candidates:
            return Const(0, self.p.index_bits)
        depth, sides, spot = bank_depth(self.p), self.p.block, decision.place
        words = place(m, "indices", Ram(self.p.index_bits, self.p.window * depth, self.p.memories))
        address, own, own_s1 = (Signal.like(words.r_addr, name=name) for name in ("address", "own", "own_s1"))
        bank, latest, repeat, repeat_s1 = Signal(len(spot.rest)), Signal(self.p.index_bits), Signal(), Signal()
        m.d.comb += [
            bank.eq(behind(sides, spot.rest, decision.slot)),
            address.eq(entry_of(sides, bank, offset_of(self.p, spot, bank), depth)),
            own.eq(entry_of(sides, spot.rest, offset_of(self.p, spot), depth)),
            words.w_en.eq(write), words.w_addr.eq(own_s1), words.w_data.eq(index),
            # The vector just before may be the neighbour: its index is being written and is taken from `latest`.
            repeat.eq(write & (own_s1 == address)),
            words.r_en.eq(decided & decision.match & ~repeat), words.r_addr.eq(address),
        ]
        m.d.sync += [own_s1.eq(own), repeat_s1.eq(repeat)]
        with m.If(write):
            m.d.sync += latest.eq(index)
        return Mux(repeat_s1, latest, words.r_data)

    def _collect(self, m: Module, queue: Ram, results: Ram, done: Value, taken: Value) -> None:
        """Reads decided vectors in order and sends out what becomes of them."""
        waiting, head = Signal(range(self.in_flight + 1)), Signal(range(self.in_flight))
        here, leave = Signal(), Signal()
        key, result = View(self._entry, queue.r_data), View(self._result, results.r_data)
        m.d.comb += [
            taken.eq((waiting != 0) & (~here | leave)),
            queue.r_en.eq(taken), queue.r_addr.eq(head), results.r_en.eq(taken), results.r_addr.eq(head),
        ]
        m.d.sync += waiting.eq(waiting + done - taken)
        with m.If(taken):
            m.d.sync += [here.eq(1), head.eq(head + 1)]
        with m.Elif(leave):
            m.d.sync += here.eq(0)
        self._emit(m, here, leave, key, result)

    def _emit(self, m: Module, here: Value, leave: Value, key: View, result: View) -> None:
        """Sends out what becomes of the decided vector that is `here`; it leaves with `leave`."""
        others = Signal()  # the map and the summary have room
        emit = self._emit_means if self._mean else self._emit_first
        room = emit(m, here, leave, others, key, result)
        self._emit_counts(m, leave, key, result)
        m.d.comb += [
            others.eq((~self.out_maps.valid | self.out_maps.ready)
                      & (~key.last | ~self.summary.valid | self.summary.ready)),
            leave.eq(here & room & others),
        ]
        with m.If(leave):
            m.d.sync += [self.out_maps.valid.eq(1), self.out_maps.payload.index.eq(result.index),
                         self.out_maps.payload.last.eq(key.last)]
        with m.Elif(self.out_maps.ready):
            m.d.sync += self.out_maps.valid.eq(0)

    def _emit_means(self, m: Module, here: Value, leave: Value, others: Value, key: View, result: View) -> Value:
        """Hands every vector to the averager; returns whether that takes it."""
        averager = place(m, "averager", self._averager())
        one = averager.i.payload
        m.d.comb += [
            averager.i.valid.eq(here & others), one.index.eq(result.index), one.first.eq(result.unique),
            Value.cast(one.data).eq(Value.cast(key.data)), one.dense.eq(key.dense), one.last.eq(key.last),
            self.mean_hazard.eq(averager.hazard),
        ]
        connect(m, averager.o, flipped(self.outputs))
        return averager.i.ready

    def _averager(self) -> Averager:
        return Averager(self.p)

    def _emit_first(self, m: Module, here: Value, leave: Value, others: Value, key: View, result: View) -> Value:
        """Holds one distinct vector back until it is known whether it is the last; returns whether another fits."""
        held, held_last, held_valid = Signal(vector_elements(self.p)), Signal(), Signal()
        outputs = self.outputs
        m.d.comb += [
            outputs.valid.eq(held_valid & (held_last | here & result.unique)),
            Value.cast(outputs.payload.data).eq(Value.cast(held)), outputs.payload.last.eq(held_last),
        ]
        with m.If(outputs.valid & outputs.ready):
            m.d.sync += held_valid.eq(0)
        with m.If(leave & result.unique):
            m.d.sync += [Value.cast(held).eq(Value.cast(key.data)), held_valid.eq(1), held_last.eq(key.last)]
        with m.Elif(leave & key.last):
            m.d.sync += held_last.eq(1)
        return ~result.unique | ~held_valid | outputs.valid & outputs.ready

    def _emit_counts(self, m: Module, leave: Value, key: View, result: View) -> None:
        """Counts distinct and all-zero vectors; the sums leave with the tile's last token."""
        counts, after = Signal(summary(self.p)), Signal(summary(self.p))
        m.d.comb += [after.unique.eq(counts.unique + result.unique), after.zeros.eq(counts.zeros + key.zero)]
        with m.If(self.summary.ready):
            m.d.sync += self.summary.valid.eq(0)
        with m.If(leave):
            m.d.sync += Value.cast(counts).eq(Mux(key.last, 0, Value.cast(after)))
            with m.If(key.last):
                m.d.sync += [self.summary.valid.eq(1), Value.cast(self.summary.payload).eq(Value.cast(after))]


def _magnitude(p: Parameters, element: Value) -> Value:
    """The bits that are not all 0 in anything but zero; a float's sign does not count."""
    return element if p.dtype == "int8" else element[:-1]
