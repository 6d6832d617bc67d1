# SPDX-License-Identifier: Apache-2.0
"""The stream bench finds every fault of `units.FAULTS`, and a bench that compares nothing fails."""

import random
from typing import Any

import pytest

from focus_rtl.verif.bench.runner import SimulationError, simulate
from focus_rtl.verif.bench.session import bench_test, seed
from focus_rtl.verif.bench.streams import Bench, Stall
from focus_rtl.verif.bench.units import FAULTS, Faulty

WORDS = 100


@bench_test
async def passes_words(dut: Any) -> dict[str, Any]:
    bench, choice = Bench(dut, seed(), patience=50), random.Random(seed())
    words = [choice.getrandbits(8) for _ in range(WORDS)]
    bench.source("i", words, Stall(0.1))
    taken = bench.sink("o", WORDS, Stall(0.4, burst=5, lazy=True))
    await bench.reset()
    await bench.run()
    assert taken.words == words, "other words than went in"
    return {"compared": len(words)}


@bench_test
async def compares_nothing(dut: Any) -> dict[str, Any]:
    await Bench(dut, seed()).reset()
    return {"compared": 0}


@bench_test
async def never_ends(dut: Any) -> dict[str, Any]:
    bench = Bench(dut, seed(), patience=1 << 40)
    await bench.run(until=lambda: False)
    return {"compared": 1}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "none"])
def test_bench_finds(fault: str, seed: int) -> None:
    with pytest.raises(SimulationError, match=FAULTS[fault]):
        simulate(Faulty(fault), __name__, testcase="passes_words", seed=seed)


def test_bench_passes_what_is_sound(seed: int) -> None:
    result = simulate(Faulty("none"), __name__, testcase="passes_words", seed=seed)
    assert result["compared"] == WORDS and result["seed"] == seed


def test_bench_that_compares_nothing_fails() -> None:
    with pytest.raises(SimulationError, match="compares_nothing compared nothing"):
        simulate(Faulty("none"), __name__, testcase="compares_nothing")


def test_unknown_test_fails() -> None:
    with pytest.raises(SimulationError, match="compared nothing in any test"):
        simulate(Faulty("none"), __name__, testcase="no_such_test")


def test_unknown_module_fails() -> None:
    with pytest.raises(SimulationError, match="no_such_module"):
        simulate(Faulty("none"), "focus_rtl.verif.no_such_module")


def test_timeout_ends_the_simulation() -> None:
    with pytest.raises(SimulationError, match="took longer than 3 s"):
        simulate(Faulty("none"), __name__, testcase="never_ends", timeout=3)
