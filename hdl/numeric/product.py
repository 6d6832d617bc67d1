# SPDX-License-Identifier: Apache-2.0
"""Whole numbers a, b -> a * b, exact: the one place that multiplies, in the way that a unit's `multiplier` names.

- `dsp`: a multiplication that synthesis maps, to DSP slices where the device has them.
- `lut`: rows of partial products, summed pairwise by adders; no tool finds a multiplication in it.
- `serial`: one row of adders that takes `DIGIT` bits of b a cycle, and has an interval (see `NumericUnit`).
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import TypeVar

from amaranth import Cat, Const, Module, Shape, Signal, Value

from focus_rtl.hdl.numeric.pipeline import NumericUnit, Stage

__all__ = ["DIGIT", "MULTIPLIERS", "PARALLEL", "IntegerProduct", "check_multiplier", "multiplying",
           "serial_cycles", "times"]

PARALLEL = ("dsp", "lut")
"""Kinds that take operands every cycle."""

MULTIPLIERS = (*PARALLEL, "serial")
"""Every kind."""

DIGIT = 3
"""Bits of b that a serial multiplier takes per cycle."""

_SUMS, _ADDER = 4, 5
"""Sums that a `lut` multiplication has left where a pipeline may cut it; levels of logic of one of its adders."""

_Item = TypeVar("_Item")


def check_multiplier(multiplier: str, legal: tuple[str, ...] = MULTIPLIERS) -> None:
    """Raise ValueError unless `multiplier` is one of `legal`."""
    if multiplier not in legal:
        raise ValueError(f"multiplier = {multiplier!r}: must be one of {', '.join(legal)}")


def serial_cycles(bits: int) -> int:
    """Cycles of a serial multiplication by `bits` bits: one to take the factors, one per digit."""
    return 1 + -(-bits // DIGIT)


def times(a: Value, b: Value, multiplier: str) -> Value:
    """a * b in len(a) + len(b) bits, signed if a is, combinational; a signed b only with a signed a."""
    check_multiplier(multiplier, PARALLEL)
    if multiplier == "dsp":
        return a * b
    (whole,) = _paired(_rows(a, b), 1, _adder(len(a)))
    return whole


def multiplying(multiplier: str, levels: int, bits: int, **pairs: tuple[str, str]) -> list[Stage]:
    """Stages that make `<name>` = a * b of each `<name>=(a, b)`; the factors end there, other values are handed on.

    Parameters
    ----------
    multiplier : one of `MULTIPLIERS`.
    levels : of logic, of a multiplication by DSP slices.
    bits : width of every b.  `serial` takes `serial_cycles(bits)`, and no signed b.
    """
    check_multiplier(multiplier)
    factors = {factor for pair in pairs.values() for factor in pair}
    counts = _paired([1] * bits, _SUMS, int.__add__)
    sums = {name: [f"{name}_sum{number}" for number in range(len(counts))] for name in pairs}

    def others(s: SimpleNamespace, names: set[str]) -> dict[str, Value]:
        return {name: value for name, value in vars(s).items() if name not in names}

    def factors_of(s: SimpleNamespace, name: str) -> tuple[Value, Value]:
        a, b = (getattr(s, factor) for factor in pairs[name])
        if len(b) != bits:
            raise ValueError(f"{name}: a factor of {len(b)} bits where {bits} were announced")
        return a, b

    def by_dsp(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return others(s, factors) | {name: times(*factors_of(s, name), multiplier) for name in pairs}

    def by_rows(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        found = others(s, factors)
        for name in pairs:
            a, b = factors_of(s, name)
            found |= zip(sums[name], _paired(_rows(a, b), _SUMS, _adder(len(a))), strict=True)
        return found

    def by_sums(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        found = others(s, {part for parts in sums.values() for part in parts})
        for name, parts in sums.items():
            values = [getattr(s, part) for part in parts]
            (found[name],) = _paired(values, 1, _adder(len(values[0]) - counts[0]))
        return found

    def by_digits(m: Module, s: SimpleNamespace) -> dict[str, Value]:
        found = {name: _kept(m, name, value, s.begin) for name, value in others(s, factors | {"begin"}).items()}
        return found | {name: _serial(m, name, *factors_of(s, name), s.begin) for name in pairs}

    if multiplier == "serial":
        return [Stage(0, by_digits, serial_cycles(bits))]
    if multiplier == "dsp":
        return [Stage(levels, by_dsp)]
    first = (max(1, -(-bits // _SUMS)) - 1).bit_length()
    return [Stage(_ADDER * max(1, first), by_rows), Stage(_ADDER * (len(counts) - 1).bit_length(), by_sums)]


def _typed(bits: Value, signed: bool) -> Value:
    return bits.as_signed() if signed else bits


def _rows(a: Value, b: Value) -> list[Value]:
    """a for each set bit of b, the lowest first, one bit wider than a; a signed b's highest bit counts as -1."""
    signed = a.shape().signed
    if b.shape().signed and not signed:
        raise ValueError("a signed factor b needs a signed factor a")
    wide = Cat(a, a[-1] if signed else Const(0, 1))
    rows = [_typed(wide & bit.replicate(len(wide)), signed) for bit in b]
    return [*rows[:-1], _typed((-rows[-1])[:len(wide)], signed)] if b.shape().signed else rows


