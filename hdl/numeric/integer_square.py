# SPDX-License-Identifier: Apache-2.0
"""IntegerSquare: an int8 dot product d -> d * |d|, exact: a squared cosine that keeps its sign."""

from types import SimpleNamespace

from amaranth import Module, Mux, Value

from focus_rtl.hdl.numeric.bits import let
from focus_rtl.hdl.numeric.integer import integer_bits
from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["IntegerSquare"]


class IntegerSquare(NumericUnit):
    """int32 d -> d * |d|.

    Latency `depth` cycles, throughput one square per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.
    vector : V, 2 .. 64; |d| <= V * 2**14 sets the widths.

    Members
    -------
    a : In(32), two's complement.  o : Out(q bits), two's complement.
    """

    def __init__(self, depth: int = 0, vector: int = 64) -> None:
        if not 2 <= vector <= 64:
            raise ValueError(f"IntegerSquare for vectors of {vector}: must be between 2 and 64")
        self._q_bits, self._n_bits = integer_bits(vector)
        super().__init__({"a": 32}, self._q_bits, depth, vector=vector)

    def stages(self) -> list[Stage]:
        """Magnitude, its square, the sign."""
        return [Stage(6, self._magnitude), Stage(10, self._square), Stage(6, self._sign)]

    def _magnitude(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        sign = s.a[31]
        return {"magnitude": let(m, "magnitude", ((s.a ^ sign.replicate(32)) + sign)[:self._n_bits]), "sign": sign}

    def _square(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"square": (s.magnitude * s.magnitude)[:self._q_bits - 1], "sign": s.sign}

    def _sign(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": Mux(s.sign, -s.square, s.square)[:self._q_bits]}
