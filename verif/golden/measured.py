# SPDX-License-Identifier: Apache-2.0
"""One measurement of `verif/golden/speed.py`, in a process that loads nothing but NumPy and the golden model.

    python -m focus_rtl.verif.golden.measured TOKENS.npy FRAMES HEIGHT WIDTH DTYPE REPRESENTATIVE    # prints JSON
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from focus_rtl.golden.job import Grid, tiles_of
from focus_rtl.golden.layer import ConcentratedLayer, concentrate_layer
from focus_rtl.golden.numeric.dtypes import Bits, numbers
from focus_rtl.golden.sic.layouter import windows

__all__ = ["measured", "textbook"]

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


def _peak() -> int:
    """Bytes: the most that this process has had in memory (what `getrusage` says begins with the parent's)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def measured(tokens: Bits, grid: Grid, dtype: str, representative: str) -> dict[str, Any]:
    """What `speed.measure` returns; memory first, for the baseline takes more."""
    layer = _concentrated(tokens, grid, dtype, representative)
    peak = _peak()
    vectors, share = layer.vectors, {"unique_ratio": layer.unique_ratio, "published_sparsity": layer.published_sparsity}
    del layer
    seconds = _best(lambda: _concentrated(tokens, grid, dtype, representative))
    plain = _best(lambda: textbook(tokens, grid, dtype))
    return {"vectors": vectors, "rate": vectors / seconds, "baseline": vectors / plain, "ratio": plain / seconds,
            "memory": peak, **share}


if __name__ == "__main__":
    path, *sides = sys.argv[1:5]
    print(json.dumps(measured(np.load(path), Grid(*map(int, sides)), *sys.argv[5:])))
