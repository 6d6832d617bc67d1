# SPDX-License-Identifier: Apache-2.0
"""RequantiseSerial: an int32 accumulator and a binary32 scale -> an int8 element, a bit of the product a cycle.

Model: `golden.numeric.elements.requantise`.  Test: `verif/numeric/test_requantise_serial.py`.
"""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.numeric.bits import let, only_if
from focus_rtl.hdl.unit import Unit

__all__ = ["RequantiseSerial"]

_FIRST, _LAST = 3, 66
"""Of the count of places: where it begins, so that it and the scale's exponent make `_HALF` where the product has its
half, and where every bit of the product has come and eight more places have passed."""

_HALF = 152
"""A multiple of 8, as seven bits of a whole number follow the half."""

_STREAK = 23
"""Equal bits from below the half up to under the highest bit that make the product a half in binary32, less one: ones
down to the guard bit, or zeros and, where nothing else is below, the guard bit."""


class RequantiseSerial(Unit):
    """int32 a, binary32 b -> int8: rint(f32(a) * b), clipped; the bits of `Requantise`, from a fraction of its cells.

    Infinities saturate, NaN gives 0, a negative scale is an ordinary number.
    Latency `latency` cycles from `start` to `done`, throughput one element in as many.

    First the accumulator goes down until 24 bits are left; the carry into them is that of the rounding, or of the two's
    complement.  Then it is multiplied, lowest bit first, and each bit of the product is looked at as it comes.  Below
    the half that is only how many of the last ones are equal, and whether another was set: it tells a product that
    binary32 rounds to a half from one that stays beside it, wherever the highest bit will turn out to be.

    Members
    -------
    start : In(1), a and b are there; not between the one before and its `done`.
    a : In(32), int32 accumulator.  b : In(32), binary32 scale; stands until `done`.
    done : Out(1), high in the one cycle in which `o` is the result.  o : Out(8), int8.
    """

    latency = _LAST - _FIRST + 2
    """Cycles from `start` to `done`."""

    def __init__(self) -> None:
        super().__init__({"start": In(1), "a": In(32), "b": In(32), "done": Out(1), "o": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count, busy, multiply = Signal(range(_LAST + 1)), Signal(), Signal()
        low, sign = Signal(32, reset_less=True), Signal(reset_less=True)
        wide = let(m, "wide", low[24:].any())
        with m.If(self.start):
            m.d.sync += [busy.eq(1), count.eq(_FIRST), sign.eq(self.a[31] ^ self.b[31])]
        with m.Elif(self.done):
            m.d.sync += busy.eq(0)
        with m.Elif(multiply | wide):
            m.d.sync += count.eq(count + 1)
        # Its factor's 24 bits and a carry come out of `low`: then zeros, until the product is complete.
        with m.If(self.start):
            m.d.sync += low.eq(self.a ^ self.a[31].replicate(32))
        with m.Elif(multiply | wide):
            m.d.sync += low.eq(low >> 1)
        m.d.sync += multiply.eq(~self.start & busy & (multiply | ~wide))
        m.d.comb += self.done.eq(busy & (count == _LAST))
        position = let(m, "position", count + self.b[23:31])
        whole = self._collect(m, self._product(m, low, multiply, wide), multiply, position, sign)
        nan = self.b[23:31].all() & self.b[:23].any()
        m.d.comb += self.o.eq(only_if(~nan, whole))
        return m

    def _product(self, m: Module, low: Value, multiply: Value, wide: Value) -> Value:
        """The bit of the product that comes in a cycle with `multiply`."""
        carry, guard, rest = (Signal(name=name, reset_less=True) for name in ("carry", "guard", "rest"))
        high = Signal(24, reset_less=True)
        digit = let(m, "digit", low[0] ^ carry)
        with m.If(self.start):
            m.d.sync += [carry.eq(self.a[31]), guard.eq(0), rest.eq(0)]
        with m.Elif(~multiply & ~wide):
            m.d.sync += carry.eq(carry | guard & (rest | low[0]))  # it was set, or the sum is rounded up: never both
        with m.Else():
            m.d.sync += [carry.eq(carry & low[0]), guard.eq(digit), rest.eq(rest | guard)]
        total = let(m, "total", high + only_if(digit, Cat(self.b[:23], Const(1, 1))))
        m.d.sync += high.eq(only_if(multiply, total[1:]))
        return total[0]

    def _collect(self, m: Module, bit: Value, multiply: Value, position: Value, sign: Value) -> Value:
        """The product's bits, lowest first -> the whole number it is rounded to, once all have come."""
        above = let(m, "above", position >= _HALF + 8)
        window = let(m, "window", position[3:] == _HALF >> 3)
        last, single, enough, some, huge = (
            Signal(name=name, reset_less=True) for name in ("last", "single", "enough", "some", "huge"))
        taken, streak = Signal(8, reset_less=True), Signal(range(_STREAK + 1), reset_less=True)
        full, differs = streak == _STREAK, bit != last
        with m.If(~multiply):
            m.d.sync += [value.eq(0) for value in (last, single, some, huge, streak)]
        with m.Else():
            m.d.sync += [some.eq(some | bit), huge.eq(huge | bit & above)]
            with m.If(~above & ~window):
                # `single`: one bit was set, whose place counts as the first of the zeros above it.
                m.d.sync += [last.eq(bit), single.eq(Mux(bit, ~some, single))]
            with m.If(~above & ~window & differs & ~(single & ~bit)):
                m.d.sync += streak.eq(0)
            with m.Elif(~full):
                m.d.sync += streak.eq(streak + 1)
            with m.If(window):
                m.d.sync += taken.eq(Cat(taken[1:], bit ^ sign))
                with m.If(bit):
                    m.d.sync += enough.eq(full)
        half, odd = taken[0] ^ sign, taken[1] ^ sign
        # Nothing below the half is a streak, too: of a product of 24 bits or more they are enough.
        up = let(m, "up", Mux(half, odd | last | ~enough, odd & last & enough))
        signed = let(m, "signed", (Cat(taken[1:], sign) + (up ^ sign))[:8])
        clipped = huge | (signed[7] & ~sign)
        # Where the place above the whole number was never reached, no bit can have come that counts.
        return only_if(some & above, Mux(clipped, Cat(~sign.replicate(7), sign), signed))
