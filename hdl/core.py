# SPDX-License-Identifier: Apache-2.0
"""Core: the whole streaming accelerator, composed.  Model: golden/core.py; contracts: docs/architecture.md."""

from collections.abc import Mapping
from typing import Any

from amaranth import Module, Value
from amaranth.lib import stream
from amaranth.lib.data import View
from amaranth.lib.wiring import In, Out, connect, flipped

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.array.input_buffer import InputBuffer
from focus_rtl.hdl.array.sequencer import Sequencer
from focus_rtl.hdl.array.systolic import Systolic
from focus_rtl.hdl.control import Control, OutputTiles
from focus_rtl.hdl.sec import layouts as sec_layouts
from focus_rtl.hdl.sec.positions import Positions
from focus_rtl.hdl.sec.sec import Sec
from focus_rtl.hdl.sic.assembler import Assembler
from focus_rtl.hdl.sic.gather import Gather
from focus_rtl.hdl.sic.map_buffer import MapBuffer
from focus_rtl.hdl.sic.output_buffer import OutputBuffer
from focus_rtl.hdl.sic.output_stage import OutputStage
from focus_rtl.hdl.sic.scatter import Scatter
from focus_rtl.hdl.stream.fifo import Fifo
from focus_rtl.hdl.stream.fork import Fork
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Core", "core_members"]


def core_members(p: Parameters) -> dict[str, Any]:
    """The streams of a core of that configuration."""
    return {
        "job": In(stream.Signature(layouts.job(p))), "tiles": In(stream.Signature(layouts.tile(p))),
        "vectors": In(stream.Signature(layouts.slice_beat(p))), "maps": In(stream.Signature(layouts.maps(p))),
        "weights": In(stream.Signature(layouts.weights(p))),
        "positions": In(stream.Signature(layouts.position(p))),
        "retained": In(stream.Signature(sec_layouts.offset_beat(p.offset_bits))),
        "preloads": In(stream.Signature(layouts.preloads(p))),
        **({"scales": In(stream.Signature(layouts.scales(p)))} if p.leave_bits != p.element_bits else {}),
        "outputs": Out(stream.Signature(layouts.vector_beat(p))),
        "out_maps": Out(stream.Signature(layouts.index_beat(p))),
        "summary": Out(stream.Signature(layouts.summary(p))),
        "status": Out(stream.Signature(layouts.status(p))),
        "sec_orders": In(stream.Signature(sec_layouts.sec_order(p.sec_tokens_max))),
        "scores": In(stream.Signature(sec_layouts.scores(p.sec_lanes))),
        "previous": In(stream.Signature(sec_layouts.offsets(p.offset_bits))),
        "offsets": Out(stream.Signature(sec_layouts.offset_beat(p.offset_bits))),
        "sec_status": Out(stream.Signature(sec_layouts.status(p.sec_tokens_max, p.counter_bits))),
    }


