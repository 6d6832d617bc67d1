# SPDX-License-Identifier: Apache-2.0
"""Applies one fault at a time to a copy of the hardware's source and runs tests on it: every fault must be found.

    python -m focus_rtl.verif.core.mutants                     # all of them; prints which test kills which
    python -m focus_rtl.verif.core.mutants --only "stale map half"
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import focus_rtl.hdl
from focus_rtl.verif.bench.cache import CACHE_VARIABLE, cache_root
from focus_rtl.verif.core import faults as core_faults
from focus_rtl.verif.core.faults import Fault
from focus_rtl.verif.sec import faults as sec_faults

__all__ = ["FAULTS", "TESTS", "Verdict", "copy_package", "main", "try_fault"]

FAULTS: tuple[Fault, ...] = (*core_faults.FAULTS, *sec_faults.FAULTS)
TESTS = core_faults.TESTS | sec_faults.TESTS

AREAS = ("golden", "hdl", "gen", "verif")

FOUND = re.compile(r"^FAILED .* - .*(Difference|Mismatch|SimulationError): ", re.MULTILINE)
"""What a fault that was found looks like; anything else (the source does not run, the build fails) proves nothing."""


@dataclass(frozen=True)
class Verdict:
    """What came of a fault: the short name of the test that found it, or None; `invalid` says why nothing is proved."""

    fault: Fault
    killer: str | None
    message: str
    seconds: float
    invalid: str | None = None


def copy_package(target: Path) -> Path:
    """A copy of the package; returns its root.  It is imported instead of the original through PYTHONPATH."""
    root = target / "focus_rtl"
    source = Path(focus_rtl.hdl.__file__).parents[1]
    for area in AREAS:
        shutil.copytree(source / area, root / area, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "pytest.ini").write_text("[pytest]\n")
    return root


def _run(root: Path, test: str, seed: int, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "--tb=no", "-p", "no:cacheprovider", "-c",
               "pytest.ini", "--seed", str(seed), test]
    env = {**os.environ, "PYTHONPATH": str(root.parent), "PYTHONDONTWRITEBYTECODE": "1", CACHE_VARIABLE: str(cache),
           "COLUMNS": "300"}
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, errors="replace", check=False)


def try_fault(fault: Fault, seed: int, cache: Path) -> Verdict:
    """Run the fault's tests one after another until one finds it."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="focus-rtl-mutant-") as folder:
        root = copy_package(Path(folder))
        try:
            for edit in fault.edits:
                edit.apply(root)
        except ValueError as error:
            return Verdict(fault, None, "", time.monotonic() - start, str(error))
        for name in fault.tests:
            done = _run(root, TESTS[name], seed, cache)
            if done.returncode == 0:
                continue
            seconds = time.monotonic() - start
            if done.returncode == 1 and FOUND.search(done.stdout):
                line = next(line for line in done.stdout.splitlines() if FOUND.match(line))
                return Verdict(fault, name, line.split(" - ", 1)[1], seconds)
            return Verdict(fault, None, "", seconds, f"{name} did not run:\n{(done.stdout + done.stderr)[-2000:]}")
    return Verdict(fault, None, "", time.monotonic() - start)


def _cache(folder: Path) -> Path:
    """A cache for the faulty builds alone, which borrows the compiled runtime of the usual one."""
    for runtime in cache_root().glob("runtime-*"):
        if runtime.is_dir() and ".partial" not in runtime.name:
            (folder / runtime.name).symlink_to(runtime)
    return folder


def _sound(names: Sequence[str], seed: int, cache: Path) -> list[str]:
    """The tests that fail without any fault: then nothing else means anything."""
    with tempfile.TemporaryDirectory(prefix="focus-rtl-mutant-") as folder:
        root = copy_package(Path(folder))
        return [f"{name}:\n{done.stdout[-3000:]}" for name in names
                if (done := _run(root, TESTS[name], seed, cache)).returncode]


def _print(verdict: Verdict) -> None:
    killer = verdict.killer or ("INVALID" if verdict.invalid else "SURVIVED")
    print(f"{verdict.fault.name:58} {killer:12} {verdict.seconds:5.0f} s  {verdict.message[:140]}", flush=True)
    if verdict.invalid:
        print(verdict.invalid, flush=True)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", nargs="+", default=[], choices=[fault.name for fault in FAULTS], metavar="NAME",
                        help="these faults only")
    parser.add_argument("--jobs", type=int, default=2, help="faults at a time (default 2)")
    parser.add_argument("--seed", type=int, default=1, help="of the tests (default 1: the table is to be repeatable)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the faults and print the table; 0 if every one was found, 1 if one survived, 2 if one could not be tried."""
    arguments = _arguments(argv)
    faults = [fault for fault in FAULTS if not arguments.only or fault.name in arguments.only]
    names = sorted({name for fault in faults for name in fault.tests})
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="focus-rtl-mutants-") as folder:
        cache = _cache(Path(folder))
        print(f"{len(faults)} faults, seed {arguments.seed}; first the tests without a fault: {', '.join(names)}",
              flush=True)
        broken = _sound(names, arguments.seed, cache)
        if broken:
            print("tests that fail without any fault:\n" + "\n".join(broken))
            return 2
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for done in as_completed([pool.submit(try_fault, fault, arguments.seed, cache) for fault in faults]):
                verdicts.append(done.result())
                _print(verdicts[-1])
    survivors = [verdict.fault.name for verdict in verdicts if verdict.killer is None and not verdict.invalid]
    invalid = [verdict.fault.name for verdict in verdicts if verdict.invalid]
    found = len(verdicts) - len(survivors) - len(invalid)
    print(f"{found} of {len(faults)} faults found; survived: {survivors or 'none'}; "
          f"could not be tried: {invalid or 'none'}")
    return 2 if invalid else 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
