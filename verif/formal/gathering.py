# SPDX-License-Identifier: Apache-2.0
"""What is proved of gather, whatever its matcher decides and whenever, and however its streams stall: a bounded number
of cycles after reset, from any contents of the memories.
"""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth import Array, Cat, Const, Module, Signal, Value
from amaranth.lib.data import View
from amaranth.lib.wiring import Out

from focus_rtl.hdl.sic.gather import Gather
from focus_rtl.hdl.sic.layouter import Layouter
from focus_rtl.hdl.sic.matcher import decision_layout
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.formal.smt import Claim, port
from focus_rtl.verif.golden.cases import make_params

__all__ = ["GATHERING", "PARAMS", "PLACES", "TOKENS", "WATCHED", "Free", "FreeGather", "Mapping", "Watch", "bounded",
           "offered"]

PARAMS = make_params(dtype="int8", rows=1, cols=1, vector=2, matcher_lanes=1, matchers=1, m_tile=8, psum_banks=2,
                     block=(2, 1, 2), grid_max=(4, 1, 2))
TOKENS, CYCLES = 4, 15
"""Most tokens of the tile that is watched; cycles after the reset."""

PLACES = (TOKENS - 1).bit_length()

WATCHED = ("assumed", "holds", "complete", "merged")
"""What a proof about a tile asks a watch; see `Watch`."""


class Free(Unit):
    """Bits that nobody drives: others in each cycle, or (`constant`) the same in all."""

    def __init__(self, width: int, constant: bool = False) -> None:
        self.width, self.constant = width, constant
        super().__init__({"o": Out(width)}, width=width, constant=constant)

    def verilog(self, name: str) -> str:
        """Yosys takes such a wire for a variable."""
        kind = "anyconst" if self.constant else "anyseq"
        return (f"module {name}(clk, o);\n  input clk;\n  output [{self.width - 1}:0] o;\n"
                f"  (* {kind} *) wire [{self.width - 1}:0] any;\n  assign o = any;\nendmodule\n")


class FreeGather(Gather):
    """Gather whose matcher takes any time over a vector, and matches it with any visible neighbour or none.

    in_flight : two vectors, so that the queues wrap and fill.
    """

    in_flight = 2

    def _match(self, m: Module, fetched: object) -> tuple[Value, View]:
        p = self.p
        layouter = place(m, "layouter", Layouter(p))
        tile, key = fetched.tile, fetched.key
        busy, live, last, done = Signal(), Signal(), Signal(), Signal()
        free = place(m, "free", Free(2 + p.window)).o
        go, match, slots = free[0], free[1], free[2:]
        m.d.comb += [
            done.eq(busy & go), fetched.window.eq(~busy | done),
            layouter.clear.eq(~tile.running), layouter.en.eq(fetched.fetch), layouter.live.eq(~key.zero),
            Value.cast(layouter.position).eq(Value.cast(self.positions.payload)),
            Value.cast(layouter.vector).eq(Value.cast(self.vectors.payload)),
            layouter.height.eq(tile.order.height), layouter.width.eq(tile.order.width),
            layouter.enabled.eq(tile.order.mask),
        ]
        with m.If(fetched.fetch):
            m.d.sync += [busy.eq(1), last.eq(key.last), live.eq(~key.zero & ~tile.order.dense)]
        with m.Elif(done):
            m.d.sync += busy.eq(0)
        decided, decision, slot = Signal(), Signal(decision_layout(p)), Signal(range(p.window))
        for number in range(p.window):  # with sides of 1 and 2, a slot's code is its number
            with m.If(slots[number]):
                m.d.comb += slot.eq(number)
        active = layouter.entered & live
        m.d.sync += [
            decided.eq(done), decision.match.eq(match & active & layouter.visible.bit_select(slot, 1)),
            decision.slot.eq(slot), decision.active.eq(active), decision.last.eq(last),
            Value.cast(decision.place).eq(Value.cast(layouter.place)),
        ]
        return decided, decision


class LosesVectors(FreeGather):
    """A distinct vector is taken out of the queue when the one held back has not left."""

    def _emit_first(self, m: Module, here: Value, leave: Value, others: Value, key: View, result: View) -> Value:
        super()._emit_first(m, here, leave, others, key, result)
        return Const(1, 1)


@dataclass(frozen=True)
class Mapping:
    """A token's index is transferred `now`; `unique`, groups that have begun before."""

    now: Value
    token: Value
    index: Value
    unique: Value


def offered(m: Module, end: object, name: str, payload: bool = True) -> Value:
    """Drives a stream with anything; returns whether what is offered stands until it is taken."""
    word = Value.cast(end.payload)
    valid = place(m, f"{name}_valid", Free(1)).o
    m.d.comb += end.valid.eq(valid)
    waiting, before = Signal(name=f"{name}_waiting"), Signal(len(word), name=f"{name}_before")
    m.d.sync += [waiting.eq(valid & ~end.ready), before.eq(word)]
    if payload:
        m.d.comb += word.eq(place(m, f"{name}_payload", Free(len(word))).o)
    return ~waiting | valid & (word == before)


