# SPDX-License-Identifier: Apache-2.0
"""Proofs of arithmetic, layouter and gather: hardware in SMT-LIB by Yosys, the truth beside it, Z3 between them.

    python -m focus_rtl.verif.formal.prove            # all; a line each, and the seconds
    python -m focus_rtl.verif.formal.prove narrow_fp16
    python -m focus_rtl.verif.formal.prove --json docs/arithmetic.json

Every claim comes with a cover (the case it is about exists) and a mutated twin (the same claim about a faulty unit,
which must fail).
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from focus_rtl.verif.bench.toolchain import ToolMissing
from focus_rtl.verif.formal.claims import CLAIMS
from focus_rtl.verif.formal.smt import Claim, ask
from focus_rtl.verif.formal.tools import require_z3
from focus_rtl.verif.records import put, stamp

__all__ = ["Verdict", "check"]


@dataclass(frozen=True)
class Verdict:
    """Whether the claim holds, its case exists, and its mutated twin fails; with the CPU seconds of the first."""

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
    premises, twin = claim.premises, claim.twin.premises
    begin = time.process_time()
    holds = ask(f"{premises}(assert (not {claim.holds}))") == "unsat"
    seconds = time.process_time() - begin
    covered = ask(f"{premises}(assert {claim.holds})(assert {claim.cover})") == "sat"
    return Verdict(holds, covered, ask(f"{twin}(assert (not {claim.holds}))") == "sat", seconds)


def _record(path: Path, name: str, verdict: Verdict) -> None:
    claim = CLAIMS[name]
    put(path, f"proof {name}", {
        "result": "proved, covered, its mutant fails", "claim": claim.words, "seconds": round(verdict.seconds, 1),
        **stamp(f"python -m focus_rtl.verif.formal.prove {name}", claim.design())})


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.formal.prove", description=__doc__.split("\n")[0])
    parser.add_argument("claims", nargs="*", metavar="claim", help=f"of {', '.join(CLAIMS)}; else all")
    parser.add_argument("--json", type=Path, help="record what was proved there")
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
        if chosen.json and verdict:
            _record(chosen.json, name, verdict)
        failed |= not verdict
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
