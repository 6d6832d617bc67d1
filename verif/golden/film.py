# SPDX-License-Identifier: Apache-2.0
"""Third leg on a film: `concentrate_layer` against the float64 statement: grids, drop rates, thresholds and blocks.

    python -m focus_rtl.verif.golden.film                              # every case, on the default photograph clip
    python -m focus_rtl.verif.golden.film --video FILM --json FILE     # on a film of your own; keep what was found

Every match and every map must be the same outside the band of `verif/oracles/real.py`; representatives must be the
group's first vector, or lie within a derived bound of the group's mean.  1 if anything differs.
"""

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.tokens import clip_tokens
from focus_rtl.gen.video import Clip, photo_clip, read_video
from focus_rtl.golden.job import Block, Grid, Tile
from focus_rtl.golden.layer import concentrate_layer
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits
from focus_rtl.golden.sic.gather import REPRESENTATIVES, Gathered
from focus_rtl.verif.oracles import real
from focus_rtl.verif.records import put, sources_of, stamp

__all__ = ["CASES", "RECORDS", "Case", "Found", "Source", "covered", "design", "run", "sample"]

RECORDS = ("film default", "film given")
"""Names of what is recorded: of the photograph clip, and of a film of one's own."""

BLOCKS: tuple[Block, ...] = tuple(itertools.product((1, 2, 3), repeat=3))
THRESHOLDS = (0.8, 0.85, 0.9, 0.95, 0.99)
DROPS = (0.0, 0.3, 0.6, 0.9)
GRIDS = (Grid(4, 14, 13, row_stride=14), Grid(12, 7, 8), Grid(6, 9, 16))
"""The first one's rows end in a separator, as in models whose grid is 14 x 13."""
SIZES = ((16, 256), (32, 1024))
"""(V, m)."""
SLICES, TEXT = 4, 3


@dataclass(frozen=True)
class Case:
    """One layer: what is fed, and how it is concentrated."""

    number: int
    grid: Grid
    drop: float
    threshold: float
    block: Block
    dtype: str
    representative: str
    vector: int
    m_tile: int


def design() -> str:
    """SHA-256 of what the results depend on."""
    return sources_of("golden/layer.py", *(f"golden/sic/{name}.py" for name in ("gather", "layouter", "matcher")),
                      "golden/numeric/dtypes.py")


