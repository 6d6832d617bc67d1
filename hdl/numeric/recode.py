# SPDX-License-Identifier: Apache-2.0
"""Recode: a binary16 element -> the form in which the array passes it on, decoded once at the edge and not per PE."""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value
from amaranth.lib import data

from focus_rtl.hdl.numeric.bits import leading_zeros, let, shift_left, unpack
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["ELEMENT_BIAS", "WEIGHT_BIAS", "Recode", "recoded"]

ELEMENT_BIAS, WEIGHT_BIAS = 40, 39
"""Added to an exponent counted from the least subnormal, 2**-24 = 0, of an element and of a weight.

Chosen so that the codes of both, and one more for a product in [2, 4), add up to binary32's exponent field without any
constant: 2**-24 * 2**-24 has the field 79.
"""


def recoded() -> data.StructLayout:
    """significand : 1.f, all zero for a zero.  code : exponent, 39 .. 79; both upper bits set for infinity and NaN,
    told apart by the top fraction bit.  sign.
    """
    return data.StructLayout({"significand": 11, "code": 7, "sign": 1})


class Recode(NumericUnit):
    """binary16 -> `recoded()`, 19 bits: subnormals are normal there, so no PE normalises one.

    Latency `depth` cycles, throughput one element per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.
    bias : ELEMENT_BIAS or WEIGHT_BIAS.

    Members
    -------
    a : In(16), binary16.  o : Out(19), fields of `recoded()`.
    """

    in_functions = True

    def __init__(self, depth: int = 0, bias: int = ELEMENT_BIAS) -> None:
        self.bias = bias
        super().__init__({"a": 16}, recoded().size, depth, bias=bias)

    def stages(self) -> list[Stage]:
        return [Stage(8, self._recode)]

    def _recode(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        a = unpack(m, "x", s.a)
        zeros = let(m, "zeros_of", leading_zeros(m, "zeros", a.significand))
        shifted = shift_left(m, "place", a.significand, zeros)
        # A normal number with field 1 weighs 2**-14: ten binades above the least subnormal.
        code = let(m, "code", (a.exponent + (9 + self.bias) - zeros)[:7])
        special = Cat(Const(0, 9), a.fraction, Const(1, 1), Const(0x60, 7))
        return {"o": Cat(Mux(a.special, special, Cat(shifted, code)), a.sign)}
