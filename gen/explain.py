# SPDX-License-Identifier: Apache-2.0
"""What a configuration means: memories, lanes, what limits the throughput, and what a simulation of it costs."""

from dataclasses import dataclass
from typing import Any

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.gen.memories import MemoryRow, bytes_written_out, total_bits
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.numeric.mean import Reciprocal
from focus_rtl.hdl.sic.averager import Averager
from focus_rtl.hdl.sic.gather import Gather
from focus_rtl.hdl.sic.matcher import Matcher
from focus_rtl.hdl.sic.serial_matcher import SerialMatcher

__all__ = ["Estimate", "estimate", "kilobytes", "lanes", "limits", "mean_paces", "memory_table"]

# Measured with Verilator 5.48 and g++ 12 -O2 on a 2-core cloud machine, compiler processes one at a time: MB of Verilog
# written out, CPU seconds, peak MB of the largest process: 0.30 4.5 193, 0.64 10.1 221, 1.23 19.6 251, 1.38 23.1 253,
# 3.63 56.8 329.  A straight line each.
SECONDS_PER_MB, MEGABYTES_PER_MB, MEGABYTES_AT_LEAST = 16, 41, 190


@dataclass(frozen=True)
class Estimate:
    """Expected cost of one Verilator build, on one core of an everyday machine; good to a factor of two.

    seconds : time to verilate and compile; the first build of all takes some 15 s more, for the simulator's runtime.
    megabytes : peak memory of a compiler process.
    """

    seconds: int
    megabytes: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON reports."""
        return {"seconds": self.seconds, "megabytes": self.megabytes}


def kilobytes(bits: int) -> str:
    """Bits as KB of 1024 bytes, with as many digits as tell something."""
    size = bits / 8192
    return f"{size:.0f}" if size >= 100 else f"{size:.1f}" if size >= 10 else f"{size:.2f}"


def memory_table(rows: list[MemoryRow]) -> list[tuple[str, str, str, str, str]]:
    """Rows (block, memories, words, bits, KB) and a last one with the sum."""
    table = [(row.block, str(row.count), str(row.words), str(row.bits), kilobytes(row.total)) for row in rows]
    return [*table, ("sum", str(sum(row.count for row in rows)), "", "", kilobytes(total_bits(rows)))]


def pace(p: Parameters) -> int:
    """Cycles per vector of the matcher: a turn of the dot units for each of its neighbours and one for its own norm."""
    if not p.candidates:
        return 1
    if p.compare_multiplier == "shared":
        return SerialMatcher(p).pace
    return p.window // p.matcher_units * Matcher(p).pace + Gather(p).pause


def mean_paces(p: Parameters) -> dict[str, int]:
    """Cycles per vector of the averager where it is slow: all of one group, each waiting for the sum before; each a
    group of its own, whose elements are scaled; groups of three, the smallest count that has to be divided by.
    """
    averager = Averager(p)
    alone = {"alone": averager.beats}
    threes = -(-max(Reciprocal.latency + 1, averager.beats) // 3)
    return alone | ({"one group": averager.adding, "threes": threes} if p.candidates else {})


def _means(p: Parameters) -> list[tuple[str, str]]:
    """The averager's row of `lanes`, if there is one."""
    if p.representative == "first":
        return []
    averager = Averager(p)
    same = f", of one group every {averager.adding} cycles" if p.candidates else ""
    others = (f", or {max(Reciprocal.latency + 1, averager.beats)} where the group's count is no power of two"
              if p.candidates else "")
    return [("averager", f"{p.vector} sums: a vector a cycle{same}; {p.matcher_lanes} lanes: a mean every "
                         f"{averager.beats} cycles{others}")]


def lanes(p: Parameters) -> list[tuple[str, str]]:
    """What works in parallel: (unit, how much)."""
    matcher = f"{p.matchers} candidates x {p.matcher_lanes} lanes: a vector every {pace(p)} cycles"
    return [
        ("array", f"{p.rows} x {p.cols} = {p.rows * p.cols} multiply-adds a cycle, {p.pe_depth} cycles deep"),
        ("passes", f"{p.row_passes} for the rows of a k-slice, {p.col_passes} for the columns of an output vector"),
        ("scatter", f"{p.scatter_lanes} tokens x {p.cols} columns a cycle, from {p.psum_banks} psum banks"),
        ("matcher", matcher if p.candidates else "none: a window of one position has no neighbours"),
        *_means(p),
        ("scores", f"{p.sec_lanes} a cycle, of up to {p.sec_tokens_max} image tokens; the largest by {p.top_k}"),
    ]


def limits(p: Parameters) -> list[str]:
    """Where each unit, and not the array, sets the pace; sentences with numbers."""
    shortest = p.rows * p.pe_depth - p.pe_depth + 1
    share = p.rows / (p.vector * p.scatter_lanes)
    cycles = max(pace(p), *mean_paces(p).values()) if p.representative == "mean" else pace(p)
    unique_k = -(-cycles // (p.row_passes * p.col_passes)) * p.vector
    scatter_k = -(-cycles * p.scatter_lanes // p.col_passes) * p.vector
    whole = p.rows * p.pe_depth
    chained = f", one of fewer than {whole} for its own psums between its {p.row_passes} row passes"
    return [
        f"weights: a slice of fewer than {shortest} vectors waits for the next weight tile"
        + chained * (p.row_passes > 1),
        f"scatter: it sets the pace where fewer than {100 * share:.3g} % of the vectors are unique; "
        f"so no job is more than {1 / share:.3g} times as fast as dense",
        f"gather: hidden behind the next tile for K >= {unique_k} when all vectors are unique, "
        f"for K >= {scatter_k} at the limit of scatter",
    ]


def estimate(design: EmittedDesign) -> Estimate:
    """Cost of a simulation build: it follows the Verilog with every instance written out, as Verilator sees it."""
    size = bytes_written_out(design) / 1e6
    return Estimate(max(round(SECONDS_PER_MB * size), 1), round(MEGABYTES_AT_LEAST + MEGABYTES_PER_MB * size))
