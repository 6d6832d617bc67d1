# SPDX-License-Identifier: Apache-2.0
"""Layouter: the window of every token shows the vectors that the golden model says, and nothing else."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from focus_rtl.golden.job import Grid, Tile, tiles_of
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.layouter import bank, inside, neighbours, offset, windows
from focus_rtl.hdl.layouts import position
from focus_rtl.hdl.sic.layouter import Layouter
from focus_rtl.hdl.sic.window import bank_depth, code_of, place_layout
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.golden.cases import make_params, random_tile
from focus_rtl.verif.sic.side_by_side import One, SideBySide, fresh_bench
from focus_rtl.verif.sic.test_gather import joined, pack

BUILDS: dict[str, dict[str, tuple[int, int, int]]] = {
    "cube": {"block": (2, 2, 2), "grid_max": (8, 14, 13)},
    "flat": {"block": (2, 2, 2), "grid_max": (4, 1, 9)},
    "tall": {"block": (2, 2, 2), "grid_max": (4, 5, 1)},
    "point": {"block": (2, 2, 2), "grid_max": (2, 1, 1)},
    "thirds": {"block": (3, 3, 3), "grid_max": (9, 10, 14)},
    "small": {"block": (3, 3, 3), "grid_max": (3, 2, 4)},
    "row": {"block": (1, 1, 3), "grid_max": (3, 4, 256)},
    "frames": {"block": (3, 1, 1), "grid_max": (4096, 3, 5)},
    "slab": {"block": (1, 3, 2), "grid_max": (2, 17, 6)},
    "mixed": {"block": (2, 1, 3), "grid_max": (5, 7, 10)},
    "pair": {"block": (1, 2, 1), "grid_max": (1, 6, 2)},
}
"""Ways to build one: every side of a window along every axis; grids smaller than it, odd, flat, at their limits."""
EVENTS = {"visible", "hidden by a dead one", "outside", "text", "masked", "read after write", "stale tile",
          "full window", "idle", "largest position"}
PASSES = (1 << 16) + 1
QUIET = tuple(f"{name}_{port}" for name in BUILDS for port in ("en", "clear"))


def build(name: str) -> Parameters:
    return make_params(rows=1, cols=1, vector=2, m_tile=64, **BUILDS[name])


def _live_windows(p: Parameters, tile: Tile, height: int, width: int, live: list[bool]) -> list[list[int]]:
    """The tokens of each window, -1 for what is not there or does not live."""
    return [[other if other >= 0 and live[other] else -1 for other in row]
            for row in windows(tile, height, width, p.block).tolist()]


Case = tuple[Tile, int, int, int, list[bool]]
"""A tile, the grid's height and width, the mask, and which tokens live."""


def _corner(p: Parameters) -> Tile:
    """The window whose key is the grid's last position, in token order."""
    first = np.array(p.grid_max) - p.block
    places = np.array([(1, *(first + where)) for where in np.ndindex(*p.block)])
    return Tile(places[places.min(axis=1) >= 0])


def named_cases(p: Parameters) -> list[Case]:
    """What random tiles may miss: a whole window, each candidate alone, each one dead, text, places outside."""
    _, height, width = p.grid_max
    whole = tiles_of(Grid(*(min(size, side) for size, side in zip(p.grid_max, p.block, strict=True))), 64)[0]
    every = (1 << p.candidates) - 1
    cases: list[Case] = [(tile, height, width, mask, [True] * tile.tokens) for tile in (whole, _corner(p))
                         for mask in (every, 0, *(1 << number for number in range(p.candidates)))]
    for dead in range(whole.tokens):
        cases.append((whole, height, width, every, [token != dead for token in range(whole.tokens)]))
    strange = np.array([(1, 0, 0, 0), (0, 0, 0, 0), (1, 0, 0, width), (1, 0, height, 0), (1, 0, height - 1, width - 1)])
    cases.append((Tile(strange), height, width, every, [True] * 5))
    return cases


def random_case(rng: np.random.Generator, p: Parameters) -> Case:
    height, width = (int(rng.integers(1, side + 1)) for side in p.grid_max[1:])
    if rng.random() < 0.5:
        tile = random_tile(rng, int(rng.integers(1, 60)), height, width)
        tile = Tile(np.minimum(tile.positions, (1, p.grid_max[0] - 1, 1 << 20, 1 << 20)))
    else:
        frames = min(p.grid_max[0], 8)
        tile = tiles_of(Grid(frames, height, width), 64, rng.random(frames * height * width) < 0.9, text_tokens=2)[0]
    mask = -1 if rng.random() < 0.6 else int(rng.integers(1 << p.candidates))
    live = [bool(rng.random() < 0.8) for _ in range(tile.tokens)]
    return tile, height, width, mask & (1 << p.candidates) - 1, live


