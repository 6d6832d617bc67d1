# SPDX-License-Identifier: Apache-2.0
"""Proofs of the arithmetic: hardware as Yosys writes it in SMT-LIB, the truth as SMT's own theories, Z3 between them.

    python -m focus_rtl.verif.formal.prove            # all; a line each, and the seconds
    python -m focus_rtl.verif.formal.prove narrow_fp16

Every claim comes with a cover (the case it is about exists) and a mutated twin (the same claim about a faulty unit,
which must fail).
"""

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from focus_rtl.gen.fpga import run_tool, yosys
from focus_rtl.hdl.unit import Unit, emitting
from focus_rtl.verif.bench.toolchain import ToolMissing
from focus_rtl.verif.formal.claims import CLAIMS, Claim
from focus_rtl.verif.formal.tools import require_z3

__all__ = ["Verdict", "check", "smt_of"]

TIMEOUT = 600
"""Seconds for one question to Z3."""

SCRIPT = "read_rtlil unit.il; hierarchy -top {top}; proc; flatten; opt_clean; write_smt2 -stbv unit.smt2"


def smt_of(make: Callable[[], Unit], name: str) -> str:
    """A combinational unit as SMT-LIB: a sort `|name_s|` that holds the inputs, a function `|name_n port|` per port."""
    with emitting() as emission:
        top = emission.convert(make(), name)
    text = "\n".join(emission.modules.values())
    with tempfile.TemporaryDirectory(prefix="focus-rtl-formal-") as kept:
        folder = Path(kept)
        (folder / "unit.il").write_text(text)
        run_tool(yosys(), folder, "-q", "-p", SCRIPT.format(top=top))
        return (folder / "unit.smt2").read_text()


def _ask(text: str) -> str:
    """sat, unsat or unknown."""
    solver = importlib.import_module("z3").Solver()
    solver.set("timeout", TIMEOUT * 1000)
    solver.from_string(text)
    return str(solver.check())


@dataclass(frozen=True)
class Verdict:
    """Whether the claim holds, its case exists, and its mutated twin fails; with the seconds of the first."""

    holds: bool
    covered: bool
    mutant_fails: bool
    seconds: float

    def __bool__(self) -> bool:
        return self.holds and self.covered and self.mutant_fails


def check(claim: Claim) -> Verdict:
    """Ask all three questions.

    Raises
    ------
    ToolMissing : Yosys or Z3 is not installed.
    """
    require_z3()
    begin = time.monotonic()
    unit = smt_of(claim.unit, "unit") + claim.variables
    holds = _ask(f"{unit}(assert (not {claim.holds}))") == "unsat"
    seconds = time.monotonic() - begin
    covered = _ask(f"{unit}(assert {claim.holds})(assert {claim.cover})") == "sat"
    mutant = smt_of(claim.mutant, "unit") + claim.variables
    return Verdict(holds, covered, _ask(f"{mutant}(assert (not {claim.holds}))") == "sat", seconds)


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.formal.prove", description=__doc__.split("\n")[0])
    parser.add_argument("claims", nargs="*", metavar="claim", help=f"of {', '.join(CLAIMS)}; else all")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.claims) - set(CLAIMS))
    if unknown:
        parser.error(f"no claim {', '.join(unknown)}; there are {', '.join(CLAIMS)}")
    failed = False
    for name in chosen.claims or CLAIMS:
        try:
            verdict = check(CLAIMS[name])
        except ToolMissing as missing:
            print(missing)
            return 1
        said = [("proved" if verdict.holds else "NOT PROVED"), ("covered" if verdict.covered else "NOT COVERED"),
                ("its mutant fails" if verdict.mutant_fails else "ITS MUTANT PASSES")]
        print(f"{name}: {', '.join(said)}, {verdict.seconds:.2f} s ({CLAIMS[name].words})", flush=True)
        failed |= not verdict
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
