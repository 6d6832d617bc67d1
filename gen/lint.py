# SPDX-License-Identifier: Apache-2.0
"""Verilator's lint of emitted cores, with the waiver files that were generated beside them."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from focus_rtl.gen.manifest import read_manifest
from focus_rtl.verif.bench.toolchain import toolchain

__all__ = ["black_boxes", "lint"]


def lint(folders: Sequence[Path], top: Path, work: Path) -> str:
    """Everything that `verilator --lint-only -Wall` says of a design; an empty string when it is silent.

    Parameters
    ----------
    folders : generated cores, all part of the one design.
    top : Verilog file of the design's top, for example an emitted `<top>_example.v`.
    work : folder for stubs of the memory macros, which a user has to supply.
    """
    waivers: list[str] = []
    sources: list[str] = []
    macros: dict[str, dict[str, int]] = {}
    for folder in folders:
        manifest = read_manifest(folder)
        waivers.append(str(folder / f"{manifest.top}.vlt"))
        sources.append(str(folder / f"{manifest.top}.v"))
        macros |= manifest.macros
    stubs = []
    if macros:
        stubs = [str(work / "macros.v")]
        (work / "macros.v").write_text(black_boxes(macros), encoding="utf-8")
    tools = toolchain()
    done = subprocess.run(
        [tools.verilator.path, "--lint-only", "-Wall", "--top-module", top.stem, *waivers, *sources, *stubs, str(top)],
        capture_output=True, text=True, check=False, env=tools.environment())
    lines = (done.stdout + done.stderr).splitlines()
    said = "\n".join(line for line in lines if not line.startswith("- ")).strip()  # `- ` begins its statistics
    return said or ("" if done.returncode == 0 else f"verilator ended with exit code {done.returncode}")


def black_boxes(macros: dict[str, dict[str, int]]) -> str:
    """Empty modules with the ports of the macros: enough to check the connections."""
    lines = ["/* verilator lint_off DECLFILENAME */", "/* verilator lint_off UNUSEDSIGNAL */",
             "/* verilator lint_off UNDRIVEN */"]
    for name, shape in macros.items():
        address, word = max((shape["words"] - 1).bit_length(), 1) - 1, shape["bits"] - 1
        lines.append(
            f"module {name}(input clk, input w_en, input [{address}:0] w_addr, input [{word}:0] w_data, input r_en, "
            f"input [{address}:0] r_addr, output [{word}:0] r_data);\nendmodule")
    return "\n".join(lines) + "\n"
