# SPDX-License-Identifier: Apache-2.0
"""Sequencer: tile orders in -> passes through the array, and the scatter orders that go with them."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.array.input_buffer import slot_layout
from focus_rtl.hdl.unit import Unit

__all__ = ["Sequencer"]


class Sequencer(Unit):
    """Walks output vectors, k-slices, column passes and row passes, innermost last, one vector per cycle.

    A column pass begins when its slice is on chip and scatter has taken the order for it, which reserves room for its
    psums; from then on nothing downstream can refuse but the array's input.  Between passes no cycle is lost.
    A slice without vectors is passed over in a cycle; if it is the last of its tile, its orders, one a cycle, let the
    sums leave.  The first slice that has vectors is the `first` for scatter.
    Latency 1 cycle (the buffer's read), throughput one vector per cycle.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    tiles : In(stream of `layouts.tile_order`).
    slot, r_en, r_row, r_index, r_data : to the input buffer.
    vectors : Out(stream of `layouts.array_beat`).
    orders : Out(stream of `layouts.scatter_order`), one per column pass.
    bad_slice : Out(1), pulse: a slice has more vectors than its tile tokens, or fewer where the maps are identities.
    idle, wait_input, wait_psum, passes_over : Out(1), one of them whenever `vectors` is not valid, and none otherwise:
        there was no tile, no slice, no room for psums; an empty slice was dealt with.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({
            "tiles": In(stream.Signature(layouts.tile_order(p))),
            "slot": In(stream.Signature(slot_layout(p))),
            "r_en": Out(1), "r_row": Out(range(p.row_passes)), "r_index": Out(p.index_bits),
            "r_data": In(p.rows * p.element_bits),
            "vectors": Out(stream.Signature(layouts.array_beat(p))),
            "orders": Out(stream.Signature(layouts.scatter_order(p))),
            "bad_slice": Out(1), "idle": Out(1), "wait_input": Out(1), "wait_psum": Out(1), "passes_over": Out(1),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        tile, slot = self.tiles.payload, self.slot.payload
        vector, piece = Signal.like(tile.vectors, init=1), Signal.like(tile.slices, init=1)  # from 1, to be compared
        col, row, index = Signal(range(p.col_passes)), Signal(range(p.row_passes)), Signal(p.count_bits)
        empty, last_slice = slot.count == 0, piece == tile.slices
        over = empty & ~last_slice  # no order for it
        last_vector = vector == tile.vectors
        last_col = over | (col + 1 == Mux(last_vector, tile.last_cols, p.col_passes))
        last_row = empty | (row + 1 == Mux(last_slice, tile.last_rows, p.row_passes))
        too_many = slot.surplus | (slot.count > tile.tokens)
        # Whichever comes first: no path is as long as to the smaller of the two.
        last_index = empty | (index + 1 == slot.count) | (index + 1 == tile.tokens)
        opening, resident, issue, streams = Signal(), Signal(), Signal(), Signal()
        free = ~self.vectors.valid | self.vectors.ready
        m.d.comb += [
            opening.eq((row == 0) & (index == 0)),
            resident.eq(self.tiles.valid & self.slot.valid),
            # An order is offered only in the cycle in which its pass can begin.
            self.orders.valid.eq(opening & resident & free & ~over),
            issue.eq(resident & free & (~opening | self.orders.ready | over)),
            streams.eq(issue & ~empty),
            self.bad_slice.eq(resident & (too_many | (tile.dense & (slot.count < tile.tokens)))),
            self.r_en.eq(streams), self.r_row.eq(row), self.r_index.eq(index),
        ]
        self._walk(m, issue, [(index, last_index), (row, last_row), (col, last_col), (piece, last_slice),
                              (vector, last_vector)])
        tag, begun = Signal(layouts.TAG_BITS), Signal()
        order = self.orders.payload
        m.d.comb += [
            order.tokens.eq(tile.tokens), order.count.eq(slot.count), order.tag.eq(tag), order.col.eq(col),
            order.dense.eq(tile.dense), order.preload.eq(tile.preload), order.first.eq(~begun),
            order.last.eq(last_slice), order.map_done.eq(last_col), order.tile_done.eq(last_slice & last_col),
        ]
        with m.If(self.orders.valid & self.orders.ready):
            m.d.sync += tag.eq(tag + 1)
        with m.If(self.slot.valid & self.slot.ready):
            m.d.sync += begun.eq(~last_slice & (begun | ~empty))
        beat = self.vectors.payload
        m.d.comb += Value.cast(beat.data).eq(self.r_data)
        with m.If(free):
            m.d.sync += [
                self.vectors.valid.eq(streams), beat.first.eq(index == 0), beat.chain_in.eq(row != 0),
                beat.chain_out.eq(~last_row), beat.last.eq(last_index), beat.tag.eq(Mux(opening, tag, tag - 1)),
            ]
        self._name_the_wait(m, free, issue, resident)
        return m

    def _name_the_wait(self, m: Module, free: Value, issue: Signal, resident: Signal) -> None:
        """Why there is no vector: what was missing when its register could have been filled."""
        no_slice, no_room, over = Signal(), Signal(), Signal()
        with m.If(free):
            m.d.sync += [no_slice.eq(self.tiles.valid & ~self.slot.valid), no_room.eq(resident & ~issue),
                         over.eq(issue)]
        none = ~self.vectors.valid
        m.d.comb += [
            self.wait_input.eq(none & no_slice), self.wait_psum.eq(none & no_room), self.passes_over.eq(none & over),
            self.idle.eq(none & ~no_slice & ~no_room & ~over),
        ]

    def _walk(self, m: Module, issue: Signal, loops: list[tuple[Signal, Value]]) -> None:
        """Nested counters, innermost first; a slot goes free with its last pass, a tile order with its last vector."""
        carry: Value = issue
        for counter, last in loops:
            with m.If(carry):
                m.d.sync += counter.eq(Mux(last, counter.init, counter + 1))
            carry = carry & last
            if counter is loops[2][0]:
                m.d.comb += self.slot.ready.eq(carry)
        m.d.comb += self.tiles.ready.eq(carry)
