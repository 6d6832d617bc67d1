# SPDX-License-Identifier: Apache-2.0
"""A job: one layer `Y = X W` over the tokens of a video, cut into m-tiles, with the counts that the machine is told.

The data (vectors, maps, weights) is not part of a job; `golden/core.py` takes it beside one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focus_rtl.golden.numeric.dtypes import element
from focus_rtl.golden.params import BLOCK_LIMIT, Parameters, candidates_of
from focus_rtl.golden.sec.offsets import Strides, encode
from focus_rtl.golden.sec.places import Offsets

__all__ = ["ALL_CANDIDATES", "BLOCK", "Block", "Counts", "Grid", "Job", "Tile", "field_limit", "offsets_of", "tiles_of"]

Block = tuple[int, ...]
"""(frames, rows, columns) of the similarity window."""

BLOCK: Block = (2, 2, 2)

ALL_CANDIDATES = -1
"""Mask that enables every neighbour of any block; a job replaces it by the one that has a bit for each."""

Positions = NDArray[np.int32]


def _whole(name: str, value: Any, low: int, high: int) -> None:
    """Refuse `value` unless it is a whole number in low .. high."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} = {value!r}: must be a whole number between {low} and {high}")
    if not low <= value <= high:
        raise ValueError(f"{name} = {value}: must be between {low} and {high}")


def field_limit(size: int) -> int:
    """Largest row or column that its field carries: the field holds 0 .. size, so there is a place outside any grid."""
    return (1 << size.bit_length()) - 1


@dataclass(frozen=True)
class Grid:
    """A video as patches: `frames` x `height` x `width` image tokens, in that order, column fastest.

    row_stride, frame_stride : tokens from one row, and one frame, to the next, where separators stand between them: a
        row's behind its last column, a frame's behind its last row.  0: as many as it takes, without any.
    """

    frames: int
    height: int
    width: int
    row_stride: int = 0
    frame_stride: int = 0

    def __post_init__(self) -> None:
        for name in ("frames", "height", "width"):
            _whole(name, getattr(self, name), 1, 1 << 20)
        self._stride("row_stride", self.width)
        self._stride("frame_stride", self.height * self.row_stride)

    def _stride(self, name: str, least: int) -> None:
        if getattr(self, name) == 0:
            object.__setattr__(self, name, least)
        _whole(name, getattr(self, name), least, 1 << 20)

    @property
    def tokens(self) -> int:
        """Tokens of the video, separators included."""
        return self.frames * self.frame_stride

    @property
    def strides(self) -> Strides:
        """The same, as offsets are decoded with it."""
        return Strides(self.frames, self.height, self.width, self.row_stride, self.frame_stride)

    @property
    def positions(self) -> Positions:
        """(tokens, 4) int32, positions as a tile has them; a separator's row is `height` or its column is `width`."""
        frame, place = np.divmod(np.arange(self.tokens), self.frame_stride)
        row, column = np.divmod(place, self.row_stride)
        return np.stack((np.ones_like(frame), frame, row.clip(max=self.height), column.clip(max=self.width)),
                        axis=1).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Tile:
    """Consecutive tokens that are worked on together.

    positions : (m_t, 4) int32, per token `image` (1; 0 for text and padding), `frame`, `row`, `column`.
    """

    positions: Positions

    def __post_init__(self) -> None:
        array = np.asarray(self.positions)
        if array.dtype.kind not in "ui":
            raise TypeError(f"positions: must be whole numbers, not {array.dtype}")
        if array.ndim != 2 or array.shape[1] != 4 or not len(array):
            raise ValueError(f"positions of shape {array.shape}: must be (tokens, 4) with at least one token")
        if not np.isin(array[:, 0], (0, 1)).all():
            raise ValueError("positions: image must be 0 or 1")
        if (array < 0).any():
            raise ValueError("positions: frame, row and column must not be negative")
        array = array.astype(np.int32)
        array.setflags(write=False)
        object.__setattr__(self, "positions", array)

    @property
    def tokens(self) -> int:
        """m_t, tokens of the tile."""
        return len(self.positions)

    @property
    def image(self) -> NDArray[np.bool_]:
        """(m_t,) whether a token is part of the image."""
        return np.equal(self.positions[:, 0], 1)

    @property
    def places(self) -> Positions:
        """(m_t, 3) int32, frame, row and column of each token."""
        return self.positions[:, 1:]


