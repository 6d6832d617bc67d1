# SPDX-License-Identifier: Apache-2.0
"""Jobs, tiles and counts: what is derived, and what is refused with which words."""

from typing import Any

import numpy as np
import pytest

from focus_rtl.golden.job import Grid, Job, Tile, field_limit, tiles_of
from focus_rtl.golden.sec.offsets import Strides
from focus_rtl.golden.sec.places import Offsets
from focus_rtl.verif.golden.cases import make_params
from focus_rtl.verif.oracles import brute

TILES = tiles_of(Grid(2, 3, 4), 16)


def job(**changed: Any) -> Job:
    fields: dict[str, Any] = {"k": 10, "n": 7, "tiles": TILES, "height": 3, "width": 4, "threshold": 0.9}
    return Job(**(fields | changed))


def test_tiles_hold_tokens_in_order() -> None:
    assert [tile.tokens for tile in TILES] == [16, 8]
    everything = np.concatenate([tile.positions for tile in TILES]).tolist()
    assert everything == [[1, f, r, c] for f in range(2) for r in range(3) for c in range(4)]


def test_separators_stand_outside_the_grid() -> None:
    grid = Grid(2, 2, 3, row_stride=5, frame_stride=11)
    assert grid.tokens == 22 and Grid(2, 3, 4).tokens == 24 and Grid(2, 2, 3, 4) == Grid(2, 2, 3, 4, 8)
    frame, = (part.positions.tolist() for part in tiles_of(Grid(1, 2, 3, 5, 11), 16))
    assert frame == [[1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, 2], [1, 0, 0, 3], [1, 0, 0, 3],
                     [1, 0, 1, 0], [1, 0, 1, 1], [1, 0, 1, 2], [1, 0, 1, 3], [1, 0, 1, 3], [1, 0, 2, 0]]
    assert (grid.positions[11:] - grid.positions[:11] == [0, 1, 0, 0]).all()
    kept = np.arange(22) % 5 == 0
    assert np.array_equal(tiles_of(grid, 16, kept)[0].positions, grid.positions[kept])
    for strides, message in (((2, 0), "row_stride = 2: must be between 3"),
                             ((4, 7), "frame_stride = 7: must be between 8"),
                             ((-1, 0), "row_stride = -1")):
        with pytest.raises(ValueError, match=message):
            Grid(2, 2, 3, *strides)


def test_text_has_tiles_of_its_own() -> None:
    tiles = tiles_of(Grid(2, 3, 4), 16, text_tokens=18)
    assert [tile.tokens for tile in tiles] == [16, 8, 16, 2]
    assert [bool(tile.image.any()) for tile in tiles] == [True, True, False, False]
    assert not tiles[2].positions.any()


def test_retained_is_a_mask() -> None:
    retained = np.zeros((2, 3, 4), dtype=bool)
    retained[0, 1, 2] = retained[1, 2, 3] = True
    assert tiles_of(Grid(2, 3, 4), 16, retained)[0].positions.tolist() == [[1, 0, 1, 2], [1, 1, 2, 3]]
    with pytest.raises(ValueError, match="retained has 23 entries: must have 24"):
        tiles_of(Grid(2, 3, 4), 16, retained.reshape(-1)[1:])
    with pytest.raises(TypeError, match="must be bool"):
        tiles_of(Grid(2, 3, 4), 16, retained.astype(int))
    with pytest.raises(ValueError, match="no token is left"):
        tiles_of(Grid(2, 3, 4), 16, np.zeros(24, dtype=bool))


