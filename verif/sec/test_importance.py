# SPDX-License-Identifier: Apache-2.0
"""Importance: one maximum per token as golden `importance` has it, whatever the order, the sizes and the stalls."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.golden.sec.importance import importance
from focus_rtl.golden.sec.sec import sweeps
from focus_rtl.hdl.sec import layouts
from focus_rtl.hdl.sec.importance import Importance
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall
from focus_rtl.verif.sec.cases import KINDS, beats, rows_of

SIZES = {"narrow": (21, 2), "wide": (75, 8)}
STALLS = {"never": ALWAYS, "often": Stall(0.5), "bursts": Stall(0.1, burst=15)}
SCORE = layouts.SCORE_BITS


def order_of(unit: Importance, rows: NDArray[np.uint16], spatial: bool) -> int:
    word: int = layouts.fill_order(unit.tokens_max).const({
        "tokens": rows.shape[1], "sweeps": sweeps(len(rows), unit.lanes, spatial), "spatial": spatial}).as_value().value
    return word


def offer(bench: Bench, unit: Importance, rows: NDArray[np.uint16], spatial: bool, stall: Stall) -> int:
    """Put an order and its beats before the device; returns the number of beats."""
    words = list(beats(np.random.default_rng(seed()), rows, unit.lanes, spatial))
    bench.source("orders", [order_of(unit, rows, spatial)])
    bench.source("scores", words, stall)
    return len(words)


async def stored(bench: Bench, unit: Importance, tokens: int) -> list[int]:
    """Run until the scores are complete, read all words, release."""
    await bench.run(until=lambda: bench.read("full") == 1)
    assert all(source.done for source in bench.sources.values()), "full before every beat was taken"
    found: list[int] = []
    bench.write("r_en", 1)
    for word in range(-(-tokens // unit.lanes)):
        bench.write("r_word", word)
        await bench.edge()
        bits = bench.read("r_data")
        found += [bits >> SCORE * lane & (1 << SCORE) - 1 for lane in range(unit.lanes)]
    bench.write("r_en", 0)
    bench.write("release", 1)
    await bench.edge()
    bench.write("release", 0)
    return found


def sizes_of(rng: np.random.Generator, unit: Importance, number: int) -> tuple[int, int, str]:
    """Rows, tokens and kind: one token, the most there can be, whole words, and anything; one row, few, many."""
    tokens = (1, unit.tokens_max, 2 * unit.lanes, int(rng.integers(1, unit.tokens_max + 1)))[number % 4]
    rows = (1, 2, int(rng.integers(3, 12)), unit.lanes, unit.lanes + 1)[number % 5]
    return rows, tokens, KINDS[number % len(KINDS)]


@bench_test
async def keeps_the_maxima(dut: Any) -> dict[str, Any]:
    unit, bench, rng = Importance(*config()["size"]), Bench(dut, seed()), np.random.default_rng(seed())
    events: Counter[str] = Counter()
    compared = number = 0
    bench.write("release", 0)
    await bench.reset()
    for name, stall in STALLS.items():
        for spatial in (False, True):
            for _ in range(config()["orders"]):
                rows, tokens, kind = sizes_of(rng, unit, number)
                data = rows_of(rng, kind, rows, tokens).rows
                offer(bench, unit, data, spatial, stall)
                want = importance(data).tolist() + [0] * (-tokens % unit.lanes)
                found = await stored(bench, unit, tokens)
                assert found == want, f"{kind}, {rows} rows of {tokens} tokens, spatial {spatial}, stalls {name}"
                compared += len(found)
                events += Counter({
                    kind: 1, f"spatial {spatial}": 1, "one token": tokens == 1,
                    "most tokens": tokens == unit.tokens_max, "last word in part": tokens % unit.lanes > 0,
                    "lanes without a row": bool(spatial and rows % unit.lanes)})
                number += 1
    return {"compared": compared, "events": dict(events)}


@bench_test
async def keeps_latency_and_throughput(dut: Any) -> dict[str, Any]:
    """No beat waits where there are at least four words, and the latency is the stated one."""
    unit, bench, rng = Importance(*config()["size"]), Bench(dut, seed()), np.random.default_rng(seed())
    compared = 0
    bench.write("release", 0)
    await bench.reset()
    for spatial in (False, True):
        tokens = 4 * unit.lanes
        data = rows_of(rng, "softmax", 9, tokens).rows
        count = offer(bench, unit, data, spatial, ALWAYS)
        found = await stored(bench, unit, tokens)
        taken = bench.sources["scores"].cycles
        assert taken == list(range(taken[0], taken[0] + count)), "a beat waited"
        # `full` was seen before the clock of its cycle was counted; then every word was read, and released.
        full = bench.cycle - tokens // unit.lanes - 1
        assert full - taken[-1] == (unit.latency_spatial if spatial else unit.latency), f"spatial {spatial}"
        assert found == importance(data).tolist()
        compared += len(found)
    return {"compared": compared}


@bench_test
async def forgets_at_reset(dut: Any) -> dict[str, Any]:
    unit, bench, rng = Importance(*config()["size"]), Bench(dut, seed()), np.random.default_rng(seed())
    compared = 0
    bench.write("release", 0)
    for cycles in range(2, 40, 5):
        data = rows_of(rng, "edges", 9, unit.tokens_max).rows
        offer(bench, unit, data, bool(cycles % 2), ALWAYS)
        await bench.run(limit=cycles)
        await bench.reset(1)
        data = rows_of(rng, "softmax", 2, 11).rows
        offer(bench, unit, data, bool(cycles % 3), STALLS["often"])
        found = await stored(bench, unit, 11)
        assert found[:11] == importance(data).tolist()
        compared += 11
    return {"compared": compared}


@pytest.mark.parametrize("size", SIZES)
def test_importance(size: str, seed: int) -> None:
    result = simulate(Importance(*SIZES[size]), __name__, config={"size": SIZES[size], "orders": 40}, seed=seed)
    events = result["tests"]["keeps_the_maxima"]["events"]
    print(f"{size}: {result['compared']} scores, {events}")
    named = {*KINDS, "spatial False", "spatial True", "one token", "most tokens", "last word in part",
             "lanes without a row"}
    assert {event for event in named if not events.get(event)} == set()
    assert len(result["tests"]) == 3


@pytest.mark.parametrize(("values", "message"), [
    ((0, 4), "tokens_max = 0 of Importance: must be between 1 and 65536"),
    ((65537, 4), "tokens_max = 65537"), ((16, 3), "lanes = 3 of Importance: must be a power of two between 2 and 64"),
    ((16, 1), "lanes = 1"), ((16, 128), "lanes = 128")])
def test_importance_refuses_sizes(values: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Importance(*values)


def test_importance_refuses_types() -> None:
    with pytest.raises(TypeError, match=r"lanes = 4\.0 of Importance"):
        Importance(16, 4.0)
