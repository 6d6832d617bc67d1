# SPDX-License-Identifier: Apache-2.0
"""What memories become: as many RAM blocks as their shapes say, in the netlist that the real Yosys makes."""

from collections import Counter
from pathlib import Path

import pytest
from amaranth import Module
from amaranth.lib.wiring import In, Out

from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.flow.harness import harness_of
from focus_rtl.gen.flow.mapping import Mapped, blocks_of, check_memories, expected_blocks
from focus_rtl.gen.flow.netlist import netlist_of, transistors_of
from focus_rtl.gen.flow.targets import ECP5, ICE40, TARGETS
from focus_rtl.gen.units import choose
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.unit import Unit, place

SHAPES = ((2, 12), (3, 20), (16, 66), (17, 40), (300, 9), (600, 10), (600, 20))
"""Words x bits: on either side of what is small, narrow and deep, and wider than a block."""


class Memories(Unit):
    """A memory of each shape, side by side, and a second one of the first shape.

    Members
    -------
    en, w_addr, r_addr, data : In.  <words>x<bits> : Out, what each of them read.
    """

    def __init__(self) -> None:
        super().__init__({"en": In(2), "w_addr": In(10), "r_addr": In(10), "data": In(66),
                          **{f"m{words}x{bits}": Out(bits) for words, bits in SHAPES}, "second": Out(SHAPES[0][1])})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, words, bits in [(f"m{words}x{bits}", words, bits) for words, bits in SHAPES] + [
                ("second", *SHAPES[0])]:
            ram = place(m, f"ram_{name}", Ram(bits, words))
            m.d.comb += [ram.w_en.eq(self.en[0]), ram.r_en.eq(self.en[1]), ram.w_addr.eq(self.w_addr),
                         ram.r_addr.eq(self.r_addr), ram.w_data.eq(self.data ^ int(name == "second")),
                         getattr(self, name).eq(ram.r_data)]
        return m


@pytest.mark.parametrize(("target", "blocks"), [
    ("ecp5-25k", [0, 0, 0, 2, 1, 1, 2]), ("ice40-hx8k", [0, 2, 5, 3, 2, 2, 4])])
def test_memories_become_what_their_shapes_say(target: str, blocks: list[int], tmp_path: Path) -> None:
    chip = TARGETS[target]
    assert [blocks_of(chip.family, words, bits) for words, bits in SHAPES] == blocks
    design = verilog_of(Memories(), "", "core")
    found = netlist_of(design, harness_of(design), chip, tmp_path)
    assert {(each.words, each.bits): (each.found, each.count) for each in found.memories} == {
        shape: (count, 2 if shape == SHAPES[0] else 1) for shape, count in zip(SHAPES, blocks, strict=True)}
    assert [each.problem for each in found.memories] == [""] * len(SHAPES)
    assert found.whole["ram"] == sum(blocks) == expected_blocks(chip.family, design)
    small = {each.style for each in found.memories if not each.blocks}
    assert small == {"distributed" if target.startswith("ecp5") else "registers"}


def test_transistors_leave_memories_out(tmp_path: Path) -> None:
    design = verilog_of(Memories(), "", "core")
    found = transistors_of(design, tmp_path)
    assert set(found) == {"core"}, "memories have no figure of their own"
    assert 0 < found["core"] < 100, "an inverted bit"


def test_transistors_of_wide_products_are_counted_too(tmp_path: Path) -> None:
    """Two products of 42 by 21 bits: with ABC's search for equal gates this takes more than ten minutes."""
    design = verilog_of(choose("integer_greater", ["depth=2"]).make(), "", "core")
    assert 2 * 42 * 21 * 20 < transistors_of(design, tmp_path)["core"] < 2 * 42 * 21 * 60, "per pair of bits"


def test_what_is_not_as_expected_is_said() -> None:
    design = verilog_of(Memories(), "", "core")
    cells = {module: Counter({"DP16KD": 1, "TRELLIS_FF": 5}) for module in design.modules}
    said = {(each.words, each.bits): each.problem for each in check_memories(ECP5, design, cells)}
    assert said[17, 40] == "a memory of 17 x 40 bits takes 1 RAM blocks, and 2 were expected"
    assert said[300, 9] == "a memory of 300 x 9 bits takes 5 flip-flops, and 0 were expected"
    assert said[2, 12] == "a memory of 2 x 12 bits takes 1 RAM blocks, and 0 were expected"
    assert Mapped(16, 6, 1, "distributed", 0, 0, 6, 0).problem == ""
    assert Mapped(16, 6, 1, "distributed", 0, 0, 7, 0).problem.endswith("7 flip-flops, and 6 were expected")
    del cells[next(module for module in cells if "ram_w40" in module)]
    with pytest.raises(RuntimeError, match="is gone after synthesis"):
        check_memories(ICE40, design, cells)
