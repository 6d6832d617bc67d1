# SPDX-License-Identifier: Apache-2.0
"""`focus-rtl demo`: a video through two layers of generated Verilog, dense and concentrated, compared bit for bit.

What is run, what is compared and what the figures mean: docs/demo.md.  Test: verif/gen/test_demo.py.
"""

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.errors import CommandError, Exit
from focus_rtl.gen.machine import LayerRun, Simulator, waves_file
from focus_rtl.gen.picture import merged_share, picture_of, write_picture
from focus_rtl.gen.report import (
    Control,
    Findings,
    LayerFigures,
    check_target,
    histogram,
    print_report,
    shares_of,
    stage,
    tool_versions,
    write_json,
)
from focus_rtl.gen.tokens import clip_tokens, layer_weights, output_scales
from focus_rtl.gen.video import Clip, noise_clip, photo_clip, read_video
from focus_rtl.golden.core import concentrate, next_slices, run_layer, tokens_of
from focus_rtl.golden.job import Grid, Job, tiles_of
from focus_rtl.golden.numeric.dtypes import Bits, numbers
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sic.gather import Gathered
from focus_rtl.verif.bench.program import OUTPUTS, inputs_of, program
from focus_rtl.verif.bench.toolchain import fst_supported

__all__ = ["Layer", "Plan", "Source", "plan_of", "run_demo", "run_layers", "source_of"]

THRESHOLD = 0.9

Result = list[list[Gathered]]


@dataclass(frozen=True)
class Plan:
    """The shape of the demo: a token grid and the widths before, between and behind its two layers."""

    grid: Grid
    widths: tuple[int, int, int]

    def jobs(self, params: Parameters, dense: bool) -> tuple[Job, Job]:
        """The two layers as jobs."""
        tiles = tiles_of(self.grid, params.m_tile)
        first, second = (Job(k, n, tiles, self.grid.height, self.grid.width, THRESHOLD, dense=dense,
                             dtype=params.dtype, block=params.block).check(params)
                         for k, n in zip(self.widths, self.widths[1:], strict=False))
        return first, second


