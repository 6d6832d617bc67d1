# SPDX-License-Identifier: Apache-2.0
"""Named faults of the semantic concentrator, for `verif/core/mutants.py`."""

from focus_rtl.verif.core.faults import Edit, Fault

__all__ = ["FAULTS", "TESTS"]

TESTS: dict[str, str] = {
    "importance": "verif/sec/test_importance.py::test_importance[narrow]",
    "top-k": "verif/sec/test_topk.py::test_topk[two groups]",
    "top-k, narrow": "verif/sec/test_topk.py::test_topk[narrow]",
    "offsets": "verif/sec/test_offsets.py::test_offsets[three bits]",
    "positions": "verif/sec/test_positions.py::test_positions[narrow]",
    "late offsets": "verif/core/test_core.py::test_offsets_that_come_late[tiny]",
    "sec": "verif/sec/test_sec.py::test_sec[radix, narrow]",
}
"""Tests that these faults are run against, by short name."""


def _in(file: str, test: str, faults: dict[str, tuple[str, str]]) -> tuple[Fault, ...]:
    """Faults of one file (`..` for one outside hdl/sec), each a text and what it becomes, found by one test."""
    return tuple(Fault(name, (Edit(f"sec/{file}.py", old, new),), (test,)) for name, (old, new) in faults.items())


FAULTS: tuple[Fault, ...] = (
    *_in("importance", "importance", {
        "NaN taken for a score": ("bits[-1] | (magnitude > _INFINITY)", "bits[-1]"),
        "negative numbers taken for scores": ("bits[-1] | (magnitude > _INFINITY)", "magnitude > _INFINITY"),
        "infinity taken for NaN": ("magnitude > _INFINITY", "magnitude >= _INFINITY"),
        "scores of the layer before not cleared": ("old = Mux(s1.first, 0,", "old = Mux(0, 0,"),
        "a word is read before it is written back": ("taken.eq(word_valid & ~blocked)", "taken.eq(word_valid)"),
        "lanes beyond the last token are scores": ("Mux(exists, word[lane], 0)", "word[lane]"),
        "half of the tree is not looked at": ("best.eq(_larger(a, b))", "best.eq(a)"),
        "the last word in part is never written": ("(last | token[:lane_bits].all())", "token[:lane_bits].all()"),
        "beat overwritten under stall": ("step.eq(~word_valid | taken)", "step.eq(1)"),
    }),
    *_in("radix", "top-k", {
        "more tokens stay than k where scores are equal": ("counted.enough & ~Mux(fits, 0, counted.equal)",
                                                           "counted.enough"),
        "radix: more than for at least": ("score >= trial", "score > trial"),
        "radix: a bit found is forgotten": ("known.eq(so_far), trial", "known.eq(known), trial"),
        "radix: scores above are not subtracted": ("m.d.sync += above.eq(count)", "m.d.sync += above.eq(above)"),
        "radix: the last bit is not looked for": ("with m.If(bit[0]):", "with m.If(bit[1]):"),
        "radix: mask lost under stall": ("step.eq(~here | leave)", "step.eq(1)"),
        "radix: second group of lanes not counted": ("s4.number.eq(_sum(groups))", "s4.number.eq(groups[0])"),
    }),
    *_in("bubble", "top-k", {
        "bubble: of equal scores the later wins": ("Const(1, 1)) > Cat(", "Const(1, 1)) >= Cat("),
        "bubble: the border comes again": ("entry.token <= border.token", "entry.token < border.token"),
        "bubble: the last pass takes too many": ("closed = left + number < self.lanes", "closed = Const(0, 1)"),
    }),
    *_in("bubble", "top-k, narrow", {
        "bubble: mask lost under stall": ("step.eq(~skid.i.valid | skid.i.ready)", "step.eq(1)"),
    }),
    *_in("offset_encoder", "offsets", {
        "escape at the longest distance": ("total > reach, total >= reach", "total >= reach, total >= reach"),
        "escape takes one too many": ("total - reach, total))", "total - reach - 1, total))"),
        "distance left over from the order before": ("m.d.sync += gap.eq(0)", "m.d.sync += gap.eq(gap)"),
        "previous offsets taken without pruning": ("self.previous.ready.eq(ready & order.pruned)",
                                                   "self.previous.ready.eq(ready)"),
        "last marked too late": ('last.eq(now["sent"] == order.k - 1)', 'last.eq(now["sent"] == order.k)'),
        "mask of the order before goes on": ("| (seen == order.tokens - 1)", ""),
    }),
    *_in("offset_decoder", "offsets", {
        "first offset counted from token 0": (" - ~begun)", ")"),
        "row ends one late": ("distance >= row_left", "distance > row_left"),
        "frame ends one late": ("distance >= frame_left", "distance > frame_left"),
        "separator at a place of its own": ("Mux(end < order.width, end, order.width)", "end"),
        "columns left of the row before": ("column.eq(0), row_left.eq(order.row_stride),\n"
                                           "                         frame_left.eq(frame_left - row_left)]",
                                           "column.eq(0), frame_left.eq(frame_left - row_left)]"),
        "nothing behind the last frame": ("beyond, behind_rows = frame == order.frames,",
                                          "beyond, behind_rows = frame != frame,"),
    }),
    *_in("positions", "positions", {
        "the last pass looks behind the positions it takes": ("Mux(last_vector, base, base + token)",
                                                              "base + token"),
        "positions gone after the first pass": ("release.eq(step & kept & last_vector)", "release.eq(step & kept)"),
        "text takes offsets": ("image, kept, stored = tile.decoded & ~tile.text,",
                               "image, kept, stored = tile.decoded,"),
        "positions left over go to the next job": ("held.eq(Mux(closing, 0, held + write - release))",
                                                   "held.eq(held + write - release)"),
        "offsets are not taken to their end": ("with m.If(closing & over):", "with m.If(closing):"),
        "a position is lost where the ring is full": ("decoder.positions.ready.eq((held != p.m_tile) | closing)",
                                                      "decoder.positions.ready.eq(1)"),
        "the last position is not waited for": ("over = ended & ~decoder.positions.valid", "over = ended"),
        "missing offsets are not told": ("return step & image & ~kept,", "return step & image & 0,"),
        "offsets left over are not told": ("missing | left_over | decoder.beyond", "missing | decoder.beyond"),
        "positions taken in a decoded job": ("self.direct.ready.eq(free & ~tile.decoded)",
                                             "self.direct.ready.eq(free)"),
        "a position changes under stall": ("(~here | skid.i.ready))", "1)"),
    }),
    *_in("../control", "late offsets", {
        "status does not wait for the end of the offsets": ("drained & ~self.offsets_left", "drained"),
        "wrong offsets are not told": ("Cat(self.bad_offset,", "Cat(self.bad_offset & 0,"),
    }),
    *_in("importance", "sec", {
        "scores of the next order taken": ("all_taken.eq(sweep == ends.sweep)", "all_taken.eq(sweep > ends.sweep)"),
    }),
    *_in("sec", "sec", {
        "k above the number of tokens let through": (" | (new.k > new.tokens)", ""),
        "scores never released": ("store.release.eq(sorter.orders.ready)", "store.release.eq(0)"),
        "symbols of the order before counted": ("report.symbols.eq(0),", "report.symbols.eq(report.symbols),"),
    }),
)
"""Every fault must be found by its test."""
