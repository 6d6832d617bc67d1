# SPDX-License-Identifier: Apache-2.0
"""The comparisons at full width: what they answer, in terms of exact products, and why that is a total preorder.

The argument, step by step, is in docs/arithmetic.md.  binary32's multipliers of 24 bits are too much for the solver:
the claim there holds whatever a multiplier answers, as long as only a zero gives a zero, and `exact_products` says that
the real one loses no bit.
"""

from types import SimpleNamespace

from amaranth import Const, Module, Value

from focus_rtl.hdl.numeric.bits import BINARY32
from focus_rtl.hdl.numeric.compare import ProductGreater
from focus_rtl.hdl.numeric.integer import IntegerGreater, IntegerVerdict, integer_bits
from focus_rtl.verif.formal.smt import PRODUCT, Claim, Parts, port, widened

__all__ = ["COMPARISONS", "ForgetsLost"]

VECTOR = 64
Q_BITS, N_BITS = integer_bits(VECTOR)
T_BITS = 17
SIGNIFICANDS, EXPONENTS = BINARY32.significands, BINARY32.exponents
PRODUCTS = 2 * SIGNIFICANDS
"""Bits of a product of two significands."""

_STATE = "(declare-fun s () |unit_s|)\n"
_IN = {name: Parts.of(BINARY32, port(name)) for name in "abcd"}


