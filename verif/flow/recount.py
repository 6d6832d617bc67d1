# SPDX-License-Identifier: Apache-2.0
"""Transistors of recorded rows counted anew, for when only their estimate has changed: all else of a record stays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from focus_rtl.gen.synth import transistors
from focus_rtl.hdl.unit import Unit
from focus_rtl.verif.records import Record, put, read, stamp

__all__ = ["Counted", "recount"]


@dataclass(frozen=True)
class Counted:
    """A recorded row whose transistors can be counted.  design : today's SHA-256.  make : a fresh unit."""

    design: Callable[[], str]
    make: Callable[[], Unit]


def recount(path: Path, rows: Mapping[str, Counted], command: str,
            replaced: Callable[[Record, int], tuple[Record, int]]) -> list[str]:
    """Count the transistors of the rows that are recorded, and record them; returns the names of those that are stale.

    command : how this was called.  replaced : a record with another count -> the new one, and the count it had.
    The record says in `recounted` at which commit, with which tools.
    """
    known, stale = read(path), []
    for name, row in rows.items():
        if name not in known:
            continue
        if known[name]["design_sha256"] != row.design():
            stale.append(name)
            print(f"{name}: of another design than today's: not counted", flush=True)
            continue
        count = transistors(row.make())
        record, before = replaced(known[name], count)
        where = stamp(command, record["design_sha256"])
        put(path, name, record | {"recounted": {key: where[key] for key in ("command", "commit", "tools")}})
        print(f"{name}: {before:,} -> {count:,} transistors", flush=True)
    return stale
