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
from focus_rtl.golden.sic.layouter import bank, inside, windows
from focus_rtl.golden.sic.matcher import decide, dot
from focus_rtl.hdl.sic.dot import Dot
from focus_rtl.hdl.sic.layouter import place_layout
from focus_rtl.hdl.sic.matcher import Matcher, decision_layout
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import Bench
from focus_rtl.verif.golden.cases import make_params, random_tile, rough_vectors
from focus_rtl.verif.sic.test_gather import joined, pack, parameters

SHAPES = ((4, 4, 1), (4, 1, 2), (6, 1, 1, "bf16"), (6, 2, 3), (8, 4, 1, "int8"), (16, 16, 2), (16, 2, 1, "bf16"),
          (20, 4, 1), (20, 4, 2, "int8"), (2, 1, 4, "bf16"), (3, 1, 1), (6, 1, 3, "int8"), (4, 4, 2, "bf16"))
"""vector, lanes, add_depth, dtype"""
DOTS = 150
PATIENCE = 400


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
    """Feed one Dot with vectors, gaps and placeholders; each result is looked at in its one cycle."""
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
            await beat(1, 1)  # a placeholder
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
    rng, bench = np.random.default_rng(seed()), Bench(dut, seed())
    for number in range(len(SHAPES)):
        bench.write(f"d{number}_valid", 0)
    await bench.reset()
    return {"compared": sum([await _dots(bench, number, rng) for number in range(len(SHAPES))])}


class Driver:
    """Offers vectors with their windows to a Matcher, as a layouter would, and collects its decisions."""

    def __init__(self, bench: Bench, rng: np.random.Generator) -> None:
        self.p, self.bench, self.rng = parameters(), bench, rng
        self.decisions: list[int] = []
        self.decided: list[int] = []
        self.done: list[int] = []

    async def cycle(self) -> bool:
        """Let everything settle, look, and let the edge pass; returns whether the vector is done."""
        await Timer(1, "ns")
        done = bool(self.bench.read("done"))
        if done:
            self.done.append(self.bench.cycle)
        if self.bench.read("decided"):
            self.decisions.append(self.bench.read("decision"))
            self.decided.append(self.bench.cycle)
        await self.bench.edge()
        return done

    def offer(self, tile: Tile, token: int, vectors: np.ndarray, window: np.ndarray, active: bool) -> int:
        """Write the inputs of a token; returns its `place` word."""
        frame, row, column = tile.positions[token, 1:].tolist()
        own = bank((frame, row, column))
        for number in range(8):
            other = window[token, (number ^ own) - 1] if number != own else -1
            shown = vectors[other] if other >= 0 else self.rng.integers(0, 256, vectors[0].nbytes, np.uint8).view(
                vectors.dtype)
            self.bench.write(f"banks_{number}", joined(shown))
        where = pack(place_layout(self.p), column=column, row=row, frame=frame)
        visible = sum(1 << slot + 1 for slot, other in enumerate(window[token]) if other >= 0)
        for name, value in (("key", joined(vectors[token])), ("visible", visible), ("place", where),
                            ("active", int(active)), ("last", token & 1), ("valid", 1)):
            self.bench.write(name, value)
        return where


@bench_test
async def decides_as_the_model(dut: Any) -> dict[str, Any]:
    rng, bench = np.random.default_rng(seed()), Bench(dut, seed())
    drive = Driver(bench, rng)
    p = drive.p
    bench.write("valid", 0)
    await bench.reset()
    want: list[int] = []
    events: Counter[str] = Counter()
    for _ in range(config()["tiles"]):
        height, width = (int(rng.integers(1, side + 1)) for side in p.grid_max[1:])
        tile = (random_tile(rng, 24, height, width) if rng.random() < 0.5 else tiles_of(Grid(3, height, width), 24)[0])
        vectors = rough_vectors(rng, tile.tokens, p.vector, p.dtype)
        threshold = float(rng.choice((0.0, 0.5, 0.9, 1.0)))
        job = Job(p.vector, p.vector, (tile,), height, width, threshold, dtype=p.dtype)
        window = windows(tile, height, width)
        decisions = decide(vectors, window, job.t2, 0x7F, p.dtype)
        bench.write("t2", job.t2)
        for token, (image, *where) in enumerate(tile.positions.tolist()):
            while rng.random() < 0.1:
                bench.write("valid", 0)
                await drive.cycle()
            active = bool(image) and inside((where[0], where[1], where[2]), height, width)
            spot = drive.offer(tile, token, vectors, window, active)
            match, best = decisions.neighbour[token] >= 0, int(decisions.best[token])
            want.append(pack(decision_layout(p), match=int(match), slot=best + 1, active=int(active), place=spot,
                             last=token & 1))
            events["match" if match else "no match"] += 1
            events["passes"] += not active
            start = bench.cycle
            while not await drive.cycle():
                assert bench.cycle < start + PATIENCE, "a vector never ends"
            units = 8 if p.matchers == 7 else p.matchers
            rounds = {0} | {(slot + 1) // units for slot in range(7) if window[token, slot] >= 0}
            assert bench.cycle - start == (len(rounds) * (p.vector // p.matcher_lanes) if active else 1)
        bench.write("valid", 0)
        for _ in range(config()["latency"] + 1):
            await drive.cycle()
    assert len(drive.decisions) == len(want)
    slot = decision_layout(p)["slot"]
    for number, (got, expected) in enumerate(zip(drive.decisions, want, strict=True)):
        known = -1 if expected & 1 else ~(7 << slot.offset)  # without a match the slot means nothing
        assert got & known == expected & known, f"vector {number}: {got:#x}, expected {expected:#x}"
    assert {after - before for after, before in zip(drive.decided, drive.done, strict=True)} == {config()["latency"]}
    return {"compared": len(want), "events": dict(events)}


def test_dots(seed: int) -> None:
    assert simulate(Dots(), __name__, testcase="dots_as_the_model", seed=seed)["compared"] == DOTS * len(SHAPES)


@pytest.mark.parametrize(("dtype", "matchers", "vector", "lanes"), [
    ("fp16", 2, 12, 2), ("bf16", 4, 4, 4), ("int8", 7, 6, 2)])
def test_matcher(dtype: str, matchers: int, vector: int, lanes: int, seed: int) -> None:
    p = make_params(dtype=dtype, rows=1, cols=1, matchers=matchers, vector=vector, matcher_lanes=lanes,
                    grid_max=(4, 5, 3))
    unit = Matcher(p)
    result = simulate(unit, __name__, testcase="decides_as_the_model", seed=seed,
                      config={"params": p.to_dict(), "tiles": 50, "latency": unit.latency})
    found = result["tests"]["decides_as_the_model"]
    print(found)
    assert found["compared"] == found["events"]["match"] + found["events"]["no match"] > 400
    assert min(found["events"].values()) > 30 and len(found["events"]) == 3


@pytest.mark.parametrize(("vector", "lanes"), [(4, 3), (6, 4), (4, 0), (4, 8)])
def test_dot_refuses_lanes(vector: int, lanes: int) -> None:
    with pytest.raises(ValueError, match=f"{lanes} lanes for {vector} elements: must be a power of two that divides"):
        Dot(vector, lanes, 1)
