# SPDX-License-Identifier: Apache-2.0
"""How the commands of this folder end: in words where the user can do something about it."""

import sys
from collections.abc import Callable

from focus_rtl.gen import failures
from focus_rtl.gen.errors import CommandError, Exit
from focus_rtl.gen.fpga import ToolFailed
from focus_rtl.gen.interrupts import take_as_interrupts
from focus_rtl.verif.bench.build import BuildError
from focus_rtl.verif.bench.runner import SimulationError
from focus_rtl.verif.bench.scoreboard import Mismatch
from focus_rtl.verif.bench.toolchain import ToolMissing

__all__ = ["ended"]


def ended(main: Callable[[], int]) -> int:
    """Run a command; returns its exit code, as of `focus-rtl`.  What is a defect of ours keeps its traceback."""
    take_as_interrupts()
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    except (CommandError, ToolFailed, ToolMissing, BuildError, SimulationError, Mismatch, OSError) as error:
        return failures.report(error)