class Driver:
    """Offers tiles to one of the layouters and compares what it shows."""

    def __init__(self, one: One, p: Parameters, rng: np.random.Generator) -> None:
        self.one, self.p, self.rng = one, p, rng
        self.events: Counter[str] = Counter()
        self.compared = self.tokens = 0

    async def token(self, place: tuple[int, int, int], image: int, live: bool, vector: int) -> None:
        frame, row, column = place
        word = pack(position(self.p), image=image, frame=frame, row=row, column=column)
        for name, value in (("position", word), ("vector", vector), ("live", int(live)), ("en", 1)):
            self.one.write(name, value)
        await self.one.edge()
        self.one.write("en", 0)

    async def start(self, height: int, width: int, mask: int) -> None:
        for name, value in (("height", height), ("width", width), ("enabled", mask), ("clear", 1)):
            self.one.write(name, value)
        await self.one.edge()
        self.one.write("clear", 0)

    async def tile(self, case: Case) -> None:
        tile, height, width, mask, live = case
        p, one, events = self.p, self.one, self.events
        await self.start(height, width, mask)
        window = _live_windows(p, tile, height, width, live)
        vectors = [joined(row) for row in self.rng.integers(0, 1 << 16, (tile.tokens, p.vector), np.uint16)]
        events["stale tile"] += self.tokens > 0
        events["masked"] += mask != (1 << p.candidates) - 1
        events["hidden by a dead one"] += sum(window[token] != row for token, row in enumerate(
            windows(tile, height, width, p.block).tolist()))
        for token, (image, *where) in enumerate(tile.positions.tolist()):
            place = (where[0], where[1], where[2])
            while self.rng.random() < 0.2 or not events["idle"]:
                await one.edge()
                events["idle"] += 1
            await self.token(place, image, live[token], vectors[token])
            seen = [other if mask >> number & 1 else -1 for number, other in enumerate(window[token])]
            entered = bool(image) and inside(place, height, width)
            self._compare(place, entered, seen, vectors)
            events["visible"] += sum(other >= 0 for other in seen)
            events["full window"] += min(seen) >= 0
            events["read after write"] += token > 0 and token - 1 in seen
            events["text"] += not image
            events["outside"] += bool(image) and not entered
            events["largest position"] += place == tuple(size - 1 for size in p.grid_max)

    def _compare(self, place: tuple[int, int, int], entered: bool, seen: list[int], vectors: list[int]) -> None:
        p, one = self.p, self.one
        assert one.read("entered") == entered
        assert one.read("visible") == sum(1 << number + 1 for number, other in enumerate(seen) if other >= 0)
        if entered:
            _, row, column = place
            assert one.read("place") == pack(place_layout(p), column=column // p.block[2], row=row // p.block[1],
                                             rest=code_of(p.block, bank(place, p.block)))
        for number, other in enumerate(seen):
            if other >= 0:
                there = bank(neighbours(place, p.block)[number], p.block)
                assert one.read(f"banks_{there}") == vectors[other], f"{one.name}: {place}, neighbour {number}"
        self.compared += 2 + entered + sum(other >= 0 for other in seen)
        self.tokens += 1


@bench_test
async def shows_the_window(dut: Any) -> dict[str, Any]:
    rng, bench = np.random.default_rng(seed()), await fresh_bench(dut, QUIET)
    found = {}
    for name in BUILDS:
        p = build(name)
        drive = Driver(One(bench, name), p, rng)
        cases = [*named_cases(p), *(random_case(rng, p) for _ in range(config()["tiles"]))]
        for number in rng.permutation(len(cases)):
            await drive.tile(cases[number])
        found[name] = {"tokens": drive.tokens, "compared": drive.compared, "events": dict(drive.events)}
    return {"compared": sum(each["compared"] for each in found.values()), "builds": found}


@bench_test
async def forgets_after_any_number_of_passes(dut: Any) -> dict[str, Any]:
    """A position that is pruned from the second pass on stays invisible for 2**16 + 1 passes, until it is written
    again: a tag of 16 bits, by which a pass might be known, would have come round."""
    rng, bench = np.random.default_rng(seed()), await fresh_bench(dut, QUIET)
    p = build("cube")
    drive = Driver(One(bench, "cube"), p, rng)
    compared = 0
    await drive.start(4, 4, 0x7F)
    await drive.token((1, 1, 0), 1, True, 7)
    await drive.token((1, 1, 1), 1, True, 8)
    assert drive.one.read("visible") == 0b10, "the neighbour is not seen at all"
    for _ in range(PASSES):  # the neighbour is written never again
        drive.one.write("clear", 1)
        await bench.edge()
        drive.one.write("clear", 0)
        drive.one.write("en", 1)
        await bench.edge()
        drive.one.write("en", 0)
        assert drive.one.read("visible") == 0 and drive.one.read("entered") == 1
        compared += 1
    await drive.token((1, 1, 0), 1, True, 9)
    await drive.token((1, 1, 1), 1, True, 8)
    there = bank((1, 1, 0), p.block)
    assert drive.one.read("visible") == 0b10 and drive.one.read(f"banks_{there}") == 9, "written again, and not seen"
    return {"compared": compared}


def test_layouter(seed: int) -> None:
    unit = SideBySide({name: Layouter(build(name)) for name in BUILDS})
    found = simulate(unit, __name__, config={"tiles": 25}, seed=seed)["tests"]
    assert found["forgets_after_any_number_of_passes"]["compared"] == PASSES
    for name, each in found["shows_the_window"]["builds"].items():
        print(f"{name}: {each}")
        block, grid = BUILDS[name]["block"], BUILDS[name]["grid_max"]
        small = any(size < side for size, side in zip(grid, block, strict=True))
        impossible = {"full window"} if small else set()
        assert {event for event in EVENTS - impossible if not each["events"].get(event)} == set(), name


@pytest.mark.parametrize("name", BUILDS)
def test_every_position_has_an_entry_of_its_own(name: str) -> None:
    p = build(name)
    _, height, width = p.grid_max
    frames = p.block[0]
    entries = {(bank(place, p.block), offset(place, width, p.block)) for place in np.ndindex(frames, height, width)}
    assert len(entries) == frames * height * width
    assert max(entry for _, entry in entries) < bank_depth(p)
