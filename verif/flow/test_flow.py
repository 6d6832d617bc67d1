# SPDX-License-Identifier: Apache-2.0
"""From a design to a report: harness, table of units, critical path, and what stops it on the way."""

import dataclasses
import json
import time
from collections import Counter
from pathlib import Path

import pytest

from focus_rtl.gen import fpga
from focus_rtl.gen.emit import EmittedDesign, PortInfo, verilog_of
from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.flow import run as flow
from focus_rtl.gen.flow.harness import Harness, harness_of
from focus_rtl.gen.flow.names import register_of, unit_of
from focus_rtl.gen.flow.netlist import NETLIST
from focus_rtl.gen.flow.report import Report
from focus_rtl.gen.flow.route import DoesNotFit, critical_path, out_of_context, route, run_nextpnr
from focus_rtl.gen.flow.targets import FAMILIES, Clock, target_named
from focus_rtl.gen.flow.tree import Branch, branches, kept_modules, memory_modules
from focus_rtl.gen.units import choose
from focus_rtl.verif.flow.pretend import HX8K, REPORT, canned, running, stub, with_nextpnr, work_on

# --- the harness --------------------------------------------------------------------------------

def test_harness_holds_every_bit_of_every_port_once() -> None:
    ports = [PortInfo("clk", 1, True), PortInfo("rst", 1, True), PortInfo("a", 3, True), PortInfo("b", 1, True),
             PortInfo("y", 5, False), PortInfo("z", 2, False)]
    made = harness_of(EmittedDesign("top", "", ["top"], {}, ports))
    assert made.top == "top_harness" and made.registers == 4 + 3 + 1
    for link in (".clk(clk)", ".rst(reset)", ".a(source[2:0])", ".b(source[3:3])", ".y(found[4:0])", ".z(found[6:5])"):
        assert made.text.count(link) == 1
    assert "reg [3:0] source" in made.text and "reg [2:0] signature" in made.text
    with pytest.raises(ValueError, match="0 bits of inputs and 5 of outputs"):
        harness_of(EmittedDesign("top", "", ["top"], {}, [ports[4]]))


def dead(harness: Harness, ports: list[PortInfo], folder: Path) -> list[str]:
    """Bits of a design's ports, a black box, that nothing shifts into or nobody reads: in what Yosys makes of it."""
    pins = ", ".join(f"{'input' if port.inward else 'output'} [{port.width - 1}:0] {port.name}" for port in ports)
    (folder / "harness.v").write_text(f"(* blackbox *) module box({pins}); endmodule\n{harness.text}")
    fpga.run_tool(fpga.yosys(), folder, "-q", "-p", f"read_verilog harness.v; hierarchy -top {harness.top}; proc; "
                  "opt; splitcells; simplemap; opt_clean; write_json harness.json")
    cells = json.loads((folder / "harness.json").read_text())["modules"][harness.top]["cells"].values()
    (box,) = (cell["connections"] for cell in cells if cell["type"] == "box")
    kept = {bit for cell in cells if "DFF" in cell["type"] for bit in cell["connections"]["Q"]}
    read = {bit for cell in cells if cell["type"] != "box" for pin, bits in cell["connections"].items()
            if pin in "ABD" for bit in bits}
    inner = [port for port in ports if port.name not in ("clk", "rst")]
    fed = Counter(bit for port in inner if port.inward for bit in box[port.name])
    return [f"{port.name}[{number}]" for port in inner for number, bit in enumerate(box[port.name])
            if (fed[bit] != 1 or bit not in kept if port.inward else bit not in read)]


