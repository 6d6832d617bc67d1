# SPDX-License-Identifier: Apache-2.0
"""gen/tokens.py: tokens, weights and scales are what docs/demo.md says, in every element format."""

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.gen.tokens import (
    PATCH_DIMENSIONS,
    clip_tokens,
    layer_weights,
    orthonormal,
    output_scales,
    patches_of,
)
from focus_rtl.gen.video import PATCH, Clip, noise_clip, photo_clip
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits, numbers
from focus_rtl.golden.sic.scatter import leave

EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)


def cosines(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


@pytest.mark.parametrize("width", [1, 16, PATCH_DIMENSIONS + 5])
def test_projection_is_orthonormal(width: int) -> None:
    basis = orthonormal(PATCH_DIMENSIONS, width, seed=3)
    assert basis.shape == (PATCH_DIMENSIONS, width)
    gram = basis.T @ basis if width <= PATCH_DIMENSIONS else basis @ basis.T
    assert np.allclose(gram, np.eye(len(gram)), atol=1e-12)


@pytest.mark.parametrize(("dtype", "limit"), [("fp16", 2 ** -9), ("bf16", 2 ** -6), ("int8", 0.1)])
def test_cosines_survive_a_wide_projection(dtype: str, limit: float) -> None:
    """Rounding to p significant bits moves an element by at most 2**-p of itself: a cosine by less than 2**(2 - p).

    int8 has one step for all: a faint patch suffers more, by the size of the step over its own.
    """
    clip = photo_clip(3, 4, 4, seed=2)
    tokens = clip_tokens(clip, PATCH_DIMENSIONS, 2, dtype)
    assert tokens.dtype == (np.uint8 if dtype == "int8" else np.uint16) and tokens.shape == (48, PATCH_DIMENSIONS)
    difference = np.abs(cosines(numbers(tokens, dtype)) - cosines(patches_of(clip)))
    assert 0 < difference.max() < limit


@EVERY_DTYPE
def test_cosines_survive_a_narrow_projection_roughly(dtype: str) -> None:
    clip = photo_clip(3, 4, 4, seed=2)
    difference = cosines(numbers(clip_tokens(clip, 128, 2, dtype), dtype)) - cosines(patches_of(clip))
    assert float(np.sqrt(np.mean(difference ** 2))) < 1.2 / np.sqrt(128)  # what a random projection promises


def test_patches_are_the_pixels_of_their_square() -> None:
    clip = noise_clip(2, 3, 4, seed=1)
    whole = clip.frames.astype(np.float64) / 255
    patches = patches_of(clip)
    assert np.allclose(patches.mean(axis=0), 0, atol=1e-12)
    frame, row, column = 1, 2, 3
    token = (frame * 3 + row) * 4 + column
    square = whole[frame, row * PATCH:(row + 1) * PATCH, column * PATCH:(column + 1) * PATCH].reshape(-1)
    first = whole[0, :PATCH, :PATCH].reshape(-1)
    assert np.allclose(patches[token] - patches[0], square - first)


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_tokens_have_size_one(dtype: str) -> None:
    for clip in (photo_clip(3, 4, 4, seed=1), noise_clip(3, 4, 4, seed=1)):
        tokens = numbers(clip_tokens(clip, 64, 1, dtype), dtype).astype(np.float64)
        assert np.isfinite(tokens).all() and abs(float(np.mean(tokens ** 2)) - 1) < 1e-3


def test_int8_is_symmetric_with_one_step_for_a_tensor() -> None:
    """Against fp16, which is fine enough to stand for the numbers before they are rounded."""
    clip = photo_clip(3, 4, 4, seed=1)
    for make in (lambda dtype: clip_tokens(clip, 64, 1, dtype), lambda dtype: layer_weights(64, 48, 1, 1, dtype)):
        fine, coarse = (numbers(make(dtype), dtype).astype(np.float64) for dtype in ("fp16", "int8"))
        assert np.abs(coarse).max() == 127
        assert np.abs(coarse - fine * (127 / np.abs(fine).max())).max() < 0.5 + 127 * 2 ** -10


@EVERY_DTYPE
def test_a_clip_of_one_colour_gives_zeros(dtype: str) -> None:
    clip = Clip(np.full((2, 2 * PATCH, 2 * PATCH, 3), 77, np.uint8), "grey")
    tokens = clip_tokens(clip, 32, 1, dtype)
    assert tokens.shape == (8, 32) and not tokens.any()


@EVERY_DTYPE
def test_tokens_and_weights_follow_from_the_seed(dtype: str) -> None:
    clip = photo_clip(2, 2, 2, seed=1)
    assert np.array_equal(clip_tokens(clip, 32, 4, dtype), clip_tokens(clip, 32, 4, dtype))
    assert not np.array_equal(clip_tokens(clip, 32, 4, dtype), clip_tokens(clip, 32, 5, dtype))
    assert np.array_equal(layer_weights(64, 32, 4, 1, dtype), layer_weights(64, 32, 4, 1, dtype))
    for other in (layer_weights(64, 32, 5, 1, dtype), layer_weights(64, 32, 4, 2, dtype)):
        assert not np.array_equal(layer_weights(64, 32, 4, 1, dtype), other)


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_weights_keep_the_size_of_tokens(dtype: str) -> None:
    weights = numbers(layer_weights(400, 300, 1, 1, dtype), dtype)
    assert weights.shape == (400, 300) and abs(float(weights.astype(np.float64).std()) * 20 - 1) < 0.02


# --- scales of the outputs ----------------------------------------------------------------------

def int8_bits(rows: list[list[int]]) -> Bits:
    return np.array(rows, np.int8).view(np.uint8)


def test_scales_take_each_column_to_the_end_of_the_range() -> None:
    inputs, weights = int8_bits([[1, 2], [-3, 4]]), int8_bits([[5, 0, -128], [1, 0, 127]])
    sums = np.array([[7, 0, 126], [-11, 0, 892]], np.int32)
    scales = output_scales(inputs, weights, "int8")
    assert scales is not None and scales.dtype == np.float32
    assert scales.tolist() == [np.float32(127 / 11), 127.0, np.float32(127 / 892)]
    left = leave(sums.view(np.uint32), "int8", scales).view(np.int8)
    assert left.tolist() == [[81, 0, 18], [-127, 0, 127]]


@pytest.mark.parametrize(("value", "inner"), [(0, 5), (1, 1), (-128, 5000)])
def test_scales_are_finite_and_positive(value: int, inner: int) -> None:
    scales = output_scales(int8_bits([[value] * inner]), int8_bits([[value]] * inner), "int8")
    assert scales is not None and scales.tolist() == [np.float32(127 / max(value * value * inner, 1))]


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_only_int8_has_scales(dtype: str) -> None:
    ones = np.ones((2, 2), np.uint16)
    assert output_scales(ones, ones, dtype) is None
