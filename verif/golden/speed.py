# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of `concentrate_layer`, with all its outputs, beside a textbook's cosines in the same run.

    python -m focus_rtl.verif.golden.speed                      # (16, 14, 13, 3584), every format and representative
    python -m focus_rtl.verif.golden.speed --json FILE          # keep the figures
    python -m focus_rtl.verif.golden.speed --video FILM

Vectors per CPU second of one process, best of five; the largest memory of a process that loads the tokens and
concentrates them, Python and NumPy included.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from focus_rtl.gen.tokens import clip_tokens
from focus_rtl.gen.video import photo_clip, read_video
from focus_rtl.golden.job import Grid
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits
from focus_rtl.golden.sic.gather import REPRESENTATIVES
from focus_rtl.verif.golden.film import design
from focus_rtl.verif.records import put, stamp

__all__ = ["RECORDS", "main", "measure"]

GRID, WIDTH = (16, 14, 13), 3584
"""Frames, height and width; K."""

RECORDS = [f"speed {dtype} {representative}" for dtype, representative in itertools.product(DTYPES, REPRESENTATIVES)]
"""Names of what is recorded."""

def measure(tokens: Bits, grid: Grid, dtype: str, representative: str) -> dict[str, Any]:
    """vectors, rate (per CPU second), baseline (the textbook's), ratio of the two, memory (bytes), both sparsities."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens.npy"
        np.save(path, tokens)
        sides = [str(side) for side in (grid.frames, grid.height, grid.width)]
        done = subprocess.run([sys.executable, "-m", "focus_rtl.verif.golden.measured", str(path), *sides, dtype,
                               representative], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _film(video: Path | None, grid: Grid, width: int) -> Callable[[str], Bits]:
    sides = grid.frames, grid.height, grid.width
    clip = photo_clip(*sides, 1) if video is None else read_video(video, *sides)
    return lambda dtype: clip_tokens(clip, width, 1, dtype)


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.golden.speed", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a film (default: a photograph, panned and zoomed)")
    parser.add_argument("--grid", type=int, nargs=3, default=GRID, help="frames, height, width")
    parser.add_argument("--width", type=int, default=WIDTH, help="K, elements of a token")
    parser.add_argument("--only", nargs=2, metavar=("DTYPE", "REPRESENTATIVE"), help="one row instead of all")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    told = parser.parse_args()
    if told.json and (told.video, tuple(told.grid), told.width) != (None, GRID, WIDTH):
        parser.error("--json records the layer that the docs speak of; leave --video, --grid and --width out")
    grid = Grid(*told.grid)
    rows = [tuple(told.only)] if told.only else list(itertools.product(DTYPES, REPRESENTATIVES))
    tokens = _film(told.video, grid, told.width)
    found = {f"{dtype} {representative}": measure(tokens(dtype), grid, dtype, representative)
             for dtype, representative in rows}
    for name, row in found.items():
        print(f"{name}: {row['rate'] / 1e6:.2f} M vectors/s of CPU, {row['ratio']:.1f}x the textbook, "
              f"{row['memory'] / 1e6:.0f} MB, {row['unique_ratio']:.1%} unique")
        if told.json:
            put(told.json, f"speed {name}", row | stamp("python -m focus_rtl.verif.golden.speed", design()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
