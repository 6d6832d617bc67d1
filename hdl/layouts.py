# SPDX-License-Identifier: Apache-2.0
"""Payloads of the streams between blocks and at the core's ports: one place for every width and field order.

The first field lies in the low bits.  A field `last` closes a packet and always comes last.
"""

from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.utils import bits_for

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.numeric.integer import T2_BITS

__all__ = [
    "COUNTERS", "CYCLES", "ERRORS", "ORDERS", "TAG_BITS", "accumulators", "array_beat", "gather_order",
    "grid_position", "index_beat", "job", "maps", "orders", "output_order", "output_word", "place_order",
    "position", "preloads", "psum_beat", "scales", "scatter_order", "slice_beat", "status", "summary", "tile",
    "tile_order", "vector_beat", "vector_elements", "weights",
]

ORDERS = 4
"""Scatter orders that may be under way: a psum is on its way through the array while earlier ones are scattered."""

TAG_BITS = bits_for(ORDERS - 1)
"""Width of the tag that tells their psums apart."""

ERRORS: dict[str, int] = {"OK": 0, "JOB": 1, "TILE": 2, "SLICE": 3, "INDEX": 4, "SCALE": 5,
                          "OFFSET": 6}
"""Codes of `status.error`."""

COUNTERS: dict[str, str] = {
    "cycles": "from the job's acceptance to its last output",
    "array_busy": "cycles in which a vector entered the array",
    "array_idle": "cycles in which there was no tile for it",
    "stall_input": "cycles it waited for a slice of vectors",
    "stall_psum": "cycles it waited for room for psums (scatter is behind)",
    "stall_weights": "cycles a pass waited for its weights",
    "stall_chain": "cycles a row pass waited for the previous one's psums",
    "empty_slices": "cycles in which a slice without vectors was passed over",
    "scatter_conflicts": "lane cycles lost to a psum bank that another lane was reading",
    "scatter_chases": "lane cycles spent waiting for a psum still in the array",
    "scatter_hazards": "lane cycles spent waiting for the same token's previous sum",
    "stall_preload": "lane cycles spent waiting for a token's preloaded accumulators",
    "mean_hazards": "cycles gather waited for the previous sum of the same group (representative mean)",
    "stall_output": "cycles scatter waited for a free output tile (gather is behind)",
    "stall_positions": "cycles gather had a vector and waited for its position",
    "vectors_in": "vectors taken from the port",
    "vectors_out": "vectors emitted at the port",
}
"""Counters of `status`, `counter_bits` wide each, in field order, with what each counts."""

CYCLES = ("array_busy", "array_idle", "stall_input", "stall_psum", "stall_weights", "stall_chain", "empty_slices")
"""The counters of which exactly one counts in every cycle of a job: together they are `cycles`."""


def _sides(p: Parameters) -> dict[str, int]:
    return {"height": bits_for(p.grid_max[1]), "width": bits_for(p.grid_max[2])}


def _matching(p: Parameters) -> dict[str, int]:
    return {**_sides(p), "t2": T2_BITS if p.dtype == "int8" else 32, "mask": p.candidates, "dense": 1}


