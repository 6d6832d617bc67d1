# SPDX-License-Identifier: Apache-2.0
"""The Verilator waiver file of an emitted core: what a generator cannot help, each line with its reason.

Nothing else is allowed: `verilator --lint-only -Wall` is silent with this file, and the tests say so.
"""

__all__ = ["WAIVERS", "waiver_file"]

WAIVERS: tuple[tuple[str, str], ...] = (
    ("DECLFILENAME", "one file holds all modules of the core, so that it can be copied as one"),
    ("UNUSEDSIGNAL", "a sum or product is computed in full and cut where it is used, a word split into named fields"),
    ("PROCASSINIT", "a register's value at power-up is its reset value, for FPGAs that start without a reset"),
    ("WIDTHEXPAND", "operands keep the width they have; Verilog extends them to that of the result, as is meant here"),
    ("WIDTHTRUNC", "a test for zero is written as the word itself, which Verilog reads as one bit, as is meant here"),
    ("CASEINCOMPLETE", "every register and wire has its default before the case; values that are not named keep it"),
    ("UNSIGNED", "row or lane 0 is compared with its bound as the others are, although it always passes"),
    ("CMPCONST", "a limit that fills its field is compared as any other, although nothing can exceed it"),
)
"""Verilator rule and why the emitted Verilog breaks it."""


def waiver_file(verilog: str) -> str:
    """Waivers for the one file `verilog` (its name, without a folder); other files of a design are not touched."""
    lines = ["`verilator_config", "// Use: verilator --lint-only -Wall <this file> <the core>"]
    for rule, reason in WAIVERS:
        lines += [f"// {reason}", f'lint_off -rule {rule} -file "*{verilog}"']
    return "\n".join(lines) + "\n"
