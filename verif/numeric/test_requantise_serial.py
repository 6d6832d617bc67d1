# SPDX-License-Identifier: Apache-2.0
"""The serial requantiser against golden, products on a half or next to one among others, and its contract."""

from collections import Counter

import numpy as np

from focus_rtl.golden.numeric import elements
from focus_rtl.hdl.numeric.requantise_serial import RequantiseSerial
from focus_rtl.verif.bench.scoreboard import Mismatch
from focus_rtl.verif.numeric.elements_bank import draw
from focus_rtl.verif.numeric.halves import HALVES, NAMES, draw_halves, half_bins
from focus_rtl.verif.numeric.harness import Harness, Lane
from focus_rtl.verif.numeric.native import Native

LANES, EACH, ROUNDS = 8, 1200, 4
INTERVAL = RequantiseSerial.latency + 1
"""Cycles from an element to the next: its scale stands in the cycle of `done`, too."""


def test_serial_requantiser_equals_golden(seed: int) -> None:
    """One element after another, the sum there in the cycle of `start` only."""
    rng, hits, compared = np.random.default_rng(seed), np.zeros(len(NAMES), np.int64), 0
    pause = rng.integers(0, 3, EACH) * rng.integers(0, 2, EACH)
    starts = np.arange(EACH) * INTERVAL + np.cumsum(pause) - pause[0]
    cycles = int(starts[-1]) + INTERVAL
    harness = Harness([Lane("o", RequantiseSerial, {"start": "start", "a": "a", "b": "b"})],
                      {"start": 1, "a": 32, "b": 32}, LANES)
    with Native(harness) as model:
        assert cycles <= model.capacity
        for turn in range(ROUNDS):
            size = EACH * LANES
            a, b, _ = draw_halves(rng, size)
            if turn == 0:
                sets = draw(rng, size)
                a, b = (sets[name][-size:].astype(np.uint32) for name in ("x", "b"))
            want = elements.requantise(a, b)
            hits += np.bincount(half_bins(a, b, want), minlength=len(NAMES))
            model.inputs["start"][:cycles] = 0
            model.inputs["start"][starts] = 1
            model.inputs["a"][:cycles] = rng.integers(0, 1 << 32, (cycles, LANES))
            model.inputs["a"][starts] = a.reshape(EACH, LANES)
            model.inputs["b"][:cycles] = np.repeat(b.reshape(EACH, LANES), np.diff(starts, append=cycles), axis=0)
            model.start(cycles)
            got = model.finish()["o"][starts + RequantiseSerial.latency].ravel()
            wrong = np.flatnonzero(got != want)
            if wrong.size:
                at = wrong[0]
                raise Mismatch(f"{wrong.size} of {size} differ, the first: a = {a[at]:#x}, b = {b[at]:#x}: expected "
                               f"{want[at]:#x}, got {got[at]:#x}; seed {seed}")
            compared += size
    assert compared == ROUNDS * EACH * LANES
    found = Counter({half: int(sum(hits[number] for number, name in enumerate(NAMES) if f", {half}, " in name))
                     for half in HALVES}) + Counter(dict(zip(NAMES[-5:], hits[-5:].tolist(), strict=True)))
    print(f"seed {seed}: {compared:,} elements, {dict(found)}")
    assert min(found[name] for name in (*HALVES, *NAMES[-5:])) > 0
