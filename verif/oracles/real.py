# SPDX-License-Identifier: Apache-2.0
"""The algorithm in float64, as a textbook states it: cosines with a root and a division, a matrix product.

It shares no order of operations and no rounding with the golden model, so the two agree only where the answer does not
hang on rounding.  `band` and `gemm_bound` say where that is; they are first-order bounds of the binary32 arithmetic,
not fitted figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Judged", "band", "gemm_bound", "index_map", "judge", "numbers", "requantised"]

UNIT = 2.0 ** -24
"""Relative rounding error of binary32."""

Floats = NDArray[np.float64]


ROUNDING = {"fp16": (2.0 ** -11, 2.0 ** -25), "bf16": (2.0 ** -8, 2.0 ** -134)}
"""Half a unit in the last place of an element: relative, and where it is subnormal."""

INTEGER_BAND = 1e-12
"""How well float64 has the cosine of two int8 vectors: thousands of its units, for what takes a few dozen."""


def numbers(bits: NDArray[np.unsignedinteger[Any]], dtype: str = "fp16") -> Floats:
    """Bits of elements -> float64."""
    if dtype == "int8":
        return bits.view(np.int8).astype(np.float64)
    if dtype == "bf16":
        with np.errstate(invalid="ignore"):  # a signalling NaN
            return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return bits.view(np.float16).astype(np.float64)


def band(vector: int, dtype: str = "fp16") -> float:
    """How far two cosines, or a cosine and the threshold, must differ for rounding not to decide.

    With L levels in the tree, a dot is off by at most L units of |u||v| and a norm by L units of itself, so a cosine by
    2 L; squaring, the squared threshold and its product with a norm add less than 3.  Two cosines: twice that.
    The products are exact, bf16 ones as well while none is subnormal or infinite.  int8: only float64 itself rounds.
    """
    return INTEGER_BAND if dtype == "int8" else (4 * math.ceil(math.log2(vector)) + 6) * UNIT


def _at_threshold(cosine: float, threshold: float, near: float, dtype: str) -> bool:
    """Whether rounding decides; int8 has t^2 only to the next of 65536 steps, so up to half a step beside it."""
    if dtype == "int8":
        return abs(cosine * abs(cosine) - threshold ** 2) <= 0.5 / 65536 + near
    return abs(cosine - threshold) <= near


def gemm_bound(tokens: Floats, weights: Floats, vector: int, dtype: str = "fp16") -> Floats:
    """Largest |golden - exact| of each output before it overflows: chain, slices, then rounding to the element."""
    exact = tokens @ weights
    slices = math.ceil(tokens.shape[1] / vector)
    sums = 1.01 * (vector + slices) * UNIT * (np.abs(tokens) @ np.abs(weights))
    relative, least = ROUNDING[dtype]
    bound: Floats = sums + relative * (np.abs(exact) + sums) + least
    return bound


def requantised(tokens: Floats, weights: Floats, scales: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """int8 outputs, and which of them two roundings to binary32 may change: those that close to half an integer."""
    exact = (tokens @ weights) * scales  # the matrix product is of whole numbers below 2**53
    close = np.abs(exact - np.floor(exact) - 0.5) <= 2.01 * UNIT * np.abs(exact)
    outputs: Floats = np.clip(np.rint(exact), -128, 127)
    return outputs, close & (np.abs(exact) < 129)


@dataclass(frozen=True)
class Judged:
    """Per token: the neighbour it matches (-1: none), and whether rounding may decide otherwise."""

    neighbour: list[int]
    close: list[bool]


def _cosine(a: Floats, b: Floats) -> float:
    size = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    return float(a @ b) / size if size else math.nan


def judge(vectors: Floats, positions: NDArray[np.int32], height: int, width: int, threshold: float,
          mask: int = -1, dtype: str = "fp16", block: Sequence[int] = (2, 2, 2)) -> Judged:
    """Decide every token of a tile whose positions are in order, each at most once; (m, V) float64, all finite."""
    steps = [step for step in np.ndindex(*block) if any(step)]
    near = band(vectors.shape[1], dtype)
    where: dict[tuple[int, int, int], int] = {}
    neighbour, close = [], []
    for token, (image, frame, row, column) in enumerate(positions.tolist()):
        found: list[tuple[float, int]] = []
        if image and row < height and column < width:
            for number, (df, dr, dc) in enumerate(steps):
                other = where.get((frame - df, row - dr, column - dc))
                cosine = math.nan if other is None else _cosine(vectors[token], vectors[other])
                if other is not None and not math.isnan(cosine) and mask >> number & 1:
                    found.append((cosine, other))
            where[frame, row, column] = token
        best = max(found, key=lambda pair: pair[0], default=(-2.0, -1))
        neighbour.append(best[1] if best[0] > threshold else -1)
        rivals = [other for cosine, other in found if other != best[1] and best[0] - cosine <= near
                  and not np.array_equal(vectors[other], vectors[best[1]])]
        at_threshold = best[1] >= 0 and _at_threshold(best[0], threshold, near, dtype)
        close.append(at_threshold or (bool(rivals) and best[0] > threshold))  # below it the winner does not matter
    return Judged(neighbour, close)


def index_map(neighbour: Sequence[int]) -> list[int]:
    """Decisions -> map: groups numbered by their first member."""
    first: list[int] = []
    for token, other in enumerate(neighbour):
        first.append(token if other < 0 else first[other])
    order = {token: number for number, token in enumerate(sorted(set(first)))}
    return [order[token] for token in first]
