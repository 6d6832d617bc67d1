# SPDX-License-Identifier: Apache-2.0
"""Positions: every position once per output vector, told or decoded, whatever the tiles, the offsets and the stalls."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from focus_rtl.golden.job import Grid, Tile, tiles_of
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sec.offsets import ESCAPE, encode
from focus_rtl.golden.sec.places import Offsets
from focus_rtl.hdl import layouts
from focus_rtl.hdl.sec.positions import Positions
from focus_rtl.verif.bench.packing import pack
from focus_rtl.verif.bench.prunings import offset_beats
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall
from focus_rtl.verif.golden.cases import make_params, random_tile
from focus_rtl.verif.sec.test_offsets import steps_of

UNITS: dict[str, dict[str, Any]] = {
    "narrow": {"m_tile": 8, "grid_max": (6, 4, 3), "psum_banks": 4, "offset_bits": 1},
    "wide": {"m_tile": 32, "grid_max": (3, 6, 6), "offset_bits": 4}}
INPUTS, OUTPUT = ("tiles", "direct", "retained"), "positions"
STALLS: dict[str, dict[str, Stall]] = {
    "never": {}, **{f"{name} slow": {name: Stall(0.5, burst=12)} for name in (*INPUTS, OUTPUT)},
    "all": dict.fromkeys((*INPUTS, OUTPUT), Stall(0.4, burst=3)), "lazy": {OUTPUT: Stall(0.2, lazy=True)}}
KINDS = ("direct", "sound", "too few", "none", "too many", "far too many", "beyond", "escapes behind", "text only",
         "text between", "first tile text")
"""What a job's positions can be like."""

WRONG = {"too few", "none", "too many", "far too many", "beyond"}
EVENTS = {*KINDS, "one vector", "several vectors", "full tile", "several tiles", "larger than the ring"}


def tiles_told(rng: np.random.Generator, params: Parameters, kind: str) -> tuple[list[int], Offsets]:
    """Tokens of each tile, and offsets of that kind."""
    frames, height, width = params.grid_max
    grid = Grid(frames if rng.random() < 0.5 else 1, height, width)
    retained = rng.random(grid.tokens) < rng.choice((0.2, 0.6, 1.0))
    retained[int(rng.integers(grid.tokens))] = True
    if kind == "beyond":
        retained[-1] = True  # so that one offset more is behind the last frame
    sizes = [tile.tokens for tile in tiles_of(grid, params.m_tile, retained)]
    text = [False] * len(sizes)
    symbols = encode(retained, params.offset_bits)
    if kind == "too few":
        cut = np.flatnonzero(symbols != ESCAPE)[-1]
        symbols = symbols[:cut] if cut else np.array((ESCAPE,), np.uint16)
    if kind == "none":
        symbols = np.array((ESCAPE,), np.uint16)
    more = {"too many": 1, "far too many": 2 * params.m_tile, "escapes behind": 2}.get(kind, 0)
    symbols = np.append(symbols, np.full(more, ESCAPE if kind == "escapes behind" else 1, np.uint16))
    if kind == "beyond":
        symbols = np.append(symbols, np.uint16(1))
        sizes[-1:] = [sizes[-1], 1] if sizes[-1] == params.m_tile else [sizes[-1] + 1]
        text = [False] * len(sizes)
    if kind == "text only":
        text = [True] * len(sizes)
    if kind in ("text between", "first tile text"):
        place = 0 if kind == "first tile text" else 1
        sizes.insert(place, int(rng.integers(1, params.m_tile + 1)))
        text.insert(place, True)
    return sizes, Offsets(symbols, params.offset_bits, grid.strides, tuple(text))


@dataclass
class Work:
    """Words of every stream of some jobs, and how often each named case is among them."""

    params: Parameters
    words: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in (*INPUTS, OUTPUT)})
    events: Counter[str] = field(default_factory=Counter)
    wrong: bool = False
    steps: int = 0

    def add(self, rng: np.random.Generator, kind: str, vectors: int) -> None:
        """A job with that many output vectors."""
        if kind == "direct":
            tiles = [random_tile(rng, int(rng.integers(1, self.params.m_tile + 1)), 3, 3) for _ in range(2)]
            self._orders(tiles, [False] * 2, vectors, None)
            places = [word for tile in tiles for word in self._words(tile) * vectors]
            self.words["direct"] += places
            self.words[OUTPUT] += places
        else:
            sizes, offsets = tiles_told(rng, self.params, kind)
            assert offsets.wrong(sizes) == (kind in WRONG)
            tiles = self.add_offsets(sizes, offsets, vectors)
        self.events += Counter({
            kind: 1, "one vector": vectors == 1, "several vectors": vectors > 1, "several tiles": len(tiles) > 1,
            "full tile": sum(tile.tokens == self.params.m_tile for tile in tiles),
            "larger than the ring": sum(tile.tokens for tile in tiles) > 2 * self.params.m_tile})

    def add_offsets(self, sizes: list[int], offsets: Offsets, vectors: int) -> list[Tile]:
        """A job with these offsets and so many tokens in each tile; returns the tiles."""
        tiles = [Tile(places) for places in offsets.places(sizes)]
        self.wrong |= offsets.wrong(sizes)
        self.steps = steps_of(offsets.symbols[:np.flatnonzero(offsets.symbols)[0] + 1], offsets.bits,
                              offsets.strides) if offsets.symbols.any() else 0  # to the first position
        self._orders(tiles, offsets.text, vectors, offsets)
        self.words["retained"] += offset_beats(self.params, offsets.symbols[:offsets.taken])
        self.words[OUTPUT] += [word for tile in tiles for word in self._words(tile) * vectors]
        return tiles

    def _orders(self, tiles: Sequence[Tile], text: Sequence[bool], vectors: int, offsets: Offsets | None) -> None:
        video = {"frames": 0, "row_stride": 0, "frame_stride": 0, "height": 0, "width": 0}
        if offsets:
            told = offsets.strides
            video = {"frames": told.frames, "row_stride": told.row, "frame_stride": told.frame, "height": told.height,
                     "width": told.width}
        self.words["tiles"] += [pack(layouts.place_order(self.params), tokens=tile.tokens, text=int(each),
                                     vectors=vectors, decoded=int(offsets is not None), last=int(tile is tiles[-1]),
                                     **video) for tile, each in zip(tiles, text, strict=True)]

    def _words(self, tile: Tile) -> list[int]:
        return [pack(layouts.position(self.params), image=image, frame=frame, row=row, column=column)
                for image, frame, row, column in tile.positions.tolist()]


