# SPDX-License-Identifier: Apache-2.0
"""A configuration that does not fit a target -> the nearest one that does, step by step.

Each step is the first of a list that is meant to take less of what there is too little of; the list begins with what
costs no throughput.  A step may turn out not to help: what need not change is as it was asked for in the end.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from focus_rtl.gen.flow.estimate import Estimate
from focus_rtl.golden.params import Parameters, matcher_choices, problems

__all__ = ["Proposal", "nearest_that_fits", "smaller"]

Values = dict[str, Any]
Move = Callable[[Values], Values]


def _to(field: str, value: Any) -> Move:
    return lambda values: {field: value}


def _half(field: str, least: int = 1) -> Move:
    return lambda values: {field: max(values[field] // 2, least)}


def _fewer_matchers(values: Values) -> Values:
    return {"matchers": max([choice for choice in matcher_choices(values["block"]) if choice < values["matchers"]]
                            or [1])}


def _fewer_columns(values: Values) -> Values:
    cols = max(values["cols"] // 2, 1)
    return {"cols": cols, "scale_share": min(values["scale_share"], cols)}


def _shared_scales(values: Values) -> Values:
    """One requantiser for all columns."""
    return {"scale_share": values["cols"]}


def _serial_comparisons(values: Values) -> Values:
    """Unless all of them share one, which takes less."""
    return {} if values["compare_multiplier"] == "shared" else {"compare_multiplier": "serial"}


def _one_adder(values: Values) -> Values:
    """For every comparison."""
    return {"compare_multiplier": "shared", "matchers": 1} if values["dtype"] == "int8" else {}


def _smaller_block(values: Values) -> Values:
    """The frames first, then the rows: the columns are the nearest neighbours."""
    frames, rows, columns = values["block"]
    block = (frames - 1, rows, columns) if frames > 1 else (1, rows - 1, columns) if rows > 1 else (1, 1, columns)
    return {"block": block, "matchers": min(values["matchers"], *(matcher_choices(block)[-1:]))}


def _half_vector(values: Values) -> Values:
    """With it whatever has to divide it."""
    vector = max(values["vector"] // 2, 2)
    return {"vector": vector, "rows": min(values["rows"], vector), "cols": min(values["cols"], vector),
            "matcher_lanes": min(values["matcher_lanes"], vector)}


_BOTH: tuple[Move, ...] = (_fewer_matchers, _half("matcher_lanes"), _fewer_columns, _half("rows"))

MOVES: dict[str, tuple[Move, ...]] = {
    "dsp": (_shared_scales, _to("scale_multiplier", "serial"), _serial_comparisons, *_BOTH[:2],
            _to("dot_multiplier", "lut"), _to("pe_multiplier", "lut"), *_BOTH[2:]),
    "ram": (_half("psum_banks"), _half("scatter_lanes"), _half("m_tile", 8), _to("representative", "first"),
            _half("sec_lanes", 2), _one_adder, _fewer_columns, _half_vector, _smaller_block),
    "lut": (_half("scatter_lookahead", 2), _shared_scales, _to("representative", "first"), _half("sec_lanes", 2),
            *_BOTH[:2], _half("scatter_lanes"), _half("psum_banks"), _one_adder, _to("scale_multiplier", "serial"),
            *_BOTH[2:], _half_vector, _smaller_block, _half("m_tile", 8), _serial_comparisons),
}
"""Column -> what takes less of it, in the order of what is missed least."""
MOVES["ff"] = MOVES["lut"]


def smaller(values: Values, column: str) -> Iterator[Values]:
    """Legal configurations one step away that may take less of `column`, best first."""
    for move in MOVES[column]:
        changed = values | move(values)
        if changed != values and not problems(changed)[0]:
            yield changed


@dataclass(frozen=True)
class Proposal:
    """A configuration and its estimate.  fits : whether the target holds it; if not, nothing smaller is known.

    changes : keys that differ from what was asked for.
    """

    parameters: Parameters
    found: Estimate
    fits: bool
    changes: dict[str, Any]


def nearest_that_fits(params: Parameters, weigh: Callable[[Parameters], Estimate],
                      excess: Callable[[Estimate], dict[str, float]],
                      progress: Callable[[str], None] = lambda _step: None) -> Proposal:
    """Step down from `params` until nothing is in excess, or there is no further step; then take back what can be.

    What is far too large even at the bottom is said at once.

    weigh : what a configuration takes.  excess : column -> times too much.
    """
    first = {name: getattr(params, name) for name in Parameters.KINDS}
    values, order = dict(first), list[str]()

    def weighed(values: Values) -> Estimate:
        progress("estimating " + (", ".join(f"{key}={_toml(values[key])}" for key in _changed(first, values))
                                  or "what was asked for"))
        return weigh(Parameters(**values))

    found = weighed(values)
    over = excess(found)
    if over:
        least = _least(values)
        at_least = weighed(least)
        # Products can be made of look-up tables; of the rest another way down may take somewhat less than this one.
        if any(times > 1.5 for column, times in excess(at_least).items() if column != "dsp"):
            return Proposal(Parameters(**least), at_least, False, {key: least[key] for key in _changed(first, least)})
    while over:
        column = max(over, key=lambda each: over[each])
        ahead = _down(values, column, over[column])
        if ahead == values:
            break
        order += _changed(values, ahead)
        values = ahead
        found = weighed(values)
        over = excess(found)
    for key in dict.fromkeys(reversed(order)) if not over else ():  # what is missed most comes first
        restored = values | {key: first[key]}
        if restored not in (first, values) and not problems(restored)[0]:
            nearer = weighed(restored)
            if not excess(nearer):
                values, found = restored, nearer
    return Proposal(Parameters(**values), found, not over, {key: values[key] for key in _changed(first, values)})


def _least(values: Values) -> Values:
    """What no step takes further down, those aside that make products of look-up tables."""
    while True:
        ahead = next((each for column in ("ram", "lut") for each in smaller(values, column)), values)
        if ahead == values:
            return values
        values = ahead


def _down(values: Values, column: str, times: float) -> Values:
    """A step down, or several where it is `times` too much: no step takes more than three quarters away, so none of
    them leads past what would fit.  Of multipliers one at a time, because a target may have none.
    """
    for _ in range(1 if column == "dsp" else max(int(math.log(times, 4)), 1)):
        values = next(smaller(values, column), values)
    return values


def _changed(first: Values, values: Values) -> list[str]:
    return [key for key in first if first[key] != values[key]]


def _toml(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)
