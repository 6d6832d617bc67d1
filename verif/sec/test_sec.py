# SPDX-License-Identifier: Apache-2.0
"""Sec: layer after layer of pruning as golden `prune` has it, whatever the scores, the sizes and the stalls."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from focus_rtl.golden.sec.offsets import ESCAPE
from focus_rtl.golden.sec.sec import Pruned, prune, sweeps
from focus_rtl.golden.sec.topk import budget
from focus_rtl.hdl.sec import layouts
from focus_rtl.hdl.sec.sec import Sec
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall
from focus_rtl.verif.sec.cases import EVENTS, KINDS, beats, rows_of

UNITS = {"radix, narrow": (21, 2, "radix", 2), "radix, wide": (150, 8, "radix", 4), "bubble": (75, 8, "bubble", 3)}
"""tokens_max, lanes, top_k, offset_bits."""

STREAMS = ("orders", "scores", "previous", "offsets", "status")
INPUTS = STREAMS[:3]
STALLS: dict[str, dict[str, Stall]] = {
    "never": {}, **{f"{name} slow": {name: Stall(0.5, burst=10)} for name in STREAMS},
    "all": dict.fromkeys(STREAMS, Stall(0.4, burst=3)), "lazy": {"offsets": Stall(0.2, lazy=True)}}
RATIOS = (0.4, 0.3, 0.2, 0.15, 0.1)
MORE = {"spatial", "temporal", "pruned", "escape", "nothing left to prune", *(f"stalls: {name}" for name in STALLS)}
BAD = {"no tokens": {"tokens": 0}, "too many tokens": {"tokens": 1 << 31}, "k = 0": {"k": 0},
       "k above the tokens": {"k": 5}, "no sweep": {"sweeps": 0}}


@dataclass
class Work:
    """Words of every stream of many orders, and how often each named case is among them."""

    unit: Sec
    words: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in STREAMS})
    events: Counter[str] = field(default_factory=Counter)

    def order(self, **fields: int) -> None:
        """An order, within the widths of its fields."""
        layout = layouts.sec_order(self.unit.tokens_max)
        limits = {name: (1 << part.width) - 1 for name, part in layout}
        self.words["orders"].append(layout.const(
            {name: min(value, limits[name]) for name, value in fields.items()}).as_value().value)

    def tell(self, error: str, symbols: int) -> None:
        """The status that has to come, without its cycles."""
        self.words["status"].append(layouts.ERRORS[error] | symbols << 1)

    def add(self, rng: np.random.Generator, kind: str, rows: int, k: int, tokens: int,
            before: Pruned | None = None) -> Pruned:
        """A layer over `tokens` tokens, those that `before` left if there is one; `k` of them stay."""
        unit, spatial = self.unit, bool(rng.integers(2))
        scores = rows_of(rng, kind, rows, tokens).rows
        left = prune(scores, k, unit.offset_bits, None if before is None else before.symbols)
        self.order(tokens=tokens, k=k, sweeps=sweeps(rows, unit.lanes, spatial), spatial=spatial,
                   pruned=before is not None)
        self.words["scores"] += beats(rng, scores, unit.lanes, spatial)
        self.words["previous"] += [] if before is None else before.symbols.tolist()
        symbols = left.symbols.tolist()
        self.words["offsets"] += [*symbols[:-1], symbols[-1] | 1 << unit.offset_bits]
        self.tell("OK", len(symbols))
        self.events += Counter({
            kind: 1, "one token": tokens == 1, "most tokens": tokens == unit.tokens_max, "k = 1": k == 1,
            "multiple of the lanes": tokens % unit.lanes == 0, "no multiple of the lanes": tokens % unit.lanes > 0,
            "k = all": k == tokens, "spatial": spatial, "temporal": not spatial, "pruned": before is not None,
            "escape": ESCAPE in symbols, "nothing left to prune": bool(before is not None and k == tokens)})
        return left

    def add_video(self, rng: np.random.Generator, number: int) -> None:
        """Layers that prune one after another, ratios relative to the tokens there were at first."""
        most, lanes = self.unit.tokens_max, self.unit.lanes
        tokens = (most, 2 * lanes, 1, int(rng.integers(2, most + 1)))[number % 4]
        left, present = None, tokens
        for layer, ratio in enumerate((1.0, 1.0, *RATIOS) if number % 2 else RATIOS):
            k = budget(ratio, tokens, present)
            kind, rows = KINDS[(number + layer) % len(KINDS)], int(rng.integers(1, 2 * lanes))
            left = self.add(rng, kind, rows, k, present, left)
            present = k


async def compare(bench: Bench, work: Work, stalls: dict[str, Stall]) -> int:
    """Run to the end: every offset and status, and the cycles that it says."""
    for name in INPUTS:
        bench.source(name, work.words[name], stalls.get(name, ALWAYS))
    for name in STREAMS[3:]:
        bench.sink(name, len(work.words[name]), stalls.get(name, ALWAYS))
    told: list[int] = []
    bench.hooks[:] = [_status_watch(bench, told)]
    await bench.run()
    assert bench.sinks["offsets"].words == work.words["offsets"]
    layout = layouts.status(work.unit.tokens_max)
    found = [layout.from_bits(word) for word in bench.sinks["status"].words]
    assert [status["error"] | status["symbols"] << 1 for status in found] == work.words["status"]
    begun = bench.sources["orders"].cycles
    assert [sum(status[phase] for phase in layouts.PHASES) for status in found] == [end - begin - 1 for begin, end
                                                      in zip(begun, told, strict=True)]
    return len(work.words["offsets"]) + len(found)


def _status_watch(bench: Bench, rises: list[int]) -> Any:
    """Notes the cycle in which each status is first offered."""
    before = [0]

    def watch(cycle: int) -> None:
        valid = bench.read("status_valid")
        if valid and not before[0]:
            rises.append(cycle)
        before[0] = valid
    return watch


@bench_test
async def prunes_like_the_model(dut: Any) -> dict[str, Any]:
    unit, bench, rng = Sec(*config()["unit"]), Bench(dut, seed(), patience=20000), np.random.default_rng(seed())
    events: Counter[str] = Counter()
    compared = 0
    await bench.reset()
    for number, (name, stalls) in enumerate(STALLS.items()):
        work = Work(unit)
        for video in range(config()["videos"]):
            work.add_video(rng, number + video)
        compared += await compare(bench, work, stalls)
        events += work.events
        events[f"stalls: {name}"] += 1
    return {"compared": compared, "events": dict(events)}


@bench_test
async def refuses_bad_orders(dut: Any) -> dict[str, Any]:
    """Each ends at once with its error, takes nothing, and the next order is not affected."""
    unit, bench, rng = Sec(*config()["unit"]), Bench(dut, seed()), np.random.default_rng(seed())
    compared = 0
    await bench.reset()
    work = Work(unit)
    for bad in BAD.values():
        work.order(**({"tokens": 4, "k": 2, "sweeps": 1, "spatial": 0, "pruned": 1} | bad))
        work.tell("ORDER", 0)
        work.add(rng, "edges", 3, 4, 9)
    for stalls in ({}, STALLS["all"]):
        compared += await compare(bench, work, stalls)
    return {"compared": compared}


@bench_test
async def forgets_at_reset(dut: Any) -> dict[str, Any]:
    unit, bench, rng = Sec(*config()["unit"]), Bench(dut, seed()), np.random.default_rng(seed())
    compared = 0
    for cycles in range(5, 480, 43):
        work = Work(unit)
        work.add_video(rng, 3)
        for name in INPUTS:
            bench.source(name, work.words[name])
        for name in STREAMS[3:]:
            bench.sink(name, None, Stall(0.3))
        bench.hooks.clear()
        await bench.run(limit=cycles)
        await bench.reset(1)
        work = Work(unit)
        work.add(rng, "softmax", 2, 4, 9)
        compared += await compare(bench, work, {"offsets": Stall(0.3)})
    return {"compared": compared}


@pytest.mark.parametrize("name", UNITS)
def test_sec(name: str, seed: int) -> None:
    result = simulate(Sec(*UNITS[name]), __name__, config={"unit": UNITS[name], "videos": 4}, seed=seed)
    events = result["tests"]["prunes_like_the_model"]["events"]
    print(f"{name}: {result['compared']} words, {events}")
    assert {event for event in EVENTS | MORE if not events.get(event)} == set()
    assert len(result["tests"]) == 3


def test_sec_refuses_sorters() -> None:
    with pytest.raises(ValueError, match="top_k = 'merge' of Sec: must be one of radix, bubble"):
        Sec(top_k="merge")
