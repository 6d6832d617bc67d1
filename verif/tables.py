# SPDX-License-Identifier: Apache-2.0
"""Tables of docs/arithmetic.md, concentrator.md, sec.md and synthesis.md, rendered from records: nobody types a figure.

    python -m focus_rtl.verif.tables write    # render them
    python -m focus_rtl.verif.tables check    # 1 if a table differs from its records, or a record is stale

In the text a table stands between `<!--table:areas-->` and `<!--/table-->`.  A record is stale when its design
emits other Verilog today; one that is missing is only counted.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from focus_rtl.gen.flow.targets import COLUMNS
from focus_rtl.verif.core import film as core_film
from focus_rtl.verif.flow.boards import ROWS as BOARD_ROWS
from focus_rtl.verif.flow.calibrate import POINTS
from focus_rtl.verif.formal.claims import CLAIMS
from focus_rtl.verif.golden import film, speed
from focus_rtl.verif.numeric.area import ROWS
from focus_rtl.verif.numeric.campaign import CAMPAIGNS
from focus_rtl.verif.numeric.exhaustive import SPACES
from focus_rtl.verif.pages import filled, grid, origin, shown
from focus_rtl.verif.records import AREAS, ARITHMETIC, BOARDS, CONCENTRATOR, FIT, ROOT, SEC, Record, read
from focus_rtl.verif.sec.cycles import ROWS as SEC_ROWS

__all__ = ["TABLES", "TARGETS", "Table", "check", "differences", "render", "stale", "write"]

PAGE = ROOT / "docs" / "arithmetic.md"
CONCENTRATOR_PAGE = ROOT / "docs" / "concentrator.md"
SEC_PAGE = ROOT / "docs" / "sec.md"
SYNTHESIS_PAGE = ROOT / "docs" / "synthesis.md"

Records = Mapping[str, Record]
Cells = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """store : the file of its records.  designs : the records that belong to it, and today's design of each.
    head : titles of the columns, `-:` before those that are set to the right.  row : cells of one record.
    page : where it stands.
    """

    store: Path
    designs: Mapping[str, Callable[[], str]]
    head: Cells
    row: Callable[[str, Record], Cells]
    page: Path = PAGE

    def lines(self, records: Records) -> Iterable[str]:
        """The rows that are recorded, how many are not, and what they were measured with."""
        known = {name: records[name] for name in self.designs if name in records}
        yield from grid(self.head, [cells for name, record in known.items() for cells in self.rows(name, record)])
        yield ""
        if len(known) < len(self.designs):
            yield f"{len(self.designs) - len(known)} of {len(self.designs)} rows are not measured yet."
        if known:
            yield origin(known.values())

    def rows(self, name: str, record: Record) -> Iterable[Cells]:
        """The rows of a record: one."""
        return [self.row(name, record)]


@dataclass(frozen=True)
class Parts(Table):
    """A table of parts: several rows for each record.  parts : what of a record they are made of."""

    parts: Callable[[Record], Iterable[Record]] = lambda record: [record]

    def rows(self, name: str, record: Record) -> Iterable[Cells]:
        """One for each part."""
        return [self.row(name, part) for part in self.parts(record)]


# --- the tables ---


def _value(record: Record, figure: str) -> float:
    return record["figures"][figure]["value"]


def _area(name: str, record: Record) -> Cells:
    unit, _, depth = name.partition(" depth=")
    whole = [f"{_value(record, figure):,}" for figure in ("lut", "ff", "dsp")]
    return (unit, depth, *whole, f"{_value(record, 'fmax'):.0f}", f"{_value(record, 'transistors'):,}",
            f"{_value(record, 'cycles') / 1e6:.1f} M", f"{_value(record, 'cycles_ratio'):.2f}")


def _exhaustive(name: str, record: Record) -> Cells:
    return f"`{name.split()[1]}`", f"{record['cases']:,}", f"{record['of']:,}", record["result"]


def _campaign(name: str, record: Record) -> Cells:
    return (f"`{name.split()[1]}`", str(record["seed"]), f"{record['cases']:,}", record["result"],
            f"{record['bins']:,}", f"{record['bins_reached']:,}", f"{record['least_hits']:,}")


def _proof(name: str, record: Record) -> Cells:
    return f"`{name.split()[1]}`", record["claim"], record["result"], f"{record['seconds']:.1f}"


def _film(name: str, record: Record) -> Cells:
    return (record["film"], *(f"{record[each]:,}" for each in ("cases", "vectors", "matched", "band", "different",
                                                               "elements", "wrong")))


def _rtl_film(name: str, record: Record) -> Cells:
    _, block, dtype, representative = name.split()
    whole = [(f"{film['compared']:,}", f"{film['matched']:,}") for film in record["films"]]
    return (" x ".join(block.split("x")), f"`{dtype}`", f"`{representative}`", *whole[0],
            *(whole[1] if len(whole) > 1 else ("-", "-")), str(record["different"]))


def _speed(name: str, record: Record) -> Cells:
    _, dtype, representative = name.split()
    return (f"`{dtype}`", f"`{representative}`", f"{record['rate'] / 1e6:.2f} M", f"{record['baseline'] / 1e6:.2f} M",
            f"{record['ratio']:.1f}x", f"{record['memory'] / 1e6:.0f}", f"{record['published_sparsity']:.1%}",
            f"{record['unique_ratio']:.1%}")


def _sec_cycles(name: str, record: Record) -> Cells:
    _, sorter, tokens, k = name.split()
    counts = (f"{record[key]:,}" for key in ("cycles", "published", "qk"))
    return f"`{sorter}`", f"{int(tokens):,}", f"{int(k):,}", *counts, f"{record['cycles'] / record['qk']:.3%}"


def _sec_area(name: str, record: Record) -> Cells:
    return (f"`{name.split()[1]}`", *(f"{record[key]:,}" for key in ("lut", "ff", "ram")), f"{record['fmax']:.0f}",
            f"{record['transistors']:,}")


def _board(name: str, record: Record) -> Cells:
    seeds = ", ".join(f"{mhz:g}" for mhz in record["seeds"].values())
    cells = record["used"].get("lut", 0)
    return (f"`{name}`", f"`{record['target']}`", *(f"{_value(record, column):,}" for column in COLUMNS),
            f"{_value(record, 'transistors'):,}", f"{cells:,}", f"{cells / record['holds']['lut']:.0%}",
            f"{_value(record, 'fmax_worst'):g}", f"{_value(record, 'fmax_median'):g}", seeds)


def _board_path(name: str, record: Record) -> Cells:
    path = record["critical_path"]
    return (f"`{name}`", f"`{path['start']}`", f"`{path['end']}`", f"{path['ns']:g}", ", ".join(
        f"`{step['unit']}` {step['ns']:g} ns" for step in path["steps"]))


def _board_unit(name: str, unit: Record) -> Cells:
    return (f"`{name}`", f"`{unit['unit']}`", str(unit["count"]), *(f"{unit[column]:,}" for column in COLUMNS),
            f"{unit['transistors']:,}", *(f"{unit['placed'][column]:,}" for column in COLUMNS))


def _outer_units(record: Record) -> list[Record]:
    return [unit for unit in record["units"] if "." not in unit["unit"]]


def _fit(name: str, record: Record) -> Cells:
    target, *what = name.split()
    return (f"`{' '.join(what)}`", f"`{target}`", *(f"{_value(record, figure):+.1%}" if figure.startswith("error") else
            f"{_value(record, figure):,}" for figure in ("measured", "estimated", "error", "measured_ff",
                                                         "estimated_ff", "error_ff")))


BOARD_DESIGNS = {name: row.design for name, row in BOARD_ROWS.items()}


def _sec_designs(kind: str) -> dict[str, Callable[[], str]]:
    return {name: row.design for name, row in SEC_ROWS.items() if name.startswith(kind)}


TABLES: dict[str, Table] = {
    "areas": Table(AREAS, {name: row.design for name, row in ROWS.items()}, (
        "unit", "depth", "-:LUT", "-:FF", "-:DSP", "-:Fmax, MHz", "-:transistors", "-:simulated cycles per CPU second",
        "-:of a register's"), _area),
    "exhaustive": Table(ARITHMETIC, {f"exhaustive {name}": space.design for name, space in SPACES.items()}, (
        "sweep", "-:inputs", "-:of", "result"), _exhaustive),
    "campaigns": Table(ARITHMETIC, {f"campaign {name}": campaign.design for name, campaign in CAMPAIGNS.items()}, (
        "campaign", "-:seed", "-:triples", "result", "-:bins", "-:within reach", "-:least hits of one"), _campaign),
    "proofs": Table(ARITHMETIC, {f"proof {name}": claim.design for name, claim in CLAIMS.items()}, (
        "claim", "for all inputs", "result", "-:CPU s"), _proof),
    "films": Table(CONCENTRATOR, dict.fromkeys(film.RECORDS, film.design), (
        "film", "-:cases", "-:decisions", "-:matches", "-:in the band", "-:of them different",
        "-:elements of representatives", "-:wrong"), _film, CONCENTRATOR_PAGE),
    "rtl_films": Table(CONCENTRATOR, {name: partial(core_film.design, number)
                                      for number, name in enumerate(core_film.NAMES)}, (
        "block", "format", "representative", "-:photograph: words", "-:matches", "-:film: words", "-:matches",
        "-:words that differ"), _rtl_film, CONCENTRATOR_PAGE),
    "layers": Table(CONCENTRATOR, dict.fromkeys(speed.RECORDS, film.design), (
        "format", "representative", "-:vectors per CPU second", "-:the textbook's", "-:ratio", "-:memory, MB",
        "-:published sparsity", "-:unique / in"), _speed, CONCENTRATOR_PAGE),
    "sec_cycles": Table(SEC, _sec_designs("cycles"), (
        "`top_k`", "-:M", "-:k", "-:cycles", "-:M k / a", "-:Q K^T, image rows", "-:share of it"), _sec_cycles,
        SEC_PAGE),
    "sec_areas": Table(SEC, _sec_designs("area"), (
        "unit", "-:LUT", "-:FF", "-:RAM blocks", "-:Fmax, MHz", "-:transistors, without memories"), _sec_area,
        SEC_PAGE),
    "boards": Table(BOARDS, BOARD_DESIGNS, (
        "preset", "target", "-:LUT", "-:FF", "-:DSP", "-:RAM", "-:transistors", "-:cells placed, with the harness",
        "-:of the target's", "-:Fmax, MHz: worst", "-:median", "-:of every seed"), _board, SYNTHESIS_PAGE),
    "board_paths": Table(BOARDS, BOARD_DESIGNS, (
        "preset", "slowest path from", "to", "-:ns", "through"), _board_path, SYNTHESIS_PAGE),
    "board_units": Parts(BOARDS, BOARD_DESIGNS, (
        "preset", "unit", "-:how many", "-:LUT each", "-:FF", "-:DSP", "-:RAM", "-:transistors", "-:LUT placed",
        "-:FF", "-:DSP", "-:RAM"), _board_unit, SYNTHESIS_PAGE, _outer_units),
    "fit": Table(FIT, {name: point.design for name, point in POINTS.items()}, (
        "preset or unit", "target", "-:LUT or logic cells", "-:estimated", "-:error", "-:FF", "-:estimated",
        "-:error"), _fit, SYNTHESIS_PAGE),
}


@dataclass(frozen=True)
class Target:
    """Words, the rows it is for, the most of some figures and the least Fmax."""

    words: str
    rows: str
    most: dict[str, int]
    fmax: int

    def met(self, record: Record) -> bool:
        """Whether a row meets it."""
        return (all(_value(record, figure) <= most for figure, most in self.most.items())
                and _value(record, "fmax") >= self.fmax)


TARGETS = (
    Target("fp16 PE: 900 LUT, 80 MHz", "pe dtype=fp16 depth=", {"lut": 900}, 80),
    Target("int8 PE: 40 LUT, 1 DSP, 140 MHz", "pe dtype=int8 depth=", {"lut": 40, "dsp": 1}, 140),
)


def _targets(records: Records) -> Iterable[str]:
    rows = []
    for target in TARGETS:
        measured = {name: record for name, record in records.items() if name.startswith(target.rows)}
        met = [f"depth {name.removeprefix(target.rows)}" for name, record in measured.items() if target.met(record)]
        rows.append((target.words, ", ".join(met) or ("none" if measured else "not measured yet")))
    return grid(("target", "met at"), rows)


def render(name: str) -> str:
    """The lines of a table."""
    lines = _targets(read(AREAS)) if name == "targets" else TABLES[name].lines(read(TABLES[name].store))
    return "\n".join(lines) + "\n"


def _filled(text: str) -> str:
    for name in shown(text):
        if name not in (*TABLES, "targets"):
            raise SystemExit(f"error: no table {name}; there are {', '.join(TABLES)}, targets")
    return filled(text, {name: partial(render, name) for name in (*TABLES, "targets")})


def stale() -> list[str]:
    """Complaints about records: of another design than today's, or of nothing that is measured any more."""
    found = []
    for store in dict.fromkeys(table.store for table in TABLES.values()):
        designs = {name: design for table in TABLES.values() if table.store == store
                   for name, design in table.designs.items()}
        for name, record in read(store).items():
            if name not in designs:
                found.append(f"{store.name}: {name}: no such row any more; take it out")
            elif record["design_sha256"] != designs[name]():
                found.append(f"{store.name}: {name}: its design has changed since; measure it again: "
                             f"{record['command']}")
    return found


