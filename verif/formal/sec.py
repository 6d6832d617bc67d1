# SPDX-License-Identifier: Apache-2.0
"""Proofs of the semantic concentrator: every run of small units from reset on, with any data and any stalls.

A claim here is about traces, states that a unit goes through: s0, s1, ..., in which the streams stall as they like, and
c0, c1, ..., in which nobody stalls.  What is claimed of each state of the first is safety; that the second has finished
in its last state is progress.
"""

from collections.abc import Callable
from itertools import pairwise

from amaranth import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.sec.bubble import Bubble
from focus_rtl.hdl.sec.offset_decoder import OffsetDecoder
from focus_rtl.hdl.sec.offset_encoder import OffsetEncoder
from focus_rtl.hdl.sec.radix import Radix
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.formal.smt import Claim, port

__all__ = ["SEC"]

LANES, BITS = 2, 2
"""Of every proof: lanes, and bits of an offset or of a score."""


def ones(bits: Value) -> Value:
    """How many bits are set."""
    total: Value = Cat(bits[0])
    for bit in bits[1:]:
        total = total + bit
    return total


class Loop(Unit):
    """A mask through encoder and decoder, back to a mask: token = 4 * frame + 2 * row + column.

    Members
    -------
    kept : In(tokens), constant.  stall : In(2), masks are held back, positions are not taken.
    found : Out(tokens).  finished : Out(1), both orders are done.  astray : Out(1), a token not kept, twice or outside.
    """

    def __init__(self, tokens: int, mutant: str = "") -> None:
        self.tokens, self.mutant = tokens, mutant
        super().__init__({"kept": In(tokens), "stall": In(2), "found": Out(tokens), "finished": Out(1),
                          "astray": Out(1)}, tokens=tokens, mutant=mutant)

    def elaborate(self, platform: object) -> Module:
        """The masks' source, the two units, the collector."""
        m = Module()
        frames = -(-self.tokens // 4)
        encoder = place(m, "encoder", OffsetEncoder(self.tokens, LANES, BITS))
        decoder = place(m, "decoder", OffsetDecoder(self.tokens, BITS, frames, 2, 2))
        words = -(-self.tokens // LANES)
        count, sent = ones(self.kept), Signal(range(words + 1))
        encoded, decoded = Signal(), Signal()
        none = count == 0  # not even a last offset comes
        mask = Cat(self.kept, 0).word_select(sent, LANES)
        if self.mutant == "last token":
            mask = mask & ~((sent == words - 1) & (count == self.tokens))
        m.d.comb += [
            encoder.orders.valid.eq(~encoded), encoder.orders.payload.tokens.eq(self.tokens),
            encoder.orders.payload.k.eq(count), encoder.masks.valid.eq((sent != words) & ~self.stall[0]),
            encoder.masks.payload.mask.eq(mask), decoder.offsets.valid.eq(encoder.offsets.valid),
            decoder.offsets.payload.eq(encoder.offsets.payload),
            encoder.offsets.ready.eq(decoder.offsets.ready), decoder.orders.valid.eq(~decoded),
            decoder.orders.payload.frames.eq(frames),
            decoder.orders.payload.height.eq(2), decoder.orders.payload.width.eq(2),
            decoder.orders.payload.row_stride.eq(2), decoder.orders.payload.frame_stride.eq(4),
            decoder.positions.ready.eq(~self.stall[1]),
        ]
        with m.If(encoder.masks.valid & encoder.masks.ready):
            m.d.sync += sent.eq(sent + 1)
        m.d.sync += [encoded.eq(encoded | encoder.orders.ready), decoded.eq(decoded | decoder.orders.ready | none)]
        self._collect(m, decoder)
        m.d.comb += self.finished.eq(encoded & decoded & ~decoder.positions.valid)
        return m

    def _collect(self, m: Module, decoder: Unit) -> None:
        place_ = decoder.positions.payload
        token = Cat(place_.column[0], place_.row[0], place_.frame)
        outside = ~place_.image | place_.column[1:].any() | place_.row[1:].any()
        bit = (1 << token)[:self.tokens]
        with m.If(decoder.positions.valid & decoder.positions.ready):
            m.d.sync += [self.found.eq(self.found | bit),
                         self.astray.eq(self.astray | outside | ((self.kept & ~self.found & bit) == 0))]


class Selection(Unit):
    """Scores from a constant store through a sorter: the mask, and what sorting says it should be.

    Members
    -------
    scores : In(tokens scores), k : In; constant.  stall : In(1).
    found : Out(tokens).  finished : Out(1).  right : Out(1), found is what it should be and has k bits.
    """

    def __init__(self, sorter: Callable[[int, int, int], Unit], tokens: int) -> None:
        self.sorter, self.tokens = sorter(tokens, LANES, BITS), tokens
        super().__init__({"scores": In(tokens * BITS), "k": In(range(tokens + 1)), "stall": In(1),
                          "found": Out(tokens), "finished": Out(1), "right": Out(1)},
                         sorter=self.sorter.module_name, tokens=tokens)

    def elaborate(self, platform: object) -> Module:
        """The store, the sorter, the collector, and the truth."""
        m = Module()
        sorter = place(m, "sorter", self.sorter)
        words = -(-self.tokens // LANES)
        whole, got = Signal(words * LANES * BITS), Signal(words * LANES)
        done, sent = Signal(), Signal(range(words + 1))
        m.d.comb += [
            whole.eq(self.scores), sorter.orders.valid.eq(~done), sorter.orders.payload.tokens.eq(self.tokens),
            sorter.orders.payload.k.eq(self.k), sorter.masks.ready.eq(~self.stall), self.found.eq(got),
            self.finished.eq(done & (sent == words)), self.right.eq(self._right(got)),
        ]
        with m.If(sorter.r_en):
            m.d.sync += sorter.r_data.eq(whole.word_select(sorter.r_word, LANES * BITS))
        with m.If(sorter.masks.valid & sorter.masks.ready):
            m.d.sync += [sent.eq(sent + 1), got.word_select(sent, LANES).eq(sorter.masks.payload.mask)]
        m.d.sync += done.eq(done | sorter.orders.ready)
        return m

    def _right(self, got: Value) -> Value:
        """Token i stays iff fewer than k tokens are before it: larger, or equal and lower."""
        scores = [self.scores.word_select(token, BITS) for token in range(self.tokens)]
        wanted = [ones(Cat(scores[j] > scores[i] if j > i else scores[j] >= scores[i]
                           for j in range(self.tokens) if j != i)) < self.k for i in range(self.tokens)]
        return (got == Cat(*wanted)) & (ones(got) == self.k)


# --- mutants ---


class _LaterWins(Bubble):
    """Of equal scores the later one stays: nothing of the row before the border's token is let through again."""

    def _cells(self, m: Module, here: Value, insert: Value, start: Value, left: Value) -> Value:
        return super()._cells(m, here, insert & (here.score != 0), start, left)


class _OneMore(Radix):
    """One of the scores equal to the k-th largest stays that should not."""

    def _send(self, m: Module, counted: Value, room_at_first: Value, sending: Value, step: Value) -> Value:
        return super()._send(m, counted, room_at_first + 1, sending, step)


# --- traces ---


def _trace(name: str, steps: int, rigid: tuple[str, ...], calm: str = "") -> str:
    """States name0 .. name<steps> from reset's values on; `rigid` inputs stay; `calm` holds in each, if given."""
    states = [f"{name}{step}" for step in range(steps + 1)]
    lines = [f"(declare-fun {state} () |unit_s|)(assert (not {port('rst', state)}))" for state in states]
    lines += [f"(assert (|unit_i| {states[0]}))"]
    for before, after in pairwise(states):
        lines += [f"(assert (|unit_t| {before} {after}))"]
        lines += [f"(assert (= {port(wire, before)} {port(wire, after)}))" for wire in rigid]
    lines += [f"(assert {calm.format(s=state)})" for state in states if calm]
    return "\n".join(lines) + "\n"


def _claim(words: str, steps: int, rigid: tuple[str, ...], calm: str, safe: str, cover: str, assume: str,
           unit: Callable[[], Unit], mutant: Callable[[], Unit], stalls: bool = True) -> Claim:
    """`safe` holds in every state, a run without stalls has finished after `steps`; `cover` is possible at the end.

    Without `stalls` nobody stalls in the first trace either: far easier to prove, of larger units.
    """
    states = " ".join(safe.format(s=f"s{step}") for step in range(steps + 1))
    same = "".join(f"(assert (= {port(wire, 's0')} {port(wire, 'c0')}))" for wire in rigid)
    variables = (_trace("s", steps, rigid, "" if stalls else calm) + _trace("c", steps, rigid, calm) + same
                 + (f"(assert {assume.format(s='s0')})" if assume else ""))
    return Claim(words, f"(and {port('finished', f'c{steps}')} {states})", cover.format(s=f"s{steps}"), variables,
                 unit, mutant)


def _lossless(tokens: int, steps: int, stalls: bool) -> Claim:
    found, kept, finished = (port(name, "{s}") for name in ("found", "kept", "finished"))
    return _claim(
        f"offsets of {BITS} bits: every mask of {tokens} tokens comes back, token by token in the grid"
        f"{', whatever stalls' * stalls}",
        steps, ("kept",), f"(= {port('stall', '{s}')} #b00)",
        f"(and (not {port('astray', '{s}')}) (=> {finished} (= {found} {kept})))",
        f"(and {finished} (= {kept} {1 << tokens - 1 | 1:#0{tokens + 2}b}))".replace(" 0b", " #b"), "",
        lambda: Loop(tokens), lambda: Loop(tokens, "last token"), stalls)


def _select(sorter: type[Unit], mutant: type[Unit], tokens: int, steps: int) -> Claim:
    k, finished = port("k", "{s}"), port("finished", "{s}")
    bits = tokens.bit_length()
    return _claim(
        f"{sorter.__name__}: of {tokens} scores of {BITS} bits exactly k stay, the largest, of equal ones the first, "
        "for every k and whatever stalls", steps, ("scores", "k"), f"(not {port('stall', '{s}')})",
        f"(=> {finished} {port('right', '{s}')})", f"(and {finished} (= {k} (_ bv2 {bits})))",
        f"(and (bvuge {k} (_ bv1 {bits})) (bvule {k} (_ bv{tokens} {bits})))",
        lambda: Selection(sorter, tokens), lambda: Selection(mutant, tokens))


SEC: dict[str, Claim] = {
    "offsets": _lossless(10, 30, False),
    "offsets_stalled": _lossless(4, 14, True),
    "top_k_radix": _select(Radix, _OneMore, 5, 38),
    "top_k_bubble": _select(Bubble, _LaterWins, 5, 43),
}
