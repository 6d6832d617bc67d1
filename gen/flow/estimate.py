# SPDX-License-Identifier: Apache-2.0
"""A configuration -> what it takes of a target, before synthesis: RAM blocks and multipliers counted, logic weighed.

RAM blocks follow from the shapes of the memories, multipliers from the widths of the products, flip-flops from the
registers.  Look-up tables are the bits of `features`, each kind with a weight, fitted to synthesised cores unit by unit
(docs/synthesis.md).
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.gen.flow.features import KINDS, Features, features_of, tiles_of
from focus_rtl.gen.flow.mapping import expected_blocks, style_of
from focus_rtl.gen.flow.targets import Family, Target
from focus_rtl.gen.flow.tree import branches, memory_modules
from focus_rtl.gen.memories import instance_counts
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.core import Core

__all__ = ["CELLS_PER_FF", "ERROR", "SIDE", "WEIGHTS", "Estimate", "estimate", "estimate_design", "total_of"]

WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "ecp5": {"add": 0.86, "compare": 0.30, "select": 0.77, "logic": 1.35, "reduce": 1.82, "shift": 0.0},
    "ice40": {"add": 0.76, "compare": 0.0, "select": 0.70, "logic": 1.24, "reduce": 0.92, "shift": 0.0},
}
"""Look-up tables per bit of each kind, by family: fitted unit by unit, see docs/synthesis.md."""

ERROR = 0.10
"""How far the look-up tables of a whole core may be off, either way."""

CELLS_PER_FF = {"ecp5": 0.0, "ice40": 0.5}
"""Logic cells that a flip-flop takes beside those of the look-up tables: on iCE40 about every second has its own."""

SIDE = {"ecp5": 18, "ice40": 16}
"""Bits of a multiplier's operands."""


@dataclass(frozen=True)
class Estimate:
    """What a design takes.

    takes : by column, `lut` the middle of what is likely.  units : look-up tables by block.
    """

    takes: dict[str, int]
    units: dict[str, int]

    def excess(self, target: Target, share: float = 1 - ERROR) -> dict[str, float]:
        """Column -> times too much, for what does not fit even if the look-up tables are `share` of the estimate."""
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


def estimate_design(design: EmittedDesign, target: Target) -> Estimate:
    """The estimate of an emitted core or unit.

    Raises
    ------
    ToolMissing, ToolFailed : no Yosys, or it failed.
    """
    family, weights = target.family, WEIGHTS[target.family.name]
    with tempfile.TemporaryDirectory(prefix="focus-rtl-fit-") as folder:
        features, products = features_of(design, Path(folder))
    counts, side = instance_counts(design), SIDE[family.name]

    def tables(module: str) -> float:
        return total_of(features, module, lambda own: sum(weights[kind] * own[kind] for kind in KINDS))

    small = [(count, _memory(family, *shape)) for module, shape in memory_modules(design).items()
             for count in [counts[module]]]
    lut = round(tables(design.top)) + sum(count * each[0] for count, each in small)
    ff = round(total_of(features, design.top, lambda own: own["ff"])) + sum(count * each[1] for count, each in small)
    dsp = sum(counts[module] * tiles_of(a, b, side) for module, found in products.items() for a, b in found)
    if not target.holds["dsp"]:  # products are made of logic, about a look-up table for each pair of bits
        lut += sum(counts[module] * a * b for module, found in products.items() for a, b in found)
        dsp = 0
    takes = {"lut": lut + round(CELLS_PER_FF[family.name] * ff), "ff": ff, "dsp": dsp,
             "ram": expected_blocks(family, design)}
    units = {branch.path[0]: branch.count * round(tables(branch.module)) for branch in branches(design, 1)}
    return Estimate(takes, units)


def estimate(params: Parameters, target: Target) -> Estimate:
    """The estimate of a core.  Raises as `estimate_design`."""
    return estimate_design(verilog_of(Core(params), "", "core"), target)
