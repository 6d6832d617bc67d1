# SPDX-License-Identifier: Apache-2.0
"""Layouter: positions -> where a vector is kept, and which earlier vectors its window shows.

Twin of `hdl/sic/layouter.py`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.job import Tile

__all__ = ["NEIGHBOURS", "bank", "inside", "neighbours", "offset", "windows"]

NEIGHBOURS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))
"""(df, dr, dc) of the seven candidates, in the order in which ties are decided; bit i of a mask enables number i."""

Position = tuple[int, int, int]


def bank(position: Position) -> int:
    """Bank 0 .. 7 of (frame, row, column): by parity, so that any 2 x 2 x 2 window has one position in each."""
    frame, row, column = position
    return frame % 2 * 4 + row % 2 * 2 + column % 2


def offset(position: Position, width: int) -> int:
    """Entry of (frame, row, column) within its bank, for a grid `width` columns wide."""
    _, row, column = position
    return row // 2 * math.ceil(width / 2) + column // 2


def inside(position: Position, height: int, width: int) -> bool:
    """Whether (frame, row, column) lies in the grid; frames have no end."""
    frame, row, column = position
    return frame >= 0 and 0 <= row < height and 0 <= column < width


def neighbours(position: Position) -> tuple[Position, ...]:
    """The seven positions that the one at (frame, row, column) is compared with, in order; some may be outside."""
    frame, row, column = position
    return tuple((frame - df, row - dr, column - dc) for df, dr, dc in NEIGHBOURS)


def windows(tile: Tile, height: int, width: int) -> NDArray[np.int32]:
    """(m_t, 7) int32: for each token the tokens its candidates are, -1 where there is none to see.

    An entry shows exactly the position last written to it in this tile.  Tokens in ascending order therefore see all
    their neighbours; of two tokens at one position the later is seen, and a frame hides the one two before it.
    Text, padding and positions outside the grid neither see nor are seen.
    """
    found = np.full((tile.tokens, len(NEIGHBOURS)), -1, dtype=np.int32)
    entries: dict[tuple[int, int], tuple[Position, int]] = {}
    for token, (image, frame, row, column) in enumerate(tile.positions.tolist()):
        place = (frame, row, column)
        if not image or not inside(place, height, width):
            continue
        for number, other in enumerate(neighbours(place)):
            if inside(other, height, width):
                seen, index = entries.get((bank(other), offset(other, width)), (None, -1))
                if seen == other:
                    found[token, number] = index
        entries[bank(place), offset(place, width)] = (place, token)
    return found
