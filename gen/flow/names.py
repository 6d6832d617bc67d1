# SPDX-License-Identifier: Apache-2.0
"""Where a cell of a netlist without borders came from: its name says it."""

import re

from focus_rtl.gen.flow.harness import INSTANCE

__all__ = ["HARNESS", "TOP", "register_of", "unit_of"]

TOP = "(top)"
"""Where a cell is that is in none of the units that the design places."""

HARNESS = "harness"
"""Where a cell is that is in no unit of the design."""


def unit_of(cell: str) -> str:
    """The unit that a cell is in: `gather.matcher` of `core.gather.matcher.best_LUT4_Z`; else the harness.

    Names that tools make up begin with `$`, and may have dots of their own.
    """
    words = cell.split("$")[0].split(".")
    if words[0] != INSTANCE:
        return HARNESS
    return ".".join(words[1:-1]) or TOP


def register_of(cell: str) -> str:
    """A cell's name as people wrote it: without the suffixes that say what became of it."""
    unit = unit_of(cell)
    name = cell.split("$")[0].split(".")[-1]
    name = re.split(r"_(?:TRELLIS|SB|LUT4|CCU2C|PFUMX|L6MUX21|DPR16X4|MULT18X18D|DP16KD)_", name)[0]
    return f"{unit}.{name}" if name else unit
