# SPDX-License-Identifier: Apache-2.0
"""One frozen object that makes both the model and the hardware; every rule about it lives here.

`Parameters(...)` cannot be built wrong: it raises `ConfigurationError` with *all* problems, each naming the field,
the value, the rule and a value that works.  Reading TOML belongs to `gen/`; this module knows nothing of files.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = ["BLOCK_LIMIT", "ConfigurationError", "ConfigurationTypeError", "Parameters", "Problem", "RULES",
           "candidates_of", "configuration_hash", "matcher_choices", "problems"]

BLOCK_LIMIT = 3
"""Most positions of a block's side."""

K_LIMIT = 131071
"""Longest sum of int8 products that int32 cannot overflow on: 131071 * (-128)**2 = 2**31 - 2**14."""


def candidates_of(block: tuple[int, ...]) -> int:
    """Neighbours compared with the key, by block shape: every position of the window but the key's own."""
    return math.prod(block) - 1


@dataclass(frozen=True)
class Problem:
    """One broken rule: `field` has `value`, which breaks `rule`; `suggestion` is the nearest value that works."""

    field: str
    value: Any
    rule: str
    suggestion: str

    def __str__(self) -> str:
        return f"{self.field} = {_show(self.value)}: {self.rule}; try {self.suggestion}"


class ConfigurationError(ValueError):
    """The configuration breaks at least one rule; `problems` lists every one of them."""

    def __init__(self, found: tuple[Problem, ...]) -> None:
        self.problems = found
        super().__init__("\n".join(str(problem) for problem in found))


class ConfigurationTypeError(ConfigurationError, TypeError):
    """At least one of the problems is a value of the wrong type."""


