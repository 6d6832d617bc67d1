# SPDX-License-Identifier: Apache-2.0
"""Whole layers concentrated: against the brute force, slice by slice, and what is refused."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from focus_rtl.golden.core import concentrate
from focus_rtl.golden.job import ALL_CANDIDATES, Grid, Job, tiles_of
from focus_rtl.golden.layer import concentrate_layer
from focus_rtl.golden.numeric.dtypes import DTYPES, Bits
from focus_rtl.golden.params import candidates_of
from focus_rtl.golden.sic.gather import REPRESENTATIVES
from focus_rtl.verif.golden.cases import make_params, rough_vectors, smooth_video
from focus_rtl.verif.golden.test_gather import BLOCKS
from focus_rtl.verif.oracles import brute

EVENTS = {"separator", "text tile", "dropped", "partial tile", "several tiles", "k padded", "zero", "match", "dense"}


def _rough_tokens(rng: np.random.Generator, grid: Grid, text: int, k: int, vector: int, dtype: str) -> Bits:
    """Tokens whose slices are those of `rough_vectors`: related within a slice, hostile in themselves."""
    slices = [rough_vectors(rng, grid.tokens + text, vector, dtype) for _ in range(-(-k // vector))]
    return np.concatenate(slices, axis=1)[:, :k]


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_layers_agree_with_the_brute_force(dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    events: Counter[str] = Counter()
    compared = expected = 0
    for number in range(3 * len(BLOCKS)):
        block, representative = BLOCKS[number % len(BLOCKS)], REPRESENTATIVES[number % 2]
        height, width = (int(side) for side in rng.integers(1, 5, 2))
        row_stride = width + int(rng.integers(0, 3))
        grid = Grid(int(rng.integers(1, 5)), height, width, row_stride, height * row_stride + int(rng.integers(0, 3)))
        vector = int(rng.choice((2, 3, 8)))
        text, k, m_tile = int(rng.integers(0, 4)), int(rng.integers(1, 3 * vector)), int(rng.choice((16, 1024)))
        retained = rng.random(grid.tokens) < rng.choice((0.3, 0.7, 1.0))
        retained[0] = True
        mask = ALL_CANDIDATES if rng.random() < 0.7 else int(rng.integers(1 << candidates_of(block)))
        threshold, dense = float(rng.choice((0.5, 0.8, 0.9, 0.99))), number % 9 == 8
        tokens = _rough_tokens(rng, grid, text, k, vector, dtype)
        got = concentrate_layer(tokens, grid, retained=retained, threshold=threshold, vector=vector, m_tile=m_tile,
                                block=block, representative=representative, dtype=dtype, mask=mask, dense=dense)

        kept = np.concatenate([tokens[:grid.tokens][retained], tokens[grid.tokens:]])
        padded = np.zeros((len(kept), -(-k // vector) * vector), tokens.dtype)
        padded[:, :k] = kept
        tiles = tiles_of(grid, m_tile, retained, text)
        job = Job(k, 1, tiles, height, width, threshold, mask, dense, dtype, block)
        matched = zeros = 0
        for tile, (_, rows), parts in zip(tiles, job.spans(), got.parts, strict=True):
            places = [tuple(place) for place in tile.positions.tolist()]
            for s, part in enumerate(parts):
                want = brute.gather(padded[rows, s * vector:(s + 1) * vector].tolist(), places, job, representative)
                assert part.index_map.tolist() == want.index_map
                assert part.unique.tolist() == want.unique and part.zeros == want.zeros
                matched, zeros = matched + tile.tokens - len(want.unique), zeros + want.zeros
                compared += tile.tokens
                events += Counter({"match": want.events["match"], "zero": want.zeros})
            events["separator"] += int((tile.image & ((tile.places[:, 1:] >= (height, width)).any(axis=1))).sum())
            events["text tile"] += not tile.image.any()
            events["partial tile"] += tile.tokens < m_tile
        slices = -(-k // vector)
        expected += (int(retained.sum()) + text) * slices
        assert got.vectors == (int(retained.sum()) + text) * slices
        assert (got.matched, got.zeros, int(got.p.sum())) == (matched, zeros, got.vectors - matched)
        assert got.published_sparsity == (matched + zeros) / got.vectors
        assert got.unique_ratio == (got.vectors - matched) / got.vectors
        assert [each.shape for each in got.maps] == [(slices, tile.tokens) for tile in tiles] and got.p.shape == (
            len(tiles), slices)
        events += Counter({"dropped": not retained.all(), "several tiles": len(tiles) > 2, "k padded": k % vector > 0,
                           "dense": dense})
    print(f"{compared} vectors compared, events {dict(sorted(events.items()))}")
    assert compared == expected > 0
    assert {name for name in EVENTS if not events[name]} == set()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_core_concentrates_the_same_way(dtype: str) -> None:
    grid, k = Grid(3, 5, 4), 22
    tokens = smooth_video(np.random.default_rng(5), grid, k, dtype=dtype)
    params = make_params(dtype=dtype, vector=8)
    job = Job(k, k, tiles_of(grid, params.m_tile), 5, 4, 0.9, dtype=dtype)
    layer = concentrate_layer(tokens, grid, vector=8, m_tile=params.m_tile, dtype=dtype)
    for row, parts in zip(concentrate(tokens, job, params), layer.parts, strict=True):
        for one, other in zip(row, parts, strict=True):
            assert np.array_equal(one.unique, other.unique) and np.array_equal(one.index_map, other.index_map)
    assert 0 < layer.matched < layer.vectors == 60 * 3


def test_separators_and_dropped_tokens_are_no_neighbours() -> None:
    same = np.full((12, 4), 0x3C00, np.uint16)
    apart = concentrate_layer(same, Grid(3, 1, 3, 4), vector=4, block=(1, 1, 2))
    assert apart.maps[0].tolist() == [[0, 0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5]]
    assert concentrate_layer(same, Grid(3, 1, 4), vector=4, block=(1, 1, 2)).maps[0].tolist() == [
        [0] * 4 + [1] * 4 + [2] * 4]
    retained = np.ones((3, 4), bool)
    retained[:, 1] = False
    dropped = concentrate_layer(same, Grid(3, 1, 4), retained=retained, vector=4, block=(1, 1, 2))
    assert dropped.maps[0].tolist() == [[0, 1, 1, 2, 3, 3, 4, 5, 5]]
    wider = concentrate_layer(same, Grid(3, 1, 4), retained=retained, vector=4, block=(1, 1, 3))
    assert wider.maps[0].tolist() == [[0] * 3 + [1] * 3 + [2] * 3]


def test_a_token_of_zeros_is_retained_and_counts_as_sparsity() -> None:
    tokens = np.zeros((4, 4), np.uint16)
    tokens[1] = tokens[3] = 0x3C00
    got = concentrate_layer(tokens, Grid(1, 1, 4), vector=4, block=(1, 1, 3))
    assert got.maps[0].tolist() == [[0, 1, 2, 1]]
    assert (got.matched, got.zeros, got.published_sparsity, got.unique_ratio) == (1, 2, 0.75, 0.75)


@pytest.mark.parametrize(("changed", "kind", "message"), [
    ({"tokens": np.zeros((11, 4), np.uint16)}, ValueError, r"tokens of shape \(11, 4\): must be \(M, K\) with M >= 12"),
    ({"tokens": np.zeros(12, np.uint16)}, ValueError, r"tokens of shape \(12,\): must be \(M, K\)"),
    ({"tokens": np.zeros((12, 4))}, TypeError, "tokens of dtype float64: must be uint16"),
    ({"dtype": "int8"}, TypeError, "tokens of dtype uint16: must be uint8"),
    ({"vector": 65}, ValueError, "vector = 65: must be between 1 and 64"),
    ({"m_tile": 0}, ValueError, "m_tile = 0: must be between 1"),
    ({"threshold": 1.5}, ValueError, "threshold = 1.5: must be between 0 and 1"),
    ({"block": (4, 1, 1)}, ValueError, "side of the block = 4: must be between 1 and 3"),
    ({"mask": 128}, ValueError, "mask = 128: must be between 0 and 127"),
    ({"representative": "last"}, ValueError, "representative = 'last': must be one of 'first', 'mean'"),
    ({"retained": np.ones(11, bool)}, ValueError, "retained has 11 entries: must have 12"),
    ({"retained": np.ones(12)}, TypeError, "retained of dtype float64: must be bool"),
])
def test_what_is_refused(changed: dict[str, Any], kind: type[Exception], message: str) -> None:
    told: dict[str, Any] = {"tokens": np.zeros((12, 4), np.uint16), "grid": Grid(3, 2, 2)}
    with pytest.raises(kind, match=message):
        concentrate_layer(**(told | changed))
