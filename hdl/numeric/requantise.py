# SPDX-License-Identifier: Apache-2.0
"""IntToFloat and Requantise: int32 accumulators -> binary32, -> int8 elements.  Model: `golden.numeric.elements`."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value

from focus_rtl.hdl.numeric.bits import (
    clamp,
    leading_zeros,
    let,
    nearest_even,
    only_if,
    shift_left,
    unpack,
)
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage
from focus_rtl.hdl.numeric.product import PARALLEL, check_multiplier, multiplying

__all__ = ["IntToFloat", "Requantise", "int_to_float"]

_HALF = 12
"""Bits of half a significand: four products of these, each within a DSP slice, and two sums."""

_NO_PLACES = 102
"""Exponent of the scale, less the leading zeros of the sum, at which the product's top bits are just in place."""


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
    Latency `depth` cycles, throughput one element per cycle.

    The binary32 product is never made.  What it would be rounded to matters only where that lies on a half or just
    below one, so the exact product of the significands is looked at where the integer ends, and in the bits down to
    the last place of binary32: all zeros below the half is a tie, all ones below the place of a half becomes one.  What
    is less than 1/2 gives 0, 128 or more saturates; so no subnormal number needs care, neither a scale nor a product.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 8.
    multiplier : dsp or lut, see `product`.

    Members
    -------
    a : In(32), int32 accumulator.  b : In(32), binary32 scale.  o : Out(8), int8.
    """

    max_depth = 8

    def __init__(self, depth: int = 0, multiplier: str = "dsp") -> None:
        check_multiplier(multiplier, PARALLEL)
        self.multiplier = multiplier
        super().__init__({"a": 32, "b": 32}, 8, depth, multiplier=multiplier)

    def stages(self) -> list[Stage]:
        parts = {f"{x}{y}": (x, y) for x in ("a0", "a1") for y in ("b0", "b1")}
        return [Stage(7, self._unpack), Stage(6, self._normalise), Stage(7, self._convert),
                *multiplying(self.multiplier, 8, _HALF, **parts), Stage(6, self._middle), Stage(6, self._total),
                Stage(7, self._place), Stage(6, self._clip)]

    def _unpack(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        """The sum's magnitude, less 1 where it is negative, without leading zeros by the sixteen and the eight."""
        below, b = s.a[31], unpack(m, "y", s.b)
        return {"below": below, "b": b.significand, "sign": below ^ b.sign, "exponent": b.exponent,
                # Nothing but 0 comes of them; a subnormal scale is below 2**-126, a sum at most 2**31.
                "none": ~b.significand[-1] | b.nan | ~s.a.any(),
                **_less_zeros(m, s.a ^ below.replicate(32), Const(0, 0), (16, 8), below)}

    def _normalise(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return vars(s) | _less_zeros(m, s.value, s.zeros, (4, 2, 1), s.below)

    def _convert(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        """The sum's significand in binary32: what is left plus the 1 of a negative one, or rounded up, never both.

        It may get to the next power of two; of -1, whose magnitude less 1 is 0, that is the one it belongs to.
        """
        guard, zeros, ones = s.value[7], ~s.value[:7].any(), s.value[:7].all()
        odd = s.value[8]
        up = let(m, "up", Mux(s.below, Mux(ones, guard | odd, guard), guard & (odd | ~zeros)))
        rounded = let(m, "rounded", s.value[8:31] + up)
        return {"a0": rounded[:_HALF], "a1": Cat(rounded[_HALF:23], Const(1, 1)), "b0": s.b[:_HALF],
                "b1": s.b[_HALF:], "sign": s.sign, "none": s.none, "next": rounded[23] & s.value[31],
                "down": (_NO_PLACES + s.zeros - s.exponent)[:9].as_signed()}

    def _middle(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        # Places that the product goes down so that eight bits stay: seven of a whole number below 128, and a half.
        down = let(m, "places", (s.down - s.next)[:9])
        return {"outer": Cat(s.a0b0, s.a1b1), "middle": s.a0b1 + s.a1b0, "sign": s.sign,
                "down": clamp(m, "away", down[:8], 4), "huge": down[8], "none": s.none}

    def _total(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"product": Cat(s.outer[:_HALF], (s.outer[_HALF:] + s.middle)[:3 * _HALF]), "down": s.down,
                "lost": (Const(0xFF, 8) >> (8 - s.down)[:4]), "sign": s.sign, "huge": s.huge,
                "none": s.none | ~s.huge & (s.down > 8)}

    def _place(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        """The product in its place: eight bits, the last of them the half; what is below, zeros or ones alone.

        The last place of binary32 is bit 24 or 23 of the product.
        """
        p, high = s.product, s.product[47]
        top = let(m, "top", p[39:48])
        zeros = Mux(high, ~(p[23] & p[:23].any()), ~p[23] & ~(p[22] & p[:22].any()))
        shifted = let(m, "shifted", top >> s.down)
        return {"whole": shifted[1:8], "half": shifted[0],
                "zeros": ~p[24:39].any() & zeros & ~(top[:8] & s.lost).any(),
                "ones": p[23:39].all() & (high | p[22]) & (top[:8] | ~s.lost).all(),
                "sign": s.sign, "huge": s.huge | shifted[8], "none": s.none}

    def _clip(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        odd = s.whole[0]
        up = let(m, "up", Mux(s.half, odd | ~s.zeros, odd & s.ones))
        signed = let(m, "signed", (Cat(s.whole ^ s.sign.replicate(7), s.sign) + (up ^ s.sign))[:8])
        clipped = s.huge | (signed[7] & ~s.sign)
        return {"o": only_if(~s.none, Mux(clipped, Cat(~s.sign.replicate(7), s.sign), signed))}


def _less_zeros(m: Module, value: Value, zeros: Value, steps: tuple[int, ...], fill: Value) -> dict[str, Value]:
    """`value` moved up by so many of its leading zeros, `fill` behind it; and how many, added to those of before."""
    for step in steps:
        empty = let(m, f"no_{step}", ~value[-step:].any())
        value = let(m, f"by_{step}", Mux(empty, Cat(fill.replicate(step), value[:-step]), value))
        zeros = Cat(empty, zeros)
    return {"value": value, "zeros": zeros}
