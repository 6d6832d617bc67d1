# SPDX-License-Identifier: Apache-2.0
"""ProductGreater: a, b, c, d in binary32 -> whether a * b > c * d.  Model: `formats.product_greater`."""

from types import SimpleNamespace

from amaranth import Module, Mux, Value

from focus_rtl.hdl.numeric.bits import BINARY32, Layout, clamp, let, sticky, unpack
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage
from focus_rtl.hdl.numeric.product import multiplying

__all__ = ["ProductGreater"]


class ProductGreater(NumericUnit):
    """a * b > c * d with both products exact; 0 if anything is NaN, or infinity times zero.

    Nothing is normalised.  With integers P, Q and P standing d >= 0 places higher, `P * 2**d > Q` iff `P > Q >> d`, and
    `P * 2**d >= Q` iff that, or `P == Q >> d` and no bit was lost: one shifter and one comparison serve both orders.
    Latency `latency` cycles, throughput one comparison per `interval` cycles: 1, but for serial multipliers.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4, besides a serial multiplier's.
    layout : of the operands; binary32 in the machine, smaller ones for proofs.
    multiplier : dsp, lut or serial, see `product`.

    Members
    -------
    a, b, c, d : In(32), binary32 (or as `layout` has it).  o : Out(1).
    start : In(1), with `serial`: operands are there.
    """

    def __init__(self, depth: int = 0, layout: Layout = BINARY32, multiplier: str = "dsp") -> None:
        self.layout, self.multiplier = layout, multiplier
        key = {} if layout == BINARY32 else {"format": (layout.exponents, layout.fractions)}
        super().__init__(dict.fromkeys("abcd", layout.bits), 1, depth, **key, multiplier=multiplier)

    def stages(self) -> list[Stage]:
        return [Stage(4, self._decode),
                *multiplying(self.multiplier, 12, self.layout.significands, left=("left_x", "left_y"),
                             right=("right_x", "right_y")),
                Stage(6, self._order), Stage(6, self._align), Stage(7, self._compare)]

    def _decode(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        a, b, c, d = (unpack(m, f"in_{name}", getattr(s, name), self.layout) for name in "abcd")
        left_zero, right_zero = let(m, "left_zero", a.zero | b.zero), let(m, "right_zero", c.zero | d.zero)
        left_infinite = let(m, "left_infinite", a.special | b.special)
        right_infinite = let(m, "right_infinite", c.special | d.special)
        # A -0 on the right is not below a +0.  On the left it may count as below: it is greater than nothing but what
        # is below zero itself, and there the magnitudes decide.
        left_below = let(m, "left_below", a.sign ^ b.sign)
        right_below = let(m, "right_below", (c.sign ^ d.sign) & ~right_zero)
        nan = let(m, "nan", a.nan | b.nan | c.nan | d.nan | left_zero & left_infinite | right_zero & right_infinite)
        # Decided by signs, infinities or NaN; else by the magnitudes, the other way round below zero.
        sign_says = Mux(left_below ^ right_below, right_below, (left_infinite ^ right_infinite) &
                        (left_infinite ^ left_below))
        return {
            "left_x": a.significand, "left_y": b.significand, "right_x": c.significand, "right_y": d.significand,
            "left_exponent": a.exponent + b.exponent, "right_exponent": c.exponent + d.exponent,
            "below": left_below, "decided": left_below ^ right_below | left_infinite | right_infinite | nan,
            "verdict": sign_says & ~nan,
        }

    def _order(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        swap = let(m, "swap", s.left_exponent < s.right_exponent)
        distance = Mux(swap, s.right_exponent - s.left_exponent, s.left_exponent - s.right_exponent)
        width = (2 * self.layout.significands).bit_length()
        return {
            "high": Mux(swap, s.right, s.left), "low": Mux(swap, s.left, s.right),
            "distance": clamp(m, "away", distance[:self.layout.exponents + 1], width), "want_high": ~(swap ^ s.below),
            "decided": s.decided, "verdict": s.verdict,
        }

    def _align(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {
            "high": s.high, "low": s.low >> s.distance, "lost": sticky(s.low, s.distance),
            "want_high": s.want_high, "decided": s.decided, "verdict": s.verdict,
        }

    def _compare(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        greater = let(m, "greater", s.high > s.low)
        low_greater = ~greater & ((s.high != s.low) | s.lost)
        return {"o": Mux(s.decided, s.verdict, Mux(s.want_high, greater, low_greater))}
