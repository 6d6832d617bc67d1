# SPDX-License-Identifier: Apache-2.0
"""Records and tables: what is rendered, that an edited row, a stale design and a half-written file are noticed."""

import dataclasses
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from focus_rtl.verif import pages, tables
from focus_rtl.verif.formal.claims import CLAIMS
from focus_rtl.verif.numeric import area
from focus_rtl.verif.records import put, read, stamp

PE = "pe dtype=fp16 depth=3"


def area_record(design: str, lut: int = 587, fmax: float = 85.0) -> dict[str, object]:
    values = {"lut": lut, "ff": 229, "dsp": 1, "fmax": fmax, "transistors": 16670, "cycles": 14_600_000,
              "cycles_ratio": 0.5}
    return {"figures": {name: {"value": value, "unit": "-"} for name, value in values.items()},
            "fmax_seeds": [fmax] * 5, **stamp("how", design)}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page with every table, rendered from a store of one row of areas and an empty one."""
    stores = {name: tmp_path / f"{name}.json" for name in ("areas", "arithmetic")}
    put(stores["areas"], PE, area_record(area.ROWS[PE].design()))
    monkeypatch.setattr(tables, "AREAS", stores["areas"])
    path = tmp_path / "page.md"
    changed = {name: dataclasses.replace(table, store=stores["areas" if name == "areas" else "arithmetic"], page=path)
               for name, table in tables.TABLES.items()}
    monkeypatch.setattr(tables, "TABLES", changed)
    path.write_text("".join(f"<!--table:{name}-->\n<!--/table-->\n" for name in (*changed, "targets")))
    tables.write(path)
    return path


def test_a_table_shows_its_record_and_counts_what_is_missing(page: Path) -> None:
    text = page.read_text()
    assert "| pe dtype=fp16 | 3 | 587 | 229 | 1 | 85 | 16,670 | 14.6 M | 0.50 |" in text
    assert f"{len(area.ROWS) - 1} of {len(area.ROWS)} rows are not measured yet." in text
    assert f"{len(CLAIMS)} of {len(CLAIMS)} rows are not measured yet." in text
    assert "| fp16 PE: 900 LUT, 80 MHz | depth 3 |" in text
    assert "| int8 PE: 40 LUT, 1 DSP, 140 MHz | not measured yet |" in text
    assert tables.check(page) == []


def test_an_edited_row_is_noticed(page: Path) -> None:
    page.write_text(page.read_text().replace("| 587 |", "| 586 |"))
    assert [re.sub("; cure.*", "", line) for line in tables.check(page)] == [
        "page.md: the table areas differs from its records"]


def test_an_edited_record_is_noticed(page: Path) -> None:
    put(tables.AREAS, PE, area_record(area.ROWS[PE].design(), lut=901))
    assert len(tables.check(page)) == 2  # the areas, and the target that is missed now
    tables.write(page)
    assert "| fp16 PE: 900 LUT, 80 MHz | none |" in page.read_text()


def test_a_stale_record_and_one_of_nothing_are_noticed(page: Path) -> None:
    put(tables.AREAS, PE, area_record("0" * 64))
    put(tables.AREAS, "pe dtype=fp8 depth=1", area_record("0" * 64))
    tables.write(page)
    assert sorted(tables.check(page)) == [
        "areas.json: pe dtype=fp16 depth=3: its design has changed since; measure it again: how",
        "areas.json: pe dtype=fp8 depth=1: no such row any more; take it out"]


def test_a_table_that_the_page_lacks_is_noticed(page: Path) -> None:
    page.write_text(re.sub(r"<!--table:proofs-->\n.*?<!--/table-->", "", page.read_text(), flags=re.DOTALL))
    assert tables.check(page) == ["page.md: the table proofs is missing"]
    page.write_text("<!--table:prices-->\n<!--/table-->")
    with pytest.raises(SystemExit, match="no table prices; there are areas"):
        tables.check(page)


def test_every_figure_of_the_page_is_rendered() -> None:
    text = tables.PAGE.read_text(encoding="utf-8")
    outside = pages.MARK.sub("", text)
    assert not re.search(r"\d (LUT|MHz|M cycles|triples)\b", outside), "a measurement that nobody rendered"
    assert tables.differences() == []


def test_records_change_as_a_whole_and_from_many_sides(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    writers = [threading.Thread(target=put, args=(path, f"row {number}", {"value": number})) for number in range(24)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert read(path) == {f"row {number}": {"value": number} for number in range(24)}
    assert [entry.name for entry in tmp_path.iterdir()] == ["records.json"]
    with pytest.raises(TypeError):
        put(path, "row 0", {"value": object()})
    assert read(path)["row 0"] == {"value": 0} and len(list(tmp_path.iterdir())) == 1


def test_a_row_that_fails_is_reported_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    def measured(row: area.Row, seeds: int) -> dict[str, object]:
        if row.depth == 2:
            raise RuntimeError("nextpnr-ecp5 failed with code 1")
        return area_record(row.design()) | {"seconds": 1}

    monkeypatch.setattr(area, "_in_own_process", measured)
    rows, path = [area.ROWS[f"pe dtype=int8 depth={depth}"] for depth in (1, 2, 3)], tmp_path / "areas.json"
    assert area.run(rows, path, 2, 5) == ["pe dtype=int8 depth=2"]
    assert set(read(path)) == {"pe dtype=int8 depth=1", "pe dtype=int8 depth=3"}
    assert "pe dtype=int8 depth=2: FAILED: nextpnr-ecp5 failed with code 1" in capsys.readouterr().out
    assert area.pending(rows, path, 5) == [rows[1]]
    assert area.pending(rows, path, 6) == rows, "fewer seeds than asked for"
    put(path, rows[0].name, area_record("0" * 64))
    assert area.pending(rows, path, 5) == rows[:2], "another design"


def test_rows_are_few_and_every_one_can_be_made() -> None:
    assert 30 <= len(area.ROWS) <= 48
    for row in area.ROWS.values():
        assert row.chosen.make().signature is not None


def test_a_row_measured_by_the_command(tmp_path: Path) -> None:
    path, name = tmp_path / "areas.json", "recode depth=0"
    command = [sys.executable, "-m", "focus_rtl.verif.numeric.area", name, "--seeds", "1", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("1 of 1 rows to measure"), done.stdout + done.stderr
    record = json.loads(path.read_text())[name]
    assert record["design_sha256"] == area.ROWS[name].design()
    value = {figure: entry["value"] for figure, entry in record["figures"].items()}
    assert value["lut"] > 50 and value["ff"] == 0 and value["dsp"] == 0 and value["fmax"] > 30
    assert 300 < value["transistors"] < 1188, "not optimised by ABC"  # without it: 1,188
    assert value["cycles"] > 1e5 and value["cycles_ratio"] > 0
    assert {"yosys", "nextpnr-ecp5", "verilator"} <= set(record["tools"])
    assert len(record.pop("fmax_seeds")) == 1
    put(path, name, edited := record | {"fmax_seeds": [1.0], "figures": record["figures"] | {
        "transistors": record["figures"]["transistors"] | {"value": 1}}})
    counted = subprocess.run([*command, "--transistors"], capture_output=True, text=True, check=False)
    assert counted.stdout == f"{name}: 1 -> {value['transistors']} transistors\n", counted.stdout + counted.stderr
    now = read(path)[name]
    assert now.pop("recounted")["command"].endswith("--transistors"), "where the new count comes from"
    assert now == edited | {"figures": record["figures"]}, "all else stays"
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.stdout.startswith("0 of 1 rows to measure"), again.stdout
