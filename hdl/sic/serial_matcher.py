# SPDX-License-Identifier: Apache-2.0
"""SerialMatcher: a vector and its position -> its index: layouter, matcher and table of indices in one, made small.

Models: `golden/sic/layouter.py`, `golden/sic/matcher.py`, `golden/sic/gather.py`.
Test: `verif/sic/test_serial_matcher.py`.  Proof: `verif/formal/serial.py`.
"""

from dataclasses import dataclass

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.data import StructLayout, View
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import position, vector_elements
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.numeric.integer import T2_BITS, integer_bits
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.pipeline import late
from focus_rtl.hdl.sic.window import (
    after,
    bank_depth,
    behind,
    choose,
    code_bits,
    digits,
    entry_of,
    offset_of,
    place_layout,
    spot_of,
)
from focus_rtl.hdl.unit import Unit, place

__all__ = ["SerialMatcher"]

_ORDERS = StructLayout(dict.fromkeys(
    ("look", "see", "write", "wipe", "start", "feed", "load", "keep", "multiply", "subtract", "judge", "rest"), 1))
"""What the control tells the others in a cycle.

look, see : read the tag of `entry`; keep its norm.  write, wipe : write it; nothing.  start, feed : a dot product from
0; one beat of it.  load, keep : a dot, or a product, becomes a factor.  multiply, subtract : a step of one product, or
of the difference of two.  judge : a positive difference makes a new best.  rest : between two vectors.
"""


@dataclass(frozen=True)
class _Walk:
    """Where the control is: the slot, whether that is the key's own, its entry, a count of beats or of steps.

    half : the second cycle of a step.  found : there is a best neighbour.  entered : the vector is written.  hit : the
    tag that was read is of the neighbour's frame.
    """

    slot: Signal
    own: Signal
    entry: Signal
    count: Signal
    half: Signal
    found: Signal
    entered: Signal
    hit: Signal


