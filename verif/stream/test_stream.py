# SPDX-License-Identifier: Apache-2.0
"""Skid, Fifo, Fork: nothing lost, doubled, reordered or late, whatever the stalls; latency, rate as stated."""

import random
from typing import Any

import pytest

from focus_rtl.hdl.stream.fifo import Fifo
from focus_rtl.hdl.stream.fork import Fork
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, NEVER, Bench, Stall
from focus_rtl.verif.stream.units import BUFFERS, LATENCY, LINES, StreamUnits, width

STALLS = {"never": ALWAYS, "often": Stall(0.5), "bursts": Stall(0.1, burst=12)}
LAZY = {"lazy": Stall(0.2, lazy=True)}
WORDS = 300


def _words(line: str, count: int, choice: random.Random) -> list[int]:
    return [choice.getrandbits(width(line)) for _ in range(count)]


def _connect(bench: Bench, words: dict[str, list[int]], idle: Stall, pressure: Stall) -> None:
    for line, outputs in LINES.items():
        bench.source(f"{line}_i", words[line], idle)
        for output in outputs:
            bench.sink(output, len(words[line]), pressure)


def _compare(bench: Bench, words: dict[str, list[int]]) -> int:
    compared = 0
    for line, outputs in LINES.items():
        for output in outputs:
            assert bench.sinks[output].words == words[line], f"{output}: other words than went in"
            compared += len(words[line])
    return compared


@bench_test
async def passes_all_under_stalls(dut: Any) -> dict[str, Any]:
    bench, choice, compared = Bench(dut, seed()), random.Random(seed()), 0
    for idle in STALLS.values():
        for pressure in (STALLS | LAZY).values():
            words = {line: _words(line, config()["words"], choice) for line in LINES}
            await bench.reset()
            _connect(bench, words, idle, pressure)
            await bench.run()
            compared += _compare(bench, words)
    return {"compared": compared}


@bench_test
async def keeps_latency_and_throughput(dut: Any) -> dict[str, Any]:
    bench, choice = Bench(dut, seed()), random.Random(seed())
    words = {line: _words(line, 50, choice) for line in LINES}
    await bench.reset()
    _connect(bench, words, ALWAYS, ALWAYS)
    await bench.run()
    for line, outputs in LINES.items():
        first, sent = bench.sources[f"{line}_i"].cycles[0], bench.sources[f"{line}_i"].cycles
        assert sent == list(range(first, first + 50)), f"{line} does not take a word every cycle"
        for output in outputs:
            measured = bench.sinks[output].cycles[0] - first
            assert measured == LATENCY[line], f"{output}: latency {measured}, stated {LATENCY[line]}"
    return {"compared": _compare(bench, words)}


@bench_test
async def holds_what_it_states(dut: Any) -> dict[str, Any]:
    """With no output ever ready, a line takes as many words as it states, and gives them back."""
    bench, choice = Bench(dut, seed(), patience=30), random.Random(seed())
    words = {line: _words(line, 40, choice) for line in LINES}
    await bench.reset()
    _connect(bench, words, ALWAYS, NEVER)
    await bench.run(limit=25)
    for line in LINES:
        depth = int(line[-1]) + 1 if line in BUFFERS else 2  # a Fifo's output holds one more
        assert bench.sources[f"{line}_i"].sent == depth, f"{line} holds {bench.sources[f'{line}_i'].sent}"
    for sink in bench.sinks.values():
        sink.stall = ALWAYS
    await bench.run()
    return {"compared": _compare(bench, words)}


@bench_test
async def forgets_at_reset(dut: Any) -> dict[str, Any]:
    bench, choice, compared = Bench(dut, seed()), random.Random(seed()), 0
    for cycles in range(1, 25, 3):
        _connect(bench, {line: _words(line, 100, choice) for line in LINES}, Stall(0.2), Stall(0.6))
        await bench.run(limit=cycles)
        await bench.reset(1)
        words = {line: _words(line, 20, choice) for line in LINES}
        _connect(bench, words, ALWAYS, STALLS["often"])
        await bench.run()
        compared += _compare(bench, words)
    return {"compared": compared}


def test_streams(seed: int) -> None:
    result = simulate(StreamUnits(), __name__, config={"words": WORDS}, seed=seed)
    outputs = sum(len(some) for some in LINES.values())
    assert {name: test["compared"] for name, test in result["tests"].items()} == {
        "passes_all_under_stalls": 3 * 4 * WORDS * outputs, "keeps_latency_and_throughput": 50 * outputs,
        "holds_what_it_states": 40 * outputs, "forgets_at_reset": 8 * 20 * outputs}


@pytest.mark.parametrize("depth", [1, 0, -3])
def test_fifo_refuses_depth(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"a Fifo of depth {depth}: must be at least 2"):
        Fifo(8, depth)


@pytest.mark.parametrize("ways", [0, -1])
def test_fork_refuses_ways(ways: int) -> None:
    with pytest.raises(ValueError, match=rf"{ways} outputs: must be at least 1"):
        Fork(8, ways)
