# SPDX-License-Identifier: Apache-2.0
"""Layouter: the window of every token shows the vectors that the golden model says, and nothing else."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from focus_rtl.golden.job import Grid, Tile, tiles_of
from focus_rtl.golden.sic.layouter import NEIGHBOURS, bank, inside, offset, windows
from focus_rtl.hdl.layouts import position
from focus_rtl.hdl.sic.layouter import Layouter, bank_depth
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import Bench
from focus_rtl.verif.golden.cases import make_params, random_tile
from focus_rtl.verif.sic.test_gather import joined, pack, parameters

SIZES = {"large": (8, 14, 13), "flat": (4, 1, 9), "tall": (4, 5, 1), "point": (2, 1, 1)}
EVENTS = {"visible", "hidden by a dead one", "outside", "text", "masked", "read after write", "stale tile",
          "full window", "idle"}


def _tile(rng: np.random.Generator, frames: int, height: int, width: int) -> Tile:
    if rng.random() < 0.5:
        tile = random_tile(rng, int(rng.integers(1, 60)), height, width)
        return Tile(np.minimum(tile.positions, (1, frames - 1, 1 << 20, 1 << 20)))
    return tiles_of(Grid(frames, height, width), 64, text_tokens=2)[0]


def _live_windows(tile: Tile, height: int, width: int, live: list[bool]) -> list[list[int]]:
    """The tokens of each window, -1 for what is not there or does not live."""
    return [[other if other >= 0 and live[other] else -1 for other in row]
            for row in windows(tile, height, width).tolist()]


@bench_test
async def shows_the_window(dut: Any) -> dict[str, Any]:
    p, rng, bench = parameters(), np.random.default_rng(seed()), Bench(dut, seed())
    bench.write("en", 0)
    await bench.reset()
    events: Counter[str] = Counter()
    compared = tokens = 0
    for number in range(config()["tiles"]):
        height, width = (int(rng.integers(1, side + 1)) for side in p.grid_max[1:])
        tile = _tile(rng, p.grid_max[0], height, width)
        mask = 0x7F if rng.random() < 0.6 else int(rng.integers(0x80))
        live = [bool(rng.random() < 0.8) for _ in range(tile.tokens)]
        vectors = [joined(row) for row in rng.integers(0, 1 << 16, (tile.tokens, p.vector), np.uint16)]
        for name, value in (("height", height), ("width", width), ("enabled", mask), ("clear", 1)):
            bench.write(name, value)
        await bench.edge()
        bench.write("clear", 0)
        window = _live_windows(tile, height, width, live)
        events["stale tile"] += number > 0
        events["masked"] += mask != 0x7F
        events["hidden by a dead one"] += sum(window[token] != row for token, row
                                              in enumerate(windows(tile, height, width).tolist()))
        for token, (image, *where) in enumerate(tile.positions.tolist()):
            place = (where[0], where[1], where[2])
            while rng.random() < 0.2:
                await bench.edge()
                events["idle"] += 1
            bench.write("position", pack(position(p), image=image, frame=place[0], row=place[1], column=place[2]))
            for name, value in (("vector", vectors[token]), ("live", int(live[token])), ("en", 1)):
                bench.write(name, value)
            await bench.edge()
            bench.write("en", 0)
            entered = bool(image) and inside(place, height, width)
            seen = [other if mask >> slot & 1 else -1 for slot, other in enumerate(window[token])]
            assert bench.read("entered") == entered
            assert bench.read("visible") == sum(1 << slot + 1 for slot, other in enumerate(seen) if other >= 0)
            for slot, other in enumerate(seen):
                if other >= 0:
                    df, dr, dc = NEIGHBOURS[slot]
                    there = bank((place[0] - df, place[1] - dr, place[2] - dc))
                    assert bench.read(f"banks_{there}") == vectors[other], f"token {token}, neighbour {slot}"
            compared += 2 + sum(other >= 0 for other in seen)
            tokens += 1
            events["visible"] += sum(other >= 0 for other in seen)
            events["full window"] += min(seen) >= 0
            events["read after write"] += token > 0 and token - 1 in seen
            events["text"] += not image
            events["outside"] += bool(image) and not entered
    return {"compared": compared, "tokens": tokens, "events": dict(events)}


@pytest.mark.parametrize("name", SIZES)
def test_layouter(name: str, seed: int) -> None:
    p = make_params(rows=1, cols=1, vector=2, m_tile=64, grid_max=SIZES[name])
    result = simulate(Layouter(p), __name__, config={"params": p.to_dict(), "tiles": 150}, seed=seed)
    found = result["tests"]["shows_the_window"]
    print(f"{name}: {found}")
    assert found["compared"] == 2 * found["tokens"] + found["events"]["visible"]
    impossible = set() if name == "large" else {"full window"}
    assert {event for event in EVENTS - impossible if not found["events"].get(event)} == set()


@pytest.mark.parametrize("size", SIZES.values())
def test_every_position_has_an_entry_of_its_own(size: tuple[int, int, int]) -> None:
    _, height, width = size
    p = make_params(grid_max=size)
    entries = {(bank((frame, row, column)), offset((frame, row, column), width))
               for frame in range(2) for row in range(height) for column in range(width)}
    assert len(entries) == 2 * height * width
    assert max(entry for _, entry in entries) < bank_depth(p)
