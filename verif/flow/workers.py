# SPDX-License-Identifier: Apache-2.0
"""Commands of this project in processes of their own, several at a time; none of them outlives us."""

import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from focus_rtl.gen.errors import Exit

__all__ = ["ChildFailed", "Children", "workers"]


class ChildFailed(RuntimeError):
    """A process ended with `code`; the message is its last words."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code


class Children:
    """The processes that are running."""

    def __init__(self) -> None:
        self._lock, self._over = threading.Lock(), False
        self._running: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str) -> str:
        """`python -m ...` to its end; returns what it printed.  What it says on stderr is ours to say, as it comes.

        Raises
        ------
        ChildFailed : it failed, or we are asked to end.
        """
        said: deque[str] = deque(maxlen=15)
        with tempfile.TemporaryFile("w+", encoding="utf-8") as found:
            with self._lock:
                if self._over:
                    raise ChildFailed("interrupted", Exit.INTERRUPTED)
                process = subprocess.Popen([sys.executable, "-m", *arguments], stdin=subprocess.DEVNULL, stdout=found,
                                           stderr=subprocess.PIPE, text=True, start_new_session=True)
                self._running.append(process)
            with process:  # a session of its own: Ctrl-C comes to us alone, and from us to it
                for text in process.stderr or ():
                    print(text, end="", file=sys.stderr, flush=True)
                    said.append(text)
            with self._lock:
                self._running.remove(process)
            if process.returncode:
                words = "".join(said).strip() or f"ended with code {process.returncode}"
                raise ChildFailed(words, process.returncode)
            found.seek(0)
            return found.read()

    def end(self) -> None:
        """Ask those that are still running to end, and start no more."""
        with self._lock:
            self._over = True
            for process in self._running:
                process.terminate()


@contextmanager
def workers(jobs: int) -> Iterator[tuple[ThreadPoolExecutor, Children]]:
    """`jobs` threads, and the processes that they start: both end with the block."""
    pool, children = ThreadPoolExecutor(jobs), Children()
    try:
        yield pool, children
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        children.end()
        pool.shutdown()
