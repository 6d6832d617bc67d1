# SPDX-License-Identifier: Apache-2.0
"""The measurement of speed measures what it says, on a small layer; how fast it is belongs to no test."""

import numpy as np

from focus_rtl.golden.job import Grid
from focus_rtl.golden.layer import concentrate_layer
from focus_rtl.verif.golden.cases import smooth_video
from focus_rtl.verif.golden.measured import textbook
from focus_rtl.verif.golden.speed import measure


def test_a_small_layer_is_measured() -> None:
    grid = Grid(4, 5, 6)
    tokens = smooth_video(np.random.default_rng(1), grid, 64)
    found = measure(tokens, grid, "fp16", "mean")
    layer = concentrate_layer(tokens, grid)
    assert found["vectors"] == layer.vectors == 240 and found["unique_ratio"] == layer.unique_ratio < 1
    assert min(found["rate"], found["baseline"], found["ratio"]) > 0
    assert found["memory"] > tokens.nbytes


def test_the_baseline_does_the_same_work() -> None:
    grid = Grid(3, 8, 9)
    tokens = smooth_video(np.random.default_rng(2), grid, 96)
    assert 0 < textbook(tokens, grid, "fp16") == concentrate_layer(tokens, grid).matched
