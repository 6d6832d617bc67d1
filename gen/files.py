# SPDX-License-Identifier: Apache-2.0
"""Write a set of files into a folder: all of them, or none.

The files are first written into a temporary folder on the same file system, where a full disk or a quota does no harm,
and then moved.  A file whose bytes are already there is not touched, so that build tools see no change.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from focus_rtl.gen.errors import InputOutputError

__all__ = ["require_folder", "scratch", "write_folder"]


def write_folder(target: Path, files: Mapping[str, bytes]) -> list[str]:
    """Make `target` hold `files` (name -> bytes); files of other names in it stay as they are.

    Returns the names of those that were written, in order; the others held the same bytes already.

    Raises
    ------
    InputOutputError : something could not be written; then `target` is as it was before.
    """
    with _told(target):
        return _update(target, files) if target.exists() else _create(target, files)


def require_folder(target: Path) -> None:
    """Find out, before work that takes long, whether `write_folder` can write to `target`; it raises the same."""
    with _told(target), _Staging(next(folder for folder in (target, *target.parents) if folder.exists())):
        pass


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """A temporary folder, gone afterwards.

    Raises
    ------
    InputOutputError : there is no room in it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f"focus-rtl-{purpose}-") as kept:
            yield Path(kept)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputOutputError(f"cannot write to {tempfile.gettempdir()}: {error.strerror}",
                               "free some space there, or set TMPDIR to a folder with more") from error


@contextmanager
def _told(target: Path) -> Iterator[None]:
    if target.exists() and not target.is_dir():
        raise InputOutputError(f"{target} is a file, not a folder", "give another folder with -o")
    try:
        yield
    except OSError as error:
        raise InputOutputError(
            f"cannot write to {target}: {error.strerror or error}; nothing was changed",
            "free some space, or give a folder that can be written to with -o") from error


def _create(target: Path, files: Mapping[str, bytes]) -> list[str]:
    parents = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _Staging(target.parent) as staged:
            inner = staged / "new"  # mkdtemp makes a private folder; this one has the permissions the user asks for
            inner.mkdir()
            _write_all(inner, files)
            inner.rename(target)
    except OSError:
        for folder in parents:  # deepest first
            _remove_if_empty(folder)
        raise
    return list(files)


def _update(target: Path, files: Mapping[str, bytes]) -> list[str]:
    changed = {name: content for name, content in files.items() if not _holds(target / name, content)}
    if not changed:
        return []
    with _Staging(target) as staged:
        new, old = staged / "new", staged / "old"
        new.mkdir()
        old.mkdir()
        _write_all(new, changed)
        _swap(target, new, old, list(changed))
    return list(changed)


def _swap(target: Path, new: Path, old: Path, names: list[str]) -> None:
    """Move the new files in; on an error put back those that were there before."""
    done: list[str] = []
    try:
        for name in names:
            done.append(name)
            if (target / name).exists():
                os.replace(target / name, old / name)
            os.replace(new / name, target / name)
    except BaseException:
        for name in done:
            if (old / name).exists():
                os.replace(old / name, target / name)
            elif not (new / name).exists():
                (target / name).unlink(missing_ok=True)
        raise


class _Staging:
    """A temporary folder inside `parent` that is gone afterwards, whatever happens."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp(prefix=".focus-rtl-", dir=self._parent))
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        with (folder / name).open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # a full disk may show only here


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
