# SPDX-License-Identifier: Apache-2.0
"""Gather: every vector, index and count as the golden model says, whatever the tile, the stalls and the build."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from amaranth.lib.data import StructLayout
from numpy.typing import NDArray

from focus_rtl.golden.job import ALL_CANDIDATES, Grid, Job, Tile, tiles_of
from focus_rtl.golden.numeric.dtypes import Bits, is_zero, numbers, quantise
from focus_rtl.golden.numeric.formats import multiply32
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.gather import gather
from focus_rtl.golden.sic.layouter import inside, neighbours, windows
from focus_rtl.golden.sic.matcher import dot, norms
from focus_rtl.hdl.layouts import gather_order, index_beat, position, summary, vector_beat
from focus_rtl.hdl.sic.gather import Gather
from focus_rtl.hdl.sic.matcher import Matcher
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall
from focus_rtl.verif.golden.cases import make_params, random_tile, rough_vectors, smooth_video
from focus_rtl.verif.oracles import brute
from focus_rtl.verif.sic.touchy import touchy_memories

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "one": {"dtype": "int8", "matchers": 1, "vector": 16, "matcher_lanes": 16, "m_tile": 64, "grid_max": (8, 14, 14),
            "pe_depth": 2},
    "serial": {"dtype": "bf16", "matchers": 1, "vector": 12, "matcher_lanes": 1, "m_tile": 16, "grid_max": (4, 5, 3),
               "pe_depth": 4},
    "two": {"matchers": 2, "vector": 6, "matcher_lanes": 2, "m_tile": 32, "grid_max": (4, 4, 7), "pe_depth": 3,
            "compare_multiplier": "serial", "representative": "mean"},
    "four": {"dtype": "int8", "matchers": 4, "vector": 8, "matcher_lanes": 4, "m_tile": 32, "grid_max": (4, 6, 6),
             "pe_depth": 1, "compare_multiplier": "serial", "dot_multiplier": "lut"},
    "seven": {"matchers": 7, "vector": 4, "matcher_lanes": 4, "m_tile": 64, "grid_max": (8, 8, 8), "pe_depth": 1},
    "thirds": {"block": (3, 3, 3), "matchers": 9, "vector": 4, "matcher_lanes": 4, "m_tile": 64, "grid_max": (8, 7, 6),
               "pe_depth": 1},
    "slab": {"dtype": "int8", "block": (1, 3, 2), "matchers": 5, "vector": 8, "matcher_lanes": 2, "m_tile": 32,
             "grid_max": (4, 7, 5), "pe_depth": 2, "representative": "mean"},
    "deep": {"dtype": "bf16", "block": (3, 1, 2), "matchers": 2, "vector": 6, "matcher_lanes": 1, "m_tile": 32,
             "grid_max": (7, 4, 5), "pe_depth": 1, "representative": "mean"},
    "none": {"dtype": "bf16", "block": (1, 1, 1), "vector": 4, "matcher_lanes": 4, "m_tile": 16, "grid_max": (4, 5, 3),
             "pe_depth": 1, "representative": "mean"},
}
EVENTS = {
    "text", "outside", "key zero", "unsound neighbour first", "unsound neighbour later",
    "negative", "tie", "no candidate", "match", "at threshold", "below threshold", "chain", "dense", "masked",
    "one token", "full tile", "one unique", "all unique", "one row", "one column", "odd sides", "threshold changed",
    "previous matched", "separators",
}
WITHOUT_A_WINDOW = {"text", "outside", "one token", "full tile", "all unique", "one row", "one column", "odd sides",
                    "dense", "separators", "threshold changed"}
"""What can happen where every vector passes."""
EVENTS_OF = {
    "fp16": {"key nan", "key inf"},
    "bf16": {"key nan", "key inf", "norm vanishes", "norm overflows", "norm subnormal", "tie at infinity",
             "infinite against finite"},
    "int8": {"-128", "largest norm", "largest negative dot"},
}
"""Of a dtype, beside `EVENTS`."""
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
Case = tuple[Job, Bits]


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


def common(rng: np.random.Generator, size: tuple[int, ...], dtype: str) -> Bits:
    """Elements like those of a layer."""
    return quantise(rng.normal(size=size) * (40 if dtype == "int8" else 1), dtype)


def _extreme(rng: np.random.Generator, size: tuple[int, int], dtype: str) -> Bits:
    """Where the dtype's arithmetic ends.

    int8: the largest sums, and few distinct ones.  bf16: norms, dots or their squares that overflow, vanish or are
    subnormal, a scale for each vector.  fp16: subnormal and large elements.
    """
    if dtype == "int8":
        return rng.choice((-128, 127), size, p=(0.9, 0.1)).astype(np.int8).view(np.uint8)
    powers = (-24, -20, 12, 15) if dtype == "fp16" else (-133, -75, -74, -68, -63, 20, 60, 63, 64, 120)
    scale = 2.0 ** rng.choice(powers, (size[0], 1))
    steps = rng.integers(-1, 2, size) if rng.random() < 0.5 else rng.normal(size=size)
    with np.errstate(all="ignore"):
        return quantise(steps * scale, dtype)


def tile_vectors(rng: np.random.Generator, tile: Tile, v: int, sides: tuple[int, int], dtype: str) -> Bits:
    kind, size = int(rng.choice(7, p=(0.5, 0.2, 0.05, 0.05, 0.05, 0.05, 0.1))), (tile.tokens, v)
    if kind == 0:
        return rough_vectors(rng, tile.tokens, v, dtype)
    if kind == 1:
        video = smooth_video(rng, Grid(4, *sides), v, dtype=dtype).reshape(4, *sides, v)
        _, frame, row, column = tile.positions.T
        return video[frame % 4, np.minimum(row, sides[0] - 1), np.minimum(column, sides[1] - 1)]
    if kind == 2:
        return np.broadcast_to(rough_vectors(rng, 1, v, dtype), size).copy()  # all identical
    if kind == 3:
        return quantise(np.where(rng.random(size) < 0.5, -0.0, 0.0), dtype)
    if kind == 4:
        signs = np.where(np.arange(tile.tokens) % 2, -1.0, 1.0)
        return quantise(np.broadcast_to(signs[:, None], size), dtype)  # opposite to the one before
    return common(rng, size, dtype) if kind == 5 else _extreme(rng, size, dtype)


def _tile(rng: np.random.Generator, p: Parameters) -> tuple[Tile, int, int]:
    height, width = (int(rng.integers(1, side + 1)) for side in p.grid_max[1:])
    shape = int(rng.integers(5))
    height, width = {0: (1, width), 1: (height, 1)}.get(shape, (height, width))
    if rng.random() < 0.3:
        return random_tile(rng, int(rng.integers(1, p.m_tile + 1)), height, width), height, width
    grid = Grid(int(rng.integers(1, 5)), height, width)
    retained = rng.random(grid.tokens) < rng.choice((0.5, 1.0))
    retained[0] = True
    tiles = tiles_of(grid, p.m_tile, retained, text_tokens=int(rng.integers(0, 4)))
    return tiles[int(rng.integers(len(tiles)))], height, width


def random_cases(rng: np.random.Generator, p: Parameters, count: int) -> list[Case]:
    """`count` tiles, each with a job of its own."""
    cases: list[Case] = []
    threshold = 0.9
    for _ in range(count):
        tile, height, width = _tile(rng, p)
        if rng.random() < 0.5:
            threshold = float(rng.choice((0.0, 0.3, 0.5, 0.9, 0.95, 0.999, 1.0)))
        mask = ALL_CANDIDATES if rng.random() < 0.7 else int(rng.integers(1 << p.candidates))
        job = Job(p.vector, p.vector, (tile,), height, width, threshold, mask, bool(rng.random() < 0.1), p.dtype,
                  p.block)
        cases.append((job, tile_vectors(rng, tile, p.vector, (height, width), p.dtype)))
    return cases


def named_cases(p: Parameters) -> list[Case]:
    """Tiles that random ones may miss: a tie, equality with the threshold, chains, one token, a full tile, masks."""
    unit = quantise(np.eye(p.vector), p.dtype)
    four = quantise(np.arange(p.vector) < 4, p.dtype)
    key = tuple(side - 1 for side in p.block)
    corner = Tile(np.array([(1, *place) for place in (*neighbours(key, p.block)[1::-1], key)]))
    axis = int(np.argmax(np.array(p.block) > 1))  # along which there are neighbours
    below = 0.499 if p.dtype == "int8" else float(np.nextafter(np.float32(0.5), np.float32(0)))

    def job(tile: Tile, threshold: float, dense: bool = False, mask: int = ALL_CANDIDATES) -> Job:
        return Job(p.vector, p.vector, (tile,), *p.grid_max[1:], threshold, mask, dense, p.dtype, p.block)

    def line(vectors: Bits, threshold: float, mask: int = ALL_CANDIDATES) -> Case:
        positions = np.zeros((len(vectors), 4), np.int32)
        positions[:, 0], positions[:, 1 + axis] = 1, np.arange(len(vectors))
        return job(Tile(positions), threshold, mask=mask), vectors

    def tie(numbers: list[Bits], factor: float = 1.0) -> Case:
        return job(corner, 0.5), quantise(np.array(numbers)[-corner.tokens:] * factor, p.dtype)

    left, right = np.eye(p.vector)[:2]
    full = tiles_of(Grid(p.grid_max[0], *p.grid_max[1:]), p.m_tile)[0]
    same = quantise(np.full((full.tokens, p.vector), 2.0), p.dtype)
    bends = np.array([[4, bend] + [0] * (p.vector - 2) for bend in (0, 1, 2, 3)]) * (16 if p.dtype == "int8" else 0.25)
    turning = quantise(bends, p.dtype)
    return [
        line(np.array([four, unit[0]]), 0.5), line(np.array([four, unit[0]]), below),
        tie([left, right, left + right]), tie([right, left, left + right]),
        line(turning, 0.95), line(turning[:1], 0.95), line(turning[[0, 3]], 0.95), line(same[:4], 0.9),
        line(same[:4], 0.9, mask=0), (job(full, 0.9), same), (job(full, 0.9, dense=True), same),
        (job(separated(p), 0.9), same[:separated(p).tokens]), *_named_extremes(p.dtype, tie, line, left, right),
    ]


def separated(p: Parameters) -> Tile:
    """Rows of two, a token behind each row and behind each frame: strides of the token order larger than the grid's."""
    _, height, width = p.grid_max
    places = [(1, frame, row, column) for frame in range(min(p.grid_max[0], 2)) for row in (*range(2), height)
              for column in ((0, 1, width) if row < height else (0,))]
    return Tile(np.array(places))


