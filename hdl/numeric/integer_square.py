# SPDX-License-Identifier: Apache-2.0
"""IntegerSquare: an int8 dot product d -> d * |d|, exact: a squared cosine that keeps its sign."""

from types import SimpleNamespace

from amaranth import Module, Mux, Value

from focus_rtl.hdl.numeric.bits import let
from focus_rtl.hdl.numeric.integer import integer_bits
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage
from focus_rtl.hdl.numeric.product import multiplying

__all__ = ["IntegerSquare"]


class IntegerSquare(NumericUnit):
    """int32 d -> d * |d|.

    Latency `latency` cycles, throughput one square per `interval` cycles: 1, but for a serial multiplier.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4, besides a serial multiplier's.
    vector : V, 2 .. 64; |d| <= V * 2**14 sets the widths.
    multiplier : dsp, lut or serial, see `product`.

    Members
    -------
    a : In(32), two's complement.  o : Out(q bits), two's complement.
    start : In(1), with `serial`: the operand is there.
    """

    def __init__(self, depth: int = 0, vector: int = 64, multiplier: str = "dsp") -> None:
        if not 2 <= vector <= 64:
            raise ValueError(f"IntegerSquare for vectors of {vector}: must be between 2 and 64")
        self.multiplier = multiplier
        self._q_bits, self._n_bits = integer_bits(vector)
        super().__init__({"a": 32}, self._q_bits, depth, vector=vector, multiplier=multiplier)

    def stages(self) -> list[Stage]:
        """Magnitude, its square, the sign."""
        return [Stage(6, self._magnitude),
                *multiplying(self.multiplier, 10, self._n_bits, square=("magnitude", "magnitude")),
                Stage(6, self._sign)]

    def _magnitude(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        sign = s.a[31]
        return {"magnitude": let(m, "magnitude", ((s.a ^ sign.replicate(32)) + sign)[:self._n_bits]), "sign": sign}

    def _sign(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        square = s.square[:self._q_bits - 1]
        return {"o": Mux(s.sign, -square, square)[:self._q_bits]}
