# SPDX-License-Identifier: Apache-2.0
"""A design -> what its logic consists of before any mapping: bits of adders, selections, registers, by module.

Yosys reads the Verilog and tidies it up, which takes seconds; mapping it to cells, which takes most of a synthesis, is
left out.  `estimate` weighs these bits.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.gen.flow.tree import memory_modules
from focus_rtl.gen.fpga import read_json, run_tool, yosys

__all__ = ["KINDS", "Features", "features_of", "tiles_of"]

SCRIPT = """\
read_verilog design.v
hierarchy -top {top}
proc
opt
wreduce
peepopt
opt_clean
write_json coarse.json
"""

KINDS = ("add", "compare", "select", "logic", "reduce", "shift", "product")
"""What look-up tables are spent on, in bits; of a product, the pairs of bits.  `ff` is counted beside them."""

_GROUPS = {
    "add": ("$add", "$sub", "$neg", "$lt", "$le", "$gt", "$ge"), "compare": ("$eq", "$ne"),
    "select": ("$mux", "$pmux", "$bmux"), "logic": ("$and", "$or", "$xor", "$xnor"),
    "shift": ("$shl", "$shr", "$sshl", "$sshr", "$shift", "$shiftx"),
}
_GROUP = {cell: kind for kind, cells in _GROUPS.items() for cell in cells}
_FREE = ("$not", "$pos", "$mul", "$scopeinfo", "$meminit_v2", "$mem", "$memrd", "$memwr")

SMALLEST = {18: 9, 16: 11}
"""Bits of the smallest product that takes a multiplier, by the multiplier's side."""

Features = dict[str, Counter[str]]
"""Module -> bits by kind, `ff`, and the modules it places, each as often as it does."""


def _width(cell: dict[str, Any], name: str) -> int:
    return int(cell["parameters"].get(f"{name}_WIDTH", "0"), 2)


def _bits(cell: dict[str, Any]) -> tuple[str, int] | None:
    """Kind and bits of a cell; None for one that takes no logic."""
    kind = cell["type"]
    if kind.startswith(("$dff", "$sdff", "$adff", "$aldff")):
        return "ff", int(cell["parameters"]["WIDTH"], 2)
    if kind.startswith(("$reduce", "$logic")):
        return "reduce", max(_width(cell, "A"), 1) + _width(cell, "B")
    group = _GROUP.get(kind)
    if group == "select":
        width = int(cell["parameters"]["WIDTH"], 2)
        return group, width * int(cell["parameters"].get("S_WIDTH", "1"), 2)
    if group == "shift":
        return group, max(_width(cell, "A"), _width(cell, "Y")) * max(_width(cell, "B"), 1)
    if group is not None:
        return group, max(_width(cell, "A"), _width(cell, "B"), _width(cell, "Y"))
    return None if kind.startswith(_FREE) else (kind, 1)


def tiles_of(a: int, b: int, side: int) -> int:
    """Multipliers of `side` x `side` bits that a product of a x b bits takes.

    A single bit that is left over, and a product of a few bits, are made of logic.
    """
    return 0 if min(a, b) < 2 or a + b < SMALLEST[side] else ((a - 2) // side + 1) * ((b - 2) // side + 1)


def features_of(design: EmittedDesign, folder: Path) -> tuple[Features, dict[str, list[tuple[int, int]]]]:
    """Features, and the products (a, b bits) of each module; memories are left out.

    Raises
    ------
    ToolMissing, ToolFailed : no Yosys, or it failed.
    """
    (folder / "design.v").write_text(design.text, encoding="utf-8")
    (folder / "coarse.ys").write_text(SCRIPT.format(top=design.top), encoding="utf-8")
    run_tool(yosys(), folder, "-q", "coarse.ys")
    memories = memory_modules(design)
    features: Features = {}
    products: dict[str, list[tuple[int, int]]] = {}
    for module, body in read_json(folder / "coarse.json")["modules"].items():
        if module in memories:
            continue
        cells = list(body["cells"].values())
        features[module] = Counter()
        for cell in cells:
            bits = _bits(cell)
            if bits is not None:
                features[module][bits[0]] += bits[1]
        products[module] = [(_width(cell, "A"), _width(cell, "B")) for cell in cells if cell["type"] == "$mul"]
        features[module]["product"] = sum(a * b for a, b in products[module])
    return features, products
