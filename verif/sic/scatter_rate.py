# SPDX-License-Identifier: Apache-2.0
"""How many tokens per cycle scatter accumulates on given maps, and what holds its lanes up, on the emitted unit.

Every sum is compared with the golden model.  Two rates: *resident*, when the psums of a map have all come before it is
read, which is what the lanes and the banks can do; and *chasing*, when a psum comes in every cycle, as from the array.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.scatter import leave, scatter
from focus_rtl.hdl import layouts
from focus_rtl.verif.bench.build import build
from focus_rtl.verif.bench.program import elements, pack
from focus_rtl.verif.bench.runner import run
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import Bench
from focus_rtl.verif.sic.film import SEED

__all__ = ["CAUSES", "ScatterRate", "scatter_rate"]

CAUSES = ("conflicts", "chases", "hazards")
"""Outputs of `ScatterPath`: lanes that wait in a cycle, by what they wait for."""

Maps = Sequence[tuple[NDArray[np.int32], int]]


@dataclass(frozen=True)
class ScatterRate:
    """cycles : between the releases of maps, for `tokens` tokens.  The rest: lane cycles lost in them, by cause."""

    cycles: int
    tokens: int
    conflicts: int
    chases: int
    hazards: int

    @property
    def rate(self) -> float:
        """Tokens per cycle."""
        return self.tokens / self.cycles


def scatter_rate(params: Parameters, design: EmittedDesign, maps: Maps) -> dict[str, ScatterRate]:
    """Accumulate slices with these maps, by two tokens' worth of columns; `resident` and `chasing`.

    Parameters
    ----------
    params : of the `ScatterPath`, of which each vector is one column pass.  design : the path as emitted.
    maps : index map and p of each slice, an even number; all of one number of tokens, and p at most that.

    Raises
    ------
    SimulationError : also where a sum differs from the golden model.  BuildError, ToolMissing.
    """
    tokens = len(maps[0][0])
    if len(maps) % 2 or any(len(index) != tokens or count > tokens for index, count in maps) or params.col_passes != 1:
        raise ValueError("maps: must be an even number of one length, for a vector of one column pass")
    told = {"streams": _streams(params, maps), "counts": [count for _, count in maps], "tokens": tokens,
            "words": -(-tokens // params.scatter_lanes)}
    result = run(design, build(design, quick=True), __name__, config=told, seed=SEED)
    return {mode: ScatterRate(tokens=found.pop("tokens"), **found) for mode in ("resident", "chasing")
            if (found := {name: result["tests"][mode][name] for name in ("cycles", "tokens", *CAUSES)})}


def _streams(params: Parameters, maps: Maps) -> dict[str, list[str]]:
    """Words of every stream, in hexadecimal: one tile, one output vector, a slice for each map."""
    tokens, slices, rng = len(maps[0][0]), len(maps), np.random.default_rng([SEED, 6])
    acc = np.zeros((tokens, params.cols), np.uint32)
    words: dict[str, list[int]] = {"maps": [], "orders": [], "psums": []}
    words["tiles"] = [pack(layouts.tile_order(params), **dict.fromkeys(layouts.tile_order(params).members, 0) | {
        "tokens": tokens, "slices": slices, "vectors": 1, "last_rows": 1, "last_cols": 1, "last_lanes": params.cols})]
    words["slices"] = [0] * slices
    words["out_orders"] = [pack(layouts.output_order(params), tokens=tokens, cols=1, lanes=params.cols)]
    psum = layouts.psum_beat(params)
    for number, (index, count) in enumerate(maps):
        psums = rng.standard_normal((count, params.cols)).astype(np.float32).view(np.uint32)
        acc = scatter(acc, psums, index, params.dtype)
        tag = number % layouts.ORDERS
        beats = [word | tag << psum["tag"].offset for word in elements(psums)]
        beats[-1] |= 1 << psum["last"].offset
        words["psums"] += beats
        words["orders"].append(pack(
            layouts.scatter_order(params), tokens=tokens, count=count, tag=tag, col=0, first=int(number == 0),
            last=int(number == slices - 1), map_done=1, tile_done=int(number == slices - 1), dense=0, preload=0))
        padded = np.append(index, np.zeros(-tokens % params.scatter_lanes, np.int64)).astype(np.int64)
        shifts = params.index_bits * np.arange(params.scatter_lanes)
        words["maps"] += [int(word) for word in (padded.reshape(-1, params.scatter_lanes) << shifts).sum(axis=1)]
    words["vectors"] = elements(leave(acc, params.dtype))
    return {name: [hex(word) for word in beats] for name, beats in words.items()}


class _Feeder:
    """Feeds psums as their orders are taken, and maps: freely, or two at a time when their psums have all come."""

    def __init__(self, bench: Bench, resident: bool) -> None:
        told = config()
        self.bench, self.resident, self.counts, self.map_words = bench, resident, told["counts"], told["words"]
        streams = {name: [int(word, 16) for word in words] for name, words in told["streams"].items()}
        for name in ("tiles", "slices", "orders", "out_orders"):
            bench.source(name, streams[name])
        bench.source("psums")
        bench.source("maps", [] if resident else streams["maps"])
        bench.sink("vectors", len(streams["vectors"]))
        self.maps, self.psums, self.vectors = streams["maps"], streams["psums"], streams["vectors"]
        self.fed = self.mapped = 0
        self.released: list[tuple[int, dict[str, int]]] = []
        self.events = dict.fromkeys(CAUSES, 0)
        bench.hooks.append(self.step)

    def step(self, cycle: int) -> None:
        """Once a cycle."""
        sources = self.bench.sources
        while self.fed < sources["orders"].sent:
            self._feed("psums", self.psums, sum(self.counts[:self.fed]), self.counts[self.fed])
            self.fed += 1
        if self.resident and self.mapped < self.fed and self.fed % 2 == 0 and sources["psums"].done:
            self._feed("maps", self.maps, self.mapped * self.map_words, 2 * self.map_words)
            self.mapped += 2
        for name in CAUSES:
            self.events[name] += self.bench.read(name)
        if self.bench.read("map_release"):
            self.released.append((cycle, dict(self.events)))

    def _feed(self, name: str, words: list[int], start: int, count: int) -> None:
        self.bench.sources[name].feed(words[start:start + count])

    def between(self, pairs: list[tuple[int, int]]) -> dict[str, Any]:
        """Cycles and events between releases `a` and `b` of every pair, all pairs together."""
        found = {"cycles": sum(self.released[b][0] - self.released[a][0] for a, b in pairs),
                 "tokens": config()["tokens"] * sum(b - a for a, b in pairs)}
        return found | {name: sum(self.released[b][1][name] - self.released[a][1][name] for a, b in pairs)
                        for name in CAUSES}


async def _measure(dut: Any, resident: bool) -> dict[str, Any]:
    bench = Bench(dut, seed())
    feeder, slices = _Feeder(bench, resident), len(config()["counts"])
    await bench.reset()
    await bench.run(until=lambda: bench.sinks["vectors"].done)
    assert bench.sinks["vectors"].words == feeder.vectors
    assert len(feeder.released) == slices
    pairs = [(number, number + 1) for number in range(0, slices, 2)] if resident else [(0, slices - 1)]
    return {"compared": len(feeder.vectors), **feeder.between(pairs)}


@bench_test
async def resident(dut: Any) -> dict[str, Any]:
    """Both maps of a pair stand behind their psums: what passes between the releases of the two is scatter's own."""
    return await _measure(dut, resident=True)


@bench_test
async def chasing(dut: Any) -> dict[str, Any]:
    """Everything as fast as it is taken."""
    return await _measure(dut, resident=False)


def shares(found: ScatterRate, lanes: int) -> dict[str, float]:
    """Part of all lane cycles that went to each cause."""
    return {cause: asdict(found)[cause] / (lanes * found.cycles) for cause in CAUSES}
