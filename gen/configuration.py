# SPDX-License-Identifier: Apache-2.0
"""A preset name or a TOML file, and `--set` overrides -> `Parameters`, or every problem at once.

The rules themselves live in `golden/params.py`; here is what only a file can get wrong: keys that do not exist,
names that are misspelt, text that is not TOML.
"""

import contextlib
import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from focus_rtl.gen.errors import CommandError, InputOutputError
from focus_rtl.golden.params import ConfigurationError, ConfigurationTypeError, Parameters, Problem, problems

__all__ = ["Configuration", "load", "parameters_of", "preset_names", "preset_text"]

BARE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Configuration:
    """A valid configuration.

    name : the preset's name or the file's stem; for messages and default folder names only.
    summary : the first comment of the preset or file, without its `#`.
    parameters : what was configured.
    """

    name: str
    summary: str
    parameters: Parameters


def preset_names() -> list[str]:
    """Names of the presets that are part of the package, in alphabetic order."""
    folder = resources.files("focus_rtl.gen") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def preset_text(name: str) -> str:
    """TOML text of a preset."""
    return (resources.files("focus_rtl.gen") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def load(source: str, overrides: Sequence[str] = ()) -> Configuration:
    """Read the preset or file `source`, apply `key=value` overrides, validate.

    Raises
    ------
    ConfigurationError : with *all* problems: unknown, missing and mistyped keys, broken rules.
    CommandError : no such preset, no valid TOML, an override that is not `key=value`.
    InputOutputError : the file cannot be read.
    """
    name, text = _text_of(source)
    values = _toml(text, source) | dict(_override(item) for item in overrides)
    first = text.splitlines()[0] if text else ""
    summary = first.removeprefix("#").strip() if first.startswith("#") and "SPDX" not in first else ""
    return Configuration(name, summary, parameters_of(values))


def parameters_of(values: Mapping[str, Any]) -> Parameters:
    """Build `Parameters` from what a TOML or JSON file holds (lists for tuples); raises as `load` does."""
    frozen: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    unknown = tuple(_unknown(key, frozen[key]) for key in frozen if key not in Parameters.KINDS)
    broken, wrong_type = problems(frozen)
    if unknown or broken:
        told = tuple(_with_value(problem, frozen) for problem in broken)
        raise (ConfigurationTypeError if wrong_type else ConfigurationError)(unknown + told)
    return Parameters(**frozen)


def nearest_name(name: str, known: Sequence[str]) -> str:
    """The known name that looks most like `name`; if none does, all of them."""
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return close[0] if close else ", ".join(known)


def _with_value(problem: Problem, values: Mapping[str, Any]) -> Problem:
    """A missing value or one of a wrong type gets a value to try: the one that was meant, else that of `regress`."""
    kind = Parameters.KINDS[problem.field]
    if _has_kind(problem.value, kind):
        return problem
    meant = _meant(problem.value, kind)
    value = tomllib.loads(preset_text("regress"))[problem.field] if meant is None else meant
    trial = {**values, problem.field: tuple(value) if isinstance(value, list) else value}
    nearest = [other for other in problems(trial)[0] if other.field == problem.field]
    return dataclasses.replace(problem, suggestion=nearest[0].suggestion if nearest else repr(value))


def _has_kind(value: Any, kind: type) -> bool:
    if kind is tuple:
        return isinstance(value, tuple) and all(type(item) is int for item in value)
    return type(value) is kind  # a bool is an int, and is none here


def _meant(value: Any, kind: type) -> int | None:
    """The whole number behind `"8"` or `8.0`."""
    if kind is int and isinstance(value, str | float):
        with contextlib.suppress(ValueError, OverflowError):
            return round(float(value))
    return None


def _unknown(key: str, value: Any) -> Problem:
    return Problem(key, value, "is not a key of the configuration", nearest_name(key, list(Parameters.KINDS)))


def _text_of(source: str) -> tuple[str, str]:
    if source in preset_names():
        return source, preset_text(source)
    path = Path(source)
    if path.suffix != ".toml" and not path.exists():
        nearest = nearest_name(source, preset_names())
        raise CommandError(f"there is no preset {source!r}: the presets are {', '.join(preset_names())}",
                           f"try `{nearest}`, or the path of a .toml file" if nearest in preset_names() else
                           "name one of them, or the path of a .toml file")
    try:
        return path.stem, path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{source} is not a text file in UTF-8 (byte {error.start})",
                           "save the configuration as UTF-8") from error
    except OSError as error:
        raise InputOutputError(f"cannot read {source}: {error.strerror}",
                               "check the path, or start from `focus-rtl presets --show tiny > my.toml`") from error


def _toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CommandError(f"{source} is not valid TOML: {error}",
                           "`focus-rtl presets --show tiny` prints a file that is") from error


def _override(item: str) -> tuple[str, Any]:
    key, equals, text = (part.strip() for part in item.partition("="))
    if not (key and equals and text):
        raise CommandError(f"--set {item!r} is not key=value",
                           "write for example --set rows=8 or --set 'block=[2,2,2]'")
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError as error:
        if BARE_WORD.fullmatch(text):  # the shell has eaten the quotes of a string
            return key, text
        raise CommandError(f"--set {item!r}: the value is not TOML: {error}",
                           "write for example --set rows=8 or --set 'block=[2,2,2]'") from error
    if set(document) != {"value"}:
        raise CommandError(f"--set {item!r} holds more than one value", "give --set once for each key")
    return key, document["value"]