class Core(Unit):
    """Concentrated vectors, maps, weights, positions in -> the next layer's concentrated vectors and maps out.

    One job (a GEMM of any M, K, N within the configuration) at a time, tile by tile; the order of beats on every stream
    and what a bad job does are in docs/architecture.md.  Throughput one vector per cycle into the array.  Beside it,
    and at its own pace, the semantic concentrator: scores of the softmax in -> offsets of the tokens that stay out,
    which later jobs take as `retained`.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    job, tiles, vectors, maps, weights, positions, preloads : In, streams of the layouts of these names
        (`vectors`: `slice_beat`, `positions`: `position`); with int8 also `scales`.
    retained : In(stream of `hdl.sec.layouts.offset_beat`).
    outputs, out_maps, summary, status : Out, streams of `vector_beat`, `index_beat`, `summary`, `status`.
    sec_orders, scores, previous, offsets, sec_status : streams of `Sec`.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__(core_members(p), p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        control, output_tiles = place(m, "control", Control(p)), place(m, "output_tiles", OutputTiles(p))
        fork = place(m, "fork", Fork(layouts.orders(p), 4))
        buffer, sequencer = place(m, "input_buffer", InputBuffer(p)), place(m, "sequencer", Sequencer(p))
        # Two weight tiles: one being shifted in, one behind it.
        weights = place(m, "weight_fifo", Fifo(layouts.weights(p), 2 * p.rows, p.memories))
        array, maps = place(m, "array", Systolic(p)), place(m, "map_buffer", MapBuffer(p))
        scatter, output = place(m, "scatter", Scatter(p)), place(m, "output_buffer", OutputBuffer(p))
        positions, gather = place(m, "positions", Positions(p)), place(m, "gather", Gather(p))

        connect(m, flipped(self.job), control.job)
        connect(m, flipped(self.tiles), control.tiles)
        connect(m, control.orders, fork.i)
        for orders, unit in zip(fork.o, (sequencer, maps, output_tiles, positions), strict=True):
            _tell(m, orders, unit.tiles, control.layer,
                  {name: orders.payload[name] for name in orders.payload.shape().members})
        connect(m, flipped(self.vectors), buffer.vectors)
        connect(m, buffer.slot, sequencer.slot)
        connect(m, buffer.opened, maps.slices)
        connect(m, flipped(self.weights), weights.i)
        connect(m, sequencer.vectors, array.vectors)
        connect(m, weights.o, array.weights)
        connect(m, sequencer.orders, scatter.orders)
        connect(m, array.psums, scatter.psums)
        connect(m, flipped(self.maps), maps.maps)
        connect(m, output.tile, scatter.tile)
        connect(m, flipped(self.preloads), scatter.preloads)
        _tell(m, output_tiles.gathers, gather.orders, control.layer, {"tokens": output_tiles.gathers.payload})
        bad_scale = self._leave(m, output_tiles, output, gather)
        connect(m, flipped(self.positions), positions.direct)
        connect(m, flipped(self.retained), positions.retained)
        connect(m, positions.positions, gather.positions)
        connect(m, gather.outputs, flipped(self.outputs))
        connect(m, gather.out_maps, flipped(self.out_maps))
        connect(m, gather.summary, flipped(self.summary))
        connect(m, control.status, flipped(self.status))
        m.d.comb += [
            buffer.r_en.eq(sequencer.r_en), buffer.r_row.eq(sequencer.r_row), buffer.r_index.eq(sequencer.r_index),
            sequencer.r_data.eq(buffer.r_data),
            scatter.map_full.eq(maps.full), maps.release.eq(scatter.map_release),
            maps.r_en.eq(scatter.r_en), maps.r_word.eq(scatter.r_word), scatter.r_data.eq(maps.r_data),
            output.en.eq(scatter.out_en), output.done.eq(scatter.out_done),
            Value.cast(output.addr).eq(Value.cast(scatter.out_addr)),
            Value.cast(output.data).eq(Value.cast(scatter.out_data)),
        ]
        m.d.comb += [control.bad_scale.eq(bad_scale), control.bad_offset.eq(positions.bad_offset),
                     control.offsets_left.eq(positions.busy)]
        self._report(m, control, sequencer, array, scatter, gather)
        self._concentrate_tokens(m)
        return m

    def _concentrate_tokens(self, m: Module) -> None:
        """The semantic concentrator, which nothing else waits for: software says which offsets a job takes."""
        p = self.p
        sec = place(m, "sec", Sec(p.sec_tokens_max, p.sec_lanes, p.top_k, p.offset_bits, p.memories, p.counter_bits))
        connect(m, flipped(self.sec_orders), sec.orders)
        connect(m, flipped(self.scores), sec.scores)
        connect(m, flipped(self.previous), sec.previous)
        connect(m, sec.offsets, flipped(self.offsets))
        connect(m, sec.status, flipped(self.sec_status))

    def _leave(self, m: Module, output_tiles: OutputTiles, output: OutputBuffer, gather: Gather) -> Value:
        """From the output buffer to gather: elements as they are, int32 sums through the output stage."""
        p = self.p
        floats = p.leave_bits == p.element_bits
        fork = place(m, "output_fork", Fork(layouts.output_order(p), 1 if floats else 2))
        connect(m, output_tiles.outputs, fork.i)
        if floats:
            assembler = place(m, "assembler", Assembler(p))
            skid = place(m, "output_skid", Skid(layouts.vector_elements(p)))
            connect(m, fork.o[0], output.orders)
            connect(m, output.words, assembler.words)
            connect(m, assembler.vectors, skid.i)
            connect(m, skid.o, gather.vectors)
            return Value.cast(0)
        stage = place(m, "output_stage", OutputStage(p))
        connect(m, fork.o[0], output.orders)
        connect(m, fork.o[1], stage.orders)
        connect(m, flipped(self.scales), stage.scales)
        connect(m, output.words, stage.words)
        connect(m, stage.elements, gather.vectors)
        return stage.bad_scale

    def _report(self, m: Module, control: Control, sequencer: Sequencer, array: Systolic, scatter: Scatter,
                gather: Gather) -> None:
        """What ends a job, what it did wrong, and what its counters count."""
        events = {
            "array_busy": array.entered, "array_idle": sequencer.idle, "stall_input": sequencer.wait_input,
            "stall_psum": sequencer.wait_psum, "stall_weights": array.wait_weights, "stall_chain": array.wait_chain,
            "empty_slices": sequencer.passes_over,
            "scatter_conflicts": scatter.conflicts, "scatter_chases": scatter.chases,
            "scatter_hazards": scatter.hazards, "stall_preload": scatter.preload_waits,
            "mean_hazards": gather.mean_hazard, "stall_output": scatter.wait_tile,
            "stall_positions": gather.positions.ready & ~gather.positions.valid,
            "vectors_in": self.vectors.valid & self.vectors.ready & ~self.vectors.payload.void,
            "vectors_out": self.outputs.valid & self.outputs.ready,
        }
        m.d.comb += [control.events[name].eq(event) for name, event in events.items()]
        m.d.comb += [
            control.ended[0].eq(self.outputs.valid & self.outputs.ready & self.outputs.payload.last),
            control.ended[1].eq(self.out_maps.valid & self.out_maps.ready & self.out_maps.payload.last),
            control.ended[2].eq(self.summary.valid & self.summary.ready),
            control.bad_slice.eq(sequencer.bad_slice), control.bad_index.eq(scatter.bad_index),
        ]


def _tell(m: Module, orders: Any, unit: Any, layer: View, own: Mapping[str, Value]) -> None:
    """A block's orders: what is a tile's `own`, and for the rest the job, which stands as long as there are orders."""
    m.d.comb += [unit.valid.eq(orders.valid), orders.ready.eq(unit.ready),
                 *(unit.payload[name].eq(own[name] if name in own else layer[name])
                   for name in unit.payload.shape().members)]
