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

__all__ = ["Judged", "band", "gemm_bound", "index_map", "judge", "mean_bound", "numbers", "requantised"]

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


def _at_threshold(cosine: Floats, threshold: float, near: float, dtype: str) -> NDArray[np.bool_]:
    """Whether rounding decides; int8 has t^2 only to the next of 65536 steps, so up to half a step beside it."""
    if dtype == "int8":
        return np.asarray(np.abs(cosine * np.abs(cosine) - threshold ** 2) <= 0.5 / 65536 + near)
    return np.asarray(np.abs(cosine - threshold) <= near)


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


@dataclass(frozen=True, eq=False)
class Judged:
    """Per token, and per slice where there are several: the neighbour it matches (-1: none), and whether rounding may
    decide otherwise.  Arrays (m,) or (m, S).
    """

    neighbour: NDArray[np.int64]
    close: NDArray[np.bool_]


def _others(positions: NDArray[np.int32], height: int, width: int,
            steps: Sequence[tuple[int, ...]]) -> NDArray[np.int64]:
    """(m, candidates): the earlier token at each place of a token's window, -1 where there is none."""
    where: dict[tuple[int, int, int], int] = {}
    found = np.full((len(positions), len(steps)), -1)
    for token, (image, frame, row, column) in enumerate(positions.tolist()):
        if image and row < height and column < width:
            found[token] = [where.get((frame - df, row - dr, column - dc), -1) for df, dr, dc in steps]
            where[frame, row, column] = token
    return found


def judge(vectors: Floats, positions: NDArray[np.int32], height: int, width: int, threshold: float,
          mask: int = -1, dtype: str = "fp16", block: Sequence[int] = (2, 2, 2)) -> Judged:
    """Decide every token of a tile whose positions are in order, each at most once; (m, V) or (m, S, V), all finite."""
    near = band(vectors.shape[-1], dtype)
    steps = [step for number, step in enumerate(list(np.ndindex(*block))[1:]) if mask >> number & 1]
    others = _others(positions, height, width, steps)
    size = np.sqrt((vectors * vectors).sum(axis=-1))
    best, match = np.full(size.shape, -np.inf), np.full(size.shape, -1)
    cosines = []
    for other in others.T:
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = (vectors * vectors[other]).sum(axis=-1) / size / size[other]
        there = np.reshape(other >= 0, (-1,) + (1,) * (size.ndim - 1))
        cosine = np.where(there & ~np.isnan(cosine), cosine, -np.inf)
        better = cosine > best
        best, match = np.where(better, cosine, best), np.where(better, np.reshape(other, there.shape), match)
        cosines.append(cosine)
    close = (match >= 0) & _at_threshold(best, threshold, near, dtype)
    winner = np.take_along_axis(vectors, match[..., None].clip(0), axis=0)
    for other, cosine in zip(others.T, cosines, strict=True):
        rival = (cosine >= best - near) & (vectors[other] != winner).any(axis=-1)
        close |= rival & (best > threshold)  # below it the winner does not matter
    return Judged(np.where(best > threshold, match, -1), close)


def mean_bound(group: Floats, dtype: str) -> Floats:
    """(count, V) -> (V,): largest |golden - exact| of a group's mean: the sum, the reciprocal, two roundings more."""
    size = np.abs(group).sum(axis=0) / len(group)
    relative, least = (0.0, 0.5) if dtype == "int8" else ROUNDING[dtype]
    bound: Floats = (1.01 * (len(group) + 2) * UNIT + relative) * size + least
    return bound


def index_map(neighbour: Sequence[int]) -> list[int]:
    """Decisions -> map: groups numbered by their first member."""
    first: list[int] = []
    for token, other in enumerate(neighbour):
        first.append(token if other < 0 else first[other])
    order = {token: number for number, token in enumerate(sorted(set(first)))}
    return [order[token] for token in first]
