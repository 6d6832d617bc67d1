# SPDX-License-Identifier: Apache-2.0
"""Hardware without a fault, or with one, in place of Verilator: for tests of what is made of its words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from focus_rtl.gen.machine import LayerRun, PruneRun, Simulator, compare, compare_prunings
from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sec.sec import SecOrder
from focus_rtl.hdl import layouts
from focus_rtl.hdl.sec import layouts as layouts_sec
from focus_rtl.verif.bench.player import Played
from focus_rtl.verif.bench.program import OUTPUTS, Program, inputs_of, pack
from focus_rtl.verif.bench.prunings import sec_beats
from focus_rtl.verif.bench.scoreboard import Received

__all__ = ["ideal_choice", "ideal_hardware", "pretend"]


def ideal_hardware(expected: Program, stalled: bool = False) -> Played:
    """What faultless hardware sends."""
    layout = layouts.status(expected.params)
    fields = dict.fromkeys(dict(layout.members), 0) | expected.status
    fields |= {"array_idle": 40, "cycles": expected.counts.ideal_cycles + 40}
    words = {stream: list(each) for stream, each in expected.expected.items()}
    words |= {"status": [pack(layout, **fields)], "sec_status": []}
    pauses = dict.fromkeys((*inputs_of(expected.params), *OUTPUTS), int(stalled))
    return Played({stream: Received(list(each), list(range(len(each)))) for stream, each in words.items()},
                  fields["cycles"] + 3, pauses, None)


def ideal_choice(params: Parameters, orders: Sequence[SecOrder], stalled: bool = False) -> Played:
    """What a faultless semantic concentrator sends; its phases take 30, 20 and 10 cycles."""
    made = sec_beats(params, orders, np.random.default_rng(1))
    layout = layouts_sec.status(params.sec_tokens_max, params.counter_bits)
    told = [pack(layout, **each, **dict(zip(layouts_sec.PHASES, (30, 20, 10), strict=True))) for each in made.status]
    words: dict[str, list[int]] = {stream: [] for stream in OUTPUTS} | {"offsets": made.offsets, "sec_status": told}
    pauses = dict.fromkeys((*inputs_of(params), *OUTPUTS), int(stalled))
    return Played({stream: Received(list(each), list(range(len(each)))) for stream, each in words.items()},
                  60 * len(orders), pauses, None)


def pretend(monkeypatch: pytest.MonkeyPatch, fault: str | None = None) -> None:
    """Replace Verilator by hardware without a fault, or with one wrong bit in a stream of the second layer.

    A fault in `outputs`, `out_maps` is in the run that concentrates; one in `offsets` in the choice before the layer.
    """
    def run(self: Simulator, name: str, programs: list[tuple[Program, bool]]) -> list[LayerRun]:
        every = [(each, ideal_hardware(each, stalled)) for each, stalled in programs]
        if fault not in (None, "offsets") and name == "layer 2":
            every[2][1].received[str(fault)].words[0] ^= 1
        return [compare(each, played, self.replay) for each, played in every]

    def prune(self: Simulator, name: str, orders: Sequence[SecOrder]) -> PruneRun:
        played = [ideal_choice(self.params, orders, stalled) for stalled in (False, True)]
        if fault == "offsets" and name.endswith("layer 2"):
            played[1].received["offsets"].words[0] ^= 1
        return compare_prunings(self.params, orders, played, self.replay)

    patched: dict[str, Any] = {"prepare": lambda self: None, "run": run, "prune": prune}
    for name, does in patched.items():
        monkeypatch.setattr(Simulator, name, does)
