# SPDX-License-Identifier: Apache-2.0
"""Dot and Matcher: every dot product and every decision as the golden model says, at the stated rate and latency."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from amaranth import Module, Value
from amaranth.lib.wiring import In, Out
from cocotb.triggers import Timer

from focus_rtl.golden.job import Grid, Job, Tile, tiles_of
from focus_rtl.golden.numeric.dtypes import Bits
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.layouter import bank, inside, neighbours, windows
from focus_rtl.golden.sic.matcher import decide, dot
from focus_rtl.hdl.sic.dot import Dot
from focus_rtl.hdl.sic.matcher import Matcher, decision_layout
from focus_rtl.hdl.sic.window import code_of, place_layout
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import Bench
from focus_rtl.verif.golden.cases import make_params, random_tile, rough_vectors
from focus_rtl.verif.sic.gather_cases import common, tile_vectors
from focus_rtl.verif.sic.side_by_side import One, SideBySide, fresh_bench
from focus_rtl.verif.sic.test_gather import joined, pack

SHAPES = ((4, 4, 1), (4, 1, 2), (6, 1, 1, "bf16"), (6, 2, 3), (8, 4, 1, "int8"), (16, 16, 2), (16, 2, 1, "bf16"),
          (20, 4, 1), (20, 4, 2, "int8"), (2, 1, 4, "bf16"), (3, 1, 1), (6, 1, 3, "int8"), (4, 4, 2, "bf16"))
"""vector, lanes, add_depth, dtype"""
DOTS = 150
PATIENCE = 400
TILES = 10


class Dots(Unit):
    """A Dot of every shape of `SHAPES`; the ports of the n-th are called `d<n>_...`."""

    def __init__(self) -> None:
        self.dots = [Dot(*shape) for shape in SHAPES]
        super().__init__({
            f"d{number}_{name}": In(width) for number, unit in enumerate(self.dots) for name, width in
            (("valid", 1), ("last", 1), ("a", len(Value.cast(unit.a))), ("b", len(Value.cast(unit.b))))
        } | {f"d{number}_o": Out(32) for number in range(len(SHAPES))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for number, unit in enumerate(self.dots):
            place(m, f"dot{number}", unit)
            for name in ("valid", "last", "a", "b"):
                m.d.comb += Value.cast(getattr(unit, name)).eq(getattr(self, f"d{number}_{name}"))
            m.d.comb += getattr(self, f"d{number}_o").eq(unit.o)
        return m


async def _dots(bench: Bench, number: int, rng: np.random.Generator) -> int:
    """Feed one Dot with vectors, gaps and fillers; each result is looked at in its one cycle."""
    unit = Dot(*SHAPES[number])
    a, b = (rough_vectors(rng, DOTS, unit.vector, unit.dtype) for _ in range(2))
    b = np.where(rng.random((DOTS, 1)) < 0.4, a, b)
    want = dot(a, b, unit.dtype).tolist()
    due: dict[int, int] = {}
    compared = 0

    async def beat(valid: int, last: int, left: int = 0, right: int = 0) -> None:
        nonlocal compared
        for name, value in (("valid", valid), ("last", last), ("a", left), ("b", right)):
            bench.write(f"d{number}_{name}", value)
        await bench.edge()
        if bench.cycle in due:
            got = bench.read(f"d{number}_o")
            assert got == due[bench.cycle], f"{SHAPES[number]}: {got:#010x}, expected {due[bench.cycle]:#010x}"
            compared += 1

    for which in range(DOTS):
        while rng.random() < 0.1:
            await beat(1, 1)  # a filler: a beat that no result is expected of
        for base in range(0, unit.vector, unit.lanes):
            while rng.random() < 0.1:
                await beat(0, int(rng.integers(2)))
            if base + unit.lanes == unit.vector:
                due[bench.cycle + unit.latency] = want[which]
            await beat(1, int(base + unit.lanes == unit.vector), joined(a[which, base:base + unit.lanes]),
                       joined(b[which, base:base + unit.lanes]))
    for _ in range(unit.latency):
        await beat(0, 0)
    return compared


@bench_test
async def dots_as_the_model(dut: Any) -> dict[str, Any]:
    rng, bench = np.random.default_rng(seed()), await fresh_bench(
        dut, (f"d{number}_valid" for number in range(len(SHAPES))))
    return {"compared": sum([await _dots(bench, number, rng) for number in range(len(SHAPES))])}


BUILDS: dict[str, dict[str, Any]] = {
    "cube_one": {"block": (2, 2, 2), "matchers": 1, "vector": 4, "matcher_lanes": 4},
    "cube_row": {"block": (2, 2, 2), "matchers": 2, "vector": 12, "matcher_lanes": 2},
    "cube_frame": {"block": (2, 2, 2), "matchers": 4, "vector": 4, "matcher_lanes": 4, "dtype": "bf16"},
    "cube_all": {"block": (2, 2, 2), "matchers": 7, "vector": 6, "matcher_lanes": 2, "dtype": "int8"},
    "thirds_one": {"block": (3, 3, 3), "matchers": 1, "vector": 4, "matcher_lanes": 2, "dtype": "int8"},
    "thirds_row": {"block": (3, 3, 3), "matchers": 3, "vector": 4, "matcher_lanes": 2, "dtype": "bf16"},
    "thirds_frame": {"block": (3, 3, 3), "matchers": 9, "vector": 4, "matcher_lanes": 4, "dtype": "int8"},
    "thirds_all": {"block": (3, 3, 3), "matchers": 26, "vector": 4, "matcher_lanes": 1, "dtype": "int8"},
    "pair": {"block": (1, 1, 2), "matchers": 1, "vector": 2, "matcher_lanes": 2},
    "slab": {"block": (1, 2, 3), "matchers": 3, "vector": 8, "matcher_lanes": 1, "dtype": "int8"},
    "odd": {"block": (2, 1, 3), "matchers": 5, "vector": 2, "matcher_lanes": 2, "dtype": "bf16"},
    "deep": {"block": (3, 2, 1), "matchers": 2, "vector": 2, "matcher_lanes": 1},
    "by_rows": {"block": (2, 2, 2), "matchers": 2, "vector": 4, "matcher_lanes": 2, "dtype": "bf16",
                "dot_multiplier": "lut", "compare_multiplier": "lut"},
    "serial_one": {"block": (2, 2, 2), "matchers": 1, "vector": 4, "matcher_lanes": 2, "compare_multiplier": "serial"},
    "serial_row": {"block": (2, 2, 3), "matchers": 3, "vector": 12, "matcher_lanes": 1, "dtype": "int8",
                   "dot_multiplier": "lut", "compare_multiplier": "serial"},
    "serial_all": {"block": (2, 2, 2), "matchers": 7, "vector": 6, "matcher_lanes": 2, "dtype": "int8",
                   "compare_multiplier": "serial"},
    "cut_one": {"block": (2, 2, 2), "matchers": 1, "vector": 4, "matcher_lanes": 2, "match_depth": 3},
    "cut_row": {"block": (2, 3, 2), "matchers": 2, "vector": 8, "matcher_lanes": 1, "dtype": "int8", "match_depth": 4},
    "cut_all": {"block": (2, 2, 2), "matchers": 7, "vector": 4, "matcher_lanes": 2, "dtype": "bf16", "match_depth": 3},
    "cut_serial": {"block": (2, 2, 2), "matchers": 4, "vector": 4, "matcher_lanes": 4, "dtype": "int8",
                   "match_depth": 3, "compare_multiplier": "serial"},
}
"""Every side of a window; 1, a row, a frame and all of its candidates at a time; one beat and several."""


PACES = {"serial_one": 11, "serial_row": 12, "serial_all": 7, "cut_one": 4, "cut_serial": 10}
"""Cycles of a round that are more than a dot's V / lanes: a serial product takes one per three bits and one, and of
several rounds, the loop through it two more; a loop as deep as `match_depth` asks takes one more than that.  In
`serial_row` the dot takes longest after all.
"""


def build(name: str) -> Parameters:
    return make_params(rows=1, cols=1, grid_max=(4, 5, 4), m_tile=64, **BUILDS[name])


class Driver:
    """Offers vectors with their windows to a Matcher, as a layouter would, and collects its decisions."""

    def __init__(self, one: One, p: Parameters, rng: np.random.Generator) -> None:
        self.p, self.one, self.rng = p, one, rng
        self.decisions: list[int] = []
        self.decided: list[int] = []
        self.done: list[int] = []

    async def cycle(self) -> bool:
        """Let everything settle, look, and let the edge pass; returns whether the vector is done."""
        await Timer(1, "ns")
        done = bool(self.one.read("done"))
        if done:
            self.done.append(self.one.cycle)
        if self.one.read("decided"):
            self.decisions.append(self.one.read("decision"))
            self.decided.append(self.one.cycle)
        await self.one.edge()
        return done

    def offer(self, tile: Tile, token: int, vectors: np.ndarray, window: np.ndarray, active: bool) -> int:
        """Write the inputs of a token; returns its `place` word."""
        p = self.p
        frame, row, column = tile.positions[token, 1:].tolist()
        shown = {bank(there, p.block): vectors[other] for there, other
                 in zip(neighbours((frame, row, column), p.block), window[token].tolist(), strict=True) if other >= 0}
        for number in range(p.window):
            junk = self.rng.integers(0, 256, vectors[0].nbytes, np.uint8).view(vectors.dtype)
            self.one.write(f"banks_{number}", joined(shown.get(number, junk)))
        where = pack(place_layout(p), column=column // p.block[2], row=row // p.block[1],
                     rest=code_of(p.block, bank((frame, row, column), p.block)))
        visible = sum(1 << slot + 1 for slot, other in enumerate(window[token]) if other >= 0)
        for name, value in (("key", joined(vectors[token])), ("visible", visible), ("place", where),
                            ("active", int(active)), ("last", token & 1), ("valid", 1)):
            self.one.write(name, value)
        return where


def cases(rng: np.random.Generator, p: Parameters, count: int) -> list[tuple[Tile, int, int, Bits, float]]:
    """Tiles with their grid, vectors and threshold: the whole window of equal vectors first, text within, then any."""
    whole = tiles_of(Grid(*p.block), 64)[0].positions
    tile = Tile(np.concatenate((whole, [(0, 0, 0, 0)], whole)))
    made = [(tile, 5, 4, np.broadcast_to(common(rng, (1, p.vector), p.dtype), (tile.tokens, p.vector)).copy(), 0.5)]
    for _ in range(count):
        height, width = (int(rng.integers(1, side + 1)) for side in p.grid_max[1:])
        grid = Grid(min(p.block[0] + 1, 4), height, width)
        tile = random_tile(rng, 24, height, width) if rng.random() < 0.5 else tiles_of(grid, 30)[0]
        made.append((tile, height, width, tile_vectors(rng, tile, p.vector, (height, width), p.dtype),
                     float(rng.choice((0.0, 0.5, 0.9, 1.0)))))
    return made


async def _decide(one: One, p: Parameters, rng: np.random.Generator, latency: int, count: int) -> dict[str, Any]:
    drive, want = Driver(one, p, rng), []
    events: Counter[str] = Counter()
    for tile, height, width, vectors, threshold in cases(rng, p, count):
        job = Job(p.vector, p.vector, (tile,), height, width, threshold, dtype=p.dtype, block=p.block)
        window = windows(tile, height, width, p.block)
        decisions = decide(vectors, window, job.t2, job.mask, p.dtype)
        one.write("t2", job.t2)
        for token, (image, *where) in enumerate(tile.positions.tolist()):
            while rng.random() < 0.1:
                one.write("valid", 0)
                await drive.cycle()
            active = bool(image) and inside((where[0], where[1], where[2]), height, width)
            spot = drive.offer(tile, token, vectors, window, active)
            match, best = decisions.neighbour[token] >= 0, int(decisions.best[token])
            want.append(pack(decision_layout(p), match=int(match), slot=code_of(p.block, best + 1), active=int(active),
                             place=spot, last=token & 1))
            events["match" if match else "no match"] += 1
            events["passes"] += not active
            start = one.cycle
            while not await drive.cycle():
                assert one.cycle < start + PATIENCE, "a vector never ends"
            rounds = {0} | {(slot + 1) // p.matcher_units for slot, other in enumerate(window[token]) if other >= 0}
            pace = PACES.get(one.name, p.vector // p.matcher_lanes)
            assert one.cycle - start == (len(rounds) * pace if active else 1)
        one.write("valid", 0)
        for _ in range(latency + 1):
            await drive.cycle()
    assert len(drive.decisions) == len(want)
    slot = decision_layout(p)["slot"]
    for number, (got, expected) in enumerate(zip(drive.decisions, want, strict=True)):
        known = -1 if expected & 1 else ~((1 << slot.width) - 1 << slot.offset)  # without a match it means nothing
        assert got & known == expected & known, f"{one.name}, vector {number}: {got:#x}, expected {expected:#x}"
    assert {after - before for after, before in zip(drive.decided, drive.done, strict=True)} == {latency}
    return {"compared": len(want), "events": dict(events)}


@bench_test
async def decides_as_the_model(dut: Any) -> dict[str, Any]:
    rng, bench = np.random.default_rng(seed()), await fresh_bench(dut, (f"{name}_valid" for name in BUILDS))
    found = {name: await _decide(One(bench, name), build(name), rng, config()["latency"][name], config()["tiles"])
             for name in BUILDS}
    return {"compared": sum(each["compared"] for each in found.values()), "builds": found}


def test_dots(seed: int) -> None:
    assert simulate(Dots(), __name__, testcase="dots_as_the_model", seed=seed)["compared"] == DOTS * len(SHAPES)


def test_matcher(seed: int) -> None:
    units = {name: Matcher(build(name)) for name in BUILDS}
    result = simulate(SideBySide(dict(units)), __name__, testcase="decides_as_the_model", seed=seed,
                      config={"tiles": TILES, "latency": {name: unit.latency for name, unit in units.items()}})
    for name, found in result["tests"]["decides_as_the_model"]["builds"].items():
        print(f"{name}: {found}")
        events = found["events"]
        least = 2 * build(name).window + 1 + 2 * TILES  # the tile that is always there, and two frames of each other
        assert found["compared"] == events["match"] + events["no match"] >= least
        assert set(events) == {"match", "no match", "passes"} and min(events.values()) > 0


@pytest.mark.parametrize(("vector", "lanes"), [(4, 3), (6, 4), (4, 0), (4, 8)])
def test_dot_refuses_lanes(vector: int, lanes: int) -> None:
    with pytest.raises(ValueError, match=f"{lanes} lanes for {vector} elements: must be a power of two that divides"):
        Dot(vector, lanes, 1)
