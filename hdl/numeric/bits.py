# SPDX-License-Identifier: Apache-2.0
"""Pieces of floating-point logic: fields of a number, staged shifts, leading zeros, sticky bits, rounding.

Whatever is used more than once becomes a signal (`let`), because Amaranth writes out an expression as often as it
occurs.  No variable left shift occurs (its result would widen with the range of the amount): left shifts are rows of
constant ones.  A `name` is the prefix of the signals made.
"""

from dataclasses import dataclass

from amaranth import Cat, Const, Module, Mux, Signal, Value

__all__ = ["BINARY16", "BINARY32", "BFLOAT16", "FLOATS", "NAN16", "NAN32", "Layout", "Number", "clamp",
           "leading_zeros", "let", "nearest_even", "only_if", "shift_left", "sticky", "unpack"]


@dataclass(frozen=True)
class Layout:
    """A binary floating-point format: bits of the exponent field and of the fraction."""

    exponents: int
    fractions: int

    @property
    def bits(self) -> int:
        """Width of a number."""
        return 1 + self.exponents + self.fractions

    @property
    def significands(self) -> int:
        """Width of a significand, with the hidden bit."""
        return self.fractions + 1

    @property
    def bias(self) -> int:
        """Exponent field of 1.0."""
        return (1 << self.exponents - 1) - 1

    @property
    def infinity(self) -> int:
        """Bits of +infinity."""
        return ((1 << self.exponents) - 1) << self.fractions

    @property
    def nan(self) -> int:
        """The canonical NaN: positive, the top fraction bit set and no other."""
        return self.infinity | 1 << self.fractions - 1


BINARY16, BFLOAT16, BINARY32 = Layout(5, 10), Layout(8, 7), Layout(8, 23)
FLOATS = {"fp16": BINARY16, "bf16": BFLOAT16}
"""Element formats that are floating point, by the name of the dtype."""

NAN16, NAN32 = BINARY16.nan, BINARY32.nan
"""The canonical NaN of each format."""


@dataclass(frozen=True)
class Number:
    """A floating-point number, taken apart.

    sign : 1 bit.  exponent : the field, biased, but 1 for subnormals and zeros, which share the scale of 1.
    significand : fraction with the hidden bit on top.  special : infinity or NaN.  fraction : any bit of it set.
    """

    sign: Value
    exponent: Value
    significand: Value
    special: Value
    fraction: Value

    @property
    def infinite(self) -> Value:
        return self.special & ~self.fraction

    @property
    def nan(self) -> Value:
        return self.special & self.fraction

    @property
    def zero(self) -> Value:
        return ~self.significand[-1] & ~self.fraction


def let(m: Module, name: str, value: Value) -> Signal:
    """A signal that always equals `value`."""
    signal = Signal(value.shape(), name=name)
    m.d.comb += signal.eq(value)
    return signal


def only_if(condition: Value, value: Value) -> Value:
    """`value`, or zero."""
    return Mux(condition, value, Const(0, value.shape()))


def unpack(m: Module, name: str, bits: Value, layout: Layout | None = None) -> Number:
    """Fields of a number; without a layout, 16 bits are binary16 and 32 bits binary32."""
    layout = layout or {16: BINARY16, 32: BINARY32}[len(bits)]
    low, high = layout.fractions, layout.bits - 1
    bits = let(m, name, bits)
    fraction, field = bits[:low], bits[low:high]
    normal = let(m, f"{name}_normal", field.any())
    return Number(sign=bits[high], exponent=Cat(field[0] | ~normal, field[1:]), significand=Cat(fraction, normal),
                  special=let(m, f"{name}_special", field.all()), fraction=let(m, f"{name}_fraction", fraction.any()))


def clamp(m: Module, name: str, value: Value, bits: int) -> Value:
    """An unsigned number, at most 2**bits - 1: every larger one becomes that."""
    value = let(m, name, value)
    return Mux(value[bits:].any(), Const((1 << bits) - 1, bits), value[:bits])


def shift_left(m: Module, name: str, value: Value, amount: Value) -> Value:
    """value << amount, cut to the width of `value`: one constant shift per bit of `amount`."""
    for place in reversed(range(len(amount))):
        step = 1 << place
        value = let(m, f"{name}_{step}", Mux(amount[place], Cat(Const(0, step), value[:len(value) - step]), value))
    return value


def leading_zeros(m: Module, name: str, value: Value) -> Value:
    """Zeros above the highest set bit; for a zero the largest number of the width: the caller masks it.

    The window halves at each step: the upper half is kept if it holds a bit, else the lower.
    """
    steps = (len(value) - 1).bit_length()
    value = let(m, name, Cat(Const(0, (1 << steps) - len(value)), value))
    count = []
    for place in reversed(range(steps)):
        half = 1 << place
        empty = let(m, f"{name}_{half}", ~value[half:].any())
        count.append(empty)
        if place:
            value = let(m, f"{name}_in_{half}", Mux(empty, value[:half], value[half:]))
    return Cat(reversed(count))


def sticky(value: Value, amount: Value) -> Value:
    """1 if `value >> amount` loses a set bit; all of `value` counts as lost at the largest amount.

    A row of ones shifted right leaves `amount` of them: no wide shifter, no left shift.
    """
    ones = (1 << len(amount)) - 1
    if ones < len(value):
        raise ValueError(f"an amount of {len(amount)} bits cannot shift {len(value)} bits out")
    return (value & (Const((1 << ones) - 1, ones) >> ~amount)[:len(value)]).any()


def nearest_even(kept: Value, guard: Value, rest: Value) -> Value:
    """`kept` (fraction below exponent) rounded to nearest even; a carry runs into the exponent, up to infinity.

    guard : the first bit cut off.  rest : 1 if any bit below it is set.  Width as `kept`.
    """
    return (kept + (guard & (rest | kept[0])))[:len(kept)]
