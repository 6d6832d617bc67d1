# SPDX-License-Identifier: Apache-2.0
"""The numerics contract once more, one number at a time, in plain Python: what the golden model is checked against.

A floating-point number is a Python float that holds a value of its format exactly, an int8 or int32 one a Python int.
Sums and products are made as whole numbers of the smallest unit and rounded here, by hand; neither NumPy nor the golden
model's code takes part (a job and its configuration are read, never its methods).  Slow, for a few dozen tokens.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from focus_rtl.golden.job import Job
from focus_rtl.golden.params import Parameters

__all__ = ["Concentrated", "add", "bfloat_bits", "dot", "gather", "half", "half_bits", "is_zero", "layer", "leave",
           "mean", "multiply", "number", "psum", "requantise", "single", "single_bits", "squared_threshold", "total",
           "word"]

Matrix = Sequence[Sequence[int]]
Place = tuple[int, int, int, int]

LEAST = -149
"""Every finite binary16, bfloat16 or binary32 number is a whole number of 2**LEAST."""


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
    """Sign of a * b - c * d, exactly; 0 for two infinities of one sign, or where there is no order."""
    if all(math.isfinite(x) for x in (a, b, c, d)):
        difference = _units(a) * _units(b) - _units(c) * _units(d)
        return (difference > 0) - (difference < 0)
    return (a * b > c * d) - (a * b < c * d)


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


def bfloat_bits(number: float) -> int:
    """A binary32 number, rounded to bfloat16, as bits."""
    if math.isfinite(number) and number != 0:
        number = _rounded(_units(number), LEAST, 8, -133, 128)
    return _encode(number, 8, -133, 128)


def single_bits(number: float) -> int:
    """Bits of a binary32 number."""
    return _encode(number, 24, LEAST, 128)


def number(bits: int, dtype: str) -> float:
    """Bits of an element -> the number, a Python int for int8."""
    if dtype == "int8":
        return bits - 256 if bits >= 128 else bits
    return half(bits) if dtype == "fp16" else single(bits << 16)


def word(value: float, dtype: str) -> int:
    """Bits of a psum or accumulator, binary32 or int32."""
    return int(value) % (1 << 32) if dtype == "int8" else single_bits(value)


def total(a: float, b: float, dtype: str) -> float:
    """Sum of two products, psums or accumulators; in int32 modulo 2**32."""
    if dtype != "int8":
        return add(a, b)
    return (int(a) + int(b) + (1 << 31)) % (1 << 32) - (1 << 31)


def _products(a: Sequence[int], b: Sequence[int], dtype: str) -> list[float]:
    pairs = [(number(x, dtype), number(y, dtype)) for x, y in zip(a, b, strict=True)]
    return [x * y if dtype == "int8" else multiply(x, y) for x, y in pairs]


def psum(vector: Sequence[int], weights: Sequence[int], dtype: str = "fp16") -> float:
    """One psum: a chain over the elements of a k-slice."""
    chain = 0.0
    for product in _products(vector, weights, dtype):
        chain = total(chain, product, dtype)
    return chain


def dot(a: Sequence[int], b: Sequence[int], dtype: str = "fp16") -> float:
    """Dot product of two vectors by halving: the tree over neighbouring lanes, filled with +0 on the right."""
    lanes = _products(a, b, dtype)
    if dtype == "int8":
        return sum(lanes)
    size = 1
    while size < len(lanes):
        size *= 2
    lanes += [0.0] * (size - len(lanes))

    def tree(low: int, high: int) -> float:
        middle = (low + high) // 2
        return lanes[low] if high - low == 1 else add(tree(low, middle), tree(middle, high))

    return tree(0, size)


def requantise(acc: int, scale: float) -> int:
    """int32 times a binary32 scale -> int8 number: converted, multiplied, made whole, each rounded; then clipped."""
    y = multiply(_rounded(acc, 0, 24, LEAST, 128), scale)
    if math.isinf(y):
        return 127 if y > 0 else -128
    whole = _rounded(_units(y), LEAST, 999, 0, 128)  # no digit is lost but those behind the point
    return int(min(max(whole, -128.0), 127.0))


def leave(acc: float, dtype: str, scale: float | None = None) -> int:
    """An accumulator -> the bits of an element."""
    if dtype == "int8":
        if scale is None:
            raise ValueError("int8 needs a scale")
        return requantise(int(acc), scale) % 256
    return half_bits(acc) if dtype == "fp16" else bfloat_bits(acc)


def is_zero(bits: int, dtype: str) -> bool:
    """Whether an element is zero, of either sign."""
    return number(bits, dtype) == 0


def squared_threshold(threshold: float, dtype: str = "fp16") -> float:
    """f32(t) * f32(t), or for int8 the whole number next to 65536 t * t."""
    if dtype == "int8":
        square = float(threshold) * float(threshold)
        numerator, denominator = square.as_integer_ratio()
        return int(_rounded(numerator, 17 - denominator.bit_length(), 999, 0, 128))
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


def _steps(block: Sequence[int]) -> list[tuple[int, int, int]]:
    """How far back the candidates lie, in their order: by frames, then rows, then columns; the key itself left out."""
    return [(df, dr, dc) for df in range(block[0]) for dr in range(block[1]) for dc in range(block[2])
            if df or dr or dc]


def _seen(places: Sequence[Place], key: int, step: tuple[int, int, int], job: Job) -> int | None:
    """The token that the key sees at its place minus `step`: the last one written there, if it is the right frame."""
    _, frame, row, column = places[key]
    height, width, frames = job.height, job.width, job.block[0]
    f, r, c = frame - step[0], row - step[1], column - step[2]
    if f < 0 or not (0 <= r < height and 0 <= c < width):
        return None
    for token in range(key - 1, -1, -1):
        image, other_frame, other_row, other_column = places[token]
        if image and (other_row, other_column) == (r, c) and other_frame % frames == f % frames:
            return token if other_frame == f else None
    return None


def _beats(q_a: float, n_b: float, q_b: float, n_a: float, dtype: str) -> int:
    """Sign of q_a * n_b - q_b * n_a."""
    if dtype != "int8":
        return _greater(q_a, n_b, q_b, n_a)
    return (q_a * n_b > q_b * n_a) - (q_a * n_b < q_b * n_a)


def _exceeds(q: float, n_best: float, n_key: float, t2: float, dtype: str) -> int:
    """Sign of q over its two norms minus the squared threshold."""
    if dtype != "int8":
        return _greater(q, 1.0, multiply(t2, n_best), n_key)
    return (q * 65536 > t2 * n_best * n_key) - (q * 65536 < t2 * n_best * n_key)


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
    for number, step in enumerate(_steps(job.block)):
        token = _seen(places, key, step, job) if job.mask >> number & 1 else None
        if token is None:
            continue
        if not 0 < norms[token] < math.inf:
            events["unsound neighbour first" if best is None else "unsound neighbour later"] += 1
            continue
        d = dot(vectors[key], vectors[token], job.dtype)
        q = d * abs(d) if job.dtype == "int8" else multiply(d, abs(d))
        events["negative"] += q < 0
        events["q infinite"] += math.isinf(q)
        order = 1 if best is None else _beats(q, norms[best[1]], best[0], norms[token], job.dtype)
        events["tie"] += order == 0
        if order > 0:
            best = (q, token)
    if best is None:
        events["no candidate"] += 1
        return None
    order = _exceeds(best[0], norms[best[1]], norms[key], t2, job.dtype)
    events["match" if order > 0 else "at threshold" if order == 0 else "below threshold"] += 1
    return best[1] if order > 0 else None


def _reciprocal(count: int) -> float:
    """1 / count in binary32: the digits beyond the 80th of the quotient matter only in being there."""
    whole, rest = divmod(1 << 80, count)
    return _rounded(2 * whole + (rest > 0), -81, 24, LEAST, 128)


def mean(group: Matrix, dtype: str) -> list[int]:
    """The elementwise mean of a group in token order: a sum from +0, times the reciprocal of the count."""
    result = []
    for lane in range(len(group[0])):
        acc = 0.0
        for vector in group:
            acc = total(acc, number(vector[lane], dtype), dtype)
        result.append(leave(acc, dtype, _reciprocal(len(group))) if dtype == "int8"
                      else leave(multiply(acc, _reciprocal(len(group))), dtype))
    return result


def gather(vectors: Matrix, places: Sequence[Place], job: Job, representative: str = "first") -> Concentrated:
    """Concentrate one vector per token; `places` holds (image, frame, row, column)."""
    events: Counter[str] = Counter()
    zeros = sum(all(is_zero(x, job.dtype) for x in vector) for vector in vectors)
    if job.dense:
        return Concentrated([list(vector) for vector in vectors], list(range(len(vectors))), zeros, events)
    t2 = squared_threshold(job.threshold, job.dtype)
    norms = [dot(vector, vector, job.dtype) for vector in vectors]
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
    if representative == "mean":
        groups = [[vector for vector, index in zip(vectors, index_map, strict=True) if index == group]
                  for group in range(len(unique))]
        unique = [mean(group, job.dtype) for group in groups]
    return Concentrated(unique, index_map, zeros, events)


def layer(params: Parameters, job: Job, slices: Sequence[Sequence[tuple[Matrix, Sequence[int]]]],
          weights: Matrix, scales: Sequence[float] | None = None,
          preloads: Sequence[Sequence[float]] | None = None) -> list[list[Concentrated]]:
    """A whole layer; slices[t][k] is (vectors, map), weights K rows of N, scales N, preloads M rows of N numbers.

    Returns result[t][n].
    """
    v, dtype = params.vector, job.dtype
    result, before = [], 0
    for tile, row in zip(job.tiles, slices, strict=True):
        places = [tuple(place) for place in tile.positions.tolist()]
        outputs = [[0] * (-(-job.n // v) * v) for _ in places]
        for column in range(job.n):
            acc = [0.0 if preloads is None else preloads[before + token][column] for token in range(len(places))]
            for k, (vectors, index_map) in enumerate(row):
                part = [line[column] for line in weights[k * v:(k + 1) * v]]
                part += [0] * (v - len(part))
                sums = [psum(vector, part, dtype) for vector in vectors[:len(places)]]
                for token in range(len(places) if sums else 0):
                    index = token if job.dense else index_map[token]
                    acc[token] = total(acc[token], sums[index] if index < len(sums) else sums[0], dtype)
            for token, value in enumerate(acc):
                outputs[token][column] = leave(value, dtype, None if scales is None else scales[column])
        before += len(places)
        result.append([gather([line[n:n + v] for line in outputs], places, job, params.representative)
                       for n in range(0, len(outputs[0]), v)])
    return result
