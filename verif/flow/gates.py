# SPDX-License-Identifier: Apache-2.0
"""The synthesised netlist of a core, simulated: jobs of the core's tests, every word compared with the golden model.

    python -m focus_rtl.verif.flow.gates                          # what is placed with every change: ECP5 and iCE40
    python -m focus_rtl.verif.flow.gates ecp5-85k-fp16 --seed 5   # another of the presets of boards

What is simulated is what is placed and routed, but for the pins: the same script, the cells as `models` has them.
"""

import argparse
import random
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from focus_rtl.gen.configuration import load
from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.gen.files import scratch
from focus_rtl.gen.flow.netlist import netlist_of
from focus_rtl.gen.flow.targets import TARGETS, Target
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.core import Core
from focus_rtl.verif.bench.streams import ALWAYS, Stall
from focus_rtl.verif.core.jobs import pruned_job, random_core_job
from focus_rtl.verif.core.run import CoreRun, run_programs
from focus_rtl.verif.flow.boards import ROWS
from focus_rtl.verif.flow.ending import ended
from focus_rtl.verif.flow.models import models_of

__all__ = ["gate_level", "run_gates"]

KINDS = ("gather", "mixed", "dense", "full")
STALLS = (ALWAYS, Stall(0.3))


def gate_level(design: EmittedDesign, target: Target) -> EmittedDesign:
    """The netlist of a design, with the models of its cells; its ports are the design's."""
    with scratch("gates") as folder:
        netlist_of(design, None, target, folder)
        netlist = (folder / "netlist.v").read_text(encoding="utf-8")
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


def _told(name: str, seed: int) -> str:
    row = ROWS[name]
    run = run_gates(load(row.source).parameters, TARGETS[row.target], seed)
    return (f"{name} on {row.target}: {run.compared:,} words of {len(run.jobs)} jobs, all equal, {sum(run.cycles):,} "
            f"cycles; build {run.seconds_build:.0f} s, run {run.seconds_run:.0f} s; seed {seed}")


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.flow.gates", description="netlists, simulated")
    parser.add_argument("presets", nargs="*", metavar="preset",
                        help=f"of {', '.join(ROWS)}; else those that are placed with every change")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31), help="of jobs and stalls")
    parser.add_argument("--jobs", type=int, default=1, help="presets at a time (1)")
    given = parser.parse_args()
    unknown = [name for name in given.presets if name not in ROWS]
    if unknown:
        parser.error(f"no netlist of {', '.join(unknown)}: there are {', '.join(ROWS)}")
    if given.jobs < 1:
        parser.error("--jobs is at least 1")
    names = given.presets or [name for name, row in ROWS.items() if row.ci]
    print(f"{', '.join(names)}: synthesised, then simulated, a minute or two each; seed {given.seed}", flush=True)
    pool = ThreadPoolExecutor(given.jobs)
    try:
        for told in pool.map(lambda name: _told(name, given.seed), names):
            print(told, flush=True)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C or an error no further preset begins
    return 0


if __name__ == "__main__":
    sys.exit(ended(main))