def configuration_hash(values: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a configuration."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _show(value: Any) -> str:
    """A value as TOML writes it."""
    return repr(list(value) if isinstance(value, tuple) else value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _nearest(value: int, legal: list[int]) -> str:
    return str(min(legal, key=lambda candidate: (abs(candidate - value), candidate)))


def _nearest_grid(value: tuple[int, ...]) -> str:
    if len(value) != 3:
        return "[64, 14, 14]"
    return _show([min(max(size, 1), most) for size, most in zip(value, (4096, 256, 256), strict=True)])


def _nearest_block(value: tuple[int, ...]) -> str:
    return _show([min(max(side, 1), BLOCK_LIMIT) for side in value]) if len(value) == 3 else "[2, 2, 2]"


def matcher_choices(block: tuple[int, ...]) -> list[int]:
    """Legal numbers of matchers: one, a row of the window, a frame of it, or every position but the key's."""
    window = math.prod(block)
    return sorted({count for count in (1, block[2], block[1] * block[2], window - 1) if 0 < count < window} or {1})


def _divisors(value: int) -> list[int]:
    return [d for d in range(1, value + 1) if value % d == 0]


@dataclass(frozen=True)
class Rule:
    """A sentence about some fields, the predicate that decides it, and the nearest legal value of the first field."""

    fields: tuple[str, ...]
    sentence: str
    holds: Callable[[Mapping[str, Any]], bool]
    nearest: Callable[[Mapping[str, Any]], str]


def _range(field: str, low: int, high: int) -> Rule:
    return Rule((field,), f"must be between {low} and {high}",
                lambda v: low <= v[field] <= high, lambda v: str(min(max(v[field], low), high)))


def _choice(field: str, legal: tuple[Any, ...]) -> Rule:
    words = ", ".join(_show(value) for value in legal)
    if all(_is_int(value) for value in legal):
        return Rule((field,), f"must be one of {words}", lambda v: v[field] in legal,
                    lambda v: _nearest(v[field], list(legal)))
    return Rule((field,), f"must be one of {words}", lambda v: v[field] in legal, lambda v: _show(legal[0]))


def _powers(field: str, low: int, high: int) -> Rule:
    legal = [1 << e for e in range(high.bit_length()) if low <= 1 << e <= high]
    return Rule((field,), f"must be a power of two between {low} and {high}",
                lambda v: v[field] in legal, lambda v: _nearest(v[field], legal))


def _multiplier(field: str, why_not_serial: str = "") -> Rule:
    legal = ("dsp", "lut") if why_not_serial else ("dsp", "lut", "serial")
    words = ", ".join(_show(value) for value in legal)
    reason = f" ('serial' takes several cycles, but {why_not_serial})" if why_not_serial else ""
    return Rule((field,), f"must be one of {words}{reason}", lambda v: v[field] in legal,
                lambda v: _show("lut" if v[field] == "serial" else "dsp"))


RULES: tuple[Rule, ...] = (
    _choice("dtype", ("fp16", "bf16", "int8")),
    _range("rows", 1, 64),
    _range("cols", 1, 64),
    _range("vector", 2, 64),
    Rule(("rows", "vector"), "must divide vector (a k-slice is vector / rows passes)",
         lambda v: v["rows"] > 0 and v["vector"] % v["rows"] == 0,
         lambda v: _nearest(v["rows"], _divisors(max(v["vector"], 1)))),
    Rule(("cols", "vector"), "must divide vector (an output vector is vector / cols passes)",
         lambda v: v["cols"] > 0 and v["vector"] % v["cols"] == 0,
         lambda v: _nearest(v["cols"], _divisors(max(v["vector"], 1)))),
    _powers("m_tile", 8, 4096),
    Rule(("block",), f"needs three numbers: frames, rows and columns of the window, each 1 .. {BLOCK_LIMIT}",
         lambda v: len(v["block"]) == 3 and all(1 <= side <= BLOCK_LIMIT for side in v["block"]),
         lambda v: _nearest_block(v["block"])),
    Rule(("grid_max",), "needs three numbers: frames 1..4096, height and width 1..256",
         lambda v: len(v["grid_max"]) == 3 and 1 <= v["grid_max"][0] <= 4096
         and all(1 <= side <= 256 for side in v["grid_max"][1:]),
         lambda v: _nearest_grid(v["grid_max"])),
    _range("k_max", 1, K_LIMIT),
    _range("n_max", 1, K_LIMIT),  # the output is the next layer's input
    _range("tokens_max", 1, 1 << 20),
    Rule(("k_max", "vector"), "must be at least vector", lambda v: v["k_max"] >= v["vector"],
         lambda v: str(v["vector"])),
    Rule(("n_max", "vector"), "must be at least vector", lambda v: v["n_max"] >= v["vector"],
         lambda v: str(v["vector"])),
    _choice("scatter_lanes", (1, 2, 4)),
    _powers("psum_banks", 1, 32),
    Rule(("psum_banks", "scatter_lanes"), "must be at least scatter_lanes (each lane reads a bank of its own)",
         lambda v: v["psum_banks"] >= v["scatter_lanes"], lambda v: str(v["scatter_lanes"])),
    Rule(("psum_banks", "m_tile"), "must be at most m_tile / 2 (a bank holds at least two psums)",
         lambda v: v["psum_banks"] * 2 <= v["m_tile"], lambda v: str(max(v["m_tile"] // 2, 1))),
    _powers("scatter_lookahead", 2, 16),
    Rule(("matchers", "block"), "must be 1, a row or a frame of the window, or all but one of its positions "
         "(for [2, 2, 2]: 1, 2, 4, 7; for [3, 3, 3]: 1, 3, 9, 26)",
         lambda v: v["matchers"] in matcher_choices(v["block"]),
         lambda v: _nearest(v["matchers"], matcher_choices(v["block"]))),
    Rule(("matcher_lanes", "vector"), "must be a power of two that divides vector (a dot takes vector / lanes cycles)",
         lambda v: _power_of_two(v["matcher_lanes"]) and v["vector"] % v["matcher_lanes"] == 0,
         lambda v: _nearest(v["matcher_lanes"], [d for d in _divisors(max(v["vector"], 1)) if _power_of_two(d)])),
    _range("pe_depth", 1, 4),
    _multiplier("pe_multiplier", "a PE takes an element every cycle"),
    _multiplier("dot_multiplier", "a dot product takes its lanes' elements every cycle"),
    _choice("compare_multiplier", ("dsp", "lut", "serial", "shared")),
    Rule(("compare_multiplier", "dtype"), "'shared' multiplies whole numbers: dtype must be 'int8'",
         lambda v: v["compare_multiplier"] != "shared" or v["dtype"] == "int8", lambda v: _show("serial")),
    Rule(("compare_multiplier", "matchers"), "'shared' compares one candidate after another: matchers must be 1",
         lambda v: v["compare_multiplier"] != "shared" or v["matchers"] == 1, lambda v: _show("serial")),
    _range("match_depth", 2, 4),
    _multiplier("scale_multiplier"),
    Rule(("scale_share", "cols"), "must divide cols (so many columns share a requantiser)",
         lambda v: v["scale_share"] > 0 and v["cols"] % v["scale_share"] == 0,
         lambda v: _nearest(v["scale_share"], _divisors(max(v["cols"], 1)))),
    _choice("representative", ("first", "mean")),
    _range("sec_tokens_max", 1, 65536),
    _powers("sec_lanes", 2, 64),
    _choice("top_k", ("radix", "bubble")),
    _range("offset_bits", 1, 16),
    _range("counter_bits", 8, 32),
    _choice("memories", ("inferred", "macros")),
)
"""Every rule of a configuration, in the order in which problems are reported."""


def _type_problem(name: str, kind: type, value: Any) -> Problem | None:
    if kind is tuple:
        if not (isinstance(value, tuple) and all(_is_int(item) for item in value)):
            return Problem(name, value, "must be a list of whole numbers", "[2, 2, 2]")
    elif kind is int and not _is_int(value):
        return Problem(name, value, "must be a whole number", "a number without quotes or fraction")
    elif kind is str and not isinstance(value, str):
        return Problem(name, value, "must be a string", "a word in quotes")
    return None


def problems(values: Mapping[str, Any]) -> tuple[tuple[Problem, ...], bool]:
    """All problems of `values` (one entry per field of `Parameters`), and whether one is a wrong type.

    A rule is judged only where every field it speaks of is present and has the right type, so one mistake is
    reported once.
    """
    found: list[Problem] = []
    sound: set[str] = set()
    for name, kind in Parameters.KINDS.items():
        if name not in values:
            found.append(Problem(name, None, "is missing: every field is listed", "see `focus-rtl presets`"))
            continue
        problem = _type_problem(name, kind, values[name])
        if problem is None:
            sound.add(name)
        else:
            found.append(problem)
    wrong_type = bool(found)
    broken: set[str] = set()
    for rule in RULES:
        if set(rule.fields) <= sound - broken and not rule.holds(values):
            found.append(Problem(rule.fields[0], values[rule.fields[0]], rule.sentence, rule.nearest(values)))
            if len(rule.fields) == 1:
                broken.add(rule.fields[0])
    return tuple(found), wrong_type


@dataclass(frozen=True)
class Parameters:
    """A configuration of the accelerator, shared by golden model, hardware, bench and reports.

    Parameters
    ----------
    dtype : element format of tokens and weights: `fp16` or `bf16` (products and sums are binary32), or `int8` (int32).
    rows, cols : R x C, processing elements of the systolic array; both divide `vector`.
    vector : V, elements of a vector (= of a k-slice); defines the arithmetic, the array does not.
    m_tile : m, tokens of a full tile; a power of two.
    block : (frames, rows, columns) of the similarity window, the key's own position included; 1 .. 3 each.
    grid_max : (frames, height, width), the largest token grid.
    k_max, n_max : largest inner and output dimension of a GEMM, in elements.
    tokens_max : largest number of tokens M of a job; the hardware's limit on the number of its tiles.
    scatter_lanes : S, tokens accumulated per cycle.
    psum_banks : interleaved banks that the scatter lanes read.
    scatter_lookahead : map entries each scatter lane may run ahead of the others.
    matchers : candidates compared in parallel: 1, a row or a frame of the window, or all of them, which then have a
        unit of its own beside them for the norm.
    matcher_lanes : lanes of a dot product per cycle; a dot takes `vector / matcher_lanes` cycles.
    pe_depth : cycles from a PE's psum input to its psum output.
    pe_multiplier, dot_multiplier : how the PEs, and the matcher's dot products, multiply: `dsp` slices or `lut`s.
    compare_multiplier : how the matcher squares, scales and compares: `dsp`, `lut`, or `serial`, some bits a cycle; or
        `shared`, one bit a cycle by one adder for everything, which takes the window's vectors one after another.
    match_depth : registers of a square, a scaling and a comparison of the matcher; more than 2 also cut the way from
        a vector's window to the next vector, which then comes a cycle later.
    scale_multiplier : how int8 sums are multiplied by their scales: `dsp`, `lut` or `serial`; other dtypes have none.
        Also how sums become means, where `serial` counts as `lut`.
    scale_share : columns that share a requantiser, one after another (int8).
    representative : what a group is replaced by: its `first` vector, or the `mean` of all.
    sec_tokens_max : largest number of image tokens that the semantic concentrator keeps a score of; also the largest
        stride of a video whose positions come as offsets.
    sec_lanes : a, scores that it takes per cycle.
    top_k : how it finds the k largest scores: `radix` (bit by bit) or `bubble` (the published sorter); the same result.
    offset_bits : width of an offset between retained tokens; longer gaps are escaped.
    counter_bits : width of each counter of a status; counts are modulo 2**counter_bits.
    memories : `inferred` RAM, or `macros` (black boxes, listed in the manifest).

    Raises
    ------
    ConfigurationError : (a ValueError, and a TypeError too where a type is wrong) with every broken rule.
    """

    dtype: str
    rows: int
    cols: int
    vector: int
    m_tile: int
    block: tuple[int, ...]
    grid_max: tuple[int, ...]
    k_max: int
    n_max: int
    tokens_max: int
    scatter_lanes: int
    psum_banks: int
    scatter_lookahead: int
    matchers: int
    matcher_lanes: int
    pe_depth: int
    pe_multiplier: str
    dot_multiplier: str
    compare_multiplier: str
    match_depth: int
    scale_multiplier: str
    scale_share: int
    representative: str
    sec_tokens_max: int
    sec_lanes: int
    top_k: str
    offset_bits: int
    counter_bits: int
    memories: str

    KINDS: ClassVar[dict[str, type]] = {}
    """Field name -> int, str or tuple (of int); filled from the annotations below the class."""

    def __post_init__(self) -> None:
        found, wrong_type = problems({name: getattr(self, name) for name in self.KINDS})
        if found:
            raise (ConfigurationTypeError if wrong_type else ConfigurationError)(found)

    # --- derived, so that no block computes it again ---

    @property
    def row_passes(self) -> int:
        """V / R: passes chained into one psum."""
        return self.vector // self.rows

    @property
    def col_passes(self) -> int:
        """V / C: column passes that make one output vector."""
        return self.vector // self.cols

    @property
    def candidates(self) -> int:
        """Neighbours of a key in the window."""
        return candidates_of(self.block)

    @property
    def window(self) -> int:
        """Positions of the window, the key's own included; also banks of the layouter."""
        return math.prod(self.block)

    @property
    def matcher_units(self) -> int:
        """Dot units: one for each candidate compared in parallel; for all of them, one more for the norm."""
        return self.window if self.matchers == self.candidates else self.matchers

    @property
    def element_bits(self) -> int:
        """Width of a token or weight element."""
        return 8 if self.dtype == "int8" else 16

    @property
    def acc_bits(self) -> int:
        """Width of a psum and of an accumulator: binary32 or int32."""
        return 32

    @property
    def leave_bits(self) -> int:
        """Width of a word in the output buffer: the element, or int32 for `int8`, requantised when it is read out."""
        return self.acc_bits if self.dtype == "int8" else self.element_bits

    @property
    def index_bits(self) -> int:
        """Width of a map index, 0 .. m-1."""
        return self.m_tile.bit_length() - 1

    @property
    def count_bits(self) -> int:
        """Width of a count of tokens or vectors of a tile, 0 .. m."""
        return self.index_bits + 1

    def to_dict(self) -> dict[str, Any]:
        """Every field, tuples as lists: what a preset file or a manifest holds."""
        return {name: list(value) if isinstance(value := getattr(self, name), tuple) else value
                for name in self.KINDS}

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON of every field: the configuration hash that figures are quoted with."""
        return configuration_hash(self.to_dict())


_PLAIN: dict[Any, type] = {int: int, str: str}
Parameters.KINDS.update({field.name: _PLAIN.get(field.type, tuple) for field in dataclasses.fields(Parameters)})
