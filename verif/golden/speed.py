# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of `concentrate_layer`, with all its outputs, beside a textbook's cosines in the same run.

    python -m focus_rtl.verif.golden.speed                      # (16, 14, 13, 3584), every format and representative
    python -m focus_rtl.verif.golden.speed --video FILM --json FILE

Vectors per CPU second of one process, best of five; the largest memory of a process that loads the tokens and
concentrates them, Python and NumPy included.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.tokens import clip_tokens
from focus_rtl.gen.video import photo_clip, read_video
from focus_rtl.golden.job import Grid, tiles_of
from focus_rtl.golden.layer import ConcentratedLayer, concentrate_layer
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits, numbers
from focus_rtl.golden.sic.gather import REPRESENTATIVES
from focus_rtl.golden.sic.layouter import windows

__all__ = ["main", "measure", "textbook"]

VECTOR, M_TILE, THRESHOLD = 32, 1024, 0.9
RUNS = 5


def textbook(tokens: Bits, grid: Grid, dtype: str) -> int:
    """The baseline, binary32: vectors made unit length, a product and a sum per neighbour, all of a tile at once.

    Decisions only, block 2 x 2 x 2: no map and no representative.  Returns how many match.
    """
    matched = 0
    start = 0
    for tile in tiles_of(grid, M_TILE):
        rows = numbers(tokens[start:start + tile.tokens], dtype).reshape(tile.tokens, -1, VECTOR)
        start += tile.tokens
        with np.errstate(all="ignore"):
            unit = rows / np.sqrt((rows * rows).sum(axis=-1, keepdims=True))
        best = np.full(rows.shape[:2], -1, dtype=np.float32)
        for other in windows(tile, grid.height, grid.width).T:
            cosine = (unit * unit[other]).sum(axis=-1)
            best = np.fmax(best, np.where(other[:, None] >= 0, cosine, np.float32(-1)))
        matched += int((best > THRESHOLD).sum())
    return matched


def _concentrated(tokens: Bits, grid: Grid, dtype: str, representative: str) -> ConcentratedLayer:
    return concentrate_layer(tokens, grid, threshold=THRESHOLD, vector=VECTOR, m_tile=M_TILE, dtype=dtype,
                             representative=representative)


def _best(run: Callable[[], object]) -> float:
    """CPU seconds of the fastest of some runs."""
    seconds = []
    for _ in range(RUNS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def _measure_here(path: Path, grid: Grid, dtype: str, representative: str) -> dict[str, Any]:
    """In a process of its own: memory first, for the baseline takes more."""
    tokens = np.load(path)
    layer = _concentrated(tokens, grid, dtype, representative)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    vectors, share = layer.vectors, {"unique_ratio": layer.unique_ratio, "published_sparsity": layer.published_sparsity}
    del layer
    seconds = _best(lambda: _concentrated(tokens, grid, dtype, representative))
    plain = _best(lambda: textbook(tokens, grid, dtype))
    return {"vectors": vectors, "rate": vectors / seconds, "baseline": vectors / plain, "ratio": plain / seconds,
            "memory": peak, **share}


def measure(tokens: Bits, grid: Grid, dtype: str, representative: str) -> dict[str, Any]:
    """vectors, rate (per CPU second), baseline (the textbook's), ratio of the two, memory (bytes), both sparsities."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens.npy"
        np.save(path, tokens)
        sides = [str(side) for side in (grid.frames, grid.height, grid.width)]
        done = subprocess.run([sys.executable, "-m", "focus_rtl.verif.golden.speed", "--measure", str(path), "--grid",
                               *sides, "--only", dtype, representative], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _film(video: Path | None, grid: Grid, width: int) -> Callable[[str], NDArray[Any]]:
    sides = grid.frames, grid.height, grid.width
    clip = photo_clip(*sides, 1) if video is None else read_video(video, *sides)
    return lambda dtype: clip_tokens(clip, width, 1, dtype)


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.golden.speed", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a film (default: a photograph, panned and zoomed)")
    parser.add_argument("--grid", type=int, nargs=3, default=(16, 14, 13), help="frames, height, width")
    parser.add_argument("--width", type=int, default=3584, help="K, elements of a token")
    parser.add_argument("--only", nargs=2, metavar=("DTYPE", "REPRESENTATIVE"), help="one row instead of all")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    grid = Grid(*told.grid)
    rows = [tuple(told.only)] if told.only else list(itertools.product(DTYPES, REPRESENTATIVES))
    if told.measure:
        print(json.dumps(_measure_here(told.measure, grid, *rows[0])))
        return 0
    tokens = _film(told.video, grid, told.width)
    found = {f"{dtype} {representative}": measure(tokens(dtype), grid, dtype, representative)
             for dtype, representative in rows}
    for name, row in found.items():
        print(f"{name}: {row['rate'] / 1e6:.2f} M vectors/s of CPU, {row['ratio']:.1f}x the textbook, "
              f"{row['memory'] / 1e6:.0f} MB, {row['unique_ratio']:.1%} unique")
    if told.json:
        told.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
