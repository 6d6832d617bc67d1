# SPDX-License-Identifier: Apache-2.0
"""Reciprocal and Mean: a group's count -> its reciprocal; that and its sum -> its mean as an element.

Model: `golden.numeric.elements.mean`.
"""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.numeric.bits import BINARY32, let
from focus_rtl.hdl.numeric.multiply32 import rounded_product
from focus_rtl.hdl.numeric.narrow import Narrow
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage
from focus_rtl.hdl.numeric.requantise import Requantise
from focus_rtl.hdl.unit import Unit

__all__ = ["Mean", "Reciprocal"]

_DIGITS = 24
"""Of the quotient behind its leading 1: the fraction, and one that says which way to round."""
_STEPS = _DIGITS // 2


class Reciprocal(Unit):
    """count -> 1 / count in binary32, as IEEE division rounds it: by long division, two binary digits a cycle.

    `count` stands with `valid` until it is taken; `o` is the result in every cycle with `done`, and the next count may
    follow that with `take` at once.  A power of two is done in the cycle in which it comes, anything else `latency`
    cycles later: that has no last digit, so the one behind the fraction decides the rounding, and there are no ties.

    Parameters
    ----------
    largest : highest count, the tokens of a full tile; at least 1.

    Members
    -------
    valid : In(1).  count : In(bits of `largest`), at least 1.  take : In(1), only together with `done`.
    done : Out(1).  o : Out(32), binary32, positive and normal.
    """

    latency = 1 + _STEPS
    """Cycles from a count that is no power of two to its `done`."""

    def __init__(self, largest: int = 1024) -> None:
        if largest < 1:
            raise ValueError(f"a Reciprocal of counts up to {largest}: must be at least 1")
        self.largest = largest
        super().__init__({"valid": In(1), "count": In(largest.bit_length()), "take": In(1), "done": Out(1),
                          "o": Out(32)}, largest=largest)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = len(self.count)
        below = let(m, "below", Cat(self.count[bit:].any() for bit in range(width)))  # every bit up to the highest
        power = let(m, "power", (below >> 1) + 1 == self.count)
        floor = sum((below[bit] for bit in range(1, width)), Const(0, 1))  # of the base 2 logarithm
        rest, digits, left = Signal(width), Signal(_DIGITS), Signal(range(_STEPS + 1))
        begun = Signal()
        m.d.comb += self.done.eq(self.valid & (power | begun & (left == 0)))
        after, found = self._divide(m, rest)
        with m.If(self.valid & ~power):
            # 1 / count = 2**-(floor + 1) * (1 + rest / count), with rest = 2**(floor + 1) - count to begin with.
            with m.If(~begun):
                m.d.sync += [rest.eq((below ^ self.count) + 1), left.eq(_STEPS), begun.eq(1)]
            with m.Elif(left != 0):
                m.d.sync += [rest.eq(after), digits.eq(Cat(found, digits)), left.eq(left - 1)]
        with m.If(self.take):
            m.d.sync += begun.eq(0)
        rounded = Cat(digits[1:], (126 - floor)[:8]) + digits[0]
        m.d.comb += self.o.eq(Mux(power, Cat(Const(0, 23), (127 - floor)[:8]), rounded[:31]))
        return m

    def _divide(self, m: Module, rest: Value) -> tuple[Value, Value]:
        """Two digits of rest / count, the first the higher, and what is left."""
        found: list[Value] = []
        for step in range(2):
            twice = let(m, f"twice{step}", Cat(Const(0, 1), rest))
            digit = let(m, f"digit{step}", twice >= self.count)
            rest = let(m, f"rest{step}", (twice - Mux(digit, self.count, 0))[:len(self.count)])
            found.insert(0, digit)
        return rest, Cat(*found)


class Mean(NumericUnit):
    """sum a, reciprocal b -> element: a * b rounded to binary32, then rounded to the element.

    fp16, bf16: `a` is binary32.  int8: `a` is int32 and is converted first; the result is rint, clipped.
    Latency `depth` cycles, throughput one mean per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 8.
    dtype : fp16, bf16 or int8.
    multiplier : dsp or lut, see `product`.

    Members
    -------
    a : In(32).  b : In(32), binary32.  o : Out(16), or Out(8) for int8.
    """

    max_depth = 8

    def __init__(self, depth: int = 0, dtype: str = "fp16", multiplier: str = "dsp") -> None:
        self.check_dtype("Mean", dtype, ("fp16", "bf16", "int8"))
        if multiplier not in ("dsp", "lut"):
            raise ValueError(f"a Mean with multiplier {multiplier!r}: must be one of dsp, lut")
        self.dtype, self.multiplier = dtype, multiplier
        super().__init__({"a": 32, "b": 32}, 8 if dtype == "int8" else 16, depth, dtype=dtype, multiplier=multiplier)

    def stages(self) -> list[Stage]:
        if self.dtype == "int8":
            return Requantise(0, self.multiplier).stages()
        return [*rounded_product(BINARY32, self.multiplier), Stage(0, self._rename), *Narrow(0, self.dtype).stages()]

    def _rename(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"a": s.o}
