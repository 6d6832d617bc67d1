# SPDX-License-Identifier: Apache-2.0
"""The demo's four modes and its prompt: what was pruned, what that took, what each mode takes in all.

Test: verif/gen/test_pruning.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from focus_rtl.hdl.sec.layouts import PHASES

__all__ = ["HEADS", "MODES", "RATIOS", "Mode", "ModeFigures", "Pruning", "PruningFigures", "modes_table",
           "pruning_lines"]

HEADS = 4
"""Attention heads of the demo; each sees as many of a token's elements as the next."""

RATIOS = (0.4, 0.3)
"""Share of the original image tokens that stay before each layer: the first two of the published ones."""


@dataclass(frozen=True)
class Mode:
    """pruned : the semantic concentrator chooses tokens.  concentrated : near-parallel vectors are merged."""

    name: str
    title: str
    pruned: bool
    concentrated: bool


MODES = (Mode("dense", "dense", False, False), Mode("sec", "SEC only", True, False),
         Mode("sic", "SIC only", False, True), Mode("both", "both", True, True))


@dataclass(frozen=True)
class Pruning:
    """One order of the semantic concentrator.

    modes : which take its tokens.  layer : before which one, from 1.  present, kept : image tokens.
    cycles : by phase, measured without stalls; all of them are charged.  hidden_by : cycles of Q K^T's image rows.
    """

    modes: Sequence[str]
    layer: int
    present: int
    kept: int
    symbols: int
    cycles: Mapping[str, int]
    hidden_by: int

    @property
    def total(self) -> int:
        """Cycles of all phases."""
        return sum(self.cycles.values())


@dataclass(frozen=True)
class ModeFigures:
    """A mode: image tokens and cycles of each layer, cycles of the semantic concentrator, and what follows from them.

    speedup : over the smaller of the dense mode's measured and ideal cycles.
    """

    title: str
    image_tokens: Sequence[int]
    cycles_layers: Sequence[int]
    cycles_sec: int
    speedup: float

    @property
    def cycles(self) -> int:
        """Of everything, one after the other."""
        return sum(self.cycles_layers) + self.cycles_sec


@dataclass(frozen=True)
class PruningFigures:
    """prompt : boxes as written.  text_tokens : patches in them.  modes : by name."""

    prompt: Sequence[str]
    text_tokens: int
    prunings: Sequence[Pruning]
    modes: Mapping[str, ModeFigures]

    def to_json(self) -> dict[str, Any]:
        """The object `pruning` of the report."""
        return {"prompt": list(self.prompt), "text_tokens": self.text_tokens, "heads": HEADS, "ratios": list(RATIOS),
                "orders": [asdict(each) | {"modes": list(each.modes), "cycles": dict(each.cycles)}
                           for each in self.prunings],
                "modes": {name: asdict(mode) | {"cycles": mode.cycles} for name, mode in self.modes.items()}}

    def faster(self) -> bool:
        """Pruning pays, with and without merging."""
        cycles = {name: mode.cycles for name, mode in self.modes.items()}
        return cycles["sec"] < cycles["dense"] and cycles["both"] < cycles["sic"]


def modes_table(figures: PruningFigures) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table of modes."""
    modes = list(figures.modes.values())
    layers = range(len(modes[0].cycles_layers))
    rows = [[f"image tokens, layer {at + 1}", *(f"{mode.image_tokens[at]:,}" for mode in modes)] for at in layers]
    rows += [[f"cycles, layer {at + 1}", *(f"{mode.cycles_layers[at]:,}" for mode in modes)] for at in layers]
    rows += [["cycles, importance to offsets", *(f"{mode.cycles_sec:,}" for mode in modes)],
             ["cycles in all", *(f"{mode.cycles:,}" for mode in modes)],
             ["times faster than dense", *(f"{mode.speedup:.2f}x" for mode in modes)]]
    return ["mode", *(mode.title for mode in modes)], rows


def pruning_lines(figures: PruningFigures) -> list[str]:
    """What the report says of prompt and scores, and of every order."""
    lines = [f"Prompt: patches {' and '.join(figures.prompt)} (frame, first row and column, last row and column), "
             f"{figures.text_tokens} text token{'s' * (figures.text_tokens > 1)}.",
             f"Scores: softmax(q k^T / sqrt(d)) of {HEADS} heads, computed by the golden model from the tokens and "
             "streamed in.",
             "The tokens that stay are concentrated by the golden gather, which stands for the output of attention."]
    for each in figures.prunings:
        phases = ", ".join(f"{phase.replace('_', '-')} {each.cycles[phase]:,}" for phase in PHASES)
        lines += [f"Before layer {each.layer} ({' and '.join(each.modes)}): {each.kept} of {each.present} image tokens "
                  f"stay; cycles: {phases}, all of them charged."]
    least = min(each.hidden_by / each.total for each in figures.prunings)
    return [*lines, f"(The image rows of Q K^T, computed, not measured, take at least {least:,.0f} times as long: in a "
                    "network the choice hides behind them.)"]
