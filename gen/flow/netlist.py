# SPDX-License-Identifier: Apache-2.0
"""A design in its harness -> a netlist of a target's cells, and what every unit takes of them.

Synthesised twice: once with the units' borders kept, so that each is worked out once and has figures of its own; and
once without any, which takes an eighth fewer cells and shorter paths, and is what is placed: a cell's name begins with
the names of the units that it is in.
"""

import functools
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.gen.flow.cells import Cells, read_cells, total
from focus_rtl.gen.flow.harness import Harness
from focus_rtl.gen.flow.mapping import Mapped, check_memories, style_of
from focus_rtl.gen.flow.names import unit_of
from focus_rtl.gen.flow.targets import COLUMNS, Family, Target
from focus_rtl.gen.flow.tree import Branch, branches, kept_modules, memory_modules
from focus_rtl.gen.fpga import read_json, run_tool, yosys
from focus_rtl.gen.lint import black_boxes

__all__ = ["NETLIST", "Netlist", "flat_script", "named_cells", "netlist_of", "run_synthesis", "transistors_of"]

NETLIST = "netlist.json"
"""File that nextpnr reads."""

COUNT = """\
delete t:$scopeinfo
tee -q -o {cells} stat -json
"""
"""After synthesis: how many cells of which type each module has."""

KEEP = "setattr -mod -set keep_hierarchy 1 {modules}\n"
"""Before synthesis: what keeps its borders."""

FLAT = f"""{COUNT.format(cells="flat.json")}\
write_json {NETLIST}
write_verilog -noattr -norename netlist.v
"""
"""After the synthesis of what is placed."""

TRANSISTORS = """\
read_verilog design.v
{boxes}
hierarchy -top {top}
select -set wide t:$mul r:Y_WIDTH>{bits} %i %m
select -set rest * @wide %d
synth -noabc -top {top}
dfflegalize -cell $_DFF_P_ 01
delete t:$scopeinfo
opt_clean
abc -g cmos4 @rest
abc -g cmos4 -script +strash;dc2;strash;map @wide
opt_clean
tee -q -o gates.json stat -json
"""
"""Static CMOS.  Each module once, nothing optimised across borders, memories left out.

ABC looks for gates that are equal, which it had not done in twelve minutes for two products of 42 by 21 bits; where
products are wide it does without, and finds 3 to 6 % more transistors than it would (docs/synthesis.md).
"""

WIDE = 48
"""Bits of the widest product that ABC searches for equal gates: that of two binary32 significands."""

GATES = {"$_NOT_": 2, "$_NAND_": 4, "$_NOR_": 4, "$_AOI3_": 6, "$_OAI3_": 6, "$_AOI4_": 8, "$_OAI4_": 8, "$_DFF_P_": 16}
"""Transistors of the cells that are left, as Yosys counts them."""

OPTIONS = {"ecp5": "", "ice40": " -dsp"}
"""iCE40 takes multipliers only where it is asked to."""


@dataclass(frozen=True)
class Netlist:
    """What synthesis gave.

    units : the tree of units, and for each row what one of them takes by column, its parts included.
    whole : what the design takes, without its harness.  flat : what is placed takes, borders gone, with its harness.
    placed : for each row of `units`, what of the placed netlist has the names of the first of them; without a harness
    nothing.  memories : what became of each shape.
    """

    units: list[tuple[Branch, dict[str, int]]]
    whole: dict[str, int]
    flat: dict[str, int]
    placed: list[dict[str, int]]
    memories: list[Mapped]


def _script(family: Family, sources: Mapping[str, str], top: str, options: str, before: str, after: str) -> str:
    return f"read_verilog {' '.join(sources)}\n{before}\n{family.synth}{options} -top {top}\n{after}"


def run_synthesis(family: Family, sources: Mapping[str, str], top: str, folder: Path, options: str = "",
                  before: str = "", after: str = "") -> None:
    """Run Yosys' synthesis of a family in `folder`: the one place that does.

    sources : file -> Verilog.  options : of the family's command.  before, after : further commands, a line each.

    Raises
    ------
    ToolMissing : no Yosys.  RuntimeError : it failed.
    """
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "synth.ys").write_text(_script(family, sources, top, options, before, after), encoding="utf-8")
    run_tool(yosys(), folder, "-q", "synth.ys")


