# SPDX-License-Identifier: Apache-2.0
"""A unit and a module of cocotb tests -> what the tests found; or one clear error.

    result = simulate(Skid(8), "focus_rtl.verif.stream.test_skid", config={"words": 500}, seed=7)
    result["compared"]                # words compared, all tests together
    result["tests"]["passes"]         # what the coroutine `passes` returned
"""

import itertools
import json
import random
import re
import shutil
import subprocess
import tempfile
import textwrap
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cocotb_tools import runner as cocotb_runner

from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.hdl.unit import Unit
from focus_rtl.verif.bench.build import Built, build, group
from focus_rtl.verif.bench.session import CONFIG_VARIABLE, PROGRESS_VARIABLE, RESULT_VARIABLE

__all__ = ["SimulationError", "run", "simulate"]


class SimulationError(RuntimeError):
    """A simulation failed, took too long, or compared nothing; the message holds the end of its log."""


class _Environment(cocotb_runner.Verilator):
    """cocotb's runner, of which only the environment of a run is used: we build and start the program ourselves."""

    def of(self, top: str, module: str) -> dict[str, str]:
        """Environment variables of a run of `module` on `top`."""
        self.env = {}
        self.sim_hdl_toplevel, self.test_module, self.hdl_toplevel_lang = top, module, "verilog"
        self._set_env_test()
        return self.env


