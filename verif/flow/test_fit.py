# SPDX-License-Identifier: Apache-2.0
"""What a core takes before it is synthesised: exact where it is counted, near where it is weighed; the way down."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
from amaranth import Const, Module
from amaranth.lib.wiring import In, Out

from focus_rtl.gen.configuration import load, preset_names
from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.flow import command
from focus_rtl.gen.flow.estimate import WEIGHTS, Estimate, estimate_design
from focus_rtl.gen.flow.features import features_of, products_of, tidied, tiles_of
from focus_rtl.gen.flow.fit import MOVES, nearest_that_fits, smaller
from focus_rtl.gen.flow.harness import harness_of
from focus_rtl.gen.flow.names import HARNESS, TOP
from focus_rtl.gen.flow.netlist import NETLIST, named_cells, netlist_of
from focus_rtl.gen.flow.targets import COLUMNS, TARGETS
from focus_rtl.gen.units import choose
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.numeric.pipeline import Begin
from focus_rtl.hdl.sic.likeness import Likeness
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.gen.support import focus_rtl

CHIP = TARGETS["ecp5-25k"]
REGRESS = load("regress-int8").parameters


class Sums(Unit):
    """Two registered sums, a product, a small memory, and a large one.

    Members
    -------
    a, b : In(20).  en : In(1).  y : Out(20).  p : Out(40).  small, large : Out(20), what the memories read.
    """

    def __init__(self) -> None:
        super().__init__({"a": In(20), "b": In(20), "en": In(1), "y": Out(20), "p": Out(40), "small": Out(20),
                          "large": Out(20)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, words in (("small", 16), ("large", 64)):
            ram = place(m, f"{name}_ram", Ram(20, words))
            m.d.comb += [ram.w_en.eq(self.en), ram.w_addr.eq(self.a), ram.r_addr.eq(self.b), ram.r_en.eq(~self.en),
                         ram.w_data.eq(self.b), getattr(self, name).eq(ram.r_data)]
        m.d.sync += [self.y.eq(self.a + self.b), self.p.eq(self.a * self.b)]
        return m


def test_what_is_counted_is_exact(tmp_path: Path) -> None:
    design = verilog_of(Sums(), "", "core")
    modules = tidied(design, tmp_path)
    features, products = features_of(design, modules), products_of(design, modules, tmp_path)
    assert features["core"]["add"] == 20 and features["core"]["ff"] == 60 and products == {(20, 20): 1}
    assert [tiles_of(*size) for size in ((20, 20, 18), (18, 18, 18), (8, 20, 16), (36, 19, 18), (36, 17, 18))] == [
        4, 1, 2, 2, 2]
    assert (tiles_of(4, 4, 18), tiles_of(4, 5, 18), tiles_of(5, 5, 16), tiles_of(1, 30, 18)) == (0, 1, 0, 0)
    found = estimate_design(design, CHIP).takes
    assert (found["dsp"], found["ram"], found["ff"]) == (4, 1, 60 + 20), "a distributed memory keeps what it has read"
    other = estimate_design(design, TARGETS["ice40-hx8k"]).takes
    assert other["ram"] == 2 * 2, "16 words are many on iCE40"
    assert other["dsp"] == 0 and other["lut"] > 20 * 20, "without multipliers products are made of logic"


class Times(Unit):
    """A product, `y` = a * b, registered, of any two numbers of 20 bits."""

    def __init__(self) -> None:
        super().__init__({"a": In(20), "b": In(20), "y": Out(40)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.y.eq(self.a * self.b)
        return m


class Twice(Unit):
    """One module's product of two operands, and of one with a constant: `bits` of it, then zeros."""

    def __init__(self, bits: int) -> None:
        super().__init__({"a": In(20), "b": In(20), "both": Out(40), "one": Out(40)}, bits=bits)
        self._bits = bits

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, b in (("both", self.b), ("one", Const((2**self._bits - 1) << 20 - self._bits, 20))):
            times = place(m, f"times_{name}", Times())
            m.d.comb += [times.a.eq(self.a), times.b.eq(b), getattr(self, name).eq(times.y)]
        return m


@pytest.mark.parametrize(("bits", "left"), [(1, 0), (7, 2), (20, 4)])
def test_a_constant_leaves_less_of_a_product(bits: int, left: int) -> None:
    """Of the instance that is given it, and not of the other one of the same module."""
    assert estimate_design(verilog_of(Twice(bits), "", "core"), CHIP).takes["dsp"] == 4 + left


