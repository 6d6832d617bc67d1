# SPDX-License-Identifier: Apache-2.0
"""Likeness: the arithmetic of matching in one dtype, apart from when it is done.

The matcher arranges dots, squares and comparisons in time; which units those are, how wide their numbers and how long
they take, is said here: binary32 with exact products of two of them for fp16 and bf16, integers for int8.
Model: golden/sic/matcher.py.
"""

from dataclasses import dataclass

from amaranth import Const, Module, Value

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.numeric.compare import ProductGreater
from focus_rtl.hdl.numeric.integer import IntegerGreater, IntegerVerdict, integer_bits
from focus_rtl.hdl.numeric.integer_square import IntegerSquare
from focus_rtl.hdl.numeric.multiply32 import Multiply32
from focus_rtl.hdl.numeric.pipeline import MAX_DEPTH, Begin, NumericUnit
from focus_rtl.hdl.unit import place

__all__ = ["Likeness"]

_ONE, _INFINITY = 0x3F800000, 0x7F800000


@dataclass(frozen=True)
class Likeness:
    """Units and widths for q = d * |d|, its comparison with another candidate's, and the verdict.

    Units that multiply serially are told when their operands `begin`, at most once in `interval` cycles.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    q_bits, n_bits : widths of q and of a norm.
    interval : cycles between two operations of one unit.
    square_latency, verdict_latency, compare_latency(depth) : cycles.
    """

    p: Parameters

    @property
    def _integer(self) -> bool:
        return self.p.dtype == "int8"

    @property
    def _serial(self) -> bool:
        return self.p.compare_multiplier == "serial"

    @property
    def q_bits(self) -> int:
        """Width of q."""
        return integer_bits(self.p.vector)[0] if self._integer else 32

    @property
    def n_bits(self) -> int:
        """Width of a norm."""
        return integer_bits(self.p.vector)[1] if self._integer else 32

    @property
    def interval(self) -> int:
        """Cycles from the beginning of a square, a comparison or a verdict to that of the next in the same unit."""
        return max(unit.interval for unit in (self._square_unit(), self._greater_unit(0), *self._verdict_units()))

    @property
    def square_latency(self) -> int:
        """Cycles of `square`."""
        return self._square_unit().latency

    def compare_latency(self, depth: int | None = None) -> int:
        """Cycles of `greater` at that depth; `match_depth`, unless asked for another."""
        return self._greater_unit(depth).latency

    @property
    def verdict_latency(self) -> int:
        """Cycles of `verdict`."""
        return sum(unit.latency for unit in self._verdict_units())

    def _registers(self, depth: int) -> int:
        """Registers of a unit: a serial product brings one more, its own."""
        return max(depth - 1, 0) if self._serial else depth

    def _square_unit(self) -> NumericUnit:
        depth, kind = self._registers(self.p.match_depth), self.p.compare_multiplier
        return IntegerSquare(depth, self.p.vector, kind) if self._integer else Multiply32(depth, kind)

    def _greater_unit(self, depth: int | None = None) -> NumericUnit:
        kind, depth = self.p.compare_multiplier, self.p.match_depth if depth is None else depth
        if self._integer:
            return IntegerGreater(self._registers(depth), self.p.vector, kind)
        return ProductGreater(self._registers(depth), multiplier=kind)

    def _verdict_units(self) -> list[NumericUnit]:
        """int8: everything at once.  Else: the threshold times a norm, then the comparison."""
        kind = self.p.compare_multiplier
        if self._integer:
            return [IntegerVerdict(self._registers(min(2 * self.p.match_depth, MAX_DEPTH)), self.p.vector, kind)]
        return [Multiply32(self._registers(self.p.match_depth), kind), self._greater_unit()]

    def sound(self, norm: Value) -> Value:
        """0 < n < inf; among binary32 bits NaN lies above infinity, and a norm is never negative."""
        return norm.any() if self._integer else norm.any() & (norm < Const(_INFINITY, 32))

    def square(self, m: Module, name: str, d: Value, begin: Begin) -> Value:
        """d * |d|, `square_latency` cycles later."""
        unit = _placed(m, name, self._square_unit(), begin)
        m.d.comb += unit.a.eq(d)
        if not self._integer:
            m.d.comb += unit.b.eq(d[:31])
        return unit.o

    def greater(self, m: Module, name: str, q_a: Value, n_b: Value, q_b: Value, n_a: Value, begin: Begin,
                depth: int | None = None) -> Value:
        """q_a * n_b > q_b * n_a, exact: whether a is more like the key than b, `compare_latency(depth)` later."""
        unit = _placed(m, name, self._greater_unit(depth), begin)
        m.d.comb += [unit.a.eq(q_a), unit.b.eq(n_b), unit.c.eq(q_b), unit.d.eq(n_a)]
        return unit.o

    def verdict(self, m: Module, q: Value, n: Value, own: Value, t2: Value, begin: Begin) -> Value:
        """Whether the squared cosine exceeds the squared threshold, `verdict_latency` cycles later."""
        if self._integer:
            unit = _placed(m, "enough", self._verdict_units()[0], begin)
            m.d.comb += [unit.a.eq(q), unit.b.eq(n), unit.c.eq(own), unit.d.eq(t2)]
            return unit.o
        scale = _placed(m, "scale", self._verdict_units()[0], begin)
        m.d.comb += [scale.a.eq(t2), scale.b.eq(n)]
        wait = scale.latency
        best = begin.keep(m, q, wait, "q_s4"), Const(_ONE, 32)
        bar = scale.o, begin.keep(m, own, wait, "own_s4")
        return self.greater(m, "enough", *best, *bar, begin.late(m, wait, "begin_enough"))


def _placed(m: Module, name: str, unit: NumericUnit, begin: Begin) -> NumericUnit:
    """A unit in its place, told of the beginning if it wants to know."""
    place(m, name, unit)
    if unit.interval > 1:
        m.d.comb += unit.start.eq(begin.now)
    return unit
