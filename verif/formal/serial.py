# SPDX-License-Identifier: Apache-2.0
"""What is proved of the serial matcher: the vectors that a key is compared with are the visible ones, and what it is
told of each is what that very neighbour wrote in this tile; by induction.
"""

import math

from amaranth import Module, Signal, Value
from amaranth.lib.data import View

from focus_rtl.hdl.numeric.integer import T2_BITS, integer_bits
from focus_rtl.hdl.sic.serial_matcher import SerialMatcher
from focus_rtl.hdl.sic.window import code_bits, code_of, place_layout
from focus_rtl.verif.formal.neighbours import AXES, SMALL, Block, Neighbour, by
from focus_rtl.verif.formal.smt import PRODUCT, Claim, conjunction, number, port, widened, wire

__all__ = ["SERIAL"]

FILL = 3
"""Cycles from a dot's last beat to its sum, with one lane."""

LOOKING = ("LOOK", "SEE", "SEEN")
JUDGING = ("MULTIPLY", "KEEP", "SUBTRACT", "JUDGE")
COMPARING = ("DOT", "LOAD", *JUDGING)
SLOTS = ("SEEK", *LOOKING, *COMPARING)
STATES = ("WIPE", "REST", *SLOTS, "DECIDED", "DONE")

STANDING = ("vector", "position", "zero", "dense", "last", "height", "width", "enabled")
"""Inputs that stand from `valid` to `done`."""

BYTE, STATE = "(_ BitVec 8)", "(s |unit_s|)"


