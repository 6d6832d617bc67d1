# SPDX-License-Identifier: Apache-2.0
"""The synthesised netlist of a core in the place of its Verilog: all that the core's tests check, bit for bit.

    python -m focus_rtl.verif.flow.gates                          # all presets of boards
    python -m focus_rtl.verif.flow.gates --ci                     # those of every change: an ECP5 and an iCE40
    python -m focus_rtl.verif.flow.gates ecp5-85k-fp16 --seed 5   # one of them

What is simulated is what is placed and routed, but for the pins: the same script, the cells as `models` has them.
"""

import argparse
import random
import sys
from collections.abc import Callable, Sequence

from focus_rtl.gen.configuration import load
from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.gen.errors import Exit
from focus_rtl.gen.files import scratch
from focus_rtl.gen.flow.netlist import netlist_of
from focus_rtl.gen.flow.targets import TARGETS, Target
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.core import Core
from focus_rtl.verif.core import bad_data, checks
from focus_rtl.verif.core.checks import Check, Device
from focus_rtl.verif.core.run import CoreRun
from focus_rtl.verif.flow.boards import ROWS
from focus_rtl.verif.flow.ending import ended
from focus_rtl.verif.flow.models import models_of
from focus_rtl.verif.flow.workers import ChildFailed, workers

__all__ = ["checks_of", "gate_level", "run_gates"]


def checks_of(params: Parameters) -> list[Check]:
    """What `verif/core/test_core.py` checks, as far as it is of any configuration, or of this one."""
    found = [checks.back_to_back, checks.lagging, checks.reset_in_mid_job, checks.concentrated, checks.many_tiles,
             checks.late_offsets, checks.late_positions, bad_data.bad_counts, bad_data.bad_videos, bad_data.bad_tile,
             bad_data.bad_data, bad_data.void, bad_data.lowest_error]
    return found + ([bad_data.bad_scales] if params.dtype == "int8" else [])


def gate_level(design: EmittedDesign, target: Target) -> EmittedDesign:
    """The netlist of a design, with the models of its cells; its ports are the design's."""
    with scratch("gates") as folder:
        netlist_of(design, None, target, folder)
        netlist = (folder / "netlist.v").read_text(encoding="utf-8")
    return EmittedDesign(design.top, models_of(target.family) + netlist, [design.top], {}, design.ports)


def run_gates(params: Parameters, target: Target, seed: int, told: Callable[[str], None]) -> list[CoreRun]:
    """Every check of a core's netlist; errors as for `run_programs`, AssertionError where a check fails."""
    device = Device(params, gate_level(verilog_of(Core(params), "", "core"), target))
    runs = []
    for check in checks_of(params):
        run = check(device, seed)
        told(f"{check.__name__}: {run.compared:,} words of {len(run.jobs)} jobs in {sum(run.cycles):,} cycles")
        runs.append(run)
    return runs


def _told(name: str, seed: int) -> str:
    row = ROWS[name]
    runs = run_gates(load(row.source).parameters, TARGETS[row.target], seed,
                     lambda text: print(f"{name}: {text}", file=sys.stderr, flush=True))
    words, cycles, jobs = (sum(each) for each in zip(*(
        (run.compared, sum(run.cycles), len(run.jobs)) for run in runs), strict=True))
    return (f"{name} on {row.target}: {words:,} words of {jobs} jobs, all equal, {cycles:,} cycles; "
            f"simulated in {sum(run.seconds_run for run in runs):.0f} s; seed {seed}")


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.flow.gates", description="netlists, simulated")
    parser.add_argument("presets", nargs="*", metavar="preset", help=f"{', '.join(ROWS)}; else all")
    parser.add_argument("--ci", action="store_true", help="only those that are placed with every change")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31), help="of jobs and stalls")
    parser.add_argument("--jobs", type=int, default=1, help="presets at a time (1)")
    given = parser.parse_args()
    unknown = [name for name in given.presets if name not in ROWS]
    if unknown:
        parser.error(f"no netlist of {', '.join(unknown)}: there are {', '.join(ROWS)}")
    if given.jobs < 1:
        parser.error("--jobs is at least 1")
    names = given.presets or [name for name, row in ROWS.items() if row.ci or not given.ci]
    print(f"{', '.join(names)}: synthesised, then simulated, some minutes each; seed {given.seed}", file=sys.stderr,
          flush=True)
    if len(names) == 1:
        print(_told(names[0], given.seed), flush=True)
        return 0
    return _in_own_processes(names, given.jobs, given.seed)


def _in_own_processes(names: Sequence[str], jobs: int, seed: int) -> int:
    """Each preset by itself; one that fails does not hide the others.  Returns the exit code: 1 before any other."""
    codes = []
    with workers(jobs) as (pool, children):
        waiting = {name: pool.submit(children.run, "focus_rtl.verif.flow.gates", name, "--seed", str(seed))
                   for name in names}
        for name, done in waiting.items():
            try:
                print(done.result(), end="", flush=True)
            except ChildFailed as error:  # its words have been said
                codes.append(error.code if error.code > 0 else Exit.TOOL)  # below 0: ended by a signal
                print(f"{name}: FAILED", flush=True)
    return min(codes, default=0)


if __name__ == "__main__":
    sys.exit(ended(main))
