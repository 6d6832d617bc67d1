# SPDX-License-Identifier: Apache-2.0
"""OutputBuffer: output columns in -> the words of whole vectors, in token order."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.unit import Unit, place

__all__ = ["OutputBuffer"]


class OutputBuffer(Unit):
    """Two output tiles of m vectors; scatter fills one while gather is fed from the other.

    Lane `l` holds tokens j = l (mod S), C elements a word.  A vector leaves in V/C words; column groups that were not
    computed, and elements beyond the last vector's, read as +0.
    Throughput one word per cycle, latency from a full tile to its first word 2 cycles.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    tile : Out(stream of 1), valid while a tile is free; the transfer takes it.
    en, addr, data, done : In, one each lane; `done` pulses with or behind the lane's last word of a tile.
    orders : In(stream of `layouts.output_order`), one per output tile.
    words : Out(stream of `layouts.output_word`), V/C per token.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        lanes, depth = p.scatter_lanes, 2 * p.col_passes * (p.m_tile // p.scatter_lanes)
        self.depth = depth
        super().__init__({
            "tile": Out(stream.Signature(1)),
            "en": In(lanes), "done": In(lanes), "addr": In(data.ArrayLayout((depth - 1).bit_length(), lanes)),
            "data": In(data.ArrayLayout(p.cols * p.leave_bits, lanes)),
            "orders": In(stream.Signature(layouts.output_order(p))),
            "words": Out(stream.Signature(layouts.output_word(p))),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        reading, full, emptied = Signal(), Signal(2), Signal()
        self._tiles(m, full, reading, emptied)
        self._read(m, full, reading, emptied)
        return m

    def _tiles(self, m: Module, full: Signal, reading: Signal, emptied: Signal) -> None:
        """Free -> taken -> written by every lane -> full -> emptied -> free."""
        taken, taking = Signal(2), Signal()
        written = [Signal(2, name=f"written{lane}") for lane in range(self.p.scatter_lanes)]
        m.d.comb += [self.tile.valid.eq(~taken.bit_select(taking, 1))]
        for half in range(2):
            m.d.comb += full[half].eq(Cat(lane[half] for lane in written).all())
        with m.If(self.tile.valid & self.tile.ready):
            m.d.sync += [taken.bit_select(taking, 1).eq(1), taking.eq(~taking)]
        for lane, flags in enumerate(written):
            filling = Signal(name=f"filling{lane}")
            with m.If(self.done[lane]):
                m.d.sync += [flags.bit_select(filling, 1).eq(1), filling.eq(~filling)]
        with m.If(emptied):
            m.d.sync += [taken.bit_select(reading, 1).eq(0), reading.eq(~reading)]
            m.d.sync += [flags.bit_select(reading, 1).eq(0) for flags in written]

    def _read(self, m: Module, full: Signal, reading: Signal, emptied: Signal) -> None:
        p = self.p
        order, width, words = self.orders.payload, p.cols * p.leave_bits, self.words
        token, col = Signal(p.index_bits), Signal(range(p.col_passes))
        lanes_log = (p.scatter_lanes - 1).bit_length()
        last_col, last_token = col == p.col_passes - 1, token == order.tokens - 1
        held_col, held_lane = Signal.like(col), Signal(max(lanes_log, 1))
        lanes, cols = Signal.like(order.lanes), Signal.like(order.cols)
        issue = Signal()
        m.d.comb += [
            # A word waits at the Rams' outputs until it is taken.
            issue.eq(self.orders.valid & full.bit_select(reading, 1) & (~words.valid | words.ready)),
            emptied.eq(issue & last_col & last_token), self.orders.ready.eq(emptied),
        ]
        rams = []
        for lane in range(p.scatter_lanes):
            ram = place(m, f"lane{lane}", Ram(width, self.depth, p.memories))
            m.d.comb += [
                ram.w_en.eq(self.en[lane]), ram.w_addr.eq(self.addr[lane]), ram.w_data.eq(self.data[lane]),
                ram.r_en.eq(issue), ram.r_addr.eq(Cat(token[lanes_log:], col + Mux(reading, p.col_passes, 0))),
            ]
            rams.append(ram.r_data)
        with m.If(issue):
            m.d.sync += [
                words.valid.eq(1), words.payload.last.eq(last_col), held_col.eq(col),
                held_lane.eq(token[:lanes_log]), lanes.eq(order.lanes), cols.eq(order.cols),
                col.eq(Mux(last_col, 0, col + 1)),
            ]
            with m.If(last_col):
                m.d.sync += token.eq(Mux(last_token, 0, token + 1))
        with m.Elif(words.ready):
            m.d.sync += words.valid.eq(0)
        word = Array(rams)[held_lane]
        for number in range(p.cols):
            there = (held_col < cols) & (held_col * p.cols + number < lanes)
            m.d.comb += words.payload.data[number].eq(Mux(there, word.word_select(number, p.leave_bits), 0))
