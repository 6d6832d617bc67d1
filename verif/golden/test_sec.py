# SPDX-License-Identifier: Apache-2.0
"""The semantic concentrator's golden model against plain statements of the algorithm: floats, sorted(), a division."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.golden.job import Grid, offsets_of, tiles_of
from focus_rtl.golden.sec.importance import clean, importance
from focus_rtl.golden.sec.offsets import Strides, decode, encode, reach
from focus_rtl.golden.sec.places import Offsets
from focus_rtl.golden.sec.sec import prune
from focus_rtl.golden.sec.topk import budget, keep
from focus_rtl.verif.sec.cases import KINDS, rows_of, softmax_rows

ALL_BITS = np.arange(1 << 16).astype(np.uint16)


def float_scores(rows: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Each token's largest number, NaN and whatever is below 0 left out."""
    with np.errstate(invalid="ignore"):
        numbers = rows.view(np.float16).astype(np.float64)
        return np.asarray(np.where(numbers > 0, numbers, 0.0).max(axis=0))


def sorted_choice(scores: NDArray[np.float64], k: int) -> list[int]:
    """Indices of the k largest, the lower index first among equals, as Python sorts."""
    return sorted(sorted(range(len(scores)), key=lambda token: (-scores[token], token))[:k])


def test_every_score_is_cleaned_as_float_says() -> None:
    numbers = clean(ALL_BITS).view(np.float16).astype(np.float64)
    assert not np.isnan(numbers).any() and (numbers >= 0).all() and not np.signbit(numbers).any()
    assert numbers.tolist() == float_scores(ALL_BITS[np.newaxis]).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_importance_and_choice_are_those_of_floats(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ties = 0
    for _ in range(40):
        tokens = int(rng.integers(1, 80))
        rows = rows_of(rng, kind, int(rng.integers(1, 9)), tokens).rows
        exact = float_scores(rows)
        found = importance(rows)
        assert found.view(np.float16).astype(np.float64).tolist() == exact.tolist()
        for k in {1, tokens, int(rng.integers(1, tokens + 1))}:
            assert np.flatnonzero(keep(found, k)).tolist() == sorted_choice(exact, k)
            ties += len(set(exact.tolist())) < tokens
    assert kind == "ascending" or ties > 0


def test_softmax_in_float64_chooses_the_same_outside_near_ties(seed: int) -> None:
    """Rounding the softmax to binary16 can only swap tokens whose scores round to neighbours."""
    rng = np.random.default_rng(seed)
    inside = 0
    for _ in range(20):
        tokens, depth = 200, 16
        keys, queries = rng.normal(size=(tokens, depth)), rng.normal(size=(12, depth))
        logits = queries @ keys.T / 4
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        real = powers / powers.sum(axis=1, keepdims=True)
        exact = real.max(axis=0)
        kept = keep(importance(np.asarray(real.astype(np.float16).view(np.uint16))), 80)
        border = np.sort(exact)[-80]
        near = np.abs(exact - border) <= border * 2.0 ** -10  # both are rounded, by half a unit each
        assert (kept == (exact >= border))[~near].all()
        inside += int(near.sum())
    print(f"{inside} of {20 * tokens} tokens are within a rounding of the border")


def test_offsets_of_every_mask_are_lossless() -> None:
    """All masks of 10 tokens, every width up to 5: symbols in range, decoded to the mask; a gap as the text has it."""
    seen: Counter[str] = Counter()
    for bits in range(1, 6):
        for number in range(1 << 10):
            kept = np.array([number >> token & 1 for token in range(10)], np.bool_)
            symbols = encode(kept, bits)
            assert (symbols <= reach(bits)).all()
            assert decode(symbols, bits).tolist() == np.flatnonzero(kept).tolist()
            assert int((symbols != 0).sum()) == kept.sum()
            seen["escaped"] += int((symbols == 0).sum())
    assert encode(np.ones(5, np.bool_), 3).tolist() == [1] * 5
    assert encode(np.zeros(9, np.bool_), 3).tolist() == []
    far = np.zeros(40, np.bool_)
    far[[6, 14, 28, 29]] = True  # distances 7, 8, 14, 1
    assert encode(far, 3).tolist() == [7, 0, 1, 0, 7, 1]
    assert encode(np.array([0, 1, 1, 0, 1], np.bool_), 1).tolist() == [0, 1, 1, 0, 1], "one bit: the mask itself"
    assert seen["escaped"] > 1000


def test_positions_are_those_of_the_tiles(seed: int) -> None:
    """Without separators, what the decoder gives is what gather is told of the same retained tokens."""
    rng = np.random.default_rng(seed)
    for _ in range(30):
        sizes = [int(size) for size in rng.integers(1, 7, 3)]
        grid = Grid(*sizes)
        kept = rng.random(grid.tokens) < 0.4
        kept[rng.integers(grid.tokens)] = True
        found = Strides(*sizes, sizes[2], sizes[1] * sizes[2]).positions(decode(encode(kept, 3), 3))
        tiles = np.concatenate([tile.positions for tile in tiles_of(grid, 16, kept)])
        assert found.tolist() == tiles.tolist()


def test_separators_lie_outside_the_grid() -> None:
    """Two frames of 2 x 3 with a token behind every row and two behind every frame."""
    places = Strides(2, 2, 3, 4, 10).positions(np.arange(22))
    outside = (places[:, 2] >= 2) | (places[:, 3] >= 3)
    assert np.flatnonzero(outside).tolist() == [3, 7, 8, 9, 13, 17, 18, 19]
    inside = places[~outside & (places[:, 0] == 1)]
    assert inside[:, 1:].tolist() == [[f, r, c] for f in range(2) for r in range(2) for c in range(3)]
    assert places[20:].tolist() == [[0, 0, 0, 0]] * 2, "behind the last frame"


def walked(symbols: list[int], bits: int, sides: tuple[int, int, int], row: int, frame: int) -> list[tuple[int, ...]]:
    """Positions by walking from token to token, one step at a time."""
    frames, height, width = sides
    order = [(1, f, min(at // row, height), min(at % row, width) if at < height * row else 0)
             for f in range(frames) for at in range(frame)]
    found, token = [], -1
    for symbol in symbols:
        token += symbol or 2 ** bits - 1
        if symbol:
            found.append(order[token] if token < len(order) else (0, 0, 0, 0))
    return found


def test_places_of_any_offsets(seed: int) -> None:
    """Tiles take what there is, in turn; text takes nothing; what is missing is nowhere."""
    rng = np.random.default_rng(seed)
    wrong = 0
    for _ in range(60):
        sides = tuple(int(size) for size in rng.integers(1, 5, 3))
        row = sides[2] + int(rng.integers(2))
        frame = sides[1] * row + int(rng.integers(3))
        symbols = rng.integers(0, 4, int(rng.integers(1, 30))).astype(np.uint16)
        sizes = [int(size) for size in rng.integers(1, 9, 4)]
        text = tuple(bool(each) for each in rng.integers(2, size=4))
        offsets = Offsets(symbols, 2, Strides(*sides, row, frame), text)
        left = walked(symbols.tolist(), 2, (sides[0], sides[1], sides[2]), row, frame)
        beyond, image = (0, 0, 0, 0) in left, sum(size for size, each in zip(sizes, text, strict=True) if not each)
        assert offsets.wrong(sizes) == (not all(text) and (len(left) != image or beyond))
        wrong += offsets.wrong(sizes)
        for tile, size, each in zip(offsets.places(sizes), sizes, text, strict=True):
            want = [(0, 0, 0, 0) if each or not left else left.pop(0) for _ in range(size)]
            assert [tuple(place) for place in tile.tolist()] == want
        assert offsets.taken == (0 if all(text) else len(symbols))
    assert wrong


def test_offsets_of_tiles_are_their_positions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = Grid(3, 2, 4, 5, 11)
    kept = rng.random(grid.tokens) < 0.5
    kept[0] = True
    tiles = tiles_of(grid, 8, kept, text_tokens=9)
    offsets = offsets_of(grid, tiles, 3, kept)
    sizes = [tile.tokens for tile in tiles]
    assert all(np.array_equal(tile.positions, place)
               for tile, place in zip(tiles, offsets.places(sizes), strict=True))
    assert not offsets.wrong(sizes) and offsets.text[-2:] == (True, True) and not any(offsets.text[:-2])
    assert offsets.wrong([*sizes[:-3], sizes[-3] + 1, *sizes[-2:]])


def test_layers_prune_what_is_left_relative_to_the_original_number(seed: int) -> None:
    """Published ratios; tokens are followed by their indices, without any offsets."""
    rng = np.random.default_rng(seed)
    tokens = 500
    present, symbols = list(range(tokens)), None
    for ratio, count in zip((0.4, 0.3, 0.2, 0.15, 0.1), (200, 150, 100, 75, 50), strict=True):
        rows = softmax_rows(rng, 6, len(present))
        k = budget(ratio, tokens, len(present))
        assert k == count
        left = prune(rows, k, 4, symbols)
        present = [present[place] for place in sorted_choice(float_scores(rows), k)]
        symbols = left.symbols
        assert left.tokens.tolist() == present == decode(symbols, 4).tolist()


@pytest.mark.parametrize(("ratio", "original", "present", "k"), [
    (0.4, 6272, 6272, 2508), (0.4, 11648, 11648, 4659), (0.1, 2366, 2366, 236), (0.1, 5, 5, 1), (0.0, 9, 9, 1),
    (1.0, 9, 4, 4), (0.5, 9, 3, 3)])
def test_budget(ratio: float, original: int, present: int, k: int) -> None:
    assert budget(ratio, original, present) == k


def test_wrong_arguments_are_refused() -> None:
    scores = np.array((1, 2, 3), np.uint16)
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"k = {k}: must be between 1 and the number of tokens, 3"):
            keep(scores, k)
    with pytest.raises(ValueError, match="neither negative nor NaN"):
        keep(np.array((0x8000, 1), np.uint16), 1)
    with pytest.raises(TypeError, match="float32: must be uint16"):
        clean(np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="at least one of each"):
        importance(np.zeros((0, 4), np.uint16))
    for bits in (0, 17):
        with pytest.raises(ValueError, match=f"offsets of {bits} bits"):
            reach(bits)
    with pytest.raises(ValueError, match=r"ratio = 1\.5"):
        budget(1.5, 4, 4)
    with pytest.raises(ValueError, match="present = 5"):
        budget(0.5, 4, 5)
    for values, message in (((1, 1, 4, 3, 4), "row stride 3"), ((1, 2, 4, 4, 7), "frame stride 7"),
                            ((0, 1, 1, 1, 1), "every side")):
        with pytest.raises(ValueError, match=message):
            Strides(*values)
    video, one = Strides(1, 2, 2, 2, 4), np.ones(1, np.uint16)
    for arguments, message in (((one[:0], 2, video, (False,)), "at least one"),
                               ((one * 4, 2, video, (False,)), "fit 2"), ((one, 2, video, ()), "one per tile")):
        with pytest.raises(ValueError, match=message):
            Offsets(*arguments)
    with pytest.raises(ValueError, match="of 1 tiles: there are 2"):
        Offsets(one, 2, video, (False,)).places([1, 1])
    with pytest.raises(ValueError, match="say that 2 are present"):
        prune(np.zeros((1, 3), np.uint16), 1, 4, np.array((1, 1), np.uint16))
