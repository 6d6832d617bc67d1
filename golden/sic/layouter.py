# SPDX-License-Identifier: Apache-2.0
"""Layouter: positions -> where a vector is kept, and which earlier vectors its window shows.

Twin of `hdl/sic/layouter.py`.  A block (frames, rows, columns) is the shape of the window: 1 to 3 positions per side.
"""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.job import BLOCK, Block, Tile

__all__ = ["NEIGHBOURS", "bank", "inside", "neighbourhood", "neighbours", "offset", "windows"]

Position = tuple[int, int, int]


def neighbourhood(block: Block = BLOCK) -> tuple[Position, ...]:
    """(df, dr, dc) of a block's candidates, in the order in which ties are decided; bit i of a mask enables number i.

    Every position of the window but the key's own, (0, 0, 0); the column changes fastest.
    """
    frames, rows, columns = block
    return tuple(itertools.product(range(frames), range(rows), range(columns)))[1:]


NEIGHBOURS = neighbourhood()
"""Of the 2 x 2 x 2 block: seven candidates."""


def bank(position: Position, block: Block = BLOCK) -> int:
    """Bank of (frame, row, column): by its remainders, so that any window of the block has one position in each."""
    frame, row, column = (at % side for at, side in zip(position, block, strict=True))
    return (frame * block[1] + row) * block[2] + column


def offset(position: Position, width: int, block: Block = BLOCK) -> int:
    """Entry of (frame, row, column) within its bank, for a grid `width` columns wide."""
    _, row, column = position
    return row // block[1] * math.ceil(width / block[2]) + column // block[2]


def inside(position: Position, height: int, width: int) -> bool:
    """Whether (frame, row, column) lies in the grid; frames have no end."""
    frame, row, column = position
    return frame >= 0 and 0 <= row < height and 0 <= column < width


def neighbours(position: Position, block: Block = BLOCK) -> tuple[Position, ...]:
    """The positions that the one at (frame, row, column) is compared with, in order; some may be outside."""
    frame, row, column = position
    return tuple((frame - df, row - dr, column - dc) for df, dr, dc in neighbourhood(block))


def windows(tile: Tile, height: int, width: int, block: Block = BLOCK) -> NDArray[np.int32]:
    """(m_t, candidates) int32: for each token the tokens its candidates are, -1 where there is none to see.

    An entry shows exactly the position last written to it in this tile.  Tokens in ascending order therefore see all
    their neighbours; of two tokens at one position the later is seen, and a frame hides the one `block[0]` before it.
    Text, padding and positions outside the grid neither see nor are seen.
    """
    found = np.full((tile.tokens, len(neighbourhood(block))), -1, dtype=np.int32)
    writers = np.flatnonzero(tile.image & (tile.places[:, 1] < height) & (tile.places[:, 2] < width))
    places = tile.places[writers].astype(np.int64)

    def moments(where: NDArray[np.int64]) -> NDArray[np.int64]:
        """Entry and writing token as one number: a write to the same entry, but earlier, is the next one below."""
        entry = (where[:, 0] % block[0] * height + where[:, 1]) * width + where[:, 2]
        return entry * tile.tokens + writers

    history = np.sort(moments(places))
    for number, step in enumerate(neighbourhood(block)):
        other = places - step
        wanted = moments(other)
        before = np.searchsorted(history, wanted) - 1
        last = history[before]
        token = last % tile.tokens
        seen = (other >= 0).all(axis=1) & (before >= 0) & (last // tile.tokens == wanted // tile.tokens)
        seen &= tile.places[token, 0] == other[:, 0]
        found[writers[seen], number] = token[seen]
    return found