def _walk(p: Parameters) -> dict[str, int]:
    return {
        "slices": bits_for(-(-p.k_max // p.vector)), "last_rows": bits_for(p.row_passes),
        "vectors": bits_for(-(-p.n_max // p.vector)), "last_cols": bits_for(p.col_passes),
        "last_lanes": bits_for(p.vector),
    }


def _video(p: Parameters) -> dict[str, int]:
    return {"frames": bits_for(p.grid_max[0]), "row_stride": bits_for(p.sec_tokens_max),
            "frame_stride": bits_for(p.sec_tokens_max)}


def job(p: Parameters) -> StructLayout:
    """A layer: how many tiles, slices, vectors; how many passes the last ones take; grid, threshold, modes.

    `decoded`: positions come as offsets, of a video of so many `frames` whose rows and frames are that far apart.
    """
    return StructLayout({"tiles": bits_for(p.tokens_max), **_walk(p), **_matching(p), "preload": 1, "decoded": 1,
                         **_video(p)})


def tile(p: Parameters) -> StructLayout:
    """An m-tile at the port: its number of tokens; `text`: where positions come as offsets, it has none."""
    return StructLayout({"tokens": p.count_bits, "text": 1})


def tile_order(p: Parameters) -> StructLayout:
    """An m-tile inside the core: its tokens and all that the job says."""
    return StructLayout({"tokens": p.count_bits, **_walk(p), **_matching(p), "preload": 1})


def place_order(p: Parameters) -> StructLayout:
    """An m-tile whose positions gather needs `vectors` times; `last`: of its job."""
    return StructLayout({"tokens": p.count_bits, "text": 1, "vectors": _walk(p)["vectors"], **_sides(p), "decoded": 1,
                         **_video(p), "last": 1})


def orders(p: Parameters) -> StructLayout:
    """What control says of an m-tile; `last`: of its job.  All else that a block's order holds is the job's."""
    return StructLayout({"tokens": p.count_bits, "text": 1, "last": 1})


def output_order(p: Parameters) -> StructLayout:
    """An output tile to be read out: tokens, valid column passes and valid elements of its vectors."""
    return StructLayout({"tokens": p.count_bits, "cols": bits_for(p.col_passes), "lanes": bits_for(p.vector)})


def gather_order(p: Parameters) -> StructLayout:
    """An output tile to be gathered: tokens, grid, threshold, candidate mask, mode."""
    return StructLayout({"tokens": p.count_bits, **_matching(p)})


def scatter_order(p: Parameters) -> StructLayout:
    """A k-slice times a column pass to be scattered.

    `count` psums will come, or `tokens` if those are fewer, for `tokens` tokens into column group `col`; on the `first`
    slice accumulators start from +0, or with `preload` from what `preloads` brings, on the `last` the sums leave;
    `map_done`: no further column pass uses this map; `tile_done`: the output tile is complete behind this order.  Its
    psums carry the same `tag`.  With `count` = 0 there are neither psums nor a map: the sums leave as they are.
    """
    return StructLayout({
        "tokens": p.count_bits, "count": p.count_bits, "tag": TAG_BITS, "col": bits_for(p.col_passes - 1),
        "first": 1, "last": 1, "map_done": 1, "tile_done": 1, "dense": 1, "preload": 1,
    })


def vector_elements(p: Parameters) -> ArrayLayout:
    """The V elements of a vector, lane 0 low."""
    return ArrayLayout(p.element_bits, p.vector)


def accumulators(p: Parameters) -> ArrayLayout:
    """The V sums of a vector as they leave scatter, lane 0 low: elements, or int32 sums for int8."""
    return ArrayLayout(p.leave_bits, p.vector)


def output_word(p: Parameters) -> StructLayout:
    """C of them, as the output buffer holds them, and whether they are the vector's last."""
    return StructLayout({"data": ArrayLayout(p.leave_bits, p.cols), "last": 1})


def scales(p: Parameters) -> StructLayout:
    """The binary32 scales of the C columns of a column pass (int8 only)."""
    return StructLayout({"scale": ArrayLayout(32, p.cols)})


def slice_beat(p: Parameters) -> StructLayout:
    """A vector of a k-slice and whether it is the last; `void`: the slice has none, and this is its only beat."""
    return StructLayout({"data": vector_elements(p), "void": 1, "last": 1})


def vector_beat(p: Parameters) -> StructLayout:
    """A vector that leaves and whether it is the last of its tile."""
    return StructLayout({"data": vector_elements(p), "last": 1})


def maps(p: Parameters) -> StructLayout:
    """S map indices, of tokens S*i .. S*i + S-1."""
    return StructLayout({"index": ArrayLayout(p.index_bits, p.scatter_lanes)})


def preloads(p: Parameters) -> StructLayout:
    """What the accumulators of tokens S*i .. S*i + S-1 start from: C words of the first token, then of the next."""
    return StructLayout({"acc": ArrayLayout(p.acc_bits, p.scatter_lanes * p.cols)})


def weights(p: Parameters) -> StructLayout:
    """A row of an R x C weight tile."""
    return StructLayout({"data": ArrayLayout(p.element_bits, p.cols)})


def position(p: Parameters) -> StructLayout:
    """Where a token comes from; `image` = 0 marks text and padding."""
    return grid_position(p.grid_max)


def grid_position(grid_max: tuple[int, ...]) -> StructLayout:
    """The same for a largest grid of (frames, height, width); row and column have room for a place outside it."""
    frames, height, width = grid_max
    return StructLayout({"column": bits_for(width), "row": bits_for(height), "frame": bits_for(frames - 1), "image": 1})


def index_beat(p: Parameters) -> StructLayout:
    """One map index and whether it is the tile's last."""
    return StructLayout({"index": p.index_bits, "last": 1})


def summary(p: Parameters) -> StructLayout:
    """What became of an output tile: vectors emitted, and all-zero vectors among its tokens."""
    return StructLayout({"unique": p.count_bits, "zeros": p.count_bits})


def status(p: Parameters) -> StructLayout:
    """How a job ended: a code of `ERRORS`, then the `COUNTERS`."""
    return StructLayout({"error": 3, **dict.fromkeys(COUNTERS, p.counter_bits)})


def array_beat(p: Parameters) -> StructLayout:
    """R elements of a vector on their way into the array.

    `first`: first vector of a pass (weights swap); `chain_in`: psums of the previous row pass enter at the top;
    `chain_out`: this pass's psums go round again; `tag`: of the scatter order; `last`: last vector of the pass.
    """
    return StructLayout({"data": ArrayLayout(p.element_bits, p.rows), "first": 1, "chain_in": 1, "chain_out": 1,
                         "tag": TAG_BITS, "last": 1})


def psum_beat(p: Parameters) -> StructLayout:
    """C finished psums of one vector for the scatter order `tag`; `last` marks the order's last vector."""
    return StructLayout({"data": ArrayLayout(p.acc_bits, p.cols), "tag": TAG_BITS, "last": 1})
