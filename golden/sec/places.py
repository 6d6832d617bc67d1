# SPDX-License-Identifier: Apache-2.0
"""Places: a job's offsets -> the position of every token of its tiles, whatever the offsets are.

Twin of `hdl/sec/positions.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.sec.offsets import Strides, decode, reach

__all__ = ["Offsets"]


@dataclass(frozen=True, eq=False)
class Offsets:
    """Where the tokens of a job come from, told as offsets.

    symbols : (n,) uint16, at least one; the job's offsets end with the last one, whatever that is.
    bits : width of a symbol.
    strides : the video.
    text : for each tile, whether it is text and has no offsets.
    """

    symbols: NDArray[np.uint16]
    bits: int
    strides: Strides
    text: tuple[bool, ...]

    def __post_init__(self) -> None:
        symbols = np.asarray(self.symbols)
        if symbols.dtype != np.uint16 or symbols.ndim != 1 or not len(symbols):
            raise ValueError("symbols: must be one row of uint16, at least one")
        if int(symbols.max()) > reach(self.bits):
            raise ValueError(f"symbols: must fit {self.bits} bits")
        if not self.text or not all(isinstance(each, bool) for each in self.text):
            raise ValueError(f"text = {self.text!r}: must be a tuple of True or False, one per tile")

    @property
    def taken(self) -> int:
        """How many symbols are taken: all of them, or none where every tile is text."""
        return 0 if all(self.text) else len(self.symbols)

    def places(self, tokens: Sequence[int]) -> list[NDArray[np.int32]]:
        """For each tile (m_t, 4) int32: `image`, frame, row, column of its tokens.

        tokens : of each tile.

        Image tiles take the decoded tokens in turn.  A token without an offset, and one of text, is at (0, 0, 0, 0).
        """
        if len(tokens) != len(self.text):
            raise ValueError(f"text says something of {len(self.text)} tiles: there are {len(tokens)}")
        found = self.strides.positions(decode(self.symbols, self.bits))
        places = []
        for count, text in zip(tokens, self.text, strict=True):
            here = found[:0 if text else count]
            found = found[len(here):]
            places.append(np.concatenate((here, np.zeros((count - len(here), 4), np.int32))))
        return places

    def wrong(self, tokens: Sequence[int]) -> bool:
        """Whether the offsets are not those of so many tokens in each tile: too few, too many, or beyond the video."""
        if not self.taken:
            return False
        indices = decode(self.symbols, self.bits)
        image = sum(count for count, text in zip(tokens, self.text, strict=True) if not text)
        return len(indices) != image or bool((indices >= self.strides.frames * self.strides.frame).any())
