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

    A column pass begins when its slice is on chip and scatter has taken the order for it, which reserves a psum half;
    from then on nothing downstream can refuse but the array's input.  Between passes no cycle is lost.
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
    wait_input, wait_psum : Out(1), nothing is issued for want of a slice, of a psum half.
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
            "bad_slice": Out(1), "wait_input": Out(1), "wait_psum": Out(1),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        tile, slot = self.tiles.payload, self.slot.payload
        vector, piece = Signal.like(tile.vectors), Signal.like(tile.slices)
        col, row, index = Signal(range(p.col_passes)), Signal(range(p.row_passes)), Signal(p.count_bits)
        last_vector, last_slice = vector == tile.vectors - 1, piece == tile.slices - 1
        last_col = col == Mux(last_vector, tile.last_cols, p.col_passes) - 1
        last_row = row == Mux(last_slice, tile.last_rows, p.row_passes) - 1
        count = Signal(p.count_bits)
        too_many = slot.surplus | (slot.count > tile.tokens)
        m.d.comb += count.eq(Mux(too_many, tile.tokens, slot.count))
        last_index = index == count - 1
        opening, resident, issue = Signal(), Signal(), Signal()
        free = ~self.vectors.valid | self.vectors.ready
        m.d.comb += [
            opening.eq((row == 0) & (index == 0)),
            resident.eq(self.tiles.valid & self.slot.valid),
            # An order is offered only in the cycle in which its pass can begin.
            self.orders.valid.eq(opening & resident & free),
            issue.eq(resident & free & (~opening | self.orders.ready)),
            self.wait_input.eq(self.tiles.valid & ~self.slot.valid),
            self.wait_psum.eq(resident & free & opening & ~self.orders.ready),
            self.bad_slice.eq(resident & (too_many | (tile.dense & (slot.count < tile.tokens)))),
            self.r_en.eq(issue), self.r_row.eq(row), self.r_index.eq(index),
        ]
        order = self.orders.payload
        m.d.comb += [
            order.tokens.eq(tile.tokens), order.count.eq(count), order.col.eq(col), order.dense.eq(tile.dense),
            order.first.eq(piece == 0), order.last.eq(last_slice), order.map_done.eq(last_col),
            order.tile_done.eq(last_slice & last_col),
        ]
        self._walk(m, issue, [(index, last_index), (row, last_row), (col, last_col), (piece, last_slice),
                              (vector, last_vector)])
        beat = self.vectors.payload
        m.d.comb += Value.cast(beat.data).eq(self.r_data)
        with m.If(free):
            m.d.sync += [
                self.vectors.valid.eq(issue), beat.first.eq(index == 0), beat.chain_in.eq(row != 0),
                beat.chain_out.eq(~last_row), beat.last.eq(last_index),
            ]
        return m

    def _walk(self, m: Module, issue: Signal, loops: list[tuple[Signal, Value]]) -> None:
        """Nested counters, innermost first; a slot goes free with its last pass, a tile order with its last vector."""
        carry: Value = issue
        for counter, last in loops:
            with m.If(carry):
                m.d.sync += counter.eq(Mux(last, 0, counter + 1))
            carry = carry & last
            if counter is loops[2][0]:
                m.d.comb += self.slot.ready.eq(carry)
        m.d.comb += self.tiles.ready.eq(carry)
