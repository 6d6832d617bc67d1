# SPDX-License-Identifier: Apache-2.0
"""Add: two binary32 numbers -> their sum, rounded to nearest even.  Model: `golden.numeric.formats.add32`."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value

from focus_rtl.hdl.numeric.bits import (
    NAN32,
    clamp,
    leading_zeros,
    let,
    nearest_even,
    only_if,
    shift_left,
    sticky,
    unpack,
)
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["Add"]


class Add(NumericUnit):
    """binary32 + binary32 -> binary32, one rounding; x + -x = +0, -0 + -0 = -0.

    The larger magnitude is put first, so the difference is never negative and infinities and NaNs are found in one
    operand.  The datapath is 28 bits: carry, 24 of significand, guard, round, sticky.  Three bits suffice: when more
    than one place is lost in aligning, a difference has at most one leading zero.
    Latency `depth` cycles, throughput one sum per cycle.

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
        return [Stage(7, self._order), Stage(5, self._align), Stage(4, self._add), Stage(5, self._count),
                Stage(5, self._normalise), Stage(5, self._round)]

    def _order(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        swap = let(m, "swap", s.a[:31] < s.b[:31])
        large, small = unpack(m, "x", Mux(swap, s.b, s.a)), unpack(m, "y", Mux(swap, s.a, s.b))
        subtract = s.a[31] ^ s.b[31]
        return {
            "large": large.significand, "small": small.significand, "exponent": large.exponent,
            "distance": clamp(m, "away", (large.exponent - small.exponent)[:8], 5),
            "sign": large.sign, "subtract": subtract, "special": large.special,
            # A NaN outweighs an infinity: if the larger is infinite, so is the smaller when it is special.
            "nan": large.special & (large.fraction | small.special & subtract),
        }

    def _align(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        small = Cat(Const(0, 3), s.small)
        aligned = let(m, "aligned", small >> s.distance)
        return {
            "large": s.large, "small": Cat(aligned[0] | sticky(small, s.distance), aligned[1:]),
            "exponent": s.exponent, "sign": s.sign, "subtract": s.subtract, "special": s.special, "nan": s.nan,
        }

    def _add(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        # large + ~small + 1; the top bit is complemented with the rest, so the carry falls out.
        small = Cat(s.small, Const(0, 1))
        addend = Mux(s.subtract, ~small, small)
        # A bit below both operands carries the one in: one adder, not two.
        total = (Cat(s.subtract, Const(0, 3), s.large) + Cat(s.subtract, addend))[1:29]
        return {"total": total, "exponent": s.exponent, "sign": s.sign, "subtract": s.subtract,
                "special": s.special, "nan": s.nan}

    def _count(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        # A one `exponent` places down stops the count where the result is subnormal: min(zeros, exponent).
        stop = Const(1 << 27, 28) >> s.exponent
        return {
            "total": s.total, "zeros": leading_zeros(m, "zeros", s.total | stop), "exponent": s.exponent,
            "sign": s.sign & ~(s.subtract & ~s.total.any()), "special": s.special, "nan": s.nan,
        }

    def _normalise(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        shifted = shift_left(m, "place", s.total, s.zeros)
        exponent = let(m, "exponent", only_if(shifted[27], (s.exponent + 1 - s.zeros)[:8]))
        return {"kept": Cat(shifted[4:27], exponent), "guard": shifted[3], "rest": shifted[:3].any(),
                "sign": s.sign, "special": s.special | exponent.all(), "nan": s.nan}

    def _round(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        number = Mux(s.special, Const(0xFF << 23, 31), nearest_even(s.kept, s.guard, s.rest))
        return {"o": Mux(s.nan, Const(NAN32, 32), Cat(number, s.sign))}
