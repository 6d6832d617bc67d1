# SPDX-License-Identifier: Apache-2.0
"""Named faults in the hardware's source: each a few replacements, every one of which must apply exactly once."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["FAULTS", "TESTS", "Edit", "Fault"]

TESTS: dict[str, str] = {
    "core, tiny": "verif/core/test_core.py::test_jobs_back_to_back_under_every_stall[tiny]",
    "core, wide": "verif/core/test_core.py::test_jobs_back_to_back_under_every_stall[wide]",
    "core, hasty": "verif/core/test_core.py::test_jobs_back_to_back_under_every_stall[hasty]",
    "bad counts": "verif/core/test_core.py::test_bad_counts_end_a_job_at_once[tiny]",
    "bad data": "verif/core/test_core.py::test_bad_slices_and_indices_are_told_and_survived[tiny]",
    "streams": "verif/stream/test_stream.py::test_streams",
    "layouter": "verif/sic/test_layouter.py::test_layouter",
    "matcher": "verif/sic/test_matcher.py::test_matcher",
    "gather, seven": "verif/sic/test_gather.py::test_gather[seven]",
    "gather, thirds": "verif/sic/test_gather.py::test_gather[thirds]",
    "gather, none": "verif/sic/test_gather.py::test_gather[none]",
    "array": "verif/array/test_systolic.py::test_systolic[chained]",
    "array, wide": "verif/array/test_systolic.py::test_systolic[wide]",
    "array, deep": "verif/array/test_systolic.py::test_systolic[deep]",
    "void": "verif/core/test_core.py::test_void_counts_on_the_first_beat_of_a_slice_alone[tiny]",
    "many tiles": "verif/core/test_core.py::test_more_tiles_than_the_counters_hold",
}
"""Tests that faults are run against, by short name."""


@dataclass(frozen=True)
class Edit:
    """In `file` (below hdl/), `old` becomes `new`."""

    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Raises ValueError unless `old` occurs exactly once: a fault that is not applied would count as survivor."""
        path = root / "hdl" / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"hdl/{self.file}: the text to replace occurs {text.count(self.old)} times, "
                             f"must be once: {self.old!r}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Fault:
    """A fault, and the tests in the order in which they are tried."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...] = ("core, tiny", "core, wide", "bad data")


def _one(name: str, file: str, old: str, new: str, *tests: str) -> Fault:
    return Fault(name, (Edit(file, old, new),), tests or Fault.tests)


FAULTS: tuple[Fault, ...] = (
    _one("more tiles under way than the counters hold", "control.py",
         "self.tiles.valid & ~bad_tile & room)", "self.tiles.valid & ~bad_tile)", "many tiles"),
    _one("wrong sign in scatter's addition", "sic/scatter_lane.py",
         "total.b.eq(Mux(nothing, 0, self.psum.word_select(col, p.acc_bits)))",
         "total.b.eq(Mux(nothing, 0, self.psum.word_select(col, p.acc_bits) ^ (1 << 31)))"),
    _one("accumulator not cleared on the first slice", "sic/scatter_lane.py",
         "m.d.sync += [fresh.eq(head.first), ", "m.d.sync += [fresh.eq(0), "),
    _one("hazard ignored: a sum still in the adder is read", "sic/scatter.py",
         "ready & ~lane.head.void & ~lane.hazard for", "ready & ~lane.head.void for", "core, hasty"),
    _one("bank conflict ignored: two lanes read one bank", "sic/scatter.py",
         "before[lane] = wants[lane] & ~blocked", "before[lane] = wants[lane]", "core, wide"),
    _one("signed for unsigned where a psum's arrival is checked", "sic/scatter.py",
         "(lane.head.place - arrived)[ring_bits]", "(lane.head.place - arrived)[ring_bits - 1]"),
    _one("stale map half", "sic/map_buffer.py",
         "ram.r_addr.eq(Cat(self.r_word, reading))", "ram.r_addr.eq(Cat(self.r_word, filling))"),
    _one("ready stuck: a released map is never free again", "sic/map_buffer.py",
         "m.d.sync += [Array(full)[reading].eq(0), reading.eq(~reading)]", "m.d.sync += reading.eq(~reading)"),
    _one("index beyond the slice not replaced", "sic/map_reader.py",
         "entry.place.eq(base + Mux(index >= order.count, 0, index))", "entry.place.eq(base + index)", "bad data"),
    Fault("tie rule: the later candidate wins", (
        Edit("sic/matcher.py", "(m, name, b.q, a.n, a.q, b.n, depth)", "(m, name, a.q, b.n, b.q, a.n, depth)"),
        Edit("sic/matcher.py", "(~old.ok | greater)", "(~old.ok | ~greater)"))),
    Fault("threshold: at least instead of more than", (
        Edit("sic/likeness.py", "enough.a.eq(late(m, q,", "enough.c.eq(late(m, q,"),
        Edit("sic/likeness.py", "enough.b.eq(_ONE), enough.c.eq(scale.o)", "enough.d.eq(_ONE), enough.a.eq(scale.o)"),
        Edit("sic/likeness.py", "enough.d.eq(late(m, own,", "enough.b.eq(late(m, own,"),
        Edit("sic/likeness.py", "return enough.o", "return ~enough.o"))),
    _one("grid edge off by one", "sic/layouter.py",
         "(self.position.row < self.height)", "(self.position.row <= self.height)"),
    _one("window reaches over the left edge", "sic/layouter.py",
         "(position.column, dc))", "(position.column, 0))"),
    _one("frame tag ignored", "sic/layouter.py",
         "& (words.r_data[-frame_bits:] == wanted)", "& (words.r_data[-frame_bits:] == words.r_data[-frame_bits:])"),
    _one("candidate mask ignored", "sic/layouter.py",
         "self.enabled[number - 1] & Cat(inside).all()", "Cat(inside).all()"),
    _one("window reaches over the top edge", "sic/layouter.py", "(position.row, dr)", "(position.row, 0)", "layouter"),
    _one("a pass does not forget the one before", "sic/layouter.py",
         "with m.If(self.clear):", "with m.If(Const(0)):", "layouter"),
    _one("a dead vector does not hide what it overwrites", "sic/layouter.py",
         "Mux(self.live, word | entry, word & ~entry)", "Mux(self.live, word | entry, word)", "layouter"),
    _one("frame tag of a window of three off by the direction", "sic/layouter.py",
         "behind(self.p.block[:1], self.place.rest[spatial:], code >> spatial)",
         "behind(self.p.block[:1], code >> spatial, self.place.rest[spatial:])", "layouter"),
    _one("division by three wrong at nine", "sic/window.py", "Mux(part >= 9, 3,", "Mux(part > 9, 3,", "layouter"),
    _one("banks turned the wrong way", "sic/window.py",
         "values[number + ((start - own) % side - own) * stride]",
         "values[number + ((start + own) % side - own) * stride]", "layouter"),
    _one("neighbour's entry taken where the key's is", "sic/window.py", "(axis - (far > near))", "(axis - 0)",
         "layouter"),
    _one("banks of a memory overlap by an entry", "sic/window.py",
         "Const(number * depth)", "Const(number)", "matcher"),
    _one("candidates of another row or frame", "sic/matcher.py",
         "choose(self._high, banks[unit::self.units], row)", "choose(self._high, banks[unit::self.units], tag.round)",
         "matcher"),
    _one("odd candidate of a tree is late by nothing", "sic/matcher.py",
         "one.late(m, _COMPARE_DEPTH, f", "one.late(m, _COMPARE_DEPTH - 1, f", "matcher"),
    _one("norm written for the wrong place in a row", "sic/matcher.py",
         "(own[:self._split] == code)", "(own[:self._split] == 0)", "matcher"),
    _one("best of the round before not forgotten by the next vector", "sic/matcher.py",
         "best.ok & ~first, best.q", "best.ok, best.q", "matcher"),
    _one("neighbour's index from the bank that mirrors it", "sic/gather.py",
         "behind(sides, spot.rest, decision.slot)", "behind(sides, decision.slot, spot.rest)", "gather, thirds"),
    _one("threshold changes while vectors are in flight", "sic/gather.py",
         "same.eq(idle | (self.orders.payload.t2 == t2))", "same.eq(1)", "gather, seven"),
    _one("vectors in flight overrun their queue", "sic/gather.py",
         "(in_flight != self.in_flight) & window)", "window)", "gather, none"),
    _one("index does not start afresh with a tile", "sic/gather.py",
         "unique.eq(Mux(decision_s1.last, 0, unique", "unique.eq(Mux(Const(0), 0, unique", "gather, none"),
    _one("index of the vector just before taken from memory", "sic/gather.py",
         "Mux(repeat_s1, latest, words.r_data)", "words.r_data", "core, hasty"),
    _one("dense job concentrates", "sic/gather.py",
         "live.eq(~key.zero & ~tile.order.dense)", "live.eq(~key.zero)"),
    _one("tile edge off by one: an element beyond N leaves", "sic/output_buffer.py",
         "Mux(lane < lanes, element, 0)", "Mux(lane <= lanes, element, 0)"),
    _one("swap of weights one cycle late", "array/pe.py", "with m.If(self.swap_i):", "with m.If(self.swap_o):"),
    _one("chain between row passes cut", "array/chain.py",
         "self.o.eq(Mux(from_ram, ram.r_data, ", "self.o.eq(Mux(0, 0, "),
    _one("psum wanted as it comes not passed on", "array/chain.py", "Mux(from_input, self.i, 0)", "0", "array"),
    _one("psum wanted a cycle after it came read from memory", "array/chain.py",
         "fresh.eq((level == 0) & self.push)", "fresh.eq(0)", "array", "core, tiny"),
    _one("psum passed on although older ones wait", "array/chain.py",
         "stored.eq(level > 0)", "stored.eq(level > 1)", "array", "core, tiny"),
    _one("chained vector enters a cycle before its psum is back", "array/systolic.py",
         "- self.multiply_latency - 2][1]", "- self.multiply_latency - 3][1]", "array, wide"),
    _one("chained vector enters a cycle late", "array/systolic.py",
         "- self.multiply_latency - 2][1]", "- self.multiply_latency - 1][1]", "array"),
    _one("tag of the psums' neighbours", "array/systolic.py",
         "history[self.latency][4:]", "history[self.latency - 1][4:]", "array", "core, tiny"),
    _one("shadow weights overwritten before the swap has passed", "array/systolic.py",
         "guard.eq(max(clearance - 1, 0))", "guard.eq(0)", "array, deep"),
    _one("weights of the next pass start a cycle late", "array/systolic.py",
         "guard.eq(max(clearance - 1, 0))", "guard.eq(clearance)", "array, deep"),
    _one("full ring of vectors overwritten", "array/input_buffer.py",
         "(held != 2 * p.m_tile)", "(held != 2 * p.m_tile + 1)"),
    _one("ring of vectors freed by a vector too few", "array/input_buffer.py",
         "head.eq(head + self.slot.payload.count)", "head.eq(head + self.slot.payload.count - 1)"),
    _one("empty slice taken for one vector", "array/input_buffer.py",
         "wanted, last_row = ~void & room,", "wanted, last_row = room,"),
    _one("mark of an empty slice heeded in mid-slice", "array/input_buffer.py",
         "void, room = begins & beat.void,", "void, room = beat.void,", "void"),
    _one("empty slice without `last` left open", "array/input_buffer.py",
         "slots.i.valid.eq(whole & (beat.last | void))", "slots.i.valid.eq(whole & beat.last)", "void"),
    _one("first slice empty: sums of the tile before are kept", "array/sequencer.py",
         "order.first.eq(~begun)", "order.first.eq(piece == 0)"),
    _one("last slice empty: the tile does not leave", "array/sequencer.py",
         "over = empty & ~last_slice", "over = empty"),
    _one("weights expected for an empty slice", "array/sequencer.py",
         "streams.eq(issue & ~empty)", "streams.eq(issue)"),
    _one("map expected for an empty slice", "sic/map_buffer.py",
         "without.eq(tile.dense | self.slices.payload)", "without.eq(tile.dense)"),
    _one("map expected by scatter for an empty slice", "sic/map_reader.py",
         "without = order.dense | (order.count == 0)", "without = order.dense"),
    _one("empty slice adds whatever the psum memory gives", "sic/scatter_lane.py",
         "total.b.eq(Mux(nothing, 0, self.psum.word_select(col, p.acc_bits)))",
         "total.b.eq(self.psum.word_select(col, p.acc_bits))"),
    _one("psum room not checked", "sic/scatter.py",
         "self.orders.ready.eq(~used.bit_select(order.tag, 1) & (order.count <= room))",
         "self.orders.ready.eq(~used.bit_select(order.tag, 1))"),
    _one("an order more than there are tags", "sic/scatter.py",
         "self.orders.ready.eq(~used.bit_select(order.tag, 1) & (order.count <= room))",
         "self.orders.ready.eq(order.count <= room)"),
    _one("psum room freed before the last psum has come", "sic/scatter.py",
         "(self.psums.valid & psum.last & (psum.tag == tag))", "(taken & (order.tag == tag))"),
    _one("psum room freed when one lane is through", "sic/scatter.py",
         "through[tag].eq(parts.all())", "through[tag].eq(parts[0] & parts[-1])", "core, wide", "core, hasty"),
    _one("cycle of a wait counted twice", "array/sequencer.py",
         "self.wait_psum.eq(none & no_room)", "self.wait_psum.eq(no_room)"),
    _one("word dropped under stall", "stream/skid.py",
         "m.d.sync += [spare_valid.eq(1), Value.cast(spare)", "m.d.sync += [spare_valid.eq(0), Value.cast(spare)",
         "streams", "core, tiny"),
    _one("word doubled under stall", "stream/skid.py",
         "self.i.ready.eq(~spare_valid)", "self.i.ready.eq(~spare_valid & (self.o.ready | ~self.o.valid))", "streams",
         "core, tiny"),
    _one("FIFO takes a word too many", "stream/fifo.py",
         "self.i.ready.eq(level != self.depth)", "self.i.ready.eq(1)", "streams"),
    _one("queue loses the word that comes while one leaves", "stream/queue.py",
         "push & (level - pop == place)", "push & (level == place)", "streams"),
    _one("queue takes a word too many", "stream/queue.py",
         "self.i.ready.eq(level != self.depth)", "self.i.ready.eq(1)", "streams"),
    _one("limit of a job's counts off by one", "control.py",
         "(job[name] > limit)", "(job[name] > limit + 1)", "bad counts"),
    _one("surplus vectors not dropped", "array/sequencer.py",
         "count.eq(Mux(too_many, tile.tokens, slot.count))", "count.eq(slot.count)", "bad data"),
)
"""Every fault must be found by one of its tests."""