@dataclass(frozen=True)
class Counts:
    """What the `job` word says, and the passes that follow from it.

    tiles : m-tiles.  slices : k-slices, ceil(K/V).  last_rows : row passes of the last slice.
    vectors : output vectors, ceil(N/V).  last_cols : column passes of the last vector.
    last_lanes : elements of the last vector that exist, 1 .. V.
    row_passes, col_passes : passes of every other slice and vector, V/R and V/C.  vector : V.
    """

    tiles: int
    slices: int
    last_rows: int
    vectors: int
    last_cols: int
    last_lanes: int
    row_passes: int
    col_passes: int
    vector: int

    def rows_of(self, k: int) -> int:
        """Row passes of slice `k`."""
        return self.last_rows if k == self.slices - 1 else self.row_passes

    def cols_of(self, n: int) -> int:
        """Column passes of output vector `n`."""
        return self.last_cols if n == self.vectors - 1 else self.col_passes

    def lanes_of(self, n: int) -> int:
        """Elements of output vector `n` that exist; the rest of its V elements are +0."""
        return self.last_lanes if n == self.vectors - 1 else self.vector

    @property
    def all_rows(self) -> int:
        """Row passes of all slices, ceil(K/R)."""
        return (self.slices - 1) * self.row_passes + self.last_rows

    @property
    def all_cols(self) -> int:
        """Column passes of all output vectors, ceil(N/C)."""
        return (self.vectors - 1) * self.col_passes + self.last_cols


@dataclass(frozen=True, eq=False)
class Job:
    """One layer over the tiles of a video.

    Parameters
    ----------
    k, n : K and N, inner and output dimension in elements.
    tiles : the m-tiles, in token order.
    height, width : the grid's sides; a position outside is passed unmatched.
    threshold : least cosine of a match, exclusive; 0 .. 1.
    mask : bit i enables neighbour i, in the order of `focus_rtl.golden.sic.layouter.neighbourhood`; all of them
        unless told otherwise.
    dense : concentrate nothing: identity maps in, every vector out.
    dtype : element format, `fp16`, `bf16` or `int8`; it says what `t2` means.
    block : (frames, rows, columns) of the similarity window, 1 to 3 each.
    preload : accumulators start from numbers that come with the data, in place of +0.
    offsets : the machine is told where tokens come from as offsets, which it decodes, not token by token; they must
        give what `tiles` says.

    Raises
    ------
    TypeError, ValueError : a field has the wrong type or a value outside the legal set, which the message names.
    """

    k: int
    n: int
    tiles: Sequence[Tile]
    height: int
    width: int
    threshold: float
    mask: int = ALL_CANDIDATES
    dense: bool = False
    dtype: str = "fp16"
    block: Block = BLOCK
    preload: bool = False
    offsets: Offsets | None = None

    def __post_init__(self) -> None:
        for name in ("k", "n"):
            _whole(name, getattr(self, name), 1, 131071)
        for name in ("height", "width"):
            _whole(name, getattr(self, name), 1, 256)
        if not isinstance(self.block, tuple) or len(self.block) != 3:
            raise TypeError(f"block = {self.block!r}: must be a tuple of three whole numbers")
        for side in self.block:
            _whole("side of the block", side, 1, BLOCK_LIMIT)
        every = (1 << candidates_of(self.block)) - 1
        if self.mask == ALL_CANDIDATES:
            object.__setattr__(self, "mask", every)
        _whole("mask", self.mask, 0, every)
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int | float | np.floating):
            raise TypeError(f"threshold = {self.threshold!r}: must be a number between 0 and 1")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold = {self.threshold}: must be between 0 and 1")
        for name in ("dense", "preload"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} = {getattr(self, name)!r}: must be True or False")
        element(self.dtype)
        object.__setattr__(self, "tiles", tuple(self.tiles))
        if not self.tiles:
            raise ValueError("tiles = (): must hold at least one tile")
        if not all(isinstance(tile, Tile) for tile in self.tiles):
            raise TypeError("tiles: must hold Tile objects")
        if self.offsets is not None:
            self._check_offsets(self.offsets)

    def _check_offsets(self, offsets: Offsets) -> None:
        if (offsets.strides.height, offsets.strides.width) != (self.height, self.width):
            raise ValueError(f"offsets of a grid of {offsets.strides.height} x {offsets.strides.width}: "
                             f"the job's is {self.height} x {self.width}")
        places = offsets.places([tile.tokens for tile in self.tiles])
        for index, (tile, place) in enumerate(zip(self.tiles, places, strict=True)):
            if not np.array_equal(tile.positions, place):
                raise ValueError(f"offsets: give other positions than tile {index} has")

    @property
    def tokens(self) -> int:
        """M, tokens of all tiles."""
        return sum(tile.tokens for tile in self.tiles)

    @property
    def t2(self) -> int:
        """Squared threshold as the machine gets it: bits of f32(t) * f32(t); for int8 the integer nearest 65536 t^2."""
        if self.dtype == "int8":
            return int(np.rint(np.square(np.float64(self.threshold)) * 65536))
        t = np.float32(self.threshold)
        return int((t * t).view(np.uint32))

    def spans(self) -> Iterator[tuple[Tile, slice]]:
        """Each tile with the rows of the GEMM that it covers."""
        start = 0
        for tile in self.tiles:
            yield tile, slice(start, start + tile.tokens)
            start += tile.tokens

    def counts(self, params: Parameters) -> Counts:
        """The counts of this job on a machine of that configuration."""
        v = params.vector
        slices, vectors = math.ceil(self.k / v), math.ceil(self.n / v)
        rest_k, rest_n = self.k - (slices - 1) * v, self.n - (vectors - 1) * v
        return Counts(tiles=len(self.tiles), slices=slices, last_rows=math.ceil(rest_k / params.rows),
                      vectors=vectors, last_cols=math.ceil(rest_n / params.cols), last_lanes=rest_n,
                      row_passes=params.row_passes, col_passes=params.col_passes, vector=v)

    def check(self, params: Parameters) -> Self:
        """Refuse a job that does not fit the configuration; returns the job.

        Raises
        ------
        ValueError : naming the field, its value and the legal ones.
        """
        if self.dtype != params.dtype:
            raise ValueError(f"dtype = {self.dtype!r}: must be {params.dtype!r}, as the configuration has it")
        if self.block != params.block:
            raise ValueError(f"block = {self.block}: must be {params.block}, as the configuration has it")
        frames, height, width = params.grid_max
        for name, value, high in (("k", self.k, params.k_max), ("n", self.n, params.n_max),
                                  ("height", self.height, height), ("width", self.width, width),
                                  ("tokens of all tiles", self.tokens, params.tokens_max)):
            _whole(name, value, 1, high)
        limits = np.array((frames - 1, field_limit(height), field_limit(width)))
        for index, tile in enumerate(self.tiles):
            _whole(f"tokens of tile {index}", tile.tokens, 1, params.m_tile)
            high = tile.places.max(axis=0)
            for name, value, limit in zip(("frame", "row", "column"), high.tolist(), limits.tolist(), strict=True):
                _whole(f"{name} in tile {index}", value, 0, limit)
        if self.offsets is not None:
            strides = self.offsets.strides
            _whole("bits of the offsets", self.offsets.bits, params.offset_bits, params.offset_bits)
            _whole("frames of the offsets", strides.frames, 1, frames)
            _whole("row stride of the offsets", strides.row, 1, params.sec_tokens_max)
            _whole("frame stride of the offsets", strides.frame, 1, params.sec_tokens_max)
        return self