class Told(SerialMatcher):
    """A serial matcher whose states, and two of whose registers, have names."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        for name in STATES:
            self._tell(m, f"in_{name}", self.states.ongoing(name))
        return m

    def _look(self, m: Module, do: View, at: object, *others: Value) -> None:
        self._tell(m, "is_entered", at.entered)
        self._tell(m, "is_hit", at.hit)
        super()._look(m, do, at, *others)

    def _tell(self, m: Module, name: str, value: Value) -> None:
        told = Signal(name=name, attrs={"keep": 1})
        m.d.comb += told.eq(value)


class _NeverWipes(Told):
    """What an earlier tile has left is seen."""

    def _tags(self, m: Module, do: View, at: object, norm: Value) -> View:
        idle = Signal(do.shape())
        m.d.comb += [idle.eq(do), idle.wipe.eq(0)]
        return super()._tags(m, idle, at, norm)


def _in(*states: str, s: str = "s") -> str:
    """The unit is in one of the states."""
    return f"(or {' '.join(port(f'in_{state}', s) for state in states)})"


def _if(conditions: list[str], *then: str) -> str:
    return f"(=> {conjunction(conditions)} {conjunction(then)})"


def _equal(a: str, b: str) -> str:
    return f"(= {a} {b})"


def _define(name: str, arguments: str, sort: str, body: str) -> str:
    return f"(define-fun {name} ({arguments}) {sort} {body})\n"


def _squared(square: str, byte: str) -> str:
    """What has to be known of an element times itself: it is not 0 if the element is not, and two have a sum."""
    return f"(and (= (= {square} {number(0, 16)}) (= {byte} {number(0, 8)})) (bvule {square} {number(1 << 14, 16)}))"


class _Compared(Neighbour):
    """The proof for one configuration: from a state `a` to the next one, `b`, about any one position X.

    Of the entry that X has: `w`, it was written in this tile; `f`, `i` and `d`, frame, index and vector of the last one
    written.  `c`: the key has been compared with X.  All these follow from the ports, but for `c`: in the state LOAD a
    dot product is looked at, that of the neighbour in `slot`.  The invariant says that memories and registers hold
    this.  It holds after a reset, every cycle keeps it, and it gives what is claimed.
    """

    def __init__(self, block: Block, grid: tuple[int, int, int]) -> None:
        super().__init__(block, grid, compare_multiplier="shared")
        self.entries = SerialMatcher(self.p).entries
        self.norm = integer_bits(self.p.vector)[1]
        self.turns = max(self.norm, T2_BITS)
        self.beats = range(self.p.vector // self.p.matcher_lanes)
        self.ghosts = {"w": "Bool", "f": BYTE, "i": f"(_ BitVec {self.p.index_bits})", "d": f"(_ BitVec {self.data})",
                       "c": "Bool"}
        self.slots = list(enumerate(self.steps))[1:]

    # --- words and wires of a state s ---

    def _small(self, name: str, bits: int) -> str:
        """A wire of up to eight bits as a number of eight."""
        return widened(wire(name, "s", bits), 8 - bits)

    def _code(self, slot: int) -> str:
        return number(code_of(self.p.block, slot), 8)

    def _part(self, vector: str, beat: int) -> str:
        return f"((_ extract {8 * beat + 7} {8 * beat}) {vector})"

    def _of_tag(self, name: str, word: str = "(tag s)") -> str:
        """Field of a tag."""
        low, bits = {"norm": (0, self.norm), "frame": (self.norm, self.frame),
                     "index": (self.norm + self.frame, self.p.index_bits)}[name]
        return f"((_ extract {low + bits - 1} {low}) {word})"

    def _word(self, memory: str, stride: int, beat: int) -> str:
        """Word of a memory at X's entry, which is `e`."""
        *most, found = [port(f"{memory}.words[{entry * stride + beat}]", "s") for entry in range(self.entries)]
        for entry, word in reversed(list(enumerate(most))):
            found = f"(ite (= e {number(entry, 8)}) {word} {found})"
        return found

    # --- functions of a state ---

    def _places(self) -> str:
        """Bank and entry of a position, X's and the key's."""
        _, rows, columns = sides = self.p.block
        shifts = [1 << code_bits(sides[axis + 1:]) for axis in range(3)]
        banks, stride = shifts, 1 << code_bits(sides)
        if max(sides) > 2:  # banks are not a power of two: one behind the other
            banks, stride = [self.depth * math.prod(sides[axis + 1:]) for axis in range(3)], 1

        def rests(factors: list[int]) -> str:
            return " ".join(f"(bvmul (bvurem {axis} {number(side, 8)}) {number(factor, 8)})"
                            for axis, side, factor in zip("frc", sides, factors, strict=True))
        across = number(-(-self.p.grid_max[2] // columns), 8)
        offset = f"(bvadd (bvmul (bvudiv r {number(rows, 8)}) {across}) (bvudiv c {number(columns, 8)}))"
        place, key = " ".join(f"({axis} {BYTE})" for axis in "frc"), " ".join(self.field(name, "s") for name in AXES)
        return (_define("code", place, BYTE, f"(bvadd {rests(shifts)})")
                + _define("address", place, BYTE, f"(bvadd {rests(banks)} (bvmul {offset} {number(stride, 8)}))")
                + _define("e", "", BYTE, "(address xf xr xc)")
                + _define("own_code", STATE, BYTE, f"(code {key})")
                + _define("own_entry", STATE, BYTE, f"(address {key})"))

    def _truth(self) -> str:
        """Whether the key is entered, into X's entry; whether X is a neighbour, in which slot, enabled, visible."""
        near, on, place = [], [], number(0, 8)
        for slot, step in self.slots:
            there = f"(and {self.there(step, 's')})"
            place = f"(ite {there} {self._code(slot)} {place})"
            near.append(there)
            on.append(f"(and {there} {self.enabled(slot, 's')})")
        visible = ["(entered s)", f"(not {port('zero')})", f"(or {' '.join(on)})", "w", "(= f xf)",
                   f"(not (= d {number(0, self.data)}))"]
        return (_define("entered", STATE, "Bool", self.entered(f"(not {port('dense')})", "s"))
                + _define("same", STATE, "Bool", self.same_entry("(entered s)", "s"))
                + _define("near", STATE, "Bool", f"(or {' '.join(near)})") + _define("place", STATE, BYTE, place)
                + _define("visible", f"{STATE}(w Bool)(f {BYTE})(d {self.ghosts['d']})", "Bool", conjunction(visible)))

    def _hardware(self) -> str:
        """Slot, entry and count as numbers; whether it is the key's own turn, or X's; memories at X's entry; dots."""
        whole = f"(_ BitVec {self.data})"
        count = max(self.turns, len(self.beats) + FILL - 1).bit_length()
        tag = f"(_ BitVec {self.norm + self.frame + self.p.index_bits})"
        return (_define("slot", STATE, BYTE, self._small("slot", code_bits(self.p.block)))
                + _define("entry", STATE, BYTE, self._small("entry", (self.entries - 1).bit_length()))
                + _define("count", STATE, BYTE, self._small("count", count))
                + _define("own", STATE, "Bool", _equal("(slot s)", number(0, 8)))
                + _define("turn", STATE, "Bool", "(and (near s) (= (slot s) (place s)))")
                + _define("tag", STATE, tag, self._word("tags", 1, 0))
                + "".join(_define(f"kept{beat}", STATE, BYTE, self._word("vectors", len(self.beats), beat))
                          for beat in self.beats)
                + _define("times", f"(x {BYTE})(y {BYTE})", "(_ BitVec 16)",
                          f"({PRODUCT} {widened('x', 8, True)} {widened('y', 8, True)})")
                + _define("dot", f"(x {whole})(y {whole})", f"(_ BitVec {self.norm + 1})",
                          self._sum("x", "y", len(self.beats))))

    def _sum(self, x: str, y: str, beats: int) -> str:
        """Of the first products."""
        products = [widened(f"(times {self._part(x, beat)} {self._part(y, beat)})", self.norm - 15, True)
                    for beat in range(beats)]
        return f"(bvadd {' '.join([number(0, self.norm + 1), *products])})"

    # --- the invariant ---

    def _tile(self) -> list[str]:
        """What was not written in this tile is empty; when it ends, what was written is wiped."""
        empty = _equal(self._of_tag("norm"), number(0, self.norm))
        low = [f"((_ extract {bits - 1} 0) {word})" for bits, word in ((self.frame, "f"), (self.norm, "(dot d d)"))]
        return [
            _in(*STATES), _if(["w"], port("written")),
            _if([_in("WIPE")], "(not w)", f"(bvult (entry s) {number(self.entries, 8)})",
                f"(=> (bvult e (entry s)) {empty})"),
            _if([f"(not {_in('WIPE')})"], f"(ite w {_equal('(tag s)', f'(concat i {low[0]} {low[1]})')} {empty})"),
        ]

    def _walk(self) -> list[str]:
        """Where the vector is on its way through the slots, and in which entry."""
        places = place_layout(self.p)
        spot = [_equal(self._small("spot_s1.rest", places["rest"].width), "(own_code s)")]
        spot += [_equal(self._small(f"spot_s1.{name}", places[name].width),
                        f"(bvudiv {self.field(name, 's')} {number(side, 8)})")
                 for name, side in zip(AXES[1:], self.p.block[1:], strict=True)]
        asked = [_if([_equal("(slot s)", self._code(slot))], self.enabled(slot, "s"),
                     f"(not (or {self.beyond(step, 's')}))") for slot, step in self.slots]
        codes = " ".join(_equal("(slot s)", self._code(slot)) for slot in range(self.p.window))
        return [
            _if([_in(*SLOTS, "DECIDED", "DONE")], port("valid")),
            _if([_in(*SLOTS)], "(entered s)", f"(or {codes})", f"(=> {port('zero')} (own s))"),
            _if([_in(*SLOTS, "DECIDED")], _equal(port("is_entered"), "(entered s)")),
            _if([_in("DECIDED"), "(entered s)"], "(own s)"), _if([_in(*SLOTS, "DECIDED"), "(entered s)"], *spot),
            _if([_in(*LOOKING, "JUDGE")], "(not (own s))"),
            _if([_in(*JUDGING), "(own s)"], port("found")),
            _if([_in(*LOOKING, *COMPARING)], *asked), _if([_in(*LOOKING, *COMPARING), "(turn s)"], "(= (entry s) e)"),
            _if([_in(*COMPARING, "DECIDED"), "(entered s)", "(own s)"], "(= (entry s) (own_entry s))"),
        ]

    def _seen(self) -> list[str]:
        """In X's turn its tag was read, it is visible if a dot is made, and has then been compared."""
        norm = widened(self._of_tag("norm"), self.turns - self.norm)
        frame = _equal(self._of_tag("frame"), f"((_ extract {self.frame - 1} 0) xf)")
        turned = [_if([_equal("(count s)", number(count, 8))], _equal(
            port("other_norm"), f"((_ rotate_left {count % self.turns}) {norm})")) for count in range(self.turns + 1)]
        come = f"(or (own s) (bvugt (slot s) (place s)) (and (turn s) {_in(*JUDGING)}))"
        return [
            _if([_in("SEE", "SEEN", *COMPARING), "(turn s)"], _equal(port("tags.r_data"), "(tag s)")),
            _if([_in("SEEN"), "(turn s)"], _equal(port("is_hit"), frame)),
            _if([_in(*COMPARING), "(turn s)"], "(visible s w f d)"),
            _if([_in("SEEN", "DOT", "LOAD", "MULTIPLY", "KEEP", "JUDGE"), "(turn s)"],
                _equal(port("other_norm"), norm)),
            _if([_in("SUBTRACT"), "(turn s)"], *turned),  # a turn for each half of a step, and none elsewhere
            _if([port("half")], _in("SUBTRACT"), f"(bvult (count s) {number(self.turns, 8)})"),
            _if([_in("SUBTRACT")], f"(bvule (count s) {number(self.turns, 8)})"),
            _if([_in(*SLOTS, "DECIDED")], _equal("c", f"(and (visible s w f d) {come})")),
        ]

    def _vectors(self) -> list[str]:
        """What is kept is X's vector; or the key's, as far as it has come, where that is about to take its place."""
        over = f"(and {_in(*COMPARING, 'DECIDED')} (own s) (same s))"
        terms = []
        for beat in self.beats:
            begun = f"(=> {_in('DOT')} (bvugt (count s) {number(beat, 8)}))"
            new, old = (_equal(f"(kept{beat} s)", self._part(vector, beat)) for vector in (port("vector"), "d"))
            terms.append(f"(ite {over} (=> {begun} {new}) (=> w {old}))")
        return terms

    def _dots(self) -> list[str]:
        """A dot is of the key and what is in turn: the key itself, or X."""
        key, total, feeds = port("vector"), port("total"), [port(f"feed_d{stage}") for stage in range(1, FILL + 1)]
        length = len(self.beats) + FILL
        terms = [_if([feeds[stage - 1]], _in("DOT"), *(
            _if([_equal("(count s)", number(count, 8))], "true" if count - stage in self.beats else "false")
            for count in range(length))) for stage in range(1, FILL + 1)]
        terms += [_if([_in(*LOOKING)], _equal(total, self._sum(key, key, 0)), _equal("(count s)", number(0, 8))),
                  _if([_in("DOT")], f"(bvult (count s) {number(length, 8)})"),
                  _if([_in("DECIDED", *JUDGING), "(entered s)", "(own s)"], _equal(port("norm"), f"(dot {key} {key})"))]
        for turn, other in (("(own s)", key), ("(turn s)", "d")):
            terms.append(_if([_in("LOAD"), turn], _equal(total, f"(dot {key} {other})")))
            for count in range(length):
                terms.append(_if([_in("DOT"), turn, _equal("(count s)", number(count, 8))],
                                 *(feed for stage, feed in enumerate(feeds) if count - stage - 1 in self.beats),
                                 *self._stages(count, key, other)))
        return terms

    def _stages(self, count: int, key: str, other: str) -> list[str]:
        """Registers of a dot in the cycle with that count."""
        terms = [_equal(port("total"), self._sum(key, other, min(len(self.beats), max(0, count - FILL))))]
        if (beat := count - 1) in self.beats:
            read = [] if key == other else [_equal(port("vectors.r_data"), self._part(other, beat))]
            terms += [_equal(port("key_d1"), self._part(key, beat)), *read]
        if (beat := count - 2) in self.beats:
            terms += [_equal(port("key_s1_d1"), self._part(key, beat)),
                      _equal(port("other_d1"), self._part(other, beat))]
        if (beat := count - 3) in self.beats:
            terms.append(_equal(f"((_ extract 15 0) {port('multiply0.o')})",
                                f"(times {self._part(key, beat)} {self._part(other, beat)})"))
        return terms

    # --- the claim ---

    @property
    def variables(self) -> str:
        """States, X, the ghosts, what is assumed of the inputs, and the invariant."""
        valid, vector = port("valid", "a"), port("vector", "a")
        stands = [_equal(port(name, "a"), port(name, "b")) for name in STANDING]
        assumed = [*self.anywhere, f"(bvult f {number(1 << self.frame, 8)})", _if([valid], *self.legal, _equal(
            port("zero", "a"), _equal(vector, number(0, self.data)))),
            _if([valid, f"(not {port('done', 'a')})"], port("valid", "b"), *stands)]
        elements = [self._part(whole, beat) for whole in ("d", vector) for beat in self.beats]
        invariant = [*self._tile(), *self._walk(), *self._seen(), *self._vectors(), *self._dots()]
        ghosts = "".join(f"({name} {sort})" for name, sort in self.ghosts.items())
        return ("(declare-fun a () |unit_s|)(declare-fun b () |unit_s|)(assert (|unit_t| a b))\n" + self.declared
                + "".join(f"(declare-fun {name} () {sort})" for name, sort in self.ghosts.items())
                + f"\n(assert {conjunction(assumed)})\n{self._places()}{self._truth()}{self._hardware()}"
                + "".join(f"(assert {_squared(f'(times {element} {element})', element)})\n" for element in elements)
                + _define("invariant", STATE + ghosts, "Bool", conjunction(invariant)))

    @property
    def _after(self) -> str:
        """The ghosts in `b`."""
        over = f"(or {port('rst', 'a')} (and {port('done', 'a')} {port('last', 'a')}))"
        write = f"(and {port('decided', 'a')} {port('leave', 'a')} (same a))"
        news = {"f": self.field("frame"), "i": port("index", "a"), "d": port("vector", "a")}
        return " ".join([f"(and (not {over}) (or w {write}))",
                         *(f"(ite {write} {new} {old})" for old, new in news.items()),
                         f"(and (not {_in('REST', s='a')}) (or c (and {_in('LOAD', s='a')} (turn a))))"])

    def claim(self) -> Claim:
        """The claim, its cover (the furthest neighbour is one that was compared) and its mutant."""
        invariant = f"(invariant a {' '.join(self.ghosts)})"
        decided, load, judge = port("decided", "a"), _in("LOAD", s="a"), _in("JUDGE", s="a")
        told = [_equal(port("other_norm", "a"), widened("(dot d d)", self.turns - self.norm - 1)),
                _equal(self._of_tag("index", port("tags.r_data", "a")), "i")]
        none = [f"(and (= (slot a) {self._code(slot)}) (or (not {self.enabled(slot)}) {self.beyond(step)}))"
                for slot, step in self.slots]
        holds = conjunction([
            f"(=> (or {invariant} {port('rst', 'a')}) (invariant b {self._after}))",
            _if([invariant, decided], "(= c (visible a w f d))"),
            _if([invariant, load], f"(not (or {' '.join(none)}))"),
            _if([invariant, load, "(turn a)"], "(visible a w f d)",
                _equal(port("total", "a"), f"(dot {port('vector', 'a')} d)"), *told),
            _if([invariant, judge, "(turn a)"], *told)])
        cover = conjunction([invariant, decided, "c", _equal("(place a)", self._code(self.p.window - 1))])
        words = (f"block {by(self.p.block)}, grids up to {by(self.p.grid_max)}, from reset on: the serial matcher "
                 "compares a key with all visible neighbours and nothing else, each as it was written in this tile: "
                 "vector, norm, index (induction)")
        return Claim(words, holds, cover, self.variables, lambda: Told(self.p), lambda: _NeverWipes(self.p),
                     abstract=16)


_WIDE = "((_ sign_extend 8) ((_ extract 7 0) x))"

SERIAL: dict[str, Claim] = {
    "int8_squares": Claim(
        "8 bits, signed: a square is 0 for 0 alone, and at most 2**14; with one bit more it is not",
        _squared("(bvmul x x)", "((_ extract 7 0) x)"), "(= (bvmul x x) #x4000)",
        f"(declare-fun x () (_ BitVec 16))(assert (= x {_WIDE}))",
        doubt="(declare-fun x () (_ BitVec 16))(assert (= x ((_ sign_extend 7) ((_ extract 8 0) x))))"),
    **{f"serial_{''.join(map(str, block))}": _Compared(block, grid).claim() for block, grid in SMALL.items()},
}
