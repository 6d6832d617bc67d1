# SPDX-License-Identifier: Apache-2.0
"""`--prompt`: boxes of the video -> the patches that stand for the text of a question.

Test: verif/gen/test_prompt.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.errors import CommandError
from focus_rtl.golden.job import Grid

__all__ = ["Box", "boxes_of", "default_box", "patches_in"]


@dataclass(frozen=True)
class Box:
    """Patches of one frame: rows `top` .. `bottom`, columns `left` .. `right`, all counted from 0 and included."""

    frame: int
    top: int
    left: int
    bottom: int
    right: int

    def __str__(self) -> str:
        return f"{self.frame},{self.top},{self.left},{self.bottom},{self.right}"


def default_box(grid: Grid) -> Box:
    """The upper middle of the first frame, where a portrait has its face."""
    top, left = grid.height // 4, grid.width // 3
    return Box(0, top, left, max(top, grid.height // 2 - 1), grid.width - 1 - left)


def boxes_of(texts: Sequence[str], grid: Grid) -> tuple[Box, ...]:
    """Boxes written as `f,r0,c0,r1,c1`; the default one if there are none.

    Raises
    ------
    CommandError : a box is not five whole numbers, is empty, or reaches beyond the grid.
    """
    return tuple(_box(text, grid) for text in texts) or (default_box(grid),)


def _box(text: str, grid: Grid) -> Box:
    legal = (f"write f,r0,c0,r1,c1: a frame 0 .. {grid.frames - 1}, first row, first column, last row and last column "
             f"of a box of patches, rows 0 .. {grid.height - 1}, columns 0 .. {grid.width - 1}")
    parts = text.split(",")
    if len(parts) != 5 or not all(part.strip().isdecimal() and part.isascii() for part in parts):
        raise CommandError(f"--prompt {text!r}: is not five whole numbers", legal)
    box = Box(*(int(part) for part in parts))
    for name, value, size in (("frame", box.frame, grid.frames), ("row", box.bottom, grid.height),
                              ("column", box.right, grid.width)):
        if value >= size:
            raise CommandError(f"--prompt {text!r}: there is no {name} {value}, this video is {grid.frames} frames of "
                               f"{grid.height} rows and {grid.width} columns of patches", legal)
    if box.top > box.bottom or box.left > box.right:
        raise CommandError(f"--prompt {text!r}: the box is empty, its first row or column is behind its last", legal)
    return box


def patches_in(boxes: Sequence[Box], grid: Grid) -> NDArray[np.int64]:
    """Image tokens in any of the boxes, ascending, each once."""
    chosen = np.zeros((grid.frames, grid.height, grid.width), dtype=np.bool_)
    for box in boxes:
        chosen[box.frame, box.top:box.bottom + 1, box.left:box.right + 1] = True
    return np.flatnonzero(chosen)
