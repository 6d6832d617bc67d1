# SPDX-License-Identifier: Apache-2.0
"""What is proved of the layouter: where positions are kept, for every block, and what a window shows, by induction.

The truth is stated with remainders and quotients of bit-vectors; the hardware has digits, exclusive ors and
subtractions.
"""

import itertools

from amaranth import Cat, Const, Module, Value
from amaranth.lib.data import View
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import position
from focus_rtl.hdl.sic import window
from focus_rtl.hdl.sic.layouter import Layouter
from focus_rtl.hdl.unit import Unit
from focus_rtl.verif.formal.neighbours import BLOCKS, SMALL, Block, Neighbour, by
from focus_rtl.verif.formal.smt import Claim, conjunction, number, port, wire
from focus_rtl.verif.golden.cases import make_params

__all__ = ["WINDOWS"]

GRID = (64, 14, 13)
"""The largest grid of the proof about places."""


# --- places: two positions of one window are in two banks; a neighbour is looked for where it was written ---


class Places(Unit):
    """Where a key and another position are, one bit for each block.

    near : the other is in the key's window.  holds : if so, it is in another bank and is looked for in the entry in
    which it is written; and positions in one entry have one row and one column.
    """

    def __init__(self, chosen: str = "offset_of") -> None:
        self.layout = position(make_params(grid_max=GRID))
        super().__init__({"key": In(self.layout), "other": In(self.layout), "holds": Out(len(BLOCKS)),
                          "near": Out(len(BLOCKS))}, chosen=chosen)

    def _offset(self, p: Parameters, key: View, other: View) -> Value:
        """Entry in which the key looks for the other."""
        return window.offset_of(p, key, other.rest)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        holds, near = [], []
        for block in BLOCKS:
            p = make_params(grid_max=GRID, block=block, matchers=1)
            key, other = window.spot_of(m, p, self.key), window.spot_of(m, p, self.other)
            back = [self.key[name] - self.other[name] for name in ("frame", "row", "column")]
            one = Cat(*((axis >= 0) & (axis < side) for axis, side in zip(back, block, strict=True))).all()
            near.append(one & Cat(*(axis != 0 for axis in back)).any())
            apart = Const(0, 1) if not p.candidates else key.rest != other.rest
            entry = window.offset_of(p, other)
            found = ~near[-1] | apart & (self._offset(p, key, other) == entry)
            shared = (key.rest == other.rest if p.candidates else Const(1, 1)) & (window.offset_of(p, key) == entry)
            holds.append(found & (~shared | (self.key.row == self.other.row) & (self.key.column == self.other.column)))
        m.d.comb += [self.holds.eq(Cat(holds)), self.near.eq(Cat(near))]
        return m


class _LooksAhead(Places):
    """A neighbour is always looked for in the key's own row and column of entries."""

    def _offset(self, p: Parameters, key: View, other: View) -> Value:
        return window.offset_of(p, key)


def _inside(name: str) -> str:
    """The position is within GRID."""
    layout = position(make_params(grid_max=GRID))
    fields = []
    for axis, size in zip(("frame", "row", "column"), GRID, strict=True):
        field = layout[axis]
        high = field.offset + field.width - 1
        fields.append(f"(bvult ((_ extract {high} {field.offset}) {port(name)}) {number(size, field.width)})"
                      if size < 1 << field.width else "true")
    return conjunction(fields)


# --- visibility: whatever happened before, an entry shows exactly what was written to it in this pass ---


class _AlwaysValid(Layouter):
    """What an earlier pass has left is seen."""

    def _valid(self, m: Module, bank: int, write: Value, offset: Value) -> Value:
        super()._valid(m, bank, write, offset)
        return Const(1, 1)


