# SPDX-License-Identifier: Apache-2.0
"""golden/ is a specification of its own: it imports nothing of hardware, generator, bench or their tools."""

import ast
from pathlib import Path

import pytest

from focus_rtl.golden import params

FOLDER = Path(params.__file__).parent
ALLOWED = {"ml_dtypes", "numpy", "focus_rtl.golden"}
STANDARD = {"collections", "dataclasses", "enum", "functools", "hashlib", "itertools", "json", "math", "typing"}
ORACLE_ALLOWED = {"focus_rtl.golden.job", "focus_rtl.golden.params"}


def imports(text: str) -> set[str]:
    """Every module that a file names in an import, whether at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("__import__", "exec"):
            found.add(node.func.id)
    return found


def foreign(names: set[str]) -> set[str]:
    """The imports that golden/ may not have."""
    return {name for name in names if name.split(".")[0] not in STANDARD
            and not any(name == allowed or name.startswith(allowed + ".") for allowed in ALLOWED)}


def test_golden_imports_only_numpy_and_itself() -> None:
    files = sorted(FOLDER.rglob("*.py"))
    assert {"core.py", "job.py", "formats.py", "matcher.py", "systolic.py"} <= {file.name for file in files}
    assert {str(file.relative_to(FOLDER)): bad for file in files if (bad := foreign(imports(file.read_text())))} == {}


@pytest.mark.parametrize("line", [
    "import amaranth", "from focus_rtl.hdl.unit import Unit", "from focus_rtl import hdl", "import focus_rtl.gen.emit",
    "from focus_rtl.verif import x", "import cocotb.triggers", "from ..hdl import unit", "import os",
    "def f():\n    import amaranth.sim", "from focus_rtl.goldenish import x", "__import__('amaranth')"])
def test_the_check_sees(line: str) -> None:
    assert foreign(imports(line))


@pytest.mark.parametrize(("name", "legal"), [("brute", ORACLE_ALLOWED), ("real", {"numpy", "numpy.typing"})])
def test_oracles_share_no_code_with_golden(name: str, legal: set[str]) -> None:
    text = (FOLDER.parent / "verif" / "oracles" / f"{name}.py").read_text()
    outside = {module for module in imports(text) if module.split(".")[0] not in STANDARD}
    assert outside <= legal