def _named_extremes(dtype: str, tie: Callable[..., Case], line: Callable[..., Case], left: NDArray[np.float64],
                    right: NDArray[np.float64]) -> list[Case]:
    """Of bf16: squares that overflow, so that the earlier of two wins.  Of int8: the ends of what a dot can be."""
    if dtype == "bf16":
        huge = 2.0 ** 40  # norms of 2**80, squared dots of 2**160
        return [tie([left, right, left + right], huge), tie([right, left, left + right], huge),
                tie([left, 2 * right, left + 3 * right], huge), tie([left / huge, right, left + right], huge),
                tie([left, -right, left + right], huge)]
    if dtype == "int8":
        ends = quantise(np.array([[-128], [127], [-128], [-128]]) * np.ones(len(left)), dtype)
        return [line(ends, threshold) for threshold in (0.9, 1.0)]
    return []


def _events(case: Case, before: Job | None, p: Parameters) -> tuple[Counter[str], int]:
    """What a tile is there for, and how many words come out of it; the brute force says what happened inside."""
    job, vectors = case
    tile, = job.tiles
    told = brute.gather(vectors.tolist(), [tuple(place) for place in tile.positions.tolist()], job)
    unique = len(told.unique)
    window = windows(tile, job.height, job.width, p.block)
    happened = {
        "dense": job.dense, "masked": job.mask != (1 << p.candidates) - 1, "one token": tile.tokens == 1,
        "full tile": tile.tokens == p.m_tile,
        "one unique": unique == 1 < tile.tokens, "all unique": 1 < unique == tile.tokens,
        "one row": job.height == 1 < job.width, "one column": job.width == 1 < job.height,
        "odd sides": job.height % 2 and job.width % 2,
        "threshold changed": before is not None and before.t2 != job.t2,
        "separators": np.array_equal(tile.positions, separated(p).positions),
        "previous matched": bool((window[1:] == np.arange(tile.tokens - 1)[:, None]).any()) and unique == 1,
    }
    extremes = _extremes(vectors, window, job)
    return (told.events + extremes + Counter(name for name, seen in happened.items() if seen),
            unique + tile.tokens + 1)


