# SPDX-License-Identifier: Apache-2.0
"""ScatterPath: map buffer, scatter and output buffer under one top, as the core joins them."""

from amaranth import Module, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.sic.assembler import Assembler
from focus_rtl.hdl.sic.map_buffer import MapBuffer
from focus_rtl.hdl.sic.output_buffer import OutputBuffer
from focus_rtl.hdl.sic.scatter import Scatter
from focus_rtl.hdl.unit import Unit, place

__all__ = ["EVENTS", "ScatterPath"]

EVENTS = ("conflicts", "chases", "hazards", "preload_waits", "wait_tile", "bad_index")


class ScatterPath(Unit):
    """Orders, maps and psums in -> whole output vectors out.

    Members
    -------
    tiles, maps, slices : as `MapBuffer`.  orders, psums, preloads : as `Scatter`.
    out_orders, vectors : as `orders` of `OutputBuffer` and `vectors` of `Assembler`.
    map_release : Out(1), the last word of a map was read for the last time.  EVENTS : Out, as `Scatter`.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        self.scatter = Scatter(p)
        super().__init__({
            "tiles": In(stream.Signature(layouts.tile_order(p))), "maps": In(stream.Signature(layouts.maps(p))),
            "slices": In(stream.Signature(1)), "orders": In(stream.Signature(layouts.scatter_order(p))),
            "psums": In(stream.Signature(layouts.psum_beat(p), always_ready=True)),
            "preloads": In(stream.Signature(layouts.preloads(p))),
            "out_orders": In(stream.Signature(layouts.output_order(p))),
            "vectors": Out(stream.Signature(layouts.accumulators(p))),
            "map_release": Out(1),
            **{event: Out(getattr(self.scatter, event).shape()) for event in EVENTS},
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        """The four units, joined as in `hdl/core.py`."""
        m = Module()
        maps, output = place(m, "maps_", MapBuffer(self.p)), place(m, "output", OutputBuffer(self.p))
        scatter, assembler = place(m, "scatter", self.scatter), place(m, "assembler", Assembler(self.p))
        connect(m, flipped(self.tiles), maps.tiles)
        connect(m, flipped(self.maps), maps.maps)
        connect(m, flipped(self.slices), maps.slices)
        connect(m, flipped(self.orders), scatter.orders)
        connect(m, flipped(self.psums), scatter.psums)
        connect(m, flipped(self.preloads), scatter.preloads)
        connect(m, flipped(self.out_orders), output.orders)
        connect(m, output.tile, scatter.tile)
        connect(m, output.words, assembler.words)
        connect(m, assembler.vectors, flipped(self.vectors))
        m.d.comb += [
            scatter.map_full.eq(maps.full), maps.release.eq(scatter.map_release),
            self.map_release.eq(scatter.map_release),
            maps.r_en.eq(scatter.r_en), maps.r_word.eq(scatter.r_word), scatter.r_data.eq(maps.r_data),
            output.en.eq(scatter.out_en), output.done.eq(scatter.out_done),
            Value.cast(output.addr).eq(Value.cast(scatter.out_addr)),
            Value.cast(output.data).eq(Value.cast(scatter.out_data)),
            *(getattr(self, event).eq(getattr(scatter, event)) for event in EVENTS),
        ]
        return m
