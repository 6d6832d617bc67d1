# SPDX-License-Identifier: Apache-2.0
"""Widen: an element -> the same number in binary32.  Model: `golden.numeric.elements`."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value

from focus_rtl.hdl.numeric.bits import BFLOAT16, NAN32, leading_zeros, only_if, shift_left, unpack
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["Widen"]


class Widen(NumericUnit):
    """binary16 or bfloat16 -> binary32, exact; subnormals of binary16 become normal, a NaN becomes the canonical one.

    Latency `depth` cycles, throughput one number per cycle.

    Parameters
    ----------
    dtype : fp16 or bf16.
    depth : registers, 0 (combinational) .. 4.

    Members
    -------
    a : In(16), the element.  o : Out(32), binary32.
    """

    def __init__(self, depth: int = 0, dtype: str = "fp16") -> None:
        self.check_dtype("Widen", dtype, ("fp16", "bf16"))
        self.dtype = dtype
        super().__init__({"a": 16}, 32, depth, dtype=dtype)

    def stages(self) -> list[Stage]:
        return [Stage(2, self._bfloat)] if self.dtype == "bf16" else [Stage(6, self._count), Stage(5, self._normalise)]

    def _bfloat(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": Mux(unpack(m, "x", s.a, BFLOAT16).nan, Const(NAN32, 32), Cat(Const(0, 16), s.a))}

    def _count(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        a = unpack(m, "x", s.a)
        return {"significand": a.significand, "zeros": leading_zeros(m, "zeros", a.significand), "sign": a.sign,
                "exponent": a.exponent, "special": a.special, "nan": a.nan}

    def _normalise(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        shifted = shift_left(m, "place", s.significand, s.zeros)
        exponent = only_if(shifted[10], (s.exponent + (127 - 15) - s.zeros)[:8])
        number = Mux(s.special, Const(0xFF << 23, 31), Cat(Const(0, 13), shifted[:10], exponent))
        return {"o": Mux(s.nan, Const(NAN32, 32), Cat(number, s.sign))}