def test_nothing_is_stuck_and_nothing_unread_in_the_harness(tmp_path: Path) -> None:
    ports = [PortInfo("clk", 1, True), PortInfo("rst", 1, True), PortInfo("a", 6, True), PortInfo("b", 1, True),
             PortInfo("y", 7, False), PortInfo("z", 4, False)]
    made = harness_of(EmittedDesign("box", "", ["box"], {}, ports))
    assert made.registers == 7 + 4 + 1 and dead(made, ports, tmp_path) == []
    for old, new, bits in ((".a(source[5:0])", ".a({source[5:1], 1'b0})", ["a[0]"]),
                           (".b(source[6:6])", ".b(source[2])", ["a[2]", "b[0]"]),
                           ("found[7:4]", "4'd0", ["y[4]", "y[5]", "y[6]", "z[0]"]),
                           ("found[11:8]", "{found[9], found[9], found[9], found[8]}", ["z[3]"])):
        assert old in made.text
        broken = dataclasses.replace(made, text=made.text.replace(old, new))
        assert dead(broken, ports, tmp_path) == bits


# --- the tree of units --------------------------------------------------------------------------

def test_rows_follow_the_instances_and_memories_are_apart() -> None:
    design = verilog_of(choose("importance", ["tokens_max=64", "lanes=2"]).make(), "", "core")
    (memory,) = memory_modules(design).items()
    assert memory[1] == (32, 30), "64 tokens, two of 15 bits a word"
    rows = branches(design)
    assert memory[0] not in {row.module for row in rows} and memory[0] in kept_modules(design)
    assert kept_modules(design)[0] == "core" == design.top
    assert Branch(("array", "row0"), "pe_row", 4).label == "  row0 x 4"


# --- the slowest path ---------------------------------------------------------------------------

@pytest.mark.parametrize(("cell", "unit", "register"), [
    ("core.gather.matcher.best_TRELLIS_FF_Q_3", "gather.matcher", "gather.matcher.best"),
    ("core.count_SB_DFFESR_Q", "(top)", "(top).count"), ("source_TRELLIS_FF_Q_5", "harness", "harness.source"),
    ("core.a.sum_LUT4_Z_CCU2C_S0$CCU2_COMB1", "a", "a.sum"), ("core.a.$abc$9.x", "a", "a"),
    ("$nextpnr_LC_1", "harness", "harness")])
def test_cells_are_called_by_the_names_of_their_units(cell: str, unit: str, register: str) -> None:
    assert (unit_of(cell), register_of(cell)) == (unit, register)


def test_the_slowest_path_is_told_by_unit() -> None:
    path = critical_path(REPORT)
    assert (path.start, path.end, path.ns) == ("gather.best", "scatter.lane0.sum", 39.94)
    assert [(step.unit, step.ns, step.cells) for step in path.steps] == [("gather", 6.0, 3),
                                                                        ("scatter.lane0", 33.94, 1)]


# --- constraints --------------------------------------------------------------------------------

def test_one_clock_makes_the_constraints_of_every_family() -> None:
    clock = Clock("clk", 62.5)
    assert {name: family.constraints(clock) for name, family in FAMILIES.items()} == {
        "ecp5": 'FREQUENCY PORT "clk" 62.5 MHZ;\n', "ice40": "set_frequency clk 62.5\n"}


def test_a_misspelt_target_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(CommandError, match="the targets are ecp5-25k, ecp5-45k") as caught:
        target_named("up5k")
    assert caught.value.cure == "try --target ice40-up5k"


# --- placing and routing, with stubs for what the real tool does not do on demand ----------------

