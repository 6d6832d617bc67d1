# SPDX-License-Identifier: Apache-2.0
"""Each claim holds, its case exists, a faulty unit does not pass.  Without Yosys or Z3 they fail and say the cure."""

import numpy as np
import pytest

from focus_rtl.verif.formal.claims import CLAIMS
from focus_rtl.verif.formal.prove import check

OF_BLOCKS = {kind: [name for name in CLAIMS if name.startswith(kind)] for kind in ("visible_", "serial_")}
"""Claims that there is one of for each block; the command proves all, the tests a fixed one and one by chance."""

ALWAYS = [name for name in CLAIMS if not name.startswith(tuple(OF_BLOCKS))] + [f"{kind}132" for kind in OF_BLOCKS]


@pytest.mark.parametrize("name", ALWAYS)
def test_claim(name: str) -> None:
    _holds(name)


@pytest.mark.parametrize("kind", OF_BLOCKS)
def test_visibility_of_another_block(kind: str, seed: int) -> None:
    _holds(str(np.random.default_rng(seed).choice(OF_BLOCKS[kind])))


@pytest.mark.parametrize("kind", OF_BLOCKS)
def test_visibility_is_claimed_of_every_block_with_a_window(kind: str) -> None:
    assert len(OF_BLOCKS[kind]) == 26


def _holds(name: str) -> None:
    verdict = check(CLAIMS[name])
    assert verdict.holds, f"{name} is not proved: {CLAIMS[name].words}"
    assert verdict.covered, f"{name}: its case does not exist"
    assert verdict.mutant_fails, f"{name}: the faulty unit passes"
