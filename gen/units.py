# SPDX-License-Identifier: Apache-2.0
"""The units by name, each to be generated and synthesised alone: `units`, `gen --unit`, `synth --unit`."""

import difflib
import inspect
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from focus_rtl.gen.errors import CommandError
from focus_rtl.golden.params import configuration_hash
from focus_rtl.hdl.array.pe import Pe
from focus_rtl.hdl.numeric.accumulate import Accumulate
from focus_rtl.hdl.numeric.add import Add
from focus_rtl.hdl.numeric.compare import ProductGreater
from focus_rtl.hdl.numeric.integer import IntegerGreater, IntegerVerdict
from focus_rtl.hdl.numeric.integer_square import IntegerSquare
from focus_rtl.hdl.numeric.mac import AddProduct, Product
from focus_rtl.hdl.numeric.mean import Mean, Reciprocal
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.multiply32 import Multiply32
from focus_rtl.hdl.numeric.narrow import Narrow
from focus_rtl.hdl.numeric.product import IntegerProduct
from focus_rtl.hdl.numeric.recode import Recode
from focus_rtl.hdl.numeric.requantise import IntToFloat, Requantise
from focus_rtl.hdl.numeric.requantise_serial import RequantiseSerial
from focus_rtl.hdl.numeric.widen import Widen
from focus_rtl.hdl.sec.bubble import Bubble
from focus_rtl.hdl.sec.importance import Importance
from focus_rtl.hdl.sec.offset_decoder import OffsetDecoder
from focus_rtl.hdl.sec.offset_encoder import OffsetEncoder
from focus_rtl.hdl.sec.radix import Radix
from focus_rtl.hdl.sec.sec import Sec
from focus_rtl.hdl.unit import Unit

__all__ = ["UNITS", "ChosenUnit", "choose", "options_of", "summary_of"]

UNITS: dict[str, type[Unit]] = {
    "accumulate": Accumulate, "add": Add, "add_product": AddProduct, "bubble": Bubble, "importance": Importance,
    "int_to_float": IntToFloat, "integer_greater": IntegerGreater, "integer_product": IntegerProduct,
    "integer_square": IntegerSquare, "integer_verdict": IntegerVerdict, "mean": Mean, "multiply": Multiply,
    "multiply32": Multiply32, "narrow": Narrow, "offset_decoder": OffsetDecoder, "offset_encoder": OffsetEncoder,
    "pe": Pe, "product": Product, "product_greater": ProductGreater, "radix": Radix, "recode": Recode,
    "reciprocal": Reciprocal, "requantise": Requantise, "requantise_serial": RequantiseSerial, "sec": Sec,
    "widen": Widen,
}
"""Name on the command line -> class; its constructor's parameters are the keys of `--set`."""

SAMPLES: dict[str, Any] = {"depth": 1, "largest": 256, "dtype": "fp16"}
"""Values of parameters that a constructor has no default for; a depth of 0 would leave nothing to time."""


@dataclass(frozen=True)
class ChosenUnit:
    """A unit with its parameters: what a manifest says of it, and a fresh object for each use."""

    name: str
    values: dict[str, Any]

    @property
    def configuration(self) -> dict[str, Any]:
        """Unit and parameters, as in the manifest."""
        return {"unit": self.name, **self.values}

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON of `configuration`."""
        return configuration_hash(self.configuration)

    def make(self) -> Unit:
        """The unit; CommandError where its parameters are refused."""
        try:
            return UNITS[self.name](**self.values)
        except (TypeError, ValueError) as error:
            raise CommandError(f"unit {self.name}: {error}", f"parameters: {_listed(options_of(self.name))}") from error


def options_of(name: str) -> dict[str, Any]:
    """Parameters of a unit and the values they have unless set; those that are no plain value are left out."""
    options = {}
    for key, parameter in list(inspect.signature(UNITS[name].__init__).parameters.items())[1:]:
        value = SAMPLES.get(key) if key == "depth" or parameter.default is parameter.empty else parameter.default
        if isinstance(value, int | str):
            options[key] = value
    return options


def summary_of(name: str) -> str:
    """The first sentence of what a unit says of itself."""
    return (inspect.getdoc(UNITS[name]) or "").split("\n\n")[0].replace("\n", " ")


def _listed(options: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items())


def choose(name: str, overrides: Sequence[str] = ()) -> ChosenUnit:
    """A unit by name with `key=value` parameters, each value in TOML or a bare word.

    Raises
    ------
    CommandError : no such unit or parameter, each with the nearest one; or the unit refuses a value.
    """
    if name not in UNITS:
        near = difflib.get_close_matches(name, UNITS, 1) or ["add"]
        raise CommandError(f"there is no unit {name!r}: the units are {', '.join(UNITS)}", f"try --unit {near[0]}")
    values = options_of(name)
    for item in overrides:
        key, equals, text = item.partition("=")
        if not equals or key not in values:
            raise CommandError(f"--set {item}: unit {name} has the parameters {_listed(values)}",
                               f"try --set {next(iter(values.items()))[0]}={next(iter(values.values()))}")
        try:
            values[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[key] = text
    chosen = ChosenUnit(name, values)
    chosen.make()
    return chosen
