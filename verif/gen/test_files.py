# SPDX-License-Identifier: Apache-2.0
"""gen/files.py: a folder is written whole or not at all, whichever write fails."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from focus_rtl.gen.errors import InputOutputError
from focus_rtl.gen.files import write_folder

NEW = {"a.v": b"new a", "b.v": b"new b", "c.json": b"new c"}
OLD = {"a.v": b"old a", "c.json": b"new c", "mine.txt": b"not ours"}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def failing(function: Callable[..., Any], turn: int, code: int) -> Callable[..., Any]:
    """`function`, except that its call number `turn` fails as the system would."""
    calls = iter(range(1_000_000))

    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == turn:
            raise OSError(code, os.strerror(code))
        return function(*arguments, **keywords)
    return wrapped


def refusal(target: Path) -> InputOutputError | None:
    try:
        write_folder(target, NEW)
    except InputOutputError as error:
        return error
    return None


def test_a_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    target = tmp_path / "x" / "y"
    assert write_folder(target, NEW) == list(NEW)
    assert contents(tmp_path) == {f"x/y/{name}": content for name, content in NEW.items()}


def test_only_what_changed_is_written_and_other_files_stay(tmp_path: Path) -> None:
    for name, content in OLD.items():
        (tmp_path / name).write_bytes(content)
    untouched = {name: (tmp_path / name).stat().st_mtime_ns for name in ("c.json", "mine.txt")}
    assert write_folder(tmp_path, NEW) == ["a.v", "b.v"]
    assert contents(tmp_path) == NEW | {"mine.txt": b"not ours"}
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in untouched} == untouched
    assert write_folder(tmp_path, NEW) == []


@pytest.mark.parametrize("existing", [False, True], ids=["new folder", "existing folder"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT], ids=errno.errorcode.get)
def test_whatever_fails_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: bool,
                                                code: int) -> None:
    """Every call that writes fails once, at every turn; in the end each of them has failed at least once."""
    failures = 0
    for name in ("fsync", "mkdir", "replace", "rename"):
        for turn in range(20):
            target = tmp_path / f"{name}{turn}" / "rtl"
            if existing:
                target.mkdir(parents=True)
                for file, content in OLD.items():
                    (target / file).write_bytes(content)
            before = contents(tmp_path)
            folders = sorted(tmp_path.rglob("*"))
            with monkeypatch.context() as patch:
                patch.setattr(os, name, failing(getattr(os, name), turn, code))
                error = refusal(target)
            if error is None:
                break  # it makes no call number `turn`
            failures += 1
            assert os.strerror(code) in error.cause and str(target) in error.cause and error.cure
            assert contents(tmp_path) == before and sorted(tmp_path.rglob("*")) == folders
    # New: 3 writes, 1 parent (tried twice), the staging folder and the one in it, 1 move.  Existing: 2 files change.
    assert failures >= (2 + 3 + 3 if existing else 3 + 3 + 1)


@pytest.mark.parametrize("target", ["file", "file/below"])
def test_a_file_in_the_way_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(InputOutputError):
        write_folder(tmp_path / target, NEW)
    assert contents(tmp_path) == {"file": b"mine"}
