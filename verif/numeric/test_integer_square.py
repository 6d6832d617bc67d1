# SPDX-License-Identifier: Apache-2.0
"""IntegerSquare: d * |d| for every d that a dot product of V int8 elements can be, at every depth."""

from functools import partial

import numpy as np

from focus_rtl.hdl.numeric.integer import integer_bits
from focus_rtl.hdl.numeric.integer_square import IntegerSquare
from focus_rtl.verif.numeric.harness import Harness, Lane
from focus_rtl.verif.numeric.native import Native

VECTORS = (2, 12, 64)
DEPTHS = (0, 1, 2, 3, 4)


def test_every_square_is_exact() -> None:
    lanes = [Lane(f"v{vector}_{depth}", partial(IntegerSquare, depth, vector), {"a": f"d{vector}"})
             for vector in VECTORS for depth in DEPTHS]
    every = np.arange(-(64 << 14), (64 << 14) + 1)
    compared = 0
    with Native(Harness(lanes, {f"d{vector}": 32 for vector in VECTORS})) as model:
        step = model.capacity - max(DEPTHS)
        for start in range(0, len(every), step):
            whole = every[start:start + step]
            clipped = {vector: np.clip(whole, -(vector << 14), vector << 14) for vector in VECTORS}
            for vector, d in clipped.items():
                model.inputs[f"d{vector}"][:len(d), 0] = d.astype(np.int32).view(np.uint32)
            model.start(len(whole) + max(DEPTHS))
            results = model.finish()
            for vector, d in clipped.items():
                want = d * np.abs(d) & (1 << integer_bits(vector)[0]) - 1
                for depth in DEPTHS:
                    wrong = np.flatnonzero(results[f"v{vector}_{depth}"][depth:depth + len(d), 0] != want)
                    assert not wrong.size, f"V = {vector}, depth {depth}: the first wrong square is of {d[wrong[0]]}"
                    compared += len(d)
    assert compared == len(every) * len(VECTORS) * len(DEPTHS)
