# SPDX-License-Identifier: Apache-2.0
"""Finds Yosys and nextpnr, on the system or as YoWASP wheels; says what is missing, and runs them.

A tool of the system is used when it is as new as those that everything was tested with need to be, else the wheel's.
"""

import contextlib
import errno
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from focus_rtl.verif.bench.toolchain import Tool, ToolMissing

__all__ = ["TimedOut", "ToolFailed", "nextpnr_ecp5", "nextpnr_ice40", "read_json", "run_tool", "synthesis_tools",
           "yosys"]

YOSYS_MINIMUM = (0, 50)  # older ones cannot read what Amaranth writes (Debian's 0.23), or map memories otherwise
NEXTPNR_MINIMUM = (0, 7)  # the first with reports of out-of-context designs tried

SPACE = 1 << 16
"""Bytes that have to be free after a tool has run: without room it writes half a file and may say nothing."""


class ToolFailed(RuntimeError):
    """A tool ended with an error; the message holds the end of what it said."""


class TimedOut(ToolFailed):
    """A tool did not finish in the time that it was given."""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _version(path: str, option: str) -> str | None:
    try:
        done = subprocess.run([path, option], capture_output=True, text=True, errors="replace", check=False)
    except OSError:
        return None
    found = re.search(r"(\d+\.\d+[\w.+-]*)", done.stdout + done.stderr)
    return found[1] if done.returncode == 0 and found else None


def _find(name: str, option: str, minimum: tuple[int, ...]) -> Tool:
    beside = Path(sys.executable).parent  # a virtual environment that is not activated
    package, refused = f"yowasp-{name}", []
    for program, source in ((name, "PATH"), (package, f"PyPI package {package}")):
        path = shutil.which(program) or shutil.which(program, path=str(beside))
        if path is None:
            continue
        version = _version(path, option)
        if version is not None and _numbers(version) >= minimum:
            return Tool(name, path, version, source)
        refused.append(f"{path} is {version}, and {'.'.join(map(str, minimum))} or newer is needed" if version
                       else f"{path} does not say its version")
    cause = "; ".join(refused) or "not found, neither on PATH nor beside this Python"
    raise ToolMissing(name, cause, f"Install it: `pip install {package}` (its first call compiles for a minute)")


@functools.cache
def yosys() -> Tool:
    """Yosys, new enough to read Amaranth's cells."""
    return _find("yosys", "-V", YOSYS_MINIMUM)


@functools.cache
def nextpnr_ecp5() -> Tool:
    """nextpnr for ECP5."""
    return _find("nextpnr-ecp5", "--version", NEXTPNR_MINIMUM)


@functools.cache
def nextpnr_ice40() -> Tool:
    """nextpnr for iCE40."""
    return _find("nextpnr-ice40", "--version", NEXTPNR_MINIMUM)


def synthesis_tools() -> list[Callable[[], Tool]]:
    """What finds each of the tools: for `doctor`."""
    return [yosys, nextpnr_ecp5, nextpnr_ice40]


def run_tool(tool: Tool, folder: Path, *arguments: str, timeout: float | None = None) -> str:
    """Run a tool in `folder`, on files named relative to it (YoWASP sees no other); returns what it printed.

    timeout : seconds that it may take.

    Raises
    ------
    ToolFailed : it failed; the message holds the end of what it said.  TimedOut : it took too long, and was ended.
    OSError : no space is left in `folder`, whatever the tool says of it.
    """
    with subprocess.Popen([tool.path, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True) as process:
        try:
            said, _ = process.communicate(timeout=timeout)
        except BaseException as error:  # Ctrl-C as well: nothing outlives us
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimedOut(f"{tool.name} did not finish in {timeout:g} s") from None
            raise
    if shutil.disk_usage(folder).free < SPACE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    if process.returncode:
        tail = "\n".join(said.strip().splitlines()[-15:])
        raise ToolFailed(f"{tool.name} failed with code {process.returncode}:\n{tail}")
    return said


def read_json(path: Path) -> Any:
    """What a tool has written, from its first brace on; ToolFailed where that is not whole."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    try:
        return json.loads(text[text.find("{"):])
    except ValueError as error:
        raise ToolFailed(f"{path.name}, which a tool has written, is not whole: {error}") from error
