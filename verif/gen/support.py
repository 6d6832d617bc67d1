# SPDX-License-Identifier: Apache-2.0
"""Runs the command line as a user does, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["ROOT", "command", "environment", "focus_rtl"]

ROOT = Path(__file__).resolve().parents[2]
"""The checkout (or the installed package) that is being tested."""

command = [sys.executable, "-m", "focus_rtl.gen"]


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the tests without what changes the output, and with `changes`."""
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    return kept | dict(changes or {})


def focus_rtl(*arguments: str | Path, cwd: Path,
              env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `focus-rtl` in folder `cwd`."""
    return subprocess.run([*command, *map(str, arguments)], cwd=cwd, env=environment(env), capture_output=True,
                          text=True, encoding="utf-8", check=False, timeout=300)
