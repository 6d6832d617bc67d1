# SPDX-License-Identifier: Apache-2.0
"""Narrow: a binary32 number -> binary16 or bfloat16, rounded to nearest even.  Model: `golden.numeric.elements`."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value

from focus_rtl.hdl.numeric.bits import BFLOAT16, NAN16, clamp, let, nearest_even, only_if, sticky, unpack
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["Narrow"]


class Narrow(NumericUnit):
    """binary32 -> element, one rounding; overflow to infinity, underflow to subnormals and signed zeros.

    bfloat16 has binary32's exponents, so rounding is all there is to it.
    Latency `depth` cycles, throughput one number per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.
    dtype : fp16 or bf16.

    Members
    -------
    a : In(32), binary32.  o : Out(16), the element.
    """

    def __init__(self, depth: int = 0, dtype: str = "fp16") -> None:
        self.check_dtype("Narrow", dtype, ("fp16", "bf16"))
        self.dtype = dtype
        super().__init__({"a": 32}, 16, depth, dtype=dtype)

    def stages(self) -> list[Stage]:
        if self.dtype == "bf16":
            return [Stage(6, self._bfloat)]
        return [Stage(4, self._decode), Stage(5, self._align), Stage(5, self._round)]

    def _bfloat(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        a = unpack(m, "x", s.a)
        number = nearest_even(s.a[16:31], s.a[15], s.a[:15].any())
        return {"o": Mux(a.nan, Const(BFLOAT16.nan, 16), Cat(number, s.a[31]))}

    def _decode(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        a = unpack(m, "x", s.a)
        normal = let(m, "normal", a.exponent >= 113)  # binary16's least exponent, -14, in the bias of binary32
        return {
            "significand": a.significand, "sign": a.sign, "nan": a.nan,
            "distance": only_if(~normal, clamp(m, "away", (113 - a.exponent)[:8], 5)),
            "exponent": only_if(normal, (a.exponent - 112)[:5]),
            "infinite": a.exponent >= 143,
        }

    def _align(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        aligned = let(m, "aligned", s.significand >> s.distance)
        return {"kept": Cat(aligned[13:23], s.exponent), "guard": aligned[12],
                "rest": aligned[:12].any() | sticky(s.significand, s.distance),
                "sign": s.sign, "infinite": s.infinite, "nan": s.nan}

    def _round(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        number = Mux(s.infinite, Const(0x1F << 10, 15), nearest_even(s.kept, s.guard, s.rest))
        return {"o": Mux(s.nan, Const(NAN16, 16), Cat(number, s.sign))}
