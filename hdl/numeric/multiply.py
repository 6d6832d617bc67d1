# SPDX-License-Identifier: Apache-2.0
"""Multiply: two elements -> their product in the accumulator's format.  Model: `golden.numeric.elements`."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value

from focus_rtl.hdl.numeric.bits import BFLOAT16, NAN32, leading_zeros, only_if, shift_left, unpack
from focus_rtl.hdl.numeric.multiply32 import rounded_product
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage
from focus_rtl.hdl.numeric.product import PARALLEL, check_multiplier, multiplying

__all__ = ["Multiply"]


class Multiply(NumericUnit):
    """Element x element -> binary32 for `fp16` and `bf16`, int32 for `int8`.

    fp16: exact, nothing is ever rounded, and the result is never subnormal.  Subnormal operands are multiplied as they
    are and the 22-bit product is normalised: one shifter in place of two in front of the multiplier.
    bf16: the significand is exact, but the exponent may leave binary32: rounded to nearest even, as IEEE has it.
    int8: exact.
    Latency `depth` cycles, throughput one product per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.
    dtype : fp16, bf16 or int8.
    multiplier : dsp or lut, see `product`.

    Members
    -------
    a, b : In(16), or In(8) for int8.  o : Out(32); every NaN is the canonical one.
    """

    def __init__(self, depth: int = 0, dtype: str = "fp16", multiplier: str = "dsp") -> None:
        self.check_dtype("Multiply", dtype, ("fp16", "bf16", "int8"))
        check_multiplier(multiplier, PARALLEL)
        self.dtype, self.multiplier, self.in_functions = dtype, multiplier, dtype != "int8"
        width = 8 if dtype == "int8" else 16
        super().__init__({"a": width, "b": width}, 32, depth, dtype=dtype, multiplier=multiplier)

    def stages(self) -> list[Stage]:
        if self.dtype == "int8":
            return [Stage(0, self._signs), *multiplying(self.multiplier, 8, 8, product=("x", "y")),
                    Stage(0, self._extend)]
        if self.dtype == "bf16":
            return rounded_product(BFLOAT16, self.multiplier)
        return [Stage(2, self._decode), *multiplying(self.multiplier, 8, 11, product=("x", "y")),
                Stage(5, self._count), Stage(6, self._normalise)]

    def _signs(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"x": s.a.as_signed(), "y": s.b.as_signed()}

    def _extend(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": Cat(s.product, s.product[-1].replicate(32 - len(s.product)))}

    def _decode(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        a, b = unpack(m, "x", s.a), unpack(m, "y", s.b)
        return {
            "x": a.significand, "y": b.significand, "sign": a.sign ^ b.sign,
            # Bias 127 from two biases of 15, one more for a product in [2, 4): the exponent of bit 21.
            "exponent": (a.exponent + b.exponent + (127 - 2 * 15 + 1))[:8],
            "infinite": a.special | b.special,
            "nan": a.nan | b.nan | a.infinite & b.zero | b.infinite & a.zero,
        }

    def _count(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"product": s.product, "zeros": leading_zeros(m, "zeros", s.product), "sign": s.sign,
                "exponent": s.exponent, "infinite": s.infinite, "nan": s.nan}

    def _normalise(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        shifted = shift_left(m, "place", s.product, s.zeros)
        nonzero = shifted[21]
        exponent = only_if(nonzero, (s.exponent - s.zeros)[:8])
        number = Mux(s.infinite, Const(0xFF << 23, 31), Cat(Const(0, 2), shifted[:21], exponent))
        return {"o": Mux(s.nan, Const(NAN32, 32), Cat(number, s.sign))}
