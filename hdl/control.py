# SPDX-License-Identifier: Apache-2.0
"""Control and OutputTiles: a job and its tiles in -> orders for every block, and the job's status."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.layouts import COUNTERS, ERRORS
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Control", "OutputTiles"]


class Control(Unit):
    """Takes a job, checks it, turns each of its tiles into an order, waits for the last output and reports.

    A job that breaks a limit is answered with `JOB` at once and consumes nothing else.  A tile of 0 or more than m
    tokens is answered with `TILE`; since nothing tells then what the other streams hold, the core stops until reset.
    `SLICE`, `INDEX`, `SCALE` and `OFFSET` are kept until the job's end.  Of several errors the one with the lowest code
    stands: which came first depends on stalls.
    One job at a time; one tile per cycle.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    job : In(stream of `layouts.job`).  tiles : In(stream of `layouts.tile`).
    orders : Out(stream of `layouts.orders`).  layer : Out(`layouts.job`), the job that they are of, from its first
        order until its status is taken.
    ended : In(3), pulses: the last beat of an output tile's vectors, of its map, its summary was taken.
    bad_slice, bad_index, bad_scale, bad_offset : In(1), pulses.
    offsets_left : In(1).  The job's offsets have not all been taken: it has not ended.
    events : In, one count each of `layouts.COUNTERS` but `cycles`, added in every cycle.
    status : Out(stream of `layouts.status`).
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({
            "job": In(stream.Signature(layouts.job(p))), "tiles": In(stream.Signature(layouts.tile(p))),
            "orders": Out(stream.Signature(layouts.orders(p))), "layer": Out(layouts.job(p)),
            "ended": In(3), "bad_slice": In(1), "bad_index": In(1), "bad_scale": In(1), "bad_offset": In(1),
            "offsets_left": In(1),
            "events": In(data.StructLayout({name: 3 for name in COUNTERS if name != "cycles"})),
            "status": Out(stream.Signature(layouts.status(p))),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job, running = self.layer, Signal()
        started, accepted = Signal(), Signal()
        counting = self._count(m, started, running)
        drained, room = self._outstanding(m, accepted, job)
        self._errors(m, started, counting)  # ahead of the states, whose JOB and TILE win in the same cycle
        left = Signal.like(job.tiles)
        bad_tile = (self.tiles.payload.tokens == 0) | (self.tiles.payload.tokens > self.p.m_tile)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.job.ready.eq(1), started.eq(self.job.valid)]
                m.d.sync += [Value.cast(job).eq(Value.cast(self.job.payload)), left.eq(self.job.payload.tiles)]
                with m.If(self.job.valid):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += running.eq(1)
                m.next = "TILES"
                with m.If(self._beyond_limits(job)):
                    m.d.sync += self.status.payload.error.eq(ERRORS["JOB"])
                    m.next = "REPORT"
            with m.State("TILES"):
                m.d.comb += [
                    running.eq(1), self.orders.valid.eq(self.tiles.valid & ~bad_tile & room),
                    self.tiles.ready.eq(self.orders.ready & room | bad_tile),
                    accepted.eq(self.orders.valid & self.orders.ready),
                ]
                with m.If(self.tiles.valid & bad_tile):
                    m.d.sync += self.status.payload.error.eq(ERRORS["TILE"])
                    m.next = "LAST REPORT"
                with m.Elif(accepted):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += running.eq(1)
                with m.If(drained & ~self.offsets_left):
                    m.next = "REPORT"
            with m.State("REPORT"):
                m.d.comb += self.status.valid.eq(~counting)
                with m.If(self.status.valid & self.status.ready):
                    m.next = "IDLE"
            with m.State("LAST REPORT"):
                m.d.comb += self.status.valid.eq(~counting)
                with m.If(self.status.valid & self.status.ready):
                    m.next = "STOPPED"
            with m.State("STOPPED"):
                pass
        tile = self.tiles.payload
        m.d.comb += [self.orders.payload[name].eq(value)
                     for name, value in (("tokens", tile.tokens), ("text", tile.text), ("last", left == 1))]
        return m

    def _beyond_limits(self, job: data.View) -> Value:
        p = self.p
        limits = {
            "tiles": p.tokens_max, "slices": -(-p.k_max // p.vector), "last_rows": p.row_passes,
            "vectors": -(-p.n_max // p.vector), "last_cols": p.col_passes, "last_lanes": p.vector,
            "height": p.grid_max[1], "width": p.grid_max[2],
        }
        video = {"frames": p.grid_max[0], "row_stride": p.sec_tokens_max, "frame_stride": p.sec_tokens_max}

        def beyond(counts: dict[str, int]) -> Value:
            return Cat((job[name] == 0) | (job[name] > limit) for name, limit in counts.items()).any()

        return beyond(limits) | (job.decoded & beyond(video))

    def _outstanding(self, m: Module, accepted: Signal, job: data.View) -> tuple[Value, Value]:
        """Output tiles ordered and not yet taken, apart for vectors, maps and summaries.

        Returns whether all are through, and whether the counters have room for another m-tile: gather's queue may hold
        dozens of tiles of one token.
        """
        idle, low = [], []
        for number in range(3):
            due = Signal(bits_for(-(-self.p.n_max // self.p.vector)) + 4, name=f"due{number}")
            m.d.sync += due.eq(due + Mux(accepted, job.vectors, 0) - self.ended[number])
            idle.append(due == 0)
            low.append(~due[-4:].all())
        return Cat(idle).all(), Cat(low).all()

    def _errors(self, m: Module, started: Signal, counting: Signal) -> None:
        """Kept a cycle late, as counts are."""
        error, seen_s1 = self.status.payload.error, Signal(4)
        m.d.sync += seen_s1.eq(Cat(self.bad_offset, self.bad_scale, self.bad_index, self.bad_slice))
        with m.If(started):
            m.d.sync += error.eq(ERRORS["OK"])
        with m.Elif(counting):
            for name, seen in zip(("OFFSET", "SCALE", "INDEX", "SLICE"), seen_s1, strict=True):
                with m.If(seen & ((error == ERRORS["OK"]) | (error > ERRORS[name]))):
                    m.d.sync += error.eq(ERRORS[name])

    def _count(self, m: Module, started: Signal, running: Signal) -> Signal:
        """Counts a cycle late, for events come from all over the core; returns whether a count is still to come."""
        counting, events = Signal(), Signal.like(self.events)
        m.d.sync += [counting.eq(running), events.eq(self.events)]
        for name in COUNTERS:
            counter = self.status.payload[name]
            with m.If(started):
                m.d.sync += counter.eq(0)
            with m.Elif(counting):
                m.d.sync += counter.eq(counter + (1 if name == "cycles" else events[name]))
        return counting


class OutputTiles(Unit):
    """A tile order in -> an order for the output buffer and one for gather, for each of its output vectors.

    Latency 0 cycles to the output buffer, 1 to gather; throughput one output tile per cycle.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    tiles : In(stream of `layouts.tile_order`).
    outputs : Out(stream of `layouts.output_order`).  gathers : Out(stream of `count_bits`), its tokens.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({
            "tiles": In(stream.Signature(layouts.tile_order(p))),
            "outputs": Out(stream.Signature(layouts.output_order(p))),
            "gathers": Out(stream.Signature(p.count_bits)),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        tile = self.tiles.payload
        outputs, gathers = self.outputs, place(m, "to_gather", Skid(p.count_bits))
        vector = Signal.like(tile.vectors, init=1)
        last = vector == tile.vectors
        both = Signal()
        m.d.comb += [
            outputs.valid.eq(self.tiles.valid & gathers.i.ready), both.eq(outputs.valid & outputs.ready),
            gathers.i.valid.eq(both), self.tiles.ready.eq(both & last),
            outputs.payload.tokens.eq(tile.tokens), gathers.i.payload.eq(tile.tokens),
            outputs.payload.cols.eq(Mux(last, tile.last_cols, p.col_passes)),
            outputs.payload.lanes.eq(Mux(last, tile.last_lanes, p.vector)),
            self.gathers.valid.eq(gathers.o.valid), gathers.o.ready.eq(self.gathers.ready),
            self.gathers.payload.eq(gathers.o.payload),
        ]
        with m.If(both):
            m.d.sync += vector.eq(Mux(last, 1, vector + 1))
        return m
