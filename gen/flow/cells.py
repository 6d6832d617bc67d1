# SPDX-License-Identifier: Apache-2.0
"""Cells of a synthesised hierarchy, module by module: what Yosys' `stat -json` says, added up along the instances."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from focus_rtl.gen.fpga import read_json

__all__ = ["Cells", "read_cells", "total"]

Cells = dict[str, Counter[str]]
"""Module -> the types of its own cells; instances of other modules are among them."""


def read_cells(path: Path) -> Cells:
    """What `tee -q -o FILE stat -json` has written.

    Through a file, because ABC takes Yosys' standard output with it.  ToolFailed : it is not whole.
    """
    modules = read_json(path)["modules"]
    return {module.lstrip("\\"): Counter(entry["num_cells_by_type"]) for module, entry in modules.items()}


def total(cells: Cells, top: str, cost: Callable[[str], int]) -> int:
    """Cost of all cells of a module and below it; `cost` of a cell's type."""
    return sum(count * (total(cells, kind, cost) if kind in cells else cost(kind))
               for kind, count in cells[top].items())
