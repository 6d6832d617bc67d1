# SPDX-License-Identifier: Apache-2.0
"""The build cache: complete or absent whatever happens, on any path, for two at once, clear when it cannot write."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from focus_rtl.gen.emit import verilog_of
from focus_rtl.verif.bench import cache
from focus_rtl.verif.bench.build import BuildError, build, in_parallel
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.units import Faulty

BUILD = """
import resource
import sys
from pathlib import Path
from focus_rtl.gen.emit import verilog_of
from focus_rtl.verif.bench.build import build
from focus_rtl.verif.bench.units import Faulty
design = verilog_of(Faulty(sys.argv[2]))
if len(sys.argv) > 3:  # no file of this process or its children may grow beyond so many bytes
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
built = build(design, cache_dir=Path(sys.argv[1]), progress=lambda text: print(text, flush=True))
assert built.executable.is_file()
print("cached" if built.cached else "built", flush=True)
"""

TESTS = "focus_rtl.verif.bench.test_streams"


def _start(folder: Path, *arguments: str, environment: Mapping[str, str] = MappingProxyType({}),
           **options: Any) -> subprocess.Popen[str]:
    """A process that builds a design of `units.FAULTS`, in a group of its own."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return subprocess.Popen([sys.executable, "-c", BUILD, str(folder), *arguments], stdout=subprocess.PIPE, text=True,
                            env=env, start_new_session=True, **options)


def _wait_for(process: subprocess.Popen[str], phase: str) -> None:
    assert process.stdout is not None
    assert any(line.startswith(phase) for line in process.stdout)
    time.sleep(0.05)


def _partial(folder: Path) -> list[Path]:
    return list(folder.glob("*.partial-*"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache on a path with a space and letters beyond ASCII, in which the first build was killed, the second not."""
    folder = tmp_path_factory.mktemp("cache") / "Ärger mit Pfaden"
    with _start(folder, "dead") as process:
        _wait_for(process, "compiling the simulator's runtime")
        os.killpg(process.pid, signal.SIGKILL)
    assert len(_partial(folder)) == 2, "the design's folder and the runtime's"
    build(verilog_of(Faulty("dead")), cache_dir=folder)
    assert _partial(folder) == []
    return folder


def test_kill_in_a_build_then_two_at_once(folder: Path) -> None:
    for phase in ("verilating", "compiling 1 C++ file"):
        with _start(folder, "none") as process:
            _wait_for(process, phase)
            os.killpg(process.pid, signal.SIGKILL)
        assert len(_partial(folder)) == 1
    processes = [_start(folder, "none") for _ in range(2)]
    ends = [process.communicate()[0].split("\n")[-2] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(ends) == ["built", "cached"] and _partial(folder) == []
    result = simulate(Faulty("none"), TESTS, testcase="passes_words", cache_dir=folder)
    assert result["cached"] and result["compared"] == 100


def test_interrupt_removes_the_partial_folder(folder: Path) -> None:
    with _start(folder, "drops", stderr=subprocess.DEVNULL) as process:
        _wait_for(process, "compiling 1 C++ file")
        assert len(_partial(folder)) == 1
        process.send_signal(signal.SIGINT)
    assert process.returncode != 0 and _partial(folder) == []


def test_interrupt_does_not_wait_for_compilers(tmp_path: Path) -> None:
    """The compiler never ends: who waits for it does not, either."""
    compiler, cache = tmp_path / "sleeping-c++", tmp_path / "cache"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "sleeping 1.0 (clang)" && exit 0\nexec sleep 600\n')
    compiler.chmod(0o755)
    with _start(cache, "none", stderr=subprocess.DEVNULL, environment={"CXX": str(compiler)}) as process:
        _wait_for(process, "compiling the simulator's runtime")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)
    assert process.returncode != 0 and _partial(cache) == []


def test_interrupt_before_the_last_compiler_is_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one runs by then, and nothing may wait for it."""
    real, given = ThreadPoolExecutor.submit, list[object]()

    def submit(pool: ThreadPoolExecutor, *arguments: Any, **options: Any) -> Any:
        given.append(arguments)
        if len(given) == 1:
            return real(pool, *arguments, **options)
        while not (tmp_path / "first").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    begin = "echo $$ > first.new; mv first.new first; exec sleep 300"
    with pytest.raises(KeyboardInterrupt):
        in_parallel([["sh", "-c", begin], ["true"]], tmp_path, 2)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "first").read_text()), 0)


def test_full_disk_for_real(folder: Path) -> None:
    """The compiler, a child, runs into a limit of its output's size."""
    with _start(folder, "doubles", "100000", stderr=subprocess.PIPE) as process:
        error = process.communicate()[1]
    assert process.returncode and "CacheError: the build cache" in error and "cannot be written" in error
    assert _partial(folder) == []


def test_rebuild_replaces(tmp_path: Path) -> None:
    made: list[int] = []

    def make(folder: Path) -> None:
        made.append(len(made))
        (folder / "number").write_text(str(made[-1]))

    numbers = [(cache.entry("key", make, tmp_path, rebuild) / "number").read_text() for rebuild in (False, False, True)]
    assert numbers == ["0", "0", "1"]


def test_failed_make_leaves_nothing(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").write_text("")
        raise BuildError("no")

    with pytest.raises(BuildError, match="no"):
        cache.entry("key", make, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["key.lock"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_write_error_is_one_clear_message(tmp_path: Path, code: int) -> None:
    def make(folder: Path) -> None:
        raise OSError(code, os.strerror(code), str(folder))

    with pytest.raises(cache.CacheError, match=rf"build cache .* cannot be written: {os.strerror(code)}.*--cache-dir"):
        cache.entry("key", make, tmp_path)


def test_cache_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(cache.CacheError, match="cannot be written"):
        cache.entry("key", lambda folder: None, tmp_path / "file")


def test_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    assert cache.cache_root() == tmp_path
    monkeypatch.delenv(cache.CACHE_VARIABLE)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache.cache_root() == tmp_path / "x" / "focus-rtl"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / ".cache" / "focus-rtl"
