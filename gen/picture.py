# SPDX-License-Identifier: Apache-2.0
"""Clip, importance and the share of each patch that was merged -> a PNG: every frame as it is, and below it tinted.

Test: verif/gen/test_demo.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from focus_rtl.gen.errors import InputOutputError
from focus_rtl.gen.prompt import Box
from focus_rtl.gen.video import PATCH, Clip

__all__ = ["WIDTH", "Attention", "merged_share", "picture_of", "write_picture"]

WIDTH = 1600
"""Pixels; the height follows from the frames."""

DPI, MARGIN, GAP, HEAD, FOOT, LABEL = 100, 40, 10, 118, 164, 26
"""Dots per inch, and pixels: page margin, between frames, above and below them, a line of text over a frame."""

MOST_COLUMNS = 8

COLOURS = LinearSegmentedColormap.from_list("merged", ["#3a3f55", "#2b5f9e", "#12a1a0", "#86d95b", "#fff27a"])
"""From nothing merged (dark) to all of the patch merged (bright): lightness rises steadily, also without colour."""

HEAT = LinearSegmentedColormap.from_list("importance", ["#5a3a86", "#a8327d", "#e2543b", "#f9a03f", "#fff3b0"])
"""From no importance to the largest."""

DIM = (0.18, 0.5)
"""What is left of the light of a patch that goes before the first layer, and before the second."""

ROWS = 3
"""A frame as it is, its importance, what was merged of it."""

PAPER, INK, FAINT, EDGE, BOX = "#ffffff", "#16191f", "#5c6470", "#e8442e", "#2fd4ff"


@dataclass(frozen=True)
class Attention:
    """What the prompt looks at.

    importance : (M,) of each patch.  kept : before each layer the patches that stay, ascending; nested.
    boxes : of the prompt.
    """

    importance: NDArray[np.float64]
    kept: Sequence[NDArray[np.int64]]
    boxes: Sequence[Box]

    @property
    def heat(self) -> NDArray[np.float64]:
        """(M,) 0 .. 1: importance over the largest, its cube root, or a few patches would be all that shows."""
        largest = float(self.importance.max()) or 1.0
        return np.cbrt(self.importance / largest)

    @property
    def light(self) -> NDArray[np.float64]:
        """(M,) how bright each patch is shown."""
        light = np.ones(len(self.importance))
        for kept, dim in reversed(list(zip(self.kept, DIM, strict=True))):
            light[~np.isin(np.arange(len(light)), kept)] = dim
        return light


def merged_share(maps: list[list[NDArray[np.int32]]]) -> NDArray[np.float64]:
    """maps[t][k], each (m_t,): tile t, slice k -> (M,) share of each token's vectors that another one stands for.

    A token keeps its vector iff its index appears for the first time.
    """
    tiles = []
    for row in maps:
        merged = np.ones((len(row), len(row[0])))
        for slot, index in zip(merged, row, strict=True):
            slot[np.unique(index, return_index=True)[1]] = 0
        tiles.append(merged.mean(axis=0))
    return np.concatenate(tiles)


def picture_of(clip: Clip, merged: NDArray[np.float64], m_tile: int, attention: Attention, title: str,
               subtitle: str) -> bytes:
    """PNG, `WIDTH` pixels wide: the frames in rows, each above its tinted twins, with a title and colour bars.

    merged : (M,) from `merged_share`.  m_tile : tokens of a tile, whose borders are drawn.
    """
    page = _Page(clip)
    page.text(MARGIN, 40, title, fontsize=20, color=INK, weight="bold")
    page.text(MARGIN, 80, subtitle, fontsize=13, color=FAINT)
    shares, heat, light = (each.reshape(clip.grid) for each in (merged, attention.heat, attention.light))
    for at, frame in enumerate(clip.frames):
        _boxes(page.show(at, 0, frame, f"frame {at}", FAINT), at, attention.boxes, clip)
        tinted = _tinted(frame, heat[at], HEAT) * np.kron(light[at], np.ones((PATCH, PATCH)))[..., None]
        stays = f"{int((light[at] == 1).sum())} of {light[at].size} patches stay"
        _boxes(page.show(at, 1, tinted.astype(np.uint8), stays, INK), at, attention.boxes, clip)
        _tile_border(page.show(at, 2, _tinted(frame, shares[at], COLOURS), f"{100 * shares[at].mean():.0f} % merged",
                               INK), at, m_tile, clip)
    _legend(page, m_tile)
    return page.png()


def write_picture(path: Path, png: bytes) -> None:
    """Write the PNG; raises `InputOutputError` when that fails."""
    try:
        path.write_bytes(png)
    except OSError as error:
        raise InputOutputError(f"cannot write the picture {path}: {error.strerror}",
                               "give another file with --picture") from error


class _Page:
    """A figure measured in pixels from the upper left corner, with a cell for every frame and its twin."""

    def __init__(self, clip: Clip) -> None:
        count, high, wide = clip.grid
        rows = -(-count // MOST_COLUMNS)
        self.columns = -(-count // rows)
        # Few frames would become poster-sized: a cell is never wider than a quarter of the page.
        self.wide = min((WIDTH - 2 * MARGIN - (self.columns - 1) * GAP) / self.columns, WIDTH / 4)
        self.high = self.wide * high / wide
        self.height = round(HEAD + rows * ROWS * (self.high + LABEL) + (rows - 1) * GAP + FOOT)
        self.figure = Figure(figsize=(WIDTH / DPI, self.height / DPI), dpi=DPI, facecolor=PAPER)

    def axes(self, left: float, top: float, wide: float, high: float) -> Axes:
        return self.figure.add_axes((left / WIDTH, 1 - (top + high) / self.height, wide / WIDTH, high / self.height))

    def text(self, left: float, middle: float, words: str, **style: Any) -> None:
        self.figure.text(left / WIDTH, 1 - middle / self.height, words, va="center", **style)

    def show(self, at: int, twin: int, pixels: NDArray[np.uint8], label: str, colour: str) -> Axes:
        """Frame `at` (`twin` 1, 2: below it) with its label; the axes returned are in pixels of the frame."""
        row, column = divmod(at, self.columns)
        left = MARGIN + column * (self.wide + GAP)
        top = HEAD + (ROWS * row + twin) * (self.high + LABEL) + row * GAP
        self.text(left, top + LABEL / 2, label, fontsize=10.5, color=colour)
        axes = self.axes(left, top + LABEL, self.wide, self.high)
        scale = max(1, round(2 * self.wide / pixels.shape[1]))
        image = Image.fromarray(pixels)
        axes.imshow(np.asarray(image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)),
                    extent=(0, image.width, image.height, 0), aspect="auto")
        axes.set_axis_off()
        return axes

    def png(self) -> bytes:
        buffer = BytesIO()
        # No version inside: the same figures give the same bytes.
        self.figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


def _tinted(frame: NDArray[np.uint8], shares: NDArray[np.float64], colours_of: Colormap) -> NDArray[np.uint8]:
    """The frame's light and shade in the colours of its patches."""
    shade = np.asarray(Image.fromarray(frame).convert("L"), dtype=np.float64)[..., None] / 255
    colours = colours_of(np.kron(shares, np.ones((PATCH, PATCH))))[..., :3]
    tinted: NDArray[np.uint8] = np.rint(255 * (colours * (0.6 + 0.34 * shade) + 0.06 * shade)).astype(np.uint8)
    return tinted


