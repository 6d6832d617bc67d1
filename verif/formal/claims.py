# SPDX-License-Identifier: Apache-2.0
"""What is proved: each claim in SMT-LIB over the ports of a unit, its cover, and the unit with a fault in it."""

from collections.abc import Callable
from types import SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Value

from focus_rtl.hdl.numeric.bits import BFLOAT16, BINARY16, BINARY32, Layout, nearest_even, unpack
from focus_rtl.hdl.numeric.compare import ProductGreater
from focus_rtl.hdl.numeric.multiply_add import MultiplyAdd
from focus_rtl.hdl.numeric.narrow import Narrow
from focus_rtl.hdl.numeric.widen import Widen
from focus_rtl.hdl.unit import Unit
from focus_rtl.verif.formal.averaging import AVERAGING
from focus_rtl.verif.formal.comparisons import COMPARISONS, ForgetsLost
from focus_rtl.verif.formal.gathering import GATHERING
from focus_rtl.verif.formal.sec import SEC
from focus_rtl.verif.formal.serial import SERIAL
from focus_rtl.verif.formal.smt import Claim, port
from focus_rtl.verif.formal.window import WINDOWS

__all__ = ["CLAIMS", "REDUCED"]

REDUCED = Layout(3, 2)
"""Three exponent bits, two fraction bits: the comparison's proof on this format needs no argument in between."""

# --- conversions, against the theory of floating point ---


def _float(layout: Layout, bits: str) -> str:
    return f"((_ to_fp {layout.exponents} {layout.significands}) {bits})"


def _convert(source: Layout, target: Layout, cover: str, unit: Callable[[], Unit], mutant: Callable[[], Unit]) -> Claim:
    number = _float(source, port("a"))
    rounded = f"((_ to_fp {target.exponents} {target.significands}) RNE {number})"
    nan = f"(_ bv{target.nan} {target.bits})"
    holds = f"(ite (fp.isNaN {number}) (= {port('o')} {nan}) (= {_float(target, port('o'))} {rounded}))"
    return Claim(f"{source.bits} bits, {source.exponents} of exponent, to {target.bits}, {target.exponents}: "
                 "fp.to_fp RNE, every NaN canonical", holds, cover, unit=unit, mutant=mutant)


def _is(kind: str, layout: Layout, name: str) -> str:
    return f"(fp.is{kind} {_float(layout, port(name))})"


class _WidenForgetsZeros(Widen):
    """The exponent of a subnormal is not lowered by the zeros shifted out."""

    def _normalise(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        s.zeros = Const(0, 4)
        return super()._normalise(m, s)


class _WidenKeepsPayload(Widen):
    """A NaN keeps its payload."""

    def _bfloat(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": Cat(Const(0, 16), s.a)}


class _NarrowTiesUp(Narrow):
    """A tie is rounded up instead of to even."""

    def _round(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        s.rest = Const(1, 1)
        return super()._round(m, s)

    def _bfloat(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        number = nearest_even(s.a[16:31], s.a[15], Const(1, 1))
        return {"o": Mux(unpack(m, "x", s.a).nan, Const(BFLOAT16.nan, 16), Cat(number, s.a[31]))}


# --- int8 ---

_PRODUCT = f"(bvmul ((_ sign_extend 24) {port('a')}) ((_ sign_extend 24) {port('b')}))"


class _Unsigned(MultiplyAdd):
    """The element a is taken for an unsigned number."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(self.c + self.a * self.b.as_signed())
        return m


# --- the comparison in one piece, reduced: q_i beats q_j iff q_i * n_j > q_j * n_i, a strict weak order ---


_BITS = REDUCED.bits


def _contest(state: str, i: int, j: int) -> str:
    """The state's inputs are those of candidate i against j."""
    wires = {"a": f"q{i}", "b": f"n{j}", "c": f"q{j}", "d": f"n{i}"}
    return "(and " + " ".join(f"(= {port(end, state)} {name})" for end, name in wires.items()) + ")"


_PAIRS = {"s12": (1, 2), "s21": (2, 1), "s23": (2, 3), "s13": (1, 3), "s11": (1, 1)}
_CANDIDATES = "".join(
    f"(declare-fun q{i} () (_ BitVec {_BITS}))(declare-fun n{i} () (_ BitVec {_BITS}))\n"
    f"(assert (not (fp.isNaN {_float(REDUCED, f'q{i}')})))"  # the norm of a valid candidate: 0 < n < infinity
    f"(assert (bvugt n{i} (_ bv0 {_BITS})))(assert (bvult n{i} (_ bv{REDUCED.infinity} {_BITS})))\n" for i in (1, 2, 3))
_STATES = "".join(f"(declare-fun {state} () |unit_s|)(assert {_contest(state, *pair)})\n"
                  for state, pair in _PAIRS.items())


def _beats(state: str) -> str:
    return port("o", state)  # a port of one bit is a Bool


_STRICT_WEAK = (f"(and (not {_beats('s11')}) (not (and {_beats('s12')} {_beats('s21')})) "
                f"(=> (and (not {_beats('s12')}) (not {_beats('s23')})) (not {_beats('s13')})))")


CLAIMS: dict[str, Claim] = {
    "widen_fp16": _convert(BINARY16, BINARY32,
                           f"(and {_is('Subnormal', BINARY16, 'a')} {_is('Normal', BINARY32, 'o')})",
                           lambda: Widen(0, "fp16"), lambda: _WidenForgetsZeros(0, "fp16")),
    "widen_bf16": _convert(BFLOAT16, BINARY32,
                           f"(and {_is('Subnormal', BFLOAT16, 'a')} {_is('Subnormal', BINARY32, 'o')})",
                           lambda: Widen(0, "bf16"), lambda: _WidenKeepsPayload(0, "bf16")),
    "narrow_fp16": _convert(BINARY32, BINARY16,
                            f"(and {_is('Normal', BINARY32, 'a')} {_is('Subnormal', BINARY16, 'o')})",
                            lambda: Narrow(0, "fp16"), lambda: _NarrowTiesUp(0, "fp16")),
    "narrow_bf16": _convert(BINARY32, BFLOAT16,
                            f"(and {_is('Normal', BINARY32, 'a')} {_is('Infinite', BFLOAT16, 'o')})",
                            lambda: Narrow(0, "bf16"), lambda: _NarrowTiesUp(0, "bf16")),
    "mac_int8": Claim("int8: o = c + a * b modulo 2**32, two's complement",
                      f"(= {port('o')} (bvadd {port('c')} {_PRODUCT}))",
                      f"(and (= {port('a')} #x80) (= {port('b')} #x80) (bvslt {port('o')} {port('c')}))",
                      unit=lambda: MultiplyAdd(0, "int8"), mutant=lambda: _Unsigned(0, "int8")),
    "comparison": Claim(f"ProductGreater on {REDUCED.exponents} exponent and {REDUCED.fractions} fraction bits: "
                        "irreflexive, asymmetric, negatively transitive, so `not greater` is a total preorder",
                        _STRICT_WEAK,
                        f"(and {_beats('s12')} {_beats('s23')} {_beats('s13')} (not (= q1 q2)) (not (= n1 n2)))",
                        _CANDIDATES + _STATES, lambda: ProductGreater(0, REDUCED), lambda: ForgetsLost(0, REDUCED)),
    **COMPARISONS,
    **WINDOWS,
    **SERIAL,
    **GATHERING,
    **AVERAGING,
    **SEC,
}
