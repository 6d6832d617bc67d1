# SPDX-License-Identifier: Apache-2.0
"""OutputStage: every int8 element as golden `leave` has it, whatever the scales, the tiles and the stalls."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.golden.numeric import elements, formats
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.scatter import leave
from focus_rtl.hdl import layouts
from focus_rtl.hdl.sic.output_stage import OutputStage
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall
from focus_rtl.verif.golden.cases import make_params

SHAPES: dict[str, dict[str, Any]] = {
    "one pass": {"vector": 4, "rows": 4, "cols": 4, "scale_multiplier": "serial"},
    "three passes": {"vector": 12, "rows": 3, "cols": 4},
    "shared": {"vector": 12, "rows": 3, "cols": 6, "scale_share": 3},
    "one by one": {"vector": 4, "rows": 4, "cols": 2, "m_tile": 8, "scale_multiplier": "serial", "scale_share": 2}}
STREAMS = ("orders", "scales", "words", "elements")
STALLS: dict[str, dict[str, Stall]] = {
    "never": {},
    **{f"{name} slow": {name: Stall(0.7, burst=20)} for name in STREAMS},
    "all, often": dict.fromkeys(STREAMS, Stall(0.4, burst=3)),
    "lazy": {"elements": Stall(0.2, lazy=True)},
}
SOUND = np.array((1e-45, 1.2e-38, 2.0 ** -31, 2.0 ** -24, 1 / 3, 1.0, 3e37, 3.4028235e38), np.float32)
BAD = np.array((0.0, -0.0, -1.0, -1e-45, np.inf, -np.inf, np.nan), np.float32)
EVENTS = {
    "tie, down to even", "tie, up to even", "negative tie", "0.5 gives 0", "127.5 is clipped", "-128.5 gives -128",
    "clipped above", "clipped below", "largest and smallest unclipped", "infinity", "subnormal product",
    "conversion rounds", "least sum", "one token", "full tile", "partial vector",
    *(f"stalls: {name}" for name in STALLS)}
TILES = {"one by one": 4}
"""Under each kind of stall, where it is not 20: too few for the events that numbers have to make by chance."""
MADE = {"one token", "full tile", *(f"stalls: {name}" for name in STALLS)}


def parameters(shape: str) -> Parameters:
    return make_params(dtype="int8", **SHAPES[shape])


def pack(words: NDArray[Any]) -> int:
    """Unsigned words -> one integer, the first low."""
    return sum(int(word) << 8 * words.itemsize * place for place, word in enumerate(words))


def _words(p: Parameters, vectors: NDArray[np.uint32]) -> list[int]:
    """Vectors as words of C sums, each vector's last marked."""
    groups = vectors.reshape(len(vectors), p.col_passes, p.cols)
    return [pack(group) | (number == p.col_passes - 1) << 32 * p.cols
            for vector in groups for number, group in enumerate(vector)]


