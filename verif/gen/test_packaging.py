# SPDX-License-Identifier: Apache-2.0
"""The project around the code: what the wheel holds, what the documentation says, what a fresh machine is told."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from focus_rtl.gen import cli
from focus_rtl.gen.configuration import load, preset_names
from focus_rtl.gen.errors import Exit
from focus_rtl.gen.ports import STREAMS, port_rows
from focus_rtl.golden.params import RULES, Parameters
from focus_rtl.hdl.core import Core
from focus_rtl.hdl.layouts import COUNTERS, ERRORS
from focus_rtl.verif.gen.support import ROOT

PARTS = ("golden", "hdl", "gen", "verif")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))


def document(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """The text below a Markdown heading, up to the next one."""
    return re.split(r"^#+ ", text.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    """The first cell of every row of a Markdown table, without its head."""
    return [match.strip("` ") for match in re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)][2:]


# --- the wheel ----------------------------------------------------------------------------------

def test_every_folder_with_code_is_a_listed_package() -> None:
    folders = {path.parent.relative_to(ROOT) for path in SOURCES}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders)
    assert PROJECT["tool"]["setuptools"]["packages"] == sorted("focus_rtl." + ".".join(f.parts) for f in folders)


def test_presets_and_weights_are_package_data() -> None:
    assert PROJECT["tool"]["setuptools"]["package-data"] == {
        "focus_rtl.gen": ["presets/*.toml"], "focus_rtl.gen.flow": ["weights.json"]}
    assert {path.stem for path in (ROOT / "gen" / "presets").iterdir()} == set(preset_names())


def test_no_root_package() -> None:
    assert not (ROOT / "__init__.py").exists()


def test_every_source_names_its_licence() -> None:
    files = [*SOURCES, ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / ".ci" / "find-python"]
    assert len(files) > 50
    assert [path for path in files if "SPDX-License-Identifier: Apache-2.0" not in path.read_text("utf-8")[:120]] == []
    assert "Apache License" in document("LICENSE") and PROJECT["project"]["license"] == "Apache-2.0"


def test_the_lock_pins_every_dependency_and_names_no_host() -> None:
    lines = [line for line in document("requirements.lock").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9a-z.+]+", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = PROJECT["project"]["dependencies"] + [item for extra in extras.values() for item in extra]
    assert {item.split()[0] for item in wanted} <= pinned


def test_every_dependency_bound_has_a_reason() -> None:
    bounds = re.findall(r'^ *"[a-z-]+ [<>=].*$', document("pyproject.toml"), re.MULTILINE)
    assert len(bounds) > 10 and all(re.search(r'",  # \w.{8,}', bound) for bound in bounds)


# --- the documentation --------------------------------------------------------------------------

def test_links_lead_somewhere() -> None:
    count = 0
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
                count += 1
    assert count > 10


def test_cli_page_lists_the_keys_of_a_configuration() -> None:
    table = section(document("docs/cli.md"), "## Configuration keys")
    assert first_cells(table) == list(Parameters.KINDS)
    for rule in RULES:
        if len(rule.fields) == 1 and "between" in rule.sentence:
            low, high = re.findall(r"\d+", rule.sentence)[-2:]
            row = next(line for line in table.splitlines() if line.startswith(f"| `{rule.fields[0]}` "))
            assert low in row and high in row, row


def test_cli_page_lists_the_exit_codes() -> None:
    assert first_cells(section(document("docs/cli.md"), "## Exit codes")) == [str(int(code)) for code in Exit]


COMMANDS: Any = typer.main.get_command(cli.app)


@pytest.mark.parametrize("name", COMMANDS.commands)
def test_cli_page_lists_every_option(name: str) -> None:
    page = section(document("docs/cli.md"), f"## focus-rtl {name}")
    options = {option for parameter in COMMANDS.commands[name].params for option in parameter.opts
               if option.startswith("--") and option != "--help"}
    assert {option for option in options if f"`{option}" not in page} == set()
    assert set(re.findall(r"`(--[a-z-]+)", page)) <= options


def test_ports_page_lists_the_fields_of_every_stream() -> None:
    page = document("docs/ports.md")
    for row in port_rows(Core(load("tiny").parameters)):
        if row.name.endswith("_payload"):
            table = first_cells(section(page, f"### {row.stream}"))
            assert table == [item.name for item in row.fields], row.stream
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == list(STREAMS)
    assert first_cells(section(page, "## Error codes")) == [str(code) for code in ERRORS.values()]
    counters = first_cells(section(page, "### status"))[1:]
    assert counters == list(COUNTERS)


def test_make_help_names_every_target() -> None:
    text = document("Makefile")
    targets = set(re.findall(r"^([a-z]+):", text, re.MULTILINE)) - {"help"}
    shown = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^make ([a-z]+)", shown, re.MULTILINE)) == targets
    assert set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()) == targets | {"help"}


# --- a fresh machine ----------------------------------------------------------------------------

def find_python(folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run `.ci/find-python` where only these programs (name -> shell script) are on PATH."""
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    env = {"PATH": str(folder)}
    return subprocess.run(["/bin/sh", str(ROOT / ".ci" / "find-python")], env=env, capture_output=True, text=True,
                          check=False, timeout=60)


OLD = 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac'
NEW = "exit 0"
NO_VENV = 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac'


def test_the_first_python_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    done = find_python(tmp_path, **{"python3": OLD, "python3.12": NEW})
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/python3.12\n")


def test_an_old_python_is_refused_with_the_cure(tmp_path: Path) -> None:
    done = find_python(tmp_path, python3=OLD)
    assert done.returncode == 1 and "Python 3.11 or newer is needed" in done.stderr
    assert "found Python 3.9.2" in done.stderr and "cure: " in done.stderr


def test_no_python_at_all(tmp_path: Path) -> None:
    done = find_python(tmp_path)
    assert done.returncode == 1 and "found no python3" in done.stderr


def test_a_python_without_venv_is_refused_with_the_cure(tmp_path: Path) -> None:
    done = find_python(tmp_path, python3=NO_VENV)
    assert done.returncode == 1 and "apt install python3-venv" in done.stderr
