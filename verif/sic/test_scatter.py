# SPDX-License-Identifier: Apache-2.0
"""Scatter, with the buffers around it, against golden/sic/scatter.py: every element of every output vector."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.gen.configuration import load
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.scatter import leave, scatter
from focus_rtl.hdl import layouts
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall
from focus_rtl.verif.sic.scatter_path import EVENTS, ScatterPath

SMALL = {"rows": 4, "cols": 2, "vector": 8, "matcher_lanes": 8, "m_tile": 16, "pe_depth": 3}
SHAPES: dict[str, dict[str, Any]] = {
    "one lane": {**SMALL, "dtype": "bf16", "scatter_lanes": 1, "psum_banks": 1, "scatter_lookahead": 2},
    "two lanes": {**SMALL, "dtype": "int8", "scatter_lanes": 2, "psum_banks": 2, "cols": 8},
    "four lanes": {**SMALL, "scatter_lanes": 4, "psum_banks": 4, "rows": 3, "cols": 2, "vector": 6, "matcher_lanes": 2},
    # Two tokens a lane: a token comes again while its sum is in the adder, and the whole ring is in the queues.
    "tiny tile": {"rows": 1, "cols": 1, "vector": 2, "matcher_lanes": 2, "m_tile": 8, "scatter_lanes": 4,
                  "psum_banks": 4, "scatter_lookahead": 16, "pe_depth": 4},
}


def parameters(shape: str) -> Parameters:
    return replace(load("regress").parameters, **SHAPES[shape])


def pack(words: NDArray[Any], bits: int) -> int:
    return sum(int(word) << (bits * place) for place, word in enumerate(words))


def random_map(choice: np.random.Generator, tokens: int, count: int) -> NDArray[np.int64]:
    """As gather makes them (new indices ascend, a match goes back a little), or anything below `count`."""
    if choice.random() < 0.3:
        return choice.integers(0, count, tokens)
    back = choice.integers(0, min(count, 4), tokens)
    return np.maximum(np.minimum(np.arange(tokens), count - 1) - back, 0)


SPECIAL = {
    # Zeros, infinities, NaN, a subnormal, and what narrowing rounds up to infinity.
    "fp16": np.array([0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 1, 0x477FF000], np.uint32),
    # ... and what it rounds to a subnormal bfloat16, to zero, and half to even.
    "bf16": np.array([0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 1, 0x7F7F8000, 0xFF7FFFFF, 0x00018000,
                      0x807F8000, 0x3F808000, 0xBF818000], np.uint32),
    "int8": np.array([0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000], np.uint32)}


def random_psums(choice: np.random.Generator, shape: tuple[int, int], dtype: str) -> NDArray[np.uint32]:
    """Common ones and, one in twenty, special ones; int32 also of any size, so that sums wrap."""
    plain = choice.standard_normal(shape).astype(np.float32).view(np.uint32)
    if dtype == "int8":
        plain = (choice.integers(-(1 << 31), 1 << 31, shape) >> choice.integers(0, 20, shape)).astype(np.int32).view(
            np.uint32)
    return np.where(choice.random(shape) < 0.05, choice.choice(SPECIAL[dtype], shape), plain)


@dataclass
class Work:
    """Beats of every stream, the psums of each order apart, and the vectors that the model expects.

    before : orders since the last reset, which the tags go on from.
    """

    p: Parameters
    before: int = 0
    tiles: list[int] = field(default_factory=list)
    slices: list[int] = field(default_factory=list)
    maps: list[int] = field(default_factory=list)
    orders: list[int] = field(default_factory=list)
    psums: list[list[int]] = field(default_factory=list)
    preloads: list[int] = field(default_factory=list)
    preload: bool = False
    out_orders: list[int] = field(default_factory=list)
    vectors: list[int] = field(default_factory=list)

    def add(self, choice: np.random.Generator, tokens: int, dense: bool, bad_index: bool = False,
            preload: bool = False) -> None:
        """A tile of random slices and output vectors; with `bad_index` some indices lie beyond the slice.  With
        `preload` accumulators are preloaded, and else by chance.
        """
        p, self.preload = self.p, preload or bool(choice.random() < 0.3)
        slices, vectors = int(choice.integers(1, 4)), int(choice.integers(1, 3))
        last_cols = int(choice.integers(1, p.col_passes + 1))
        lanes = (last_cols - 1) * p.cols + int(choice.integers(1, p.cols + 1))
        self.tiles.append(layouts.tile_order(p).const({
            "tokens": tokens, "slices": slices, "last_rows": 1, "vectors": vectors, "last_cols": last_cols,
            "last_lanes": lanes, "height": 1, "width": 1, "t2": 0, "mask": 0, "dense": int(dense),
            "preload": int(self.preload)}).as_value().value)
        for vector in range(vectors):
            cols = last_cols if vector == vectors - 1 else p.col_passes
            valid = lanes if vector == vectors - 1 else p.vector
            self.out_orders.append(layouts.output_order(p).const(
                {"tokens": tokens, "cols": cols, "lanes": valid}).as_value().value)
            acc = self._start(choice, tokens, cols)
            begun = False
            for piece in range(slices):
                computed = acc[:, :cols * p.cols]
                if choice.random() < 0.2:
                    self._empty(tokens, cols, not begun, piece == slices - 1, dense)
                    continue
                computed[:] = self._slice(choice, computed, not begun, piece == slices - 1, dense, bad_index)
                begun = True
            out = acc if p.dtype == "int8" else leave(acc, p.dtype)  # int32 leaves through the output stage
            out[:, valid:] = 0
            self.vectors += [pack(row, p.leave_bits) for row in out]

    def _start(self, choice: np.random.Generator, tokens: int, cols: int) -> NDArray[np.uint32]:
        """The accumulators before the first slice; a beat of `preloads` holds S tokens, junk behind the last one."""
        p = self.p
        if not self.preload:
            return np.zeros((tokens, p.vector), np.uint32)
        acc = random_psums(choice, (tokens, p.vector), p.dtype)
        junk = choice.integers(0, 1 << 32, (-tokens % p.scatter_lanes, p.vector), np.uint32)
        padded = np.concatenate((acc, junk)).reshape(-1, p.scatter_lanes, p.vector)
        for col in range(cols):
            self.preloads += [pack(row.reshape(-1), 32) for row in padded[:, :, col * p.cols:(col + 1) * p.cols]]
        return acc

    def _empty(self, tokens: int, cols: int, first: bool, last: bool, dense: bool) -> None:
        """A slice without vectors: no map, no psums, and orders only where the sums are to leave."""
        self.slices.append(1)
        for col in range(cols if last else 0):
            self._order(tokens, 0, col, cols, first, last, dense)
            self.psums.append([])

    def _order(self, tokens: int, count: int, col: int, cols: int, first: bool, last: bool, dense: bool) -> int:
        """Returns the order's tag."""
        tag = (self.before + len(self.orders)) % layouts.ORDERS
        self.orders.append(layouts.scatter_order(self.p).const({
            "tokens": tokens, "count": count, "tag": tag, "col": col, "first": int(first), "last": int(last),
            "map_done": int(col == cols - 1), "tile_done": int(last and col == cols - 1), "dense": int(dense),
            "preload": int(self.preload),
        }).as_value().value)
        return tag

    def _slice(self, choice: np.random.Generator, acc: NDArray[np.uint32], first: bool, last: bool, dense: bool,
               bad_index: bool) -> NDArray[np.uint32]:
        p, (tokens, width) = self.p, acc.shape
        count = tokens if dense else int(choice.integers(1, tokens + 1))
        index = np.arange(tokens) if dense else random_map(choice, tokens, count)
        if bad_index:
            index = np.where(choice.random(tokens) < 0.3, p.m_tile - 1, index)
        if not dense:
            padded = np.append(index, choice.integers(0, p.m_tile, -tokens % p.scatter_lanes))
            self.maps += [pack(word, p.index_bits) for word in padded.reshape(-1, p.scatter_lanes)]
        values = random_psums(choice, (count, width), p.dtype)
        self.slices.append(0)
        for col in range(width // p.cols):
            part = values[:, col * p.cols:(col + 1) * p.cols]
            tag = self._order(tokens, count, col, width // p.cols, first, last, dense)
            self.psums.append([pack(row, 32) | (tag | (n == count - 1) << layouts.TAG_BITS) << (32 * p.cols)
                               for n, row in enumerate(part)])
        return scatter(acc, values, index, p.dtype)


def offer(bench: Bench, work: Work, stalls: dict[str, Stall]) -> None:
    """Every stream; an order's psums may come as soon as the order is taken, never before."""
    for name in ("tiles", "maps", "slices", "orders", "preloads", "out_orders"):
        bench.source(name, getattr(work, name), stalls.get(name, ALWAYS))
    psums, orders = bench.source("psums", [], stalls.get("psums", ALWAYS)), bench.sources["orders"]
    bench.sink("vectors", len(work.vectors), stalls.get("vectors", ALWAYS))
    fed = 0

    def follow(_cycle: int) -> None:
        nonlocal fed
        while fed < orders.sent and orders is bench.sources["orders"]:
            psums.feed(work.psums[fed])
            fed += 1
    bench.hooks.append(follow)


def count_events(bench: Bench) -> dict[str, int]:
    events = dict.fromkeys(EVENTS, 0)

    def watch(_cycle: int) -> None:
        for name in EVENTS:
            events[name] += bench.read(name)
    bench.hooks.append(watch)
    return events


@bench_test
async def equals_the_model(dut: Any) -> dict[str, Any]:
    p, bench, compared = parameters(config()["shape"]), Bench(dut, seed()), 0
    choice, events = np.random.default_rng(seed()), count_events(bench)
    busy, work = Stall(0.4, burst=4), Work(p)
    await bench.reset()
    for stalls in ({}, {"psums": busy}, {"vectors": Stall(0.8, burst=60)},
                   {"maps": busy, "slices": busy, "orders": busy, "out_orders": busy},
                   {"preloads": busy},
                   {"tiles": busy, "maps": busy, "orders": busy, "psums": busy, "vectors": busy}):
        work = Work(p, work.before + len(work.orders))
        for number in range(config()["tiles"]):
            tokens = [1, p.m_tile, 3][number] if number < 3 else int(choice.integers(1, p.m_tile + 1))
            work.add(choice, tokens, dense=number % 4 == 1, preload=number % 4 == 2)
        offer(bench, work, stalls)
        await bench.run()
        assert bench.sinks["vectors"].words == work.vectors
        compared += len(work.vectors)
    expected = {"chases", "hazards", "preload_waits", "wait_tile", *(["conflicts"] if p.scatter_lanes > 1 else [])}
    seldom = {"conflicts"} if p.m_tile == 8 else set()  # among a handful of psums
    assert {name for name in EVENTS if events[name]} - seldom == expected - seldom, f"not {expected}: {events}"
    return {"compared": compared, "events": events}


@bench_test
async def reads_a_bad_index_as_zero(dut: Any) -> dict[str, Any]:
    p, bench = parameters(config()["shape"]), Bench(dut, seed())
    choice, events, work = np.random.default_rng(seed()), count_events(bench), Work(p)
    await bench.reset()
    for _ in range(6):
        work.add(choice, p.m_tile - 1, dense=False, bad_index=True)
    offer(bench, work, {})
    await bench.run()
    assert bench.sinks["vectors"].words == work.vectors
    assert events["bad_index"] > 0
    return {"compared": len(work.vectors)}


@bench_test
async def forgets_at_reset(dut: Any) -> dict[str, Any]:
    p, bench, compared = parameters(config()["shape"]), Bench(dut, seed()), 0
    choice, work = np.random.default_rng(seed()), Work(p)
    await bench.reset()
    for _ in range(6):
        work = Work(p, work.before + len(work.orders))  # without a reset the tags go on
        work.add(choice, p.m_tile, dense=False)
        offer(bench, work, {})
        bench.sinks["vectors"].expected = None
        await bench.run(limit=int(choice.integers(5, 60)))
        await bench.reset(1)
        work = Work(p)
        work.add(choice, p.m_tile - 3, dense=False)
        offer(bench, work, {"psums": Stall(0.2)})
        await bench.run()
        assert bench.sinks["vectors"].words == work.vectors
        compared += len(work.vectors)
    return {"compared": compared}


@pytest.mark.parametrize("shape", SHAPES)
def test_scatter(shape: str, seed: int) -> None:
    result = simulate(ScatterPath(parameters(shape)), __name__, config={"shape": shape, "tiles": 12}, seed=seed)
    assert len(result["tests"]) == 3
