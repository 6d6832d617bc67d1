# SPDX-License-Identifier: Apache-2.0
"""Multiply: two binary16 numbers -> their product in binary32, exact.  Model: `golden.numeric.formats.multiply`."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value

from focus_rtl.hdl.numeric.bits import NAN32, leading_zeros, only_if, shift_left, unpack
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["Multiply"]


class Multiply(NumericUnit):
    """binary16 x binary16 -> binary32, exact: nothing is ever rounded, and the result is never subnormal.

    Subnormal operands are multiplied as they are and the 22-bit product is normalised: one shifter in place of two
    in front of the multiplier.  Latency `depth` cycles, throughput one product per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.

    Members
    -------
    a, b : In(16), binary16.  o : Out(32), binary32: normal, zero, infinite or the canonical NaN.
    """

    def __init__(self, depth: int = 0) -> None:
        super().__init__({"a": 16, "b": 16}, 32, depth)

    def stages(self) -> list[Stage]:
        return [Stage(2, self._decode), Stage(8, self._product), Stage(5, self._count), Stage(6, self._normalise)]

    def _decode(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        a, b = unpack(m, "x", s.a), unpack(m, "y", s.b)
        return {
            "x": a.significand, "y": b.significand, "sign": a.sign ^ b.sign,
            # Bias 127 from two biases of 15, one more for a product in [2, 4): the exponent of bit 21.
            "exponent": (a.exponent + b.exponent + (127 - 2 * 15 + 1))[:8],
            "infinite": a.special | b.special,
            "nan": a.nan | b.nan | a.infinite & b.zero | b.infinite & a.zero,
        }

    def _product(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"product": s.x * s.y, "sign": s.sign, "exponent": s.exponent, "infinite": s.infinite, "nan": s.nan}

    def _count(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"product": s.product, "zeros": leading_zeros(m, "zeros", s.product), "sign": s.sign,
                "exponent": s.exponent, "infinite": s.infinite, "nan": s.nan}

    def _normalise(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        shifted = shift_left(m, "place", s.product, s.zeros)
        nonzero = shifted[21]
        exponent = only_if(nonzero, (s.exponent - s.zeros)[:8])
        number = Mux(s.infinite, Const(0xFF << 23, 31), Cat(Const(0, 2), shifted[:21], exponent))
        return {"o": Mux(s.nan, Const(NAN32, 32), Cat(number, s.sign))}
