# SPDX-License-Identifier: Apache-2.0
"""Reciprocal and Mean: a group's sum and count -> its mean as an element.  Model: `golden.numeric.elements.mean`."""

from fractions import Fraction
from types import SimpleNamespace

from amaranth import Module, Signal, Value

from focus_rtl.hdl.numeric.bits import BINARY32
from focus_rtl.hdl.numeric.multiply32 import rounded_product
from focus_rtl.hdl.numeric.narrow import Narrow
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage
from focus_rtl.hdl.numeric.requantise import Requantise

__all__ = ["Mean", "Reciprocal", "reciprocal_bits"]


def reciprocal_bits(count: int) -> int:
    """binary32 bits of 1 / count, rounded to nearest even, from exact fractions."""
    binade = -((count - 1).bit_length())  # 2**binade <= 1 / count
    units = round(Fraction(1, count) * 2 ** (23 - binade))  # of the last place; Python rounds halves to even
    return ((127 + binade) << 23) + units - (1 << 23)


def _look_up(m: Module, count: Value, largest: int) -> Value:
    """The reciprocal of `count`; 0 and what is beyond the table give +0.

    A power of two is a table row like any other: synthesis makes a ROM of all of them.
    """
    found = Signal(32, name="reciprocal")
    with m.Switch(count):
        for number in range(1, largest + 1):
            with m.Case(number):
                m.d.comb += found.eq(reciprocal_bits(number))
    return found


class Reciprocal(NumericUnit):
    """count -> 1 / count in binary32, as IEEE division rounds it: a table, 1 .. largest.

    Latency `depth` cycles, throughput one per cycle.

    Parameters
    ----------
    largest : highest count, the tokens of a full tile.
    depth : registers, 0 (combinational) .. 4.

    Members
    -------
    a : In(bits of `largest`), the count.  o : Out(32), binary32; +0 for a count of 0 or beyond `largest`.
    """

    def __init__(self, depth: int = 0, largest: int = 1024) -> None:
        self.largest = largest
        super().__init__({"a": largest.bit_length()}, 32, depth, largest=largest)

    def stages(self) -> list[Stage]:
        return [Stage(8, self._table)]

    def _table(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": _look_up(m, s.a, self.largest)}


class Mean(NumericUnit):
    """sum a, count b -> element: a * (1 / b), quotient and product rounded to binary32, then rounded to the element.

    fp16, bf16: `a` is binary32.  int8: `a` is int32 and is converted first; the result is rint, clipped.
    Latency `depth` cycles, throughput one mean per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 8.
    dtype : fp16, bf16 or int8.
    largest : highest count.

    Members
    -------
    a : In(32).  b : In(bits of `largest`).  o : Out(16), or Out(8) for int8.
    """

    max_depth = 8

    def __init__(self, depth: int = 0, dtype: str = "fp16", largest: int = 1024) -> None:
        self.check_dtype("Mean", dtype, ("fp16", "bf16", "int8"))
        self.dtype, self.largest = dtype, largest
        super().__init__({"a": 32, "b": largest.bit_length()}, 8 if dtype == "int8" else 16, depth,
                         dtype=dtype, largest=largest)

    def stages(self) -> list[Stage]:
        table = Stage(8, self._table)
        if self.dtype == "int8":
            return [table, *Requantise().stages()]
        return [table, *rounded_product(BINARY32), Stage(0, self._rename), *Narrow(0, self.dtype).stages()]

    def _table(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"a": s.a, "b": _look_up(m, s.b, self.largest)}

    def _rename(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"a": s.o}
