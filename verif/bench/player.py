# SPDX-License-Identifier: Apache-2.0
"""Plays lists of words into the streams of any unit and hands back what came out, when, and what went wrong.

The comparison stays with the caller, who knows what the words mean: the simulation knows streams only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.verif.bench.build import Built
from focus_rtl.verif.bench.runner import run
from focus_rtl.verif.bench.scoreboard import Received
from focus_rtl.verif.bench.session import bench_test, config, progress, seed
from focus_rtl.verif.bench.streams import Bench, Stall

__all__ = ["Played", "Segment", "play"]


@dataclass(frozen=True)
class Segment:
    """What is played in one go; the device is reset before.

    inputs : words by input stream.  expected : number of words by output stream.
    stalls : by stream; else never.  limit : break off after so many cycles, as a reset in mid-stream does.
    """

    inputs: dict[str, list[int]]
    expected: dict[str, int]
    stalls: dict[str, Stall] = field(default_factory=dict)
    limit: int | None = None


@dataclass(frozen=True)
class Played:
    """What came of a segment.

    received : by output stream.  cycles : from reset to the last word.  stalled : cycles each side of a stream paused.
    failure : what ended it early (a protocol error, nothing moving), or None.
    """

    received: dict[str, Received]
    cycles: int
    stalled: dict[str, int]
    failure: str | None


def play(design: EmittedDesign, built: Built, segments: Sequence[Segment], *, seed: int, patience: int = 2000,
         timeout: float = 600, progress: Any = None) -> tuple[list[Played], dict[str, Any]]:
    """Run the segments on a built design; what came of each, up to the first failure, and the runner's result."""
    plan = [{"inputs": {name: [hex(word) for word in words] for name, words in segment.inputs.items()},
             "expected": segment.expected, "limit": segment.limit,
             "stalls": {name: [stall.probability, stall.burst, stall.lazy] for name, stall in segment.stalls.items()}}
            for segment in segments]
    result = run(design, built, __name__, testcase="play_segments", config={"segments": plan, "patience": patience},
                 seed=seed, timeout=timeout, progress=progress)
    played = [Played({name: Received([int(word, 16) for word in words], cycles)
                      for name, (words, cycles) in part["received"].items()},
                     part["cycles"], part["stalled"], part["failure"])
              for part in result["tests"]["play_segments"]["segments"]]
    return played, result


def _stall(plan: dict[str, Any], name: str) -> Stall:
    probability, burst, lazy = plan["stalls"].get(name, (0.0, 1, False))
    return Stall(probability, burst, lazy)


async def _play(bench: Bench, plan: dict[str, Any]) -> dict[str, Any]:
    for name, words in plan["inputs"].items():
        bench.source(name, [int(word, 16) for word in words], _stall(plan, name))
    for name, count in plan["expected"].items():
        bench.sink(name, count, _stall(plan, name))
    await bench.reset()
    start, failure = bench.cycle, None
    try:
        cycles = await bench.run(limit=plan["limit"])
    except AssertionError as error:
        failure, cycles = str(error), bench.cycle - start
    streams = {**bench.sources, **bench.sinks}
    return {"received": {name: ([hex(word) for word in sink.words], sink.cycles) for name, sink in bench.sinks.items()},
            "cycles": cycles, "failure": failure,
            "stalled": {name: stream.stalled_cycles for name, stream in streams.items()}}


@bench_test
async def play_segments(dut: Any) -> dict[str, Any]:
    """The simulation's side: every segment in turn, until one fails."""
    bench = Bench(dut, seed(), config()["patience"])
    segments: list[dict[str, Any]] = []
    plans = config()["segments"]
    due = sum(sum(plan["expected"].values()) for plan in plans)

    def tell(cycle: int) -> None:
        if cycle % 1000 == 0:
            came = sum(len(sink.words) for sink in bench.sinks.values())
            before = sum(len(words) for part in segments for words, _ in part["received"].values())
            progress(came + before, due)

    bench.hooks.append(tell)
    for plan in plans:
        segments.append(await _play(bench, plan))
        if segments[-1]["failure"]:
            break
    came = sum(len(words) for part in segments for words, _ in part["received"].values())
    if not came and segments[-1]["failure"]:
        raise AssertionError(segments[-1]["failure"])
    return {"compared": came, "segments": segments}
