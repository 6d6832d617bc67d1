# SPDX-License-Identifier: Apache-2.0
"""What a synthesis found, as JSON and as a page: whole, or marked as what there is of it."""

import dataclasses
import statistics
from dataclasses import dataclass, field
from typing import Any

from focus_rtl.gen.flow.mapping import Mapped
from focus_rtl.gen.flow.route import Routed
from focus_rtl.gen.flow.targets import COLUMNS, Target

__all__ = ["SCHEMA", "Report", "UnitRow"]

SCHEMA = "focus-rtl-synth/2"

HEADERS = ("unit", "LUT", "FF", "DSP", "RAM", "transistors", "LUT placed", "FF placed")


@dataclass(frozen=True)
class UnitRow:
    """A unit: its label in the table, its names from the top, and what one of it takes, its parts included.

    placed : what the first of them has left in the netlist that is placed, borders gone.
    """

    label: str
    name: str
    count: int
    takes: dict[str, int]
    placed: dict[str, int]
    transistors: int


@dataclass
class Report:
    """What is known so far; `problem` says why it is not all.

    whole : what the design takes, by column, after synthesis and without its harness; flat : the same with its harness
    and without borders between units, as it is placed.  registers : the harness's own.
    expected : multipliers and RAM blocks that follow from the products and the memories of the design.
    """

    name: str
    target: Target
    mhz: float
    configuration: dict[str, Any]
    config_sha256: str
    design_sha256: str
    tools: dict[str, str]
    wanted: int
    units: list[UnitRow] = field(default_factory=list)
    whole: dict[str, int] = field(default_factory=dict)
    flat: dict[str, int] = field(default_factory=dict)
    transistors: int | None = None
    registers: int = 0
    memories: list[Mapped] = field(default_factory=list)
    expected: dict[str, int] = field(default_factory=dict)
    placements: list[Routed] = field(default_factory=list)
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for is there."""
        return not self.problem and len(self.placements) == self.wanted

    @property
    def worst(self) -> Routed:
        """The slowest placement."""
        return min(self.placements, key=lambda placement: placement.mhz)

    @property
    def median(self) -> float:
        """Fmax in MHz, median of the placements."""
        return statistics.median(placement.mhz for placement in self.placements)

    def problems(self) -> list[str]:
        """What is not as the configuration says."""
        wrong = [f"{self.flat[column]} {column.upper()} were inferred, and {count} were expected"
                 for column, count in self.expected.items() if self.flat[column] != count]
        # A border keeps constants from products; it neither adds memories nor takes multipliers away.
        wrong += [f"{self.flat[column]} {column.upper()} are placed, and the units have {self.whole[column]}"
                  for column in self.expected if self.whole[column] < self.flat[column]
                  or (column == "ram" and self.whole[column] != self.flat[column])]
        return [mapped.problem for mapped in self.memories if mapped.problem] + wrong

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = {
            "schema": SCHEMA, "complete": self.complete, "problem": self.problem, "name": self.name,
            "target": self.target.name, "clock_mhz": self.mhz, "configuration": self.configuration,
            "config_sha256": self.config_sha256, "design_sha256": self.design_sha256, "tools": self.tools,
            "holds": dict(self.target.holds),
            "units": [{"unit": row.name, "count": row.count, **row.takes, "transistors": row.transistors,
                       "placed": row.placed} for row in self.units],
            "whole": {**self.whole, "transistors": self.transistors}, "flat": self.flat,
            "harness_registers": self.registers,
            "expected": self.expected, "problems": self.problems(),
            "memories": [{**dataclasses.asdict(mapped), "problem": mapped.problem} for mapped in self.memories]}
        if self.placements:
            worst = self.worst
            found |= {"seeds": {str(each.seed): each.mhz for each in self.placements}, "fmax_worst_mhz": worst.mhz,
                      "fmax_median_mhz": self.median, "used": worst.used,
                      "critical_path": dataclasses.asdict(worst.path)}
        return found

    def rows(self) -> list[tuple[str, ...]]:
        """The table of units, the whole design, and what the target holds."""
        def cells(takes: dict[str, int]) -> tuple[str, ...]:
            return tuple(f"{takes[column]:,}" if column in takes else "" for column in COLUMNS)

        def gates(value: int | None) -> str:
            return "" if value is None else f"{value:,}"

        rows = [(row.label, *cells(row.takes), gates(row.transistors), f"{row.placed['lut']:,}",
                 f"{row.placed['ff']:,}") for row in self.units]
        rows.append(("whole", *cells(self.whole), gates(self.transistors), "", ""))
        rows.append(("borders gone, with the harness", *cells(self.flat), "", "", ""))
        if self.placements:
            rows.append(("placed, with the harness", *cells(self.worst.used), "", "", ""))
        rows.append((f"{self.target.name} holds", *cells(dict(self.target.holds)), "", "", ""))
        return rows

    def sentences(self) -> list[str]:
        """What the table does not say."""
        said = [] if self.complete else [f"NOT COMPLETE: {self.problem or 'it was interrupted'}"]
        if self.placements:
            path = self.worst.path
            seeds = ", ".join(f"{each.mhz:g} (seed {each.seed})" for each in self.placements)
            said += [f"Fmax: worst {self.worst.mhz:g} MHz, median {self.median:g} MHz, asked for {self.mhz:g}: {seeds}",
                     f"slowest path: {path.ns:g} ns from {path.start} to {path.end}, through "
                     + ", ".join(f"{step.unit} ({step.ns:g} ns, {step.cells} cells)" for step in path.steps)]
        blocks = " and ".join(f"{count} {column.upper()}" for column, count in self.expected.items())
        said += self.problems() or [f"{blocks} follow from the configuration, and were inferred"]
        said.append(f"the harness has {self.registers:,} flip-flops of its own; "
                    + ", ".join(f"{name} {version}" for name, version in self.tools.items()))
        return said

    def page(self) -> str:
        """The table and the sentences as Markdown."""
        lines = [f"# {self.name} on {self.target.name}", "", f"| {' | '.join(HEADERS)} |",
                 "|---|" + "---:|" * (len(HEADERS) - 1)]
        lines += [f"| {'&emsp;' * ((len(row[0]) - len(row[0].lstrip())) // 2)}{row[0].strip()} | "
                  + " | ".join(row[1:]) + " |" for row in self.rows()]
        return "\n".join([*lines, "", *(f"- {sentence}" for sentence in self.sentences())]) + "\n"
