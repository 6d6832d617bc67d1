# SPDX-License-Identifier: Apache-2.0
"""`focus-rtl demo`: a video through two layers of generated Verilog, dense, pruned, merged and both, bit for bit.

What is run, what is compared and what the figures mean: docs/demo.md.  Test: verif/gen/test_demo.py.
"""

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from focus_rtl.gen.errors import CommandError, Exit
from focus_rtl.gen.layers import Layer, run_layers, shares
from focus_rtl.gen.machine import LayerRun, Simulator, waves_file
from focus_rtl.gen.picture import Attention, merged_share, picture_of, write_picture
from focus_rtl.gen.plan import THRESHOLD, Plan, Source, plan_of, source_of
from focus_rtl.gen.prompt import Box, boxes_of, patches_in
from focus_rtl.gen.pruning import MODES, ModeFigures, PruningFigures
from focus_rtl.gen.report import (
    Control,
    Findings,
    check_target,
    histogram,
    print_report,
    stage,
    tool_versions,
    write_json,
)
from focus_rtl.gen.video import Clip, noise_clip, photo_clip, read_video
from focus_rtl.golden.core import next_slices, tokens_of
from focus_rtl.golden.numeric.dtypes import numbers
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sec.importance import importance
from focus_rtl.verif.bench.program import OUTPUTS, inputs_of
from focus_rtl.verif.bench.toolchain import fst_supported

__all__ = ["run_demo"]


