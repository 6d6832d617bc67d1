# SPDX-License-Identifier: Apache-2.0
"""Programs and findings in place of Yosys and nextpnr: for what the real ones do not do on demand."""

import dataclasses
import stat
from pathlib import Path
from typing import Any

import pytest

from focus_rtl.gen.flow import run as flow
from focus_rtl.gen.flow.estimate import Estimate
from focus_rtl.gen.flow.netlist import Netlist
from focus_rtl.gen.flow.targets import TARGETS, Target
from focus_rtl.gen.flow.tree import Branch
from focus_rtl.gen.units import choose
from focus_rtl.verif.bench.toolchain import Tool

__all__ = ["HX8K", "REPORT", "canned", "running", "stub", "with_nextpnr", "work_on"]

HX8K = TARGETS["ice40-hx8k"]


def hop(cell: str, to: str, ns: float) -> dict[str, Any]:
    return {"delay": ns, "from": {"cell": cell}, "to": {"cell": to}, "type": "logic"}


REPORT = {
    "fmax": {"clk": {"achieved": 25.04, "constraint": 48}},
    "utilization": {"ICESTORM_LC": {"used": 90, "available": 7680}, "ICESTORM_RAM": {"used": 1, "available": 32}},
    "critical_paths": [
        {"from": "<async>", "to": "posedge clk", "path": [hop("rst", "reset_SB_DFF_Q_D", 99.0)]},
        {"from": "posedge clk", "to": "posedge clk", "path": [
            hop("core.gather.best_SB_DFF_Q_2", "core.gather.best_SB_DFF_Q_2", 1.0),
            hop("core.gather.best_SB_DFF_Q_2", "core.gather.far_SB_LUT4_I3", 4.5),
            hop("core.gather.far_SB_LUT4_I3", "$nextpnr_ICESTORM_LC_3", 0.5),
            hop("$nextpnr_ICESTORM_LC_3", "core.scatter.lane0.sum_SB_DFFE_Q", 33.94)]},
        {"from": "posedge clk", "to": "posedge clk", "path": [hop("source_SB_DFF_Q", "core.a_SB_DFF_Q", 2.0)]}]}


def stub(folder: Path, name: str, version: str, body: str = "exit 0") -> Path:
    """A program that states a version and otherwise does `body`."""
    path = folder / name
    path.write_text(f'#!/bin/sh\ncase "$1" in -V|--version) echo "{version}"; exit 0;; esac\n{body}\n', "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def with_nextpnr(target: Target, path: Path) -> Target:
    """The target, placed by that program."""
    family = dataclasses.replace(target.family, place=lambda: Tool("nextpnr-ice40", str(path), "0.99", "PATH"))
    return dataclasses.replace(target, family=family)


def work_on(target: Target) -> flow.Work:
    """A small unit, to be synthesised for a target."""
    chosen = choose("narrow")
    return flow.Work("narrow", chosen.make, chosen.configuration, chosen.sha256, target, 48)


def canned(monkeypatch: pytest.MonkeyPatch, **takes: int) -> None:
    """Synthesis that always finds the same."""
    whole = {"lut": 60, "ff": 16, "dsp": 0, "ram": 0} | takes
    found = Netlist([(Branch(("part",), "part", 2), whole)], whole, whole, [whole], [])
    monkeypatch.setattr(flow, "netlist_of", lambda *_: found)
    monkeypatch.setattr(flow, "estimate_design", lambda *_: Estimate({"lut": 1, "ff": 1, "dsp": 0, "ram": 0}, {}))
    monkeypatch.setattr(flow, "transistors_of", lambda design, *_: {design.top: 1000, "part": 400})


def running(process: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