def simulate(unit: Unit, module: str, *, testcase: str | Sequence[str] | None = None,
             config: dict[str, Any] | None = None, seed: int | None = None, waves: bool = False, timeout: float = 600,
             cache_dir: Path | None = None, prefix: str = "", rebuild: bool = False, quick: bool = False,
             jobs: int | None = None, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Emit `unit`, build it (or find the build in the cache), run the tests of `module` on it.

    Parameters
    ----------
    unit : the device, a fresh one; every bulk memory inferred.
    module : dotted name of the module with the `bench_test` coroutines; `__name__` will do.
    testcase : name(s) of the tests to run; else all of the module.
    config : given to the tests by `session.config()`; what JSON can hold.
    seed : of every random choice; else a fresh one.  It is in the result and in every message.
    waves : write them; the result's `waves` is the file.
    timeout : seconds the simulation may take.
    cache_dir, rebuild, quick, jobs, progress : see `build.build`.
    prefix : of the module names.

    Returns
    -------
    compared, seed, tests (by name), cached, seconds_build, seconds_run, and waves if asked for.

    Raises
    ------
    SimulationError, BuildError, ToolMissing, cache.CacheError.
    """
    start = time.monotonic()
    design = verilog_of(unit, prefix)
    built = build(design, waves, cache_dir, rebuild, quick, jobs, progress)
    seconds = time.monotonic() - start
    result = run(design, built, module, testcase=testcase, config=config, seed=seed, timeout=timeout, progress=progress)
    return {**result, "cached": built.cached, "seconds_build": round(seconds, 3)}


def run(design: EmittedDesign, built: Built, module: str, *, testcase: str | Sequence[str] | None = None,
        config: dict[str, Any] | None = None, seed: int | None = None, timeout: float = 600,
        progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Run the tests of `module` on a finished build; parameters, result and errors as for `simulate`."""
    if module == "verif" or module.startswith("verif."):
        module = f"focus_rtl.{module}"  # pytest counts packages from the root of the project
    if seed is None:
        seed = random.SystemRandom().getrandbits(31)
    if progress:
        progress(f"simulating {design.top}")
    folder = Path(tempfile.mkdtemp(prefix="focus-rtl-run-"))
    keep = built.waves != "none"
    try:
        start = time.monotonic()
        log = _execute(folder, design, built, module, testcase, config or {}, seed, timeout, progress)
        result = _collect(folder, module, seed, log)
        result["seconds_run"] = round(time.monotonic() - start, 3)
        if keep:
            result["waves"] = str(folder / f"dump.{built.waves}")
        return result
    except SimulationError as error:
        if keep:
            raise SimulationError(f"{error}\n  waves: {folder / f'dump.{built.waves}'}") from None
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _execute(folder: Path, design: EmittedDesign, built: Built, module: str, testcase: str | Sequence[str] | None,
             config: dict[str, Any], seed: int, timeout: float, progress: Callable[[str], None] | None) -> str:
    (folder / "config.json").write_text(json.dumps(config))
    env = _Environment().of(design.top, module)
    env |= {CONFIG_VARIABLE: str(folder / "config.json"), RESULT_VARIABLE: str(folder / "result.json"),
            "COCOTB_RESULTS_FILE": str(folder / "results.xml"), "COCOTB_RANDOM_SEED": str(seed), "NO_COLOR": "1",
            PROGRESS_VARIABLE: str(folder / "progress")}
    env.pop("COCOTB_TEST_FILTER", None)
    if testcase is not None:
        names = [testcase] if isinstance(testcase, str) else list(testcase)
        env["COCOTB_TEST_FILTER"] = rf"\.({'|'.join(names)})$"
    # What reset does not set starts at random: a device that relies on it is caught.
    command = [str(built.executable), "+verilator+rand+reset+2", f"+verilator+seed+{seed % 0x7FFFFFFF + 1}",
               *(["--trace"] if built.waves != "none" else [])]
    log = folder / "log.txt"
    with open(log, "w", encoding="utf-8") as stream, group(command, folder, env, stream.fileno()) as process:
        try:
            _wait(process, folder, design.top, timeout, progress)
        except subprocess.TimeoutExpired:
            raise _failure(f"took longer than {timeout:g} s", module, seed, log.read_text(errors="replace")) from None
    text = log.read_text(errors="replace")
    if process.returncode and not (folder / "results.xml").exists():
        raise _failure(f"ended with code {process.returncode}", module, seed, text)
    return text


def _wait(process: subprocess.Popen[str], folder: Path, top: str, timeout: float,
          progress: Callable[[str], None] | None) -> None:
    """Wait for the end, telling every change of the percentage that the bench writes."""
    end, told = time.monotonic() + timeout, "0"
    while True:
        left = end - time.monotonic()
        try:
            process.wait(min(left, 0.5) if progress else left)
            return
        except subprocess.TimeoutExpired:
            if time.monotonic() >= end:
                raise
        path = folder / "progress"
        percent = path.read_text() if path.exists() else told
        if progress and percent not in (told, ""):
            told = percent
            progress(f"simulating {top}: {percent} %")


def _collect(folder: Path, module: str, seed: int, log: str) -> dict[str, Any]:
    if not (folder / "results.xml").exists():
        raise _failure("ended without results", module, seed, log)
    passed: list[str] = []
    failed: list[str] = []
    for case in ElementTree.parse(folder / "results.xml").iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None or case.find("skipped") is not None
        (failed if bad else passed).append(str(case.get("name")))
    if failed:
        raise _failure(f"failed in {', '.join(failed)}", module, seed, log)
    path = folder / "result.json"
    tests: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    silent = [name for name in passed if tests.get(name, {}).get("compared", 0) <= 0]
    if silent or not passed:
        raise _failure(f"compared nothing in {', '.join(silent) or 'any test: none was found'}", module, seed, log)
    return {"compared": sum(test["compared"] for test in tests.values()), "seed": seed, "tests": tests}


def _failure(what: str, module: str, seed: int, log: str) -> SimulationError:
    """The error with the words of the first assertion that failed, which name the divergence, else the log's end."""
    lines = log.strip().splitlines()
    start = next((number for number, line in enumerate(lines) if re.match(r"\s*[\w.]*(Error|Starved): ", line)), None)
    tail = lines[-30:]
    if start is not None:
        rest = itertools.takewhile(lambda line: not re.match(r"\s*[\d.-]+ns ", line), lines[start:start + 40])
        tail = textwrap.dedent("\n".join(rest)).splitlines()
    return SimulationError("\n".join([f"simulation of {module} {what} (seed {seed})", *tail]))
