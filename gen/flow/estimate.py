# SPDX-License-Identifier: Apache-2.0
"""A configuration -> what it takes of a target, before synthesis: RAM blocks and multipliers counted, logic weighed.

RAM blocks follow from the shapes of the memories, multipliers from the widths of the products, flip-flops from the
registers.  Look-up tables are the bits of `features`, each kind with a weight, fitted to synthesised cores unit by unit
(docs/synthesis.md), as are the pairs of bits of a product where a target has no multipliers.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.gen.files import scratch
from focus_rtl.gen.flow.features import KINDS, Features, features_of, products_of, tidied, tiles_of
from focus_rtl.gen.flow.mapping import expected_blocks, style_of
from focus_rtl.gen.flow.targets import Family, Target
from focus_rtl.gen.flow.tree import branches, memory_modules
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.core import Core

__all__ = ["FILE", "SIDE", "WEIGHTS", "Bits", "Counted", "Estimate", "Weights", "count_bits", "estimate",
           "estimate_design", "total_of", "weights_in"]

@dataclass(frozen=True)
class Weights:
    """Of a family, as `python -m focus_rtl.verif.flow.calibrate` has fitted them to synthesised cores and units.

    weights : look-up tables per bit of each kind.  error : how far a whole core may be off, either way.
    cells_per_ff : logic cells that a flip-flop takes beside those of the look-up tables; on ECP5, which counts them
    apart, none.
    """

    weights: Mapping[str, float]
    cells_per_ff: float
    error: float


FILE = Path(__file__).with_name("weights.json")


def weights_in(text: str) -> dict[str, Weights]:
    """By family, from the text of the file."""
    return {family: Weights(**found) for family, found in json.loads(text).items()}


WEIGHTS = weights_in(FILE.read_text(encoding="utf-8"))
"""By family: the only place of them is the file."""

SIDE = {"ecp5": 18, "ice40": 16}
"""Bits of a multiplier's operands."""


@dataclass(frozen=True)
class Estimate:
    """What a design takes.

    takes : by column, `lut` the middle of what is likely.  units : look-up tables by block.
    """

    takes: dict[str, int]
    units: dict[str, int]

    def excess(self, target: Target, share: float = 1.0) -> dict[str, float]:
        """Column -> times too much, for what does not fit if the look-up tables are `share` of the estimate."""
        found = {column: (share if column in ("lut", "ff") else 1.0) * count / max(target.holds[column], 1e-9)
                 for column, count in self.takes.items()}
        return {column: ratio for column, ratio in found.items() if ratio > 1}


def total_of(features: Features, module: str, weigh: Callable[[Mapping[str, int]], float]) -> float:
    """Sum over a module and all below it of what `weigh` makes of each module's own features."""
    own = features.get(module)
    if own is None:
        return 0.0
    return weigh(own) + sum(count * total_of(features, child, weigh) for child, count in own.items()
                            if child in features)


def _memory(family: Family, words: int, bits: int) -> tuple[int, int]:
    """Look-up tables and flip-flops of a memory that takes no RAM block."""
    style = style_of(family, words)
    if style == "block":
        return 0, 0
    if style == "distributed":
        return -(-words // 16) * -(-bits // 4) * 6, bits
    return words * bits * 2 // 3, (max(words, 2) + 1) * bits  # each word's enable, and a choice among them


@dataclass(frozen=True)
class Bits:
    """What logic is made of, its parts included: bits by kind, and look-up tables and flip-flops of small memories."""

    kinds: dict[str, int]
    ff: int
    small_lut: int
    small_ff: int

    def tables(self, weights: Weights) -> float:
        """Look-up tables."""
        return self.small_lut + sum(weights.weights[kind] * bits for kind, bits in self.kinds.items())


@dataclass(frozen=True)
class Counted:
    """A design before it is weighed: its bits, those of each outer unit (name -> how many, one's bits), multipliers."""

    whole: Bits
    units: dict[str, tuple[int, Bits]]
    dsp: int


def count_bits(design: EmittedDesign, target: Target) -> Counted:
    """Count what `weigh` weighs.  Raises as `estimate_design`."""
    family = target.family
    with scratch("fit") as folder:
        modules = tidied(design, folder)
        features, products = features_of(design, modules), products_of(design, modules, folder)
    dsp = sum(count * tiles_of(*size, SIDE[family.name]) for size, count in products.items())
    small = {module: _memory(family, *shape) for module, shape in memory_modules(design).items()}
    kinds = KINDS if not target.holds["dsp"] else tuple(kind for kind in KINDS if kind != "product")

    def summed(module: str, kind: str) -> int:
        return round(total_of(features, module, lambda own: own[kind]))

    def memories(module: str, at: int) -> int:
        return round(total_of(features, module, lambda own: sum(own[name] * each[at] for name, each in small.items())))

    def bits(module: str) -> Bits:
        return Bits({kind: summed(module, kind) for kind in kinds}, summed(module, "ff"), memories(module, 0),
                    memories(module, 1))

    units = {branch.path[0]: (branch.count, bits(branch.module)) for branch in branches(design, 1)}
    return Counted(bits(design.top), units, dsp if target.holds["dsp"] else 0)


def estimate_design(design: EmittedDesign, target: Target) -> Estimate:
    """The estimate of an emitted core or unit.

    Raises
    ------
    ToolMissing, ToolFailed : no Yosys, or it failed.
    """
    weights, counted = WEIGHTS[target.family.name], count_bits(design, target)
    ff = counted.whole.ff + counted.whole.small_ff
    lut = round(counted.whole.tables(weights) + weights.cells_per_ff * ff)
    takes = {"lut": lut, "ff": ff, "dsp": counted.dsp, "ram": expected_blocks(target.family, design)}
    return Estimate(takes, {name: count * round(bits.tables(weights)) for name, (count, bits) in counted.units.items()})


def estimate(params: Parameters, target: Target) -> Estimate:
    """The estimate of a core.  Raises as `estimate_design`."""
    return estimate_design(verilog_of(Core(params), "", "core"), target)
