# SPDX-License-Identifier: Apache-2.0
"""A sample of the film campaign, and that the campaign sees what it is there for."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from focus_rtl.verif.golden import film
from focus_rtl.verif.golden.film import BLOCKS, CASES, SLICES, TEXT, Source, covered, run, sample


def test_the_cases_cross_what_they_should() -> None:
    bins = covered(CASES)
    assert len(CASES) == 1215
    assert len(bins) == 27 * 3 * (len(film.GRIDS) + len(film.DROPS) + len(film.THRESHOLDS) + 2 + 2)
    assert min(bins.values()) >= 3


def test_a_sample_agrees_with_float64(seed: int) -> None:
    cases = sample(seed)
    source = Source(None, seed)
    found = run(cases, source)
    print(found)
    assert found.wrong == ()
    assert {case.block for case in cases} == set(BLOCKS) and found.cases == len(cases) >= 27
    kept = [int((np.random.default_rng([seed, case.number]).random(case.grid.tokens) >= case.drop).sum())
            for case in cases]
    assert found.vectors == sum(count + TEXT for count in kept) * SLICES
    assert 0.05 * found.vectors < found.matched < found.vectors
    assert found.band <= 0.01 * found.vectors


@pytest.mark.parametrize("change", [{"threshold": 1.01}, {"block": (2, 2, 1)}, {"mask": 0x0F},
                                    {"representative": "other"}])
def test_a_difference_is_seen(change: dict[str, Any], seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in CASES if case.block == (2, 2, 2) and case.drop == 0 and case.threshold < 0.9)
    true = film.concentrate_layer

    def other(*tokens: Any, **told: Any) -> Any:
        if "representative" in change:
            told["representative"] = "mean" if told["representative"] == "first" else "first"
        elif "threshold" in change:
            told["threshold"] *= change["threshold"]
        else:
            told |= change
        return true(*tokens, **told)

    monkeypatch.setattr(film, "concentrate_layer", other)
    wrong = run([case], Source(None, seed)).wrong
    what = Counter("representatives" if "representatives" in each else "map" for each in wrong)
    assert what["representatives" if "representative" in change else "map"] > 0


