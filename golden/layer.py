# SPDX-License-Identifier: Apache-2.0
"""A whole layer's tokens -> concentrated: every m-tile, every slice of V elements, with both sparsity figures.

Without the machine: no array, no stream, any block and either representative.  `golden/core.py` goes the same way for
what its array has computed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focus_rtl.golden.job import ALL_CANDIDATES, BLOCK, Block, Grid, Job, Tile, tiles_of
from focus_rtl.golden.numeric.dtypes import Bits, check_bits
from focus_rtl.golden.sic.gather import Gathered, gather_slices
from focus_rtl.golden.sic.layouter import windows

__all__ = ["ConcentratedLayer", "concentrate_layer", "gather_tile"]


@dataclass(frozen=True, eq=False)
class ConcentratedLayer:
    """A layer, concentrated.

    tiles : the m-tiles, with the position of every token that is still there.
    parts : parts[t][s], slice s of tile t: its map, its representatives, its counts.
    """

    tiles: tuple[Tile, ...]
    parts: tuple[tuple[Gathered, ...], ...]

    def _each(self, what: Callable[[Gathered], int]) -> NDArray[np.int64]:
        return np.array([[what(part) for part in row] for row in self.parts], dtype=np.int64)

    @property
    def p(self) -> NDArray[np.int64]:
        """(T, S): distinct vectors of every tile and slice."""
        return self._each(lambda part: part.p)

    @property
    def vectors(self) -> int:
        """Vectors that went in: tokens times slices."""
        return int(self._each(lambda part: part.tokens).sum())

    @property
    def matched(self) -> int:
        """Vectors that matched another one."""
        return int(self._each(lambda part: part.matched).sum())

    @property
    def zeros(self) -> int:
        """Vectors whose elements are all zero; none of them matched."""
        return int(self._each(lambda part: part.zeros).sum())

    @property
    def published_sparsity(self) -> float:
        """(matched + zero vectors) / vectors, as the published figures count."""
        return (self.matched + self.zeros) / self.vectors

    @property
    def unique_ratio(self) -> float:
        """Distinct vectors / vectors: what is left to multiply, for a zero vector without a match is sent out, too."""
        return int(self.p.sum()) / self.vectors

    @property
    def maps(self) -> list[NDArray[np.int32]]:
        """Of each tile (S, m_t): by slice, the representative of every token."""
        return [np.stack([part.index_map for part in row]) for row in self.parts]


def gather_tile(matrix: Bits, tile: Tile, job: Job, vector: int, representative: str = "first") -> list[Gathered]:
    """(m_t, any) bits of elements -> each of its slices of `vector` elements, padded with +0, concentrated."""
    count = math.ceil(matrix.shape[1] / vector)
    whole = matrix
    if matrix.shape[1] % vector:
        whole = np.zeros((len(matrix), count * vector), dtype=matrix.dtype)
        whole[:, :matrix.shape[1]] = matrix
    window = windows(tile, job.height, job.width, job.block)
    return gather_slices(whole.reshape(len(matrix), count, vector), window, job.t2, job.mask, job.dense, job.dtype,
                         representative)


def concentrate_layer(tokens: Bits, grid: Grid, *, retained: ArrayLike | None = None, threshold: float = 0.9,
                      vector: int = 32, m_tile: int = 1024, block: Block = BLOCK, representative: str = "first",
                      dtype: str = "fp16", mask: int = ALL_CANDIDATES, dense: bool = False) -> ConcentratedLayer:
    """Concentrate the input of a GEMM: tokens (M, K) -> ceil(K/V) slices of every m-tile.

    Parameters
    ----------
    tokens : bits of elements, a row for each of the `grid.tokens` positions of the video, separators included, and
        behind them any number of rows of text or padding, which fill tiles of their own and match nothing.
    grid : the video; its strides say which rows are separators.
    retained : bool, `grid.tokens` of them in any shape; what is still there (None: everything).  The others' rows are
        not looked at.
    threshold : least cosine of a match, exclusive; 0 .. 1.
    vector : V, elements of a slice; the last slice is filled up with +0.
    m_tile : m, tokens of a tile.
    block : (frames, rows, columns) of the window, 1 to 3 each.
    representative : `first` or `mean`, what a group is replaced by.
    dtype : element format.
    mask : bit i enables candidate i of the block.
    dense : match nothing.

    Raises
    ------
    TypeError, ValueError : an argument that is not what it must be; the message names it, its value and the legal ones.
    """
    if tokens.ndim != 2 or len(tokens) < grid.tokens:
        raise ValueError(f"tokens of shape {tokens.shape}: must be (M, K) with M >= {grid.tokens}, the grid's tokens")
    check_bits("tokens", tokens, dtype)
    if not 1 <= vector <= 64:
        raise ValueError(f"vector = {vector}: must be between 1 and 64")
    text = len(tokens) - grid.tokens
    tiles = tiles_of(grid, m_tile, retained, text)
    job = Job(tokens.shape[1], 1, tiles, grid.height, grid.width, threshold, mask, dense, dtype, block)
    rows = np.arange(len(tokens))
    if retained is not None:
        rows = rows[np.append(np.asarray(retained).reshape(-1), np.ones(text, dtype=np.bool_))]
    return ConcentratedLayer(tiles, tuple(tuple(gather_tile(tokens[rows[part]], tile, job, vector, representative))
                                          for tile, part in job.spans()))
