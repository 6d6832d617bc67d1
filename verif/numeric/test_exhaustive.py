# SPDX-License-Identifier: Apache-2.0
"""The exhaustive sweeps: the small spaces whole, a sample of the large ones, and a wrong unit that must be found."""

from dataclasses import replace

import numpy as np
import pytest

from focus_rtl.golden.numeric import elements
from focus_rtl.verif.numeric.exhaustive import SPACES, Difference, sweep

SAMPLE = 1 / 512


@pytest.mark.parametrize("name", list(SPACES))
def test_sweep(name: str) -> None:
    space = SPACES[name]
    small = space.count == 1 << 16
    compared = sweep(space, 1.0 if small else SAMPLE)
    print(f"{name}: {compared:,} of {space.count:,}")
    assert compared == (space.count if small else space.count // 512)


def test_one_wrong_answer_is_found() -> None:
    def wrong(bits: np.ndarray) -> np.ndarray:
        right = elements.widen_bf16(bits)
        return np.where(bits == 0x1234, right + np.uint32(1), right)

    with pytest.raises(Difference, match="widen_bf16: a = 0x1234: expected 0x12340001, got 0x12340000"):
        sweep(replace(SPACES["widen_bf16"], golden=wrong))