def random_scales(choice: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Powers of two (ties), common ones, extreme ones."""
    kinds = (2.0 ** choice.integers(-20, 4, count), choice.uniform(1e-4, 2, count), choice.choice(SOUND, count))
    return np.choose(choice.choice(3, count, p=(0.5, 0.3, 0.2)), kinds).astype(np.float32)


def random_sums(choice: np.random.Generator, tokens: int, scales: NDArray[np.float32]) -> NDArray[np.uint32]:
    """int32 of every magnitude, its ends, and sums that a scale brings to halves between -130 and 130."""
    size = (tokens, len(scales))
    wide = choice.integers(-(1 << 31), 1 << 31, size) >> choice.integers(0, 31, size)
    ends = choice.choice((0, -1, (1 << 31) - 1, -(1 << 31), (1 << 24) + 1), size)
    halves = choice.choice((*range(-260, 261), *[255, -257, 1, 254, -256] * 20), size) / 2
    near = halves / np.where(scales < 1e-30, 0.5, scales.astype(np.float64))  # of tiny scales: subnormal products
    aimed = np.clip(np.rint(near), -(1 << 31), (1 << 31) - 1)
    return np.choose(choice.choice(3, size, p=(0.3, 0.1, 0.6)), (wide, ends, aimed)).astype(np.int32).view(np.uint32)


@dataclass
class Work:
    """Beats of every stream, what has to come out, and how often each named case is in it."""

    p: Parameters
    words: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in STREAMS})
    bad: list[bool] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)

    def add(self, choice: np.random.Generator, tokens: int, lanes: int, bad: float = 0.0) -> None:
        """A tile whose vectors have `lanes` elements; `bad`: how many of its scales are not sound."""
        p = self.p
        cols = -(-lanes // p.cols)
        scales = random_scales(choice, cols * p.cols)
        sums = random_sums(choice, tokens, scales)
        sums[:, lanes:] = 0  # as the output buffer gives them
        scales = np.where(choice.random(len(scales)) < bad, choice.choice(BAD, len(scales)), scales)
        whole, want = np.zeros((tokens, p.vector), np.uint32), np.zeros((tokens, p.vector), np.uint8)
        whole[:, :len(scales)] = sums
        # `leave` refuses scales that are not sound; the machine reports them and computes on.
        left = elements.requantise(sums, scales.view(np.uint32)) if bad else leave(sums, "int8", scales)
        want[:, :len(scales)] = left
        self.words["orders"].append(layouts.output_order(p).const(
            {"tokens": tokens, "cols": cols, "lanes": lanes}).as_value().value)
        by_pass = scales.view(np.uint32).reshape(cols, p.cols)
        self.words["scales"] += [pack(group) for group in by_pass]
        self.bad += (~(np.isfinite(scales) & (scales > 0))).reshape(cols, p.cols).any(axis=1).tolist()
        self.words["words"] += _words(p, whole)
        self.words["elements"] += [pack(row) for row in want]
        self.events += _events(sums, scales)
        self.events += Counter({"one token": tokens == 1, "full tile": tokens == p.m_tile,
                                "partial vector": lanes < p.vector})

    def add_some(self, choice: np.random.Generator, tiles: int, bad: float = 0.0) -> None:
        """Tiles of every size, 1 and m among them, the last vectors of a job among others."""
        for number in range(tiles):
            tokens = [1, self.p.m_tile][number] if number < 2 else int(choice.integers(1, self.p.m_tile + 1))
            partial = choice.random() < 0.4
            self.add(choice, tokens, int(choice.integers(1, self.p.vector + 1)) if partial else self.p.vector, bad)


def _events(sums: NDArray[np.uint32], scales: NDArray[np.float32]) -> Counter[str]:
    """Named cases among the elements of a tile, decided by the float64 of their scaled sums."""
    with np.errstate(all="ignore"):
        whole = elements.int_to_float(sums)
        y = formats.to_float32(formats.multiply32(whole, scales.view(np.uint32))).astype(np.float64)
        exact = sums.view(np.int32).astype(np.float64)
        inner = np.abs(y) < 127
        found = {
            "tie, down to even": (y % 2 == 0.5) & inner, "tie, up to even": (y % 2 == 1.5) & inner,
            "negative tie": (y % 1 == 0.5) & inner & (y < 0), "0.5 gives 0": y == 0.5, "127.5 is clipped": y == 127.5,
            "-128.5 gives -128": y == -128.5, "clipped above": y > 128, "clipped below": y < -129,
            "largest and smallest unclipped": (y == 127) | (y == -128), "infinity": np.isinf(y) & np.isfinite(scales),
            "subnormal product": (y != 0) & (np.abs(y) < 2.0 ** -126),
            "conversion rounds": formats.to_float32(whole) != exact, "least sum": exact == -(2 ** 31)}
    return Counter({name: int(np.broadcast_to(where, y.shape).sum()) for name, where in found.items()})


def watch_scales(bench: Bench) -> list[int]:
    """The cycles in which `bad_scale` is high."""
    cycles: list[int] = []

    def watch(cycle: int) -> None:
        if bench.read("bad_scale"):
            cycles.append(cycle)
    bench.hooks.append(watch)
    return cycles


def offer(bench: Bench, work: Work, stalls: dict[str, Stall]) -> None:
    for name in STREAMS[:3]:
        bench.source(name, work.words[name], stalls.get(name, ALWAYS))
    bench.sink("elements", len(work.words["elements"]), stalls.get("elements", ALWAYS))


async def compare(bench: Bench, work: Work, pulses: list[int]) -> int:
    """Run to the end: every element, and a pulse of `bad_scale` in the cycle of every bad beat and in no other."""
    pulses.clear()
    await bench.run()
    got, want = bench.sinks["elements"].words, work.words["elements"]
    first = next((number for number, pair in enumerate(zip(got, want, strict=True)) if pair[0] != pair[1]), None)
    assert first is None, f"vector {first}: got {got[first]:#x}, expected {want[first]:#x}"
    taken = bench.sources["scales"].cycles
    assert pulses == [cycle for cycle, bad in zip(taken, work.bad, strict=True) if bad]
    return len(want)


@bench_test
async def equals_the_model(dut: Any) -> dict[str, Any]:
    p, bench, choice = parameters(config()["shape"]), Bench(dut, seed()), np.random.default_rng(seed())
    pulses, compared, expected = watch_scales(bench), 0, 0
    events: Counter[str] = Counter()
    await bench.reset()
    for name, stalls in STALLS.items():
        work = Work(p)
        work.add_some(choice, config()["tiles"])
        offer(bench, work, stalls)
        compared += await compare(bench, work, pulses)
        expected += sum(layouts.output_order(p).from_bits(order)["tokens"] for order in work.words["orders"])
        assert not pulses
        events += work.events
        events[f"stalls: {name}"] += 1
    assert compared == expected > 0
    return {"compared": compared, "events": dict(events)}


@bench_test
async def reports_bad_scales(dut: Any) -> dict[str, Any]:
    """0, negative, infinite, NaN, in any lane: a pulse each; what comes out is what the arithmetic makes of them."""
    p, bench, choice = parameters(config()["shape"]), Bench(dut, seed()), np.random.default_rng(seed())
    pulses, compared, beats = watch_scales(bench), 0, 0
    await bench.reset()
    for stalls in ({}, dict.fromkeys(STREAMS, Stall(0.3))):
        work = Work(p)
        work.add_some(choice, 12, bad=0.15)
        work.add(choice, 1, p.vector, bad=1.0)  # so that there is one for every seed
        work.add_some(choice, 4)
        offer(bench, work, stalls)
        compared += await compare(bench, work, pulses)
        assert any(work.bad) and not all(work.bad)
        beats += sum(work.bad)
    return {"compared": compared, "bad": beats}


@bench_test
async def knows_every_bad_scale(dut: Any) -> dict[str, Any]:
    """Each bad number and each of the sound extremes once, alone among ones, in every lane."""
    p, bench = parameters(config()["shape"]), Bench(dut, seed())
    told: list[bool] = []
    bench.hooks.append(lambda _cycle: told.append(bool(bench.read("bad_scale"))))
    await bench.reset()
    order = layouts.output_order(p).const({"tokens": 1, "cols": p.col_passes, "lanes": p.vector}).as_value().value
    numbers = [(number, number in BAD or np.isnan(number)) for number in (*BAD, *SOUND)]
    beats, want = [], []
    for number, bad in numbers:
        for lane in range(p.vector):
            scales = np.ones(p.vector, np.float32)
            scales[lane] = number
            beats += [pack(group) for group in scales.view(np.uint32).reshape(p.col_passes, p.cols)]
            want += [bool(bad) and lane // p.cols == col for col in range(p.col_passes)]
    tiles = len(beats) // p.col_passes
    bench.source("orders", [order] * tiles)
    scales_in, start = bench.source("scales", beats), bench.cycle
    bench.source("words", _words(p, np.zeros((tiles, p.vector), np.uint32)))
    bench.sink("elements", tiles)
    told.clear()
    await bench.run()
    assert [told[cycle - start] for cycle in scales_in.cycles] == want
    assert sum(told) == sum(want) == len(BAD) * p.vector
    assert bench.sinks["elements"].words == [0] * tiles
    return {"compared": len(want)}


@bench_test
async def keeps_its_rate_and_latency(dut: Any) -> dict[str, Any]:
    """`pace` cycles a vector, a cycle a beat of scales, `latency` from a vector's transfer to its elements."""
    p, bench, choice = parameters(config()["shape"]), Bench(dut, seed()), np.random.default_rng(seed())
    pulses, work, tiles = watch_scales(bench), Work(p), 4
    await bench.reset()
    for _ in range(tiles):
        work.add(choice, p.m_tile, p.vector)
    offer(bench, work, {})
    compared = await compare(bench, work, pulses)
    taken = bench.sources["words"].cycles[p.col_passes - 1::p.col_passes]  # of a vector's last word
    given = bench.sinks["elements"].cycles
    scales = bench.sources["scales"].cycles
    assert {out - into for into, out in zip(taken, given, strict=True)} == {config()["latency"]}
    pace, steps, beats = config()["pace"], config()["steps"], p.col_passes
    to_last = (steps - 1) * config()["interval"]  # from a vector's first step: it is transferred with its last
    # The scales of the next tile come while the last elements are under way.
    per_tile = max(p.m_tile * pace, (p.m_tile - 1) * pace + to_last + beats + 1)
    want = [scales[0] + tile * per_tile + beats + token * pace + to_last
            for tile in range(tiles) for token in range(p.m_tile)]
    assert taken == want, "a vector took more than its time, or the scales of a tile more than one cycle a beat"
    return {"compared": compared, "latency": config()["latency"]}


@bench_test
async def forgets_at_reset(dut: Any) -> dict[str, Any]:
    p, bench, compared = parameters(config()["shape"]), Bench(dut, seed()), 0
    choice, pulses = np.random.default_rng(seed()), watch_scales(bench)
    await bench.reset()
    for _ in range(8):
        work = Work(p)
        work.add_some(choice, 4, bad=0.1)
        offer(bench, work, {"elements": Stall(0.3)})
        bench.sinks["elements"].expected = None
        await bench.run(limit=int(choice.integers(3, 80)))
        await bench.reset(1)
        work = Work(p)
        work.add_some(choice, 3)
        offer(bench, work, {"words": Stall(0.2)})
        compared += await compare(bench, work, pulses)
    return {"compared": compared}


@pytest.mark.parametrize("shape", SHAPES)
def test_output_stage(shape: str, seed: int) -> None:
    unit = OutputStage(parameters(shape))
    tiles, serial = TILES.get(shape, 20), unit.serial
    told = {"shape": shape, "tiles": tiles, "latency": unit.latency, "interval": unit.interval, "pace": unit.pace,
            "steps": unit.steps}
    assert (unit.steps, unit.interval) == {"one pass": (1, 66), "three passes": (3, 1), "shared": (6, 1),
                                           "one by one": (4, 66)}[shape]
    assert unit.pace == unit.steps * unit.interval + 2 * serial
    result = simulate(unit, __name__, config=told, seed=seed, quick=True)
    found = result["tests"]["equals_the_model"]
    print(f"{shape}: {result['compared']} words, latency {unit.latency}, {found['events']}")
    assert len(result["tests"]) == 5
    wanted = MADE if shape in TILES else EVENTS
    assert {event for event in wanted if not found["events"].get(event)} == set()
    assert result["tests"]["reports_bad_scales"]["bad"] > 0
