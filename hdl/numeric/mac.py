# SPDX-License-Identifier: Apache-2.0
"""Product and AddProduct: two recoded elements -> their exact product; psum + product -> psum, in binary32.

Together they are `formats.add32(psum, formats.multiply(x, w))` for binary16, cheaper than `Multiply` and `Add`: nothing
is packed in between, and nothing can be subnormal.
"""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value
from amaranth.lib import data

from focus_rtl.hdl.numeric.bits import clamp, let, nearest_even, only_if, sticky
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage
from focus_rtl.hdl.numeric.product import PARALLEL, check_multiplier, times
from focus_rtl.hdl.numeric.recode import recoded

__all__ = ["AddProduct", "Product", "product_layout"]


def product_layout() -> data.StructLayout:
    """binary32 without the two lowest fraction bits, which no product needs.

    fraction : 21 bits.  exponent : 79 .. 158, so that either upper bit is set, or 0 with a fraction of 0 for a zero, or
    255 for an infinity and the canonical NaN; only then both upper bits are set.  sign : of a NaN either one.
    """
    return data.StructLayout({"fraction": 21, "exponent": 8, "sign": 1})


class Product(NumericUnit):
    """recoded x recoded -> exact product.

    Latency `depth` cycles, throughput one product per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.
    multiplier : dsp or lut, see `product`.

    Members
    -------
    a : In(19), an element recoded with ELEMENT_BIAS.  b : In(19), one with WEIGHT_BIAS.
    o : Out(30), fields of `product_layout()`.
    """

    in_functions = True

    def __init__(self, depth: int = 0, multiplier: str = "dsp") -> None:
        check_multiplier(multiplier, PARALLEL)
        self.multiplier = multiplier
        width = recoded().size
        super().__init__({"a": width, "b": width}, product_layout().size, depth, multiplier=multiplier)

    def stages(self) -> list[Stage]:
        return [Stage(7, self._multiply), Stage(3, self._normalise)]

    def _multiply(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        a, b = (data.View(recoded(), value) for value in (s.a, s.b))
        a_special, b_special = (let(m, f"{name}_special", value.code[5:].all()) for name, value in (("a", a), ("b", b)))
        a_nan, b_nan = a_special & a.significand[9], b_special & b.significand[9]
        nonzero = let(m, "nonzero", a.significand[10] & b.significand[10])
        special = let(m, "special", a_special | b_special)
        return {
            "product": times(a.significand, b.significand, self.multiplier), "a_code": a.code, "b_code": b.code,
            "sign": a.sign ^ b.sign, "nonzero": nonzero, "special": special,
            "nan": a_nan | b_nan | special & ~nonzero,  # a zero times an infinity
        }

    def _normalise(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        high = s.product[21]
        # One carry chain: the bit below both codes carries the one in.
        exponent = (Cat(high, s.a_code) + Cat(Const(1, 1), s.b_code))[1:9]
        fraction = Mux(high, s.product[:21], Cat(Const(0, 1), s.product[:20]))
        fraction = Mux(s.special, Cat(Const(0, 20), s.nan), fraction)
        return {"o": Cat(fraction, only_if(s.nonzero, exponent) | s.special.replicate(8), s.sign)}


class AddProduct(NumericUnit):
    """psum + product -> psum in binary32, one rounding.

    No sum of binary16 products is subnormal or rounds to infinity: each is a multiple of 2**-48, below 2**32, so a sum
    is zero or at least 2**-48.  Hence neither end of binary32's range has any logic here.  The larger magnitude is put
    first, so the difference is never negative.
    Latency `depth` cycles, throughput one sum per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.

    Members
    -------
    a : In(32), psum: +-0, normal, infinite or the canonical NaN; a subnormal one or another NaN is not understood.
    b : In(30), fields of `product_layout()`.  o : Out(32), psum.
    """

    in_functions = True

    def __init__(self, depth: int = 0) -> None:
        super().__init__({"a": 32, "b": product_layout().size}, 32, depth)

    def stages(self) -> list[Stage]:
        return [Stage(6, self._compare), Stage(3, self._order), Stage(4, self._align), Stage(6, self._add),
                Stage(6, self._normalise_far), Stage(5, self._normalise_near), Stage(6, self._round)]

    def _compare(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        product = data.View(product_layout(), s.b)
        exponent = s.a[23:31]
        normal, infinite = let(m, "normal", exponent.any()), let(m, "infinite", exponent.all())
        product_normal, product_special = product.exponent[6:].any(), product.exponent[6:].all()
        magnitude = Cat(Const(0, 2), product.fraction, product.exponent)
        subtract = let(m, "subtract", s.a[31] ^ product.sign)
        return {
            "swap": s.a[:31] < magnitude, "psum": Cat(s.a[:23], normal), "psum_exponent": exponent,
            "product": Cat(product.fraction, product_normal), "product_exponent": product.exponent,
            "psum_above": (exponent - product.exponent)[:8], "product_above": (product.exponent - exponent)[:8],
            "sign": s.a[31], "subtract": subtract, "special": infinite | product_special,
            "nan": product_special & product.fraction[20] | infinite & (s.a[22] | product_special & subtract),
        }

    def _order(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        product = Cat(Const(0, 2), s.product)
        return {
            "large": Mux(s.swap, product, s.psum), "small": Mux(s.swap, s.psum, product),
            "exponent": Mux(s.swap, s.product_exponent, s.psum_exponent),
            "distance": clamp(m, "away", Mux(s.swap, s.product_above, s.psum_above), 5),
            "sign": s.sign ^ (s.swap & s.subtract), "subtract": s.subtract, "special": s.special, "nan": s.nan,
        }

    def _align(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        small = let(m, "guarded", Cat(Const(0, 2), s.small))
        lost = sticky(small, s.distance)
        return {"large": s.large, "small": Cat(lost, small >> s.distance), "exponent": s.exponent, "sign": s.sign,
                "subtract": s.subtract, "special": s.special, "nan": s.nan}

    def _add(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        addend = Cat(s.small, Const(0, 1)) ^ s.subtract.replicate(28)
        total = (Cat(s.subtract, Const(0, 3), s.large, Const(0, 1)) + Cat(s.subtract, addend))[1:29]
        return {"total": total, "exponent": s.exponent, "sign": s.sign, "subtract": s.subtract, "special": s.special,
                "nan": s.nan}

    def _normalise_far(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        value, zeros = self._shift_out(m, s.total, (4, 3))
        return {"total": value, "far": zeros, "exponent": s.exponent, "sign": s.sign, "subtract": s.subtract,
                "special": s.special, "nan": s.nan}

    def _normalise_near(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        value, zeros = self._shift_out(m, s.total, (2, 1, 0))
        nonzero = let(m, "nonzero", value[27])
        exponent = (s.exponent + 1 - Cat(zeros, s.far))[:8]
        number = let(m, "number", ~s.special)
        return {
            "fraction": Cat(value[4:26] & number.replicate(22), Mux(s.special, s.nan, value[26])),
            "exponent": only_if(nonzero, exponent) | s.special.replicate(8),
            "guard": value[3] & number, "rest": value[:3].any(),
            "sign": s.sign & ~s.nan & ~(s.subtract & ~nonzero & number),
        }

    def _round(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": Cat(nearest_even(Cat(s.fraction, s.exponent), s.guard, s.rest), s.sign)}

    def _shift_out(self, m: Module, value: Value, places: tuple[int, ...]) -> tuple[Value, Value]:
        """Shift leading zeros out, 2**place at a time where so many are there; also how many, in units of the last."""
        count = []
        for place in places:
            step = 1 << place
            empty = let(m, f"empty_{step}", ~value[-step:].any())
            value = let(m, f"shifted_{step}", Mux(empty, Cat(Const(0, step), value[:-step]), value))
            count.append(empty)
        return value, Cat(reversed(count))