def _cases() -> list[Case]:
    """Every block in every format meets every threshold, drop rate, grid, size and representative."""
    found = []
    for turn, dtype, block in itertools.product(range(len(THRESHOLDS) * len(GRIDS)), DTYPES, BLOCKS):
        vector, m_tile = SIZES[turn // 2 % 2]
        found.append(Case(len(found), GRIDS[turn % len(GRIDS)], DROPS[turn % len(DROPS)],
                          THRESHOLDS[turn % len(THRESHOLDS)], block, dtype, REPRESENTATIVES[turn % 2], vector, m_tile))
    return found


CASES = _cases()


def sample(seed: int, stride: int = 44) -> list[Case]:
    """Every `stride`-th case; 44 has no factor in common with the 27 blocks, so it comes by each of them."""
    return CASES[seed % stride::stride]


class Source:
    """Tokens of a film (None: the photograph clip), read once per grid, projected once per width and format."""

    def __init__(self, video: Path | None, seed: int) -> None:
        self.video, self.seed = video, seed
        self.clip = cache(self._clip)
        self.tokens = cache(self._tokens)

    def _clip(self, grid: Grid) -> Clip:
        sides = grid.frames, grid.height, grid.width
        return photo_clip(*sides, self.seed) if self.video is None else read_video(self.video, *sides)

    def _tokens(self, grid: Grid, width: int, dtype: str) -> Bits:
        """(grid.tokens + TEXT, width): the clip's tokens in their places; separators and text are ones."""
        tokens = clip_tokens(self.clip(grid), width, self.seed, dtype)
        everything = np.full((grid.tokens + TEXT, width), 1 if dtype == "int8" else 0x3C00, tokens.dtype)
        row, column = grid.positions.T[2:]
        everything[:grid.tokens][(row < grid.height) & (column < grid.width)] = tokens
        return everything


@dataclass
class Found:
    """What was compared.  vectors : decisions and map entries.  band : of them, those that rounding may decide.
    different : of those in the band, decided otherwise than in float64.  matched : matches.  elements : of
    representatives.  wrong : cases in which something outside the band differs, in words.
    """

    cases: int = 0
    vectors: int = 0
    matched: int = 0
    band: int = 0
    different: int = 0
    elements: int = 0
    wrong: tuple[str, ...] = ()


def _agrees(part: Gathered, vectors: NDArray[Any], wide: NDArray[np.float64], case: Case) -> bool:
    """Whether the representatives are what they should be: vectors (m, V) bits, and the same as float64."""
    if case.representative == "first":
        return np.array_equal(part.unique, vectors[np.unique(part.index_map, return_index=True)[1]])
    got = real.numbers(part.unique, case.dtype)
    for number, mean in enumerate(got):
        group = wide[part.index_map == number]
        if (np.abs(mean - group.mean(axis=0)) > real.mean_bound(group, case.dtype)).any():
            return False
    return True


def _compare_tile(tile: Tile, parts: Iterable[Gathered], tokens: Bits, case: Case, found: Found) -> list[str]:
    """Every slice of a tile; returns what is wrong with it."""
    wide = real.numbers(tokens, case.dtype).reshape(tile.tokens, SLICES, case.vector)
    want = real.judge(wide, tile.positions, case.grid.height, case.grid.width, case.threshold, dtype=case.dtype,
                      block=case.block)
    wrong = []
    for s, part in enumerate(parts):
        close, judged = want.close[:, s], want.neighbour[:, s]
        first = np.unique(part.index_map, return_index=True)[1]
        alone = np.isin(np.arange(tile.tokens), first)
        # In the band golden decides; a match there is with some candidate of the same group, any serves for the map.
        settled = np.where(close, np.where(alone, -1, first[part.index_map]), judged)
        if real.index_map(settled.tolist()) != part.index_map.tolist():
            wrong.append(f"map of slice {s}")
        if not _agrees(part, tokens[:, s * case.vector:(s + 1) * case.vector], wide[:, s], case):
            wrong.append(f"representatives of slice {s}")
        found.vectors += tile.tokens
        found.matched += int((~alone).sum())
        found.band += int(close.sum())
        found.different += int((close & (alone != (judged < 0))).sum())
        found.elements += part.unique.size
    return wrong


def run(cases: Iterable[Case], source: Source, found: Found | None = None) -> Found:
    """Compare all cases; continues after a difference."""
    found = found or Found()
    for case in cases:
        grid, width = case.grid, SLICES * case.vector
        tokens = source.tokens(grid, width, case.dtype)
        retained = np.random.default_rng([source.seed, case.number]).random(grid.tokens) >= case.drop
        layer = concentrate_layer(tokens, grid, retained=retained, threshold=case.threshold, vector=case.vector,
                                  m_tile=case.m_tile, block=case.block, representative=case.representative,
                                  dtype=case.dtype)
        kept = np.concatenate([tokens[:grid.tokens][retained], tokens[grid.tokens:]])
        start = 0
        for tile, parts in zip(layer.tiles, layer.parts, strict=True):
            rows = kept[start:start + tile.tokens]
            start += tile.tokens
            found.wrong += tuple(f"{case}: {what}" for what in _compare_tile(tile, parts, rows, case, found))
        if start != len(kept):
            found.wrong += (f"{case}: {start} tokens in tiles, {len(kept)} retained",)
        found.cases += 1
    return found


def covered(cases: Iterable[Case]) -> Counter[tuple[Any, ...]]:
    """How often the cases bring each value of a setting together with each block in each format."""
    bins: Counter[tuple[Any, ...]] = Counter()
    for case in cases:
        for setting in ("grid", "drop", "threshold", "representative", "vector"):
            bins[case.block, case.dtype, setting, getattr(case, setting)] += 1
    return bins


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.golden.film", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a film (default: a photograph, panned and zoomed)")
    parser.add_argument("--seed", type=int, default=1, help="of the clip, the projection and the dropped tokens")
    parser.add_argument("--json", type=Path, help="where to keep what was found")
    told = parser.parse_args()
    command = f"python -m focus_rtl.verif.golden.film --seed {told.seed}" + " --video FILM" * (told.video is not None)
    source = Source(told.video, told.seed)
    found = run(CASES, source)
    result = {"film": source.clip(GRIDS[0]).origin, "seed": told.seed, **vars(found), "wrong": len(found.wrong),
              "bins": len(covered(CASES)), "least": min(covered(CASES).values())}
    print("\n".join(found.wrong[:20]))
    print(", ".join(f"{name} {value}" for name, value in result.items()))
    if told.json:
        put(told.json, RECORDS[told.video is not None], result | stamp(command, design()))
    return int(bool(found.wrong) or found.matched == 0)


if __name__ == "__main__":
    sys.exit(main())