def run_demo(parameters: Parameters, *, preset: str = "", video: Path | None = None, prompt: Sequence[str] = (),
             seed: int = 1, waves: bool = False, json_file: Path | None = None,
             picture_file: Path | None = Path("focus-demo.png"), jobs: int | None = None, timeout: float = 900,
             cache_dir: Path | None = None) -> int:
    """The whole demo: reads, computes, simulates, compares, prints, writes; returns the exit code.

    Parameters
    ----------
    preset : what the user called the configuration, for the command in messages.
    video : the input; None takes the photograph.
    prompt : boxes of patches that the text asks for, each `f,r0,c0,r1,c1`; none takes one in the upper middle.
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
    boxes = boxes_of(prompt, plan.grid)
    asked = patches_in(boxes, plan.grid)
    _check_text(parameters, plan, len(asked))
    _check_targets(json_file, picture_file, waves)
    seconds: dict[str, float] = {}
    grid = (plan.grid.frames, plan.grid.height, plan.grid.width)
    with stage(f"reading {video.name if video else 'the photograph'}", seconds, "read"):
        clip = read_video(video, *grid) if video else photo_clip(*grid, seed)
    with stage("computing the golden model", seconds, "golden"):
        source, noise = (source_of(parameters, plan, each, seed) for each in (clip, noise_clip(*grid, seed)))
    machine = Simulator(parameters, seed, _command(parameters, preset, video, prompt, seed), waves, jobs, timeout,
                        cache_dir, seconds)
    machine.prepare()
    layers = run_layers(machine, plan, source.tokens, asked)
    if waves:
        machine.record(layers[0].focus.program)
    found = _findings(parameters, seed, clip, boxes, layers, source, noise, seconds)
    print_report(found)
    _write(found, clip, boxes, layers, json_file, picture_file)
    return Exit.OK if found.equal else Exit.MISMATCH


def _check_text(params: Parameters, plan: Plan, text: int) -> None:
    """Refuse more text than there is room for."""
    most = params.tokens_max - plan.grid.tokens
    if text > most:
        raise CommandError(f"the prompt covers {text} patches, and this configuration takes {most} text tokens beside "
                           f"the {plan.grid.tokens} of the video", "draw smaller boxes, or raise tokens_max")


def _check_targets(json_file: Path | None, picture_file: Path | None, waves: bool) -> None:
    """Refuse what cannot be written at the end."""
    if json_file and picture_file and json_file.resolve() == picture_file.resolve():
        raise CommandError(f"{json_file} cannot hold both the figures and the picture", "name two files")
    for path in (json_file, picture_file, waves_file(fst_supported()) if waves else None):
        check_target(path)


def _command(params: Parameters, preset: str, video: Path | None, prompt: Sequence[str], seed: int) -> str:
    """What runs the same again."""
    words = ["focus-rtl demo", *(["--preset", shlex.quote(preset)] if preset else []), "--seed", str(seed)]
    words += ["--video", shlex.quote(str(video))] if video else []
    words += [f"--prompt {shlex.quote(box)}" for box in prompt]
    return " ".join(words) + ("" if preset else f" (configuration {params.sha256[:8]})")


def _findings(params: Parameters, seed: int, clip: Clip, boxes: Sequence[Box], layers: list[Layer], source: Source,
              noise: Source, seconds: dict[str, float]) -> Findings:
    control = Control(shares([row for result in noise.inputs for row in result]), histogram(noise.cosines))
    return Findings(
        configuration=f"{params.rows} x {params.cols} {params.dtype}, V = {params.vector}, m = {params.m_tile}",
        config_sha256=params.sha256, seed=seed, origin=clip.origin, grid=clip.grid, m_tile=params.m_tile,
        vector=params.vector, threshold=THRESHOLD,
        layers=[layer.figures(f"layer {at}") for at, layer in enumerate(layers, 1)],
        histogram=histogram(source.cosines), control=control,
        first_divergence=next((layer.divergence for layer in layers if layer.divergence), None), tools=tool_versions(),
        seconds=seconds, words_under_stalls=sum(layer.compared_stalled for layer in layers),
        stall_cycles={name: sum(layer.stall_cycles(name) for layer in layers)
                      for name in (*inputs_of(params), *OUTPUTS) if name != "preloads"},  # its jobs start from +0
        output_difference=_difference(layers[-1].focus, layers[-1].dense), pruning=_pruning(boxes, layers))


def _pruning(boxes: Sequence[Box], layers: list[Layer]) -> PruningFigures:
    prunings = [each for layer in layers for each in layer.prunings]
    dense = sum(layer.dense.cycles for layer in layers)
    base = min(dense, sum(layer.dense.program.counts.ideal_cycles for layer in layers))
    modes = {}
    for mode in MODES:
        cycles = [layer.runs[mode.name].cycles for layer in layers]
        chosen = sum(each.total for each in prunings if mode.name in each.modes)
        modes[mode.name] = ModeFigures(mode.title, [layer.image_tokens[mode.name] for layer in layers], cycles, chosen,
                                       base / (sum(cycles) + chosen))
    job = layers[0].dense.program.job
    text = job.tokens - layers[0].image_tokens["dense"]
    return PruningFigures([str(box) for box in boxes], text, prunings, modes)


def _difference(focus: LayerRun, dense: LayerRun) -> float:
    """Root mean square of concentrated minus dense output, over that of the dense one."""
    one, other = (numbers(tokens_of(next_slices(run.result), run.program.job.n), run.program.job.dtype)
                  .astype(np.float64) for run in (focus, dense))
    size = float(np.mean(other ** 2))
    return math.sqrt(float(np.mean((one - other) ** 2)) / size) if size else 0.0


def _write(found: Findings, clip: Clip, boxes: Sequence[Box], layers: list[Layer], json_file: Path | None,
           picture_file: Path | None) -> None:
    if picture_file is not None:
        maps = [[part.index_map for taken in rows for part in taken]
                for rows in zip(*(layer.taken for layer in layers), strict=True)]
        dense, patches = min(found.total("dense"), found.total("dense_ideal")), math.prod(found.grid)
        both = found.pruning.modes["both"]
        title = (f"{both.image_tokens[-1]} of {patches} patches kept, near-parallel vectors merged: "
                 f"{both.cycles:,} cycles instead of {dense:,}, {both.speedup:.2f}x")
        equal = "equal, bit for bit" if found.equal else "compared, NOT all equal"
        subtitle = (f"merging alone ({100 * found.shares_in.matched_ratio:.0f} % of vectors): {found.speedup:.2f}x.  "
                    f"{found.layers[0].tokens} tokens, two layers of generated Verilog ({found.configuration}); "
                    f"{found.total('words_compared'):,} words {equal}")
        attention = Attention(importance(layers[0].pruned.orders[0].rows).view(np.float16).astype(np.float64),
                              [layer.kept for layer in layers], boxes)
        write_picture(picture_file, picture_of(clip, merged_share(maps)[:patches], found.m_tile, attention, title,
                                               subtitle))
    if json_file is not None:
        write_json(json_file, found)
