# SPDX-License-Identifier: Apache-2.0
"""Scores of text tokens against a softmax of plain Python numbers."""

import math

import numpy as np
import pytest

from focus_rtl.golden.sec.attention import text_scores


def plain(text: list[list[float]], image: list[list[float]], heads: int) -> list[list[float]]:
    """softmax(q k^T / sqrt(d)), one number at a time."""
    depth = len(image[0]) // heads
    size = math.sqrt(sum(x * x for token in image for x in token) / (len(image) * len(image[0])))
    rows = []
    for head in range(heads):
        part = range(head * depth, (head + 1) * depth)
        for query in text:
            powers = [math.exp(sum(query[i] * key[i] for i in part) / size ** 2 / math.sqrt(depth)) for key in image]
            rows.append([power / sum(powers) for power in powers])
    return rows


@pytest.mark.parametrize(("width", "heads"), [(16, 4), (19, 4), (5, 1), (4, 4)])
def test_scores_are_a_softmax_per_head(width: int, heads: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    text, image = rng.normal(size=(3, width)), rng.normal(size=(30, width)) * 7
    scores = text_scores(text, image, heads).view(np.float16).astype(np.float64)
    want = np.array(plain(text.tolist(), image.tolist(), heads))
    assert scores.shape == (3 * heads, 30)
    assert np.abs(scores - want).max() <= 2.0 ** -11 * want.max() and np.allclose(scores, want, rtol=2e-3, atol=1e-7)
    assert np.abs(scores.sum(axis=1) - 1).max() < 0.01


def test_the_scale_of_all_tokens_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    text, image = rng.normal(size=(2, 8)), rng.normal(size=(9, 8))
    assert np.array_equal(text_scores(text, image, 2), text_scores(text * 64, image * 64, 2))


def test_zeros_look_at_everything_alike() -> None:
    scores = text_scores(np.zeros((2, 8)), np.zeros((4, 8)), 2)
    assert scores.shape == (4, 4) and (scores == np.float16(0.25).view(np.uint16)).all()


@pytest.mark.parametrize(("text", "image", "heads", "message"), [
    ((2, 8), (3, 7), 2, r"shapes \(2, 8\) and \(3, 7\)"), ((0, 8), (3, 8), 2, "shapes"), ((2, 8), (0, 8), 2, "shapes"),
    ((2, 8), (3, 8), 0, "heads = 0: must be between 1 and the width, 8"), ((2, 8), (3, 8), 9, "heads = 9")])
def test_wrong_arguments_are_refused(text: tuple[int, int], image: tuple[int, int], heads: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        text_scores(np.ones(text), np.ones(image), heads)
