# SPDX-License-Identifier: Apache-2.0
"""Matcher: a key and the vectors of its window -> the most similar neighbour, and whether it is similar enough.

Model: `golden/sic/matcher.py`.  Test: `verif/sic/test_matcher.py`.
"""

import math
from dataclasses import dataclass

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.data import StructLayout, View
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import vector_elements
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.numeric.pipeline import Begin, late
from focus_rtl.hdl.sic.dot import Dot
from focus_rtl.hdl.sic.likeness import Likeness
from focus_rtl.hdl.sic.window import (
    bank_depth,
    behind,
    choose,
    code_bits,
    code_of,
    entry_of,
    offset_of,
    place_layout,
    rotate,
)
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Matcher", "decision_layout"]


def decision_layout(p: Parameters) -> StructLayout:
    """What became of a vector: matched with the neighbour of code `slot` (dc, dr, df); the rest as it was given."""
    return StructLayout({"match": 1, "slot": code_bits(p.block), "active": 1, "place": place_layout(p), "last": 1})


@dataclass(frozen=True)
class _Candidate:
    """A neighbour in the running: q = d * |d| and its own norm n, if it is `ok` to count."""

    ok: Value
    q: Value
    n: Value
    slot: Value

    def late(self, m: Module, begin: Begin, cycles: int, name: str) -> "_Candidate":
        return _Candidate(*(begin.keep(m, getattr(self, part), cycles, f"{name}_{part}")
                            for part in ("ok", "q", "n", "slot")))