class Watch(Unit):
    """A gather with free inputs and what watches its first tile.

    assumed : the inputs keep to the stream rules, and the order is a legal one.  holds : so far nothing is wrong.
    complete : the tile has left, all of it.  merged : and a vector of it had matched.
    """

    params = PARAMS

    def __init__(self, gather: type[FreeGather]) -> None:
        self.gather = gather
        super().__init__({name: Out(1) for name in WATCHED}, gather=gather.__name__)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        gather = place(m, "gather", self.gather(self.params))
        tokens, chosen = self._constants(m, gather)
        legal = [offered(m, getattr(gather, name), name, name != "orders")
                 for name in ("orders", "vectors", "positions")]
        ready = place(m, "ready", Free(3)).o
        for number, name in enumerate(("outputs", "out_maps", "summary")):
            m.d.comb += getattr(gather, name).ready.eq(ready[number])
        order = gather.orders.payload
        position = gather.positions.payload
        m.d.comb += self.assumed.eq(Cat(
            *legal, tokens > 0, tokens <= TOKENS, chosen < tokens, order.height == PARAMS.grid_max[1],
            order.width <= PARAMS.grid_max[2], position.frame < PARAMS.grid_max[0]).all())
        self._watch(m, gather, tokens, chosen)
        return m

    def _constants(self, m: Module, gather: Gather) -> tuple[Value, Value]:
        """Tokens of the tile, and the one whose vector is watched; every order is the same."""
        order = Value.cast(gather.orders.payload)
        constant = place(m, "constant", Free(len(order) + 3, constant=True)).o
        m.d.comb += order.eq(constant[:len(order)])
        return gather.orders.payload.tokens, constant[len(order):]

    def _watch(self, m: Module, gather: Gather, tokens: Value, chosen: Value) -> None:
        vectors, maps, outputs, summary = gather.vectors, gather.out_maps, gather.outputs, gather.summary
        taken, mapped, unique, sent, zeros = (Signal(4, name=name) for name in
                                              ("taken", "mapped", "unique", "sent", "zeros"))
        ended, told, wrong = Signal(), Signal(), Signal()
        told_unique, told_zeros = Signal(4), Signal(4)
        fed, kept = (Array(Signal(len(Value.cast(vectors.payload)), name=f"{name}{number}") for number in range(TOKENS))
                     for name in ("fed", "kept"))
        with m.If(vectors.valid & vectors.ready & (taken != tokens)):
            m.d.sync += [taken.eq(taken + 1), zeros.eq(zeros + ~Value.cast(vectors.payload).any()),
                         fed[taken[:PLACES]].eq(Value.cast(vectors.payload))]
        index = maps.payload.index
        mapping = maps.valid & maps.ready & (mapped != tokens)
        with m.If(mapping):
            m.d.sync += [mapped.eq(mapped + 1), unique.eq(unique + (index == unique))]
            # Nothing comes before it was taken; an index is the next new one or one that a token has begun.
            with m.If((mapped >= taken) | (index > unique) | (maps.payload.last != (mapped == tokens - 1))):
                m.d.sync += wrong.eq(1)
        with m.If(outputs.valid & outputs.ready & ~ended):
            m.d.sync += [sent.eq(sent + 1), ended.eq(outputs.payload.last)]
            with m.If(sent < TOKENS):
                m.d.sync += kept[sent[:PLACES]].eq(Value.cast(outputs.payload.data))
            with m.If(sent >= taken):
                m.d.sync += wrong.eq(1)
        with m.If(summary.valid & summary.ready & ~told):
            m.d.sync += [told.eq(1), told_unique.eq(summary.payload.unique), told_zeros.eq(summary.payload.zeros)]
        complete = (mapped == tokens) & ended & told
        leaving = self._leaving(tokens, unique)
        stands = self._stands(m, gather, chosen, Mapping(mapping, mapped, index, unique), fed, kept)
        right = Cat(sent == leaving, told_unique == unique, told_zeros == zeros, stands).all()
        m.d.comb += [self.complete.eq(complete), self.merged.eq(complete & (unique < tokens)),
                     self.holds.eq(~wrong & (~complete | right) & ((mapped != tokens) | (sent <= leaving)))]

    def _leaving(self, tokens: Value, unique: Value) -> Value:
        """How many vectors leave."""
        return unique

    def _stands(self, m: Module, gather: Gather, chosen: Value, one: Mapping, fed: Array, kept: Array) -> Value:
        """Whether the chosen token, if its group begins with it, left as what stands for the group, bit for bit."""
        own, began = Signal(4), Signal()
        with m.If(one.now & (one.token == chosen)):
            m.d.sync += [own.eq(one.index), began.eq(one.index == one.unique)]
        return ~began | (kept[own[:PLACES]] == fed[chosen])


def bounded(words: str, watch: Callable[[], Unit], mutant: Callable[[], Unit], cycles: int,
            same: tuple[str, ...] = ()) -> Claim:
    """Over so many cycles from a reset on: what is watched holds; and there is a tile that is complete, and merged.

    same : constants, by the names of their wires, that are one and the same.
    """
    def over(name: str) -> list[str]:
        return [port(name, f"s{cycle}") for cycle in range(1, cycles + 1)]
    states = "".join(f"(declare-fun s{cycle} () |unit_s|)\n" for cycle in range(cycles + 1)) + "".join(
        f"(assert (|unit_t| s{cycle} s{cycle + 1}))"
        f"(assert (= {port('rst', f's{cycle}')} {'false' if cycle else 'true'}))\n" for cycle in range(cycles))
    if same:
        states += f"(assert (= {' '.join(port(name, 's1') for name in same)}))\n"
    return Claim(words, f"(and {' '.join(over('holds'))})", f"(or {' '.join(over('merged'))})",
                 states + "".join(f"(assert {assumed})\n" for assumed in over("assumed")), watch, mutant)


GATHERING: dict[str, Claim] = {
    "gathered": bounded(
        f"gather, any decisions, any stalls, {CYCLES} cycles after reset, a tile of up to {TOKENS} tokens: map[j] <= j "
        "and < p, a representative is its own, p vectors and one summary leave, none lost, doubled or changed",
        lambda: Watch(FreeGather), lambda: Watch(LosesVectors), CYCLES),
}
