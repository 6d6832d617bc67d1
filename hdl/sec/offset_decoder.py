# SPDX-License-Identifier: Apache-2.0
"""OffsetDecoder: offsets -> frame, row and column of every token, as gather's positions.

Model: `golden/sec/offsets.py`.  Test: `verif/sec/test_offsets.py`.
"""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from focus_rtl.hdl.layouts import grid_position
from focus_rtl.hdl.sec import layouts
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.hdl.unit import Unit, place

__all__ = ["OffsetDecoder"]


class OffsetDecoder(Unit):
    """Offsets in, one position per token out: no division, only counters that know how far the next row and frame are.

    Token = frame * frame_stride + row * row_stride + column.  Strides may be larger than the grid: what lies between
    (separator tokens) gets a place outside it, column `width` behind a row, row `height`, column 0 behind a frame,
    which gather passes unmatched.  Behind the last frame the position is that of text, image = 0, and `beyond` tells.

    A distance is walked in steps: to the next frame if it reaches so far, else to the next row, else to its end.  So a
    distance costs one cycle, and one more for each start of a row or frame that it stops at; all offsets of a video
    together cost at most their number (escapes included) + frames * (height + 1) cycles.  Latency 2 cycles for a
    distance within a row.

    An order is done when the offset with `last` is; wherever that comes, and be it an escape.  Wrong strides give wrong
    positions, but every offset ends.

    Parameters
    ----------
    tokens_max : largest stride.  offset_bits : as `OffsetEncoder`.
    frames, height, width : the largest grid.

    Members
    -------
    orders : In(stream of `layouts.decode_order`); strides at least the grid's.  Taken when its offsets are decoded, at
        the earliest in the cycle in which the last position is offered.
    offsets : In(stream of `layouts.offset_beat`), `last` on an order's last one.
    positions : Out(stream of `focus_rtl.hdl.layouts.position`).
    beyond : Out(1), high in a cycle in which a token behind the last frame is met.
    """

    latency = 2

    def __init__(self, tokens_max: int = 12800, offset_bits: int = 8, frames: int = 64, height: int = 14,
                 width: int = 14) -> None:
        layouts.check_lanes("OffsetDecoder", tokens_max, 2)
        layouts.check_offset_bits("OffsetDecoder", offset_bits)
        for name, size, limit in (("frames", frames, 4096), ("height", height, 256), ("width", width, 256)):
            if not 1 <= size <= limit:
                raise ValueError(f"{name} = {size} of OffsetDecoder: must be between 1 and {limit}")
        self.grid_max = (frames, height, width)
        self.offset_bits = offset_bits
        super().__init__({
            "orders": In(stream.Signature(layouts.decode_order(tokens_max, self.grid_max))),
            "offsets": In(stream.Signature(layouts.offset_beat(offset_bits))),
            "positions": Out(stream.Signature(grid_position(self.grid_max))), "beyond": Out(1),
        }, tokens_max=tokens_max, offset_bits=offset_bits, frames=frames, height=height, width=width)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        order = self.orders.payload
        skid = place(m, "skid", Skid(self.positions.payload.shape()))
        connect(m, skid.o, flipped(self.positions))
        distance, moving, token = Signal(self.offset_bits), Signal(), Signal()
        arrive, leave, begun, closed = Signal(), Signal(), Signal(), Signal()
        offset = self.offsets.payload.offset
        m.d.comb += [
            self.offsets.ready.eq(self.orders.valid & ~closed & (~moving | leave)),
            leave.eq(arrive & (~token | skid.i.ready)),
            skid.i.valid.eq(arrive & token),
            self.orders.ready.eq(self.orders.valid & closed & ~moving),
        ]
        remaining = self._walk(m, order, distance, moving, arrive, leave, skid.i.payload)
        m.d.comb += self.beyond.eq(skid.i.valid & skid.i.ready & ~skid.i.payload.image)
        m.d.sync += distance.eq(remaining)
        with m.If(self.offsets.valid & self.offsets.ready):
            m.d.sync += [moving.eq(1), token.eq(offset != 0), begun.eq(1), closed.eq(self.offsets.payload.last),
                         distance.eq(Mux(offset == 0, ~0, offset) - ~begun)]
        with m.Elif(leave):
            m.d.sync += moving.eq(0)
        with m.If(self.orders.ready):
            m.d.sync += [closed.eq(0), begun.eq(0)]
        return m

    def _walk(self, m: Module, order: Value, distance: Value, moving: Value, arrive: Value, leave: Value,
              here: Value) -> Value:
        """One step of `distance` per cycle; returns what is left of it.  `here`: the position, valid with `arrive`."""
        frames, height, _ = self.grid_max
        frame, row, column = Signal(range(frames + 1)), Signal(range(height + 1)), Signal.like(order.row_stride)
        row_left, frame_left = Signal.like(order.row_stride), Signal.like(order.frame_stride)
        beyond, behind_rows = frame == order.frames, row == order.height
        next_frame, next_row = Signal(), Signal()
        end = Signal.like(column)
        m.d.comb += [
            next_frame.eq(moving & ~beyond & (distance >= frame_left)),
            next_row.eq(moving & ~beyond & ~behind_rows & (distance >= row_left)),
            arrive.eq(moving & ~next_frame & ~next_row), end.eq(column + distance),
            here.image.eq(~beyond), here.frame.eq(Mux(beyond, 0, frame)), here.row.eq(Mux(beyond, 0, row)),
            here.column.eq(Mux(beyond | behind_rows, 0, Mux(end < order.width, end, order.width))),
        ]
        remaining = Signal.like(distance)
        m.d.comb += remaining.eq(distance)
        with m.If(next_frame):
            m.d.comb += remaining.eq(distance - frame_left)
            m.d.sync += [frame.eq(frame + 1), row.eq(0), column.eq(0), row_left.eq(order.row_stride),
                         frame_left.eq(order.frame_stride)]
        with m.Elif(next_row):
            m.d.comb += remaining.eq(distance - row_left)
            m.d.sync += [row.eq(row + 1), column.eq(0), row_left.eq(order.row_stride),
                         frame_left.eq(frame_left - row_left)]
        with m.Elif(leave & ~beyond):
            m.d.sync += [column.eq(end), row_left.eq(row_left - distance), frame_left.eq(frame_left - distance)]
        idle = Signal(init=1)
        m.d.sync += idle.eq(self.orders.ready | ~self.orders.valid)
        with m.If(idle):
            m.d.sync += [frame.eq(0), row.eq(0), column.eq(0), row_left.eq(order.row_stride),
                         frame_left.eq(order.frame_stride)]
        return remaining
