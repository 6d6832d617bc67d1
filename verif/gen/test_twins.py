# SPDX-License-Identifier: Apache-2.0
"""docs/testing.md: every file of hardware has a test that builds it, and a model or a reason to have none."""

import ast
import functools
import re
from pathlib import Path

import pytest

from focus_rtl.verif.gen.support import ROOT

PAGE = ROOT / "docs" / "testing.md"


def table() -> dict[str, tuple[list[str], str]]:
    """Hardware file -> its tests, and what the page says of its model."""
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `hdl/"):
            name = cells[0].strip("`")
            assert len(cells) == 3 and name not in rows, f"docs/testing.md: {line}"
            rows[name] = re.findall(r"`([^`]+)`", cells[1]), cells[2]
    return rows


@functools.cache
def imports(path: Path) -> frozenset[Path]:
    """The project's files that a file imports, by name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            file = ROOT / (name.removeprefix("focus_rtl.").replace(".", "/") + ".py")
            if name.startswith("focus_rtl.") and file.exists():
                found.add(file)
    return frozenset(found)


def reached(path: Path) -> set[Path]:
    """The project's files that a file imports, directly or through others."""
    seen, ahead = {path}, [path]
    while ahead:
        new = imports(ahead.pop()) - seen
        seen |= new
        ahead += new
    return seen


def test_every_file_of_hardware_is_listed() -> None:
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "hdl").rglob("*.py") if path.name != "__init__.py"}
    assert len(files) > 30
    assert set(table()) == files, "docs/testing.md lists other files than there are in hdl/"


@pytest.mark.parametrize("name", table())
def test_its_tests_and_its_model_exist(name: str) -> None:
    tests, model = table()[name]
    assert tests, f"{name}: docs/testing.md names no test"
    for test in tests:
        path = ROOT / test
        assert path.name.startswith("test_") and path.exists(), f"{name}: there is no test {test}"
        assert ROOT / name in reached(path), f"{name}: {test} does not import it, directly or through others"
    if model.startswith("`"):
        assert model.startswith("`golden/") and (ROOT / model.strip("`")).exists(), f"{name}: there is no model {model}"
    else:
        assert re.match(r"none: \w.{8,}", model), f"{name}: neither a model nor a reason to have none"


def test_a_missing_import_would_be_found() -> None:
    assert ROOT / "hdl" / "core.py" not in reached(ROOT / "verif" / "sic" / "test_matcher.py")
    assert ROOT / "hdl" / "sic" / "map_buffer.py" in reached(ROOT / "verif" / "sic" / "test_scatter.py")
