# SPDX-License-Identifier: Apache-2.0
"""Exact integer comparisons of the int8 matcher: which neighbour is nearer, and whether it is near enough.

Model: `golden.numeric.elements`.
"""

from types import SimpleNamespace

from amaranth import Cat, Const, Module, Value

from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["IntegerGreater", "IntegerVerdict", "integer_bits"]


def integer_bits(vector: int) -> tuple[int, int]:
    """Bits of q = d * |d| (signed) and of a norm n (unsigned) for `vector` elements of int8: |d|, n <= V * 2**14."""
    largest = vector << 14
    return (largest * largest).bit_length() + 1, largest.bit_length()


class IntegerGreater(NumericUnit):
    """a * b > c * d, both products exact: the integer twin of `ProductGreater`.

    Latency `depth` cycles, throughput one comparison per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.
    vector : V, 2 .. 64; sets the widths: 42 and 21 bits at 64, products within 63.

    Members
    -------
    a, c : In(q bits), two's complement.  b, d : In(n bits), unsigned.  o : Out(1).
    """

    def __init__(self, depth: int = 0, vector: int = 64) -> None:
        if not 2 <= vector <= 64:
            raise ValueError(f"IntegerGreater for vectors of {vector}: must be between 2 and 64")
        q_bits, n_bits = integer_bits(vector)
        super().__init__({"a": q_bits, "b": n_bits, "c": q_bits, "d": n_bits}, 1, depth, vector=vector)

    def stages(self) -> list[Stage]:
        return [Stage(12, self._product), Stage(8, self._compare)]

    def _product(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        width = len(s.a) + len(s.b)
        return {"left": (s.a.as_signed() * s.b)[:width].as_signed(),
                "right": (s.c.as_signed() * s.d)[:width].as_signed()}

    def _compare(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": s.left > s.right}


class IntegerVerdict(NumericUnit):
    """q * 65536 > t2 * n_u * n_v, exact: whether the best neighbour is near enough.

    Latency `depth` cycles, throughput one verdict per cycle.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4.
    vector : V, 2 .. 64; sets the widths.

    Members
    -------
    a : In(q bits), two's complement q.  b, c : In(n bits), the two norms.  d : In(17), t2, 0 .. 65536.  o : Out(1).
    """

    def __init__(self, depth: int = 0, vector: int = 64) -> None:
        if not 2 <= vector <= 64:
            raise ValueError(f"IntegerVerdict for vectors of {vector}: must be between 2 and 64")
        q_bits, n_bits = integer_bits(vector)
        super().__init__({"a": q_bits, "b": n_bits, "c": n_bits, "d": 17}, 1, depth, vector=vector)

    def stages(self) -> list[Stage]:
        return [Stage(10, self._norms), Stage(12, self._threshold), Stage(8, self._compare)]

    def _norms(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"q": s.a, "norms": s.b * s.c, "t2": s.d}

    def _threshold(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"q": s.q, "least": s.norms * s.t2}

    def _compare(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": Cat(Const(0, 16), s.q).as_signed() > s.least}
