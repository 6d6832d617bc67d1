# SPDX-License-Identifier: Apache-2.0
"""What a command ends with: the exit codes, and the errors that carry one."""

from enum import IntEnum

__all__ = ["CommandError", "Exit", "InputOutputError", "SimulationFailed", "ToolMissing"]


class Exit(IntEnum):
    """Exit codes of `focus-rtl`, part of its public interface."""

    OK = 0
    MISMATCH = 1
    USAGE = 2
    TOOL = 3
    IO = 4
    DEFECT = 70
    INTERRUPTED = 130


class CommandError(Exception):
    """A message for the user: its first sentence is the cause, `cure` says what to do."""

    code = Exit.USAGE

    def __init__(self, cause: str, cure: str = "") -> None:
        self.cause, self.cure = cause, cure
        super().__init__(cause)


class ToolMissing(CommandError):
    """A program or a Python package that the command needs is not there."""

    code = Exit.TOOL


class InputOutputError(CommandError):
    """A file or folder cannot be read or written."""

    code = Exit.IO


class SimulationFailed(CommandError):
    """The hardware broke a stream's rules, stopped, or took too long: there are no figures."""

    code = Exit.MISMATCH