def _paired(items: list[_Item], most: int, join: Callable[[_Item, _Item], _Item]) -> list[_Item]:
    """Neighbours joined, the lower first, again and again until at most `most` items are left."""
    while len(items) > most:
        items = [join(*items[low:low + 2]) if low + 1 < len(items) else items[low] for low in range(0, len(items), 2)]
    return items


def _adder(width: int) -> Callable[[Value, Value], Value]:
    """Joins sums of neighbouring rows of a factor of `width` bits: a sum of k rows has width + k, of which the lowest
    k are final where the next sum begins.
    """
    def join(x: Value, y: Value) -> Value:
        signed, final = x.shape().signed, len(x) - width
        upper = (_typed(x[final:], signed) + y)[:len(y)]
        return _typed(Cat(x[:final], upper), signed)
    return join


def _kept(m: Module, name: str, value: Value, begin: Value) -> Value:
    """A value that a serial product does not need, as it was at `begin`."""
    kept = Signal(Value.cast(value).shape(), name=f"{name}_kept", reset_less=True)
    with m.If(begin):
        m.d.sync += kept.eq(value)
    return kept


def _serial(m: Module, name: str, a: Value, b: Value, begin: Value) -> Value:
    """a * b, right in the one cycle `serial_cycles(len(b))` after `begin`.

    What is left of b moves out of `low` at the bottom while the product's lowest bits move in at the top.  Nobody
    counts: it runs on over bits of the product, so that a product read in a wrong cycle is a wrong one.
    """
    if b.shape().signed:
        raise ValueError("a serial product takes no signed factor b")
    digits = serial_cycles(len(b)) - 1
    factor, high = (Signal(a.shape(), name=f"{name}_{part}", reset_less=True) for part in ("factor", "high"))
    low = Signal(DIGIT * digits, name=f"{name}_low", reset_less=True)
    total = Signal(Shape(len(a) + DIGIT, a.shape().signed), name=f"{name}_total")
    m.d.comb += total.eq(high + times(factor, low[:DIGIT], "lut"))
    m.d.sync += [high.eq(total[DIGIT:]), low.eq(Cat(low[DIGIT:], total[:DIGIT]))]
    with m.If(begin):
        m.d.sync += [factor.eq(a), high.eq(0), low.eq(b)]
    return _typed(Cat(low, high)[:len(a) + len(b)], a.shape().signed)


class IntegerProduct(NumericUnit):
    """a * b, exact, of whole numbers of any width.

    Latency `latency` cycles: `depth`, with `serial` and one cycle per three bits of b, and one.  One product per
    `interval` cycles: 1, with `serial` latency - depth.

    Parameters
    ----------
    depth : registers, 0 (combinational) .. 4, besides a serial multiplier's.
    a_bits, b_bits : widths of the factors, 2 .. 64.
    signed : none, a (two's complement, b unsigned), or both; `serial` takes no signed b.
    multiplier : dsp, lut or serial.

    Members
    -------
    a : In(a_bits).  b : In(b_bits).  o : Out(a_bits + b_bits), two's complement where a is.
    start : In(1), with `serial`: a and b are there.
    """

    def __init__(self, depth: int = 0, a_bits: int = 24, b_bits: int = 24, signed: str = "none",
                 multiplier: str = "dsp") -> None:
        check_multiplier(multiplier)
        if signed not in ("none", "a", "both"):
            raise ValueError(f"signed = {signed!r}: must be one of none, a, both")
        if signed == "both" and multiplier == "serial":
            raise ValueError("signed = 'both': a serial product takes no signed factor b; must be one of none, a")
        for name, bits in (("a_bits", a_bits), ("b_bits", b_bits)):
            if not 2 <= bits <= 64:
                raise ValueError(f"{name} = {bits}: must be between 2 and 64")
        self._signed, self._b_bits, self.multiplier = signed, b_bits, multiplier
        super().__init__({"a": a_bits, "b": b_bits}, a_bits + b_bits, depth, a_bits=a_bits, b_bits=b_bits,
                         signed=signed, multiplier=multiplier)

    def stages(self) -> list[Stage]:
        return [Stage(0, self._types), *multiplying(self.multiplier, 12, self._b_bits, o=("x", "y"))]

    def _types(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"x": _typed(s.a, self._signed != "none"), "y": _typed(s.b, self._signed == "both")}
