# SPDX-License-Identifier: Apache-2.0
"""Reciprocal and Averager: every mean as the golden model says, at the stated pace, whatever the groups and stalls."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from cocotb.triggers import Timer

from focus_rtl.gen.explain import mean_paces
from focus_rtl.golden.numeric.dtypes import Bits, quantise
from focus_rtl.golden.numeric.elements import ELEMENTS, mean, reciprocal
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import vector_beat
from focus_rtl.hdl.numeric.mean import Reciprocal
from focus_rtl.hdl.sic.averager import Averager, member
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall
from focus_rtl.verif.golden.cases import make_params, rough_vectors
from focus_rtl.verif.sic.side_by_side import One, SideBySide, fresh_bench
from focus_rtl.verif.sic.test_gather import joined, pack
from focus_rtl.verif.sic.touchy import touchy_memories

BUILDS: dict[str, dict[str, Any]] = {
    "fp16": {"dtype": "fp16", "vector": 4, "matcher_lanes": 4, "m_tile": 16, "pe_depth": 1},
    "bf16": {"dtype": "bf16", "vector": 6, "matcher_lanes": 2, "m_tile": 32, "pe_depth": 4},
    "int8": {"dtype": "int8", "vector": 4, "matcher_lanes": 1, "m_tile": 64, "pe_depth": 2,
             "scale_multiplier": "serial"},
}
LARGEST = 4096
SWITCH = 3
"""Most cycles by which a tile takes longer because the next half must be complete before its groups are read."""
QUIET = ("reciprocal_valid", "reciprocal_take",
         *(f"{name}_{port}" for name in BUILDS for port in ("i_valid", "o_ready")))
STALLS: dict[str, tuple[Stall, Stall]] = {
    "never": (ALWAYS, ALWAYS), "often": (Stall(0.4), Stall(0.4)), "out slow": (ALWAYS, Stall(0.8, burst=30)),
    "in slow": (Stall(0.6, burst=5), Stall(lazy=True))}
EVENTS = {"dense behind means", "means behind dense", "group of one", "count of a power of two", "other count",
          "all one group", "all groups of one", "one token", "full tile", "neighbours of one group", *STALLS}
FLOATS = {"-0 in a group of one", "NaN with a payload", "infinities of both signs"}
INTEGERS = {"half a step, scaled by a rounded reciprocal", "clipped nowhere, the ends reached"}


def build(name: str) -> Parameters:
    return make_params(rows=1, cols=1, representative="mean", **BUILDS[name])


@dataclass(frozen=True)
class Group:
    """A tile: its vectors, the group of each, and whether nothing is to change."""

    vectors: Bits
    index: Sequence[int]
    dense: bool = False

    def means(self, dtype: str) -> Bits:
        """What has to come out, from the arithmetic of elements alone."""
        if self.dense:
            return self.vectors
        arithmetic = ELEMENTS[dtype]
        total = np.zeros((max(self.index) + 1, self.vectors.shape[1]), np.uint32)
        for group, vector in zip(self.index, self.vectors, strict=True):
            total[group] = arithmetic.accumulate(total[group], arithmetic.widen(vector))
        return mean(total, np.bincount(self.index)[:, None], dtype)


def _groups(rng: np.random.Generator, tokens: int) -> list[int]:
    """Groups numbered as they begin: all one, each its own, runs, or any."""
    kind, index = int(rng.integers(4)), [0]
    for _ in range(tokens - 1):
        new = max(index) + 1
        index.append({0: 0, 1: new, 2: new if rng.random() < 0.3 else index[-1]}.get(
            kind, int(rng.integers(max(0, new - 3), new + 1))))
    return index


def _dense(vectors: Bits) -> Group:
    return Group(vectors, list(range(len(vectors))), True)


def named_tiles(p: Parameters) -> list[Group]:
    """Tiles that random ones may miss, in an order that matters: halves change from means to dense and back."""
    v, m = p.vector, p.m_tile
    ones = quantise(np.ones((m, v)), p.dtype)
    few, single = ones[:7], ones[:1]
    tiles = [Group(ones, [0] * m), Group(ones, list(range(m))), Group(single, [0]), _dense(single), _dense(single),
             Group(few, [0] * 7), Group(single, [0]), _dense(ones), Group(few, [0, 1, 0, 1, 1, 2, 2])]
    if p.dtype == "int8":
        tie = quantise(np.array([-127] * 13 + [-120])[:, None] * np.ones(v), "int8")  # -1771 / 14 = -126.5
        ends = quantise(np.array([-128, -128, -128, 127, 127, 127])[:, None] * np.ones(v), "int8")
        return [*tiles, Group(tie, [0] * 14), Group(ends, [0, 0, 0, 1, 1, 1])]
    top = 0x7F80 if p.dtype == "bf16" else 0x7C00
    odd = np.array([0x8000, 0x8000, top | 1, top, top | 0x8000, top | 0x8055], np.uint16)[:, None].repeat(v, axis=1)
    return [*tiles, Group(odd, [0, 1, 2, 3, 3, 4]), _dense(odd), Group(odd, [0, 0, 1, 2, 3, 4])]


def random_tile_of_groups(rng: np.random.Generator, p: Parameters) -> Group:
    tokens = int(rng.integers(1, p.m_tile + 1))
    vectors = rough_vectors(rng, tokens, p.vector, p.dtype)
    return _dense(vectors) if rng.random() < 0.2 else Group(vectors, _groups(rng, tokens))


def _events(p: Parameters, tiles: list[Group]) -> Counter[str]:
    events: Counter[str] = Counter()
    for before, tile in zip([tiles[0], *tiles], tiles, strict=False):
        counts = np.bincount(tile.index)
        events["dense behind means"] += tile.dense and not before.dense
        events["means behind dense"] += before.dense and not tile.dense
        events["one token"] += len(tile.index) == 1
        events["full tile"] += len(tile.index) == p.m_tile
        if tile.dense:
            continue
        events["group of one"] += int((counts == 1).sum())
        events["count of a power of two"] += int(((counts > 1) & (counts & counts - 1 == 0)).sum())
        events["other count"] += int((counts & counts - 1 != 0).sum())
        events["all one group"] += len(counts) == 1 < len(tile.index)
        events["all groups of one"] += bool(counts.max() == 1 < len(counts))
        events["neighbours of one group"] += int((np.diff(tile.index) == 0).sum())
        means, first = tile.means(p.dtype), [tile.index.index(group) for group in range(len(counts))]
        alone = (counts == 1)[:, None] & (tile.vectors[first] == (0x80 if p.dtype == "int8" else 0x8000))
        if p.dtype != "int8":
            nan, infinity = (0x7FC0, 0x7F80) if p.dtype == "bf16" else (0x7E00, 0x7C00)
            events["-0 in a group of one"] += int((alone & (means == 0)).sum())
            events["NaN with a payload"] += int(((means == nan) & (counts == 1)[:, None]).sum())
            both = [set(tile.vectors[np.array(tile.index) == group, 0].tolist()) for group in range(len(counts))]
            events["infinities of both signs"] += sum({infinity, infinity | 0x8000} <= some for some in both)
        else:
            total = [int(tile.vectors[np.array(tile.index) == group, 0].view(np.int8).sum()) for group in
                     range(len(counts))]
            events["half a step, scaled by a rounded reciprocal"] += sum(
                2 * some % (2 * int(n)) == int(n) and int(value) != int(np.rint(some / n)) for some, n, value
                in zip(total, counts, means[:, 0].view(np.int8), strict=True))
            events["clipped nowhere, the ends reached"] += set(means.view(np.int8)[:, 0].tolist()) >= {-128, 127}
    return events


def _play(bench: Bench, name: str, p: Parameters, tiles: list[Group], stalls: tuple[Stall, Stall]) -> list[int]:
    """Makes source and sink of some tiles; returns the words that have to come."""
    fed, want = [], []
    for tile in tiles:
        seen: set[int] = set()
        for token, (index, vector) in enumerate(zip(tile.index, tile.vectors, strict=True)):
            fed.append(pack(member(p), data=joined(vector), index=index, first=int(index not in seen),
                            dense=int(tile.dense), last=int(token == len(tile.index) - 1)))
            seen.add(index)
        means = tile.means(p.dtype)
        want += [pack(vector_beat(p), data=joined(vector), last=int(number == len(means) - 1))
                 for number, vector in enumerate(means)]
    bench.sources.clear()
    bench.sinks.clear()
    bench.source(f"{name}_i", fed, stalls[0])
    bench.sink(f"{name}_o", len(want), stalls[1])
    return want


@bench_test
async def averages_as_the_model(dut: Any) -> dict[str, Any]:
    rng, bench = np.random.default_rng(seed()), await fresh_bench(dut, QUIET)
    found, compared = {}, 0
    for name in BUILDS:
        p, events = build(name), Counter[str]()
        for stall, stalls in STALLS.items():
            tiles = named_tiles(p) + [random_tile_of_groups(rng, p) for _ in range(config()["tiles"])]
            want = _play(bench, name, p, tiles, stalls)
            await bench.run()
            got = bench.sinks[f"{name}_o"].words
            wrong = next((number for number, (a, b) in enumerate(zip(got, want, strict=True)) if a != b), None)
            assert wrong is None, f"{name}, {stall}: word {wrong}: got {got[wrong]:#x}, expected {want[wrong]:#x}"
            compared += len(want)
            events += _events(p, tiles)
            events[stall] += 1
        found[name] = dict(events)
    return {"compared": compared, "builds": found}


@bench_test
async def starts_afresh_after_a_reset(dut: Any) -> dict[str, Any]:
    rng, bench = np.random.default_rng(seed()), await fresh_bench(dut, QUIET)
    compared = 0
    for name in [*BUILDS] * 2:
        p = build(name)
        _play(bench, name, p, [random_tile_of_groups(rng, p) for _ in range(4)], (ALWAYS, Stall(0.5)))
        await bench.run(limit=int(rng.integers(5, 60)))
        await bench.reset()
        want = _play(bench, name, p, [random_tile_of_groups(rng, p) for _ in range(2)], (ALWAYS, ALWAYS))
        await bench.run()
        assert bench.sinks[f"{name}_o"].words == want, f"{name}: other words after a reset"
        compared += len(want)
    return {"compared": compared}


@bench_test
async def keeps_its_pace(dut: Any) -> dict[str, Any]:
    """In: a vector per cycle, and one of the same group every `adding` cycles, each cycle between counted as hazard.
    Out: a group per V / lanes cycles, or per division where the count is no power of two."""
    bench, compared = await fresh_bench(dut, QUIET), 0
    for name in BUILDS:
        p = build(name)
        unit, ones = Averager(p), quantise(np.ones((p.m_tile, p.vector)), p.dtype)
        waits = 0

        def count(cycle: int, name: str = name) -> None:
            nonlocal waits
            waits += bench.read(f"{name}_hazard")

        bench.hooks.append(count)
        fill, last = unit.adding, p.m_tile - 1
        for index, gap, pause in (([0] * p.m_tile, fill, p.vector), (list(range(p.m_tile)), 1, unit.beats),
                                  ([n // 3 for n in range(p.m_tile)], None, max(Reciprocal.latency + 1, unit.beats))):
            want, before = _play(bench, name, p, [Group(ones, index)], (ALWAYS, ALWAYS)), waits
            await bench.run()
            assert bench.sinks[f"{name}_o"].words == want
            came, left = bench.sources[f"{name}_i"].cycles, bench.sinks[f"{name}_o"].cycles
            steps = {gap} if gap else {1, fill}
            assert set(np.diff(came).tolist()) == steps, f"{name}: cycles between two vectors"
            assert waits - before == came[last] - came[0] - last, f"{name}: hazards"
            whole = np.diff(left[:-1] if gap is None else left)  # the last group of the third kind may be smaller
            assert set(whole.tolist()) <= {pause}, f"{name}: cycles between two groups: {whole}, expected {pause}"
            compared += len(want)
        bench.hooks.remove(count)
        compared += await _sustained(bench, name, p)
    return {"compared": compared}


async def _sustained(bench: Bench, name: str, p: Parameters) -> int:
    """Tiles back to back take the cycles per vector that users are told; nothing but switching halves is on top."""
    compared, ones = 0, quantise(np.ones((p.m_tile, p.vector)), p.dtype)
    thirds = p.m_tile // 3
    kinds = {"one group": [0] * p.m_tile, "alone": list(range(p.m_tile)),
             "threes": [n % thirds for n in range(3 * thirds)]}
    for kind, pace in mean_paces(p).items():
        tile = Group(ones[:len(kinds[kind])], kinds[kind])
        want = _play(bench, name, p, [tile] * 6, (ALWAYS, ALWAYS))
        await bench.run()
        assert bench.sinks[f"{name}_o"].words == want
        ends = np.array(bench.sinks[f"{name}_o"].cycles)[len(want) // 6 - 1::len(want) // 6]
        periods = set(np.diff(ends[2:]).tolist())
        tokens = len(tile.index)
        assert tokens * (pace - 1) < max(periods) <= tokens * pace + SWITCH, f"{name}, {kind}: {periods} for {tokens}"
        compared += len(want)
    return compared


@bench_test
async def divides_as_the_model(dut: Any) -> dict[str, Any]:
    rng, bench = np.random.default_rng(seed()), await fresh_bench(dut, QUIET)
    one = One(bench, "reciprocal")
    wanted = reciprocal(np.arange(1, LARGEST + 1)).tolist()
    for count in rng.permutation(LARGEST).tolist():
        one.write("count", count + 1)
        one.write("valid", 1)
        one.write("take", 0)
        await Timer(1, "ns")
        start = one.cycle
        while not one.read("done"):
            await one.edge()
            assert one.cycle <= start + 100, "a division never ends"
        assert one.cycle - start == (0 if count + 1 & count == 0 else Reciprocal.latency)
        for _ in range(int(rng.integers(3) == 0)):  # the result stands until it is taken
            await one.edge()
        assert one.read("done") and one.read("o") == wanted[count], f"1 / {count + 1}: {one.read('o'):#x}"
        one.write("take", 1)
        await one.edge()
        one.write("valid", 0)
        one.write("take", 0)
        await one.edge(int(rng.integers(2)))
    return {"compared": LARGEST}


def test_averager(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    touchy_memories(monkeypatch)
    units = {name: Averager(build(name)) for name in BUILDS} | {"reciprocal": Reciprocal(LARGEST)}
    tests = simulate(SideBySide(units), __name__, config={"tiles": 12}, seed=seed)["tests"]
    assert tests["divides_as_the_model"]["compared"] == LARGEST
    for name, events in tests["averages_as_the_model"]["builds"].items():
        print(f"{name}: {events}")
        wanted = EVENTS | (INTEGERS if name == "int8" else FLOATS)
        assert {event for event in wanted if not events.get(event)} == set(), name


def test_counts_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="a Reciprocal of counts up to 0: must be at least 1"):
        Reciprocal(0)
