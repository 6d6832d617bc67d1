# SPDX-License-Identifier: Apache-2.0
"""Dot: two vectors, some lanes per cycle -> their dot product, in the order of the pairwise tree over all lanes.

Model: `dot` in `golden/sic/matcher.py`.  Test: `verif/sic/test_matcher.py`.
"""

from amaranth import Const, Module, Mux, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.numeric.accumulate import Accumulate
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.pipeline import late
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Dot"]

class Dot(Unit):
    """Vectors a, b -> sum of a[i] * b[i], binary32 or int32; `lanes` products per cycle, V / lanes beats per vector.

    Lanes of a beat meet in a tree of adders.  The beats' sums then meet in one adder per level of the tree above: the
    first of a pair is held until the second comes; at the `last` beat a lone one is added to +0, which is what padding
    V to a power of two means.  Any number of lanes gives the same bits.  Nothing stalls; `valid` may have gaps.

    Latency `latency` cycles from the last beat to `o`, throughput one beat per cycle.  A vector may also be a single
    beat with `last` (its result then means nothing), so that one that counts for nothing costs one cycle.

    Parameters
    ----------
    vector : V, elements of a vector.  lanes : elements of a beat, a power of two that divides V.
    add_depth : registers of each adder, 1 .. 4.  dtype : of the elements.
    multiplier : dsp or lut, see `product`.  multiply_depth : registers of a product.

    Members
    -------
    valid, last : In(1).  A beat; the vector's last beat.
    a, b : In(lanes elements).
    o : Out(32).
    """

    def __init__(self, vector: int, lanes: int, add_depth: int, dtype: str = "fp16", multiplier: str = "dsp",
                 multiply_depth: int = 1) -> None:
        if lanes < 1 or lanes & (lanes - 1) or vector % lanes:
            raise ValueError(f"a Dot of {lanes} lanes for {vector} elements: must be a power of two that divides them")
        self.vector, self.lanes, self.add_depth = vector, lanes, add_depth
        self.dtype, self.multiplier, self.multiply_depth = dtype, multiplier, multiply_depth
        operand = In(ArrayLayout(8 if dtype == "int8" else 16, lanes))
        super().__init__({"valid": In(1), "last": In(1), "a": operand, "b": operand, "o": Out(32)},
                         vector=vector, lanes=lanes, add_depth=add_depth, dtype=dtype, multiplier=multiplier,
                         **({"multiply_depth": multiply_depth} if multiply_depth > 1 else {}))

    @property
    def beats(self) -> int:
        """Beats of a vector."""
        return self.vector // self.lanes

    @property
    def latency(self) -> int:
        """Cycles from the last beat to the result."""
        levels = (self.lanes - 1).bit_length() + (self.beats - 1).bit_length()
        return self.multiply_depth + levels * self.add_depth

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total = self._tree(m)
        depth = self.multiply_depth + (self.lanes - 1).bit_length() * self.add_depth
        valid = late(m, self.valid, depth, "valid", reset=True)
        last = late(m, self.last, depth, "last")
        for level in range((self.beats - 1).bit_length()):
            total, valid, last = self._fold(m, level, total, valid, last)
        m.d.comb += self.o.eq(total)
        return m

    def _tree(self, m: Module) -> Value:
        """The sum of a beat's products."""
        row: list[Value] = []
        for lane in range(self.lanes):
            product = place(m, f"multiply{lane}", Multiply(self.multiply_depth, self.dtype, self.multiplier))
            m.d.comb += [product.a.eq(self.a[lane]), product.b.eq(self.b[lane])]
            row.append(product.o)
        while len(row) > 1:
            row = [self._add(m, f"add{len(row) // 2}_{pair}", row[2 * pair], row[2 * pair + 1])
                   for pair in range(len(row) // 2)]
        return row[0]

    def _fold(self, m: Module, level: int, part: Value, valid: Value, last: Value) -> tuple[Value, Value, Value]:
        """A level above the lanes: sums of consecutive pairs, with valid and last of their own."""
        held, waiting = Signal(32, name=f"held{level}", reset_less=True), Signal(name=f"waiting{level}")
        send = Signal(name=f"send{level}")
        m.d.comb += send.eq(valid & (waiting | last))
        with m.If(valid):
            m.d.sync += [held.eq(part), waiting.eq(~send)]
        total = self._add(m, f"fold{level}", Mux(waiting, held, part), Mux(waiting, part, Const(0, 32)))
        return (total, late(m, send, self.add_depth, f"send{level}", reset=True),
                late(m, last, self.add_depth, f"last{level}"))

    def _add(self, m: Module, name: str, a: Value, b: Value) -> Value:
        add = place(m, name, Accumulate(self.add_depth, self.dtype))
        m.d.comb += [add.a.eq(a), add.b.eq(b)]
        return add.o
