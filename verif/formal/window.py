# SPDX-License-Identifier: Apache-2.0
"""What is proved of the layouter: where positions are kept, for every block, and what a window shows, by induction.

The truth is stated with remainders and quotients of bit-vectors; the hardware has digits, exclusive ors and
subtractions.
"""

import itertools
from collections.abc import Sequence

from amaranth import Cat, Const, Module, Value
from amaranth.lib.data import View
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.layouts import position
from focus_rtl.hdl.sic import window
from focus_rtl.hdl.sic.layouter import Layouter
from focus_rtl.hdl.unit import Unit
from focus_rtl.verif.formal.smt import Claim, port
from focus_rtl.verif.golden.cases import make_params

__all__ = ["WINDOWS"]

Block = tuple[int, int, int]

BLOCKS: tuple[Block, ...] = tuple(itertools.product((1, 2, 3), repeat=3))
GRID = (64, 14, 13)
"""The largest grid of the proof about places."""

SMALL: dict[Block, tuple[int, int, int]] = {
    block: (2 * block[0], (2, 3, 4)[block[1] - 1], (3, 4, 4)[block[2] - 1]) for block in BLOCKS if block != (1, 1, 1)}
"""Largest grid of the proof about what is visible, for every block that has a window: two frames of the block, and a
row and a column or more beyond it."""


def _and(terms: Sequence[str]) -> str:
    return f"(and {' '.join(terms)} true)"


def _number(value: int, bits: int) -> str:
    return f"(_ bv{value} {bits})"


def _by(sides: Sequence[int]) -> str:
    return " x ".join(map(str, sides))


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
        fields.append(f"(bvult ((_ extract {high} {field.offset}) {port(name)}) {_number(size, field.width)})"
                      if size < 1 << field.width else "true")
    return _and(fields)



# --- visibility: whatever happened before, an entry shows exactly what was written to it in this pass ---


class _AlwaysValid(Layouter):
    """What an earlier pass has left is seen."""

    def _valid(self, m: Module, bank: int, write: Value, offset: Value) -> Value:
        super()._valid(m, bank, write, offset)
        return Const(1, 1)


def _field(p: Parameters, name: str, state: str) -> str:
    """Field of the position that is written in a state, as wide as `_axis`."""
    field = position(p)[name]
    return (f"((_ zero_extend {8 - field.width}) ((_ extract {field.offset + field.width - 1} {field.offset}) "
            f"{port('position', state)}))")