def _columns(family: Family, cells: Cells, module: str) -> dict[str, int]:
    return {column: total(cells, module, functools.partial(family.cells_of, column)) for column in COLUMNS}


def _inputs(design: EmittedDesign, harness: Harness | None, target: Target) -> tuple[dict[str, str], str, str, str]:
    """Sources, their top, the options of synthesis, and what is said to Yosys about memories."""
    sources, top = {"design.v": design.text}, design.top
    options = OPTIONS[target.family.name] if target.holds["dsp"] else ""
    if harness is None:
        options += target.family.bare
    else:
        sources["harness.v"], top = harness.text, harness.top
    styles = "\n".join(f'setattr -set ram_style "{style_of(target.family, words)}" {module}/m:words'
                       for module, (words, _) in memory_modules(design).items())
    return sources, top, options, styles


def flat_script(design: EmittedDesign, harness: Harness, target: Target) -> str:
    """What Yosys is told to make the netlist that is placed: a record of that stands as long as this is the same."""
    sources, top, options, styles = _inputs(design, harness, target)
    return _script(target.family, sources, top, options, styles, FLAT)


def netlist_of(design: EmittedDesign, harness: Harness | None, target: Target, folder: Path) -> Netlist:
    """Synthesise; `folder` then holds `NETLIST`, and the same as `netlist.v`.

    harness : None for the design alone, without pads: a netlist to simulate.

    Raises
    ------
    ToolMissing : no Yosys.  RuntimeError : it failed.
    """
    sources, top, options, styles = _inputs(design, harness, target)
    kept = KEEP.format(modules=" ".join(kept_modules(design)))
    run_synthesis(target.family, sources, top, folder, options, kept + styles, COUNT.format(cells="cells.json"))
    run_synthesis(target.family, sources, top, folder, options, styles, FLAT)
    cells, flat = read_cells(folder / "cells.json"), read_cells(folder / "flat.json")
    units = [(branch, _columns(target.family, cells, branch.module)) for branch in branches(design)]
    named = named_cells(target.family, folder / NETLIST, top)
    placed = [_within(named, branch.path) for branch, _ in units]
    return Netlist(units, _columns(target.family, cells, design.top), _columns(target.family, flat, top), placed,
                   check_memories(target.family, design, cells))


def named_cells(family: Family, netlist: Path, top: str) -> dict[str, dict[str, int]]:
    """Unit -> what a flat netlist has of its cells, by column: those whose names say that they are in no unit below it.

    A cell is named after what it drives, so one on the border of two units may count for either.
    """
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for name, cell in read_json(netlist)["modules"][top]["cells"].items():
        found[unit_of(name)].update({column: family.cells_of(column, cell["type"]) for column in COLUMNS})
    return {unit: dict(takes) for unit, takes in found.items()}


def _within(named: Mapping[str, Mapping[str, int]], path: tuple[str, ...]) -> dict[str, int]:
    """What a unit has, with all below it."""
    inner = [takes for unit, takes in named.items() if tuple(unit.split("."))[:len(path)] == path]
    return {column: sum(takes[column] for takes in inner) for column in COLUMNS}


def transistors_of(design: EmittedDesign, folder: Path) -> dict[str, int]:
    """Module -> transistors of its logic and of all below it, an estimate; memories count nothing.

    Raises
    ------
    ToolMissing : no Yosys.  RuntimeError : it failed, or left a cell whose size is not known.
    """
    stubs = black_boxes(design.macros) if design.macros else ""
    (folder / "design.v").write_text(design.text + stubs, encoding="utf-8")
    boxes = [*memory_modules(design), *design.macros]
    script = TRANSISTORS.format(boxes=f"blackbox {' '.join(boxes)}" if boxes else "", top=design.top, bits=WIDE)
    (folder / "gates.ys").write_text(script, encoding="utf-8")
    run_tool(yosys(), folder, "-q", "gates.ys")
    cells = read_cells(folder / "gates.json")

    def cost(cell: str) -> int:
        if cell in GATES:
            return GATES[cell]
        if cell in boxes:  # black boxes have no statistics of their own
            return 0
        raise RuntimeError(f"{design.top}: a cell {cell}, whose size is not known")

    return {module: total(cells, module, cost) for module in cells if module not in boxes}