class Verdict(Unit):
    """The matcher's last comparison, where one of the factors is 1.0."""

    def __init__(self, p: Parameters) -> None:
        self._likeness = Likeness(p)
        q, n = self._likeness.q_bits, self._likeness.n_bits
        super().__init__({"q": In(q), "n": In(n), "own": In(n), "t2": In(32), "o": Out(1)}, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(self._likeness.verdict(m, self.q, self.n, self.own, self.t2, Begin(Const(1), 1)))
        return m


@pytest.mark.parametrize(("dtype", "multipliers"), [("fp16", 4 + 4), ("int8", 4)])
def test_the_verdict_takes_the_multipliers_that_were_counted(dtype: str, multipliers: int, tmp_path: Path) -> None:
    params = load("regress", [f"dtype={dtype}", "compare_multiplier=dsp"]).parameters
    design = verilog_of(Verdict(params), "", "core")
    assert estimate_design(design, CHIP).takes["dsp"] == multipliers
    assert netlist_of(design, None, CHIP, tmp_path).flat["dsp"] == multipliers


def test_the_estimate_is_near_what_synthesis_finds(tmp_path: Path) -> None:
    """A unit with every kind of logic, of other sizes than the one that the weights were fitted to."""
    chip = TARGETS["ice40-hx8k"]
    design = verilog_of(choose("sec", ["tokens_max=256", "lanes=4", "offset_bits=4"]).make(), "", "core")
    guess = estimate_design(design, chip).takes
    harness = harness_of(design)
    netlist = netlist_of(design, harness, chip, tmp_path)
    found = netlist.whole
    assert (guess["dsp"], guess["ram"]) == (found["dsp"], found["ram"]) and found["ram"] > 0
    assert guess["ff"] == pytest.approx(found["ff"], rel=0.05)
    own = round(WEIGHTS["ice40"].cells_per_ff * guess["ff"])  # cells without a look-up table
    assert guess["lut"] - own == pytest.approx(found["lut"], rel=0.35)  # of a single unit; a core is nearer
    # The same netlist, borders gone: every unit is still there, and every cell is somebody's.
    named = named_cells(chip.family, tmp_path / NETLIST, harness.top)
    assert {column: sum(takes[column] for takes in named.values()) for column in COLUMNS} == netlist.flat
    for (branch, takes), placed in zip(netlist.units, netlist.placed, strict=True):
        assert placed["ram"] == takes["ram"] and placed["lut"] > takes["lut"] / 2, branch.label
    outer = {branch.path: placed for (branch, _), placed in zip(netlist.units, netlist.placed, strict=True)
             if len(branch.path) == 1}
    within = {unit.split(".")[0] for unit in named} - {HARNESS, TOP}
    assert {path[0] for path in outer} == within and named[HARNESS]["ff"] >= 20


def test_what_is_in_excess() -> None:
    found = Estimate({"lut": 26_000, "ff": 100, "dsp": 28, "ram": 57}, {})
    assert found.excess(CHIP, 0.9).keys() == {"ram"}, "the look-up tables may be fewer than estimated"
    assert found.excess(CHIP, 1.1).keys() == {"lut", "ram"}
    one = Estimate({"lut": 1, "ff": 1, "dsp": 1, "ram": 1}, {})
    assert one.excess(TARGETS["ice40-hx8k"]).keys() == {"dsp"}, "it holds none"


def lanes(params: Parameters) -> Estimate:
    """A price list, so that the way down is known."""
    return Estimate({"lut": 500 * params.cols * params.rows, "ff": 0, "dsp": params.matcher_lanes,
                     "ram": params.psum_banks * params.scatter_lanes}, {})


def test_the_way_down_ends_at_the_first_that_fits() -> None:
    told: list[str] = []
    found = nearest_that_fits(REGRESS, lanes, lambda each: {"dsp": 2.0} if each.takes["dsp"] > 4 else {}, told.append)
    assert found.fits and found.parameters.matcher_lanes == 4 and found.found.takes["dsp"] == 4
    assert found.parameters == dataclasses.replace(REGRESS, **found.changes)
    assert told[0] == "estimating what was asked for" and "matcher_lanes=4" in told[-1]
    same = nearest_that_fits(REGRESS, lanes, lambda _each: {})
    assert same.fits and same.changes == {} and same.parameters == REGRESS


def test_far_from_what_fits_it_takes_several_steps_at_once() -> None:
    told: list[str] = []
    price = {"lut": 64.0, "dsp": 1e9}

    def excess(column: str) -> list[int]:
        """Keys changed in each estimate: first none, then all for what is smallest, where that fits."""
        told.clear()
        nearest_that_fits(REGRESS, lanes, lambda each: {column: price[column]} if each.takes["lut"] > 500 else {},
                          told.append)
        return [step.count("=") for step in told]

    assert excess("lut")[2] == 3, "64 is four times four times four"
    assert excess("dsp")[2] == 1, "a target may have no multipliers at all"


def test_no_step_leads_back_up() -> None:
    """Multipliers and look-up tables are too many in turn; what saves the one must not be undone for the other."""
    columns, seen = itertools.cycle(["dsp", "lut"]), list[Parameters]()

    def weigh(params: Parameters) -> Estimate:
        assert params not in seen[2:], "the same again"
        seen.append(params)
        return lanes(params)

    shared = dataclasses.replace(REGRESS, compare_multiplier="shared", matchers=1)
    found = nearest_that_fits(shared, weigh, lambda _each: {"dsp" if len(seen) < 3 else next(columns): 2.0})
    assert not found.fits and found.parameters.compare_multiplier == "shared" and len(seen) > 10


def test_what_is_too_large_at_its_smallest_is_refused_at_once() -> None:
    told: list[str] = []
    found = nearest_that_fits(REGRESS, lanes, lambda _each: {"ram": 1.6}, told.append)
    assert not found.fits and len(told) == 2 and (found.parameters.rows, found.parameters.m_tile) == (1, 8)
    assert found.parameters == dataclasses.replace(REGRESS, **found.changes)
    told.clear()
    assert not nearest_that_fits(REGRESS, lanes, lambda _each: {"ram": 1.4}, told.append).fits
    assert len(told) > 5, "another way down might do"
    again = nearest_that_fits(found.parameters, lanes, lambda _each: {"ram": 1.6})
    assert not again.fits and again.changes == {} and command._cure(again) == (
        "nothing smaller is known; take a larger target")


def test_what_did_not_help_is_taken_back() -> None:
    """RAM blocks follow from the columns alone here: what is tried before them stays as it was asked for."""
    found = nearest_that_fits(REGRESS, lambda params: Estimate({"lut": 0, "ff": 0, "dsp": 0, "ram": params.cols}, {}),
                              lambda each: {"ram": 2.0} if each.takes["ram"] > 2 else {})
    assert found.fits and found.changes == {"cols": 2} and found.parameters.cols == 2 == found.found.takes["ram"]
    assert found.parameters == dataclasses.replace(REGRESS, cols=2)


def test_where_nothing_is_small_enough_it_says_so() -> None:
    found = nearest_that_fits(REGRESS, lanes, lambda _each: {"lut": 1.5})
    assert not found.fits and (found.parameters.rows, found.parameters.cols) == (1, 1)
    assert found.parameters.vector == 2 and found.parameters.block == (1, 1, 2)


@pytest.mark.parametrize("column", MOVES)
def test_every_step_is_legal_and_smaller(column: str) -> None:
    for name in preset_names():
        params = load(name).parameters
        values = {key: getattr(params, key) for key in Parameters.KINDS}
        steps = list(smaller(values, column))
        assert steps
        for step in steps:
            Parameters(**step)
            for key in ("rows", "cols", "vector", "m_tile", "matchers", "matcher_lanes", "psum_banks"):
                assert step[key] <= values[key]


BOARDS = {"ice40-up5k": (4, 4, 64), "ecp5-25k": (8, 16, 256), "ecp5-85k": (8, 64, 256), "ecp5-85k-fp16": (8, 16, 256)}
"""At least: V, PEs, tokens to prune among."""


def test_presets_of_boards_have_every_unit() -> None:
    for name, (vector, pes, tokens) in BOARDS.items():
        p = load(name).parameters
        assert p.vector >= vector and p.m_tile >= 32 and p.block == (2, 2, 2)
        assert all(side >= least for side, least in zip(p.grid_max, (4, 8, 8), strict=True))
        assert p.rows * p.cols >= pes and p.sec_tokens_max >= tokens
    assert {name for name in preset_names() if name.startswith(("ecp5", "ice40"))} == set(BOARDS)


@pytest.mark.parametrize(("lut", "words"), [(20_000, "tiny fits ecp5-25k"), (24_000, "may just fit ecp5-25k: only")])
def test_the_command_says_whether_it_fits(lut: int, words: str, monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    found = Estimate({"lut": lut, "ff": 9000, "dsp": 18, "ram": 24}, {"array": 1000, "gather": 3000})
    monkeypatch.setattr(command, "estimate", lambda *_: found)
    command.fit("tiny", (), "ecp5-25k", False)
    said = capsys.readouterr().out
    assert words in said and "most LUTs: gather 3,000, array 1,000" in said and "64 %" in said
    command.fit("tiny", (), "ecp5-25k", True)
    assert json.loads(capsys.readouterr().out)["sure"] == (lut == 20_000)


def test_the_command_proposes_what_fits(tmp_path: Path) -> None:
    done = focus_rtl("fit", "--target", "ecp5-25k", "--set", "scale_share=1", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: ecp5-25k does not fit ecp5-25k: 34 DSP of 28" in done.stderr, done.stderr
    assert "cure: --set scale_share=4 fits:" in done.stderr
    assert "estimating scale_share=4 ..." in done.stderr
    found = json.loads(done.stdout)
    assert not found["fits"] and not found["sure"] and found["takes"].keys() == set(COLUMNS)
    assert found["proposal"]["changes"] == {"scale_share": 4} and found["proposal"]["takes"]["dsp"] == 22
    assert sum(found["units"].values()) == pytest.approx(found["takes"]["lut"], rel=0.2)
