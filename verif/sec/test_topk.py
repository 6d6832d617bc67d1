# SPDX-License-Identifier: Apache-2.0
"""Radix and Bubble: the masks of golden `keep`, both the same, whatever the scores, the sizes and the stalls."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from focus_rtl.golden.sec.importance import importance
from focus_rtl.golden.sec.topk import keep
from focus_rtl.hdl.sec import layouts
from focus_rtl.hdl.sec.bubble import Bubble
from focus_rtl.hdl.sec.radix import Radix
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall
from focus_rtl.verif.sec.cases import EVENTS, KINDS, beats, kept_words, rows_of
from focus_rtl.verif.sec.tops import StoredSorter

SORTERS = ("radix", "bubble")
SIZES = {"narrow": (21, 2), "two groups": (90, 16)}
STALLS = {"never": ALWAYS, "often": Stall(0.5), "bursts": Stall(0.1, burst=15), "lazy": Stall(0.2, lazy=True)}
MORE = {"a tie is cut", "the cut is inside a word", "a pass of less than all lanes"}


def fill(unit: StoredSorter, tokens: int) -> int:
    word: int = layouts.fill_order(unit.tokens_max).const(
        {"tokens": tokens, "sweeps": 1, "spatial": 0}).as_value().value
    return word


def select(unit: StoredSorter, tokens: int, k: int) -> int:
    word: int = layouts.select_order(unit.tokens_max).const({"tokens": tokens, "k": k}).as_value().value
    return word


class Work:
    """Orders, scores and masks to come, of many cases in a row, and how often each named case is among them."""

    def __init__(self, unit: StoredSorter) -> None:
        self.unit = unit
        self.words: dict[str, list[int]] = {name: [] for name in ("fills", "scores", "orders", "masks")}
        self.events: Counter[str] = Counter()

    def add(self, rng: np.random.Generator, kind: str, tokens: int, k: int) -> None:
        """Scores of that kind, k of which stay."""
        unit = self.unit
        rows = rows_of(rng, kind, 1, tokens).rows
        scores = importance(rows)
        kept = keep(scores, k)
        self.words["fills"].append(fill(unit, tokens))
        self.words["scores"] += beats(rng, rows, unit.lanes, False)
        self.words["orders"].append(select(unit, tokens, k))
        self.words["masks"] += kept_words(kept, unit.lanes)
        least = scores[kept].min()
        cut = np.flatnonzero(~kept & (scores == least))
        inside = len(cut) and np.flatnonzero(kept & (scores == least)).max() // unit.lanes == cut.min() // unit.lanes
        self.events += Counter({
            kind: 1, "one token": tokens == 1, "most tokens": tokens == unit.tokens_max,
            "multiple of the lanes": tokens % unit.lanes == 0, "no multiple of the lanes": tokens % unit.lanes > 0,
            "k = 1": k == 1, "k = all": k == tokens, "a tie is cut": len(cut) > 0,
            "the cut is inside a word": bool(inside), "a pass of less than all lanes": k % unit.lanes > 0})

    def add_all(self, rng: np.random.Generator, some: int) -> None:
        """Every kind with the sizes and counts that are special, and `some` more with any."""
        most, lanes = self.unit.tokens_max, self.unit.lanes
        for kind in KINDS:
            for tokens, k in ((1, 1), (most, 1), (most, most), (2 * lanes, lanes + 1), (most, most // 2)):
                self.add(rng, kind, tokens, k)
            for _ in range(some):
                tokens = int(rng.integers(1, most + 1))
                self.add(rng, kind, tokens, int(rng.integers(1, tokens + 1)))


@bench_test
async def equals_the_model(dut: Any) -> dict[str, Any]:
    unit, bench, rng = StoredSorter(*config()["unit"]), Bench(dut, seed()), np.random.default_rng(seed())
    events: Counter[str] = Counter()
    compared = 0
    masks: list[int] = []
    await bench.reset()
    for stall in STALLS.values():
        work = Work(unit)
        work.add_all(rng, config()["some"])
        for name in ("fills", "scores", "orders"):
            bench.source(name, work.words[name], Stall(stall.probability, stall.burst))
        sink = bench.sink("masks", len(work.words["masks"]), stall)
        await bench.run()
        want = work.words["masks"]
        first = next((number for number, pair in enumerate(zip(sink.words, want, strict=True)) if pair[0] != pair[1]),
                     None)
        assert first is None, f"mask {first}: got {sink.words[first]:#x}, expected {want[first]:#x}"
        masks += sink.words
        compared += len(want)
        events += work.events
    return {"compared": compared, "events": dict(events), "masks": masks}


def cycles_of(unit: StoredSorter, tokens: int, k: int) -> int:
    """Stated latency from an order to its last mask; for Radix without the word whose ties are cut."""
    words = -(-tokens // unit.lanes)
    if unit.top_k == "radix":
        return (words + 6) * layouts.SCORE_BITS + words + 5
    return (words * unit.lanes + 4) * -(-k // unit.lanes) + words * unit.lanes + 4


@bench_test
async def keeps_its_latency(dut: Any) -> dict[str, Any]:
    unit, bench, rng = StoredSorter(*config()["unit"]), Bench(dut, seed()), np.random.default_rng(seed())
    full: list[int] = []
    bench.hooks.append(lambda cycle: full.append(cycle) if bench.read("full") else None)
    compared = 0
    await bench.reset()
    for tokens, k in ((1, 1), (unit.lanes, unit.lanes), (unit.tokens_max, unit.lanes + 1), (unit.tokens_max, 5)):
        work = Work(unit)
        work.add(rng, "ascending", tokens, k)  # no two are equal
        full.clear()
        for name in ("fills", "scores", "orders"):
            bench.source(name, work.words[name])
        sink = bench.sink("masks", len(work.words["masks"]))
        await bench.run()
        assert sink.words == work.words["masks"]
        assert sink.cycles[-1] - full[0] == cycles_of(unit, tokens, k), f"{tokens} tokens, k = {k}"
        compared += len(sink.words)
    return {"compared": compared}


@bench_test
async def forgets_at_reset(dut: Any) -> dict[str, Any]:
    unit, bench, rng = StoredSorter(*config()["unit"]), Bench(dut, seed()), np.random.default_rng(seed())
    compared = 0
    for cycles in range(20, 460, 55):
        for stay in (False, True):
            work = Work(unit)
            work.add(rng, "many ties", unit.tokens_max, unit.tokens_max // 2)
            for name in ("fills", "scores", "orders"):
                bench.source(name, work.words[name])
            sink = bench.sink("masks", len(work.words["masks"]), STALLS["often"])
            if stay:
                await bench.run()
                assert sink.words == work.words["masks"]
                compared += len(sink.words)
            else:
                await bench.run(limit=cycles)
                await bench.reset(1)
    return {"compared": compared}


def both(size: str, seed: int) -> list[dict[str, Any]]:
    """What each sorter did with the same scores and stalls."""
    return [simulate(StoredSorter(sorter, *SIZES[size]), __name__, seed=seed,
                     config={"unit": (sorter, *SIZES[size]), "some": 1}) for sorter in SORTERS]


@pytest.mark.parametrize("size", SIZES)
def test_topk(size: str, seed: int) -> None:
    results = both(size, seed)
    for sorter, result in zip(SORTERS, results, strict=True):
        events = result["tests"]["equals_the_model"]["events"]
        print(f"{sorter}, {size}: {result['compared']} masks, {events}")
        assert {event for event in EVENTS | MORE if not events.get(event)} == set()
        assert len(result["tests"]) == 3
    masks = [result["tests"]["equals_the_model"]["masks"] for result in results]
    assert masks[0] == masks[1], "the sorters differ"


@pytest.mark.parametrize("unit", [Radix, Bubble])
def test_sorters_refuse_sizes(unit: type[Radix] | type[Bubble]) -> None:
    with pytest.raises(ValueError, match=f"lanes = 5 of {unit.__name__}: must be a power of two"):
        unit(32, 5)
