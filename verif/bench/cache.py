# SPDX-License-Identifier: Apache-2.0
"""A cache of folders by content key: complete or absent, whatever kills the process that fills it.

An entry is made in a folder of its own beside its final place, under a lock, and renamed into place when it is
complete.  What a killed process left is removed by the next one that wants the same entry.
"""

import contextlib
import errno
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock

__all__ = ["CACHE_VARIABLE", "CacheError", "cache_root", "entry", "storage_failure"]

CACHE_VARIABLE = "FOCUS_RTL_CACHE"


class CacheError(OSError):
    """The build cache cannot be written: no space, read-only, no permission; the message names folder and cure."""


def cache_root() -> Path:
    """`$FOCUS_RTL_CACHE`, else `focus-rtl` in the platform's cache folder, else in the folder for temporary files."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path("~/Library/Caches/focus-rtl").expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():
        return Path(base) / "focus-rtl"
    try:
        return Path.home() / ".cache" / "focus-rtl"
    except RuntimeError:  # no home folder
        return Path(tempfile.gettempdir()) / "focus-rtl-cache"


def storage_failure(root: Path, cause: str) -> CacheError:
    """The one message for a cache that cannot be written."""
    return CacheError(f"the build cache {root} cannot be written: {cause}. Free some space, or choose another folder "
                      f"with --cache-dir or {CACHE_VARIABLE}")


@contextlib.contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except CacheError:
        raise
    except OSError as error:
        storage = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT, errno.EFBIG, errno.ENOTDIR,
                   errno.EEXIST)
        if error.errno in storage:
            raise storage_failure(root, error.strerror or str(error)) from error
        raise


def entry(key: str, make: Callable[[Path], None], root: Path | None = None, rebuild: bool = False) -> Path:
    """The folder of `key`, made by `make(folder)` if it is not there.

    Two processes that want the same entry wait for each other; one of them makes it.

    Parameters
    ----------
    key : names the contents; letters, digits, `-` and `_`.
    make : fills an empty folder; whatever it raises leaves no entry behind.
    root : of the cache; else `cache_root()`.
    rebuild : make it again even if it is there.

    Raises
    ------
    CacheError : the cache cannot be written.
    """
    root = root or cache_root()
    final = root / key
    if final.is_dir() and not rebuild:
        return final
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{key}.lock"):
            if final.is_dir() and not rebuild:
                return final
            for stale in root.glob(f"{key}.partial-*"):  # their maker is dead: we hold the lock
                shutil.rmtree(stale, ignore_errors=True)
            partial = root / f"{key}.partial-{os.getpid()}"
            try:
                partial.mkdir()
                make(partial)
                if final.is_dir():
                    shutil.rmtree(final)
                partial.rename(final)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return final


NO_SPACE = (os.strerror(errno.ENOSPC), os.strerror(errno.EFBIG), os.strerror(errno.EROFS), os.strerror(errno.EDQUOT),
            "File size limit exceeded")


def out_of_space(returncode: int, log: str) -> str | None:
    """What a compiler that failed says about storage, if that is why it failed."""
    if returncode == -signal.SIGXFSZ:
        return "File size limit exceeded"
    return next((words for words in NO_SPACE if words in log), None)
