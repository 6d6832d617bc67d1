# SPDX-License-Identifier: Apache-2.0
"""Each claim holds, its case exists, a unit with a fault does not pass.  Without Yosys or Z3 they fail, with the cure."""

import pytest

from focus_rtl.verif.formal.claims import CLAIMS
from focus_rtl.verif.formal.prove import check


@pytest.mark.parametrize("name", list(CLAIMS))
def test_claim(name: str) -> None:
    verdict = check(CLAIMS[name])
    assert verdict.holds, f"{name} is not proved: {CLAIMS[name].words}"
    assert verdict.covered, f"{name}: its case does not exist"
    assert verdict.mutant_fails, f"{name}: the faulty unit passes"
