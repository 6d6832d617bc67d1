# SPDX-License-Identifier: Apache-2.0
"""Multiply32: two binary32 numbers -> their product, rounded to nearest even.  Model: `formats.multiply32`."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value, signed

from focus_rtl.hdl.numeric.bits import NAN32, clamp, leading_zeros, let, nearest_even, only_if, sticky, unpack
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["Multiply32"]


class Multiply32(NumericUnit):
    """binary32 x binary32 -> binary32, one rounding; subnormals in and out.

    The 48-bit product is brought into place by one right shift of 0 .. 63 from 24 places above: less than 24 normalises
    a subnormal operand's product, more makes a subnormal result.  Two subnormal operands need no more zeros counted,
    since their product is far below the least subnormal.
    Latency `depth` cycles, throughput one product per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.

    Members
    -------
    a, b : In(32), binary32.  o : Out(32), binary32.
    """

    def __init__(self, depth: int = 0) -> None:
        super().__init__({"a": 32, "b": 32}, 32, depth)

    def stages(self) -> list[Stage]:
        return [Stage(4, self._decode), Stage(12, self._product), Stage(8, self._count), Stage(7, self._shift),
                Stage(6, self._round)]

    def _decode(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        a, b = unpack(m, "x", s.a), unpack(m, "y", s.b)
        return {
            "x": a.significand, "y": b.significand, "sign": a.sign ^ b.sign,
            # The exponent of bit 47 of the product, biased: -124 .. 382.
            "exponent": (a.exponent + b.exponent - 126)[:10].as_signed(),
            "infinite": a.special | b.special,
            "nan": a.nan | b.nan | a.infinite & b.zero | b.infinite & a.zero,
        }

    def _product(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"product": s.x * s.y, "sign": s.sign, "exponent": s.exponent, "infinite": s.infinite, "nan": s.nan}

    def _count(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        # 24 places down, less the leading zeros, but no fewer than keep the exponent at 1 or above.
        wanted = let(m, "wanted", 24 - leading_zeros(m, "zeros", Cat(Const(1, 1), s.product[24:])))
        least = let(m, "least", 25 - s.exponent)
        amount = let(m, "amount", Mux(least > wanted, least, wanted)[:8])
        return {"product": s.product, "amount": clamp(m, "away", amount, 6), "sign": s.sign,
                "exponent": (s.exponent - 24 + amount)[:10].as_signed(),
                "infinite": s.infinite, "nan": s.nan}

    def _shift(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        raised = Cat(Const(0, 2), s.product)  # guard and round bit below a product shifted up by 24
        shifted = let(m, "shifted", (raised >> s.amount)[:26])
        normal = shifted[25]
        exponent = let(m, "exponent", only_if(normal, s.exponent))
        return {"kept": Cat(shifted[2:25], exponent[:8]), "guard": shifted[1],
                "rest": shifted[0] | sticky(raised, s.amount), "sign": s.sign,
                "infinite": s.infinite | (exponent >= Const(255, signed(10))), "nan": s.nan}

    def _round(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        number = Mux(s.infinite, Const(0xFF << 23, 31), nearest_even(s.kept, s.guard, s.rest))
        return {"o": Mux(s.nan, Const(NAN32, 32), Cat(number, s.sign))}
