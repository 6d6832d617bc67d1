# SPDX-License-Identifier: Apache-2.0
"""A module of Yosys' Verilog -> the same module with the next value of a register computed where the clock is.

Yosys writes a register as two blocks, an `always @*` that computes its next value, from what it holds, and an
`always @(posedge clk)` that takes it.  One block reads better, and Verilator needs no copy of the register for it.
"""

import re
from collections import Counter

__all__ = ["clocked"]

START = "    if (\\$start ) begin end\n"
"""With which Yosys wakes an `always @*` at time 0."""

_NAME = r"(?:\\\S+ |[A-Za-z_][\w$]*)"
_BLOCK = re.compile(rf"^  always @\* begin\n{re.escape(START)}(    ({_NAME}) = .*?)^  end\n", re.DOTALL | re.MULTILINE)
_TAKEN = re.compile(rf"^  always @\((posedge {_NAME}) ?\)\n    ({_NAME}) <= ({_NAME});\n", re.MULTILINE)
_WORD = re.compile(rf"(?<![\w'$\\]){_NAME}")
_DECLARED = re.compile(rf"^(?:  \(\*.*\*\)\n)*  reg (?:signed )?(?:\[\d+:0\] )?({_NAME});\n", re.MULTILINE)


def clocked(module: str) -> str:
    """The module with one block for each register; a next value that is used elsewhere as well stays as it is."""
    uses = Counter(_WORD.findall(module))
    blocks = {match[2]: match[1] for match in _BLOCK.finditer(module)}
    bodies: dict[str, str] = {}
    for _, register, value in _TAKEN.findall(module):
        body, places = _assigned(blocks.get(value, ""), value, register)
        if uses[value] == places + 2:  # and in its declaration, and in the register's block
            bodies[value] = body
    module = _TAKEN.sub(lambda taken: f"  always @({taken[1]}) begin\n{bodies[taken[3]]}  end\n"
                        if taken[3] in bodies else taken[0], module)
    module = _BLOCK.sub(lambda block: "" if block[2] in bodies else block[0], module)
    module = _DECLARED.sub(lambda declared: "" if declared[1] in bodies else declared[0], module)
    return module if START in module else module.replace("  reg \\$start  = 0;\n", "")


def _assigned(body: str, value: str, register: str) -> tuple[str, int]:
    """A block with `register <=` in the place of `value =`, less that it holds what it has; in how many places."""
    there = re.compile(rf"^( +){re.escape(value)}( ?\[[\d:]+\])? = ", re.MULTILINE)
    body, places = there.subn(lambda found: f"{found[1]}{register}{found[2] or ''} <= ", body)
    return body.removeprefix(f"    {register} <= {register};\n"), places
