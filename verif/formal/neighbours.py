# SPDX-License-Identifier: Apache-2.0
"""A key and any one position beside it: what the proofs of visibility share."""

import itertools
from collections.abc import Sequence

from focus_rtl.hdl.layouts import position
from focus_rtl.hdl.sic import window
from focus_rtl.verif.formal.smt import number, port, wire
from focus_rtl.verif.golden.cases import make_params

__all__ = ["AXES", "BLOCKS", "SMALL", "Block", "Neighbour", "by"]

Block = tuple[int, int, int]
AXES = ("frame", "row", "column")

BLOCKS: tuple[Block, ...] = tuple(itertools.product((1, 2, 3), repeat=3))

SMALL: dict[Block, tuple[int, int, int]] = {
    block: (2 * block[0], (2, 3, 4)[block[1] - 1], (3, 4, 4)[block[2] - 1]) for block in BLOCKS if block != (1, 1, 1)}
"""Largest grid of the proofs about what is visible, for every block that has a window: two frames of the block, and a
row and a column or more beyond it."""


def by(sides: Sequence[int]) -> str:
    """2 x 2 x 2."""
    return " x ".join(map(str, sides))


class Neighbour:
    """A configuration, and what proofs of it say of any one position X = (xf, xr, xc) of the largest grid, and of the
    key, whose position stands at a unit's ports.

    Coordinates are numbers of eight bits.
    """

    def __init__(self, block: Block, grid: tuple[int, int, int], **build: str) -> None:
        self.p = make_params(dtype="int8", rows=1, cols=1, vector=2, matcher_lanes=1, matchers=1, m_tile=64,
                             block=block, grid_max=grid, **build)
        self.depth = window.bank_depth(self.p)
        self.data = self.p.vector * self.p.element_bits
        self.frame = position(self.p)["frame"].width

    @property
    def declared(self) -> str:
        """X."""
        return "".join(f"(declare-fun x{axis} () (_ BitVec 8))" for axis in "frc")

    @property
    def anywhere(self) -> list[str]:
        """X lies in the largest grid."""
        return [f"(bvult x{axis} {number(size, 8)})" for axis, size in zip("frc", self.p.grid_max, strict=True)]

    @property
    def legal(self) -> list[str]:
        """The grid of `a` is no larger than the largest one, and the key lies in its frames."""
        return [*(f"(bvule {port(name, 'a')} {number(size, size.bit_length())})"
                  for name, size in zip(("height", "width"), self.p.grid_max[1:], strict=True)),
                f"(bvult {self.field('frame')} {number(self.p.grid_max[0], 8)})"]

    def field(self, name: str, state: str = "a") -> str:
        """Field of the key's position."""
        field = position(self.p)[name]
        return (f"((_ zero_extend {8 - field.width}) ((_ extract {field.offset + field.width - 1} {field.offset}) "
                f"{port('position', state)}))")

    def entered(self, taken: str, state: str = "a") -> str:
        """The key is an image token inside the grid, and `taken`."""
        inside = [f"(bvult {self.field(name, state)} ((_ zero_extend {8 - size.bit_length()}) {port(side, state)}))"
                  for name, side, size in (("row", "height", self.p.grid_max[1]),
                                           ("column", "width", self.p.grid_max[2]))]
        return f"(and {taken} (= {self.field('image', state)} {number(1, 8)}) {' '.join(inside)})"

    def same_entry(self, entered: str, state: str = "a") -> str:
        """The key is entered, and its entry is X's."""
        bf = number(self.p.block[0], 8)
        return (f"(and {entered} (= {self.field('row', state)} xr) (= {self.field('column', state)} xc)"
                f" (= (bvurem {self.field('frame', state)} {bf}) (bvurem xf {bf})))")

    @property
    def steps(self) -> list[tuple[int, int, int]]:
        """Frames, rows and columns from the key back to a slot's position, in the order of slots."""
        return list(itertools.product(*(range(side) for side in self.p.block)))

    def there(self, step: tuple[int, int, int], state: str = "a") -> str:
        """X is that far behind the key."""
        return " ".join(f"(= {self.field(name, state)} (bvadd x{name[0]} {number(back, 8)}))"
                        for name, back in zip(AXES, step, strict=True))

    def beyond(self, step: tuple[int, int, int], state: str = "a") -> str:
        """That far behind the key there is no position."""
        return " ".join(f"(bvult {self.field(name, state)} {number(back, 8)})"
                        for name, back in zip(AXES, step, strict=True))

    def enabled(self, slot: int, state: str = "a") -> str:
        """The candidate in that slot is."""
        return f"(= ((_ extract {slot - 1} {slot - 1}) {wire('enabled', state, self.p.candidates)}) #b1)"