class ForgetsLost(ProductGreater):
    """What is shifted out of the lower product is forgotten."""

    def _align(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return super()._align(m, s) | {"lost": Const(0, 1)}


class _InfinityIsGreater(ProductGreater):
    """A product that is infinite is the greater one, whatever its sign."""

    def _decode(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        infinite = s.a[23:31].all() & ~s.c[23:31].all()
        values = super()._decode(m, s)
        return values | {"verdict": values["verdict"] | infinite}


# --- binary32, all four finite: the products as integers at one scale ---


def _sum(name: str, x: Parts, y: Parts) -> str:
    bits = EXPONENTS + 1
    return f"(define-fun {name} () (_ BitVec {bits}) (bvadd {widened(x.exponent, 1)} {widened(y.exponent, 1)}))\n"


def _product(x: Parts, y: Parts) -> str:
    wide = [widened(part.significand, PRODUCTS - SIGNIFICANDS) for part in (x, y)]
    return f"({PRODUCT} {wide[0]} {wide[1]})"


def _scaled(name: str, product: str, own: str, other: str) -> str:
    """The product, shifted up by what its exponent is above the other's; by PRODUCTS at most, where it is clear."""
    bits = EXPONENTS + 1
    above, limit = f"(bvsub {own} {other})", f"(_ bv{PRODUCTS} {bits})"
    places = f"(ite (bvult {own} {other}) (_ bv0 {bits}) (ite (bvugt {above} {limit}) {limit} {above}))"
    shifted = f"(bvshl {widened(product, PRODUCTS)} {widened(places, 2 * PRODUCTS - bits)})"
    return f"(define-fun {name} () (_ BitVec {2 * PRODUCTS}) {shifted})\n"


_LEFT, _RIGHT = _product(_IN["a"], _IN["b"]), _product(_IN["c"], _IN["d"])
_NONE, _NOTHING = f"(_ bv0 {PRODUCTS})", f"(_ bv0 {2 * PRODUCTS})"
_FINITE = "".join(f"(assert (not {part.nan}))(assert (not {part.infinite}))\n" for part in _IN.values())
_ZEROS = "".join(f"(assert (= (= {product} {_NONE}) (or {_IN[x].zero} {_IN[y].zero})))\n"
                 for product, (x, y) in ((_LEFT, "ab"), (_RIGHT, "cd")))
_SCALED = (_sum("el", _IN["a"], _IN["b"]) + _sum("er", _IN["c"], _IN["d"])
           + _scaled("left", _LEFT, "el", "er") + _scaled("right", _RIGHT, "er", "el")
           + "".join(f"(define-fun {name} () Bool (xor {_IN[x].negative} {_IN[y].negative}))\n"
                     for name, (x, y) in (("sl", "ab"), ("sr", "cd"))))
_GREATER = (f"(ite sl (and sr (bvult left right)) (ite sr (or (distinct left {_NOTHING}) (distinct right {_NOTHING})) "
            "(bvugt left right)))")

# --- binary32, an infinite q: a and c are the q of two candidates, d and b their norms ---

_NORMS = "".join(f"(assert (not {_IN[name].negative}))(assert (not {_IN[name].zero}))"
                 f"(assert (bvult {port(name)} (_ bv{BINARY32.infinity} 32)))\n" for name in "bd")
_ONE_INFINITE = (f"(assert (not {_IN['a'].nan}))(assert (not {_IN['c'].nan}))"
                 f"(assert (or {_IN['a'].infinite} {_IN['c'].infinite}))\n")


def _rank(x: Parts) -> str:
    return f"(ite {x.infinite} (ite {x.negative} (- 1) 1) 0)"


# --- the order itself, over the reals: rank -1, 0 or 1 (an infinity of either sign), q and n ---


def _candidates(least: str) -> str:
    return "".join(f"(declare-fun k{i} () Int)(declare-fun q{i} () Real)(declare-fun n{i} () Real)"
                   f"(assert (<= (- 1) k{i} 1))(assert ({least} n{i} 0.0))\n" for i in (1, 2, 3))


def _beats(i: int, j: int) -> str:
    return f"(or (> k{i} k{j}) (and (= k{i} k{j} 0) (> (* q{i} n{j}) (* q{j} n{i}))))"


# --- products are exact ---

_BOUNDED = {"x": (0, SIGNIFICANDS), "y": (0, SIGNIFICANDS), "q": (Q_BITS - 1, Q_BITS - 1), "n": (0, N_BITS),
            "l": (0, N_BITS), "t": (0, T_BITS)}
"""Bits below zero and above: an operand is in -2**low .. 2**high - 1, or 0 .. where nothing is below zero."""


def _operands(more: int) -> str:
    """The operands of every multiplier, `more` bits wider than they are."""
    return "".join(f"(declare-fun {name} () Real)(assert (<= {f'(- {1 << low + more}.0)' if low else '0.0'} {name} "
                   f"{(1 << high + more) - 1}.0))\n" for name, (low, high) in _BOUNDED.items())


_WITHIN = (f"(and (< (* x y) {1 << PRODUCTS}.0) (= (= (* x y) 0.0) (or (= x 0.0) (= y 0.0))) "
           f"(<= (- {1 << Q_BITS + N_BITS - 1}.0) (* q n)) (< (* q n) {1 << Q_BITS + N_BITS - 1}.0) "
           f"(< (* n l) {1 << 2 * N_BITS}.0) (< (* n l t) {1 << 2 * N_BITS + T_BITS}.0))")

# --- int8 ---

_WIDE = 64


def _times(q: str, n: str) -> str:
    return f"(bvmul {widened(port(q), _WIDE - Q_BITS, True)} {widened(port(n), _WIDE - N_BITS)})"


_NORMS_PRODUCT = f"(bvmul {widened(port('b'), N_BITS)} {widened(port('c'), N_BITS)})"
_LEAST = f"(bvmul {widened(_NORMS_PRODUCT, T_BITS)} {widened(port('d'), 2 * N_BITS)})"
_LEAST_WIDE = widened(_LEAST, _WIDE - 2 * N_BITS - T_BITS)
_SCALED_Q = f"(bvmul {widened(port('a'), _WIDE - Q_BITS, True)} (_ bv65536 {_WIDE}))"


class _GreaterUnsigned(IntegerGreater):
    """The products are taken for unsigned numbers."""

    def _compare(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        return {"o": s.left.as_unsigned() > s.right.as_unsigned()}


class _VerdictAtLeast(IntegerVerdict):
    """Greater or equal, instead of greater."""

    def _compare(self, m: Module, s: SimpleNamespace) -> dict[str, Value]:
        s.least = s.least - 1
        return super()._compare(m, s)


COMPARISONS: dict[str, Claim] = {
    "product_greater": Claim(
        "ProductGreater on binary32, all finite: o = (a * b > c * d), signs, exponents and 48-bit products compared; "
        "for every multiplier that gives zero for a zero alone", f"(= {port('o')} {_GREATER})",
        f"(and {port('o')} sl sr (bvugt el er) (distinct left {_NOTHING}))", _STATE + _FINITE + _ZEROS + _SCALED,
        lambda: ProductGreater(0), lambda: ForgetsLost(0), abstract=PRODUCTS),
    "product_greater_infinite": Claim(
        "ProductGreater on binary32, an infinite q and norms 0 < n < infinity: o = (sign of a's infinity above c's)",
        f"(= {port('o')} (> {_rank(_IN['a'])} {_rank(_IN['c'])}))",
        f"(and {port('o')} {_IN['c'].infinite} (not {_IN['a'].infinite}))", _STATE + _NORMS + _ONE_INFINITE,
        lambda: ProductGreater(0), lambda: _InfinityIsGreater(0), abstract=PRODUCTS),
    "integer_greater": Claim(
        f"IntegerGreater, V = {VECTOR}: o = (a * b > c * d) in {_WIDE} bits, more than the products have",
        f"(= {port('o')} (bvsgt {_times('a', 'b')} {_times('c', 'd')}))",
        f"(and {port('o')} (bvslt {port('a')} (_ bv0 {Q_BITS})))", _STATE,
        lambda: IntegerGreater(0, VECTOR), lambda: _GreaterUnsigned(0, VECTOR)),
    "integer_verdict": Claim(
        f"IntegerVerdict, V = {VECTOR}: o = (a * 65536 > (b * c) * d) in {_WIDE} bits, "
        f"b * c in {2 * N_BITS}, times d in {2 * N_BITS + T_BITS}",
        f"(= {port('o')} (bvsgt {_SCALED_Q} {_LEAST_WIDE}))",
        f"(and {port('o')} (bvugt {_LEAST} (_ bv{1 << 2 * N_BITS} {2 * N_BITS + T_BITS})))", _STATE,
        lambda: IntegerVerdict(0, VECTOR), lambda: _VerdictAtLeast(0, VECTOR)),
    "exact_products": Claim(
        f"real arithmetic: {SIGNIFICANDS} x {SIGNIFICANDS} bits fit into {PRODUCTS} and only a zero gives zero, "
        f"{Q_BITS} (signed) x {N_BITS} into {Q_BITS + N_BITS} (signed), {N_BITS} x {N_BITS} into {2 * N_BITS}, "
        f"and that x {T_BITS} into {2 * N_BITS + T_BITS}; one bit more in each operand does not",
        _WITHIN, f"(and (>= (* x y) {1 << PRODUCTS - 1}.0) (< (* q n) (- {1 << Q_BITS + N_BITS - 2}.0)))",
        _operands(0), doubt=_operands(1)),
    "preorder": Claim(
        "real arithmetic: q_i * n_j > q_j * n_i with every n > 0, and infinities of q above and below, is irreflexive, "
        "asymmetric and negatively transitive, so that its negation is a total preorder; with n = 0 it is not",
        f"(and (not {_beats(1, 1)}) (not (and {_beats(1, 2)} {_beats(2, 1)})) "
        f"(=> (and (not {_beats(1, 2)}) (not {_beats(2, 3)})) (not {_beats(1, 3)})))",
        f"(and {_beats(1, 2)} {_beats(2, 3)} (= k1 1) (= k3 0) (not (= n2 n3)))", _candidates(">"),
        doubt=_candidates(">=")),
}
