# SPDX-License-Identifier: Apache-2.0
"""Matcher: a key and its candidates -> the most similar one, and whether it is similar enough.

Twin of `hdl/sic/matcher.py`.  No root and no division: signed squared cosines are compared by exact cross products.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.numeric.formats import add32, multiply, multiply32, product_greater, to_float32

__all__ = ["Decisions", "decide", "dot", "norms"]

_ZERO, _INFINITY = 0x00000000, 0x7F800000
_MAGNITUDE = np.uint32(0x7FFFFFFF)


def dot(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> NDArray[np.uint32]:
    """Dot products along the last axis: (..., V) uint16 twice -> (...) uint32.

    A pairwise binary32 tree over neighbouring lanes, (0,1), (2,3), ..., then pairs of those, down to one; the V
    products are followed by +0 up to a power of two.
    """
    lanes = multiply(a, b)
    size = 1 << (lanes.shape[-1] - 1).bit_length()
    tree = np.zeros((*lanes.shape[:-1], size), dtype=np.uint32)
    tree[..., :lanes.shape[-1]] = lanes
    while tree.shape[-1] > 1:
        tree = add32(tree[..., 0::2], tree[..., 1::2])
    return tree[..., 0]


def norms(vectors: NDArray[np.uint16]) -> NDArray[np.uint32]:
    """Squared norms along the last axis, dot(v, v): (..., V) uint16 -> (...) uint32."""
    return dot(vectors, vectors)


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


def _sound(norm: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """0 < n < inf; the bits of non-negative numbers are in the order of the numbers, and NaN is above infinity."""
    return (norm > _ZERO) & (norm < _INFINITY)


def _cosine(q: NDArray[np.uint32], n_u: NDArray[np.uint32], n_v: NDArray[np.uint32]) -> NDArray[np.float64]:
    square = to_float32(q).astype(np.float64)
    with np.errstate(all="ignore"):
        root = np.sqrt(np.abs(square) / to_float32(n_u).astype(np.float64) / to_float32(n_v).astype(np.float64))
    return np.copysign(root, square)


def decide(vectors: NDArray[np.uint16], window: NDArray[np.int32], t2: int, mask: int) -> Decisions:
    """Compare every token with its candidates.

    Parameters
    ----------
    vectors : (m, V) uint16, fp16 bits; candidates are compared as they are here, never as what replaces them.
    window : (m, 7) int32 from `layouter.windows`.
    t2 : binary32 bits of the squared threshold.
    mask : bit i enables candidate i.
    """
    norm = norms(vectors)
    sound = _sound(norm)
    best = np.full(len(vectors), -1, dtype=np.int32)
    token = np.full(len(vectors), -1, dtype=np.int32)
    q_best, n_best = np.zeros_like(norm), np.zeros_like(norm)
    for number in range(window.shape[1]):
        other = window[:, number]
        valid = sound & (other >= 0) & sound[other] & bool(mask >> number & 1)
        d = dot(vectors, vectors[other])
        q = multiply32(d, d & _MAGNITUDE)
        wins = valid & ((best < 0) | product_greater(q, n_best, q_best, norm[other]))
        best, token = np.where(wins, np.int32(number), best), np.where(wins, other, token)
        q_best, n_best = np.where(wins, q, q_best), np.where(wins, norm[other], n_best)
    match = (best >= 0) & product_greater(q_best, np.uint32(0x3F800000), multiply32(np.uint32(t2), n_best), norm)
    similarity = np.where(best >= 0, _cosine(q_best, n_best, norm), np.nan)
    return Decisions(np.where(match, token, np.int32(-1)).astype(np.int32), best, similarity)
