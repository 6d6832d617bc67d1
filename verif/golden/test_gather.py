# SPDX-License-Identifier: Apache-2.0
"""Gather against the brute force on hostile tiles, its properties, and its corner cases by name."""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from focus_rtl.golden.job import ALL_CANDIDATES, Block, Grid, Job, Tile, tiles_of
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits
from focus_rtl.golden.params import candidates_of
from focus_rtl.golden.sic.gather import REPRESENTATIVES, Gathered, gather, gather_slices
from focus_rtl.golden.sic.layouter import NEIGHBOURS, bank, neighbourhood, neighbours, offset, windows
from focus_rtl.golden.sic.matcher import decide
from focus_rtl.verif.golden.cases import random_tile, rough_vectors
from focus_rtl.verif.oracles import brute

ONE, TWO, NAN, INF, MINUS_ZERO = 0x3C00, 0x4000, 0x7E01, 0x7C00, 0x8000
EVENTS = {"text", "outside", "key nan", "key inf", "key zero", "unsound neighbour first", "unsound neighbour later",
          "negative", "tie", "no candidate", "match", "at threshold", "below threshold", "chain"}
BLOCKS = tuple(itertools.product((1, 2, 3), repeat=3))
"""Every legal block, from the key alone to 26 candidates."""

EVENTS_OF = {"fp16": EVENTS, "bf16": EVENTS | {"q infinite"}, "int8": EVENTS - {"key nan", "key inf"}}


def run(vectors: Bits, tile: Tile, job: Job, representative: str = "first") -> Gathered:
    return gather(vectors, tile, job.height, job.width, job.t2, job.mask, job.dense, None, job.dtype, job.block,
                  representative)


