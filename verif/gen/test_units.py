# SPDX-License-Identifier: Apache-2.0
"""Units alone: generated with their contract, linted, synthesised; wrong names and values refused."""

import json
from pathlib import Path

import pytest

from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.generate import generate_unit
from focus_rtl.gen.lint import lint
from focus_rtl.gen.units import UNITS, choose, options_of, summary_of
from focus_rtl.verif.gen.support import focus_rtl


def ok(*arguments: str, cwd: Path) -> str:
    """Standard output of a command that succeeds."""
    done = focus_rtl(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_comes_with_ports_and_contract(name: str) -> None:
    made = generate_unit(choose(name))
    text = made.files["ports.md"].decode()
    assert made.design.top.endswith(f"_{name}")
    assert all(f"| `{port.name}` |" in text for port in made.design.ports)
    assert "Members\n-------" in text and ("Latency" in text or "cycles later" in text)
    assert json.loads(made.files["manifest.json"])["configuration"] == {"unit": name, **options_of(name)}
    assert summary_of(name).endswith(".")


@pytest.mark.parametrize(("name", "overrides"), [("add", []), ("requantise_serial", []),
                                                 ("pe", ["multiplier=lut"]), ("sec", []), ("offset_decoder", [])])
def test_units_lint_in_silence(name: str, overrides: list[str], tmp_path: Path) -> None:
    made = generate_unit(choose(name, overrides))
    folder = tmp_path / "unit"
    folder.mkdir()
    for file, content in made.files.items():
        (folder / file).write_bytes(content)
    assert lint([folder], folder / f"{made.design.top}_example.v", tmp_path) == ""


def test_parameters_change_the_unit_and_its_prefix() -> None:
    plain, deep = choose("multiply"), choose("multiply", ["depth=2", "dtype=bf16"])
    assert deep.values == {"depth": 2, "dtype": "bf16", "multiplier": "dsp"}
    assert plain.sha256 != deep.sha256
    assert generate_unit(plain).design.text != generate_unit(deep).design.text


@pytest.mark.parametrize(("name", "overrides", "message"), [
    ("ad", [], "there is no unit 'ad': the units are accumulate, add"),
    ("add", ["dept=1"], "--set dept=1: unit add has the parameters depth=1"),
    ("add", ["depth"], "--set depth: unit add has the parameters"),
    ("add", ["depth=77"], "unit add: depth = 77: must be between 0 and 4"),
    ("multiply", ["dtype=fp8"], "unit multiply: Multiply of dtype 'fp8'"),
    ("multiply", ["depth=deep"], "unit multiply: depth"),
])
def test_wrong_units_and_parameters_are_refused(name: str, overrides: list[str], message: str) -> None:
    with pytest.raises(CommandError) as caught:
        choose(name, overrides)
    assert caught.value.cause.startswith(message) and caught.value.cure


def test_gen_takes_a_core_or_a_unit(tmp_path: Path) -> None:
    for arguments in ((), ("tiny", "--unit", "add")):
        done = focus_rtl("gen", *arguments, cwd=tmp_path)
        assert done.returncode == 2 and "gen takes a configuration or --unit NAME" in done.stderr
    ok("gen", "--unit", "add", "-o", "out", cwd=tmp_path)
    ok("verify-manifest", "out", cwd=tmp_path)
    assert {row["name"] for row in json.loads(ok("units", "--json", cwd=tmp_path))["units"]} == set(UNITS)


def test_synth_places_and_routes_a_unit(tmp_path: Path) -> None:
    first, second = (json.loads(ok("synth", "--unit", "narrow", "--seeds", "2", "--json", cwd=tmp_path))
                     for _ in range(2))
    assert first == second, "the same Verilog, tools and seeds gave another result"
    assert len(first["seeds"]) == 2 and first["fmax_mhz"] > 10
    assert first["ff"] == 16, "the registers around the unit are not its own"
    assert first["lut"] > 50 and first["dsp"] == 0 and first["transistors"] > 1000


def test_only_dsp_takes_dsp_slices(tmp_path: Path) -> None:
    size = ("--set", "a_bits=8", "--set", "b_bits=8")
    found = {kind: json.loads(ok("synth", "--unit", "integer_product", *size, "--set", f"multiplier={kind}", "--json",
                                 cwd=tmp_path)) for kind in ("dsp", "lut")}
    assert {kind: figures["dsp"] for kind, figures in found.items()} == {"dsp": 1, "lut": 0}
    assert found["lut"]["lut"] > 40 > found["dsp"]["lut"]
