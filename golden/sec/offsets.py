# SPDX-License-Identifier: Apache-2.0
"""Offsets: which tokens are kept <-> a stream of narrow distances; and from token indices to frame, row, column.

Twin of `hdl/sec/offset_encoder.py` and `hdl/sec/offset_decoder.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ESCAPE", "Strides", "decode", "encode", "reach"]

ESCAPE = 0
"""The symbol that stands for `reach` tokens, none of them kept.  A distance is never 0, so it is free."""


def reach(bits: int) -> int:
    """The longest distance that one symbol of that many bits holds, 2**bits - 1; an escape adds as much."""
    if not 1 <= bits <= 16:
        raise ValueError(f"offsets of {bits} bits: must be between 1 and 16")
    return (1 << bits) - 1


def encode(kept: NDArray[np.bool_], bits: int) -> NDArray[np.uint16]:
    """Symbols of a mask: for each kept token its distance from the one before it, the first one's from token -1.

    A distance d is written as (d - 1) // reach escapes, followed by what is left, 1 .. reach.

    Parameters
    ----------
    kept : (M,) bool.  bits : width of a symbol.
    """
    longest = reach(bits)
    symbols: list[int] = []
    before = -1
    for token in np.flatnonzero(np.asarray(kept, dtype=np.bool_)).tolist():
        escapes = (token - before - 1) // longest
        symbols += [ESCAPE] * escapes + [token - before - escapes * longest]
        before = token
    return np.array(symbols, dtype=np.uint16)


def decode(symbols: NDArray[np.uint16], bits: int) -> NDArray[np.int64]:
    """Indices of the kept tokens, ascending; the inverse of `encode`."""
    token, found = -1, []
    for symbol in np.asarray(symbols).tolist():
        token += reach(bits) if symbol == ESCAPE else symbol
        if symbol != ESCAPE:
            found.append(token)
    return np.array(found, dtype=np.int64)


@dataclass(frozen=True)
class Strides:
    """Where the tokens of a video lie in the sequence: index = frame * `frame` + row * `row` + column.

    frames, height, width : the grid.
    row : tokens from a row's first to the next row's, at least `width`; more where separator tokens end a row.
    frame : the same for frames, at least `height * row`.
    """

    frames: int
    height: int
    width: int
    row: int
    frame: int

    def __post_init__(self) -> None:
        if min(self.frames, self.height, self.width) < 1:
            raise ValueError(f"grid {self.frames} x {self.height} x {self.width}: every side must be at least 1")
        if self.row < self.width:
            raise ValueError(f"row stride {self.row}: must be at least the width, {self.width}")
        if self.frame < self.height * self.row:
            raise ValueError(f"frame stride {self.frame}: must be at least height * row stride, "
                             f"{self.height * self.row}")

    def positions(self, tokens: NDArray[np.int64]) -> NDArray[np.int32]:
        """(n, 4) int32: `image`, frame, row, column of each token index.

        A separator gets a place just outside the grid: column `width` behind a row, (`height`, 0) behind a frame.
        Behind the last frame there is no image: (0, 0, 0, 0).
        """
        places = []
        for token in np.asarray(tokens).tolist():
            frame, inner = divmod(token, self.frame)
            row, column = divmod(inner, self.row)
            if frame >= self.frames:
                places.append((0, 0, 0, 0))
            elif row >= self.height:
                places.append((1, frame, self.height, 0))
            else:
                places.append((1, frame, row, min(column, self.width)))
        return np.array(places, dtype=np.int32).reshape(-1, 4)
