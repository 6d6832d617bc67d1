# SPDX-License-Identifier: Apache-2.0
"""IntToFloat and Requantise: int32 accumulators -> binary32, -> int8 elements.  Model: `golden.numeric.elements`."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value

from focus_rtl.hdl.numeric.bits import (
    BINARY32,
    clamp,
    leading_zeros,
    let,
    nearest_even,
    only_if,
    shift_left,
    sticky,
    unpack,
)
from focus_rtl.hdl.numeric.multiply32 import rounded_product
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage, carrying

__all__ = ["IntToFloat", "Requantise", "int_to_float"]


def int_to_float() -> list[Stage]:
    """Stages from `a`, int32, to `o`, the same number in binary32, rounded to nearest even."""
    def count(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        sign = s.a[31]
        magnitude = let(m, "magnitude", ((s.a ^ sign.replicate(32)) + sign)[:32])
        return {"magnitude": magnitude, "zeros": leading_zeros(m, "zeros", magnitude), "sign": sign}

    def normalise(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        shifted = shift_left(m, "place", s.magnitude, s.zeros)
        exponent = only_if(shifted[31], (127 + 31 - s.zeros)[:8])
        return {"kept": Cat(shifted[8:31], exponent), "guard": shifted[7], "rest": shifted[:7].any(), "sign": s.sign}

    def rounding(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": Cat(nearest_even(s.kept, s.guard, s.rest), s.sign)}

    return [Stage(10, count), Stage(5, normalise), Stage(5, rounding)]


class IntToFloat(NumericUnit):
    """int32 -> binary32, one rounding; 0 becomes +0.

    Latency `depth` cycles, throughput one number per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.

    Members
    -------
    a : In(32), int32.  o : Out(32), binary32.
    """

    def __init__(self, depth: int = 0) -> None:
        super().__init__({"a": 32}, 32, depth)

    def stages(self) -> list[Stage]:
        return int_to_float()


class Requantise(NumericUnit):
    """int32 a, binary32 b -> int8: rint(f32(a) * b), clipped; conversion and product rounded to binary32, rint to even.

    Infinities saturate, NaN gives 0, a negative scale is an ordinary number.
    Latency `latency` cycles, throughput one element per `interval` cycles: 1, but for a serial multiplier.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 8, besides a serial multiplier's.
    multiplier : dsp, lut or serial, see `product`.

    Members
    -------
    a : In(32), int32 accumulator.  b : In(32), binary32 scale.  o : Out(8), int8.
    start : In(1), with `serial`: operands are there.
    """

    max_depth = 8

    def __init__(self, depth: int = 0, multiplier: str = "dsp") -> None:
        self.multiplier = multiplier
        super().__init__({"a": 32, "b": 32}, 8, depth, multiplier=multiplier)

    def stages(self) -> list[Stage]:
        return [*carrying(int_to_float(), "b"), Stage(0, self._factors), *rounded_product(BINARY32, self.multiplier),
                Stage(6, self._align), Stage(4, self._clip)]

    def _factors(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"a": s.o, "b": s.b}

    def _align(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        y = unpack(m, "y", s.o)
        # Bit 23 of the significand weighs 2**(exponent - 127); one more place below the point is the guard bit.
        distance = let(m, "distance", clamp(m, "away", only_if(y.exponent < 150, (150 - y.exponent)[:8]), 5))
        raised = Cat(Const(0, 1), y.significand)
        aligned = let(m, "aligned", raised >> distance)
        return {"kept": aligned[1:9], "guard": aligned[0], "rest": sticky(raised, distance), "sign": y.sign,
                "huge": y.exponent >= 127 + 8, "nan": y.nan}

    def _clip(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        whole = let(m, "whole", s.kept + (s.guard & (s.rest | s.kept[0])))  # 0 .. 256
        below = Mux(s.huge | (whole > 128), Const(0x80, 8), (~whole + 1)[:8])
        above = Mux(s.huge | (whole > 127), Const(0x7F, 8), whole[:8])
        return {"o": only_if(~s.nan, Mux(s.sign, below, above))}
