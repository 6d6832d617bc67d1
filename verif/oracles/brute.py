# SPDX-License-Identifier: Apache-2.0
"""The numerics contract once more, one number at a time, in plain Python: what the golden model is checked against.

A number is a Python float that holds a binary16 or binary32 value exactly.  Sums and products are made as whole
numbers of the smallest unit and rounded here, by hand; neither NumPy nor the golden model's code takes part (a job
and its configuration are read, never its methods).  Slow, meant for a few dozen tokens.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from focus_rtl.golden.job import Job
from focus_rtl.golden.params import Parameters

__all__ = ["Concentrated", "add", "dot", "gather", "half", "half_bits", "layer", "multiply", "psum", "single",
           "single_bits", "squared_threshold"]

Matrix = Sequence[Sequence[int]]
Place = tuple[int, int, int, int]

ORDER = ((0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))
LEAST = -149
"""Every finite binary16 or binary32 number is a whole number of 2**LEAST."""


def half(bits: int) -> float:
    """binary16 bits -> the number."""
    sign = -1.0 if bits >> 15 else 1.0
    exponent, fraction = bits >> 10 & 0x1F, bits & 0x3FF
    if exponent == 0x1F:
        return math.nan if fraction else sign * math.inf
    if exponent == 0:
        return sign * math.ldexp(fraction, -24)
    return sign * math.ldexp(1024 + fraction, exponent - 25)


def single(bits: int) -> float:
    """binary32 bits -> the number."""
    sign = -1.0 if bits >> 31 else 1.0
    exponent, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent == 0xFF:
        return math.nan if fraction else sign * math.inf
    if exponent == 0:
        return sign * math.ldexp(fraction, LEAST)
    return sign * math.ldexp((1 << 23) + fraction, exponent - 150)


def _units(number: float) -> int:
    return int(math.ldexp(number, -LEAST))


def _rounded(whole: int, scale: int, digits: int, least: int, limit: int) -> float:
    """whole * 2**scale to nearest even with `digits` bits, none below 2**least; infinite from 2**limit on."""
    size = abs(whole)
    last = max(size.bit_length() + scale - digits, least)
    if last <= scale:
        kept = size << scale - last
    else:
        kept, rest = divmod(size, 1 << last - scale)
        twice, one = 2 * rest, 1 << last - scale
        kept += twice > one or (twice == one and kept % 2 == 1)
    number = math.inf if kept.bit_length() + last > limit else math.ldexp(kept, last)
    return math.copysign(number, -1.0 if whole < 0 else 1.0)


def add(a: float, b: float) -> float:
    """binary32 sum."""
    if not (math.isfinite(a) and math.isfinite(b)) or a == -b:
        return a + b  # infinities, NaN, and the sign of a zero
    return _rounded(_units(a) + _units(b), LEAST, 24, LEAST, 128)


def multiply(a: float, b: float) -> float:
    """binary32 product."""
    if not (math.isfinite(a) and math.isfinite(b)) or a == 0 or b == 0:
        return a * b
    return _rounded(_units(a) * _units(b), 2 * LEAST, 24, LEAST, 128)


def _greater(a: float, b: float, c: float, d: float) -> int:
    """Sign of a * b - c * d for finite numbers, exactly."""
    difference = _units(a) * _units(b) - _units(c) * _units(d)
    return (difference > 0) - (difference < 0)


def _encode(number: float, digits: int, least: int, limit: int) -> int:
    """Bits of a number that the format holds; 1 sign bit, then the exponent, then digits - 1 of fraction."""
    if math.isnan(number):
        return (2 * limit - 1) << digits - 1 | 1 << digits - 2
    sign = (math.copysign(1.0, number) < 0) << (2 * limit).bit_length() + digits - 2
    if math.isinf(number):
        return sign | (2 * limit - 1) << digits - 1
    whole = int(math.ldexp(abs(number), -least))
    exponent = max(whole.bit_length() - digits, 0)
    return sign | (exponent << digits - 1) + (whole >> exponent)


def half_bits(number: float) -> int:
    """A binary32 number, rounded to binary16, as bits."""
    if math.isfinite(number) and number != 0:
        number = _rounded(_units(number), LEAST, 11, -24, 16)
    return _encode(number, 11, -24, 16)


def single_bits(number: float) -> int:
    """Bits of a binary32 number."""
    return _encode(number, 24, LEAST, 128)


def psum(vector: Sequence[int], weights: Sequence[int]) -> float:
    """One psum: a chain over the elements of a k-slice."""
    total = 0.0
    for x, w in zip(vector, weights, strict=True):
        total = add(total, multiply(half(x), half(w)))
    return total


def dot(a: Sequence[int], b: Sequence[int]) -> float:
    """Dot product of two vectors by halving: the tree over neighbouring lanes, filled with +0 on the right."""
    lanes = [multiply(half(x), half(y)) for x, y in zip(a, b, strict=True)]
    size = 1
    while size < len(lanes):
        size *= 2
    lanes += [0.0] * (size - len(lanes))

    def tree(low: int, high: int) -> float:
        middle = (low + high) // 2
        return lanes[low] if high - low == 1 else add(tree(low, middle), tree(middle, high))

    return tree(0, size)


def squared_threshold(threshold: float) -> float:
    """f32(t) * f32(t)."""
    numerator, denominator = float(threshold).as_integer_ratio()
    t = _rounded(numerator, 1 - denominator.bit_length(), 24, LEAST, 128)
    return multiply(t, t)


@dataclass
class Concentrated:
    """A tile's output vector: the distinct vectors, the map, the number of all-zero vectors, what happened."""

    unique: list[list[int]]
    index_map: list[int]
    zeros: int
    events: Counter[str]


