# SPDX-License-Identifier: Apache-2.0
"""What is measured of the concentrator: every row by name, its configuration, its design and how it is measured."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from focus_rtl.gen.configuration import load
from focus_rtl.gen.emit import verilog_of
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.core import Core
from focus_rtl.hdl.sic.gather import Gather
from focus_rtl.hdl.unit import Unit
from focus_rtl.verif.records import design_of
from focus_rtl.verif.sic.areas import UNITS, area_of, share_of
from focus_rtl.verif.sic.film import film
from focus_rtl.verif.sic.gather_rate import DATA, gather_rate, tile_data
from focus_rtl.verif.sic.hidden import hidden, worst_case
from focus_rtl.verif.sic.scatter_path import ScatterPath
from focus_rtl.verif.sic.scatter_rate import scatter_rate, shares

__all__ = ["ROWS", "Figures", "Row"]

Figures = dict[str, tuple[float | int | None, str]]
"""By name: value and unit; None where there is nothing to measure."""


@dataclass(frozen=True)
class Row:
    """A line of a table.

    table : which.  key : what distinguishes the line.  settings : of the preset, as `--set` takes them.
    unit : makes what is emitted.  stimulus : what is played into it; a record with another one does not stand.
    measure : gives the figures.
    """

    table: str
    key: dict[str, int | str]
    preset: str
    settings: tuple[str, ...]
    unit: Callable[[Parameters], Unit]
    stimulus: str
    measure: Callable[[Parameters], Figures]

    @property
    def name(self) -> str:
        """What a record is called, and the command line."""
        return " ".join((self.table, *(f"{name}={value}" for name, value in self.key.items())))

    @functools.cached_property
    def params(self) -> Parameters:
        """The configuration."""
        return load(self.preset, list(self.settings)).parameters

    def design(self) -> str:
        """SHA-256 of the Verilog."""
        return design_of(self.unit(self.params))

    @property
    def words(self) -> str:
        """The configuration as a command line has it."""
        return " ".join((self.preset, *(f"--set {word}" for word in self.settings)))


# --- gather ---


def _gather(kind: str) -> Callable[[Parameters], Figures]:
    def measure(params: Parameters) -> Figures:
        clip = film(load("paper").parameters)
        found = gather_rate(params, verilog_of(Gather(params)), clip.job, tile_data(params, clip, kind, 2))
        return {"cycles": (found.cycles, "cycles per tile"), "tokens": (found.tokens, "tokens"),
                "per_vector": (found.cycles / found.tokens, "cycles per vector"),
                "unique": (found.unique, "vectors"), "compared": (found.compared, "words")}
    return measure


def _gather_rows() -> Iterator[Row]:
    for kind in DATA:
        for lanes in (8, 32):
            for matchers in (1, 2, 4, 7):
                yield Row("gather", {"data": kind.replace(" ", "-"), "matchers": matchers, "lanes": lanes}, "paper",
                          (f"matchers={matchers}", f"matcher_lanes={lanes}"), Gather,
                          "tiles 0 and 1 of the default clip, first layer, output vector 0", _gather(kind))


# --- scatter ---

NARROW = ("rows=2", "cols=2", "vector=2", "matcher_lanes=2")
"""Of scatter, the number of columns changes the width of every word and no cycle."""

MAPS = 16


def _scatter(params: Parameters) -> Figures:
    maps = film(load("paper").parameters).maps[1][:MAPS]
    found = scatter_rate(params, verilog_of(ScatterPath(params)), maps)
    figures: Figures = {}
    for mode, rate in found.items():
        figures |= {mode: (rate.rate, "tokens per cycle"), f"{mode}_cycles": (rate.cycles, "cycles"),
                    f"{mode}_tokens": (rate.tokens, "tokens")}
        figures |= {f"{mode}_{cause}": (share, "of all lane cycles")
                    for cause, share in shares(rate, params.scatter_lanes).items()}
    return figures | {"of_lanes": (found["resident"].rate / params.scatter_lanes, "of S")}


def _scatter_rows() -> Iterator[Row]:
    shapes = [(1, 8, 4)]
    shapes += [(2, banks, 4) for banks in (2, 4, 8, 16, 32)] + [(2, 8, ahead) for ahead in (2, 8, 16)]
    shapes += [(4, banks, 4) for banks in (4, 8, 16, 32)] + [(4, 16, ahead) for ahead in (2, 8, 16)]
    for lanes, banks, ahead in shapes:
        settings = (f"scatter_lanes={lanes}", f"psum_banks={banks}", f"scatter_lookahead={ahead}")
        yield Row("scatter", {"S": lanes, "banks": banks, "ahead": ahead}, "paper", (*NARROW, *settings), ScatterPath,
                  f"maps of the default clip: tile 1, the first {MAPS} k-slices of both layers", _scatter)


# --- hidden behind the GEMM ---

TILES, VECTORS, INNER = 8, 8, 512


def _hidden(params: Parameters) -> Figures:
    found = hidden(params, worst_case(params, INNER, TILES, VECTORS))
    return {"gathered": (found.gathered, "cycles"), "bypassed": (found.bypassed, "cycles"),
            "ideal": (found.ideal, "cycles"), "ratio": (found.ratio, "of bypassed"),
            "per_tile": ((found.gathered - found.bypassed) / found.tiles, "cycles per output tile")}


def _hidden_rows() -> Iterator[Row]:
    for lanes in (32, 16):
        settings = ("m_tile=256", "grid_max=[64, 8, 8]", f"matcher_lanes={lanes}")
        yield Row("hidden", {"dtype": "int8", "array": "32x32", "lanes": lanes}, "paper-int8", settings, Core,
                  f"K = {INNER}, {TILES} m-tiles, {VECTORS} output vectors, random, no two alike", _hidden)


# --- area ---


def _area(unit: type[Unit]) -> Callable[[Parameters], Figures]:
    def measure(params: Parameters) -> Figures:
        units = {"transistors": "transistors", "bits": "bits", "lut": "LUT", "ff": "FF", "dsp": "DSP slices",
                 "ram": "block memories", "fmax_mhz": "MHz"}
        return {name: (value, units[name]) for name, value in asdict(area_of(unit, params)).items()}
    return measure


def _area_rows() -> Iterator[Row]:
    for name in ("matcher", "gather"):
        for lanes in (8, 32):
            for matchers in (1, 7):
                yield Row("area", {"unit": name, "matchers": matchers, "lanes": lanes}, "paper",
                          (f"matchers={matchers}", f"matcher_lanes={lanes}"), UNITS[name], "", _area(UNITS[name]))
    yield Row("area", {"unit": "layouter"}, "paper", (), UNITS["layouter"], "", _area(UNITS["layouter"]))
    for lanes, banks in ((1, 1), (2, 8), (4, 16)):
        yield Row("area", {"unit": "scatter", "S": lanes, "banks": banks}, "paper",
                  (f"scatter_lanes={lanes}", f"psum_banks={banks}"), UNITS["scatter"], "", _area(UNITS["scatter"]))


def _share(params: Parameters) -> Figures:
    found = share_of(params)
    parts: dict[str, Any] = {**found.focus, **found.dense, "pe": found.pe}
    return {**{name: (value, "transistors") for name, value in parts.items()},
            "dense_bits": (found.dense_bits, "bits"), "psum_bits": (found.psum_bits, "bits"),
            "focus_bits": (found.focus_bits, "bits"), "ratio": (found.ratio(), "of array, accumulator and buffers"),
            "ratio_without_psums": (found.ratio(psums=False), "of the same without the psum store"),
            "ratio_with_memories": (found.ratio(memories=True), "of array, accumulator and buffers")}


def _share_rows() -> Iterator[Row]:
    for matchers, lanes in ((1, 8), (1, 32), (2, 8), (4, 8), (7, 8)):
        yield Row("share", {"matchers": matchers, "lanes": lanes}, "paper",
                  (f"matchers={matchers}", f"matcher_lanes={lanes}"), Core, "", _share)


ROWS: dict[str, Row] = {row.name: row for rows in (_gather_rows, _scatter_rows, _hidden_rows, _share_rows, _area_rows)
                        for row in rows()}
