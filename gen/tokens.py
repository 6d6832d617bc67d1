# SPDX-License-Identifier: Apache-2.0
"""Clip -> fp16 tokens, and the seeded weights of a layer.

A token is a patch of pixels, mean-centred and projected.  What that preserves, and what it does not: docs/demo.md.
Test: verif/gen/test_demo.py.
"""

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.video import PATCH, Clip

__all__ = ["PATCH_DIMENSIONS", "layer_weights", "orthonormal", "patches_of", "clip_tokens"]

PATCH_DIMENSIONS = PATCH * PATCH * 3
"""Numbers in a patch: its pixels times three colours."""


def patches_of(clip: Clip) -> NDArray[np.float64]:
    """The clip's patches, (F * H * W, PATCH_DIMENSIONS), in the order frame, row, column; the mean patch removed.

    Without removing it every patch would point the same way (all pixels are positive) and everything would match.
    """
    count, high, wide = clip.grid
    pixels = clip.frames.astype(np.float64) / 255
    tiled = pixels.reshape(count, high, PATCH, wide, PATCH, 3).transpose(0, 1, 3, 2, 4, 5)
    patches = tiled.reshape(count * high * wide, PATCH_DIMENSIONS)
    return np.asarray(patches - patches.mean(axis=0))


def orthonormal(dimensions: int, width: int, seed: int) -> NDArray[np.float64]:
    """A seeded matrix (dimensions, width): orthonormal columns, or orthonormal rows when width > dimensions."""
    long, short = max(dimensions, width), min(dimensions, width)
    basis, triangle = np.linalg.qr(np.random.default_rng([seed, 3]).standard_normal((long, short)))
    basis = basis * np.where(np.diag(triangle) < 0, -1.0, 1.0)  # QR leaves the signs open: fix them
    return basis if width <= dimensions else basis.T


def clip_tokens(clip: Clip, width: int, seed: int) -> NDArray[np.float16]:
    """Tokens (F * H * W, width), binary16, of root mean square 1 over the clip; all +0 when the clip has one colour."""
    projected = patches_of(clip) @ orthonormal(PATCH_DIMENSIONS, width, seed)
    size = float(np.sqrt(np.mean(projected ** 2)))
    if size < 1e-9:  # nothing but the rounding of the mean is left
        return np.zeros(projected.shape, np.float16)
    return (projected / size).astype(np.float16)


def layer_weights(inner: int, outer: int, seed: int, layer: int) -> NDArray[np.float16]:
    """Weights (inner, outer), binary16: normal, scaled by 1 / sqrt(inner) so that outputs are as large as inputs."""
    normal = np.random.default_rng([seed, 4, layer]).standard_normal((inner, outer))
    return np.asarray(normal / np.sqrt(inner), dtype=np.float16)