async def compare(bench: Bench, work: Work, stalls: dict[str, Stall]) -> int:
    """Run to the end; every position, and whether the offsets were told to be wrong."""
    for name in INPUTS:
        bench.source(name, work.words[name], stalls.get(name, ALWAYS))
    bench.sink(OUTPUT, len(work.words[OUTPUT]), stalls.get(OUTPUT, ALWAYS))
    bad: list[int] = []
    bench.hooks[:] = [lambda cycle: bad.append(cycle) if bench.read("bad_offset") else None]
    await bench.run()
    got, want = bench.sinks[OUTPUT].words, work.words[OUTPUT]
    first = next((number for number, pair in enumerate(zip(got, want, strict=True)) if pair[0] != pair[1]), None)
    assert first is None, f"position {first}: got {got[first]:#x}, expected {want[first]:#x}"
    assert bool(bad) == work.wrong, f"offsets told to be wrong: {bool(bad)}, they are: {work.wrong}"
    assert not bench.read("busy"), "the offsets' end was not seen"
    return len(got)


@bench_test
async def equals_the_model(dut: Any) -> dict[str, Any]:
    """Each kind of job alone, and all of them back to back, under every stall."""
    params, bench, rng = make_params(**UNITS[config()["unit"]]), Bench(dut, seed()), np.random.default_rng(seed())
    events: Counter[str] = Counter()
    compared = 0
    await bench.reset()
    for stalls in STALLS.values():
        for kinds in (*((kind,) for kind in KINDS), rng.permutation(KINDS)):
            work = Work(params)
            for kind in kinds:
                work.add(rng, str(kind), int(rng.choice((1, 2, 3))))
            compared += await compare(bench, work, stalls)
            events += work.events
    return {"compared": compared, "events": dict(events)}


@bench_test
async def keeps_latency_and_throughput(dut: Any) -> dict[str, Any]:
    """A position per cycle once they are decoded, without a gap between passes and tiles."""
    params, bench, rng = make_params(**UNITS[config()["unit"]]), Bench(dut, seed()), np.random.default_rng(seed())
    await bench.reset()
    compared = 0
    for kind in ("direct", "sound"):
        work = Work(params)
        work.add(rng, kind, 3)
        compared += await compare(bench, work, {})
        cycles, sources = bench.sinks[OUTPUT].cycles, bench.sources
        tokens = layouts.place_order(params).from_bits(work.words["tiles"][0])["tokens"]
        if kind == "direct":
            assert cycles[0] - sources["direct"].cycles[0] == 2
        else:  # a tile's first pass goes as its offsets come
            assert cycles[0] - sources["retained"].cycles[0] == 4 + work.steps
            cycles = cycles[tokens:3 * tokens]
        assert cycles == list(range(cycles[0], cycles[0] + len(cycles))), f"{kind}: a gap"
    return {"compared": compared}


@bench_test
async def drops_what_fills_ring_and_decoder(dut: Any) -> dict[str, Any]:
    """Positions are taken so slowly that everything is decoded, as far as there is room, when the last tile ends."""
    params, bench, rng = make_params(**UNITS[config()["unit"]]), Bench(dut, seed()), np.random.default_rng(seed())
    compared = 0
    await bench.reset()
    for surplus in range(params.m_tile - 2, params.m_tile + 5):
        work = Work(params)
        symbols = np.ones(4 + surplus, np.uint16)
        work.add_offsets([4], Offsets(symbols, params.offset_bits, Grid(*params.grid_max).strides, (False,)), 2)
        work.add(rng, "sound", 2)
        compared += await compare(bench, work, {OUTPUT: Stall(1.0, burst=40)})
    return {"compared": compared}


@bench_test
async def forgets_at_reset(dut: Any) -> dict[str, Any]:
    params, bench, rng = make_params(**UNITS[config()["unit"]]), Bench(dut, seed()), np.random.default_rng(seed())
    compared = 0
    for cycles in range(3, 150, 11):
        work = Work(params)
        for kind in ("sound", "far too many", "direct"):
            work.add(rng, kind, 2)
        for name in INPUTS:
            bench.source(name, work.words[name])
        bench.sink(OUTPUT, None, Stall(0.3))
        bench.hooks.clear()
        await bench.run(limit=cycles)
        await bench.reset(1)
        work = Work(params)
        work.add(rng, "sound", 2)
        compared += await compare(bench, work, {OUTPUT: Stall(0.3)})
    return {"compared": compared}


@pytest.mark.parametrize("name", UNITS)
def test_positions(name: str, seed: int) -> None:
    result = simulate(Positions(make_params(**UNITS[name])), __name__, config={"unit": name}, seed=seed)
    events = result["tests"]["equals_the_model"]["events"]
    print(f"{name}: {result['compared']} words, {events}")
    assert {event for event in EVENTS if not events.get(event)} == set()
    assert len(result["tests"]) == 4
