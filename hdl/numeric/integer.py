# SPDX-License-Identifier: Apache-2.0
"""Exact integer comparisons of the int8 matcher: which neighbour is nearer, and whether it is near enough.

Model: `golden.numeric.elements`.
"""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Value

from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage
from focus_rtl.hdl.numeric.product import multiplying

__all__ = ["T2_BITS", "IntegerGreater", "IntegerVerdict", "integer_bits"]

T2_BITS = 17
"""Width of the squared threshold in 65536ths, 0 .. 65536."""


def integer_bits(vector: int) -> tuple[int, int]:
    """Bits of q = d * |d| (signed) and of a norm n (unsigned) for `vector` elements of int8: |d|, n <= V * 2**14."""
    largest = vector << 14
    return (largest * largest).bit_length() + 1, largest.bit_length()


class IntegerGreater(NumericUnit):
    """a * b > c * d, both products exact: the integer twin of `ProductGreater`.

    Latency `latency` cycles, throughput one comparison per `interval` cycles: 1, but for serial multipliers.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4, besides a serial multiplier's.
    vector : V, 2 .. 64; sets the widths: 42 and 21 bits at 64, products within 63.
    multiplier : dsp, lut or serial, see `product`.

    Members
    -------
    a, c : In(q bits), two's complement.  b, d : In(n bits), unsigned.  o : Out(1).
    start : In(1), with `serial`: operands are there.
    """

    def __init__(self, depth: int = 0, vector: int = 64, multiplier: str = "dsp") -> None:
        if not 2 <= vector <= 64:
            raise ValueError(f"IntegerGreater for vectors of {vector}: must be between 2 and 64")
        self.multiplier = multiplier
        q_bits, self._n_bits = integer_bits(vector)
        super().__init__({"a": q_bits, "b": self._n_bits, "c": q_bits, "d": self._n_bits}, 1, depth, vector=vector,
                         multiplier=multiplier)

    def stages(self) -> list[Stage]:
        return [Stage(0, self._signs),
                *multiplying(self.multiplier, 12, self._n_bits, left=("q_a", "n_b"), right=("q_b", "n_a")),
                Stage(8, self._compare)]

    def _signs(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"q_a": s.a.as_signed(), "n_b": s.b, "q_b": s.c.as_signed(), "n_a": s.d}

    def _compare(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": s.left > s.right}


class IntegerVerdict(NumericUnit):
    """q * 65536 > t2 * n_u * n_v, exact: whether the best neighbour is near enough.

    Latency `latency` cycles, throughput one verdict per `interval` cycles: 1, but for serial multipliers.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4, besides a serial multiplier's.
    vector : V, 2 .. 64; sets the widths.
    multiplier : dsp, lut or serial, see `product`.

    Members
    -------
    a : In(q bits), two's complement q.  b, c : In(n bits), the two norms.  d : In(17), t2, 0 .. 65536.  o : Out(1).
    start : In(1), with `serial`: operands are there.
    """

    def __init__(self, depth: int = 0, vector: int = 64, multiplier: str = "dsp") -> None:
        if not 2 <= vector <= 64:
            raise ValueError(f"IntegerVerdict for vectors of {vector}: must be between 2 and 64")
        self.multiplier = multiplier
        q_bits, self._n_bits = integer_bits(vector)
        super().__init__({"a": q_bits, "b": self._n_bits, "c": self._n_bits, "d": T2_BITS}, 1, depth, vector=vector,
                         multiplier=multiplier)

    def stages(self) -> list[Stage]:
        return [*multiplying(self.multiplier, 10, self._n_bits, norms=("b", "c")),
                *multiplying(self.multiplier, 12, T2_BITS, least=("norms", "d")), Stage(8, self._compare)]

    def _compare(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": Cat(Const(0, 16), s.a).as_signed() > s.least}