def _boxes(axes: Axes, frame: int, boxes: Sequence[Box], clip: Clip) -> None:
    """The prompt's boxes in this frame."""
    _, high, wide = clip.grid
    for box in boxes:
        if box.frame != frame:
            continue
        left, right, top, bottom = (PATCH * side for side in (box.left, box.right + 1, box.top, box.bottom + 1))
        axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=BOX, linewidth=3)
    axes.set_xlim(0, wide * PATCH)
    axes.set_ylim(high * PATCH, 0)


def _tile_border(axes: Axes, frame: int, m_tile: int, clip: Clip) -> None:
    """A line before the first patch of every tile that begins in this frame: nothing is compared across it."""
    _, high, wide = clip.grid
    for token in range(frame * high * wide, (frame + 1) * high * wide):
        if token % m_tile or token == 0:
            continue
        row, column = divmod(token - frame * high * wide, wide)
        x, y = (0, column, column, wide), (row + 1, row + 1, row, row)
        axes.plot([PATCH * step for step in x], [PATCH * step for step in y], color=EDGE, linewidth=2.5,
                  solid_joinstyle="miter")
    axes.set_xlim(0, wide * PATCH)
    axes.set_ylim(high * PATCH, 0)


def _legend(page: _Page, m_tile: int) -> None:
    top = page.height - FOOT + 30
    _bar(page, top, HEAT, ["none", "", "", "", "largest"])
    page.text(MARGIN + 470, top - 2, "importance: the most that a text token looks at a patch, over all heads; dark: "
              "it goes before layer 1, half dark: before layer 2", fontsize=12, color=INK)
    _swatch(page, top, BOX, "the patches that stand for the text (the prompt)")
    top += 60
    _bar(page, top, COLOURS, ["0", "25", "50", "75", "100 %"])
    page.text(MARGIN + 470, top - 2, "of a patch's vectors were merged: a neighbour's vector, in space or in the frame "
              "before, stands for them", fontsize=12, color=INK)
    _swatch(page, top, EDGE, f"a tile of {m_tile} tokens begins: patches are not compared across it")


def _bar(page: _Page, top: float, colours: Colormap, labels: list[str]) -> None:
    axes = page.axes(MARGIN, top, 420, 20)
    bar = page.figure.colorbar(ScalarMappable(cmap=colours), cax=axes, orientation="horizontal",
                               ticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_xticklabels(labels, fontsize=10.5, color=FAINT)
    bar.outline.set_visible(False)


def _swatch(page: _Page, top: float, colour: str, words: str) -> None:
    line = page.axes(MARGIN + 470, top + 18, 26, 16)
    line.plot([0, 1], [0, 0], color=colour, linewidth=2.5)
    line.set_axis_off()
    page.text(MARGIN + 506, top + 26, words, fontsize=12, color=INK)