def test_a_report_becomes_a_placement(tmp_path: Path) -> None:
    (tmp_path / "canned").write_text(json.dumps(REPORT))
    body = 'echo "$@" > said; cp canned report.json'
    found = route(with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", body)), Clock("clk", 48), tmp_path, 7)
    assert (found.seed, found.mhz, found.used) == (7, 25.0, {"lut": 90, "ram": 1})
    said = (tmp_path / "said").read_text()
    assert "--hx8k --package ct256 --pcf-allow-unconstrained --pcf clock.pcf" in said
    assert f"--timing-allow-fail --json {NETLIST} --seed 7" in said
    assert (tmp_path / "clock.pcf").read_text() == "set_frequency clk 48\n"


def test_a_design_without_room_is_refused_in_words(tmp_path: Path) -> None:
    body = "echo \"ERROR: Unable to place cell 'core.m', no BELs remaining to implement cell type 'RAM'\"; exit 1"
    with pytest.raises(DoesNotFit, match=r"does not fit ice40-hx8k: Unable to place cell 'core\.m', no BELs") as caught:
        route(with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", body)), Clock("clk", 48), tmp_path, 1)
    assert caught.value.code == 2 and "fit --target ice40-hx8k" in caught.value.cure


def test_a_unit_without_room_is_refused_out_of_context_as_well(tmp_path: Path) -> None:
    body = "echo 'ERROR: Unable to place cell X'; exit 1"
    family = with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", body)).family
    with pytest.raises(DoesNotFit, match="does not fit ice40 25k: Unable to place cell X"):
        run_nextpnr(family, out_of_context("25k", "CABGA381", 150), tmp_path, NETLIST, 1)


def test_any_other_failure_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(fpga.ToolFailed, match="nextpnr-ice40 failed with code 7:\nsomething"):
        route(with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", "echo something; exit 7")), Clock("clk", 48),
              tmp_path, 1)


def test_a_tool_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    body = "sleep 300 & echo $! > child; wait"
    with pytest.raises(fpga.TimedOut, match=r"did not finish in 0\.5 s"):
        route(with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", body)), Clock("clk", 48), tmp_path, 1, timeout=0.5)
    child = int((tmp_path / "child").read_text())
    for _ in range(1000):  # until the system has carried it out
        if not running(child):
            break
        time.sleep(0.01)
    assert not running(child)


# --- the flow, cut short ------------------------------------------------------------------------

def test_what_is_known_before_routing_gives_up_is_kept_and_marked(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    canned(monkeypatch)
    (tmp_path / "canned").write_text(json.dumps(REPORT))
    body = f"case \"$*\" in *'--seed 1'*) cp '{tmp_path}/canned' report.json;; *) sleep 300;; esac"
    kept: list[Report] = []
    with pytest.raises(flow.NotFinished, match="seed 2: nextpnr-ice40 did not finish in 1 s") as caught:
        flow.synthesise_for(work_on(with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", body))), (1, 2, 3), 1,
                            partial=kept.append)
    assert caught.value.code == 1 and "--timeout" in caught.value.cure
    (report,) = kept
    flow.write_report(tmp_path / "out", report)
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["complete"] is False and found["problem"].startswith("seed 2: nextpnr-ice40 did not finish")
    assert found["seeds"] == {"1": 25.0} and found["whole"]["lut"] == 60 and found["units"][0]["transistors"] == 400
    page = (tmp_path / "out" / "report.md").read_text()
    assert "NOT COMPLETE: seed 2" in page and "| part x 2 | 60 | 16 | 0 | 0 | 400 |" in page


def test_too_small_a_target_is_refused_before_placing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canned(monkeypatch, ram=40, dsp=1)
    target = with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", "exit 7"))
    kept: list[Report] = []
    with pytest.raises(DoesNotFit, match="it takes 1 multipliers of 0, 40 RAM blocks of 32"):
        flow.synthesise_for(work_on(target), (1,), partial=kept.append)
    assert kept[0].units and not kept[0].complete
    assert kept[0].problems() == [f"{count} were inferred, and 0 were expected" for count in ("1 DSP", "40 RAM")]


def test_worst_and_median_of_the_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canned(monkeypatch)
    for seed, mhz in enumerate((30.0, 20.0, 50.0), 1):
        (tmp_path / f"canned{seed}").write_text(json.dumps(REPORT | {"fmax": {"clk": {"achieved": mhz}}}))
    body = f"while [ \"$1\" != --seed ]; do shift; done; cp '{tmp_path}'/canned$2 report.json"
    report = flow.synthesise_for(work_on(with_nextpnr(HX8K, stub(tmp_path, "nextpnr", "0.99", body))), (1, 2, 3))
    assert report.complete and (report.worst.mhz, report.worst.seed, report.median) == (20.0, 2, 30.0)
    assert "worst 20 MHz, median 30 MHz, asked for 48: 30 (seed 1), 20 (seed 2), 50 (seed 3)" in report.page()
