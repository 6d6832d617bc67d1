# SPDX-License-Identifier: Apache-2.0
"""Gather: every vector, index and count as the golden model says, whatever the tile, the stalls and the build."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from amaranth.lib.data import StructLayout

from focus_rtl.golden.job import Grid, Job, tiles_of
from focus_rtl.golden.numeric.dtypes import Bits, is_zero
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.gather import gather
from focus_rtl.golden.sic.layouter import inside, windows
from focus_rtl.hdl.layouts import gather_order, index_beat, position, summary, vector_beat
from focus_rtl.hdl.sic.gather import Gather
from focus_rtl.hdl.sic.matcher import Matcher
from focus_rtl.hdl.sic.serial_matcher import SerialMatcher
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall
from focus_rtl.verif.golden.cases import make_params
from focus_rtl.verif.sic.gather_cases import (
    EVENTS,
    EVENTS_OF,
    WITHOUT_A_WINDOW,
    Case,
    common,
    events_of,
    named_cases,
    random_cases,
    serial_costs,
)
from focus_rtl.verif.sic.touchy import touchy_memories

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "one": {"dtype": "int8", "matchers": 1, "vector": 16, "matcher_lanes": 16, "m_tile": 64, "grid_max": (8, 14, 14),
            "pe_depth": 2},
    "serial": {"dtype": "bf16", "matchers": 1, "vector": 12, "matcher_lanes": 1, "m_tile": 16, "grid_max": (4, 5, 3),
               "pe_depth": 4, "match_depth": 4},
    "two": {"matchers": 2, "vector": 6, "matcher_lanes": 2, "m_tile": 32, "grid_max": (4, 4, 7), "pe_depth": 3,
            "compare_multiplier": "serial", "representative": "mean"},
    "four": {"dtype": "int8", "matchers": 4, "vector": 8, "matcher_lanes": 4, "m_tile": 32, "grid_max": (4, 6, 6),
             "pe_depth": 1, "compare_multiplier": "serial", "dot_multiplier": "lut", "match_depth": 3},
    "seven": {"matchers": 7, "vector": 4, "matcher_lanes": 4, "m_tile": 64, "grid_max": (8, 8, 8), "pe_depth": 1},
    "thirds": {"block": (3, 3, 3), "matchers": 9, "vector": 4, "matcher_lanes": 4, "m_tile": 64, "grid_max": (8, 7, 6),
               "pe_depth": 1},
    "slab": {"dtype": "int8", "block": (1, 3, 2), "matchers": 5, "vector": 8, "matcher_lanes": 2, "m_tile": 32,
             "grid_max": (4, 7, 5), "pe_depth": 2, "representative": "mean"},
    "deep": {"dtype": "bf16", "block": (3, 1, 2), "matchers": 2, "vector": 6, "matcher_lanes": 1, "m_tile": 32,
             "grid_max": (7, 4, 5), "pe_depth": 1, "representative": "mean"},
    "shared": {"dtype": "int8", "vector": 8, "matcher_lanes": 1, "m_tile": 32, "grid_max": (4, 6, 5), "pe_depth": 1,
               "compare_multiplier": "shared", "dot_multiplier": "lut"},
    "shared, thirds": {"dtype": "int8", "block": (3, 3, 2), "vector": 6, "matcher_lanes": 2, "m_tile": 16,
                       "grid_max": (5, 4, 7), "pe_depth": 2, "compare_multiplier": "shared", "representative": "mean"},
    "none": {"dtype": "bf16", "block": (1, 1, 1), "vector": 4, "matcher_lanes": 4, "m_tile": 16, "grid_max": (4, 5, 3),
             "pe_depth": 1, "representative": "mean"},
}
STREAMS = ("orders", "vectors", "positions", "outputs", "out_maps", "summary")
STALLS: dict[str, dict[str, Stall]] = {
    "never": {},
    "often": dict.fromkeys(STREAMS, Stall(0.5)),
    "bursts": dict.fromkeys(STREAMS, Stall(0.03, burst=40)),
    "outputs slow": {"outputs": Stall(0.8, burst=4)},
    "maps slow": {"out_maps": Stall(0.7, burst=12)},
    "summary slow, lazy": {"summary": Stall(0.9, burst=40, lazy=True), "outputs": Stall(lazy=True),
                           "out_maps": Stall(lazy=True)},
    "inputs slow": {"orders": Stall(0.5, burst=30), "vectors": Stall(0.3), "positions": Stall(0.3, burst=5)},
}


def parameters() -> Parameters:
    """The configuration that this simulation was built with."""
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in config()["params"].items()}
    return Parameters(**fields)


def pack(layout: StructLayout, **values: int) -> int:
    """The word of a payload, first field low."""
    assert set(values) == set(layout.members)
    return sum((value & (1 << layout[name].width) - 1) << layout[name].offset for name, value in values.items())


def joined(vector: Bits) -> int:
    """Elements -> word, lane 0 low."""
    return sum(int(bits) << 8 * vector.itemsize * lane for lane, bits in enumerate(vector))


class Run:
    """One pass of some tiles through the device: what goes in, what has to come out."""

    def __init__(self, bench: Bench, p: Parameters, cases: list[Case], stalls: dict[str, Stall]) -> None:
        self.bench = bench
        words: dict[str, list[int]] = {name: [] for name in STREAMS}
        for job, vectors in cases:
            tile, = job.check(p).tiles
            words["orders"].append(pack(gather_order(p), tokens=tile.tokens, height=job.height, width=job.width,
                                        t2=job.t2, mask=job.mask, dense=int(job.dense)))
            words["vectors"] += [joined(vector) for vector in vectors]
            words["positions"] += [pack(position(p), image=image, frame=frame, row=row, column=column)
                                   for image, frame, row, column in tile.positions.tolist()]
            want = gather(vectors, tile, job.height, job.width, job.t2, job.mask, job.dense, dtype=p.dtype,
                          block=p.block, representative=p.representative)
            words["outputs"] += [joined(vector) | (number == want.p - 1) << vector_beat(p)["last"].offset
                                 for number, vector in enumerate(want.unique)]
            words["out_maps"] += [pack(index_beat(p), index=index, last=int(number == tile.tokens - 1))
                                  for number, index in enumerate(want.index_map.tolist())]
            words["summary"].append(pack(summary(p), unique=want.p, zeros=want.zeros))
        self.words = words
        for name in STREAMS[:3]:
            bench.source(name, words[name], stalls.get(name, ALWAYS))
        for name in STREAMS[3:]:
            bench.sink(name, len(words[name]), stalls.get(name, ALWAYS))

    async def compare(self) -> int:
        """Run to the end; returns the words compared."""
        await self.bench.run()
        for name in STREAMS[3:]:
            got, want = self.bench.sinks[name].words, self.words[name]
            pairs = zip(got, want, strict=True)
            first = next((number for number, (a, b) in enumerate(pairs) if a != b), None)
            assert first is None, f"{name}: word {first}: got {got[first]:#x}, expected {want[first]:#x}"
        return sum(len(self.words[name]) for name in STREAMS[3:])


@bench_test
async def gathers_as_the_model(dut: Any) -> dict[str, Any]:
    p, rng, bench = parameters(), np.random.default_rng(seed()), Bench(dut, seed())
    await bench.reset()
    events: Counter[str] = Counter()
    compared = expected = 0
    before = None
    for name, stalls in STALLS.items():
        cases = random_cases(rng, p, config()["tiles"]) + named_cases(p)
        cases = [cases[place] for place in rng.permutation(len(cases))]
        for case in cases:
            seen, words = events_of(case, before, p)
            events, expected, before = events + seen, expected + words, case[0]
        compared += await Run(bench, p, cases, stalls).compare()
        events[f"stalls: {name}"] += 1
    assert compared == expected, f"{compared} words compared, {expected} expected"
    return {"compared": compared, "events": dict(events)}


@bench_test
async def starts_afresh_after_a_reset(dut: Any) -> dict[str, Any]:
    p, rng, bench = parameters(), np.random.default_rng(seed()), Bench(dut, seed())
    compared = 0
    for _ in range(4):
        await bench.reset()
        Run(bench, p, random_cases(rng, p, 4), {"outputs": Stall(0.5)})
        await bench.run(limit=int(rng.integers(5, 60)))
        await bench.reset()
        compared += await Run(bench, p, random_cases(rng, p, 2), {}).compare()
    return {"compared": compared}


def costs(p: Parameters, job: Job, vectors: Bits) -> list[int]:
    """Cycles of each vector's slots: rounds that do something, `pace` each; 1 if it only passes; and the pause.

    One at a time: those of `serial_costs`, and two until the next one is looked at.
    """
    if config()["serial"]:
        return [2 + cycles for cycles in serial_costs(p, job, vectors, config()["serial"])]
    tile, = job.tiles
    zero = is_zero(vectors, p.dtype).all(axis=1)
    window = windows(tile, job.height, job.width, p.block)
    cycles = []
    for token, (image, *place) in enumerate(tile.positions.tolist()):
        slots = {0} | {number + 1 for number, other in enumerate(window[token].tolist())
                       if other >= 0 and not zero[other] and job.mask >> number & 1}
        entered = image and inside((place[0], place[1], place[2]), job.height, job.width)
        passes = job.dense or zero[token] or not entered or not p.candidates
        cycles.append(1 if passes else len({slot // p.matcher_units for slot in slots}) * config()["pace"])
    return [each + config()["pause"] for each in cycles]


def expected_steps(p: Parameters, want: list[int]) -> tuple[list[int], int]:
    """Cycles from each vector's fetch to the next one's within a tile, and across two; vectors cost what `want` says.

    In flow a vector is taken before its cost, one at a time behind it; then a tile's order comes a cycle late, or the
    wiping takes longer.
    """
    if config()["serial"]:
        return want[1:], want[0] + max(1, config()["serial"]["wipe"])
    return want[:-1], max(want[-1], config()["between"])


@bench_test
async def keeps_its_rate_and_latency(dut: Any) -> dict[str, Any]:
    """Nothing stalls: every vector takes the cycles of its own slots, and no cycle more."""
    p, rng, bench = parameters(), np.random.default_rng(seed()), Bench(dut, seed())
    await bench.reset()
    height, width = (min(side, 4) for side in p.grid_max[1:])
    tile = tiles_of(Grid(4, height, width), p.m_tile)[0]
    vectors = common(rng, (tile.tokens, p.vector), p.dtype)
    vectors[tile.tokens // 2::tile.tokens // 5] = 0
    job = Job(p.vector, p.vector, (tile,), height, width, 0.999, dtype=p.dtype, block=p.block)
    compared = await Run(bench, p, [(job, vectors)] * 3, {}).compare()
    fetched = bench.sources["vectors"].cycles
    want = costs(p, job, vectors)
    for start in range(0, len(fetched), tile.tokens):
        got = np.diff(fetched[start:start + tile.tokens]).tolist()
        within, across = expected_steps(p, want)
        assert got == within, f"cycles per vector: {got}, expected {within}"
        if start:
            between = fetched[start] - fetched[start - 1]
            assert between == across, f"{between} cycles between two tiles, expected {across}"
    latency = bench.sinks["out_maps"].cycles[0] - fetched[0]
    assert latency == config()["latency"], f"latency {latency}, stated {config()['latency']}"
    return {"compared": compared, "latency": latency, "full": max(want), "mean": float(np.mean(want))}


def test_no_memory_is_read_where_it_is_written(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    touchy_memories(monkeypatch)
    test_gather("seven", seed)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_gather(name: str, seed: int) -> None:
    p = make_params(rows=1, cols=1, **CONFIGURATIONS[name])
    unit = Gather(p)
    told = {"params": p.to_dict(), "latency": unit.latency, "between": unit.between, "pause": unit.pause,
            "tiles": 4 if unit.one_at_a_time else 40,  # what is counted is in the named ones
            "pace": Matcher(p).pace if p.candidates and not unit.one_at_a_time else 1,
            "serial": SerialMatcher(p).cycles if unit.one_at_a_time else None}
    result = simulate(unit, __name__, config=told, seed=seed)
    found = result["tests"]["gathers_as_the_model"]
    print(f"{name}: {result['compared']} words, {result['tests']['keeps_its_rate_and_latency']}, {found['events']}")
    wanted = EVENTS | EVENTS_OF[p.dtype] if p.candidates else WITHOUT_A_WINDOW
    wanted = wanted | {f"stalls: {stall}" for stall in STALLS}
    assert {event for event in wanted if not found["events"].get(event)} == set()
    assert found["compared"] > told["tiles"] * len(STALLS) * 10
