# SPDX-License-Identifier: Apache-2.0
"""Jobs whose positions come as offsets, in the core: what is refused, what comes late, what is counted."""

from dataclasses import replace

import numpy as np
import pytest

from focus_rtl.hdl import layouts
from focus_rtl.verif.bench.program import rejected
from focus_rtl.verif.bench.streams import Stall
from focus_rtl.verif.core.jobs import astray_job, pruned_job
from focus_rtl.verif.core.run import run_programs
from focus_rtl.verif.core.test_core import TINY

LATE = Stall(1.0, burst=2000)
VIDEO = {"decoded": 1, "frames": 2, "row_stride": 3, "frame_stride": 12}


def test_bad_videos_end_a_job_at_once(seed: int) -> None:
    """With `decoded` only: the good jobs between them say nothing of frames and strides, or the right things."""
    rng, layout, batch = np.random.default_rng(seed), layouts.job(TINY), []
    limits = {"frames": TINY.grid_max[0], "row_stride": TINY.sec_tokens_max, "frame_stride": TINY.sec_tokens_max}
    for name, limit in limits.items():
        good = pruned_job(rng, TINY)
        values = [value for value in (0, limit + 1) if value < 1 << layout[name].width]
        batch += [rejected(TINY, good.job, lambda fields, change={name: value}: fields | VIDEO | change)
                  for value in values]
        batch.append(good.program(TINY, seed))
    run = run_programs(TINY, [batch], seed=seed, stall=Stall(0.2), quick=True)
    assert run.compared == run.expected == sum(each.words for each in batch) > 0
    errors = [report.error for report in run.jobs]
    assert errors.count(layouts.ERRORS["JOB"]) == len(batch) - 3 >= 4 and errors.count(0) == 3


@pytest.mark.parametrize("surplus", [0, 1, -1])
def test_offsets_that_come_late(surplus: int, seed: int) -> None:
    """The array goes on without them, gather waits; of what is wrong with them the status tells, however late."""
    rng = np.random.default_rng(seed)
    jobs = [astray_job(rng, TINY, surplus), pruned_job(rng, TINY)]
    made = [each.program(TINY, seed) for each in jobs]
    run = run_programs(TINY, [made], seed=seed, stall={"retained": LATE}, quick=True)
    assert run.compared == run.expected > 0
    assert [report.error for report in run.jobs] == [layouts.ERRORS["OFFSET"] if surplus else 0, 0]
    assert run.jobs[1].counters["stall_positions"] > 0


def test_positions_that_come_late_are_waited_for(seed: int) -> None:
    rng = np.random.default_rng(seed)
    told = pruned_job(rng, TINY)
    direct = replace(told, job=replace(told.job, offsets=None))
    runs = [run_programs(TINY, [[each.program(TINY, seed)]], seed=seed, stall={"positions": LATE}, quick=True)
            for each in (told, direct)]
    assert [run.compared == run.expected > 0 for run in runs] == [True, True]
    waits = [run.jobs[0].counters["stall_positions"] for run in runs]
    assert waits[0] < 100 < waits[1], "a decoded job looks at positions, or a direct one does not wait for them"
