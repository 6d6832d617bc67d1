# SPDX-License-Identifier: Apache-2.0
"""The array under cocotb, for the benchmark: the operands of `driver.py` at full rate, every psum compared.

    result = measured(operands, passes=8, seed=1)   # {"cycles": .., "seconds": ..} of CPU
"""

import time
from typing import Any

import numpy as np

from focus_rtl.golden.numeric.dtypes import Bits
from focus_rtl.hdl.array.systolic import Systolic
from focus_rtl.verif.array.driver import PASSES, Operands
from focus_rtl.verif.array.emission import parameters
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import Bench

__all__ = ["measured"]


def _words(lines: Bits) -> list[int]:
    return [int.from_bytes(line.tobytes(), "little") for line in lines]


@bench_test
async def runs_at_full_rate(dut: Any) -> dict[str, Any]:
    p, passes = parameters(config()["size"], config()["dtype"]), config()["passes"]
    operands, bench = Operands.drawn(p, seed()), Bench(dut, seed())
    marks = [int(n == 0) | int(n == p.m_tile - 1) << 3 for n in range(p.m_tile)] * PASSES
    vectors = [word | mark << (p.element_bits * p.rows)
               for word, mark in zip(_words(np.concatenate(operands.vectors)), marks, strict=True)]
    results = [word | mark >> 3 << (32 * p.cols) for word, mark in zip(_words(operands.results), marks, strict=True)]
    weights = _words(np.concatenate(operands.weights[:, ::-1]))
    turns, count = -(-passes // PASSES), passes * p.m_tile
    bench.source("vectors", (vectors * turns)[:count])
    bench.source("weights", (weights * turns)[:passes * p.rows])
    sink = bench.sink("psums", count)
    await bench.reset()
    begin = time.process_time()
    cycles = await bench.run()
    seconds = time.process_time() - begin
    assert sink.words == (results * turns)[:count]
    return {"compared": count, "cycles": cycles, "seconds": seconds}


def measured(operands: Operands, passes: int, seed: int) -> dict[str, Any]:
    """CPU seconds and cycles of the simulation, Verilator and Python together, without start and build."""
    p = operands.p
    result = simulate(Systolic(p), __name__, config={"size": p.rows, "dtype": p.dtype, "passes": passes}, seed=seed)
    found: dict[str, Any] = result["tests"]["runs_at_full_rate"]
    return found
