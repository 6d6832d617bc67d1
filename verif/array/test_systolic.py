# SPDX-License-Identifier: Apache-2.0
"""Systolic against golden/array/systolic.py: every psum bit, under stalls, resets and at its stated rate."""

import random
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.gen.configuration import load
from focus_rtl.golden.array.systolic import psums
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits, quantise
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.array.pe import Pe
from focus_rtl.hdl.array.systolic import Systolic
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall

SMALL = {"rows": 3, "cols": 2, "vector": 6, "matcher_lanes": 2, "m_tile": 16, "pe_depth": 1, "psum_banks": 2}
SHAPES: dict[str, dict[str, Any]] = {
    "regress": {}, "chained": SMALL,
    "wide": {**SMALL, "dtype": "bf16", "rows": 2, "cols": 4, "vector": 4, "pe_depth": 4},
    "whole": {**SMALL, "dtype": "bf16", "rows": 6, "cols": 3}, "row": {**SMALL, "dtype": "int8", "rows": 1, "cols": 6},
    "deep": {**SMALL, "dtype": "int8", "pe_depth": 3},
    "least": {**SMALL, "rows": 2, "cols": 1, "vector": 2, "pe_depth": 2, "matcher_lanes": 1},
}
SPECIAL: dict[str, Bits] = {
    "fp16": np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00,
                      0x7E00, 0xFD55], dtype=np.uint16),
    # Also neighbours of the square roots of the least and the largest binary32: products that vanish and overflow.
    "bf16": np.array([0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x3F80, 0xBF80, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80, 0x7FC0,
                      0xFF95, 0x1A00, 0x9A80, 0x1FFF, 0x5F80, 0xDF7F], dtype=np.uint16),
    "int8": np.array([0x00, 0x01, 0xFF, 0x7F, 0x80], dtype=np.uint8)}


def parameters(shape: str) -> Parameters:
    changed = SHAPES[shape] if shape in SHAPES else drawn(int(shape.removeprefix("random ")))
    return replace(load("regress").parameters, **changed)


def drawn(seed: int) -> dict[str, Any]:
    """Any size up to 12 PEs, R and C dividing V, of any data type and depth; m holds the least slice without a gap."""
    choice = np.random.default_rng(seed)
    vector = int(choice.choice((2, 3, 4, 6, 8, 12)))
    sides = [side for side in range(1, vector + 1) if vector % side == 0]
    rows, cols = choice.choice([(r, c) for r in sides for c in sides if r * c <= 12]).tolist()
    depth = int(choice.integers(1, 5))
    return {**SMALL, "dtype": str(choice.choice(DTYPES)), "rows": rows, "cols": cols, "vector": vector,
            "matcher_lanes": 1, "pe_depth": depth, "m_tile": max(8, 1 << (2 * rows * depth - 1).bit_length())}


def elements(choice: np.random.Generator, shape: tuple[int, ...], dtype: str, wild: bool) -> Bits:
    """Common numbers, or with `wild` one element in eight a special one (bf16: in four)."""
    plain = quantise(choice.standard_normal(shape) * (60 if dtype == "int8" else 1), dtype)
    odds = 1 / 4 if dtype == "bf16" else 1 / 8
    return np.where(choice.random(shape) < odds, choice.choice(SPECIAL[dtype], shape), plain) if wild else plain


def pack(words: NDArray[Any], bits: int) -> int:
    return sum(int(word) << (bits * place) for place, word in enumerate(words))


@dataclass
class Work:
    """Beats for the array's streams, and the psums that the model expects of them."""

    p: Parameters
    vectors: list[int] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    psums: list[int] = field(default_factory=list)

    def add(self, x: Bits, w: Bits, tag: int = 0) -> None:
        """A slice of `x` (p, V) through one column group `w` (V, C); all-padding row passes are not run."""
        p, rows, tag_bits = self.p, self.p.rows, layouts.TAG_BITS
        passes = next((n for n in range(1, p.row_passes) if not x[:, n * rows:].any() and not w[n * rows:].any()),
                      p.row_passes)
        for row in range(passes):
            part = slice(row * rows, (row + 1) * rows)
            self.weights += [pack(line, p.element_bits) for line in w[part][::-1]]
            for number, vector in enumerate(x[:, part]):
                last = number == len(x) - 1
                marks = (number == 0) | (row != 0) << 1 | (row != passes - 1) << 2 | tag << 3 | last << 3 + tag_bits
                self.vectors.append(pack(vector, p.element_bits) | marks << (p.element_bits * rows))
        results = psums(x, w, p.dtype)
        self.psums += [pack(line, 32) | (tag | (n == len(x) - 1) << tag_bits) << (32 * p.cols)
                       for n, line in enumerate(results)]


