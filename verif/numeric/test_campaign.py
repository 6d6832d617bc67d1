# SPDX-License-Identifier: Apache-2.0
"""The campaigns in small: every triple equal, no bin hit that is said to be out of reach, most others hit."""

from dataclasses import replace

import numpy as np
import pytest

from focus_rtl.golden.numeric import formats
from focus_rtl.verif.numeric.bins import DISTANCES, SHAPE, bin_names, bin_of, unreachable
from focus_rtl.verif.numeric.campaign import BATCH, CAMPAIGNS, LANES, run
from focus_rtl.verif.numeric.exhaustive import Difference

SETS = 1_000_000


@pytest.mark.parametrize("name", list(CAMPAIGNS))
def test_campaign(name: str, seed: int) -> None:
    campaign = CAMPAIGNS[name]
    outcome = run(campaign, seed, sets=SETS, hits=0)
    assert outcome.compared == outcome.hits.sum() == -(-SETS // (BATCH * LANES)) * BATCH * LANES
    assert not outcome.surprising
    reachable = np.array([number not in campaign.reasons for number in range(campaign.number)])
    empty = [campaign.name_of(number) for number in np.flatnonzero(reachable & (outcome.hits == 0)).tolist()]
    print(f"{name}, seed {seed}: {outcome.compared:,} triples, {reachable.sum()} bins, empty: {empty}")
    assert len(empty) <= 0.03 * reachable.sum()


def test_a_wrong_sum_is_found(seed: int) -> None:
    def wrong(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        total = formats.add32(a, b)
        return np.where(total == 0x7F800000, np.uint32(0x7F7FFFFF), total)

    with pytest.raises(Difference, match="expected 0x7f7fffff, got 0x7f800000"):
        run(replace(CAMPAIGNS["add"], accumulate=wrong), seed, sets=1)


@pytest.mark.parametrize(("x", "y", "name"), [
    (0x3F800000, 0x33800000, "24 add tie normal"), (0x3F800000, 0xB3000000, "25 cancel tie normal"),
    (0x3F800000, 0x33800001, "24 add above normal"), (0x3F800001, 0xB3000000, "25 cancel above normal"),
    (0x3F800000, 0x00000001, "26+ add below normal"), (0x3F800000, 0x80000001, "26+ cancel above normal"),
    (0x3F800000, 0x00000000, "26+ add exact normal"), (0x00000001, 0x00000001, "0 add exact subnormal"),
    (0x01000000, 0x80800001, "1 cancel exact subnormal"), (0x3F800000, 0xBF800000, "0 cancel exact zero"),
    (0x7F7FFFFF, 0x73000000, "24 add tie infinity"), (0x7F800000, 0xFF800000, "0 cancel exact NaN"),
])
def test_known_bins(x: int, y: int, name: str) -> None:
    a, b = np.array([x], np.uint32), np.array([y], np.uint32)
    assert bin_names(int(bin_of(a, b, formats.add32(a, b))[0])) == name
    assert int(bin_of(a, b, formats.add32(a, b))[0]) not in unreachable(False)


def test_every_bin_is_reachable_or_has_a_reason() -> None:
    total = int(np.prod(SHAPE))
    assert total == DISTANCES * 2 * 4 * 5
    assert (total - len(unreachable(False)), total - len(unreachable(True))) == (387, 311)
    assert all(unreachable(True).values())
