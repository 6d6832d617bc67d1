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
         "total.b.eq(self.psum.word_select(col, p.acc_bits))",
         "total.b.eq(self.psum.word_select(col, p.acc_bits) ^ (1 << 31))"),
    _one("accumulator not cleared on the first slice", "sic/scatter_lane.py",
         "m.d.sync += fresh.eq(head.first)", "m.d.sync += fresh.eq(0)"),
    _one("hazard ignored: a sum still in the adder is read", "sic/scatter.py",
         "ready & ~lane.head.void & ~lane.hazard for", "ready & ~lane.head.void for", "core, hasty"),
    _one("bank conflict ignored: two lanes read one bank", "sic/scatter.py",
         "before[lane] = wants[lane] & ~blocked", "before[lane] = wants[lane]", "core, wide"),
    _one("signed for unsigned where a psum's arrival is checked", "sic/scatter.py",
         "lane.head.index < Array(arrived)[lane.head.half]",
         "lane.head.index.as_signed() < Array(arrived)[lane.head.half]"),
    _one("stale map half", "sic/map_buffer.py",
         "ram.r_addr.eq(Cat(self.r_word, reading))", "ram.r_addr.eq(Cat(self.r_word, filling))"),
    _one("ready stuck: a released map is never free again", "sic/map_buffer.py",
         "m.d.sync += [Array(full)[reading].eq(0), reading.eq(~reading)]", "m.d.sync += reading.eq(~reading)"),
    _one("index beyond the slice not replaced", "sic/map_reader.py",
         "entry.index.eq(Mux(index >= order.count, 0, index))", "entry.index.eq(index)", "bad data"),
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
         "edge = Cat(position.column == 0,", "edge = Cat(0,"),
    _one("frame tag ignored", "sic/layouter.py",
         "& (words.r_data[-frame_bits:] == wanted)", "& (words.r_data[-frame_bits:] == words.r_data[-frame_bits:])"),
    _one("candidate mask ignored", "sic/layouter.py",
         "(self.enabled[number - 1] & ~(edge & number).any()", "(~(edge & number).any()"),
    _one("index of the vector just before taken from memory", "sic/gather.py",
         "Mux(repeat_s1, latest, words.r_data)", "words.r_data", "core, hasty"),
    _one("dense job concentrates", "sic/gather.py",
         "live.eq(~zero & ~tile.order.dense)", "live.eq(~zero)"),
    _one("tile edge off by one: an element beyond N leaves", "sic/output_buffer.py",
         "Mux(lane < lanes, element, 0)", "Mux(lane <= lanes, element, 0)"),
    _one("swap of weights one cycle late", "array/pe.py", "with m.If(self.swap_i):", "with m.If(self.swap_o):"),
    _one("chain between row passes cut", "array/chain.py",
         "self.o.eq(Mux(popped, ram.r_data, 0))", "self.o.eq(0)"),
    _one("word dropped under stall", "stream/skid.py",
         "m.d.sync += [spare_valid.eq(1), Value.cast(spare)", "m.d.sync += [spare_valid.eq(0), Value.cast(spare)",
         "streams", "core, tiny"),
    _one("word doubled under stall", "stream/skid.py",
         "self.i.ready.eq(~spare_valid)", "self.i.ready.eq(~spare_valid & (self.o.ready | ~self.o.valid))", "streams",
         "core, tiny"),
    _one("FIFO takes a word too many", "stream/fifo.py",
         "self.i.ready.eq(level != self.depth)", "self.i.ready.eq(1)", "streams"),
    _one("limit of a job's counts off by one", "control.py",
         "(job[name] > limit)", "(job[name] > limit + 1)", "bad counts"),
    _one("surplus vectors not dropped", "array/sequencer.py",
         "count.eq(Mux(too_many, tile.tokens, slot.count))", "count.eq(slot.count)", "bad data"),
)
"""Every fault must be found by one of its tests."""
