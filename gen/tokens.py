# SPDX-License-Identifier: Apache-2.0
"""Clip -> tokens in any element format, the seeded weights of a layer, and the scales of its outputs.

A token is a patch of pixels, mean-centred and projected.  What that preserves, and what it does not: docs/demo.md.
Test: verif/gen/test_demo.py.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.video import PATCH, Clip
from focus_rtl.golden.numeric.dtypes import Bits, operands, quantise

__all__ = ["PATCH_DIMENSIONS", "clip_tokens", "layer_weights", "orthonormal", "output_scales", "patches_of"]

PATCH_DIMENSIONS = PATCH * PATCH * 3
"""Numbers in a patch: its pixels times three colours."""

INT8_LIMIT = 127
"""Largest magnitude that int8 is made with here: -128 is left out, so that both signs reach equally far."""


def patches_of(clip: Clip) -> NDArray[np.float64]:
    """The clip's patches, (F * H * W, PATCH_DIMENSIONS), in the order frame, row, column; the mean patch removed.

    Without removing it every patch would point the same way (all pixels are positive) and everything would match.
    """
    count, high, wide = clip.grid
    pixels = clip.frames.astype(np.float64) / 255
    tiled = pixels.reshape(count, high, PATCH, wide, PATCH, 3).transpose(0, 1, 3, 2, 4, 5)
    patches = tiled.reshape(count * high * wide, PATCH_DIMENSIONS)
    return np.asarray(patches - patches.mean(axis=0))


@functools.lru_cache(maxsize=2)
def orthonormal(dimensions: int, width: int, seed: int) -> NDArray[np.float64]:
    """A seeded matrix (dimensions, width): orthonormal columns, or orthonormal rows when width > dimensions.

    The last ones are kept, and cannot be written to: a film is projected in several formats.
    """
    long, short = max(dimensions, width), min(dimensions, width)
    basis, triangle = np.linalg.qr(np.random.default_rng([seed, 3]).standard_normal((long, short)))
    basis = basis * np.where(np.diag(triangle) < 0, -1.0, 1.0)  # QR leaves the signs open: fix them
    basis = basis if width <= dimensions else basis.T
    basis.setflags(write=False)
    return basis


def _elements(values: NDArray[np.float64], dtype: str) -> Bits:
    """Numbers as elements; int8 in steps of largest magnitude / 127: symmetric, one step for the whole tensor."""
    if dtype == "int8":
        largest = float(np.abs(values).max())
        values = values * (INT8_LIMIT / largest) if largest else values
    return quantise(values, dtype)


def clip_tokens(clip: Clip, width: int, seed: int, dtype: str) -> Bits:
    """Tokens (F * H * W, width), of root mean square 1 over the clip before rounding.

    A clip of one colour gives +0 everywhere.
    """
    projected = patches_of(clip) @ orthonormal(PATCH_DIMENSIONS, width, seed)
    size = float(np.sqrt(np.mean(projected ** 2)))
    if size < 1e-9:  # nothing but the rounding of the mean is left
        return quantise(np.zeros(projected.shape), dtype)
    return _elements(projected / size, dtype)


def layer_weights(inner: int, outer: int, seed: int, layer: int, dtype: str) -> Bits:
    """Weights (inner, outer): normal, scaled by 1 / sqrt(inner) so that outputs are as large as inputs."""
    normal = np.random.default_rng([seed, 4, layer]).standard_normal((inner, outer))
    return _elements(normal / np.sqrt(inner), dtype)


def output_scales(inputs: Bits, weights: Bits, dtype: str) -> NDArray[np.float32] | None:
    """Scales (outer,) of a layer's outputs: each column's largest sum becomes 127 or -127; None unless int8.

    inputs : (M, inner), the layer's dense input: its concentrated one takes the same scales.
    weights : (inner, outer).

    A column of zeros gets the scale of a column whose largest sum is 1: a scale must be finite.
    """
    if dtype != "int8":
        return None
    sums = np.matmul(*(operands(each, dtype).astype(np.float64) for each in (inputs, weights)))  # exact: below 2**31
    return np.asarray(INT8_LIMIT / np.abs(sums).max(axis=0).clip(1), dtype=np.float32)
