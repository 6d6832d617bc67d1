# SPDX-License-Identifier: Apache-2.0
"""Importance: text-to-image scores of the softmax -> one maximum per image token, kept on chip.

Model: `golden/sec/importance.py`.  Test: `verif/sec/test_importance.py`.
"""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.sec import layouts
from focus_rtl.hdl.sec.layouts import SCORE_BITS, words_of
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Importance"]

_INFINITY = 0x7C00
_FLIGHT = 3  # cycles from a word's read to its write


class Importance(Unit):
    """One maximum per token over all rows; a beat is `lanes` tokens of a row, or `lanes` rows of a token.

    What is negative or NaN counts as 0.  A *sweep* goes through all tokens once.  With `spatial` = 0 a beat holds
    `lanes` tokens of one row, so a sweep is ceil(tokens / lanes) beats, and there is one per row.  With `spatial` = 1 a
    beat holds `lanes` rows of one token, which a tree reduces to one number, so a sweep is `tokens` beats, and there is
    one per `lanes` rows; lanes without a row carry 0.  The first sweep overwrites the scores of the order before, so
    that there is nothing to clear.

    When the last sweep is stored, `orders` is taken and `full` rises; the scores can be read until `release`, and no
    beat is taken meanwhile.  Lanes of the last word beyond `tokens` read 0.

    Throughput one beat per cycle, except that a word is not read again until it has been written, 4 cycles later:
    orders of fewer than 4 words (4 * lanes tokens) are that much slower.  Latency from the last beat to `full`:
    `latency`, and `latency_spatial` with `spatial`.

    Parameters
    ----------
    tokens_max : largest number of tokens, 1 .. 65536.  lanes : a power of two, 2 .. 64.  memories : see `Ram`.

    Members
    -------
    orders : In(stream of `layouts.fill_order`); tokens and sweeps at least 1.
    scores : In(stream of `layouts.scores`).
    full : Out(1).  release : In(1), forgets the scores; only while `full`.
    r_en, r_word : In, read request while `full`.  r_data : Out(lanes scores of 15 bits), in the cycle after.
    """

    def __init__(self, tokens_max: int = 12800, lanes: int = 32, memories: str = "inferred") -> None:
        layouts.check_lanes("Importance", tokens_max, lanes)
        self.tokens_max, self.lanes, self.memories = tokens_max, lanes, memories
        self.words = words_of(tokens_max, lanes)
        super().__init__({
            "orders": In(stream.Signature(layouts.fill_order(tokens_max))),
            "scores": In(stream.Signature(layouts.scores(lanes))),
            "full": Out(1), "release": In(1),
            "r_en": In(1), "r_word": In(range(max(self.words, 2))), "r_data": Out(lanes * SCORE_BITS),
        }, tokens_max=tokens_max, lanes=lanes, memories=memories)

    @property
    def latency(self) -> int:
        """Cycles from the last temporal beat to `full`: cleaned, held as a word, read and written back."""
        return 2 + _FLIGHT + 1

    @property
    def latency_spatial(self) -> int:
        """The same for a spatial beat, which goes through the tree."""
        return self.latency + self.lanes.bit_length() - 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        order = self.orders.payload
        begun, step, taken = Signal(), Signal(), Signal()
        ends = _Ends(self, order)
        m.d.sync += [begun.eq(self.orders.valid & ~self.full), ends.token.eq(order.tokens - 1),
                     ends.sweep.eq(order.sweeps - 1)]
        self._accept(m, order, ends, begun & self.orders.valid & ~self.full, step)
        clean, clean_valid = self._clean(m, step)
        best, best_valid = self._tree(m, clean, clean_valid & order.spatial, step)
        word, word_valid = self._collect(m, order, ends, clean, clean_valid, best, best_valid, step)
        m.d.comb += step.eq(~word_valid | taken)
        done = self._fold(m, ends, word, word_valid, taken)
        m.d.comb += self.orders.ready.eq(done)
        with m.If(done):
            m.d.sync += self.full.eq(1)
        with m.Elif(self.release):
            m.d.sync += self.full.eq(0)
        return m

    def _accept(self, m: Module, order: Value, ends: "_Ends", active: Value, step: Value) -> None:
        """Takes as many beats as the order has, and then none until the next one."""
        beat, sweep, all_taken = Signal(range(self.tokens_max + 1)), Signal(layouts.SWEEP_BITS), Signal()
        last = beat == Mux(order.spatial, ends.token, ends.word)
        m.d.comb += self.scores.ready.eq(active & ~all_taken & step)
        with m.If(self.orders.ready):
            m.d.sync += [beat.eq(0), sweep.eq(0), all_taken.eq(0)]
        with m.Elif(self.scores.valid & self.scores.ready):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
            with m.If(last):
                m.d.sync += [sweep.eq(sweep + 1), all_taken.eq(sweep == ends.sweep)]

    def _clean(self, m: Module, step: Value) -> tuple[list[Signal], Signal]:
        """Negative numbers and NaN become 0; the sign goes."""
        valid = Signal(name="clean_valid")
        clean = [Signal(SCORE_BITS, name=f"clean{lane}", reset_less=True) for lane in range(self.lanes)]
        with m.If(step):
            m.d.sync += valid.eq(self.scores.valid & self.scores.ready)
            for register, bits in zip(clean, self.scores.payload.data, strict=True):
                magnitude = bits[:SCORE_BITS]
                m.d.sync += register.eq(Mux(bits[-1] | (magnitude > _INFINITY), 0, magnitude))
        return clean, valid

    def _tree(self, m: Module, values: list[Signal], valid: Value, step: Value) -> tuple[Signal, Signal]:
        """The largest of all lanes, a register behind every level."""
        level = 0
        while len(values) > 1:
            level += 1
            found = [Signal(SCORE_BITS, name=f"best{level}_{pair}", reset_less=True)
                     for pair in range(len(values) // 2)]
            here = Signal(name=f"best{level}_valid")
            with m.If(step):
                m.d.sync += here.eq(valid)
                m.d.sync += [best.eq(_larger(a, b)) for best, a, b in zip(found, values[::2], values[1::2],
                                                                          strict=True)]
            values, valid = found, here
        return values[0], valid

    def _collect(self, m: Module, order: Value, ends: "_Ends", clean: list[Signal], clean_valid: Value, best: Signal,
                 best_valid: Value, step: Value) -> tuple[list[Signal], Signal]:
        """A word of tokens: a temporal beat is one, spatial ones fill it lane by lane."""
        word = [Signal(SCORE_BITS, name=f"word{lane}", reset_less=True) for lane in range(self.lanes)]
        valid, token = Signal(name="word_valid"), Signal(range(self.tokens_max + 1))
        lane_bits = self.lanes.bit_length() - 1
        last = token == ends.token
        with m.If(step):
            m.d.sync += valid.eq(Mux(order.spatial, best_valid & (last | token[:lane_bits].all()), clean_valid))
            with m.If(best_valid):
                m.d.sync += token.eq(Mux(last, 0, token + 1))
            for lane in range(self.lanes):
                with m.If(~order.spatial | (token[:lane_bits] == lane)):
                    m.d.sync += word[lane].eq(Mux(order.spatial, best, clean[lane]))
        return word, valid

    def _fold(self, m: Module, ends: "_Ends", word: list[Signal], word_valid: Value, taken: Signal) -> Signal:
        """Reads a word's maxima, folds the new scores in, writes them back; returns whether that was the last one."""
        words = place(m, "store", Ram(self.lanes * SCORE_BITS, self.words, self.memories))
        index, sweep = Signal(range(max(self.words, 2))), Signal(layouts.SWEEP_BITS)
        last_word = index == ends.word
        first = sweep == 0
        flight = [_Flight(self, f"s{stage}", len(index)) for stage in range(1, _FLIGHT + 1)]
        blocked = Cat(*(stage.valid & (stage.index == index) for stage in flight)).any()
        m.d.comb += taken.eq(word_valid & ~blocked)
        with m.If(taken):
            m.d.sync += index.eq(Mux(last_word, 0, index + 1))
            with m.If(last_word):
                m.d.sync += sweep.eq(Mux(sweep == ends.sweep, 0, sweep + 1))
        here = {"valid": taken, "index": index, "first": first,
                "final": last_word & (sweep == ends.sweep)}
        for stage in flight:
            m.d.sync += [getattr(stage, name).eq(value) for name, value in here.items()]
            here = {name: getattr(stage, name) for name in here}
        s1, s2, s3 = flight
        for lane in range(self.lanes):
            exists = ~last_word | (ends.lane >= lane)
            old = Mux(s1.first, 0, words.r_data.word_select(lane, SCORE_BITS))
            m.d.sync += [s1.lanes[lane].eq(Mux(exists, word[lane], 0)), s2.lanes[lane].eq(s1.lanes[lane]),
                         s2.old[lane].eq(old), s3.lanes[lane].eq(_larger(s2.old[lane], s2.lanes[lane]))]
        m.d.comb += [
            words.r_en.eq(Mux(self.full, self.r_en, taken & ~first)),
            words.r_addr.eq(Mux(self.full, self.r_word, index)), self.r_data.eq(words.r_data),
            words.w_en.eq(s3.valid), words.w_addr.eq(s3.index), words.w_data.eq(Cat(*s3.lanes)),
        ]
        return s3.valid & s3.final


class _Ends:
    """Last token, its word and lane, and last sweep of the order: registers, for what depends on them is slow."""

    def __init__(self, unit: Importance, order: Value) -> None:
        self.token = Signal.like(order.tokens, name="last_token")
        self.sweep = Signal.like(order.sweeps, name="last_sweep")
        lane_bits = unit.lanes.bit_length() - 1
        self.lane, self.word = self.token[:lane_bits], self.token[lane_bits:]


class _Flight:
    """A stage of the way from read to write: the word, where it belongs, the old maxima."""

    def __init__(self, unit: Importance, name: str, index_bits: int) -> None:
        self.valid, self.first, self.final = (Signal(name=f"{part}_{name}") for part in ("valid", "first", "final"))
        self.index = Signal(index_bits, name=f"index_{name}")
        self.lanes, self.old = ([Signal(SCORE_BITS, name=f"{part}{lane}_{name}", reset_less=True)
                                 for lane in range(unit.lanes)] for part in ("new", "old"))


def _larger(a: Value, b: Value) -> Value:
    return Mux(a > b, a, b)
