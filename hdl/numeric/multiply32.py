# SPDX-License-Identifier: Apache-2.0
"""Multiply32: two binary32 numbers -> their product, rounded to nearest even.  Model: `formats.multiply32`."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value, signed

from focus_rtl.hdl.numeric.bits import (
    BINARY32,
    NAN32,
    Layout,
    clamp,
    leading_zeros,
    let,
    nearest_even,
    only_if,
    sticky,
    unpack,
)
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage
from focus_rtl.hdl.numeric.product import multiplying

__all__ = ["Multiply32", "rounded_product"]


class Multiply32(NumericUnit):
    """binary32 x binary32 -> binary32, one rounding; subnormals in and out.

    Latency `latency` cycles, throughput one product per `interval` cycles: 1, but for a serial multiplier.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4, besides a serial multiplier's.
    multiplier : dsp, lut or serial, see `product`.

    Members
    -------
    a, b : In(32), binary32.  o : Out(32), binary32.
    start : In(1), with `serial`: operands are there.
    """

    def __init__(self, depth: int = 0, multiplier: str = "dsp") -> None:
        self.multiplier = multiplier
        super().__init__({"a": 32, "b": 32}, 32, depth, multiplier=multiplier)

    def stages(self) -> list[Stage]:
        return rounded_product(BINARY32, self.multiplier)


def rounded_product(layout: Layout, multiplier: str = "dsp") -> list[Stage]:
    """Stages from `a`, `b` in a format with binary32's exponents to `o`, their product rounded to binary32.

    The product of two w-bit significands, put w places above where a normalised one stands, is brought into place by
    one right shift: less than w normalises a subnormal operand's product, more makes a subnormal result.  Two subnormal
    operands need no more zeros counted, since their product is far below the least subnormal.
    """
    width, bias = layout.significands, layout.bias
    raise_by = 24 - width

    def decode(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        a, b = unpack(m, "x", s.a, layout), unpack(m, "y", s.b, layout)
        return {
            "x": a.significand, "y": b.significand, "sign": a.sign ^ b.sign,
            # The exponent of the product's top bit, biased: -124 .. 382.
            "exponent": (a.exponent + b.exponent - (bias - 1))[:10].as_signed(),
            "infinite": a.special | b.special,
            "nan": a.nan | b.nan | a.infinite & b.zero | b.infinite & a.zero,
        }

    def count(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        # `width` places down, less the leading zeros, but no fewer than keep the exponent at 1 or above.
        wanted = let(m, "wanted", width - leading_zeros(m, "zeros", Cat(Const(1, 1), s.product[width:])))
        least = let(m, "least", width + 1 - s.exponent)
        amount = let(m, "amount", Mux(least > wanted, least, wanted)[:8])
        return {"product": s.product, "amount": clamp(m, "away", amount, 6), "sign": s.sign,
                "exponent": (s.exponent - width + amount)[:10].as_signed(),
                "infinite": s.infinite, "nan": s.nan}

    def shift(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        raised = Cat(Const(0, 2 + raise_by), s.product)  # the lowest two: guard and round bit
        shifted = let(m, "shifted", (raised >> s.amount)[:26])
        normal = shifted[25]
        exponent = let(m, "exponent", only_if(normal, s.exponent))
        return {"kept": Cat(shifted[2:25], exponent[:8]), "guard": shifted[1],
                "rest": shifted[0] | sticky(raised, s.amount), "sign": s.sign,
                "infinite": s.infinite | (exponent >= Const(255, signed(10))), "nan": s.nan}

    def rounding(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        number = Mux(s.infinite, Const(0xFF << 23, 31), nearest_even(s.kept, s.guard, s.rest))
        return {"o": Mux(s.nan, Const(NAN32, 32), Cat(number, s.sign))}

    return [Stage(4, decode), *multiplying(multiplier, 12 if width > 18 else 8, width, product=("x", "y")),
            Stage(8, count), Stage(7, shift), Stage(6, rounding)]
