# SPDX-License-Identifier: Apache-2.0
"""Ten distinct random configurations of the core, all equal; and the campaign's and the mutants' own machinery."""

from pathlib import Path

import pytest

from focus_rtl.verif.core.campaign import campaign, empty_events, main
from focus_rtl.verif.core.configurations import empty_bins, plan
from focus_rtl.verif.core.faults import Edit, Fault
from focus_rtl.verif.core.mutants import FAULTS, TESTS, copy_package

COUNT = 10


def test_ten_configurations(seed: int) -> None:
    outcomes = list(campaign(COUNT, seed, workers=1))
    assert [outcome.failure for outcome in outcomes if not outcome.passed] == []
    assert len({outcome.params for outcome in outcomes}) == COUNT
    assert all(outcome.compared == outcome.expected > 0 for outcome in outcomes)
    assert empty_bins([outcome.params for outcome in outcomes]) + empty_events(outcomes) == []


@pytest.mark.parametrize("count", [10, 200])
def test_plans_fill_every_bin(count: int, seed: int) -> None:
    chosen = plan(seed, count)
    assert len({params.sha256 for params in chosen}) == count
    assert empty_bins(chosen) == []
    assert plan(seed, count) == chosen, "a seed does not give the same plan twice"


def test_empty_bins_are_told() -> None:
    one = plan(1, 1) * 150
    empty = empty_bins(one)
    assert any(label.startswith("scatter_lanes = ") for label in empty)
    assert any(label.startswith("three values of rows") for label in empty)
    assert any(label.startswith("R = ") and ", C = " in label for label in empty)


def test_failure_is_told_and_replayed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert main(["10", "--seed", "5", "--only", "3", "--jobs", "1", "--cache-dir", str(tmp_path / "file")]) == 1
    said = capsys.readouterr().out
    assert "failed: [3]" in said and "replay: python -m focus_rtl.verif.core.campaign 10 --seed 5 --only 3" in said
    assert "CacheError: the build cache" in said


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_package(tmp_path_factory.mktemp("package"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_still_applies(package: Path, fault: Fault) -> None:
    originals = {path: path.read_text() for path in (package / "hdl" / edit.file for edit in fault.edits)}
    for edit in fault.edits:
        edit.apply(package)
    for path, text in originals.items():
        assert path.read_text() != text
        path.write_text(text)
    assert set(fault.tests) <= TESTS.keys()


def test_a_fault_that_does_not_apply_is_an_error(package: Path) -> None:
    with pytest.raises(ValueError, match=r"hdl/stream/skid.py: the text to replace occurs 0 times"):
        Edit("stream/skid.py", "no such text", "").apply(package)
    with pytest.raises(ValueError, match=r"occurs \d+ times, must be once"):
        Edit("stream/skid.py", "self", "").apply(package)