def random_work(p: Parameters, choice: np.random.Generator, slices: int, wild: bool) -> Work:
    work = Work(p)
    for number in range(slices):
        count = [1, p.m_tile][number] if number < 2 else int(choice.integers(1, p.m_tile + 1))
        x = elements(choice, (count, p.vector), p.dtype, wild)
        w = elements(choice, (p.vector, p.cols), p.dtype, wild)
        filled = int(choice.integers(1, p.vector + 1)) if choice.random() < 0.3 else p.vector
        x[:, filled:] = 0
        w[filled:] = 0
        work.add(x, w, int(choice.integers(layouts.ORDERS)))
    return work


def offer(bench: Bench, work: Work, stall: Stall) -> None:
    bench.source("vectors", work.vectors, stall)
    bench.source("weights", work.weights, stall)
    bench.sink("psums", len(work.psums))


def count_events(bench: Bench, names: tuple[str, ...]) -> dict[str, int]:
    events = dict.fromkeys(names, 0)

    def watch(_cycle: int) -> None:
        for name in names:
            events[name] += bench.read(name)
    bench.hooks.append(watch)
    return events


@bench_test
async def equals_the_model(dut: Any) -> dict[str, Any]:
    p, compared = parameters(config()["shape"]), 0
    choice, bench = np.random.default_rng(seed()), Bench(dut, seed())
    # With pe_depth = 1 weights are never in place before the chain's psums are back.
    names = ("wait_weights", *(("wait_chain",) if p.row_passes > 1 and p.pe_depth > 1 else ()))
    events = count_events(bench, names)
    await bench.reset()
    for stall in (ALWAYS, Stall(0.4), Stall(0.1, burst=30)):
        for wild in (False, True):
            work = random_work(p, choice, config()["slices"], wild)
            offer(bench, work, stall)
            await bench.run()
            assert bench.sinks["psums"].words == work.psums
            compared += len(work.psums)
    assert all(events.values()), f"an event never happened: {events}"
    return {"compared": compared, "events": events}


@bench_test
async def keeps_its_latency(dut: Any) -> dict[str, Any]:
    p, bench = parameters(config()["shape"]), Bench(dut, seed())
    x = elements(np.random.default_rng(seed()), (1, p.vector), p.dtype, False)
    x[:, p.rows:] = 0
    w = elements(np.random.default_rng(seed() + 1), (p.vector, p.cols), p.dtype, False)
    w[p.rows:] = 0
    work = Work(p)
    work.add(x, w)
    await bench.reset()
    offer(bench, work, ALWAYS)
    await bench.run()
    assert bench.sinks["psums"].words == work.psums
    assert bench.sinks["psums"].cycles[0] - bench.sources["vectors"].cycles[0] == Systolic(p).latency
    return {"compared": 1}


@bench_test
async def leaves_no_gap_between_passes(dut: Any) -> dict[str, Any]:
    """At the smallest p that its docstring promises to stream without a gap, it does."""
    p, bench = parameters(config()["shape"]), Bench(dut, seed())
    reach = p.rows * p.pe_depth
    count = reach if p.row_passes > 1 else reach - p.pe_depth + 1
    assert count <= p.m_tile
    choice, work = np.random.default_rng(seed()), Work(p)
    for _ in range(40):
        x, w = (elements(choice, shape, p.dtype, False) for shape in ((count, p.vector), (p.vector, p.cols)))
        work.add(x, w)
    await bench.reset()
    offer(bench, work, ALWAYS)
    bench.sources["weights"].feed([0] * p.rows)  # as if a further pass followed
    await bench.run()
    assert bench.sinks["psums"].words == work.psums
    cycles = bench.sources["vectors"].cycles
    assert cycles[-1] - cycles[0] == len(cycles) - 1, "passes do not follow each other without a gap"
    return {"compared": len(work.psums)}


@bench_test
async def forgets_at_reset(dut: Any) -> dict[str, Any]:
    p, bench, compared = parameters(config()["shape"]), Bench(dut, seed()), 0
    choice, moments = np.random.default_rng(seed()), random.Random(seed())
    await bench.reset()
    for _ in range(8):
        offer(bench, random_work(p, choice, 6, True), Stall(0.2))
        bench.sinks["psums"].expected = None
        await bench.run(limit=moments.randint(5, 120))
        await bench.reset(1)
        work = random_work(p, choice, 4, True)
        offer(bench, work, Stall(0.2))
        await bench.run()
        assert bench.sinks["psums"].words == work.psums
        compared += len(work.psums)
    return {"compared": compared}


@pytest.mark.parametrize("shape", SHAPES)
def test_systolic(shape: str, seed: int) -> None:
    result = simulate(Systolic(parameters(shape)), __name__, config={"shape": shape, "slices": 12}, seed=seed)
    assert len(result["tests"]) == 4


def test_random_systolic(seed: int) -> None:
    shape = f"random {seed}"
    print(drawn(seed))
    result = simulate(Systolic(parameters(shape)), __name__, config={"shape": shape, "slices": 8}, seed=seed)
    assert len(result["tests"]) == 4


@pytest.mark.parametrize("depth", [0, -1])
def test_pe_refuses_depth(depth: int) -> None:
    with pytest.raises(ValueError, match=f"depth {depth}: must be at least 1"):
        Pe(depth)