def _cut(positions: Positions, m_tile: int) -> list[Tile]:
    return [Tile(positions[start:start + m_tile]) for start in range(0, len(positions), m_tile)]


def tiles_of(grid: Grid, m_tile: int, retained: ArrayLike | None = None, text_tokens: int = 0) -> tuple[Tile, ...]:
    """Tiles of a video in token order: image tokens and separators first, then text in tiles of its own.

    retained : bool, `grid.tokens` of them in any shape; tokens of the video that are still there (None: all of them).
    text_tokens : number of text tokens behind the image.

    Raises
    ------
    TypeError, ValueError : on a wrong argument, or when no token is left at all.
    """
    _whole("m_tile", m_tile, 1, 1 << 20)
    _whole("text_tokens", text_tokens, 0, 1 << 20)
    kept = np.ones(grid.tokens, dtype=np.bool_) if retained is None else np.asarray(retained).reshape(-1)
    if kept.dtype != np.bool_:
        raise TypeError(f"retained of dtype {kept.dtype}: must be bool")
    if kept.shape != (grid.tokens,):
        raise ValueError(f"retained has {kept.size} entries: must have {grid.tokens}, one per token of the grid")
    image = grid.positions[kept]
    text = np.zeros((text_tokens, 4), dtype=np.int32)
    tiles = _cut(image, m_tile) + _cut(text, m_tile)
    if not tiles:
        raise ValueError("no token is left: retain at least one or add text")
    return tuple(tiles)


def offsets_of(grid: Grid, tiles: Sequence[Tile], bits: int, retained: ArrayLike | None = None) -> Offsets:
    """The positions of tiles that `tiles_of` made, as offsets of that many bits; arguments as there."""
    kept = np.ones(grid.tokens, dtype=np.bool_) if retained is None else np.asarray(retained).reshape(-1)
    return Offsets(encode(kept, bits), bits, grid.strides, tuple(not bool(tile.image.any()) for tile in tiles))