class _Visible(Neighbour):
    """The proof for one configuration: from a state `a` to the next one, `b`, about any one position X.

    Of the entry that X has: `w`, it was written in this pass; `l`, the last vector written was live; `f` and `d`, that
    one's frame and data.  The invariant says that the registers and the memory hold this.  It holds after `clear`, is
    kept by every cycle, and gives what the window shows.
    """

    def __init__(self, block: Block, grid: tuple[int, int, int]) -> None:
        super().__init__(block, grid)
        if self.depth > 32:
            raise ValueError("valid bits of a bank in one word, or the invariant must name several")

    @property
    def variables(self) -> str:
        """States, X, the ghosts, and what is assumed of the inputs."""
        return ("(declare-fun a () |unit_s|)(declare-fun b () |unit_s|)(assert (|unit_t| a b))\n"
                f"(assert (not {port('rst', 'a')}))(assert (not (and {port('clear', 'a')} {port('en', 'a')})))\n"
                f"{self.declared}(declare-fun w () Bool)(declare-fun l () Bool)(declare-fun f () (_ BitVec 8))"
                f"(declare-fun d () (_ BitVec {self.data}))\n"
                f"(assert (and {' '.join([*self.anywhere, *self.legal])} (bvult f {number(1 << self.frame, 8)})))\n")

    @property
    def _key(self) -> str:
        return self.entered(port("en", "a"))

    def _at(self, bank: int, entry: int | None = None) -> str:
        """X lies in that bank, and in that entry."""
        where = []
        rest = bank
        for axis, side in zip("crf", reversed(self.p.block), strict=True):
            where.append(f"(= (bvurem x{axis} {number(side, 8)}) {number(rest % side, 8)})")
            rest //= side
        if entry is not None:
            _, bh, bw = self.p.block
            across = -(-self.p.grid_max[2] // bw)
            where += [f"(= (bvudiv xr {number(bh, 8)}) {number(entry // across, 8)})",
                      f"(= (bvudiv xc {number(bw, 8)}) {number(entry % across, 8)})"]
        return conjunction(where)

    def _invariant(self, state: str, w: str, live: str, f: str, d: str) -> str:
        terms = []
        for bank, entry in itertools.product(range(self.p.window), range(self.depth)):
            valid = f"(= ((_ extract {entry} {entry}) {wire(f'valid{bank}_0', state, self.depth)}) #b1)"
            word = port(f"bank{bank}.words[{entry}]", state)
            kept = f"(= {word} (concat ((_ extract {self.frame - 1} 0) {f}) {d}))"
            terms.append(f"(=> {self._at(bank, entry)} (and (= {valid} (and {w} {live})) (=> {w} {kept})))")
        return conjunction(terms)

    def _shown(self) -> str:
        """What the window shows of X in `b`, if X is a neighbour of the token of `a`; and nothing where none is."""
        terms = []
        for slot, step in enumerate(self.steps):
            seen = f"(= ((_ extract {slot} {slot}) {port('visible', 'b')}) #b1)"
            if not slot:
                terms.append(f"(not {seen})")
                continue
            data = conjunction([f"(=> {self._at(bank)} (= {port(f'banks_{bank}', 'b')} d))"
                         for bank in range(self.p.window)])
            terms.append(f"(=> (and {self.there(step)}) (and (= {seen} (and {self.enabled(slot)} w l (= f xf))) "
                         f"(=> {seen} {data})))")
            terms.append(f"(=> (or {self.beyond(step)}) (not {seen}))")
        return conjunction(terms)

    def claim(self) -> Claim:
        """The claim, its cover (everything in the window is visible) and its mutant."""
        invariant = self._invariant("a", "w", "l", "f", "d")
        same_entry = self.same_entry(self._key)
        after = [f"(and (not {port('clear', 'a')}) (or w {same_entry}))"]
        for new, old in ((port("live", "a"), "l"), (self.field("frame"), "f"), (port("vector", "a"), "d")):
            after.append(f"(ite {same_entry} {new} {old})")
        nothing = f"(= {port('visible', 'b')} {number(0, self.p.window)})"
        same = conjunction([f"(= {port(name, 'a')} {port(name, 'b')})"
                     for name in ("visible", "entered", *(f"banks_{bank}" for bank in range(self.p.window)))])
        en, entered = port("en", "a"), self._key
        holds = conjunction([
            f"(=> (or {invariant} {port('clear', 'a')}) {self._invariant('b', *after)})",
            f"(=> (and {invariant} {entered}) {self._shown()})",
            f"(=> {en} (and (= {port('entered', 'b')} {entered}) (=> (not {entered}) {nothing})))",
            f"(=> (not {en}) {same})"])
        everything = (1 << self.p.window) - 2
        cover = (f"(and {invariant} {entered} w l (= f xf) "
                 f"(= {port('visible', 'b')} {number(everything, self.p.window)}))")
        words = (f"block {by(self.p.block)}, grids up to {by(self.p.grid_max)}, from any state: visible is exactly "
                 "what that very neighbour wrote in this pass (induction)")
        return Claim(words, holds, cover, self.variables, lambda: Layouter(self.p), lambda: _AlwaysValid(self.p))


WINDOWS: dict[str, Claim] = {
    "places": Claim(
        f"every block, grids up to {by(GRID)}: a window's positions are in different banks, and each is looked for in "
        "the entry in which it is written, which no other row or column shares",
        f"(=> (and {_inside('key')} {_inside('other')}) (= {port('holds')} (bvnot {number(0, len(BLOCKS))})))",
        f"(and {_inside('key')} {_inside('other')} (= {port('near')} {number(1 << len(BLOCKS) - 1, len(BLOCKS))}))",
        unit=Places, mutant=lambda: _LooksAhead("own")),
    **{f"visible_{''.join(map(str, block))}": _Visible(block, grid).claim() for block, grid in SMALL.items()},
}