class SerialMatcher(Unit):
    """One vector at a time, one neighbour after another, and one adder for all that comes behind the dot products.

    One memory holds the vectors of every bank, `matcher_lanes` elements a word; another one each entry's tag: norm,
    frame, and the index that the vector got.  A norm of 0 is no candidate, so a tag of zeros is an empty entry: behind
    the last vector of a tile that wrote any, and after a reset, all tags are wiped.

    A vector waits at the inputs.  For each slot from 1 on, the tag is looked at, and if it is visible, the dot product
    d is made.  If d is positive (any other is beaten by a positive one, and exceeds no threshold), it is squared, and
    compared with the best so far.  Slot 0, the key's own, comes last: the vector is written while its norm is made, and
    the best meets the threshold.  Its tag is written with `leave`.  No cycle has a read and a write of one memory.

    A product is made bit by bit, the highest first: acc = 2 acc + (b ? A : 0); the difference A b - C d of two of them
    in two cycles a bit: in the other one, acc - (d ? C : 0).

    Cycles from `valid` to `decided`: see `cycles`; `done` comes a cycle behind `leave`.

    Parameters
    ----------
    p : configuration: int8, a window of more than one position.

    Members
    -------
    valid : In(1), done : Out(1).  A vector stands at the inputs below from `valid` up to the cycle with `done`.
    vector, position : In.  zero : In(1).  All elements are 0: it hides what it overwrites, but is never visible.
    dense : In(1).  It is neither compared nor written.  last : In(1).  Of its tile.
    height, width : In.  Sides of the grid, within the configuration.
    enabled : In(candidates).  Bit i enables candidate i.
    t2 : In(17), the squared threshold times 65536, 0 .. 65536.
    decided : Out(1), leave : In(1).  The two below stand from `decided` up to the cycle with `leave`.
    index : Out(index bits), unique : Out(1).  The vector's index; it is the tile's next new one.

    Raises
    ------
    ValueError : another dtype, or no neighbours.
    """

    def __init__(self, p: Parameters) -> None:
        if p.dtype != "int8" or not p.candidates:
            raise ValueError(f"a SerialMatcher of dtype {p.dtype!r} for {p.candidates} neighbours: must be int8, and "
                             "at least one")
        self.p = p
        square_bits, self._n_bits = integer_bits(p.vector)
        self._q_bits = square_bits - 1  # nothing negative is squared, and no product of two norms is larger
        self._steps = max(self._n_bits, T2_BITS)
        self._beats = p.vector // p.matcher_lanes
        self._fill = 4 if p.matcher_lanes > 1 else 3  # cycles from a dot's last beat to its sum
        self.entries = p.window * bank_depth(p)
        self._tag = StructLayout({"norm": self._n_bits, "frame": position(p)["frame"].width, "index": p.index_bits})
        super().__init__({
            "valid": In(1), "done": Out(1), "vector": In(vector_elements(p)), "position": In(position(p)),
            "zero": In(1), "dense": In(1), "last": In(1), "height": In(bits_for(p.grid_max[1])),
            "width": In(bits_for(p.grid_max[2])), "enabled": In(p.candidates), "t2": In(T2_BITS),
            "decided": Out(1), "leave": In(1), "index": Out(p.index_bits), "unique": Out(1),
        }, p=p)

    @property
    def cycles(self) -> dict[str, int]:
        """Cycles from `valid` to `decided`, by what there is to do.

        passes : a vector that is not entered, nothing else.  entered : one that is, in any case.  For each slot of one
        that is not all zero, apart : masked, or beyond the grid; hidden : the entry shows nothing; opposed : visible,
        with a dot of 0 or less; first : the first one with a positive dot; later : each further one.  best : where
        there was a positive one.  wipe : behind a tile that wrote a tag, before the next one's first vector is begun.
        """
        looked, dot, product, difference = 4, self._beats + self._fill + 1, self._steps + 1, 2 * self._steps + 1
        square = looked + dot + product + 2
        return {"passes": 1, "entered": 2 + dot, "apart": 1, "hidden": looked, "opposed": looked + dot,
                "first": square, "later": square + difference, "best": product + 1 + difference, "wipe": self.entries}

    @property
    def pace(self) -> int:
        """Cycles per vector of a full tile, wiping included, where every neighbour counts."""
        cycles = self.cycles
        later = (self.p.candidates - 1) * cycles["later"]
        wipe = -(-cycles["wipe"] // self.p.m_tile)
        return cycles["entered"] + cycles["first"] + later + cycles["best"] + 2 + wipe

    def elaborate(self, platform: object) -> Module:
        m = Module()
        do = Signal(_ORDERS)
        at = _Walk(Signal(code_bits(self.p.block), name="slot"), Signal(name="own"),
                   Signal(range(self.entries), name="entry"),
                   Signal(range(max(self._steps + 1, self._beats + self._fill)), name="count"),
                   Signal(name="half"), Signal(name="found"), Signal(), Signal())
        m.d.comb += at.own.eq(at.slot == 0)
        total = self._dot(m, do, at)
        norm = Signal(self._steps)  # the last dot: one that is squared, bit by bit, or in the end the key's own norm
        tag = self._tags(m, do, at, norm)
        other_norm = Signal(self._steps)
        acc = self._products(m, do, at, total, norm, other_norm, tag)
        self._decide(m, do, at, tag, acc)
        spot = Signal(place_layout(self.p), name="spot_s1")
        with m.If(do.rest):
            m.d.sync += spot.eq(spot_of(m, self.p, self.position))
        with m.FSM(init="WIPE") as self.states:  # kept for proofs, which speak of them by name
            self._begin_and_end(m, do, at)
            self._look(m, do, at, spot, tag, other_norm)
            self._compute(m, do, at, total)
        return m

    # --- control ---

    def _begin_and_end(self, m: Module, do: View, at: _Walk) -> None:
        """States between tiles, between vectors, and behind a decision."""
        enter = Signal()
        written = Signal()
        m.d.comb += enter.eq(~self.dense & self.position.image & (self.position.row < self.height)
                             & (self.position.column < self.width))
        with m.State("WIPE"):
            m.d.comb += do.wipe.eq(1)
            m.d.sync += at.entry.eq(at.entry + 1)
            with m.If(at.entry == self.entries - 1):
                m.next = "REST"
        with m.State("REST"):
            m.d.comb += do.rest.eq(1)
            m.d.sync += [at.entered.eq(enter), at.slot.eq(~self.zero)]
            with m.If(self.valid):
                m.next = "DECIDED"
                with m.If(enter):
                    m.next = "SEEK"
        with m.State("DECIDED"):
            m.d.comb += [self.decided.eq(1), do.write.eq(self.leave & at.entered)]
            m.d.sync += written.eq(written | do.write)
            with m.If(self.leave):
                m.next = "DONE"
        with m.State("DONE"):
            m.d.comb += self.done.eq(1)
            m.next = "REST"
            with m.If(self.last):
                m.d.sync += [written.eq(0), at.entry.eq(0)]
                with m.If(written):
                    m.next = "WIPE"

    def _look(self, m: Module, do: View, at: _Walk, spot: View, tag: View, other_norm: Value) -> None:
        """States that go from slot to slot: what is no candidate is left out."""
        bank = behind(self.p.block, spot.rest, at.slot)
        asked, told = self._wanted(m, at, tag)
        with m.State("SEEK"):
            m.d.comb += do.start.eq(1)
            m.d.sync += [at.entry.eq(entry_of(self.p.block, bank, offset_of(self.p, spot, bank), bank_depth(self.p))),
                         at.count.eq(0)]
            with m.If(at.own):
                m.next = "DOT"
            with m.Elif(asked):
                m.next = "LOOK"
            with m.Else():
                self._go_on(m, at)
        with m.State("LOOK"):
            m.d.comb += do.look.eq(1)
            m.next = "SEE"
        with m.State("SEE"):
            m.d.comb += do.see.eq(1)
            m.d.sync += at.hit.eq(told)  # the way from a memory to the states is cut
            m.next = "SEEN"
        with m.State("SEEN"):
            with m.If(at.hit & other_norm.any()):
                m.next = "DOT"
            with m.Else():
                self._go_on(m, at)

    def _wanted(self, m: Module, at: _Walk, tag: View) -> tuple[Value, Value]:
        """Whether the slot's neighbour counts if it is there; whether the tag that was read is of its frame."""
        axes = self.position.frame, self.position.row, self.position.column
        far = digits(self.p.block, at.slot)
        inside = [~((back != 0) & (axis == 0) | (back == 2) & (axis == 1))
                  for back, axis in zip(far, axes, strict=True) if len(back)]
        enabled = choose(self.p.block, [Const(0, 1), *self.enabled], at.slot)
        asked, wanted = Signal(), Signal.like(self.position.frame, name="wanted")
        m.d.comb += [asked.eq(enabled & Cat(inside).all()), wanted.eq(self.position.frame - far[0])]
        return asked, tag.frame == wanted

    def _go_on(self, m: Module, at: _Walk) -> None:
        """To the next slot; to the key's own behind the last."""
        m.d.sync += at.slot.eq(after(self.p.block, at.slot))
        m.next = "SEEK"

    def _compute(self, m: Module, do: View, at: _Walk, total: Value) -> None:
        """States of the arithmetic: a dot, its square and a comparison; or a norm, its product and the verdict."""
        ended = Signal()
        m.d.comb += ended.eq(at.count == self._steps)
        with m.State("DOT"):
            m.d.comb += do.feed.eq(at.count < self._beats)
            m.d.sync += at.count.eq(at.count + 1)
            with m.If(at.count == self._beats + self._fill - 1):
                m.next = "LOAD"
        with m.State("LOAD"):
            m.d.comb += do.load.eq(1)
            m.d.sync += at.count.eq(0)
            with m.If(at.own):
                m.next = "DECIDED"
                with m.If(at.found):
                    m.next = "MULTIPLY"
            with m.Elif(total.as_signed() > 0):
                m.next = "MULTIPLY"
            with m.Else():
                self._go_on(m, at)
        with m.State("MULTIPLY"):
            m.d.comb += do.multiply.eq(~ended)
            m.d.sync += at.count.eq(at.count + 1)
            with m.If(ended):
                m.next = "KEEP"
        with m.State("KEEP"):
            m.d.comb += do.keep.eq(1)
            m.d.sync += at.count.eq(0)
            m.next = "JUDGE"
            with m.If(at.found):
                m.next = "SUBTRACT"
        with m.State("SUBTRACT"):
            m.d.comb += do.subtract.eq(~ended)
            m.d.sync += [at.half.eq(~at.half & ~ended), at.count.eq(at.count + at.half)]
            with m.If(ended):
                m.next = "JUDGE"
                with m.If(at.own):
                    m.next = "DECIDED"
        with m.State("JUDGE"):
            m.d.comb += do.judge.eq(1)
            self._go_on(m, at)

    # --- memories and arithmetic ---

    def _tags(self, m: Module, do: View, at: _Walk, norm: Value) -> View:
        """The tags; returns the one that was looked at last."""
        words = place(m, "tags", Ram(self._tag.size, self.entries, self.p.memories))
        tag = Signal(self._tag)
        m.d.comb += [
            tag.norm.eq(Mux(do.wipe, 0, norm)), tag.frame.eq(self.position.frame), tag.index.eq(self.index),
            words.w_en.eq(do.write | do.wipe), words.w_addr.eq(at.entry), words.w_data.eq(Value.cast(tag)),
            words.r_en.eq(do.look), words.r_addr.eq(at.entry),
        ]
        return View(self._tag, words.r_data)

    def _dot(self, m: Module, do: View, at: _Walk) -> Value:
        """The key times the vector of `entry`, or times itself, which is then written there; the sum so far."""
        p, lanes = self.p, self.p.matcher_lanes
        beat = at.count[:(self._beats - 1).bit_length()]
        parts = [Cat(*(self.vector[lane] for lane in range(base, base + lanes))) for base in range(0, p.vector, lanes)]
        part = Array(parts)[beat] if len(parts) > 1 else parts[0]
        words = place(m, "vectors", Ram(8 * lanes, self.entries << len(beat), p.memories))
        m.d.comb += [
            words.w_en.eq(do.feed & at.own), words.w_addr.eq(Cat(beat, at.entry)), words.w_data.eq(part),
            words.r_en.eq(do.feed & ~at.own), words.r_addr.eq(Cat(beat, at.entry)),
        ]
        key_s1 = late(m, part, 1, "key")
        key_s2, other_s2 = late(m, key_s1, 1, "key_s1"), late(m, Mux(at.own, key_s1, words.r_data), 1, "other")
        products = []
        for lane in range(lanes):
            multiply = place(m, f"multiply{lane}", Multiply(1, p.dtype, p.dot_multiplier))
            m.d.comb += [multiply.a.eq(key_s2.word_select(lane, 8)), multiply.b.eq(other_s2.word_select(lane, 8))]
            products.append(multiply.o[:16].as_signed())
        total = Signal(self._n_bits + 1)
        beat_sum = late(m, _sum(products), self._fill - 3, "products")
        due = late(m, do.feed, self._fill, "feed", reset=True)
        with m.If(do.start):
            m.d.sync += total.eq(0)
        with m.Elif(due):
            m.d.sync += total.eq(total.as_signed() + beat_sum)
        return total

    def _products(self, m: Module, do: View, at: _Walk, total: Value, norm: Value, other_norm: Value,
                  tag: View) -> Value:
        """One product, or the difference of two, of a step for each bit; returns it."""
        steps, half = self._steps, at.half
        a, c = Signal(self._q_bits, name="factor_a"), Signal(self._q_bits, name="factor_c")  # of norms or squares
        best_norm, acc = Signal(steps), Signal(self._q_bits + steps + 1)
        last = at.count == steps - 1
        # First bits: of the dot or the best norm; of the best norm or t2.  Second: of the neighbour's norm or 65536.
        first = Mux(do.multiply, Mux(at.own, best_norm[-1], norm[-1]),
                    Mux(at.own, _from_the_top(self.t2, steps, at.count), best_norm[-1]))
        second = Mux(at.own, at.count == steps - T2_BITS, other_norm[-1])
        # A step is a cycle late in the sum: the way from a memory through its bits to the carry is cut.
        step_s1 = late(m, do.multiply | do.subtract, 1, "step", reset=True)
        half_s1, first_s1, second_s1 = (late(m, one, 1, name) for one, name in
                                        ((half, "half"), (first, "first"), (second, "second")))
        # A comparison ends one lower: what is not negative then was positive.
        carry_s1 = late(m, half & (at.own | ~last), 1, "carry")
        addend, base, factor, taken = Signal(len(acc)), Signal(len(acc)), Signal(self._q_bits), Signal()
        m.d.comb += [
            base.eq(Mux(half_s1, acc, acc << 1)), taken.eq(Mux(half_s1, second_s1, first_s1)),
            factor.eq(Mux(half_s1, c, a) & taken.replicate(self._q_bits)),
            addend.eq(Cat(factor, Const(0, steps + 1)) ^ half_s1.replicate(len(acc))),
        ]
        with m.If(step_s1):
            m.d.sync += acc.eq((Cat(1, base) + Cat(carry_s1, addend))[1:])
        with m.Elif(do.rest | do.load | do.keep):
            m.d.sync += acc.eq(0)
        with m.If(do.load | do.keep):
            m.d.sync += a.eq(Mux(do.load, total[:self._n_bits], acc[:self._q_bits]))
        with m.If(do.load):
            m.d.sync += norm.eq(total[:self._n_bits])
        with m.Elif(do.multiply & ~at.own):
            m.d.sync += norm.eq(norm.rotate_left(1))
        with m.If(do.judge & ~acc[-1]):
            m.d.sync += [c.eq(a), best_norm.eq(other_norm)]
        with m.Elif(do.multiply & at.own | half):
            m.d.sync += best_norm.eq(best_norm.rotate_left(1))
        with m.If(do.see):
            m.d.sync += other_norm.eq(tag.norm)
        with m.Elif(half):
            m.d.sync += other_norm.eq(other_norm.rotate_left(1))
        return acc

    def _decide(self, m: Module, do: View, at: _Walk, tag: View, acc: Value) -> None:
        """Keeps the best's index; gives it where the verdict was a negative difference, else the next new one."""
        nearest, fresh = Signal(self.p.index_bits), Signal(self.p.index_bits)
        m.d.comb += [self.unique.eq(~acc[-1]), self.index.eq(Mux(self.unique, fresh, nearest))]
        with m.If(do.rest):
            m.d.sync += at.found.eq(0)
        with m.If(do.judge & ~acc[-1]):
            m.d.sync += [nearest.eq(tag.index), at.found.eq(1)]
        with m.If(self.decided & self.leave):
            m.d.sync += fresh.eq(Mux(self.last, 0, fresh + self.unique))


def _sum(values: list[Value]) -> Value:
    """By a tree."""
    while len(values) > 1:
        values = [sum(values[low + 1:low + 2], values[low]) for low in range(0, len(values), 2)]
    return values[0]


def _from_the_top(value: Value, bits: int, count: Value) -> Value:
    """Bit `bits` - 1 - `count` of a value of up to so many bits."""
    return Cat(*reversed([*value, *(Const(0, 1) for _ in range(bits - len(value)))])).bit_select(count, 1)