def _extremes(vectors: Bits, window: NDArray[np.int32], job: Job) -> Counter[str]:
    """What a tile shows of the ends of its dtype's arithmetic."""
    dtype, v = job.dtype, vectors.shape[1]
    norm, real = norms(vectors, dtype), ~is_zero(vectors, dtype).all(axis=1)
    seen = (window >= 0) & (job.mask >> np.arange(window.shape[1]) & 1 > 0) & (not job.dense)
    dots = dot(vectors[:, None], vectors[window], dtype)
    if dtype == "int8":
        return Counter({"-128": int((vectors == 0x80).sum()), "largest norm": int((norm == v << 14).sum()),
                        "largest negative dot": int((seen & (dots.view(np.int32) == -v * 128 * 127)).sum())})
    if dtype == "fp16":
        return Counter()
    finite = np.isfinite(numbers(vectors, dtype)).all(axis=1)
    sound = (norm > 0) & (norm < 0x7F800000)
    fair = seen & sound[:, None] & sound[window]
    infinite = fair & (multiply32(dots, dots & 0x7FFFFFFF) == 0x7F800000)
    return Counter({
        "norm vanishes": int((real & (norm == 0)).sum()), "norm overflows": int((finite & (norm == 0x7F800000)).sum()),
        "norm subnormal": int(((norm > 0) & (norm < 0x00800000)).sum()),
        "tie at infinity": int((infinite.sum(axis=1) > 1).sum()),
        "infinite against finite": int((infinite.any(axis=1) & (fair & ~infinite).any(axis=1)).sum())})


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
            seen, words = _events(case, before, p)
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
    """Cycles of each vector's slots: rounds with something to do, `pace` cycles each; 1 if it only passes."""
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
    return cycles


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
        assert got == want[:-1], f"cycles per vector: {got}, expected {want[:-1]}"
        if start:
            between = fetched[start] - fetched[start - 1]
            assert between == max(want[-1], config()["between"]), f"{between} cycles between two tiles"
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
    told = {"params": p.to_dict(), "tiles": 40, "latency": unit.latency, "between": unit.between,
            "pace": Matcher(p).pace if p.candidates else 1}
    result = simulate(unit, __name__, config=told, seed=seed)
    found = result["tests"]["gathers_as_the_model"]
    print(f"{name}: {result['compared']} words, {result['tests']['keeps_its_rate_and_latency']}, {found['events']}")
    wanted = EVENTS | EVENTS_OF[p.dtype] if p.candidates else WITHOUT_A_WINDOW
    wanted = wanted | {f"stalls: {stall}" for stall in STALLS}
    assert {event for event in wanted if not found["events"].get(event)} == set()
    assert found["compared"] > 40 * len(STALLS) * 10
