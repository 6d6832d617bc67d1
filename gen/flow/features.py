# SPDX-License-Identifier: Apache-2.0
"""A design -> what its logic consists of before any mapping: bits of adders, selections, registers, by module.

Yosys reads the Verilog and tidies it up, which takes seconds; mapping it to cells, which takes most of a synthesis, is
left out.  `estimate` weighs these bits.

A module is counted once, for all its instances.  One thing differs from instance to instance: what a constant operand
leaves of a product, so units that multiply and are given constants are opened before products are counted.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.gen.flow.tree import memory_modules
from focus_rtl.gen.fpga import read_json, run_tool, yosys

__all__ = ["KINDS", "Features", "features_of", "products_of", "tidied", "tiles_of"]

COARSE, OPENED = "coarse.json", "opened.json"

SCRIPT = """\
{source}
hierarchy -top {top}
proc
{first}
opt
wreduce
peepopt
opt_clean
write_json {result}
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

Modules = dict[str, dict[str, Any]]
"""Module -> its body, as Yosys writes it."""

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


def _run(design: EmittedDesign, folder: Path, source: str, first: str, result: str) -> Modules:
    script = SCRIPT.format(source=source, top=design.top, first=first, result=result)
    (folder / "coarse.ys").write_text(script, encoding="utf-8")
    run_tool(yosys(), folder, "-q", "coarse.ys")
    modules: Modules = read_json(folder / result)["modules"]
    return modules


def tidied(design: EmittedDesign, folder: Path) -> Modules:
    """The design in Yosys' own cells; `folder` keeps it.

    Raises
    ------
    ToolMissing, ToolFailed : no Yosys, or it failed.
    """
    (folder / "design.v").write_text(design.text, encoding="utf-8")
    return _run(design, folder, "read_verilog design.v", "", COARSE)


def features_of(design: EmittedDesign, modules: Modules) -> Features:
    """Features of a tidied design; memories are left out."""
    memories = memory_modules(design)
    features: Features = {}
    for module, body in modules.items():
        if module in memories:
            continue
        own = features[module] = Counter()
        for cell in body["cells"].values():
            bits = _bits(cell)
            if bits is not None:
                own[bits[0]] += bits[1]
        own["product"] = sum(a * b for a, b in _own_products(body))
    return features


def _own_products(body: dict[str, Any]) -> list[tuple[int, int]]:
    return [(_width(cell, "A"), _width(cell, "B")) for cell in body["cells"].values() if cell["type"] == "$mul"]


def _products(modules: Modules, module: str) -> Counter[tuple[int, int]]:
    body = modules[module]
    found = Counter(_own_products(body))
    for child, count in Counter(cell["type"] for cell in body["cells"].values()).items():
        if child in modules:
            found.update({size: count * times for size, times in _products(modules, child).items()})
    return found


def _given_constants(modules: Modules) -> list[str]:
    """Units that multiply and have a constant at some bit of an input, as Yosys selects them: module/instance."""
    multiply = {module for module in modules if _products(modules, module)}

    def constant(cell: dict[str, Any]) -> bool:
        ports = modules[cell["type"]]["ports"]
        return any(isinstance(bit, str) for port, bits in cell["connections"].items()
                   if ports[port]["direction"] == "input" for bit in bits)

    return [f"{module}/{name}" for module, body in modules.items() for name, cell in body["cells"].items()
            if cell["type"] in multiply and constant(cell)]


def products_of(design: EmittedDesign, modules: Modules, folder: Path) -> Counter[tuple[int, int]]:
    """Every product (a, b bits) of a design that was tidied in `folder` -> how often it occurs.

    A product by a constant has as many bits as the constant leaves of it, like the verdict's by 1.0.

    Raises
    ------
    ToolMissing, ToolFailed : no Yosys, or it failed.
    """
    given = _given_constants(modules)
    if given:
        modules = _run(design, folder, f"read_json {COARSE}", f"flatten {' '.join(given)}", OPENED)
    return _products(modules, design.top)