def _pages(page: Path | None) -> list[Path]:
    return list(dict.fromkeys(table.page for table in TABLES.values())) if page is None else [page]


def _names(page: Path) -> list[str]:
    """Tables that a page must have; all of them if it is none of the known ones."""
    own = [name for name, table in TABLES.items() if table.page == page]
    return own if own and page != PAGE else [*(own or TABLES), "targets"]


def write(page: Path | None = None) -> None:
    """Render the tables of a page, or of all."""
    for each in _pages(page):
        each.write_text(_filled(each.read_text(encoding="utf-8")), encoding="utf-8")


def differences(page: Path | None = None) -> list[str]:
    """Complaints about a page, or all: tables that differ from their records, and those that it lacks."""
    return [complaint for each in _pages(page) for complaint in _differences(each)]


def _differences(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    _filled(text)  # refuses unknown names
    tables = shown(text)
    found = [f"{page.name}: the table {name} is missing" for name in _names(page) if name not in tables]
    return found + [f"{page.name}: the table {name} differs from its records; cure: python -m focus_rtl.verif.tables "
                    "write" for name, lines in tables.items() if lines != render(name)]


def check(page: Path | None = None) -> list[str]:
    """All complaints: `differences`, and stale records."""
    return differences(page) + stale()


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.tables", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("write", "check"))
    if parser.parse_args().action == "write":
        write()
        return 0
    complaints = check()
    print("\n".join(complaints) or "every table is as recorded, and no record is stale")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