def plan_of(params: Parameters) -> Plan:
    """The smallest demo with everything in it, for any configuration.

    At least three full m-tiles and a partial one; a tile spans about 2.5 frames, so that there are neighbours in time;
    8 and 9 k-slices, 9 and 5 output vectors, the last of them partial and, where C > 1, no multiple of C.

    Raises
    ------
    CommandError : the configuration's limits are too small.
    """
    vector, (frames_max, height_max, width_max) = params.vector, params.grid_max
    side = max(round(math.sqrt(params.m_tile / 2.5)), 2)
    height, width = min(side, height_max), min(side, width_max)
    frames = 3 * params.m_tile // (height * width) + 1
    if frames * height * width % params.m_tile == 0:
        frames += 1
    rest = min((5 * vector + 7) // 8, vector - 1)
    while rest > 1 and rest % params.cols == 0:
        rest -= 1
    widths = (8 * vector, 8 * vector + rest, 4 * vector + rest)
    needs = {"grid_max[0]": (frames, frames_max), "tokens_max": (frames * height * width, params.tokens_max),
             "k_max": (widths[1], params.k_max), "n_max": (widths[1], params.n_max)}
    small = [f"{name} of at least {need} (it is {has})" for name, (need, has) in needs.items() if need > has]
    if small:
        raise CommandError(f"this configuration is too small for the demo, which needs {', '.join(small)}",
                           "raise it, or run a preset: focus-rtl demo --preset regress")
    return Plan(Grid(frames, height, width), widths)


@dataclass(frozen=True)
class Source:
    """The clip or the noise as tokens, and what the golden gather and the golden layer 1 make of them.

    inputs[layer][t][k] : the concentrated inputs of both layers, with their statistics.
    """

    tokens: Bits
    inputs: tuple[Result, Result]

    @property
    def cosines(self) -> NDArray[np.float64]:
        """Best similarity of every vector of both inputs."""
        return np.concatenate([part.best_similarity for result in self.inputs for row in result for part in row])


def source_of(params: Parameters, plan: Plan, clip: Clip, seed: int) -> Source:
    """Tokens of a clip and the concentrated inputs of both layers, all of it golden."""
    job, _ = plan.jobs(params, dense=False)
    tokens = clip_tokens(clip, job.k, seed, params.dtype)
    first = concentrate(tokens, job, params)
    weights = layer_weights(job.k, job.n, seed, 1, params.dtype)
    scales = output_scales(tokens, weights, params.dtype)
    return Source(tokens, (first, run_layer(params, job, next_slices(first), weights, scales)))


def _triples(result: Result) -> list[tuple[NDArray[np.int32], int, int]]:
    return [(part.index_map, part.p, part.zeros) for row in result for part in row]


@dataclass(frozen=True)
class Layer:
    """A layer's runs: with and without stalls in each mode, and the concentrated input it took."""

    taken: Result
    dense: LayerRun
    focus: LayerRun
    stalled: tuple[LayerRun, LayerRun]

    @property
    def runs(self) -> tuple[LayerRun, ...]:
        """All four runs of the layer."""
        return self.dense, self.focus, *self.stalled

    def figures(self, name: str) -> LayerFigures:
        """The layer in the report."""
        job, dense, focus = self.focus.program.job, self.dense, self.focus
        return LayerFigures(
            name, job.tokens, job.k, job.n, shares_of(_triples(self.taken)), shares_of(_triples(focus.result)),
            dense.program.counts.ideal_cycles, dense.cycles, focus.program.counts.ideal_cycles, focus.cycles,
            sum(run.program.words for run in self.runs), sum(run.compared for run in self.runs),
            sum(run.mismatches for run in self.runs), {"dense": dense.counters, "focus": focus.counters})


def run_layers(machine: Simulator, plan: Plan, source: Source) -> list[Layer]:
    """Both layers in both modes; a layer takes what the hardware sent out in the one before."""
    params, seed = machine.params, machine.seed
    dense_jobs, focus_jobs = (plan.jobs(params, dense) for dense in (True, False))
    dense, focus = concentrate(source.tokens, dense_jobs[0], params), source.inputs[0]
    layers = []
    for at in (0, 1):
        weights = layer_weights(focus_jobs[at].k, focus_jobs[at].n, seed, at + 1, params.dtype)
        scales = output_scales(tokens_of(next_slices(dense), focus_jobs[at].k), weights, params.dtype)
        programs = [program(params, job, next_slices(taken), weights, seed, scales)
                    for job, taken in ((dense_jobs[at], dense), (focus_jobs[at], focus))]
        runs = machine.run(f"layer {at + 1}", [(each, stalled) for stalled in (False, True) for each in programs])
        layers.append(Layer(focus, runs[0], runs[1], (runs[2], runs[3])))
        dense, focus = runs[0].result, runs[1].result
    return layers


def run_demo(parameters: Parameters, *, preset: str = "", video: Path | None = None, seed: int = 1, waves: bool = False,
             json_file: Path | None = None, picture_file: Path | None = Path("focus-demo.png"), jobs: int | None = None,
             timeout: float = 900, cache_dir: Path | None = None) -> int:
    """The whole demo: reads, computes, simulates, compares, prints, writes; returns the exit code.

    Parameters
    ----------
    preset : what the user called the configuration, for the command in messages.
    video : the input; None takes the photograph.
    seed : of projection, weights, noise and stalls, and of the photograph's path.
    waves : record the beginning of layer 1, concentrated, in `focus-demo.fst` or `.vcd` in the current folder.
    json_file, picture_file : where to write the figures and the picture; None writes none.
    jobs : compiler processes at a time.  timeout : seconds for each of the two simulations.  cache_dir : of builds.

    Raises
    ------
    CommandError and its kinds; ToolMissing and CacheError of the bench.
    """
    if parameters.memories != "inferred":
        raise CommandError("the demo cannot simulate memory macros: they are black boxes",
                           "use a configuration with memories = \"inferred\"")
    plan = plan_of(parameters)
    _check_targets(json_file, picture_file, waves)
    seconds: dict[str, float] = {}
    grid = (plan.grid.frames, plan.grid.height, plan.grid.width)
    with stage(f"reading {video.name if video else 'the photograph'}", seconds, "read"):
        clip = read_video(video, *grid) if video else photo_clip(*grid, seed)
    with stage("computing the golden model", seconds, "golden"):
        source, noise = (source_of(parameters, plan, each, seed) for each in (clip, noise_clip(*grid, seed)))
    machine = Simulator(parameters, seed, _command(parameters, preset, video, seed), waves, jobs, timeout, cache_dir,
                        seconds)
    machine.prepare()
    layers = run_layers(machine, plan, source)
    if waves:
        machine.record(layers[0].focus.program)
    found = _findings(parameters, seed, clip, layers, source, noise, seconds)
    print_report(found)
    _write(found, clip, layers, json_file, picture_file)
    return Exit.OK if found.equal else Exit.MISMATCH


def _check_targets(json_file: Path | None, picture_file: Path | None, waves: bool) -> None:
    """Refuse what cannot be written at the end."""
    if json_file and picture_file and json_file.resolve() == picture_file.resolve():
        raise CommandError(f"{json_file} cannot hold both the figures and the picture", "name two files")
    for path in (json_file, picture_file, waves_file(fst_supported()) if waves else None):
        check_target(path)


def _command(params: Parameters, preset: str, video: Path | None, seed: int) -> str:
    """What runs the same again."""
    words = ["focus-rtl demo", *(["--preset", shlex.quote(preset)] if preset else []), "--seed", str(seed)]
    words += ["--video", shlex.quote(str(video))] if video else []
    return " ".join(words) + ("" if preset else f" (configuration {params.sha256[:8]})")


def _findings(params: Parameters, seed: int, clip: Clip, layers: list[Layer], source: Source, noise: Source,
              seconds: dict[str, float]) -> Findings:
    runs = [run for layer in layers for run in layer.runs]
    stalled = [run for layer in layers for run in layer.stalled]
    control = Control(shares_of([triple for result in noise.inputs for triple in _triples(result)]),
                      histogram(noise.cosines))
    return Findings(
        configuration=f"{params.rows} x {params.cols} {params.dtype}, V = {params.vector}, m = {params.m_tile}",
        config_sha256=params.sha256, seed=seed, origin=clip.origin, grid=clip.grid, m_tile=params.m_tile,
        vector=params.vector, threshold=THRESHOLD,
        layers=[layer.figures(f"layer {at}") for at, layer in enumerate(layers, 1)],
        histogram=histogram(source.cosines), control=control,
        first_divergence=next((run.divergence for run in runs if run.divergence), None), tools=tool_versions(),
        seconds=seconds, words_under_stalls=sum(run.compared for run in stalled),
        stall_cycles={name: sum(run.stalled[name] for run in stalled) for name in (*inputs_of(params), *OUTPUTS)
                      if name != "preloads"},  # its jobs start from +0
        output_difference=_difference(layers[-1].focus, layers[-1].dense))


def _difference(focus: LayerRun, dense: LayerRun) -> float:
    """Root mean square of concentrated minus dense output, over that of the dense one."""
    one, other = (numbers(tokens_of(next_slices(run.result), run.program.job.n), run.program.job.dtype)
                  .astype(np.float64) for run in (focus, dense))
    size = float(np.mean(other ** 2))
    return math.sqrt(float(np.mean((one - other) ** 2)) / size) if size else 0.0


def _write(found: Findings, clip: Clip, layers: list[Layer], json_file: Path | None, picture_file: Path | None) -> None:
    if picture_file is not None:
        maps = [[part.index_map for taken in rows for part in taken]
                for rows in zip(*(layer.taken for layer in layers), strict=True)]
        dense = min(found.total("dense"), found.total("dense_ideal"))
        title = (f"{100 * found.shares_in.matched_ratio:.0f} % of the vectors merged: {found.total('focus'):,} cycles "
                 f"instead of {dense:,}, {found.speedup:.2f}x")
        equal = "equal the golden model bit for bit" if found.equal else "were compared, NOT all of them equal"
        subtitle = (f"{found.layers[0].tokens} tokens through two layers of generated Verilog ({found.configuration}); "
                    f"{found.total('words_compared'):,} words {equal}")
        write_picture(picture_file, picture_of(clip, merged_share(maps), found.m_tile, title, subtitle))
    if json_file is not None:
        write_json(json_file, found)