class Matcher(Unit):
    """One decision per vector, in order.

    A vector has a slot for each of the window's N positions: 0 is its own norm, (df*bh + dr)*bw + dc a neighbour.
    U dot units (`matchers`, or N for N - 1) take slots r*U .. r*U + U-1 in round r, `pace` cycles a round; rounds in
    which nothing is visible are skipped, and the next vector's rounds follow without a gap: at most N / U * `pace`
    cycles per vector.  `pace` is V / lanes, or what serial multipliers need if that is more; the dots are then fed in a
    round's last cycles.  A vector that is not `active` takes one cycle.  U is a product of the window's last sides, so
    a round has one frame, or one row of one, and a unit one place in it.  Behind the dots everything runs freely at a
    fixed latency, in order, so that memories are read and written late and yet as if each vector were finished before
    the next began:

    - norms live in U Rams, bank b in Ram b mod U.  A vector's norm is written when it arrives, at least one round
      before anyone asks for it; in that round its own Ram is the one that has nothing to read.
    - candidates of a round meet in a tree, the winners of the rounds one after another, the earlier first.  The loop
      through the comparator has a round's cycles, so with two or more of them it is pipelined.

    Latency `latency` cycles from `done` to `decided`.

    Members
    -------
    valid : In(1), done : Out(1).  A vector stands at the inputs below from `valid` up to the cycle with `done`.
    key, banks, visible, place : In.  As `Layouter` takes and gives them.
    active : In(1).  It may match and be matched; 0: it passes.
    last : In(1).  Handed through.
    t2 : In(32), the squared threshold (binary32; for int8 times 65536); stands while any vector is in flight.
    decided : Out(1), decision : Out(decision_layout).  No ready: whoever starts a vector has room for its decision.
    """

    def __init__(self, p: Parameters) -> None:
        self.p, self._likeness = p, Likeness(p)
        self.units = p.matcher_units
        self.rounds = p.window // self.units
        self.beats = p.vector // p.matcher_lanes
        axes = next(number for number in range(4) if math.prod(p.block[3 - number:]) == self.units)
        self._high, self._low = p.block[:3 - axes], p.block[3 - axes:]  # sides that rounds and units run over
        self._split = code_bits(self._low)  # low bits of a bank's or slot's code: which unit
        self._tree_latency = (self.units - 1).bit_length() * self._likeness.compare_latency()
        serial = self._likeness.interval > 1  # then a round is as long as the loop needs, and not the other way round
        own = serial or p.match_depth > 2
        self._loop_depth = p.match_depth if own else min(self.beats - 1, p.match_depth)
        self._loop = self._likeness.compare_latency(self._loop_depth) + 1 if self.rounds > 1 else 0
        self.pace = max(self.beats, self._likeness.interval, self._loop)
        # In a vector's first cycle only its own slot has to be known, so what it sees can come from a register.
        self._cut = int(p.match_depth > 2 and self.pace > 1)
        self._choose = self._tree_latency + self._loop
        super().__init__({
            "valid": In(1), "done": Out(1), "key": In(vector_elements(p)),
            "banks": In(vector_elements(p)).array(p.window), "visible": In(p.window), "active": In(1),
            "place": In(place_layout(p)), "last": In(1), "t2": In(32),
            "decided": Out(1), "decision": Out(decision_layout(p)),
        }, p=p)
        self._tag = StructLayout({"round": code_bits(self._high), "candidates": self.units, "active": 1,
                                  "place": place_layout(p), "last": 1})

    @property
    def latency(self) -> int:
        """Cycles from a vector's last beat to its decision."""
        return self._to_dots + self._likeness.square_latency + self._choose + self._likeness.verdict_latency

    def _dot(self) -> Dot:
        p = self.p
        return Dot(p.vector, p.matcher_lanes, p.pe_depth, p.dtype, p.dot_multiplier, p.match_depth - 1)

    @property
    def _to_dots(self) -> int:
        """Cycles from a vector's last beat to its dots."""
        return 1 + self._cut + self._dot().latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # _s0: slots chosen; _s1: operands; _s2: dots; _s3: candidates; _s4: the vector's best; _s5: decision.
        tag_s0, beat, fed, last_beat, first_s0, final_s0 = self._issue(m)
        dots = self._dots(m, tag_s0, beat, fed, last_beat)
        to_s2 = self._to_dots
        valid_s2 = late(m, self.valid & last_beat, to_s2, "valid_s0", reset=True)
        first_s2, final_s2 = late(m, first_s0, to_s2, "first"), late(m, final_s0, to_s2, "final")
        tag_s2 = View(self._tag, late(m, Value.cast(tag_s0), to_s2, "tag_s0"))
        norms = self._norms(m, tag_s2, valid_s2, first_s2, dots[0])
        own_s2 = Signal(self._likeness.n_bits)
        own = Signal.like(own_s2, reset_less=True)
        m.d.comb += own_s2.eq(Mux(first_s2, dots[0], own))
        with m.If(valid_s2):
            m.d.sync += own.eq(own_s2)
        # What is not active flows past the arithmetic, at any rate, and nothing of its candidates means anything.
        begin_s2 = Begin(valid_s2 & tag_s2.active, self.pace if self._likeness.interval > 1 else 1)
        candidates = self._candidates(m, tag_s2, dots, norms, begin_s2)
        to_s3 = self._likeness.square_latency
        best_s4 = self._best(m, candidates, late(m, valid_s2, to_s3, "valid_s2", reset=True),
                             late(m, first_s2, to_s3, "first_s2"), begin_s2.late(m, to_s3, "begin_s2"))
        to_s4 = to_s3 + self._choose
        begin_s4 = begin_s2.late(m, to_s4, "begin_s4")
        match_s5 = self._verdict(m, best_s4, begin_s2.keep(m, own_s2, to_s4, "own"), begin_s4)
        to_s5 = to_s4 + self._likeness.verdict_latency
        tag_s5 = View(self._tag, late(m, Value.cast(tag_s2), to_s5, "tag_s2"))
        m.d.comb += [
            self.decided.eq(late(m, valid_s2 & final_s2, to_s5, "decided", reset=True)),
            self.decision.match.eq(match_s5 & tag_s5.active),
            self.decision.slot.eq(begin_s4.keep(m, best_s4.slot, self._likeness.verdict_latency, "slot_s4")),
            self.decision.active.eq(tag_s5.active), self.decision.last.eq(tag_s5.last),
            Value.cast(self.decision.place).eq(Value.cast(tag_s5.place)),
        ]
        return m

    def _issue(self, m: Module) -> tuple[View, Value, Value, Value, Value, Value]:
        """Walks over the rounds; returns the round's tag, beat, whether that is fed to the dots, if it is the round's
        last, and whether the round is the vector's first and final one.
        """
        fresh = Signal(init=1)
        left, waiting, rest = (Signal(self.p.window, name=name) for name in ("left", "waiting", "rest"))
        tag = Signal(self._tag)
        cycle, wait = Signal(range(max(self.pace, 2))), self.pace - self.beats
        more = rest.any()
        if self._cut and self.rounds > 1:
            more = late(m, more, 1, "more")  # known in a round's third cycle at the latest, and a round has four
        first, final, last_beat = Signal(), Signal(), Signal()
        m.d.comb += [
            waiting.eq(Mux(fresh, Cat(1, late(m, self.visible, self._cut, "visible")[1:]), left)),
            tag.active.eq(self.active), tag.last.eq(self.last), Value.cast(tag.place).eq(Value.cast(self.place)),
            last_beat.eq((cycle == self.pace - 1) | ~self.active),
            first.eq(fresh), final.eq(~more | ~self.active), self.done.eq(self.valid & last_beat & final),
        ]
        for number in reversed(range(self.rounds)):  # the lowest round with anything to do is assigned last, and wins
            low, high = number * self.units, (number + 1) * self.units
            with m.If(waiting[low:high].any()):
                slots = waiting[low:high] if number else Cat(0, waiting[1:high])
                m.d.comb += [tag.round.eq(code_of(self._high, number)), tag.candidates.eq(Mux(self.active, slots, 0)),
                             rest.eq(Cat(Const(0, high), waiting[high:]))]
        with m.If(self.valid):
            m.d.sync += cycle.eq(cycle + 1)
            with m.If(last_beat):
                m.d.sync += [cycle.eq(0), left.eq(rest), fresh.eq(final)]
        fed = self.valid & ((cycle >= wait) | ~self.active) if wait else self.valid
        return tag, cycle - wait if wait else cycle, fed, last_beat, first, final

    def _part(self, vector: View, beat: Value) -> Value:
        """The lanes of a vector that a beat takes."""
        lanes = self.p.matcher_lanes
        parts = [Cat(*(vector[lane] for lane in range(base, base + lanes))) for base in range(0, self.p.vector, lanes)]
        return Array(parts)[beat[:bits_for(self.beats - 1)]] if self.beats > 1 else parts[0]

    def _dots(self, m: Module, tag: View, beat: Value, fed: Value, last_beat: Value) -> list[Value]:
        """Operands and dot units; returns the results."""
        cut = self._cut
        *banks, key = (late(m, self._part(vector, beat), cut, f"part{number}")
                       for number, vector in enumerate((*self.banks, self.key)))
        own = late(m, self.place.rest, cut, "own")
        row = late(m, behind(self._high, self.place.rest[self._split:], tag.round), cut, "row")
        chosen = [choose(self._high, banks[unit::self.units], row) for unit in range(self.units)]
        operands = rotate(self._low, chosen, own[:self._split])
        operands[0] = Mux(late(m, tag.round == 0, cut, "of_key"), key, operands[0])
        valid_s1 = late(m, fed, 1 + cut, "issued", reset=True)
        last_s1, key_s1 = late(m, last_beat, 1 + cut, "last_beat"), late(m, key, 1, "key_part" if cut else "key")
        results = []
        for unit, operand in enumerate(operands):
            dot = place(m, f"dot{unit}", self._dot())
            m.d.comb += [dot.valid.eq(valid_s1), dot.last.eq(last_s1), Value.cast(dot.a).eq(key_s1),
                         Value.cast(dot.b).eq(late(m, operand, 1, f"operand{unit}"))]
            results.append(dot.o)
        return results

    def _norms(self, m: Module, tag: View, valid: Value, first: Value, norm: Value) -> list[Value]:
        """Writes the key's norm in its first round, reads the round's candidates'; returns those a cycle later."""
        own, depth = tag.place.rest, bank_depth(self.p)
        row = behind(self._high, own[self._split:], tag.round)
        read = []
        for unit in range(self.units):
            words = place(m, f"norms{unit}", Ram(self._likeness.n_bits, self.rounds * depth, self.p.memories))
            code = code_of(self._low, unit)
            entry = entry_of(self._high, row, offset_of(self.p, tag.place, Cat(Const(code, self._split), row)), depth)
            write, address = Signal(name=f"write_norm{unit}"), Signal.like(words.r_addr, name=f"norm_address{unit}")
            m.d.comb += [
                address.eq(entry), write.eq(valid & first & tag.active & (own[:self._split] == code)),
                words.w_en.eq(write), words.w_addr.eq(address), words.w_data.eq(norm),
                words.r_en.eq(valid & tag.candidates.any() & ~write), words.r_addr.eq(address),
            ]
            read.append(words.r_data)
        return rotate(self._low, read, late(m, own[:self._split], 1, "own_low"))

    def _candidates(self, m: Module, tag: View, dots: list[Value], norms: list[Value],
                    begin: Begin) -> list[_Candidate | None]:
        """By unit, as long after the dots as squares take; None for the unit that only makes norms."""
        found: list[_Candidate | None] = []
        wait = self._likeness.square_latency
        round_s3 = begin.keep(m, tag.round, wait, "round_s2")
        read = begin.late(m, 1, "norms_read")
        for unit, (d, n) in enumerate(zip(dots, norms, strict=True)):
            if unit == 0 and self.rounds == 1:
                found.append(None)
                continue
            square = self._likeness.square(m, f"square{unit}", d, begin)
            n_s3 = read.keep(m, n, wait - 1, f"norm{unit}")
            asked = begin.keep(m, tag.candidates[unit], wait, f"asked{unit}")
            slot = Cat(Const(code_of(self._low, unit), self._split), round_s3)
            found.append(_Candidate(asked & self._likeness.sound(n_s3), square, n_s3, slot))
        return found

    def _best(self, m: Module, candidates: list[_Candidate | None], valid: Value, first: Value,
              begin: Begin) -> _Candidate:
        """The best of all rounds, `_choose` cycles later: a tree over the units, then one round after another."""
        level, wait = 0, self._likeness.compare_latency()
        while len(candidates) > 1:
            pairs = [self._pick(m, f"tree{level}_{pair}", candidates[2 * pair], candidates[2 * pair + 1], begin)
                     for pair in range(len(candidates) // 2)]
            odd = candidates[2 * len(pairs):]
            candidates = [*pairs, *(one.late(m, begin, wait, f"tree{level}_odd") for one in odd if one)]
            begin = begin.late(m, wait, f"begin_tree{level}")
            level += 1
        winner = candidates[0]
        assert winner is not None
        if self.rounds == 1:
            return winner
        valid = late(m, valid, self._tree_latency, "valid_s3", reset=True)
        first = late(m, first, self._tree_latency, "first_s3")
        best = _Candidate(Signal(), Signal(self._likeness.q_bits, reset_less=True),
                          Signal(self._likeness.n_bits, reset_less=True), Signal(code_bits(self.p.block)))
        before = _Candidate(best.ok & ~first, best.q, best.n, best.slot)
        better = self._pick(m, "loop", before, winner, begin, self._loop_depth)
        with m.If(late(m, valid, self._loop - 1, "valid_loop", reset=True)):
            m.d.sync += [best.ok.eq(better.ok), best.q.eq(better.q), best.n.eq(better.n), best.slot.eq(better.slot)]
        return best

    def _pick(self, m: Module, name: str, a: _Candidate | None, b: _Candidate | None, begin: Begin,
              depth: int | None = None) -> _Candidate:
        """The better of two, as many cycles later as comparing takes; a tie goes to `a`, whose slot is the lower."""
        assert b is not None
        wait = self._likeness.compare_latency(depth)
        if a is None:
            return b.late(m, begin, wait, name)
        greater = self._likeness.greater(m, name, b.q, a.n, a.q, b.n, begin, depth)
        old, new = a.late(m, begin, wait, f"{name}_a"), b.late(m, begin, wait, f"{name}_b")
        wins = Signal(name=f"{name}_wins")
        m.d.comb += wins.eq(new.ok & (~old.ok | greater))
        return _Candidate(old.ok | new.ok, Mux(wins, new.q, old.q), Mux(wins, new.n, old.n),
                          Mux(wins, new.slot, old.slot))

    def _verdict(self, m: Module, best: _Candidate, own: Value, begin: Begin) -> Value:
        """Whether the best is a match, the likeness's `verdict_latency` cycles later."""
        ok = begin.keep(m, best.ok & self._likeness.sound(own), self._likeness.verdict_latency, "ok_s4")
        return ok & self._likeness.verdict(m, best.q, best.n, own, self.t2, begin)