def agree(vectors: Bits, tile: Tile, job: Job, representative: str = "first") -> Counter[str]:
    """Compare every word of one gather; returns what happened in it."""
    got = run(vectors, tile, job, representative)
    want = brute.gather(vectors.tolist(), [tuple(place) for place in tile.positions.tolist()], job, representative)
    assert got.index_map.tolist() == want.index_map
    assert got.unique.tolist() == want.unique
    assert (got.zeros, got.matched, got.p) == (want.zeros, tile.tokens - len(want.unique), len(want.unique))
    return want.events


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_tiles_agree_with_the_brute_force(dtype: str) -> None:
    events: Counter[str] = Counter()
    words = 0
    for seed in range(2 * 9 * len(BLOCKS)):
        rng = np.random.default_rng(seed)
        block, representative = BLOCKS[seed % len(BLOCKS)], REPRESENTATIVES[seed // len(BLOCKS) % 2]
        height, width = (int(side) for side in rng.integers(1, 5, 2))
        v, tokens = int(rng.choice((2, 3, 4, 6, 8, 16))), int(rng.integers(1, 40))
        tile = random_tile(rng, tokens, height, width)
        if seed % 2:
            tile = tiles_of(Grid(4, height, width), 40)[0]
        threshold = float(rng.choice((0.0, 0.3, 0.5, 0.9, 0.999, 1.0)))
        mask = ALL_CANDIDATES if rng.random() < 0.7 else int(rng.integers(1 << candidates_of(block)))
        job = Job(v, v, (tile,), height, width, threshold, mask, dtype=dtype, block=block)
        events += agree(rough_vectors(rng, tile.tokens, v, dtype), tile, job, representative)
        words += tile.tokens
    print(f"{words} tokens compared, events {dict(sorted(events.items()))}")
    assert words > 8000
    assert {name for name in EVENTS_OF[dtype] if not events[name]} == set()


def line(count: int, frames: bool = False) -> Tile:
    """`count` image tokens in a row, or at one place in successive frames."""
    steps = np.arange(count)
    zero, one = np.zeros_like(steps), np.ones_like(steps)
    return Tile(np.stack((one, steps if frames else zero, zero, zero if frames else steps), axis=1))


def maps(rows: Sequence[Sequence[int]], threshold: float = 0.9, tile: Tile | None = None) -> list[int]:
    """Map of vectors that lie in a row, after the brute force has said the same."""
    vectors = np.array(rows, dtype=np.uint16)
    tile = tile or line(len(rows))
    job = Job(vectors.shape[1], 1, (tile,), 4, max(len(rows), 4), threshold)
    agree(vectors, tile, job)
    return [int(index) for index in run(vectors, tile, job).index_map]


def test_identical_vectors_collapse() -> None:
    assert maps([[ONE, TWO]] * 5) == [0] * 5


def test_equal_to_the_threshold_is_no_match() -> None:
    key, other = [ONE, 0, 0, 0], [ONE, ONE, ONE, ONE]
    assert maps([other, key], threshold=0.5) == [0, 1]
    assert maps([other, key], threshold=float(np.nextafter(np.float32(0.5), np.float32(0)))) == [0, 0]


def test_thresholds_within_roundings_of_the_cosine() -> None:
    # The threshold is put where q, tn and their products decide by a rounding or less, one way or the other.
    rng = np.random.default_rng(22)
    events: Counter[str] = Counter()
    for _ in range(1500):
        vectors = rng.normal(size=(2, 4)).astype(np.float16)
        vectors[1] = vectors[0] + (vectors[1] * np.float16(0.3))
        wide = vectors.astype(np.float64)
        cosine = float(wide[0] @ wide[1] / np.sqrt((wide[0] @ wide[0]) * (wide[1] @ wide[1])))
        threshold = float(np.float32(cosine)) + int(rng.integers(-2, 3)) * 2.0 ** -24
        if 0 <= threshold <= 1:
            events += agree(vectors.view(np.uint16), line(2), Job(4, 1, (line(2),), 1, 2, threshold))
    print(f"events {dict(events)}")
    assert events["match"] > 300 and events["below threshold"] > 300


def test_threshold_zero_needs_a_positive_dot() -> None:
    assert maps([[ONE, 0], [0, ONE]], threshold=0) == [0, 1]
    assert maps([[ONE, 0], [ONE | 0x8000, 0]], threshold=0) == [0, 1]
    assert maps([[ONE, 0], [ONE, 0xC900]], threshold=0) == [0, 0]


def test_chain_compares_with_the_neighbour_and_takes_its_representative() -> None:
    turning = [[0x3C00, 0x0000], [0x3C00, 0x3400], [0x3C00, 0x3800], [0x3C00, 0x3A00]]  # 14 degrees and less a step
    assert maps(turning, threshold=0.95) == [0, 0, 0, 0]
    assert maps([turning[0], turning[3]], threshold=0.95) == [0, 1]


def test_tie_goes_to_the_earlier_candidate() -> None:
    # Two unlike candidates of one length at the same angle to the key, left (number 0) and above (number 1).
    positions = np.array([(1, 0, 0, 1), (1, 0, 1, 0), (1, 0, 1, 1)])
    above, left, key = [ONE, 0], [0, ONE], [ONE, ONE]
    assert maps([above, left, key], threshold=0.5, tile=Tile(positions)) == [0, 1, 1]


@pytest.mark.parametrize("bad", [[0, MINUS_ZERO], [NAN, ONE], [INF, ONE], [0xFC00, 0]])
def test_unsound_vectors_neither_match_nor_are_matched(bad: list[int]) -> None:
    assert maps([bad, bad, [ONE, ONE], [ONE, ONE], bad, [ONE, ONE]], threshold=0) == [0, 1, 2, 2, 3, 4]


def test_unsound_candidate_is_never_the_best_so_far() -> None:
    positions = np.array([(1, 0, 0, 1), (1, 0, 1, 0), (1, 0, 1, 1)])
    for bad in ([0, 0], [NAN, NAN], [INF, 0]):
        assert maps([[ONE, ONE], bad, [ONE, ONE]], tile=Tile(positions)) == [0, 1, 0]


def test_smallest_and_largest_numbers_match() -> None:
    assert maps([[1, 0], [1, 0], [0x7BFF, 0], [0x7BFF, 0], [1, 0]], threshold=0.999) == [0] * 5


def test_text_and_positions_outside_pass() -> None:
    tile = Tile(np.array([(1, 0, 0, 0), (0, 0, 0, 1), (1, 0, 0, 2), (1, 0, 4, 0), (1, 0, 4, 1), (1, 0, 0, 3)]))
    assert maps([[ONE, ONE]] * 6, tile=tile) == [0, 1, 2, 3, 4, 2]


def test_later_of_two_at_one_position_is_seen() -> None:
    tile = Tile(np.array([(1, 0, 0, 0), (1, 0, 0, 0), (1, 0, 0, 1)]))
    assert maps([[ONE, 0], [0, ONE], [0, ONE]], tile=tile) == [0, 1, 1]
    assert maps([[ONE, 0], [0, ONE], [ONE, 0]], tile=tile) == [0, 1, 2]


def test_a_frame_hides_the_one_two_before_it() -> None:
    tile = Tile(np.array([(1, 0, 0, 0), (1, 2, 0, 0), (1, 1, 0, 0), (1, 0, 0, 1)]))
    assert maps([[ONE, 0]] * 4, tile=tile) == [0, 1, 2, 3]


def test_tiles_do_not_see_each_other() -> None:
    first, second = tiles_of(Grid(1, 1, 16), 8)
    vectors = np.full((8, 2), ONE, dtype=np.uint16)
    for tile in (first, second):
        assert gather(vectors, tile, 1, 16, 0).index_map.tolist() == [0] * 8
        assert windows(tile, 1, 16)[0].tolist() == [-1] * 7


@pytest.mark.parametrize(("block", "number"), [(block, number) for block in ((2, 2, 2), (3, 3, 3), (1, 3, 2))
                                              for number in range(candidates_of(block))])
def test_each_candidate_and_its_mask_bit(block: Block, number: int) -> None:
    df, dr, dc = neighbourhood(block)[number]
    tile = Tile(np.array([(1, 5 - df, 2 - dr, 2 - dc), (1, 5, 2, 2)]))
    vectors = np.full((2, 4), ONE, dtype=np.uint16)
    t2 = Job(4, 4, (tile,), 4, 4, 0.9).t2
    for bit in range(candidates_of(block)):
        assert gather(vectors, tile, 4, 4, t2, 1 << bit, block=block).p == (1 if bit == number else 2)
    assert neighbours((5, 2, 2), block)[number] == (5 - df, 2 - dr, 2 - dc)
    assert decide(vectors, windows(tile, 4, 4, block), t2, ALL_CANDIDATES).best.tolist() == [-1, number]


def test_the_order_of_the_candidates() -> None:
    assert NEIGHBOURS == ((0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))
    assert neighbourhood((1, 1, 1)) == ()
    assert neighbourhood((1, 2, 3)) == ((0, 0, 1), (0, 0, 2), (0, 1, 0), (0, 1, 1), (0, 1, 2))
    assert neighbourhood((3, 1, 1)) == ((1, 0, 0), (2, 0, 0))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_window_has_a_position_in_every_bank(block: Block) -> None:
    size = candidates_of(block) + 1
    for height, width in ((4, 4), (3, 5), (1, 7)):
        places = [(f, r, c) for f in range(block[0]) for r in range(height) for c in range(width)]
        assert len({(bank(place, block), offset(place, width, block)) for place in places}) == len(places)
        for place in places:
            assert {bank(each, block) for each in (place, *neighbours(place, block))} == set(range(size))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_masked_block_is_a_smaller_one(block: Block) -> None:
    mask = sum(1 << number for number, step in enumerate(neighbourhood((3, 3, 3)))
               if all(distance < side for distance, side in zip(step, block, strict=True)))
    rng = np.random.default_rng(block)
    tile = tiles_of(Grid(4, 3, 5), 64, rng.random(60) < 0.9)[0]
    vectors = rough_vectors(rng, tile.tokens, 3)
    small, masked = (gather(vectors, tile, 3, 5, 0x3E800000, bits, block=built)
                     for bits, built in ((ALL_CANDIDATES, block), (mask, (3, 3, 3))))
    assert small.index_map.tolist() == masked.index_map.tolist()
    assert small.matched > 0 or block == (1, 1, 1)


def test_a_deeper_block_remembers_more_frames() -> None:
    tile = Tile(np.array([(1, 0, 0, 0), (1, 2, 0, 0), (1, 1, 0, 0), (1, 0, 0, 1)]))
    assert windows(tile, 1, 2, (3, 1, 2))[:, neighbourhood((3, 1, 2)).index((0, 0, 1))].tolist() == [-1, -1, -1, 0]
    assert windows(tile, 1, 2, (3, 1, 2))[1, neighbourhood((3, 1, 2)).index((2, 0, 0))] == 0
    assert windows(tile, 1, 2, (1, 1, 2)).tolist() == [[-1]] * 4  # one frame's entries: frame 1 hides frame 0


def test_mean_of_a_group() -> None:
    # 2048 + 1 + 1 + ... in binary32, then a third of it in binary16; a group of one passes through the arithmetic.
    vectors = np.array([[0x6800, ONE], [0x6800, ONE], [0x6801, ONE], [MINUS_ZERO, 0x7C01]], np.uint16)
    got = gather(vectors, line(4), 1, 4, 0x3F4F5C28, representative="mean")
    assert got.index_map.tolist() == [0, 0, 0, 1] and got.matched == 2
    assert got.unique.tolist() == [[brute.half_bits(brute.multiply(6146.0, brute.single(0x3EAAAAAB))), ONE],
                                   [0x0000, 0x7E00]]
    dense = gather(vectors, line(4), 1, 4, 0x3F4F5C28, dense=True, representative="mean")
    assert np.array_equal(dense.unique, vectors)  # nothing is replaced, so nothing is computed
    with pytest.raises(ValueError, match="representative = 'last': must be one of 'first', 'mean'"):
        gather(vectors, line(4), 1, 4, 0, representative="last")


def test_mean_is_summed_in_token_order() -> None:
    # 1024 swallows 2**-14 if it comes before -1024 does.
    for middle, wanted in (([0x0400, 0xE400], 0x0000), ([0xE400, 0x0400], 0x0155)):
        vectors = np.array([[0x7753, 0x6400]] + [[0x7753, last] for last in middle], np.uint16)
        got = gather(vectors, line(3), 1, 4, 0x3F4F5C28, representative="mean")
        assert got.unique.tolist() == [[0x7753, wanted]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("representative", REPRESENTATIVES)
def test_slices_of_a_tile_are_decided_each_by_itself(representative: str, dtype: str) -> None:
    # More tokens and more slices than are worked on at once: where the blocks meet must not show.
    rng = np.random.default_rng(31)
    tile = tiles_of(Grid(7, 6, 7), 300)[0]
    rough = rough_vectors(rng, tile.tokens, 6, dtype)
    vectors = np.stack([np.roll(rough, number, axis=0) for number in range(35)], axis=1)
    job = Job(6, 6, (tile,), 6, 7, 0.8, dtype=dtype)
    whole = gather_slices(vectors, windows(tile, 6, 7), job.t2, dtype=dtype, representative=representative)
    assert len(whole) == 35 and 35 < sum(part.p for part in whole) < 35 * tile.tokens
    assert len({part.index_map.tobytes() for part in whole}) > 30
    for number, part in enumerate(whole):
        alone = run(vectors[:, number], tile, job, representative)
        assert np.array_equal(part.index_map, alone.index_map) and np.array_equal(part.unique, alone.unique)
        assert np.array_equal(part.best_similarity, alone.best_similarity, equal_nan=True)
        assert (part.zeros, part.matched, part.p) == (alone.zeros, alone.matched, alone.p)


def test_similarity_is_the_cosine() -> None:
    got = gather(np.array([[ONE, 0], [ONE, ONE], [0xBC00, 0xBC00]], np.uint16), line(3), 1, 4, 0x3F4F5C28)
    assert np.isnan(got.best_similarity[0])
    assert got.best_similarity[1:] == pytest.approx([0.5 ** 0.5, -1.0])


def test_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(3, V\), one per token"):
        gather(np.zeros((2, 4), np.uint16), line(3), 4, 4, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("v", [2, 5, 32])
@pytest.mark.parametrize("seed", range(16))
def test_properties_of_every_map(seed: int, v: int, dtype: str) -> None:
    rng = np.random.default_rng((seed, v))
    tokens, height, width = int(rng.integers(1, 49)), int(rng.integers(1, 6)), int(rng.integers(1, 6))
    threshold, mask = float(rng.choice((0.0, 1.0, rng.random()))), int(rng.choice((0, 0x7F, int(rng.integers(0x80)))))
    tile = random_tile(rng, tokens, height, width)
    job = Job(v, v, (tile,), height, width, threshold, mask, dtype=dtype)
    vectors = rough_vectors(rng, tokens, v, dtype)
    got = run(vectors, tile, job)
    index = got.index_map
    first = np.array([np.flatnonzero(index == i)[0] for i in range(got.p)])
    assert (index <= np.arange(tokens)).all() and (index < got.p).all() and (index >= 0).all()
    assert (np.diff(first) > 0).all()  # new indices appear in ascending order
    assert np.array_equal(vectors[first], got.unique)  # bits unchanged, NaN payloads included
    assert np.array_equal(index[first[index]], index)  # the representative stands for itself
    assert got.matched == tokens - got.p and got.tokens == tokens
    dense = gather(vectors, tile, height, width, job.t2, mask, dense=True, dtype=dtype)
    assert dense.index_map.tolist() == list(range(tokens)) and np.array_equal(dense.unique, vectors)
    assert dense.zeros == got.zeros and dense.matched == 0
