# SPDX-License-Identifier: Apache-2.0
"""Jobs -> what the generated Verilog makes of them in Verilator, compared word by word with the golden model.

For the demo, which runs the hardware's results through the hardware again.  Test: verif/gen/test_demo.py.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.console import say
from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.errors import SimulationFailed, ToolMissing
from focus_rtl.gen.report import stage
from focus_rtl.golden.numeric.dtypes import element
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sec.sec import SecOrder, prune
from focus_rtl.golden.sic.gather import Gathered
from focus_rtl.hdl import layouts
from focus_rtl.hdl.core import Core
from focus_rtl.hdl.sec import layouts as layouts_sec
from focus_rtl.verif.bench.build import BuildError, Built, build
from focus_rtl.verif.bench.player import Played, Segment, play
from focus_rtl.verif.bench.program import OUTPUTS, Program, inputs_of, unpack
from focus_rtl.verif.bench.prunings import offset_beats, sec_beats
from focus_rtl.verif.bench.runner import SimulationError
from focus_rtl.verif.bench.scoreboard import Mismatch, Scoreboard
from focus_rtl.verif.bench.streams import Stall

__all__ = ["STALLS", "WAVE_CYCLES", "LayerRun", "PruneRun", "Simulator", "compare", "compare_prunings", "emitted",
           "waves_file"]

Result = list[list[Gathered]]

PATIENCE = 20_000
"""Cycles without any transfer after which a run counts as dead."""

CYCLE_SLACK = 32
"""Cycles by which the bench, which counts from reset to the status, may count more than the core if nothing stalls."""

WAVE_CYCLES = 20_000
"""Cycles recorded by `waves`: waves take some ten kilobytes a cycle."""

STALLS: dict[str, Stall] = {
    # Streams of few words pause nearly always, or chance would decide whether they pause at all.
    **dict.fromkeys(("job", "tiles", "summary", "status", "sec_orders", "sec_status"), Stall(0.95, 8)),
    **dict.fromkeys(("vectors", "maps", "positions", "scales", "out_maps", "scores", "previous", "offsets"),
                    Stall(0.3, 4)),
    "retained": Stall(0.6, 4), "weights": Stall(0.1, 3), "outputs": Stall(0.4, 6),
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


@dataclass(frozen=True)
class PruneRun:
    """Some orders of the semantic concentrator on the hardware, without stalls and with them, compared.

    symbols : for each order the offsets that the hardware sent (the golden ones where they cannot be read).
    cycles : for each order what its status said without stalls, by phase.  stalled : cycles each stream paused.
    compared, expected : words of both runs; compared_stalled : of the one with stalls.
    """

    orders: Sequence[SecOrder]
    symbols: Sequence[NDArray[np.uint16]]
    cycles: Sequence[dict[str, int]]
    stalled: dict[str, int]
    compared: int
    compared_stalled: int
    expected: int
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

    def prune(self, name: str, orders: Sequence[SecOrder]) -> PruneRun:
        """Run orders of the semantic concentrator one after another, twice: without stalls and with them.

        Raises
        ------
        SimulationFailed : nothing can be measured.
        """
        beats = sec_beats(self.params, orders, np.random.default_rng(self.seed))
        inputs = {stream: beats.inputs.get(stream, []) for stream in inputs_of(self.params)}
        expected = dict.fromkeys(OUTPUTS, 0) | {"offsets": len(beats.offsets), "sec_status": len(orders)}
        segments = [Segment(inputs, expected, stalls) for stalls in ({}, STALLS)]
        with stage(f"simulating {name}", self.seconds, "simulate") as tell:
            played, _ = self._play(replace(self.built, waves="none"), segments, tell)
        return compare_prunings(self.params, orders, played, self.replay)

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


def compare_prunings(params: Parameters, orders: Sequence[SecOrder], played: Sequence[Played],
                     replay: str) -> PruneRun:
    """Every offset and every status of both runs, without stalls and with them, against the golden model's.

    Raises
    ------
    SimulationFailed : a run broke off.
    """
    golden = [prune(each.rows, each.k, params.offset_bits, each.previous).symbols for each in orders]
    offsets = [word for symbols in golden for word in offset_beats(params, symbols)]
    told = [(layouts_sec.ERRORS["OK"], len(symbols)) for symbols in golden]
    compared, mismatches, divergence = [0, 0], 0, None
    statuses: list[list[dict[str, int]]] = []
    for number, run in enumerate(played):
        if run.failure:
            raise SimulationFailed(f"the simulation stopped: {run.failure}", f"to see it again: {replay}")
        statuses.append([unpack(layouts_sec.status(params.sec_tokens_max, params.counter_bits), word)
                         for word in run.received["sec_status"].words])
        found: dict[str, Sequence[Any]] = {"offsets": run.received["offsets"].words, "sec_status": [
            (status["error"], status["symbols"]) for status in statuses[-1]]}
        for stream, right in (("offsets", offsets), ("sec_status", told)):
            compared[number] += min(len(found[stream]), len(right))
            wrong = [at for at, (one, other) in enumerate(zip_longest(found[stream], right)) if one != other]
            mismatches += len(wrong)
            if wrong and divergence is None:
                divergence = (f"{stream}[{wrong[0]}]: expected {right[wrong[0]:][:1]}, "
                              f"got {found[stream][wrong[0]:][:1]}\n  replay: {replay}")
    cycles = [{phase: status[phase] for phase in layouts_sec.PHASES} for status in statuses[0]]
    return PruneRun(orders, golden if divergence else _packets(params, played[0].received["offsets"].words), cycles,
                    played[1].stalled, sum(compared), compared[1], 2 * (len(offsets) + len(told)), mismatches,
                    divergence)


def _packets(params: Parameters, words: Sequence[int]) -> list[NDArray[np.uint16]]:
    """Words of `offsets` cut where `last` is."""
    packets: list[list[int]] = [[]]
    for word in words:
        packets[-1].append(word & ((1 << params.offset_bits) - 1))
        if word >> params.offset_bits:
            packets.append([])
    return [np.array(packet, np.uint16) for packet in packets[:-1]]


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
