# SPDX-License-Identifier: Apache-2.0
"""The algorithm in float64, as a textbook states it: cosines with a root and a division, a matrix product.

It shares no order of operations and no rounding with the golden model, so the two agree only where the answer does not
hang on rounding.  `band` and `gemm_bound` say where that is; they are first-order bounds of the binary32 arithmetic,
not fitted figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Judged", "band", "gemm_bound", "index_map", "judge", "numbers"]

UNIT = 2.0 ** -24
"""Relative rounding error of binary32."""

ORDER = ((0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))

Floats = NDArray[np.float64]


def numbers(bits: NDArray[np.uint16]) -> Floats:
    """fp16 bits -> float64."""
    return bits.view(np.float16).astype(np.float64)


def band(vector: int) -> float:
    """How far two cosines, or a cosine and the threshold, must differ for rounding not to decide.

    With L levels in the tree, a dot is off by at most L units of |u||v| and a norm by L units of itself, so a cosine by
    2 L; squaring, the squared threshold and its product with a norm add less than 3.  Two cosines: twice that.
    """
    return (4 * math.ceil(math.log2(vector)) + 6) * UNIT


def gemm_bound(tokens: Floats, weights: Floats, vector: int) -> Floats:
    """Largest |golden - exact| of each output before it overflows: chain, slices, then rounding to fp16."""
    exact = tokens @ weights
    slices = math.ceil(tokens.shape[1] / vector)
    sums = 1.01 * (vector + slices) * UNIT * (np.abs(tokens) @ np.abs(weights))
    bound: Floats = sums + 2.0 ** -11 * (np.abs(exact) + sums) + 2.0 ** -25
    return bound


@dataclass(frozen=True)
class Judged:
    """Per token: the neighbour it matches (-1: none), and whether rounding may decide otherwise."""

    neighbour: list[int]
    close: list[bool]


def _cosine(a: Floats, b: Floats) -> float:
    size = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    return float(a @ b) / size if size else math.nan


def judge(vectors: Floats, positions: NDArray[np.int32], height: int, width: int, threshold: float,
          mask: int = 0x7F) -> Judged:
    """Decide every token of a tile whose positions are in order, each at most once; (m, V) float64, all finite."""
    near = band(vectors.shape[1])
    where: dict[tuple[int, int, int], int] = {}
    neighbour, close = [], []
    for token, (image, frame, row, column) in enumerate(positions.tolist()):
        found: list[tuple[float, int]] = []
        if image and row < height and column < width:
            for number, (df, dr, dc) in enumerate(ORDER):
                other = where.get((frame - df, row - dr, column - dc))
                cosine = math.nan if other is None else _cosine(vectors[token], vectors[other])
                if other is not None and not math.isnan(cosine) and mask >> number & 1:
                    found.append((cosine, other))
            where[frame, row, column] = token
        best = max(found, key=lambda pair: pair[0], default=(-2.0, -1))
        neighbour.append(best[1] if best[0] > threshold else -1)
        rivals = [other for cosine, other in found if other != best[1] and best[0] - cosine <= near
                  and not np.array_equal(vectors[other], vectors[best[1]])]
        undecided = bool(rivals) and best[0] > threshold - near  # below the threshold the winner does not matter
        close.append(undecided or (best[1] >= 0 and abs(best[0] - threshold) <= near))
    return Judged(neighbour, close)


def index_map(neighbour: Sequence[int]) -> list[int]:
    """Decisions -> map: groups numbered by their first member."""
    first: list[int] = []
    for token, other in enumerate(neighbour):
        first.append(token if other < 0 else first[other])
    order = {token: number for number, token in enumerate(sorted(set(first)))}
    return [order[token] for token in first]
