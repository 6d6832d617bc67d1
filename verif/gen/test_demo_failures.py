# SPDX-License-Identifier: Apache-2.0
"""`focus-rtl demo` that cannot go on: one message, the documented exit code, at once where that is possible."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from focus_rtl.gen import __main__ as entry
from focus_rtl.gen import report
from focus_rtl.gen.configuration import load
from focus_rtl.gen.demo import run_demo
from focus_rtl.gen.errors import CommandError, Exit, InputOutputError
from focus_rtl.gen.machine import Simulator
from focus_rtl.verif.bench.build import BuildError
from focus_rtl.verif.bench.runner import SimulationError
from focus_rtl.verif.bench.scoreboard import Mismatch
from focus_rtl.verif.bench.streams import ProtocolError, Starved
from focus_rtl.verif.gen.pretend import pretend
from focus_rtl.verif.gen.support import command, environment

TINY = load("tiny").parameters


def unreachable(*_: Any, **__: Any) -> None:
    raise AssertionError("the demo began although it cannot end")


def demo(*arguments: str) -> int | str | None:
    """The exit code of `focus-rtl demo --preset tiny`, in this process."""
    with pytest.raises(SystemExit) as end:
        entry.main(["demo", "--preset", "tiny", *arguments])
    return end.value.code


def only_message(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("error: ") == said.count("\n  cure: ") == 1
    assert "Traceback" not in said
    return said


# --- wrong hardware -----------------------------------------------------------------------------

@pytest.mark.parametrize("error", [
    SimulationError("the simulator died"), Mismatch("tile 1, token 3"), ProtocolError("valid dropped"),
    Starved("nothing moved")])
@pytest.mark.parametrize("where", ["prepare", "prune", "run"])
def test_an_error_of_the_bench_is_a_mismatch(error: Exception, where: str, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: Any) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    pretend(monkeypatch)
    monkeypatch.setattr(Simulator, where, broken)
    assert demo() == Exit.MISMATCH and str(error) in only_message(capsys)
    assert list(tmp_path.iterdir()) == []


# --- prompts that cannot be used ----------------------------------------------------------------

@pytest.mark.parametrize(("prompt", "words"), [
    ("", "is not five whole numbers"), ("0,0,0,1", "is not five whole numbers"), ("0,0,0,1,x", "is not five whole"),
    ("-1,0,0,1,1", "is not five whole numbers"), ("0,0,0,1,1,1", "is not five"), ("0,0,0,1.5,1", "is not five"),
    ("0,0,0,\u0661,1", "is not five"), ("6,0,0,1,1", "there is no frame 6, this video is 6 frames of 3 rows and 3"),
    ("0,0,0,3,1", "there is no row 3"), ("0,0,0,1,3", "there is no column 3"), ("0,2,0,1,1", "the box is empty"),
    ("0,0,2,1,1", "the box is empty")])
def test_a_prompt_that_is_wrong_is_refused_at_once(prompt: str, words: str, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for first in ("photo_clip", "source_of"):
        monkeypatch.setattr(f"focus_rtl.gen.demo.{first}", unreachable)
    assert demo("--prompt", "0,0,0,1,1", "--prompt", prompt) == Exit.USAGE
    said = only_message(capsys)
    assert words in said and "write f,r0,c0,r1,c1" in said and "rows 0 .. 2" in said


def test_a_prompt_with_more_patches_than_there_is_room_for() -> None:
    small = load("tiny", ["tokens_max=56"]).parameters
    with pytest.raises(CommandError) as caught:
        run_demo(small, prompt=["0,0,0,0,2"], picture_file=None)
    assert caught.value.code == Exit.USAGE
    assert "3 patches" in caught.value.cause and "2 text tokens" in caught.value.cause


# --- builds -------------------------------------------------------------------------------------

def test_a_build_that_fails_is_a_missing_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise BuildError("g++ failed with code 1:\nno such flag")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("focus_rtl.gen.machine.build", broken)
    assert demo() == Exit.TOOL
    said = only_message(capsys)
    assert "g++ failed" in said and "focus-rtl doctor" in said and list(tmp_path.iterdir()) == []


def broken_compiler(folder: Path, does: str) -> str:
    """A compiler that states its version and then does something else than to compile."""
    path = folder / "broken-c++"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "broken 1.0 (clang)" && exit 0\n{does}\n')
    path.chmod(0o755)
    return str(path)


def test_a_compiler_that_fails_for_real(tmp_path: Path) -> None:
    compiler = broken_compiler(tmp_path, "echo it is broken >&2; exit 7")
    done = subprocess.run([*command, "demo", "--preset", "tiny", "--cache-dir", "cache"], cwd=tmp_path, check=False,
                          env=environment({"CXX": compiler}), capture_output=True, text=True, timeout=300)
    assert done.returncode == Exit.TOOL and "Traceback" not in done.stderr
    assert "broken-c++ failed with code 7" in done.stderr and "it is broken" in done.stderr
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".lock"}
    assert not (tmp_path / "focus-demo.png").exists()


def test_ctrl_c_while_it_compiles(tmp_path: Path) -> None:
    """The signal goes to the command alone, as a supervisor sends it: it has to end the compiler itself."""
    compiler = broken_compiler(tmp_path, f"echo $$ >> '{tmp_path}/compilers'; exec sleep 300")
    cache = tmp_path / "cache"
    with subprocess.Popen([*command, "demo", "--preset", "tiny", "--cache-dir", "cache"], cwd=tmp_path, text=True,
                          env=environment({"CXX": compiler}), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 200
        while not (tmp_path / "compilers").exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        assert list(cache.glob("*.partial-*"))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED and said.strip() == "interrupted"
    assert {path.suffix for path in cache.iterdir()} == {".lock"}
    for compiler_id in (tmp_path / "compilers").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(compiler_id), 0)


# --- files that cannot be written ---------------------------------------------------------------

@pytest.mark.parametrize("option", ["--json", "--picture"])
@pytest.mark.parametrize(("name", "words"), [
    (".", "is a folder"), ("no/a.json", "there is no folder"), ("file/a.json", "there is no folder"),
    ("/proc/focus", "cannot write /proc/focus")])
def test_a_file_that_cannot_be_written_is_refused_at_once(option: str, name: str, words: str, tmp_path: Path,
                                                          monkeypatch: pytest.MonkeyPatch,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    for first in ("photo_clip", "source_of"):
        monkeypatch.setattr(f"focus_rtl.gen.demo.{first}", unreachable)
    assert demo(option, name) == Exit.IO and words in only_message(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system"),
                                   OSError(28, "No space left on device")])
def test_a_folder_that_takes_no_file_is_refused_at_once(error: OSError, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: Any) -> None:
        raise error

    monkeypatch.setattr("focus_rtl.gen.report.tempfile.TemporaryFile", refused)
    with pytest.raises(InputOutputError) as caught:
        run_demo(TINY, json_file=tmp_path / "a.json", picture_file=None)
    assert caught.value.cause == f"cannot write {tmp_path / 'a.json'}: {error.strerror}" and caught.value.cure


def test_a_target_is_not_touched_by_the_check(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("before")
    os.mkfifo(tmp_path / "pipe")
    for name in ("a.json", "b.json", "pipe"):
        report.check_target(tmp_path / name)
    report.check_target(None)
    assert (tmp_path / "a.json").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "pipe"]


def test_waves_need_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for suffix in ("fst", "vcd"):
        (tmp_path / f"focus-demo.{suffix}").mkdir()
    with pytest.raises(InputOutputError, match="is a folder"):
        run_demo(TINY, waves=True)


def test_figures_and_picture_do_not_overwrite_each_other(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        run_demo(TINY, json_file=tmp_path / "a", picture_file=tmp_path / "." / "a")
    assert caught.value.code == Exit.USAGE and "both" in caught.value.cause


def test_macros_are_refused() -> None:
    with pytest.raises(CommandError) as caught:
        run_demo(load("tiny", ["memories=macros"]).parameters)
    assert caught.value.code == Exit.USAGE and "black boxes" in caught.value.cause
