# SPDX-License-Identifier: Apache-2.0
"""Matcher: a key and its candidates -> the most similar one, and whether it is similar enough.

Twin of `hdl/sic/matcher.py`.  No root and no division: signed squared cosines are compared by exact cross products.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.numeric.dtypes import Bits, element
from focus_rtl.golden.numeric.elements import integer_greater, integer_match
from focus_rtl.golden.numeric.formats import multiply32, product_greater, to_float32

__all__ = ["Decisions", "decide", "dot", "norms"]

_INFINITY, _ONE = np.uint32(0x7F800000), np.uint32(0x3F800000)
_MAGNITUDE = np.uint32(0x7FFFFFFF)


def dot(a: Bits, b: Bits, dtype: str = "fp16") -> NDArray[np.uint32]:
    """Dot products along the last axis: (..., V) elements twice -> (...) uint32, binary32 or int32 bits.

    A pairwise tree over neighbouring lanes, (0,1), (2,3), ..., then pairs of those, down to one; the V products are
    followed by +0 up to a power of two.  (In int32 the order does not matter: the sum is exact.)
    """
    arithmetic = element(dtype)
    lanes = arithmetic.multiply(a, b)
    size = 1 << (lanes.shape[-1] - 1).bit_length()
    tree = np.zeros((*lanes.shape[:-1], size), dtype=np.uint32)
    tree[..., :lanes.shape[-1]] = lanes
    while tree.shape[-1] > 1:
        tree = arithmetic.accumulate(tree[..., 0::2], tree[..., 1::2])
    return tree[..., 0]


def norms(vectors: Bits, dtype: str = "fp16") -> NDArray[np.uint32]:
    """Squared norms along the last axis, dot(v, v): (..., V) elements -> (...) uint32."""
    return dot(vectors, vectors, dtype)


@dataclass(frozen=True, eq=False)
class Decisions:
    """What the matcher decided for each of m tokens.

    neighbour : (m,) int32, the token matched with, -1 where there is no match.
    best : (m,) int32, number 0 .. 6 of the most similar valid candidate, -1 where there is none.
    similarity : (m,) float64, cosine with that candidate, for reports; NaN where there is none.
    """

    neighbour: NDArray[np.int32]
    best: NDArray[np.int32]
    similarity: NDArray[np.float64]


class _Binary32:
    """The comparisons of fp16 and bf16, on binary32 bits."""

    def __init__(self, t2: int) -> None:
        self.t2 = np.uint32(t2)

    def norm(self, bits: NDArray[np.uint32]) -> NDArray[Any]:
        return bits

    def sound(self, norm: NDArray[Any]) -> NDArray[np.bool_]:
        """0 < n < inf; the bits of non-negative numbers are in the order of the numbers, and NaN is above infinity."""
        return np.asarray((norm > 0) & (norm < _INFINITY))

    def square(self, d: NDArray[np.uint32]) -> NDArray[Any]:
        """q = d * |d|, rounded to binary32."""
        return multiply32(d, d & _MAGNITUDE)

    def beats(self, q_a: NDArray[Any], n_a: NDArray[Any], q_b: NDArray[Any], n_b: NDArray[Any]) -> NDArray[np.bool_]:
        """q_a * n_b > q_b * n_a."""
        return product_greater(q_a, n_b, q_b, n_a)

    def match(self, q: NDArray[Any], n_best: NDArray[Any], n_key: NDArray[Any]) -> NDArray[np.bool_]:
        """q > tn * n_key, with tn = t2 * n_best rounded to binary32."""
        return product_greater(q, _ONE, multiply32(self.t2, n_best), n_key)

    def number(self, value: NDArray[Any]) -> NDArray[np.float64]:
        return to_float32(value).astype(np.float64)


class _Integer:
    """The comparisons of int8, on int64: with V <= 64 no product needs more than 61 bits."""

    def __init__(self, t2: int) -> None:
        self.t2 = np.int64(t2)

    def norm(self, bits: NDArray[np.uint32]) -> NDArray[Any]:
        return np.ascontiguousarray(bits).view(np.int32).astype(np.int64)

    def sound(self, norm: NDArray[Any]) -> NDArray[np.bool_]:
        """Not all zero."""
        return np.asarray(norm > 0)

    def square(self, d: NDArray[np.uint32]) -> NDArray[Any]:
        """q = d * |d|, at most 2**40."""
        whole = self.norm(d)
        return np.asarray(whole * np.abs(whole))

    def beats(self, q_a: NDArray[Any], n_a: NDArray[Any], q_b: NDArray[Any], n_b: NDArray[Any]) -> NDArray[np.bool_]:
        """q_a * n_b > q_b * n_a."""
        return integer_greater(q_a, n_b, q_b, n_a)

    def match(self, q: NDArray[Any], n_best: NDArray[Any], n_key: NDArray[Any]) -> NDArray[np.bool_]:
        """q * 65536 > T2 * n_best * n_key."""
        return integer_match(q, n_best, n_key, self.t2)

    def number(self, value: NDArray[Any]) -> NDArray[np.float64]:
        return value.astype(np.float64)


def _cosine(q: NDArray[np.float64], n_u: NDArray[np.float64], n_v: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        root = np.sqrt(np.abs(q) / n_u / n_v)
    return np.copysign(root, q)


def decide(vectors: Bits, window: NDArray[np.int32], t2: int, mask: int, dtype: str = "fp16") -> Decisions:
    """Compare every token with its candidates.

    Parameters
    ----------
    vectors : (m, V), bits of elements; candidates are compared as they are here, never as what replaces them.
    window : (m, 7) int32 from `layouter.windows`.
    t2 : squared threshold as `Job.t2` has it, binary32 bits or, for int8, the integer T2.
    mask : bit i enables candidate i.
    dtype : element format.
    """
    rules = _Integer(t2) if dtype == "int8" else _Binary32(t2)
    norm = rules.norm(norms(vectors, dtype))
    sound = rules.sound(norm)
    best = np.full(len(vectors), -1, dtype=np.int32)
    token = np.full(len(vectors), -1, dtype=np.int32)
    q_best, n_best = np.zeros_like(norm), np.zeros_like(norm)
    for number in range(window.shape[1]):
        other = window[:, number]
        valid = sound & (other >= 0) & sound[other] & bool(mask >> number & 1)
        q = rules.square(dot(vectors, vectors[other], dtype))
        wins = valid & ((best < 0) | rules.beats(q, norm[other], q_best, n_best))
        best, token = np.where(wins, np.int32(number), best), np.where(wins, other, token)
        q_best, n_best = np.where(wins, q, q_best), np.where(wins, norm[other], n_best)
    match = (best >= 0) & rules.match(q_best, n_best, norm)
    cosine = _cosine(rules.number(q_best), rules.number(n_best), rules.number(norm))
    similarity = np.where(best >= 0, cosine, np.nan)
    return Decisions(np.where(match, token, np.int32(-1)).astype(np.int32), best, similarity)
