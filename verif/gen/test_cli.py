# SPDX-License-Identifier: Apache-2.0
"""gen/cli.py: every command, every exit code, and never a traceback."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from focus_rtl.gen import cli, failures
from focus_rtl.gen.configuration import load, preset_names, preset_text
from focus_rtl.gen.emit import EmissionError
from focus_rtl.gen.errors import Exit, ToolMissing
from focus_rtl.gen.version import VERSION
from focus_rtl.golden.params import Parameters
from focus_rtl.verif.bench import cache, toolchain
from focus_rtl.verif.bench.build import BuildError
from focus_rtl.verif.gen.support import command, environment, focus_rtl

COMMANDS = ("presets", "check", "gen", "demo", "doctor", "verify-manifest")


def ok(*arguments: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = focus_rtl(*arguments, cwd=cwd, env=env)
    assert done.returncode == Exit.OK and done.stderr == "", done.stderr
    return done.stdout


def fails(code: Exit, *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = focus_rtl(*arguments, cwd=cwd, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and done.stderr.strip(), done.stderr
    return done.stderr


# --- help ---------------------------------------------------------------------------------------

def test_help_names_every_command_and_exit_code(tmp_path: Path) -> None:
    words = " ".join(ok("--help", cwd=tmp_path).split())
    assert all(name in words for name in COMMANDS)
    assert cli.EXIT_CODES in words


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches_by_an_example(name: str, tmp_path: Path) -> None:
    assert f"Example: focus-rtl {name}" in ok(name, "--help", cwd=tmp_path)


def test_version(tmp_path: Path) -> None:
    assert ok("--version", cwd=tmp_path).startswith(f"focus-rtl {VERSION} amaranth ")


def test_no_argument_shows_the_help(tmp_path: Path) -> None:
    assert "Usage: focus-rtl" in fails(Exit.USAGE, cwd=tmp_path)


# --- presets, check -----------------------------------------------------------------------------

def test_presets(tmp_path: Path) -> None:
    assert [line.split()[0] for line in ok("presets", cwd=tmp_path).splitlines()[1:]] == preset_names()
    shown = json.loads(ok("presets", "--json", cwd=tmp_path))
    assert {name: set(fields) - {"sha256"} for name, fields in shown.items()} == \
        {name: set(Parameters.KINDS) for name in preset_names()}
    assert ok("presets", "--show", "tiny", cwd=tmp_path) == preset_text("tiny")


def test_check_explains(tmp_path: Path) -> None:
    text = ok("check", "tiny", cwd=tmp_path)
    for words in ("is valid", "Memories", "KB", "Lanes", "What limits the throughput", "simulation build takes about"):
        assert words in text
    report = json.loads(ok("check", "tiny", "--set", "matchers=2", "--json", cwd=tmp_path))
    assert report["valid"] and report["configuration"]["matchers"] == 2
    assert report["config_sha256"] == load("tiny", ["matchers=2"]).parameters.sha256
    assert report["estimate"]["seconds"] > 0 and len(report["limits"]) == 3


def test_check_reports_every_problem(tmp_path: Path) -> None:
    wrong = ["--set", "rowz=1", "--set", "cols=x", "--set", "pe_depth=9"]
    text = fails(Exit.USAGE, "check", "tiny", *wrong, cwd=tmp_path)
    assert "3 problems" in text and "rowz = 1" in text and "cols = 'x'" in text and "pe_depth = 9" in text
    done = focus_rtl("check", "tiny", *wrong, "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert done.returncode == Exit.USAGE and not report["valid"]
    assert [set(problem) for problem in report["problems"]] == [{"field", "value", "rule", "suggestion"}] * 3


def test_check_reports_a_value_that_json_does_not_have(tmp_path: Path) -> None:
    done = focus_rtl("check", "tiny", "--set", "rows=2024-01-01", "--json", cwd=tmp_path)
    assert done.returncode == Exit.USAGE and json.loads(done.stdout)["problems"][0]["value"] == "2024-01-01"


# --- gen, verify-manifest -----------------------------------------------------------------------

@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated folder; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("gen") / "tiny"
    ok("gen", "tiny", "-o", folder, cwd=folder.parent)
    return folder


def copy_of(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_gen_writes_only_what_changed(tiny: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny, tmp_path / "rtl")
    (folder / "ports.md").write_text("changed", encoding="utf-8")
    (folder / "mine.txt").write_text("mine", encoding="utf-8")
    report = json.loads(ok("gen", "tiny", "-o", folder, "--json", cwd=tmp_path))
    assert report["written"] == ["ports.md"] and set(report["files"]) == {path.name for path in tiny.iterdir()}
    assert (folder / "mine.txt").read_text(encoding="utf-8") == "mine"
    assert (folder / "ports.md").read_bytes() == (tiny / "ports.md").read_bytes()


def test_a_wrong_configuration_writes_nothing(tmp_path: Path) -> None:
    fails(Exit.USAGE, "gen", "tiny", "--set", "rows=3", cwd=tmp_path)
    fails(Exit.USAGE, "gen", "tiny", "--prefix", "1", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_manifest_round_trip_and_corruption(tiny: Path, tmp_path: Path) -> None:
    states = json.loads(ok("verify-manifest", tiny, "--json", cwd=tmp_path))["files"]
    assert states == {path.name: "ok" for path in tiny.iterdir()}
    for name in states:
        folder = copy_of(tiny, tmp_path / f"changed {name}")
        content = (folder / name).read_bytes()
        place = content.index(b'"rows": 2') + 8 if name == "manifest.json" else len(content) // 2
        (folder / name).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1:])
        done = focus_rtl("verify-manifest", folder, cwd=tmp_path)
        assert done.returncode == Exit.MISMATCH and f"{name} " in done.stdout and "changed" in done.stdout


def test_manifest_with_missing_files(tiny: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny, tmp_path / "rtl")
    (folder / "ports.md").unlink()
    assert focus_rtl("verify-manifest", folder, cwd=tmp_path).returncode == Exit.IO
    (folder / "manifest.json").unlink()
    assert "manifest.json" in fails(Exit.IO, "verify-manifest", folder, cwd=tmp_path)


@pytest.mark.parametrize("change", [{"schema": "other/1"}, {"files": {"../x": "0"}}, {"top": 3}, {"more": 1}], ids=str)
def test_what_is_no_manifest_is_refused(tiny: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    folder = copy_of(tiny, tmp_path / "rtl")
    manifest = json.loads((folder / "manifest.json").read_bytes()) | change
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert "is not a manifest" in fails(Exit.IO, "verify-manifest", folder, cwd=tmp_path)
    (folder / "manifest.json").write_text("{", encoding="utf-8")
    assert "is not a manifest" in fails(Exit.IO, "verify-manifest", folder, cwd=tmp_path)


# --- the disk -----------------------------------------------------------------------------------

QUOTA = """
import resource
from focus_rtl.gen import __main__, files
write = files.write_folder
def limited(*arguments):
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    return write(*arguments)
files.write_folder = limited
__main__.main(["gen", "tiny", "-o", "rtl"])
"""


def test_full_disk_for_real(tmp_path: Path) -> None:
    """No file may grow beyond 8 KB, as under a quota: the Verilog does not fit.

    The limit is set just before the first write, because Yosys needs larger files in memory, which count, too.
    """
    done = subprocess.run([sys.executable, "-c", QUOTA], cwd=tmp_path, env=environment(), capture_output=True,
                          text=True, check=False, timeout=60)
    assert done.returncode == Exit.IO and "cannot write to rtl: File too large" in done.stderr
    assert "nothing was changed" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file", encoding="utf-8")
    home = str(tmp_path / "home")
    said = fails(Exit.IO, "gen", "tiny", cwd=tmp_path, env={"HOME": home, "XDG_CACHE_HOME": f"{home}/cache"})
    assert "Yosys" in said and "os error" in said and "XDG_CACHE_HOME" in said


def test_output_in_the_way_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "rtl").write_text("mine", encoding="utf-8")
    assert "is a file" in fails(Exit.IO, "gen", "tiny", "-o", "rtl", cwd=tmp_path)
    assert "cannot write" in fails(Exit.IO, "gen", "tiny", "-o", "rtl/below", cwd=tmp_path)
    assert (tmp_path / "rtl").read_text(encoding="utf-8") == "mine"


# --- interruption, pipes, colours ---------------------------------------------------------------

def hand_over(text: str, pipe: Path, process: subprocess.Popen[str]) -> None:
    """Write `text` into a named pipe as soon as `process` has opened it."""
    while True:
        assert process.poll() is None, process.communicate()
        try:
            writing = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError:  # nobody reads yet
            time.sleep(0.02)
    with os.fdopen(writing, "w", encoding="utf-8") as file:
        file.write(text)


def test_ctrl_c_ends_quietly_and_leaves_nothing(tmp_path: Path) -> None:
    """The configuration comes through a pipe: once it is taken the packages are loaded and the work begins."""
    configuration, folder = tmp_path / "paper.toml", tmp_path / "empty"
    folder.mkdir()
    os.mkfifo(configuration)
    with subprocess.Popen([*command, "gen", str(configuration)], cwd=folder, env=environment(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        hand_over(preset_text("paper"), configuration, process)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED and said.strip() == "interrupted"
    assert list(folder.iterdir()) == []


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*command, "presets"], cwd=tmp_path, env=environment(), stdout=writing,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (Exit.OK, "")


def on_terminal(folder: Path, env: dict[str, str]) -> str:
    """What `focus-rtl presets` prints when standard output is a terminal."""
    ours, theirs = pty.openpty()
    done = subprocess.run([*command, "presets"], cwd=folder, env=environment({"TERM": "xterm", "COLUMNS": "100"} | env),
                          stdout=theirs, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(theirs)
    text = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == Exit.OK
    return text


def test_colours_only_on_a_terminal_and_without_no_color(tmp_path: Path) -> None:
    piped = ok("presets", cwd=tmp_path)
    assert "\x1b" not in piped and piped.isascii()
    assert "\x1b" in on_terminal(tmp_path, {})
    assert on_terminal(tmp_path, {"NO_COLOR": "1"}).replace("\r\n", "\n") == piped


# --- the one handler of errors ------------------------------------------------------------------

@pytest.mark.parametrize("arguments", [["nothing"], ["gen"], ["gen", "tiny", "--nothing"], ["demo", "--seed", "x"],
                                       ["check", "tinny"], ["check", "tiny", "--set", "rows"]])
def test_usage_errors(arguments: list[str], tmp_path: Path) -> None:
    fails(Exit.USAGE, *arguments, cwd=tmp_path)


def test_input_errors(tmp_path: Path) -> None:
    assert "none.toml" in fails(Exit.IO, "check", "none.toml", cwd=tmp_path)


@pytest.mark.parametrize(("error", "code"), [
    (ToolMissing("no tool", "get it"), Exit.TOOL),
    (toolchain.ToolMissing("verilator", "none on PATH", "Install it"), Exit.TOOL),
    (EmissionError("Yosys failed"), Exit.TOOL),
    (PermissionError(13, "Permission denied", "x"), Exit.IO),
    (BuildError("c++ failed"), Exit.TOOL),
    (ZeroDivisionError("division by zero"), Exit.DEFECT),
])
def test_every_error_has_its_code_a_message_and_a_cure(error: Exception, code: Exit,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    assert failures.report(error) == code
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "\n  cure: " in said and "Traceback" not in said
    failures.report(error, debug=True)
    assert type(error).__name__ in capsys.readouterr().err


def test_a_cache_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failures.report(cache.storage_failure(tmp_path, "No space left on device")) == Exit.IO
    said = capsys.readouterr().err
    assert said.startswith(f"error: the build cache {tmp_path} cannot be written") and "--cache-dir" in said


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = focus_rtl("check", "none.toml", "--debug", cwd=tmp_path)
    assert done.returncode == Exit.IO and "Traceback" in done.stderr and "error: cannot read none.toml" in done.stderr


# --- doctor -------------------------------------------------------------------------------------

def test_doctor_finds_everything_here(tmp_path: Path) -> None:
    report = json.loads(ok("doctor", "--json", cwd=tmp_path))
    assert all(tool["found"] and tool["version"] for tool in report["tools"])
    synthesis = {f"{name} (synthesis)" for name in ("yosys", "nextpnr-ecp5", "nextpnr-ice40")}
    assert {"python", "verilator", "c++", "cocotb", "yosys", *synthesis} <= {tool["name"] for tool in report["tools"]}


def test_doctor_names_the_cure_of_what_is_missing(tmp_path: Path) -> None:
    done = focus_rtl("doctor", cwd=tmp_path, env={"PATH": str(tmp_path), "CXX": ""})
    assert done.returncode == Exit.TOOL and "Traceback" not in done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("c++"))
    assert "MISSING" in row and "apt install g++" in row
