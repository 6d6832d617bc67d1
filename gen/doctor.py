# SPDX-License-Identifier: Apache-2.0
"""What `focus-rtl doctor` looks at: the tools of bench and synthesis, the Python packages of the demo, this Python."""

import dataclasses
import importlib.metadata
import platform
import sys
from dataclasses import dataclass
from typing import Any

from focus_rtl.gen.fpga import synthesis_tools
from focus_rtl.verif.bench.toolchain import Tool, ToolMissing, survey

__all__ = ["PACKAGES", "Found", "examine"]

PACKAGES: tuple[tuple[str, str], ...] = (
    ("amaranth", "pip install focus-rtl"),
    ("numpy", "pip install focus-rtl"),
    ("pytest", "pip install 'focus-rtl[sim]'"),
    ("filelock", "pip install 'focus-rtl[sim]'"),
    ("av", "pip install 'focus-rtl[video]'"),
    ("matplotlib", "pip install 'focus-rtl[video]'"),
    ("pillow", "pip install 'focus-rtl[video]'"),
)
"""Python packages beyond the bench's own tools, and what brings them."""


@dataclass(frozen=True)
class Found:
    """One tool: whether it is here, its version, and where it is or how to get it (`note`)."""

    name: str
    found: bool
    version: str
    note: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON reports."""
        return {"name": self.name, "found": self.found, "version": self.version, "note": self.note}


def examine() -> list[Found]:
    """Every tool and package, found or not."""
    python = Found("python", sys.version_info >= (3, 11), platform.python_version(), sys.executable)
    tools = [Found(item.tool, False, "", f"{item.cause}. {item.cure}") if isinstance(item, ToolMissing)
             else Found(item.name, True, item.version, f"{item.path} ({item.source})")
             for item in (*survey(), *_synthesis())]
    return [python, *tools, *(_package(name, cure) for name, cure in PACKAGES)]


def _synthesis() -> list[Tool | ToolMissing]:
    found: list[Tool | ToolMissing] = []
    for finder in synthesis_tools():
        try:
            tool = finder()
            found.append(dataclasses.replace(tool, name=f"{tool.name} (synthesis)"))
        except ToolMissing as missing:
            found.append(ToolMissing(f"{missing.tool} (synthesis)", missing.cause, missing.cure))
    return found


def _package(name: str, cure: str) -> Found:
    try:
        return Found(name, True, importlib.metadata.version(name), "Python package")
    except importlib.metadata.PackageNotFoundError:
        return Found(name, False, "", cure)
