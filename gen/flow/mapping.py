# SPDX-License-Identifier: Apache-2.0
"""Memories of a design -> what each becomes on a target, decided here and checked in the netlist.

The shape alone decides: RAM blocks, or where there are too few words for one, distributed memory (ECP5) or flip-flops
(iCE40).  Yosys is told so by `ram_style`; what it made is then counted memory by memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.gen.flow.cells import Cells, total
from focus_rtl.gen.flow.targets import Family
from focus_rtl.gen.flow.tree import memory_modules
from focus_rtl.gen.memories import instance_counts

__all__ = ["Mapped", "blocks_of", "check_memories", "expected_blocks", "style_of"]

SHAPES: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    "ecp5": ((512, 36, 9), (1024, 18, 9), (2048, 9, 9), (4096, 4, 4), (8192, 2, 2), (16384, 1, 1)),
    "ice40": ((256, 16, 1), (512, 8, 8), (1024, 4, 4), (2048, 2, 2)),
}
"""Words x bits that a RAM block can be, by family, and how many bits are written together: a memory that is deeper than
a block puts several of its words side by side, and writes one of them."""

SMALL = {"ecp5": 16, "ice40": 2}
"""Words up to which a memory does not take RAM blocks: the depth of ECP5's distributed memory; and as few as take no
more logic cells than they hold bits on iCE40, which has none."""

STYLES = {"ecp5": "distributed", "ice40": "registers"}
"""What a small memory becomes."""


def style_of(family: Family, words: int) -> str:
    """`ram_style` of a memory: `block`, or what the family has for small ones."""
    return "block" if words > SMALL[family.name] else STYLES[family.name]


def blocks_of(family: Family, words: int, bits: int) -> int:
    """RAM blocks that a memory of that shape takes; 0 for a small one."""
    if style_of(family, words) != "block":
        return 0
    return min(-(-(-(-words // deep) * -(-bits // unit)) // (wide // unit)) for deep, wide, unit in SHAPES[family.name])


@dataclass(frozen=True)
class Mapped:
    """A shape of memory in the netlist: `count` of them, RAM blocks expected and found in each.

    flip_flops : beside them, found.  selects : as many may remember which of several blocks is being read.
    """

    words: int
    bits: int
    count: int
    style: str
    blocks: int
    found: int
    flip_flops: int
    selects: int

    @property
    def problem(self) -> str:
        """What is not as it should be, or nothing."""
        shape = f"a memory of {self.words} x {self.bits} bits"
        if self.blocks != self.found:
            return f"{shape} takes {self.found} RAM blocks, and {self.blocks} were expected"
        kept = (max(self.words, 2) + 1) * self.bits
        allowed = {"block": self.selects, "distributed": self.bits, "registers": kept}[self.style]
        if self.flip_flops > allowed:
            return f"{shape} takes {self.flip_flops} flip-flops, and {allowed} were expected"
        return ""


def expected_blocks(family: Family, design: EmittedDesign) -> int:
    """RAM blocks of the whole design."""
    counts = instance_counts(design)
    return sum(counts[module] * blocks_of(family, *shape) for module, shape in memory_modules(design).items())


def check_memories(family: Family, design: EmittedDesign, cells: Cells) -> list[Mapped]:
    """What became of each memory: in the cells of its own module, whose borders synthesis has kept."""
    counts, found = instance_counts(design), []
    for module, (words, bits) in sorted(memory_modules(design).items(), key=lambda item: item[1]):
        if module not in cells:
            raise RuntimeError(f"the memory {module} is gone after synthesis")
        found.append(Mapped(words, bits, counts[module], style_of(family, words), blocks_of(family, words, bits),
                            total(cells, module, partial(family.cells_of, "ram")),
                            total(cells, module, partial(family.cells_of, "ff")),
                            (-(-words // SHAPES[family.name][0][0]) - 1).bit_length()))
    return found
