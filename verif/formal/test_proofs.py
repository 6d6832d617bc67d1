# SPDX-License-Identifier: Apache-2.0
"""Each claim holds, its case exists, a faulty unit does not pass.  Without Yosys or Z3 they fail and say the cure."""

import numpy as np
import pytest

from focus_rtl.verif.formal.claims import CLAIMS
from focus_rtl.verif.formal.prove import check

VISIBLE = [name for name in CLAIMS if name.startswith("visible_")]
"""One for each block; the command proves all, the tests a fixed one and one by chance."""


@pytest.mark.parametrize("name", [name for name in CLAIMS if name not in VISIBLE] + ["visible_132"])
def test_claim(name: str) -> None:
    _holds(name)


def test_visibility_of_another_block(seed: int) -> None:
    _holds(str(np.random.default_rng(seed).choice(VISIBLE)))


def test_visibility_is_claimed_of_every_block_with_a_window() -> None:
    assert len(VISIBLE) == 26


def _holds(name: str) -> None:
    verdict = check(CLAIMS[name])
    assert verdict.holds, f"{name} is not proved: {CLAIMS[name].words}"
    assert verdict.covered, f"{name}: its case does not exist"
    assert verdict.mutant_fails, f"{name}: the faulty unit passes"
