# SPDX-License-Identifier: Apache-2.0
"""SerialMatcher: every index as the golden model says, after exactly the stated cycles, whatever came before."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from focus_rtl.golden.job import ALL_CANDIDATES, Job, Tile
from focus_rtl.golden.numeric.dtypes import is_zero
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.gather import gather
from focus_rtl.golden.sic.layouter import inside, neighbourhood, windows
from focus_rtl.hdl.layouts import position
from focus_rtl.hdl.sic.serial_matcher import SerialMatcher
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.golden.cases import make_params
from focus_rtl.verif.sic import test_layouter
from focus_rtl.verif.sic.gather_cases import (
    EVENTS,
    EVENTS_OF,
    Case,
    events_of,
    named_cases,
    random_cases,
    serial_costs,
    tile_vectors,
)
from focus_rtl.verif.sic.side_by_side import One, SideBySide, fresh_bench
from focus_rtl.verif.sic.test_gather import joined, pack

BUILDS: dict[str, dict[str, Any]] = {
    "cube": {"block": (2, 2, 2), "vector": 4, "matcher_lanes": 1, "grid_max": (4, 5, 4)},
    "thirds": {"block": (3, 3, 3), "vector": 6, "matcher_lanes": 2, "grid_max": (7, 4, 5), "dot_multiplier": "lut"},
    "row": {"block": (1, 1, 3), "vector": 4, "matcher_lanes": 4, "grid_max": (4, 3, 7)},
    "frames": {"block": (3, 1, 1), "vector": 8, "matcher_lanes": 4, "grid_max": (9, 3, 4)},
    "pair": {"block": (1, 2, 1), "vector": 16, "matcher_lanes": 16, "grid_max": (4, 6, 3)},
    "wide": {"block": (2, 1, 2), "vector": 64, "matcher_lanes": 8, "grid_max": (4, 3, 9)},
    "mixed": {"block": (2, 3, 1), "vector": 12, "matcher_lanes": 1, "grid_max": (5, 7, 3), "dot_multiplier": "lut"},
}
"""Every side of a window along every axis, one beat and several, the shortest and the longest vectors."""

FULL_TILE = 16
"""Tokens of the full tiles among the named cases: of larger ones, each of the hundreds of cycles would be simulated."""

WITHOUT = {"row": {"chain across the tile"}, "frames": {"chain across the tile"},
           "pair": {"chain across the tile", "tie", "unsound neighbour later"}}
"""Events that a window along one axis, or of one neighbour, does not have; all others are in the named cases."""

OWN_EVENTS = {"wiped", "nothing to wipe", "offered while wiping", "waits to leave", "gap", "stale", "hidden",
              "forgotten"}


def build(name: str) -> Parameters:
    return make_params(dtype="int8", rows=1, cols=1, m_tile=32, compare_multiplier="shared", **BUILDS[name])


def window_cases(rng: np.random.Generator, p: Parameters) -> list[Case]:
    """Whole windows at both ends of the grid, each candidate alone, none, places outside: see `test_layouter`."""
    cases = []
    for tile, height, width, mask, live in test_layouter.named_cases(p):
        if all(live):
            job = Job(p.vector, p.vector, (tile,), height, width, 0.5, mask, False, p.dtype, p.block)
            cases.append((job, tile_vectors(rng, tile, p.vector, (height, width), p.dtype)))
    return cases


def places_alike(p: Parameters, *places: tuple[int, ...]) -> Case:
    """Equal vectors at those places."""
    tile = Tile(np.array([(1, *place) for place in places]))
    job = Job(p.vector, p.vector, (tile,), *p.grid_max[1:], 0.5, ALL_CANDIDATES, False, p.dtype, p.block)
    return job, np.full((tile.tokens, p.vector), 3, np.uint8)


class Driver:
    """Offers vectors one after another and checks what comes of them, and when."""

    def __init__(self, one: One, p: Parameters, rng: np.random.Generator) -> None:
        self.one, self.p, self.rng = one, p, rng
        self.cycles = SerialMatcher(p).cycles
        self.events: Counter[str] = Counter()
        self.compared = 0
        self.wiping = self.cycles["wipe"]  # cycles until a vector is looked at

    async def reset(self) -> None:
        for name in ("valid", "leave"):
            self.one.write(name, 0)
        await self.one.bench.reset()
        self.wiping = self.cycles["wipe"]

    async def edges(self, count: int) -> None:
        await self.one.edge(count)
        self.wiping = max(0, self.wiping - count)

    async def tile(self, case: Case, tokens: int | None = None) -> None:
        """Offer a tile, or its first tokens only; they then lack a last."""
        job, vectors = case
        tile, = job.tiles
        want = gather(vectors, tile, job.height, job.width, job.t2, job.mask, job.dense, dtype=job.dtype,
                      block=job.block).index_map.tolist()
        zero = is_zero(vectors, self.p.dtype).all(axis=1)
        for name, value in (("height", job.height), ("width", job.width), ("t2", job.t2), ("dense", int(job.dense)),
                            ("enabled", job.mask & (1 << self.p.candidates) - 1)):
            self.one.write(name, value)
        entered = False
        for token, cost in enumerate(serial_costs(self.p, job, vectors, self.cycles)[:tokens]):
            image, *place = tile.positions[token].tolist()
            entered |= bool(image) and not job.dense and inside((place[0], place[1], place[2]), job.height, job.width)
            where = pack(position(self.p), image=image, frame=place[0], row=place[1], column=place[2])
            for name, value in (("vector", joined(vectors[token])), ("position", where), ("zero", int(zero[token])),
                                ("last", int(token == tile.tokens - 1))):
                self.one.write(name, value)
            await self.vector(cost, want[token], want[token] not in want[:token],
                              f"token {token} of {tile.positions.tolist()}, {tile.image}, mask {job.mask:#x}")
        if tokens is None:
            self.wiping = self.cycles["wipe"] if entered else 0
            self.events["wiped" if entered else "nothing to wipe"] += 1

    async def vector(self, cost: int, index: int, unique: bool, where: str) -> None:
        """The vector at the inputs: decided after so many cycles, not before; stands until it leaves; is then done."""
        one, rng, events = self.one, self.rng, self.events
        if rng.random() < 0.1:
            events["gap"] += 1
            await self.edges(int(rng.integers(1, 4)))
        one.write("valid", 1)
        events["offered while wiping"] += self.wiping > 0
        await self.edges(self.wiping + cost - 1)
        assert not one.read("decided") and not one.read("done"), f"{one.name}, {where}: decided too early"
        await self.edges(1)
        wait = int(rng.integers(1, 5)) if rng.random() < 0.1 else 0
        events["waits to leave"] += wait > 0
        for cycle in range(wait + 1):
            got = one.read("decided"), one.read("index"), one.read("unique"), one.read("done")
            assert got == (1, index, int(unique), 0), f"{one.name}, {where}: decided, index, unique, done = {got}, " \
                                                      f"expected {index}, {unique}"
            if cycle < wait:
                await self.edges(1)
        one.write("leave", 1)
        await self.edges(1)
        one.write("leave", 0)
        assert one.read("done") and not one.read("decided")
        await self.edges(1)
        one.write("valid", 0)
        self.compared += 1


async def _memory(drive: Driver, p: Parameters) -> None:
    """A tile does not see the one before, nor what was there before a reset; a frame hides the one before it."""
    first = (0, 0, 0)
    key = neighbourhood(p.block)[0]
    assert windows(places_alike(p, first, key)[0].tiles[0], *p.grid_max[1:], p.block)[1, 0] == 0
    await drive.tile(places_alike(p, first, key))
    await drive.tile(places_alike(p, key))
    drive.events["stale"] += 1
    over = (p.block[0], 0, 0)
    assert windows(places_alike(p, first, over, key)[0].tiles[0], *p.grid_max[1:], p.block)[2, 0] == -1
    await drive.tile(places_alike(p, first, over, key))
    drive.events["hidden"] += 1
    await drive.tile(places_alike(p, first, key), tokens=1)
    await drive.reset()
    await drive.tile(places_alike(p, key))
    drive.events["forgotten"] += 1


@bench_test
async def decides_as_the_model(dut: Any) -> dict[str, Any]:
    rng = np.random.default_rng(seed())
    bench = await fresh_bench(dut, (f"{name}_{port}" for name in BUILDS for port in ("valid", "leave")))
    found = {}
    for name in BUILDS:
        p = build(name)
        small = replace(p, m_tile=FULL_TILE)
        drive = Driver(One(bench, name), p, rng)
        await drive.reset()
        await _memory(drive, p)
        cases = [*named_cases(small), *random_cases(rng, small, config()["tiles"]), *window_cases(rng, p)]
        before = None
        for number in rng.permutation(len(cases)):
            await drive.tile(cases[number])
            drive.events += events_of(cases[number], before, small)[0]
            before = cases[number][0]
        found[name] = {"compared": drive.compared, "events": dict(drive.events)}
    return {"compared": sum(each["compared"] for each in found.values()), "builds": found}


def test_serial_matcher(seed: int) -> None:
    result = simulate(SideBySide({name: SerialMatcher(build(name)) for name in BUILDS}), __name__, seed=seed,
                      config={"tiles": 8})
    for name, each in result["tests"]["decides_as_the_model"]["builds"].items():
        print(f"{name}: {each}")
        wanted = (EVENTS | EVENTS_OF["int8"] | OWN_EVENTS) - WITHOUT.get(name, set())
        assert {event for event in wanted if not each["events"].get(event)} == set(), name
        assert each["compared"] > 150


@pytest.mark.parametrize("changed", [{"dtype": "fp16"}, {"block": (1, 1, 1)}])
def test_what_it_refuses(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be int8, and at least one"):
        SerialMatcher(make_params(**{"dtype": "int8"} | changed))