class _Visible:
    """The proof for one configuration: from a state `a` to the next one, `b`, about any one position X.

    X = (xf, xr, xc) lies in the largest grid.  Of the entry that X has: `w`, it was written in this pass; `l`, the last
    vector written was live; `f` and `d`, that one's frame and data.  The invariant says that the registers and the
    memory hold this.  It holds after `clear`, is kept by every cycle, and gives what the window shows.
    """

    def __init__(self, block: Block, grid: tuple[int, int, int]) -> None:
        self.p = make_params(dtype="int8", rows=1, cols=1, vector=2, matcher_lanes=1, matchers=1, m_tile=64,
                             block=block, grid_max=grid)
        self.depth = window.bank_depth(self.p)
        if self.depth > 32:
            raise ValueError("valid bits of a bank in one word, or the invariant must name several")
        self.data = self.p.vector * self.p.element_bits
        self.frame = position(self.p)["frame"].width

    @property
    def variables(self) -> str:
        """States, X, the ghosts, and what is assumed of the inputs."""
        limits = " ".join(f"(bvult x{axis} {_number(size, 8)})" for axis, size in
                          zip("frc", self.p.grid_max, strict=True))
        sides = [f"(bvule {port(name, 'a')} {_number(size, size.bit_length())})"
                 for name, size in zip(("height", "width"), self.p.grid_max[1:], strict=True)]
        frame = f"(bvult {_field(self.p, 'frame', 'a')} {_number(self.p.grid_max[0], 8)})"
        return ("(declare-fun a () |unit_s|)(declare-fun b () |unit_s|)(assert (|unit_t| a b))\n"
                f"(assert (not {port('rst', 'a')}))(assert (not (and {port('clear', 'a')} {port('en', 'a')})))\n"
                + "".join(f"(declare-fun x{axis} () (_ BitVec 8))" for axis in "frc")
                + f"(declare-fun w () Bool)(declare-fun l () Bool)(declare-fun f () (_ BitVec 8))"
                f"(declare-fun d () (_ BitVec {self.data}))\n"
                f"(assert (and {limits} {' '.join(sides)} {frame} (bvult f {_number(1 << self.frame, 8)})))\n")

    def _same_entry(self) -> str:
        """What is written in `a` goes to X's entry."""
        bf = _number(self.p.block[0], 8)
        return (f"(and {self._entered()} (= {_field(self.p, 'row', 'a')} xr) (= {_field(self.p, 'column', 'a')} xc)"
                f" (= (bvurem {_field(self.p, 'frame', 'a')} {bf}) (bvurem xf {bf})))")

    def _entered(self) -> str:
        """The token of `a` is an image token inside the grid."""
        inside = [f"(bvult {_field(self.p, name, 'a')} ((_ zero_extend {8 - size.bit_length()}) {port(side, 'a')}))"
                  for name, side, size in (("row", "height", self.p.grid_max[1]),
                                           ("column", "width", self.p.grid_max[2]))]
        return f"(and {port('en', 'a')} (= {_field(self.p, 'image', 'a')} {_number(1, 8)}) {' '.join(inside)})"

    def _at(self, bank: int, entry: int | None = None) -> str:
        """X lies in that bank, and in that entry."""
        where = []
        number = bank
        for axis, side in zip("crf", reversed(self.p.block), strict=True):
            where.append(f"(= (bvurem x{axis} {_number(side, 8)}) {_number(number % side, 8)})")
            number //= side
        if entry is not None:
            _, bh, bw = self.p.block
            across = -(-self.p.grid_max[2] // bw)
            where += [f"(= (bvudiv xr {_number(bh, 8)}) {_number(entry // across, 8)})",
                      f"(= (bvudiv xc {_number(bw, 8)}) {_number(entry % across, 8)})"]
        return _and(where)

    def _invariant(self, state: str, w: str, live: str, f: str, d: str) -> str:
        terms = []
        for bank, entry in itertools.product(range(self.p.window), range(self.depth)):
            valid = f"(= ((_ extract {entry} {entry}) {self._word(f'valid{bank}_0', state, self.depth)}) #b1)"
            word = port(f"bank{bank}.words[{entry}]", state)
            kept = f"(= {word} (concat ((_ extract {self.frame - 1} 0) {f}) {d}))"
            terms.append(f"(=> {self._at(bank, entry)} (and (= {valid} (and {w} {live})) (=> {w} {kept})))")
        return _and(terms)

    def _word(self, name: str, state: str, bits: int) -> str:
        """A wire of some bits; one bit is a Bool."""
        return f"(ite {port(name, state)} #b1 #b0)" if bits == 1 else port(name, state)

    def _shown(self) -> str:
        """What the window shows of X in `b`, if X is a neighbour of the token of `a`; and nothing where none is."""
        terms = []
        for slot, step in enumerate(itertools.product(*(range(side) for side in self.p.block))):
            seen = f"(= ((_ extract {slot} {slot}) {port('visible', 'b')}) #b1)"
            if not slot:
                terms.append(f"(not {seen})")
                continue
            own = [_field(self.p, name, "a") for name in ("frame", "row", "column")]
            there = " ".join(f"(= {axis} (bvadd x{x} {_number(back, 8)}))"
                             for axis, x, back in zip(own, "frc", step, strict=True))
            beyond = " ".join(f"(bvult {axis} {_number(back, 8)})" for axis, back in zip(own, step, strict=True))
            on = self._word("enabled", "a", self.p.candidates)
            enabled = f"(= ((_ extract {slot - 1} {slot - 1}) {on}) #b1)"
            data = _and([f"(=> {self._at(bank)} (= {port(f'banks_{bank}', 'b')} d))"
                         for bank in range(self.p.window)])
            terms.append(f"(=> (and {there}) (and (= {seen} (and {enabled} w l (= f xf))) (=> {seen} {data})))")
            terms.append(f"(=> (or {beyond}) (not {seen}))")
        return _and(terms)

    def claim(self) -> Claim:
        """The claim, its cover (everything in the window is visible) and its mutant."""
        invariant = self._invariant("a", "w", "l", "f", "d")
        after = [f"(and (not {port('clear', 'a')}) (or w {self._same_entry()}))"]
        for new, old in ((port("live", "a"), "l"), (_field(self.p, "frame", "a"), "f"), (port("vector", "a"), "d")):
            after.append(f"(ite {self._same_entry()} {new} {old})")
        nothing = f"(= {port('visible', 'b')} {_number(0, self.p.window)})"
        same = _and([f"(= {port(name, 'a')} {port(name, 'b')})"
                     for name in ("visible", "entered", *(f"banks_{bank}" for bank in range(self.p.window)))])
        en, entered = port("en", "a"), self._entered()
        holds = _and([
            f"(=> (or {invariant} {port('clear', 'a')}) {self._invariant('b', *after)})",
            f"(=> (and {invariant} {entered}) {self._shown()})",
            f"(=> {en} (and (= {port('entered', 'b')} {entered}) (=> (not {entered}) {nothing})))",
            f"(=> (not {en}) {same})"])
        everything = (1 << self.p.window) - 2
        cover = (f"(and {invariant} {entered} w l (= f xf) "
                 f"(= {port('visible', 'b')} {_number(everything, self.p.window)}))")
        words = (f"block {_by(self.p.block)}, grids up to {_by(self.p.grid_max)}, from any state: visible is exactly "
                 "what that very neighbour wrote in this pass (induction)")
        return Claim(words, holds, cover, self.variables, lambda: Layouter(self.p), lambda: _AlwaysValid(self.p))


WINDOWS: dict[str, Claim] = {
    "places": Claim(
        f"every block, grids up to {_by(GRID)}: a window's positions are in different banks, and each is looked for in "
        "the entry in which it is written, which no other row or column shares",
        f"(=> (and {_inside('key')} {_inside('other')}) (= {port('holds')} (bvnot {_number(0, len(BLOCKS))})))",
        f"(and {_inside('key')} {_inside('other')} (= {port('near')} {_number(1 << len(BLOCKS) - 1, len(BLOCKS))}))",
        unit=Places, mutant=lambda: _LooksAhead("own")),
    **{f"visible_{''.join(map(str, block))}": _Visible(block, grid).claim() for block, grid in SMALL.items()},
}
