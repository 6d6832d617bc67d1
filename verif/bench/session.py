# SPDX-License-Identifier: Apache-2.0
"""Inside the simulation: what a bench is told, and how it reports what it compared.

    from focus_rtl.verif.bench.session import bench_test, config

    @bench_test
    async def passes_everything(dut):
        words = config()["words"]
        ...
        return {"compared": len(words), "cycles": cycle}

The same file may hold the pytest function that starts it, `simulate(Skid(8), __name__, config={"words": 100})`.
Coroutines are not to be called `test...`, or pytest would collect them.
"""

import functools
import json
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import cocotb

__all__ = ["CONFIG_VARIABLE", "PROGRESS_VARIABLE", "RESULT_VARIABLE", "bench_test", "config", "progress", "seed"]

CONFIG_VARIABLE = "FOCUS_RTL_CONFIG"
RESULT_VARIABLE = "FOCUS_RTL_RESULT"
PROGRESS_VARIABLE = "FOCUS_RTL_PROGRESS"


@functools.cache
def config() -> dict[str, Any]:
    """The `config` that `simulate` was given (through JSON: tuples have become lists)."""
    path = os.environ.get(CONFIG_VARIABLE)
    if path is None:
        return {}
    values: dict[str, Any] = json.loads(Path(path).read_text())
    return values


def seed() -> int:
    """The seed of this run, as `simulate` printed it."""
    return int(os.environ["COCOTB_RANDOM_SEED"])


def progress(done: int, total: int) -> None:
    """Tell how far the simulation is; the caller of `simulate` sees it as a percentage."""
    path = os.environ.get(PROGRESS_VARIABLE)
    if path is not None:
        Path(path).write_text(f"{100 * done // max(total, 1)}")


def _report(test: str, result: dict[str, Any]) -> None:
    path = Path(os.environ[RESULT_VARIABLE])
    results = json.loads(path.read_text()) if path.exists() else {}
    results[test] = result
    path.write_text(json.dumps(results))


def bench_test(function: Callable[[Any], Coroutine[Any, Any, dict[str, Any]]]) -> Any:
    """A cocotb test that returns what it found: a dictionary with at least `compared`, the number of words compared.

    Comparing nothing is a failure: a bench that drives a dead device must not pass.
    """
    @functools.wraps(function)
    async def checked(dut: Any) -> None:
        result = await function(dut)
        if not isinstance(result, dict) or result.get("compared", 0) <= 0:
            raise AssertionError(f"{function.__name__} compared nothing")
        _report(function.__name__, result)

    return cocotb.test()(checked)