def _seen(places: Sequence[Place], key: int, step: tuple[int, int, int], height: int, width: int) -> int | None:
    """The token that the key sees at its place minus `step`: the last one written there, if it is the right frame."""
    _, frame, row, column = places[key]
    f, r, c = frame - step[0], row - step[1], column - step[2]
    if f < 0 or not (0 <= r < height and 0 <= c < width):
        return None
    for token in range(key - 1, -1, -1):
        image, other_frame, other_row, other_column = places[token]
        if image and (other_row, other_column) == (r, c) and other_frame % 2 == f % 2:
            return token if other_frame == f else None
    return None


def _partner(vectors: Matrix, places: Sequence[Place], key: int, job: Job, t2: float,
             norms: Sequence[float], events: Counter[str]) -> int | None:
    """The token that `key` matches, or None."""
    image, _, row, column = places[key]
    if not image:
        events["text"] += 1
        return None
    if row >= job.height or column >= job.width:
        events["outside"] += 1
        return None
    if not 0 < norms[key] < math.inf:
        events["key nan" if math.isnan(norms[key]) else "key inf" if norms[key] else "key zero"] += 1
        return None
    best: tuple[float, int] | None = None
    for number, step in enumerate(ORDER):
        token = _seen(places, key, step, job.height, job.width) if job.mask >> number & 1 else None
        if token is None:
            continue
        if not 0 < norms[token] < math.inf:
            events["unsound neighbour first" if best is None else "unsound neighbour later"] += 1
            continue
        d = dot(vectors[key], vectors[token])
        q = multiply(d, abs(d))
        events["negative"] += q < 0
        order = 1 if best is None else _greater(q, norms[best[1]], best[0], norms[token])
        events["tie"] += order == 0
        if order > 0:
            best = (q, token)
    if best is None:
        events["no candidate"] += 1
        return None
    order = _greater(best[0], 1.0, multiply(t2, norms[best[1]]), norms[key])
    events["match" if order > 0 else "at threshold" if order == 0 else "below threshold"] += 1
    return best[1] if order > 0 else None


def gather(vectors: Matrix, places: Sequence[Place], job: Job) -> Concentrated:
    """Concentrate one vector per token; `places` holds (image, frame, row, column)."""
    events: Counter[str] = Counter()
    zeros = sum(all(x in (0x0000, 0x8000) for x in vector) for vector in vectors)
    if job.dense:
        return Concentrated([list(vector) for vector in vectors], list(range(len(vectors))), zeros, events)
    t2 = squared_threshold(job.threshold)
    norms = [dot(vector, vector) for vector in vectors]
    unique: list[list[int]] = []
    index_map: list[int] = []
    depth: list[int] = []
    for key, vector in enumerate(vectors):
        partner = _partner(vectors, places, key, job, t2, norms, events)
        depth.append(0 if partner is None else depth[partner] + 1)
        if partner is None:
            index_map.append(len(unique))
            unique.append(list(vector))
        else:
            index_map.append(index_map[partner])
    events["chain"] += sum(links >= 3 for links in depth)
    return Concentrated(unique, index_map, zeros, events)


def layer(params: Parameters, job: Job, slices: Sequence[Sequence[tuple[Matrix, Sequence[int]]]],
          weights: Matrix) -> list[list[Concentrated]]:
    """A whole layer; slices[t][k] is (vectors, map), weights K rows of N.  Returns result[t][n]."""
    v = params.vector
    result = []
    for tile, row in zip(job.tiles, slices, strict=True):
        places = [tuple(place) for place in tile.positions.tolist()]
        outputs = [[0] * (-(-job.n // v) * v) for _ in places]
        for column in range(job.n):
            acc = [0.0] * len(places)
            for k, (vectors, index_map) in enumerate(row):
                part = [line[column] for line in weights[k * v:(k + 1) * v]]
                part += [0] * (v - len(part))
                sums = [psum(vector, part) for vector in vectors[:len(places)]]
                for token in range(len(places)):
                    index = token if job.dense else index_map[token]
                    acc[token] = add(acc[token], sums[index] if index < len(sums) else sums[0])
            for token, number in enumerate(acc):
                outputs[token][column] = half_bits(number)
        result.append([gather([line[n:n + v] for line in outputs], places, job)
                       for n in range(0, len(outputs[0]), v)])
    return result
