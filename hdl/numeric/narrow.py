# SPDX-License-Identifier: Apache-2.0
"""Narrow: a binary32 number -> binary16, rounded to nearest even.  Model: `golden.numeric.formats.narrow`."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value

from focus_rtl.hdl.numeric.bits import NAN16, clamp, let, nearest_even, only_if, sticky, unpack
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["Narrow"]


class Narrow(NumericUnit):
    """binary32 -> binary16, one rounding; overflow to infinity, underflow to subnormals and signed zeros.

    Latency `depth` cycles, throughput one number per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.

    Members
    -------
    a : In(32), binary32.  o : Out(16), binary16.
    """

    def __init__(self, depth: int = 0) -> None:
        super().__init__({"a": 32}, 16, depth)

    def stages(self) -> list[Stage]:
        return [Stage(4, self._decode), Stage(5, self._align), Stage(5, self._round)]

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
