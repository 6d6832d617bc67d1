# SPDX-License-Identifier: Apache-2.0
"""The synthesised netlist of a core, simulated: jobs of the core's tests, every word compared with the golden model.

    python -m focus_rtl.verif.flow.gates                          # a core on ECP5 and one on iCE40
    python -m focus_rtl.verif.flow.gates ecp5-25k ecp5-85k-fp16   # presets, each on its own target

What is simulated is what is placed and routed, but for the pins: the same script, the cells as `models` has them.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

from focus_rtl.gen.configuration import load, preset_names
from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.gen.flow.netlist import netlist_of
from focus_rtl.gen.flow.targets import TARGETS, Target
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.core import Core
from focus_rtl.verif.bench.streams import ALWAYS, Stall
from focus_rtl.verif.core.jobs import pruned_job, random_core_job
from focus_rtl.verif.core.run import CoreRun, run_programs
from focus_rtl.verif.flow.models import models_of

__all__ = ["CASES", "gate_level", "run_gates"]

CASES = {"tiny-int8": ("tiny", ["dtype=int8"], "ecp5-25k"),
         "tiny-ice40": ("tiny", ["dtype=int8", "compare_multiplier=serial", "scale_multiplier=serial"], "ice40-hx8k")}
"""What is simulated by default: name -> preset, changes, target.  A netlist has no limit, so iCE40's need not fit."""

KINDS = ("gather", "mixed", "dense", "full")
STALLS = (ALWAYS, Stall(0.3))


def gate_level(design: EmittedDesign, target: Target) -> EmittedDesign:
    """The netlist of a design, with the models of its cells; its ports are the design's."""
    with tempfile.TemporaryDirectory(prefix="focus-rtl-gates-") as kept:
        netlist_of(design, None, target, Path(kept))
        netlist = (Path(kept) / "netlist.v").read_text(encoding="utf-8")
    return EmittedDesign(design.top, models_of(target.family) + netlist, [design.top], {}, design.ports)


def run_gates(params: Parameters, target: Target, seed: int) -> CoreRun:
    """Jobs of several kinds and layers of pruning, without stalls and with them; errors as for `run_programs`."""
    rng = np.random.default_rng(seed)
    gates = gate_level(verilog_of(Core(params), "", "core"), target)
    jobs = [[*(random_core_job(rng, params, dense=kind == "dense", kind=kind, preload=bool(number % 2))
               for number, kind in enumerate(KINDS)), pruned_job(rng, params)] for _ in STALLS]
    batches = [[each.program(params, number) for number, each in enumerate(batch)] for batch in jobs]
    run = run_programs(params, batches, seed=seed, stall=STALLS, quick=True, design=gates)
    words = sum(each.words for each in run.programs)
    if not run.compared == run.expected == words > 0:
        raise AssertionError(f"{run.compared} words compared, {words} were due")
    return run


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.flow.gates", description="netlists, simulated")
    parser.add_argument("presets", nargs="*", help=f"presets of boards, or {', '.join(CASES)} (all of these)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31), help="of jobs and stalls")
    given = parser.parse_args()
    for name in given.presets or CASES:
        if name in CASES:
            preset, changes, board = CASES[name]
        elif name in preset_names() and any(name.startswith(target) for target in TARGETS):
            preset, changes, board = name, [], next(target for target in TARGETS if name.startswith(target))
        else:
            parser.error(f"no netlist of {name}: there are {', '.join(CASES)} and the presets of boards")
        run = run_gates(load(preset, changes).parameters, TARGETS[board], given.seed)
        print(f"{name} on {board}: {run.compared:,} words of {len(run.jobs)} jobs, all equal, {sum(run.cycles):,} "
              f"cycles; build {run.seconds_build:.0f} s, run {run.seconds_run:.0f} s; seed {given.seed}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