@pytest.mark.parametrize("v", [2, 4, 6, 16])
def test_counts_cover_every_element_once(v: int) -> None:
    for rows in (d for d in range(1, v + 1) if v % d == 0):
        params = make_params(vector=v, rows=rows, cols=v // rows, matcher_lanes=1)
        for size in range(1, 3 * v + 2):
            counts = job(k=size, n=size).counts(params)
            assert counts.slices == counts.vectors == -(-size // v)
            assert counts.all_rows == -(-size // rows) and counts.all_cols == -(-size // (v // rows))
            assert sum(counts.rows_of(k) for k in range(counts.slices)) == counts.all_rows
            assert sum(counts.cols_of(n) for n in range(counts.vectors)) == counts.all_cols
            assert sum(counts.lanes_of(n) for n in range(counts.vectors)) == size
            assert 1 <= counts.last_rows <= v // rows and 1 <= counts.last_cols <= rows
            assert 1 <= counts.last_lanes <= v


@pytest.mark.parametrize("threshold", [0, 1, 0.5, 0.9, 0.95, 1 / 3, 1e-20, 1e-30, 1 - 1e-12, np.float32(0.7)])
def test_squared_threshold(threshold: float) -> None:
    assert job(threshold=threshold).t2 == brute.single_bits(brute.squared_threshold(float(threshold)))


@pytest.mark.parametrize("threshold", [0, 1, 0.5, 0.9, 0.95, 1 / 3, 0.001, 0.0027621, 1e-20, 1 - 1e-12, np.float32(0.7),
                                       (1 / 131072) ** 0.5, (3 / 131072) ** 0.5])
def test_squared_threshold_of_int8(threshold: float) -> None:
    got = job(threshold=threshold, dtype="int8").t2
    assert got == brute.squared_threshold(float(threshold), "int8")
    assert isinstance(got, int) and abs(got - float(threshold) ** 2 * 65536) <= 0.5


@pytest.mark.parametrize(("threshold", "t2"), [(0, 0), (0.5, 16384), (1, 65536), (0.9, 53084)])
def test_squared_threshold_of_int8_by_value(threshold: float, t2: int) -> None:
    assert job(threshold=threshold, dtype="int8").t2 == t2


def test_bf16_has_the_threshold_of_fp16() -> None:
    assert job(dtype="bf16").t2 == job(dtype="fp16").t2 == 0x3F4F5C28


def test_spans_cover_the_rows() -> None:
    assert [(rows.start, rows.stop) for _, rows in job().spans()] == [(0, 16), (16, 24)]
    assert job().tokens == 24


@pytest.mark.parametrize(("field", "value", "kind", "message"), [
    ("k", 0, ValueError, "k = 0: must be between 1 and 131071"),
    ("k", 1.0, TypeError, "k = 1.0: must be a whole number"),
    ("n", 131072, ValueError, "n = 131072: must be between 1 and 131071"),
    ("n", True, TypeError, "n = True: must be a whole number"),
    ("height", 0, ValueError, "height = 0: must be between 1 and 256"),
    ("width", 257, ValueError, "width = 257: must be between 1 and 256"),
    ("threshold", 1.0001, ValueError, "threshold = 1.0001: must be between 0 and 1"),
    ("threshold", -0.1, ValueError, "threshold = -0.1: must be between 0 and 1"),
    ("threshold", float("nan"), ValueError, "threshold = nan: must be between 0 and 1"),
    ("threshold", "0.9", TypeError, "threshold = '0.9': must be a number"),
    ("mask", 128, ValueError, "mask = 128: must be between 0 and 127"),
    ("block", (2, 2, 4), ValueError, "side of the block = 4: must be between 1 and 3"),
    ("block", (2, 0, 2), ValueError, "side of the block = 0: must be between 1 and 3"),
    ("block", (2, 2), TypeError, "must be a tuple of three whole numbers"),
    ("block", [2, 2, 2], TypeError, "must be a tuple of three whole numbers"),
    ("dense", 1, TypeError, "dense = 1: must be True or False"),
    ("preload", 0, TypeError, "preload = 0: must be True or False"),
    ("dtype", "fp8", ValueError, "dtype = 'fp8': must be one of 'fp16', 'bf16', 'int8'"),
    ("tiles", (), ValueError, "must hold at least one tile"),
    ("tiles", (np.zeros((3, 4), int),), TypeError, "must hold Tile objects"),
])
def test_job_refuses(field: str, value: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        job(**{field: value})


@pytest.mark.parametrize(("changed", "message"), [
    ({"k_max": 8}, "k = 10: must be between 1 and 8"),
    ({"n_max": 6}, "n = 7: must be between 1 and 6"),
    ({"grid_max": (16, 2, 16)}, "height = 3: must be between 1 and 2"),
    ({"grid_max": (16, 16, 3)}, "width = 4: must be between 1 and 3"),
    ({"grid_max": (1, 16, 16)}, "frame in tile 0 = 1: must be between 0 and 0"),
    ({"tokens_max": 23}, "tokens of all tiles = 24: must be between 1 and 23"),
    ({"dtype": "int8"}, "dtype = 'fp16': must be 'int8', as the configuration has it"),
    ({"m_tile": 8}, "tokens of tile 0 = 16: must be between 1 and 8"),
])
def test_check_refuses_what_does_not_fit(changed: dict[str, Any], message: str) -> None:
    fitting = job()
    assert fitting.check(make_params()) is fitting
    with pytest.raises(ValueError, match=message):
        fitting.check(make_params(**changed))


def test_a_mask_has_a_bit_for_every_candidate_of_the_block() -> None:
    assert job().mask == 0x7F and job(block=(1, 1, 1)).mask == 0 and job(block=(3, 3, 3)).mask == (1 << 26) - 1
    assert job(block=(1, 2, 2), mask=7).mask == 7
    with pytest.raises(ValueError, match="mask = 8: must be between 0 and 7"):
        job(block=(1, 2, 2), mask=8)
    with pytest.raises(ValueError, match=r"block = \(1, 2, 2\): must be \(2, 2, 2\), as the configuration has it"):
        job(block=(1, 2, 2)).check(make_params())


def test_positions_outside_the_grid_must_still_fit_their_field() -> None:
    assert [field_limit(size) for size in (1, 2, 3, 4, 5, 14, 16)] == [1, 3, 3, 7, 7, 15, 31]
    params = make_params(grid_max=(16, 4, 14))
    job(tiles=(Tile(np.array([(1, 0, 3, 15)])),)).check(params)
    with pytest.raises(ValueError, match="column in tile 0 = 16: must be between 0 and 15"):
        job(tiles=(Tile(np.array([(1, 0, 0, 16)])),)).check(params)


@pytest.mark.parametrize(("positions", "kind", "message"), [
    (np.zeros((0, 4), int), ValueError, "at least one token"),
    (np.zeros((2, 3), int), ValueError, r"must be \(tokens, 4\)"),
    (np.zeros((2, 4)), TypeError, "must be whole numbers"),
    (np.array([(2, 0, 0, 0)]), ValueError, "image must be 0 or 1"),
    (np.array([(1, 0, -1, 0)]), ValueError, "must not be negative"),
])
def test_tile_refuses(positions: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Tile(positions)


@pytest.mark.parametrize(("change", "message"), [
    ({"height": 4}, "offsets of a grid of 3 x 4: the job's is 4 x 4"), ({"bits": 5}, "bits of the offsets = 5"),
    ({"tile": True}, "give other positions than tile 1 has"), ({"frames": 17}, "frames of the offsets = 17"),
    ({"row": 65, "frame": 200}, "row stride of the offsets = 65"), ({"frame": 65}, "frame stride of the offsets = 65")])
def test_job_refuses_offsets(change: dict[str, int], message: str) -> None:
    told = Strides(change.get("frames", 2), 3, 4, change.get("row", 4), change.get("frame", 12))
    offsets = Offsets(np.ones(24, np.uint16), change.get("bits", 4), told, (False, False))
    tiles = [Tile(places) for places in offsets.places([16, 8])]
    if "tile" in change:
        tiles[1] = Tile(tiles[1].positions[::-1])
    with pytest.raises(ValueError, match=message):
        Job(4, 4, tiles, change.get("height", 3), 4, 0.5, offsets=offsets).check(make_params())


def test_grid_refuses() -> None:
    with pytest.raises(ValueError, match="frames = 0"):
        Grid(0, 3, 3)
    wrong: Any = 2.5
    with pytest.raises(TypeError, match=r"width = 2\.5"):
        Grid(1, 3, wrong)
