# SPDX-License-Identifier: Apache-2.0
"""Matcher: a key and its candidates -> the most similar one, and whether it is similar enough.

Twin of `hdl/sic/matcher.py`.  No root and no division: signed squared cosines are compared by exact cross products.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.numeric.dtypes import Bits, operands, raw

__all__ = ["Decisions", "decide", "dot", "norms"]

Numbers = NDArray[Any]
"""Products, dots: float32 or int32.  Norms, squared dots, and products of two of them: float64 or int64, exact."""

_SLICES, _TOKENS = 32, 256
"""Vectors worked on at once, so that their lanes stay in a cache; elementwise, hence without effect on the bits."""


def _halves(size: int) -> list[int]:
    """Lanes in the order in which the two halves hold the neighbours (0,1), (2,3), ..., and so do halves of halves."""
    order = [0]
    while len(order) < size:
        order = [2 * lane for lane in order] + [2 * lane + 1 for lane in order]
    return order


def _lanes(bits: Bits, dtype: str) -> Numbers:
    """(..., V) elements -> (size, ...) numbers: lanes first, in the order of `_halves`, V filled up with +0."""
    v = bits.shape[-1]
    lanes = np.zeros((1 << (v - 1).bit_length(), *bits.shape[:-1]), dtype=bits.dtype)
    for place, lane in enumerate(_halves(len(lanes))):
        if lane < v:
            lanes[place] = bits[..., lane]
    return operands(lanes, dtype)


def _tree(lanes: Numbers) -> Numbers:
    """(size, ...) products in the order of `_halves` -> (...), their sum by the tree; overwrites the products."""
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = np.add(lanes[:half], lanes[half:], out=lanes[:half])
    return np.asarray(lanes[0])


def dot(a: Bits, b: Bits, dtype: str = "fp16") -> NDArray[np.uint32]:
    """Dot products along the last axis: (..., V) elements twice -> (...) uint32, binary32 or int32 bits.

    A pairwise tree over neighbouring lanes, (0,1), (2,3), ..., then pairs of those, down to one; the V products are
    followed by +0 up to a power of two.  (In int32 the order does not matter: the sum is exact.)  A NaN stays one
    through the rest of its tree, so making it canonical at the end is the same as making it so after each sum.
    """
    with np.errstate(all="ignore"):
        return raw(_tree(_lanes(a, dtype) * _lanes(b, dtype)))


def norms(vectors: Bits, dtype: str = "fp16") -> NDArray[np.uint32]:
    """Squared norms along the last axis, dot(v, v): (..., V) elements -> (...) uint32."""
    return dot(vectors, vectors, dtype)


@dataclass(frozen=True, eq=False)
class Decisions:
    """What the matcher decided for each of m tokens, or for each of its S slices: (m,) or (m, S).

    neighbour : int32, the token matched with, -1 where there is no match.
    best : int32, number of the most similar valid candidate, -1 where there is none.
    similarity : float64, cosine with that candidate, for reports; NaN where there is none.
    """

    neighbour: NDArray[np.int32]
    best: NDArray[np.int32]
    similarity: NDArray[np.float64]


class _Binary32:
    """What fp16 and bf16 compare: binary32 numbers, whose products binary64 holds exactly (24 + 24 bits)."""

    wide = np.float64

    def __init__(self, t2: int) -> None:
        self.t2 = np.uint32(t2).view(np.float32)

    def square(self, d: Numbers) -> Numbers:
        """q = d * |d|, rounded to binary32."""
        return np.asarray(d * np.abs(d)).astype(self.wide)

    def match(self, q: Numbers, n_best: Numbers, n_key: Numbers) -> NDArray[np.bool_]:
        """q > tn * n_key, with tn = t2 * n_best rounded to binary32."""
        tn = (self.t2 * n_best.astype(np.float32)).astype(self.wide)
        return np.asarray(q > tn * n_key)


class _Integer:
    """What int8 compares: int64 numbers; with V <= 64 no product needs more than 61 bits."""

    wide = np.int64

    def __init__(self, t2: int) -> None:
        self.t2 = np.int64(t2)

    def square(self, d: Numbers) -> Numbers:
        """q = d * |d|, at most 2**40."""
        whole = d.astype(self.wide)
        return np.asarray(whole * np.abs(whole))

    def match(self, q: Numbers, n_best: Numbers, n_key: Numbers) -> NDArray[np.bool_]:
        """q * 65536 > T2 * n_best * n_key."""
        return np.asarray(q * 65536 > self.t2 * n_best * n_key)


def _cosine(q: Numbers, n_u: Numbers, n_v: Numbers) -> NDArray[np.float64]:
    return np.copysign(np.sqrt(np.abs(q).astype(np.float64) / n_u / n_v), q)


def _norms(rules: _Binary32 | _Integer, lanes: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """(size, m, S) lanes -> norms (m, S), and whether 0 < n < inf (which a NaN is not)."""
    norm = np.empty(lanes.shape[1:], dtype=rules.wide)
    for start in range(0, lanes.shape[1], _TOKENS):
        key = lanes[:, start:start + _TOKENS]
        norm[start:start + _TOKENS] = _tree(key * key)
    return norm, (norm > 0) & (norm < np.inf)


class _Best:
    """The best candidate so far of a few tokens in a few slices, (tokens, S)."""

    def __init__(self, rules: _Binary32 | _Integer, shape: tuple[int, ...]) -> None:
        self.number, self.token = np.full(shape, -1, dtype=np.int32), np.full(shape, -1, dtype=np.int32)
        self.q, self.n = np.zeros(shape, dtype=rules.wide), np.zeros(shape, dtype=rules.wide)

    def challenge(self, number: int, token: NDArray[np.int32], valid: NDArray[np.bool_], q: Numbers,
                  n: Numbers) -> None:
        """Candidate `number`, (tokens, 1), takes the place where it is valid and q * n_best > q_best * n."""
        wins = valid & ((q * self.n > self.q * n) | (self.number < 0))
        np.copyto(self.number, number, where=wins)
        np.copyto(self.token, token, where=wins)
        np.copyto(self.q, q, where=wins)
        np.copyto(self.n, n, where=wins)


def decide(vectors: Bits, window: NDArray[np.int32], t2: int, mask: int, dtype: str = "fp16") -> Decisions:
    """Compare every token with its candidates.

    Parameters
    ----------
    vectors : (m, V) bits of elements, or (m, S, V): S slices, each decided by itself.  Candidates are compared as they
        are here, never as what replaces them.
    window : (m, candidates) int32 from `layouter.windows`.
    t2 : squared threshold as `Job.t2` has it, binary32 bits or, for int8, the integer T2.
    mask : bit i enables candidate i.
    dtype : element format.
    """
    rules: _Binary32 | _Integer = _Integer(t2) if dtype == "int8" else _Binary32(t2)
    m, v = len(vectors), vectors.shape[-1]
    flat = vectors.reshape(m, -1, v)
    neighbour, best = np.empty(flat.shape[:2], dtype=np.int32), np.empty(flat.shape[:2], dtype=np.int32)
    similarity = np.empty(flat.shape[:2])
    with np.errstate(all="ignore"):
        for first in range(0, flat.shape[1], _SLICES):
            part = slice(first, first + _SLICES)
            lanes = _lanes(flat[:, part], dtype)
            norm, sound = _norms(rules, lanes)
            for start in range(0, m, _TOKENS):
                rows = slice(start, start + _TOKENS)
                found = _search(rules, lanes, norm, sound, window, mask, rows)
                match = (found.number >= 0) & rules.match(found.q, found.n, norm[rows])
                neighbour[rows, part] = np.where(match, found.token, -1)
                best[rows, part] = found.number
                cosine = _cosine(found.q, found.n, norm[rows])
                similarity[rows, part] = np.where(found.number >= 0, cosine, np.nan)
    shape = vectors.shape[:-1]
    return Decisions(neighbour.reshape(shape), best.reshape(shape), similarity.reshape(shape))


def _search(rules: _Binary32 | _Integer, lanes: Numbers, norm: Numbers, sound: NDArray[np.bool_],
            window: NDArray[np.int32], mask: int, rows: slice) -> _Best:
    """The best valid candidate of the tokens `rows`; a token that is no candidate is compared, too, and skipped."""
    key, key_sound = lanes[:, rows], sound[rows]
    best = _Best(rules, key_sound.shape)
    products = np.empty(key.shape, dtype=lanes.dtype)
    for number in range(window.shape[1]):
        token = window[rows, number, None]
        if not mask >> number & 1 or (token < 0).all():
            continue
        other = np.maximum(token[:, 0], 0)
        lanes.take(other, axis=1, out=products, mode="clip")
        d = _tree(np.multiply(products, key, out=products))
        best.challenge(number, token, key_sound & sound[other] & (token >= 0), rules.square(d), norm[other])
    return best
