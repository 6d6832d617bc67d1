# SPDX-License-Identifier: Apache-2.0
"""The demo's two layers in its four modes: tokens and prompt -> what the hardware made of them, compared.

What is run is in docs/demo.md.  Test: verif/gen/test_demo.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.machine import LayerRun, PruneRun, Simulator
from focus_rtl.gen.plan import Plan
from focus_rtl.gen.pruning import HEADS, MODES, RATIOS, Pruning
from focus_rtl.gen.report import LayerFigures, Shares, shares_of
from focus_rtl.gen.tokens import layer_weights, output_scales
from focus_rtl.golden.core import concentrate, next_slices, tokens_of
from focus_rtl.golden.job import Job
from focus_rtl.golden.numeric.dtypes import Bits, numbers
from focus_rtl.golden.sec.attention import qk_cycles, text_scores
from focus_rtl.golden.sec.offsets import decode
from focus_rtl.golden.sec.sec import SecOrder
from focus_rtl.golden.sec.topk import budget
from focus_rtl.golden.sic.gather import Gathered
from focus_rtl.verif.bench.program import program

__all__ = ["STALLED", "Layer", "run_layers", "shares"]

Result = list[list[Gathered]]

STALLED = ("sic", "both")
"""Modes that run with random stalls, too: positions told and decoded, every tile concentrated."""


def shares(result: Result) -> Shares:
    """What gather did to the vectors of a result."""
    return shares_of([(part.index_map, part.p, part.zeros) for row in result for part in row])


@dataclass(frozen=True)
class Layer:
    """A layer's runs by mode, the pruning before it, and the concentrated input that the mode `sic` took.

    image_tokens : by mode.  kept : in the mode `both`, original indices of the image tokens that are still there.
    """

    taken: Result
    runs: Mapping[str, LayerRun]
    stalled: Mapping[str, LayerRun]
    pruned: PruneRun
    prunings: Sequence[Pruning]
    image_tokens: Mapping[str, int]
    kept: NDArray[np.int64]

    @property
    def dense(self) -> LayerRun:
        """The run that merges and prunes nothing."""
        return self.runs["dense"]

    @property
    def focus(self) -> LayerRun:
        """The run that merges vectors and prunes nothing."""
        return self.runs["sic"]

    @property
    def every(self) -> tuple[LayerRun, ...]:
        """All runs of the layer."""
        return *self.runs.values(), *self.stalled.values()

    @property
    def divergence(self) -> str | None:
        """The first difference that was found."""
        found = [self.pruned.divergence, *(run.divergence for run in self.every)]
        return next((text for text in found if text), None)

    @property
    def compared_stalled(self) -> int:
        """Words compared under random stalls."""
        return self.pruned.compared_stalled + sum(run.compared for run in self.stalled.values())

    def stall_cycles(self, stream: str) -> int:
        """How long a stream paused in the runs with stalls."""
        return self.pruned.stalled[stream] + sum(run.stalled[stream] for run in self.stalled.values())

    def figures(self, name: str) -> LayerFigures:
        """The layer in the report."""
        job, dense, focus = self.focus.program.job, self.dense, self.focus
        return LayerFigures(
            name, job.tokens, job.k, job.n, shares(self.taken), shares(focus.result),
            dense.program.counts.ideal_cycles, dense.cycles, focus.program.counts.ideal_cycles, focus.cycles,
            self.pruned.expected + sum(run.program.words for run in self.every),
            self.pruned.compared + sum(run.compared for run in self.every),
            self.pruned.mismatches + sum(run.mismatches for run in self.every),
            {"focus" if name == "sic" else name: run.counters for name, run in self.runs.items()})


@dataclass(frozen=True)
class _Present:
    """The tokens of a mode between two layers; symbols : the offsets of the image tokens, None while all are there."""

    image: Bits
    text: Bits
    symbols: NDArray[np.uint16] | None = None

    def indices(self, bits: int) -> NDArray[np.int64]:
        """Original indices of the image tokens."""
        return np.arange(len(self.image)) if self.symbols is None else decode(self.symbols, bits)

    def after(self, symbols: NDArray[np.uint16], bits: int) -> "_Present":
        """What is left of them."""
        stays = np.isin(self.indices(bits), decode(symbols, bits))
        return _Present(self.image[stays], self.text, symbols)


def run_layers(machine: Simulator, plan: Plan, tokens: Bits, asked: NDArray[np.int64]) -> list[Layer]:
    """Both layers in all modes; a layer takes what the hardware sent out in the one before.

    tokens : (M, K) of the image.  asked : those of them that stand for the text.
    """
    params, layers = machine.params, list[Layer]()
    present = {mode.name: _Present(tokens, tokens[asked]) for mode in MODES}
    before: dict[str, Result] = {}
    for at in (0, 1):
        pruned, prunings = _prune(machine, plan, at, present)
        jobs = {mode.name: plan.job(params, at, not mode.concentrated, len(asked), present[mode.name].symbols)
                for mode in MODES}
        # Where tokens went the tiles are others, and golden gather stands for attention's output stage.
        taken = {name: before[name] if name in before and job.offsets is None else concentrate(
            np.concatenate((present[name].image, present[name].text)), job, params) for name, job in jobs.items()}
        runs, stalled = _run(machine, at, jobs, taken)
        layers.append(Layer(taken["sic"], runs, stalled, pruned, prunings,
                            {name: len(each.image) for name, each in present.items()},
                            present["both"].indices(params.offset_bits)))
        before = {name: run.result for name, run in runs.items()}
        present = {name: _outputs(run, present[name]) for name, run in runs.items()}
    return layers


def _prune(machine: Simulator, plan: Plan, at: int, present: dict[str, _Present]) -> tuple[PruneRun, list[Pruning]]:
    """Prune before a layer; `present` changes."""
    params, width = machine.params, plan.widths[at]
    # Before the first layer both modes have the same tokens.
    groups: list[tuple[str, ...]] = [("sec", "both")] if at == 0 else [("sec",), ("both",)]
    orders = []
    for names in groups:
        here = present[names[0]]
        text, image = (numbers(tokens, params.dtype).astype(np.float64) for tokens in (here.text, here.image))
        k = budget(RATIOS[at], plan.grid.tokens, len(image))
        orders.append(SecOrder(text_scores(text, image, HEADS), k, here.symbols))
    run = machine.prune(f"the choice of tokens before layer {at + 1}", orders)
    prunings = []
    for names, order, symbols, cycles in zip(groups, orders, run.symbols, run.cycles, strict=True):
        prunings.append(Pruning(names, at + 1, order.tokens, order.k, len(symbols), cycles,
                                qk_cycles(order.tokens, HEADS, width // HEADS, params.rows, params.cols)))
        for name in names:
            present[name] = present[name].after(symbols, params.offset_bits)
    return run, prunings


def _run(machine: Simulator, at: int, jobs: Mapping[str, Job],
         taken: Mapping[str, Result]) -> tuple[dict[str, LayerRun], dict[str, LayerRun]]:
    """A layer in every mode, and again with stalls in some; all with the weights and scales of the dense one."""
    params, seed, job = machine.params, machine.seed, jobs["dense"]
    weights = layer_weights(job.k, job.n, seed, at + 1, params.dtype)
    scales = output_scales(tokens_of(next_slices(taken["dense"]), job.k), weights, params.dtype)
    programs = {name: program(params, each, next_slices(taken[name]), weights, seed, scales)
                for name, each in jobs.items()}
    runs = machine.run(f"layer {at + 1}", [*((each, False) for each in programs.values()),
                                           *((programs[name], True) for name in STALLED)])
    return (dict(zip(programs, runs, strict=False)),
            dict(zip(STALLED, runs[len(programs):], strict=True)))


def _outputs(run: LayerRun, inputs: _Present) -> _Present:
    """The tokens that a layer gave."""
    tokens = tokens_of(next_slices(run.result), run.program.job.n)
    return _Present(tokens[:len(inputs.image)], tokens[len(inputs.image):], inputs.symbols)
