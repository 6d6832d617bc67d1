# SPDX-License-Identifier: Apache-2.0
"""gen/configuration.py and the rules of golden/params.py: each mistake is refused by name, all of them at once."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from focus_rtl.gen.configuration import load, parameters_of, preset_names, preset_text
from focus_rtl.gen.errors import CommandError, InputOutputError
from focus_rtl.golden.params import RULES, ConfigurationError, ConfigurationTypeError, Parameters, Problem

REGRESS: dict[str, Any] = tomllib.loads(preset_text("regress"))

# What to change in `regress` so that exactly one rule breaks; the field it is reported for; the nearest legal value.
BROKEN: list[tuple[dict[str, Any], str, Any]] = [
    ({"dtype": "fp32"}, "dtype", "fp16"),
    ({"rows": 0}, "rows", 1),
    ({"cols": 0}, "cols", 1),
    ({"vector": 65}, "vector", 64),
    ({"rows": 5}, "rows", 4),
    ({"cols": 3}, "cols", 2),
    ({"m_tile": 100}, "m_tile", 128),
    ({"block": [2, 0, 4]}, "block", [2, 1, 3]),
    ({"grid_max": [64, 300, 14]}, "grid_max", [64, 256, 14]),
    ({"k_max": 200_000}, "k_max", 131_071),
    ({"n_max": 200_000}, "n_max", 131_071),
    ({"tokens_max": 0}, "tokens_max", 1),
    ({"k_max": 15}, "k_max", 16),
    ({"n_max": 15}, "n_max", 16),
    ({"scatter_lanes": 3}, "scatter_lanes", 2),
    ({"psum_banks": 3}, "psum_banks", 2),
    ({"scatter_lanes": 4, "psum_banks": 2}, "psum_banks", 4),
    ({"m_tile": 32, "psum_banks": 32}, "psum_banks", 16),
    ({"scatter_lookahead": 5}, "scatter_lookahead", 4),
    ({"matchers": 3}, "matchers", 2),
    ({"matcher_lanes": 3}, "matcher_lanes", 2),
    ({"pe_depth": 5}, "pe_depth", 4),
    ({"pe_multiplier": "serial"}, "pe_multiplier", "lut"),
    ({"dot_multiplier": "serial"}, "dot_multiplier", "lut"),
    ({"compare_multiplier": "slow"}, "compare_multiplier", "dsp"),
    ({"compare_multiplier": "shared"}, "compare_multiplier", "serial"),
    ({"compare_multiplier": "shared", "dtype": "int8", "matchers": 7}, "compare_multiplier", "serial"),
    ({"match_depth": 1}, "match_depth", 2),
    ({"scale_multiplier": "booth"}, "scale_multiplier", "dsp"),
    ({"scale_share": 3}, "scale_share", 2),
    ({"representative": "last"}, "representative", "first"),
    ({"sec_tokens_max": 0}, "sec_tokens_max", 1),
    ({"sec_lanes": 100}, "sec_lanes", 64),
    ({"top_k": "merge"}, "top_k", "radix"),
    ({"offset_bits": 17}, "offset_bits", 16),
    ({"counter_bits": 33}, "counter_bits", 32),
    ({"memories": "sram"}, "memories", "inferred"),
]


def refused(values: dict[str, Any]) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parameters_of(values)
    return caught.value.problems


def toml_value(text: str) -> Any:
    return tomllib.loads(f"value = {text}")["value"]


# --- the rules ----------------------------------------------------------------------------------

def test_every_rule_has_a_case() -> None:
    broken = [refused(REGRESS | changes)[0] for changes, _, _ in BROKEN]
    assert [(problem.field, problem.rule) for problem in broken] == [(rule.fields[0], rule.sentence) for rule in RULES]


@pytest.mark.parametrize(("changes", "field", "nearest"), BROKEN, ids=lambda value: str(value))
def test_rule_is_refused_by_name_and_says_what_works(changes: dict[str, Any], field: str, nearest: Any) -> None:
    (problem,) = refused(REGRESS | changes)
    given = changes[field]
    assert problem.field == field
    assert problem.value == (tuple(given) if isinstance(given, list) else given)
    assert toml_value(problem.suggestion) == nearest
    parameters_of(REGRESS | changes | {field: nearest})
    message = str(problem)
    assert message.startswith(f"{field} = ") and problem.rule in message and problem.suggestion in message


# --- types and keys -----------------------------------------------------------------------------

@pytest.mark.parametrize("field", Parameters.KINDS)
def test_missing_key_is_refused_with_a_value_to_try(field: str) -> None:
    (problem,) = refused({key: value for key, value in REGRESS.items() if key != field})
    assert problem.field == field and "missing" in problem.rule
    assert toml_value(problem.suggestion) == REGRESS[field]


MISTYPED = [(field, value) for field, kind in Parameters.KINDS.items() for value in (True, 2.5, "x", [1.5], {})
            if not (kind is str and value == "x")]


@pytest.mark.parametrize(("field", "value"), MISTYPED)
def test_wrong_type_is_refused_with_a_value_to_try(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationTypeError) as caught:
        parameters_of(REGRESS | {field: value})
    assert isinstance(caught.value, TypeError)
    (problem,) = caught.value.problems
    assert problem.field == field and "must be a" in problem.rule
    assert type(toml_value(problem.suggestion)) is type(REGRESS[field])


@pytest.mark.parametrize(("value", "nearest"), [("8", 8), (8.0, 8), ("300", 64), ("many", 4)])
def test_a_number_of_the_wrong_type_is_understood(value: Any, nearest: int) -> None:
    (problem,) = refused(REGRESS | {"rows": value})
    assert toml_value(problem.suggestion) == nearest


@pytest.mark.parametrize(("key", "nearest"), [("rowz", "rows"), ("matcher_lane", "matcher_lanes"),
                                              ("M_TILE", "m_tile")])
def test_unknown_key_is_refused_with_the_one_that_was_meant(key: str, nearest: str) -> None:
    (problem,) = refused(REGRESS | {key: 1})
    assert (problem.field, problem.suggestion) == (key, nearest)


def test_all_problems_are_reported_at_once() -> None:
    values = REGRESS | {"rowz": 4, "cols": "4", "pe_depth": 9, "memories": "sram", "m_tile": 100}
    del values["k_max"]
    found = refused(values)
    assert sorted(problem.field for problem in found) == ["cols", "k_max", "m_tile", "memories", "pe_depth", "rowz"]


# --- presets, files, overrides ------------------------------------------------------------------

def test_presets_list_every_field_and_nothing_else() -> None:
    assert preset_names() == ["ecp5-25k", "ecp5-85k", "ecp5-85k-fp16", "ice40-up5k", "paper", "paper-bf16",
                              "paper-int8", "regress", "regress-bf16", "regress-int8", "tiny"]
    for name in preset_names():
        assert list(tomllib.loads(preset_text(name))) == list(Parameters.KINDS)
        assert load(name).summary and load(name).name == name


def test_a_file_is_read_like_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "größe 1.toml"
    path.write_text(preset_text("tiny"), encoding="utf-8")
    assert load(str(path)).parameters == load("tiny").parameters
    assert load(str(path)).name == "größe 1"


def test_overrides_are_toml_and_the_last_one_wins() -> None:
    made = load("regress", ["rows=8", "rows = 2", "memories=macros", "grid_max=[4, 5, 6]", 'dtype="fp16"']).parameters
    assert (made.rows, made.memories, made.grid_max) == (2, "macros", (4, 5, 6))


@pytest.mark.parametrize("item", ["rows", "=4", "rows=", "rows=[", "rows=4\ncols=2", "rows=a b"])
def test_a_bad_override_is_refused(item: str) -> None:
    with pytest.raises(CommandError, match="--set"):
        load("tiny", [item])


def test_a_misspelt_preset_is_refused_with_the_one_that_was_meant() -> None:
    names = ("ecp5-25k, ecp5-85k, ecp5-85k-fp16, ice40-up5k, paper, paper-bf16, paper-int8, regress, regress-bf16, "
             "regress-int8, tiny")
    with pytest.raises(CommandError, match=names) as caught:
        load("tinny")
    assert "`tiny`" in caught.value.cure


@pytest.mark.parametrize(("content", "words"), [(b"rows = ", "not valid TOML"), (b"\xff\xfe", "UTF-8")])
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=words):
        load(str(path))


def test_a_file_that_cannot_be_read_is_an_error_of_input(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match=r"none\.toml"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(InputOutputError):
        load(str(tmp_path))
