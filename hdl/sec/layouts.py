# SPDX-License-Identifier: Apache-2.0
"""Payloads of the semantic concentrator's streams, and its sizes: one place for every width and field order."""

from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.utils import bits_for

__all__ = ["ERRORS", "PHASES", "SCORE_BITS", "SWEEP_BITS", "check_lanes", "check_offset_bits", "decode_order",
           "encode_order", "fill_order", "mask_beat", "offset_beat", "offsets", "scores", "sec_order", "select_order",
           "status", "words_of"]

SCORE_BITS = 15
"""A stored score: binary16 without its sign, which is always 0; numbers are ordered like these bits."""

SWEEP_BITS = 17
"""Width of the number of sweeps: heads times text rows."""

ERRORS: dict[str, int] = {"OK": 0, "ORDER": 1}
"""Codes of `status.error`."""

PHASES: dict[str, str] = {
    "importance": "cycles from the order's acceptance until the last score is stored",
    "top_k": "cycles from then until the last mask is out: the sorter's passes, the last one at the encoder's pace",
    "offsets": "cycles from then until the last offset is taken",
}
"""Counters of `status`; together they are the cycles from an order's acceptance to its end."""


def check_lanes(unit: str, tokens_max: int, lanes: int) -> None:
    """Refuse a number of tokens or lanes that is no whole number in range."""
    for name, value, legal, holds in (
            ("tokens_max", tokens_max, "between 1 and 65536", lambda v: 1 <= v <= 65536),
            ("lanes", lanes, "a power of two between 2 and 64", lambda v: 2 <= v <= 64 and v & (v - 1) == 0)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} = {value!r} of {unit}: must be {legal}")
        if not holds(value):
            raise ValueError(f"{name} = {value} of {unit}: must be {legal}")


def check_offset_bits(unit: str, bits: int) -> None:
    """Refuse a width of an offset."""
    if not 1 <= bits <= 16:
        raise ValueError(f"offset_bits = {bits} of {unit}: must be between 1 and 16")


def words_of(tokens: int, lanes: int) -> int:
    """Words of `lanes` scores that hold so many tokens."""
    return -(-tokens // lanes)


def scores(lanes: int) -> StructLayout:
    """Binary16 scores of a softmax: of `lanes` tokens of one row, or of `lanes` rows of one token."""
    return StructLayout({"data": ArrayLayout(16, lanes)})


def fill_order(tokens_max: int) -> StructLayout:
    """Scores of `tokens` tokens will come in `sweeps` sweeps; `spatial`: a beat is of one token."""
    return StructLayout({"tokens": bits_for(tokens_max), "sweeps": SWEEP_BITS, "spatial": 1})


def select_order(tokens_max: int) -> StructLayout:
    """Of `tokens` stored scores the `k` largest are to be found."""
    return StructLayout({"tokens": bits_for(tokens_max), "k": bits_for(tokens_max)})


def mask_beat(lanes: int) -> StructLayout:
    """Which of `lanes` tokens stay, token 0 low; `last` on the last word."""
    return StructLayout({"mask": lanes, "last": 1})


def encode_order(tokens_max: int) -> StructLayout:
    """A mask over `tokens` tokens, of which `k` stay; `pruned`: the tokens' own distances come as `previous`."""
    return StructLayout({"tokens": bits_for(tokens_max), "k": bits_for(tokens_max), "pruned": 1})


def offsets(bits: int) -> StructLayout:
    """A distance, or 0, the escape."""
    return StructLayout({"offset": bits})


def offset_beat(bits: int) -> StructLayout:
    """The same with `last` on the last token's."""
    return StructLayout({"offset": bits, "last": 1})


def decode_order(tokens_max: int, grid_max: tuple[int, int, int]) -> StructLayout:
    """Offsets of the tokens of a video of that grid, whose rows and frames are that many tokens apart."""
    frames, height, width = grid_max
    return StructLayout({
        "frames": bits_for(frames), "height": bits_for(height),
        "width": bits_for(width), "row_stride": bits_for(tokens_max), "frame_stride": bits_for(tokens_max)})


def sec_order(tokens_max: int) -> StructLayout:
    """A layer's pruning: fields as in `fill_order` and `encode_order`."""
    return StructLayout({"tokens": bits_for(tokens_max), "k": bits_for(tokens_max), "sweeps": SWEEP_BITS,
                         "spatial": 1, "pruned": 1})


def status(tokens_max: int, counter_bits: int = 32) -> StructLayout:
    """How an order ended: a code of `ERRORS`, offsets sent (escapes included), and the cycles of each of `PHASES`."""
    return StructLayout({"error": 1, "symbols": bits_for(2 * tokens_max), **dict.fromkeys(PHASES, counter_bits)})
