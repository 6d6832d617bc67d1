# SPDX-License-Identifier: Apache-2.0
"""Window: where a position is kept, and how the numbers of banks and of candidates follow from one another.

A window has `bf * bh * bw` positions, and the layouter as many banks.  Along an axis of side s, a coordinate x lies at
x // s in the banks of rest x % s; the neighbour d before it is in those of rest (x - d) % s.  So, seen from one key,
bank b holds the neighbour (key - b) % s away, and slot d is in bank (key - d) % s: one function serves both ways.

Banks and slots are numbered with the column's digit low: (frame * bh + row) * bw + column.  In the hardware such a
number is a *code*: its digits side by side, two bits for a side of 3, one for 2, none for 1.

Model: `golden/sic/layouter.py`.  Test: `verif/sic/test_layouter.py`.
"""

import math
from collections.abc import Sequence

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.data import StructLayout, View
from amaranth.utils import bits_for

from focus_rtl.golden.params import Parameters

__all__ = ["after", "bank_depth", "behind", "choose", "code_bits", "code_of", "digits", "divide", "entry_of",
           "offset_of", "place_layout", "rotate", "spot_of"]

Sides = Sequence[int]


def _bits(side: int) -> int:
    return (side - 1).bit_length()


def code_bits(sides: Sides) -> int:
    """Width of the code of a number with one digit for each of `sides`."""
    return sum(_bits(side) for side in sides)


def code_of(sides: Sides, number: int) -> int:
    """Number -> code."""
    code = shift = 0
    for side in reversed(sides):
        code |= number % side << shift
        number, shift = number // side, shift + _bits(side)
    return code


def digits(sides: Sides, code: Value | int) -> list[Value]:
    """The digits of a code, in the order of `sides`."""
    value = Const(code, code_bits(sides)) if isinstance(code, int) else code
    found, low = [], 0
    for side in reversed(sides):
        found.insert(0, value[low:low + _bits(side)])
        low += _bits(side)
    return found


def after(sides: Sides, code: Value) -> Value:
    """Code of the next number; of 0 behind the last."""
    found: list[Value] = []
    carry: Value = Const(1, 1)
    for side, digit in zip(reversed(sides), reversed(digits(sides, code)), strict=True):
        if side > 1:
            full = digit == side - 1
            found.append(Mux(carry, Mux(full, 0, digit + 1), digit)[:_bits(side)])
            carry = carry & full
    return Cat(*found)


def behind(sides: Sides, a: Value | int, b: Value | int) -> Value:
    """Code of (a - b) mod side, digit by digit."""
    found = []
    for side, x, y in zip(sides, digits(sides, a), digits(sides, b), strict=True):
        if side > 1:
            found.append(x ^ y if side < 3 else Mux(x < y, x + 3 - y, x - y)[:2])
    return Cat(*reversed(found))


def choose(sides: Sides, values: Sequence[Value], code: Value) -> Value:
    """The one of `values`, which are in the order of their numbers, that `code` says."""
    if len(values) == 1:
        return values[0]
    by_code = [values[0]] * (1 << code_bits(sides))  # codes that are no number mean nothing
    for number, value in enumerate(values):
        by_code[code_of(sides, number)] = value
    return Array(by_code)[code]


def rotate(sides: Sides, values: Sequence[Value], key: Value) -> list[Value]:
    """Place n gets the value of number (key - n) mod side: banks in the order of slots, or the other way round."""
    values, stride = list(values), 1
    for side, digit in zip(reversed(sides), reversed(digits(sides, key)), strict=True):
        turned = []
        for number in range(len(values)):
            own = number // stride % side
            first, *more = [values[number + ((start - own) % side - own) * stride] for start in range(side)]
            for start, value in enumerate(more):
                first = Mux(digit[start], value, first)
            turned.append(first)
        values, stride = turned, stride * side
    return values


def bank_depth(p: Parameters) -> int:
    """Entries of a bank: its share of the largest frame, sides rounded up."""
    return math.prod(-(-size // side) for size, side in zip(p.grid_max[1:], p.block[1:], strict=True))


def place_layout(p: Parameters) -> StructLayout:
    """What is left of a position inside the grid: row // bh, column // bw, and the code of its bank."""
    _, bh, bw = p.block
    _, height, width = p.grid_max
    return StructLayout({"column": bits_for((width - 1) // bw), "row": bits_for((height - 1) // bh),
                         "rest": code_bits(p.block)})


def divide(m: Module, name: str, value: Value, side: int) -> tuple[Value, Value]:
    """value // side and value % side, for a side of 1, 2 or 3.

    By 3 in base 4, from the top digit down: a step has four bits in and four out, which is what a look-up table takes.
    """
    if side < 3:
        return value[_bits(side):], value[:_bits(side)]
    rest: Value = Const(0, 2)
    quotient: list[Value] = []
    even = Cat(value, Const(0, len(value) % 2))
    for low in reversed(range(0, len(even), 2)):
        part = Cat(even[low:low + 2], rest)
        digit, left = Signal(2, name=f"{name}_digit{low}"), Signal(2, name=f"{name}_rest{low}")
        m.d.comb += [digit.eq(Mux(part >= 9, 3, Mux(part >= 6, 2, part >= 3))), left.eq(part - (digit << 1) - digit)]
        quotient.insert(0, digit)
        rest = left
    return Cat(*quotient), rest


def spot_of(m: Module, p: Parameters, position: View) -> View:
    """The `place_layout` of a position inside the grid, combinational."""
    spot, rests = Signal(place_layout(p), name="spot"), []
    for name, size, side in zip(("frame", "row", "column"), p.grid_max, p.block, strict=True):
        quotient, rest = divide(m, name, position[name][:bits_for(size - 1)], side)
        rests.insert(0, rest)
        if name != "frame":
            m.d.comb += spot[name].eq(quotient)
    m.d.comb += spot.rest.eq(Cat(*rests))
    return spot


def offset_of(p: Parameters, spot: View, bank: Value | int | None = None) -> Value:
    """Entry, in the bank of that code, of that position of `spot`'s window which lies in it; None: of `spot` itself.

    Along an axis the neighbour lies where the key does, or one before it if its rest is the larger one.  The stride is
    that of the widest grid, so no multiplier is needed.
    """
    row, column = spot.row, spot.column
    if bank is not None:
        _, *own = digits(p.block, spot.rest)
        _, *other = digits(p.block, bank)
        row, column = ((axis - (far > near))[:len(axis)] if len(near) else axis
                       for axis, near, far in zip((row, column), own, other, strict=True))
    return (row * -(-p.grid_max[2] // p.block[2]) + column)[:bits_for(bank_depth(p) - 1)]


def entry_of(sides: Sides, code: Value, offset: Value, depth: int) -> Value:
    """Where in one memory for several banks of `depth` entries an entry lies."""
    if all(side < 3 for side in sides):
        return Cat(code, offset)
    return choose(sides, [Const(number * depth) for number in range(math.prod(sides))], code) + offset
