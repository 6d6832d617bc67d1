# SPDX-License-Identifier: Apache-2.0
"""The scoreboard finds every kind of difference, names it in the user's terms, and passes nothing unseen."""

import re

import numpy as np
import pytest

from focus_rtl.golden.core import concentrate, next_slices
from focus_rtl.golden.job import Grid, Job, tiles_of
from focus_rtl.golden.sec.sec import SecOrder, prune
from focus_rtl.hdl import layouts
from focus_rtl.hdl.sec.layouts import PHASES
from focus_rtl.hdl.sec.layouts import status as sec_status
from focus_rtl.verif.bench.program import OUTPUTS, Program, pack, program, rejected, unpack
from focus_rtl.verif.bench.scoreboard import Mismatch, Received, Scoreboard
from focus_rtl.verif.golden.cases import make_params, rough_vectors, weights_like

PARAMS = make_params()


def _place(field: str) -> int:
    """The lowest bit of a field of `status`."""
    offset: int = layouts.status(PARAMS)[field].offset
    return offset


def _program() -> Program:
    rng = np.random.default_rng(3)
    job = Job(9, 6, tiles_of(Grid(3, 3, 3), PARAMS.m_tile, text_tokens=2), 3, 3, 0.7)
    slices = next_slices(concentrate(rough_vectors(rng, job.tokens, job.k), job, PARAMS))
    first = SecOrder(np.arange(40, dtype=np.uint16).reshape(2, 20) * 99 % 37, 6)
    left = prune(first.rows, first.k, PARAMS.offset_bits)
    return program(PARAMS, job, slices, weights_like(rng, job.k, job.n),
                   prunings=[first, SecOrder(first.rows[:, left.tokens], 5, left.symbols)])


def _received(*programs: Program) -> dict[str, Received]:
    """What a machine without faults would send."""
    words: dict[str, list[int]] = {stream: [] for stream in OUTPUTS}
    for made in programs:
        for stream, beats in made.expected.items():
            words[stream] += beats
        fields = dict.fromkeys(dict(layouts.status(PARAMS).members), 0) | made.status
        fields |= {"array_idle": 40, "cycles": made.status["array_busy"] + 40}
        words["status"].append(pack(layouts.status(PARAMS), **fields))
        words["sec_status"] += [pack(sec_status(PARAMS.sec_tokens_max), **dict.fromkeys(PHASES, 7), **each)
                                for each in made.sec_status]
    return {stream: Received(some, list(range(100, 100 + len(some)))) for stream, some in words.items()}


def test_equal_words_are_counted() -> None:
    made, refused = _program(), rejected(PARAMS, _program().job)
    board = Scoreboard([made, refused, made], "again")
    counts = made.counts
    unique = sum(part.p for row in made.result for part in row)
    assert board.check(_received(made, refused, made)) == board.expected == 2 * (
        unique + counts.out_maps + counts.summary + 1 + counts.offsets + 2) + 1
    assert counts.offsets >= 11


@pytest.mark.parametrize(("stream", "index", "flip", "words"), [
    ("outputs", 7, 1 << 18, r"tile 0, output vector 0, token \d+ at \(f, r, c\) = \(\d, \d, \d\), unique 7: "
     r"lane 1: expected 0x[0-9a-f]{4} \(.*\), got 0x[0-9a-f]{4} \(.*\) \(1 of 4 lanes differ\)"),
    ("outputs", 0, 1 << 64, "expected last = 0, got last = 1"),
    ("out_maps", 20, 1, r"tile 0, output vector 1, token 4 at \(f, r, c\) = \(0, 1, 1\): expected {'index': \d+, "),
    ("out_maps", -1, 1, r"tile 2, output vector 1, token 1 \(text\): expected"),
    ("summary", 2, 1, "tile 1, output vector 0: expected {'unique': "),
    ("status", 0, 1, r"status\[0\] in cycle 100: error is 1, expected 0"),
    ("sec_status", 1, 2, r"sec_status\[1\] in cycle 101: symbols is \d+, expected \d+"),
    ("offsets", 3, 1, r"offsets\[3\] in cycle 103: expected {'offset': \d+, 'last': 0}, got {'offset': \d+, "),
    *(("status", 0, 1 << _place(name), r"status\[0\] in cycle 100: cycles is \d+, and its counters name \d+")
      for name in ("cycles", "array_idle", "stall_input", "stall_psum", "stall_weights", "stall_chain",
                   "empty_slices")),
])
def test_a_difference_is_told_in_the_users_terms(stream: str, index: int, flip: int, words: str) -> None:
    made = _program()
    received = _received(made)
    received[stream].words[index] ^= flip
    with pytest.raises(Mismatch, match=words) as caught:
        Scoreboard([made], "python again").check(received)
    assert re.match(rf"job 0: {stream}\[\d+\] in cycle \d+: ", str(caught.value))
    assert "replay: python again" in str(caught.value)


def test_the_earliest_difference_is_told() -> None:
    made = _program()
    received = _received(made)
    received["outputs"].words[30] ^= 1
    received["summary"].words[1] ^= 1
    with pytest.raises(Mismatch, match=r"summary\[1\] in cycle 101"):
        Scoreboard([made], "").check(received)


@pytest.mark.parametrize("stream", OUTPUTS)
def test_missing_and_surplus_words_are_found(stream: str) -> None:
    made = _program()
    less = _received(made)
    less[stream].words.pop()
    with pytest.raises(Mismatch, match=f"{stream}: .* words came, .* were expected"):
        Scoreboard([made], "").check(less)
    more = _received(made)
    more[stream].words.append(0)
    more[stream].cycles.append(1)
    with pytest.raises(Mismatch, match=f"{stream}: .* words came, .* were expected"):
        Scoreboard([made], "").check(more)


def test_nothing_compared_is_no_success() -> None:
    with pytest.raises(Mismatch, match="0 words were compared"):
        Scoreboard([], "").check(_received())


def test_a_run_that_broke_off_is_compared_as_far_as_it_went() -> None:
    made = _program()
    received = {stream: Received(some.words[:3], some.cycles[:3]) for stream, some in _received(made).items()}
    assert Scoreboard([made], "").check(received, complete=False) == 10 + 3 + 2


def test_fields_are_packed_and_refused() -> None:
    layout = layouts.summary(PARAMS)
    assert unpack(layout, pack(layout, unique=5, zeros=16)) == {"unique": 5, "zeros": 16}
    with pytest.raises(ValueError, match="unique = 32: does not fit 5 bits"):
        pack(layout, unique=32, zeros=0)
    with pytest.raises(ValueError, match="fields"):
        pack(layout, unique=1)
