# SPDX-License-Identifier: Apache-2.0
"""The recorded cycles are those of today's hardware, and docs/sec.md shows the records."""

import pytest

from focus_rtl.verif import tables
from focus_rtl.verif.records import SEC, read
from focus_rtl.verif.sec.cycles import CASES, LANES, ROWS, TOKENS_MAX, measured, qk_cycles
from focus_rtl.verif.sec.test_topk import SORTERS, cycles_of
from focus_rtl.verif.sec.tops import StoredSorter


@pytest.mark.parametrize("sorter", SORTERS)
def test_cycles_are_counted_as_stated(sorter: str) -> None:
    """A small case: stated by the sorter's latency, up to the word in which equal scores are cut."""
    cycles = measured(sorter, 90, 37, 100, 16)
    least = cycles_of(StoredSorter(sorter, 100, 16), 90, 37)
    assert least <= cycles <= least + (16 if sorter == "radix" else 0)


@pytest.mark.parametrize("sorter", SORTERS)
def test_the_records_are_what_the_stated_latency_says(sorter: str) -> None:
    records, found = read(SEC), 0
    for tokens, k in CASES:
        least = cycles_of(StoredSorter(sorter, TOKENS_MAX, LANES), tokens, k)
        cycles = records.get(f"cycles {sorter} {tokens} {k}", {"cycles": least})["cycles"]
        assert least <= cycles <= least + (LANES if sorter == "radix" else 0), f"{tokens} tokens, k = {k}"
        found += f"cycles {sorter} {tokens} {k}" in records
    assert found > 1, "next to nothing is recorded"


def test_the_choice_hides_behind_a_concentrated_product() -> None:
    """Both sorters, with rows concentrated to a fifth; and radix needs less than the published sorter's M k / a."""
    for tokens, k in CASES:
        cycles = {sorter: cycles_of(StoredSorter(sorter, TOKENS_MAX, LANES), tokens, k) for sorter in SORTERS}
        assert max(cycles.values()) < qk_cycles(tokens) // 5
        assert cycles["radix"] + LANES < tokens * k // LANES < cycles["bubble"]


def test_the_page_shows_the_records() -> None:
    assert tables.differences(tables.SEC_PAGE) == []
    assert set(read(SEC)) <= set(ROWS)
