# SPDX-License-Identifier: Apache-2.0
"""Utilisation of the array: at least 99 % over 1,000 slices, every lost cycle named, and as docs/array.md says."""

import json
from collections import Counter

import pytest

from focus_rtl.verif.array.utilisation import LAWS, SEED, SHAPES, STORE, differences, measure, name_of, parameters
from focus_rtl.verif.array.watched import PROBES, names, window_of
from focus_rtl.verif.records import read

SMALL = {"square": ("fp16", 4, 4, 4, 1), "tall": ("fp16", 2, 1, 2, 3), "chained": ("int8", 2, 4, 8, 1)}
"""R = C = V; R > C; R < V and C < V."""


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("size", SMALL)
def test_the_array_is_never_idle_for_long(size: str, law: str) -> None:
    """With the seed of the record: the same cycles, lost under the same names."""
    shape = SMALL[size]
    measured = measure(parameters(*shape), law, SEED)
    row = {name: value for name, value in measured.to_dict().items() if name != "configuration_sha256"}
    print(row)
    assert measured.utilisation >= 0.99 and measured.slices == 1000
    assert measured.counters == measured.recount and measured.compared > 0
    recorded = read(STORE)[name_of(shape, law)]
    assert {key: recorded[key] for key in row} == json.loads(json.dumps(row)), "measure again: " + recorded["command"]


def test_random_slices_of_another_seed(seed: int) -> None:
    measured = measure(parameters(*SMALL["tall"]), "uniform", seed)
    assert measured.utilisation >= 0.99, measured.to_dict()


def _word(*bits: str) -> int:
    return sum(1 << PROBES.index(bit) for bit in bits)


def test_the_monitor_names_what_is_missing() -> None:
    enters, over = ("valid", "ready", "tile", "slice"), ("ready", "tile", "slice")
    trace = [
        _word("ready"), _word("ready", "tile"), _word(*over, "order"), _word(*over), _word(*over, "order", "accepted"),
        _word("valid", "first", "tile", "slice", "weight"), _word("valid", "first", "tile", "slice", "weight"),
        _word(*enters, "first"), _word("valid", "chained", "tile", "slice"), _word(*enters, "chained"),
        _word("ready", "psum"), _word("ready", "psum"), _word("ready")]
    found = names(trace, rows=2)
    assert found == ["array_idle", "array_idle", "stall_input", "stall_psum", "empty_slices", "stall_weights",
                     "stall_weights", "array_busy", "stall_chain", "array_busy", "empty_slices", "array_idle",
                     "array_idle"]
    window = window_of(trace, found)  # from the first weight to the last psum
    assert window.cycles == 7 and window.by_name == Counter(
        {"stall_weights": 2, "array_busy": 2, "stall_chain": 1, "empty_slices": 1, "array_idle": 1})
    assert window.utilisation == 2 / 7 and sum(window.lost.values()) == 5


def test_the_page_shows_the_records() -> None:
    assert differences() == []
    recorded = read(STORE)
    assert {name_of(shape, law) for shape in SHAPES for law in LAWS} <= set(recorded)
    assert min(row["utilisation"] for row in recorded.values()) >= 0.99
