# SPDX-License-Identifier: Apache-2.0
"""Likeness: the arithmetic of matching in one dtype, apart from when it is done.

The matcher arranges dots, squares and comparisons in time; which units those are, and how wide their numbers, is said
here: binary32 with exact products of two of them for fp16 and bf16, integers for int8.  Model: golden/sic/matcher.py.
"""

from dataclasses import dataclass

from amaranth import Const, Module, Value

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.numeric.compare import ProductGreater
from focus_rtl.hdl.numeric.integer import IntegerGreater, IntegerVerdict, integer_bits
from focus_rtl.hdl.numeric.integer_square import IntegerSquare
from focus_rtl.hdl.numeric.multiply32 import Multiply32
from focus_rtl.hdl.sic.dot import late
from focus_rtl.hdl.unit import place

__all__ = ["Likeness"]

_SCALE_DEPTH, _COMPARE_DEPTH = 2, 2
_ONE, _INFINITY = 0x3F800000, 0x7F800000


@dataclass(frozen=True)
class Likeness:
    """Units and widths for q = d * |d|, its comparison with another candidate's, and the verdict.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    q_bits, n_bits : widths of q and of a norm.  verdict_latency : cycles of `verdict`.
    """

    p: Parameters
    verdict_latency = _SCALE_DEPTH + _COMPARE_DEPTH

    @property
    def _integer(self) -> bool:
        return self.p.dtype == "int8"

    @property
    def q_bits(self) -> int:
        """Width of q."""
        return integer_bits(self.p.vector)[0] if self._integer else 32

    @property
    def n_bits(self) -> int:
        """Width of a norm."""
        return integer_bits(self.p.vector)[1] if self._integer else 32

    def sound(self, norm: Value) -> Value:
        """0 < n < inf; among binary32 bits NaN lies above infinity, and a norm is never negative."""
        return norm.any() if self._integer else norm.any() & (norm < Const(_INFINITY, 32))

    def square(self, m: Module, name: str, d: Value, depth: int) -> Value:
        """d * |d|, `depth` cycles later."""
        if self._integer:
            unit = place(m, name, IntegerSquare(depth, self.p.vector))
            m.d.comb += unit.a.eq(d)
            return unit.o
        product = place(m, name, Multiply32(depth))
        m.d.comb += [product.a.eq(d), product.b.eq(d[:31])]
        return product.o

    def greater(self, m: Module, name: str, q_a: Value, n_b: Value, q_b: Value, n_a: Value, depth: int) -> Value:
        """q_a * n_b > q_b * n_a, exact, `depth` cycles later: whether candidate a is more like the key than b."""
        unit = place(m, name, IntegerGreater(depth, self.p.vector) if self._integer else ProductGreater(depth))
        m.d.comb += [unit.a.eq(q_a), unit.b.eq(n_b), unit.c.eq(q_b), unit.d.eq(n_a)]
        return unit.o

    def verdict(self, m: Module, q: Value, n: Value, own: Value, t2: Value) -> Value:
        """Whether the squared cosine exceeds the squared threshold, `verdict_latency` cycles later."""
        if self._integer:
            unit = place(m, "enough", IntegerVerdict(self.verdict_latency, self.p.vector))
            m.d.comb += [unit.a.eq(q), unit.b.eq(n), unit.c.eq(own), unit.d.eq(t2)]
            return unit.o
        scale = place(m, "scale", Multiply32(_SCALE_DEPTH))
        enough = place(m, "enough", ProductGreater(_COMPARE_DEPTH))
        m.d.comb += [
            scale.a.eq(t2), scale.b.eq(n),
            enough.a.eq(late(m, q, _SCALE_DEPTH, "q_s4")), enough.b.eq(_ONE), enough.c.eq(scale.o),
            enough.d.eq(late(m, own, _SCALE_DEPTH, "own_s4")),
        ]
        return enough.o
