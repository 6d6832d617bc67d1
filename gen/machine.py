# SPDX-License-Identifier: Apache-2.0
"""Jobs -> what the generated Verilog makes of them in Verilator, compared word by word with the golden model.

For the demo, which runs the hardware's results through the hardware again.  Test: verif/gen/test_demo.py.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from focus_rtl.gen.console import say
from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.errors import SimulationFailed, ToolMissing
from focus_rtl.gen.report import stage
from focus_rtl.golden.numeric.dtypes import element
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.gather import Gathered
from focus_rtl.hdl import layouts
from focus_rtl.hdl.core import Core
from focus_rtl.verif.bench.build import BuildError, Built, build
from focus_rtl.verif.bench.player import Played, Segment, play
from focus_rtl.verif.bench.program import OUTPUTS, Program, unpack
from focus_rtl.verif.bench.runner import SimulationError
from focus_rtl.verif.bench.scoreboard import Mismatch, Scoreboard
from focus_rtl.verif.bench.streams import Stall

__all__ = ["STALLS", "WAVE_CYCLES", "LayerRun", "Simulator", "compare", "emitted", "waves_file"]

Result = list[list[Gathered]]

PATIENCE = 20_000
"""Cycles without any transfer after which a run counts as dead."""

CYCLE_SLACK = 32
"""Cycles by which the bench, which counts from reset to the status, may count more than the core if nothing stalls."""

WAVE_CYCLES = 20_000
"""Cycles recorded by `waves`: waves take some ten kilobytes a cycle."""

STALLS: dict[str, Stall] = {
    # Streams of few words pause nearly always, or chance would decide whether they pause at all.
    **dict.fromkeys(("job", "tiles", "summary", "status"), Stall(0.95, 8)),
    **dict.fromkeys(("vectors", "maps", "positions", "scales", "out_maps"), Stall(0.3, 4)),
    "weights": Stall(0.1, 3), "outputs": Stall(0.4, 6),
}
"""When each stream of the core pauses in the runs with stalls; only int8 has `scales`."""


def waves_file(fst: bool) -> Path:
    """Where waves go: a file in the current folder."""
    return Path("focus-demo.fst" if fst else "focus-demo.vcd")


@dataclass(frozen=True)
class LayerRun:
    """One layer on the hardware: what came out, and how it compares with the golden model.

    result[t][n] : what the hardware sent out (the golden result where that cannot be read).
    cycles : from the first word accepted to the last one sent out.  stalled : cycles each stream paused.
    """

    program: Program
    result: Result
    cycles: int
    counters: dict[str, int]
    stalled: dict[str, int]
    compared: int
    mismatches: int
    divergence: str | None


@dataclass
class Simulator:
    """The core of a configuration, emitted and compiled once.

    seconds : time by stage, added to.
    """

    params: Parameters
    seed: int
    replay: str
    waves: bool = False
    jobs: int | None = None
    timeout: float = 900
    cache_dir: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def prepare(self) -> None:
        """Emit Verilog and compile it, or find the build in the cache."""
        with stage("emitting Verilog", self.seconds, "emit"):
            self.design = verilog_of(Core(self.params))
        with stage("compiling with Verilator", self.seconds, "compile") as tell:
            try:
                self.built = build(self.design, self.waves, self.cache_dir, jobs=self.jobs, progress=tell)
            except BuildError as error:
                raise ToolMissing(str(error), "`focus-rtl doctor` shows which tools were found") from error

    def run(self, name: str, programs: Sequence[tuple[Program, bool]]) -> list[LayerRun]:
        """Run programs, each after a reset, stalled at random where its flag is set.

        Raises
        ------
        SimulationFailed : nothing can be measured.
        """
        segments = [_segment(each, STALLS if stalled else {}) for each, stalled in programs]
        with stage(f"simulating {name}", self.seconds, "simulate") as tell:
            played, _ = self._play(replace(self.built, waves="none"), segments, tell)
        return [compare(each, part, self.replay) for (each, _), part in zip(programs, played, strict=False)]

    def record(self, recorded: Program) -> None:
        """Write waves of the first `WAVE_CYCLES` cycles of a program into the current folder."""
        with stage("recording waves", self.seconds, "waves") as tell:
            _, result = self._play(self.built, [_segment(recorded, {}, WAVE_CYCLES)], tell)
            waves = Path(result["waves"])
            here = waves_file(waves.suffix == ".fst")
            shutil.move(waves, here)
            shutil.rmtree(waves.parent)
        say(f"waves of the first {WAVE_CYCLES:,} cycles of layer 1, concentrated: {here}")

    def _play(self, built: Built, segments: Sequence[Segment],
              tell: Callable[[str], None]) -> tuple[list[Played], dict[str, Any]]:
        def percent(phrase: str) -> None:
            tell(phrase.partition(": ")[2] or "starting")

        try:
            return play(self.design, built, segments, seed=self.seed, patience=PATIENCE, timeout=self.timeout,
                        progress=percent)
        except SimulationError as error:
            if "took longer than" in str(error).partition("\n")[0]:  # its log says nothing more
                raise SimulationFailed(f"the simulation took longer than {self.timeout:g} s",
                                       "give it more with --timeout") from error
            raise SimulationFailed(str(error), f"to see it again: {self.replay}") from error


def _segment(each: Program, stalls: dict[str, Stall], limit: int | None = None) -> Segment:
    return Segment({stream: each.inputs[stream] for stream in each.inputs},
                   {stream: each.count_of(stream) for stream in OUTPUTS}, stalls, limit)


def compare(expected: Program, played: Played, replay: str) -> LayerRun:
    """Every word that came against the golden model's.

    Words are counted here, the number there should be comes from the golden counts (`Program.words`).

    Raises
    ------
    SimulationFailed : the run broke off, or the status is missing.
    """
    divergence = None
    try:
        Scoreboard([expected], replay).check(played.received, complete=played.failure is None)
    except Mismatch as difference:
        divergence = str(difference)
    if played.failure or not played.received["status"].words:
        raise SimulationFailed(divergence or f"the simulation stopped: {played.failure}", f"to see it again: {replay}")
    status = unpack(layouts.status(expected.params), played.received["status"].words[0])
    compared, mismatches = 1, int(any(status[name] != value for name, value in expected.status.items()))
    for stream in ("outputs", "out_maps", "summary"):
        words, right = played.received[stream].words, expected.expected[stream]
        compared += min(len(words), len(right))
        mismatches += sum(one != other for one, other in zip(words, right, strict=False)) + abs(len(words) - len(right))
    if not any(played.stalled.values()) and not 0 <= played.cycles - status["cycles"] <= CYCLE_SLACK:
        mismatches += 1
        divergence = divergence or f"the core counted {status['cycles']} cycles, the bench {played.cycles}; {replay}"
    del status["error"]  # compared above
    result = emitted(expected, played) if divergence is None else expected.result
    mismatches = max(mismatches, int(divergence is not None))
    return LayerRun(expected, result, status.pop("cycles"), status, played.stalled, compared, mismatches, divergence)


def emitted(expected: Program, played: Played) -> Result:
    """What the hardware sent out, in the golden model's form: its vectors, its maps, its summaries."""
    params, job = expected.params, expected.job
    raw = np.dtype(element(job.dtype).storage)
    vectors, maps, summaries = (iter(played.received[stream].words) for stream in ("outputs", "out_maps", "summary"))

    def one(tokens: int) -> Gathered:
        summary = unpack(layouts.summary(params), next(summaries))
        words = [unpack(layouts.vector_beat(params), next(vectors))["data"] for _ in range(summary["unique"])]
        data = b"".join(word.to_bytes(raw.itemsize * params.vector, "little") for word in words)
        index = [unpack(layouts.index_beat(params), next(maps))["index"] for _ in range(tokens)]
        return Gathered(np.frombuffer(data, raw.newbyteorder("<")).astype(raw).reshape(-1, params.vector),
                        np.array(index, np.int32), summary["zeros"], tokens - summary["unique"],
                        np.full(tokens, np.nan))

    return [[one(tile.tokens) for _ in range(job.counts(params).vectors)] for tile in job.tiles]
