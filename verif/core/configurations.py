# SPDX-License-Identifier: Apache-2.0
"""Random small configurations of the core, chosen so that few of them cover many values and pairs of values."""

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import Generator

from focus_rtl.golden.params import Parameters, matcher_choices

__all__ = ["EVERY", "NUMBERS", "PAIRED", "WORDS", "empty_bins", "plan", "value_bins"]

VECTORS = (2, 4, 6, 8, 12, 16)
MOST_UNITS = 40  # floating-point units that a small build may have
MOST_STEPS = 6  # of a vector through serial requantisers, each of which takes dozens of cycles

SIDES = ("block frames", "block rows", "block columns")

WORDS: dict[str, tuple[str, ...]] = {
    "dtype": ("fp16", "bf16", "int8"), "pe_multiplier": ("dsp", "lut"), "dot_multiplier": ("dsp", "lut"),
    "compare_multiplier": ("dsp", "lut", "serial", "shared"), "scale_multiplier": ("dsp", "lut", "serial"),
    "representative": ("first", "mean"), "top_k": ("radix", "bubble")}

EVERY: dict[str, tuple[int, ...]] = {
    "scatter_lanes": (1, 2, 4), "psum_banks": (1, 2, 4, 8, 16, 32), "scatter_lookahead": (2, 4, 8, 16),
    "pe_depth": (1, 2, 3, 4), "match_depth": (2, 3, 4), **dict.fromkeys(SIDES, (1, 2, 3))}
"""Fields, and sides of the window, of which every legal value has to occur: words, and numbers."""

MATCHERS = ("one", "row", "frame", "all", "none")
"""What the matchers of a window take at a time, whatever its size; `none`: it has no neighbours."""

NUMBERS = ("rows", "cols", "vector", "m_tile", "frames", "height", "width", "k_max", "n_max", "tokens_max",
           "matcher_lanes", "scale_share", "sec_tokens_max", "sec_lanes", "offset_bits", "counter_bits")
"""Fields of which at least three values have to occur."""

Pair = tuple[str, int | str, str, int | str]

RELATIONS = ("R != C", "R = C", "R < V", "R = V", "C < V", "C = V", "V no power of two")

PAIRED = ("dtype", "R", "C", "V/R", "S", "matchers", "compare_multiplier", *SIDES)
"""Every pair of values of two of these that fits a small build has to occur in a long campaign."""


def _divisors(value: int) -> list[int]:
    return [number for number in range(1, value + 1) if value % number == 0]


def _kind(block: tuple[int, ...], matchers: int) -> str:
    """Which of `MATCHERS` that number is."""
    window = math.prod(block)
    if window == 1 or matchers == window - 1:
        return "none" if window == 1 else "all"
    return "one" if matchers == 1 else "row" if matchers == block[2] else "frame"


def _units(rows: int, cols: int, lanes: int, block: tuple[int, ...], matchers: int, matcher_lanes: int) -> int:
    """Floating-point multipliers and adders, roughly."""
    dots = math.prod(block) if _kind(block, matchers) == "all" else matchers
    return rows * cols + lanes * cols + dots * matcher_lanes


@functools.cache
def _pairs_that_fit() -> frozenset[Pair]:
    """Every pair that some configuration within `MOST_UNITS` has."""
    pairs: set[Pair] = set()
    for vector in VECTORS:
        sides = _divisors(vector)
        for rows, cols, lanes in itertools.product(sides, sides, EVERY["scatter_lanes"]):
            for block, matchers in _windows():
                if _units(rows, cols, lanes, block, matchers, 1) <= MOST_UNITS:
                    for dtype, kind in itertools.product(WORDS["dtype"], WORDS["compare_multiplier"]):
                        if kind == "shared" and (dtype != "int8" or matchers != 1):
                            continue
                        pairs |= set(_pairs({"dtype": dtype, "R": rows, "C": cols, "V/R": vector // rows, "S": lanes,
                                             "matchers": _kind(block, matchers), "compare_multiplier": kind,
                                             **_sides(block)}))
    return frozenset(pairs)


def _windows() -> list[tuple[tuple[int, ...], int]]:
    """Every window with every number of matchers."""
    return [(block, matchers) for block in itertools.product((1, 2, 3), repeat=3)
            for matchers in matcher_choices(block)]


def _sides(block: tuple[int, ...]) -> dict[str, int | str]:
    return dict(zip(SIDES, block, strict=True))


def _pairs(values: dict[str, int | str]) -> Iterator[Pair]:
    for one, other in itertools.combinations(PAIRED, 2):
        yield one, values[one], other, values[other]


def _paired_values(p: Parameters) -> dict[str, int | str]:
    return {"dtype": p.dtype, "R": p.rows, "C": p.cols, "V/R": p.row_passes, "S": p.scatter_lanes,
            "matchers": _kind(p.block, p.matchers), "compare_multiplier": p.compare_multiplier, **_sides(p.block)}


def _random(rng: Generator) -> Parameters | None:
    """A configuration, or None where the drawn values do not fit each other or are too large."""
    def draw(values: Sequence[int]) -> int:
        return int(rng.choice(values))

    vector, banks = draw(VECTORS), draw(EVERY["psum_banks"])
    m_tile = draw([size for size in (8, 8, 16, 16, 32, 64) if banks <= size // 2])
    rows, cols = draw(_divisors(vector)), draw(_divisors(vector))
    lanes = draw([number for number in EVERY["scatter_lanes"] if number <= banks])
    block = (1, 1, 1) if rng.random() < 0.1 else tuple(draw((1, 2, 2, 3)) for _ in range(3))
    matchers = draw(matcher_choices(block))
    matcher_lanes = draw([number for number in _divisors(vector) if number & (number - 1) == 0])
    words = {name: str(rng.choice(legal)) for name, legal in WORDS.items()}
    if words["compare_multiplier"] == "shared":
        words["dtype"], matchers = "int8", 1
    share = draw(_divisors(cols))
    units = _units(rows, cols, lanes, block, matchers, matcher_lanes)
    units += vector + matcher_lanes if words["representative"] == "mean" else 0
    slow = words["dtype"] == "int8" and words["scale_multiplier"] == "serial" and vector // cols * share > MOST_STEPS
    if units > MOST_UNITS or slow:
        return None
    return Parameters(
        **words, rows=rows, cols=cols, vector=vector, m_tile=m_tile, block=block,
        grid_max=(draw((1, 2, 5, 8, 64)), draw((1, 3, 4, 6, 9)), draw((1, 2, 4, 5, 7))),
        k_max=vector * draw((3, 4, 7)) + draw((0, 1, 3)), n_max=vector * draw((3, 5)) + draw((0, 2)),
        tokens_max=draw((128, 200, 513, 4096)), scatter_lanes=lanes, psum_banks=banks,
        scatter_lookahead=draw(EVERY["scatter_lookahead"]), matchers=matchers, matcher_lanes=matcher_lanes,
        pe_depth=draw(EVERY["pe_depth"]), sec_tokens_max=draw((32, 64, 100)), sec_lanes=draw((2, 4, 8)),
        offset_bits=draw((1, 2, 4, 8)), match_depth=draw(EVERY["match_depth"]), scale_share=share,
        counter_bits=draw((16, 24, 32)), memories="inferred")


def value_bins(p: Parameters) -> Iterator[str]:
    """The bins that a configuration falls into."""
    values = p.to_dict() | dict(zip(("frames", "height", "width"), p.grid_max, strict=True)) | _sides(p.block)
    values["matchers"] = _kind(p.block, p.matchers)
    for name in (*WORDS, "matchers", *EVERY, *NUMBERS):
        yield f"{name} = {values[name]}"
    relations = (p.rows != p.cols, p.rows == p.cols, p.rows < p.vector, p.rows == p.vector, p.cols < p.vector,
                 p.cols == p.vector, p.vector & (p.vector - 1) != 0)
    yield from (name for name, holds in zip(RELATIONS, relations, strict=True) if holds)
    yield from (f"{one} = {a}, {other} = {b}" for one, a, other, b in _pairs(_paired_values(p)))


def plan(seed: int, count: int) -> list[Parameters]:
    """`count` distinct configurations; each is the one of several drawn ones that adds most to what is covered.

    In a short campaign values count more than pairs of them.
    """
    rng = np.random.default_rng(seed)
    chosen: dict[str, Parameters] = {}
    missing = Counter(dict.fromkeys(_wanted_values(), 100) | dict.fromkeys(_wanted_pairs(), 1))
    seen: Counter[str] = Counter()
    known: Counter[str] = Counter()  # distinct values of each of `NUMBERS`, of which three have to be seen
    while len(chosen) < count:
        best, gain = None, -1
        for _ in range(60 if missing else 1):
            p = _random(rng)
            if p is None or p.sha256 in chosen:
                continue
            new = sum(missing[name] for name in value_bins(p)) + sum(
                30 if known[name.split(" = ")[0]] >= 3 else 100 for name in _numbers(p) if not seen[name])
            if new > gain:
                best, gain = p, new
        if best is not None and (gain > 0 or not missing):
            chosen[best.sha256] = best
            known.update(name.split(" = ")[0] for name in _numbers(best) if not seen[name])
            seen.update(value_bins(best))
            for name in value_bins(best):
                missing.pop(name, None)
    return list(chosen.values())


def _numbers(p: Parameters) -> list[str]:
    return [label for label in value_bins(p) if label.split(" = ")[0] in NUMBERS and "," not in label]


def _wanted_values() -> list[str]:
    values = {**WORDS, "matchers": MATCHERS, **EVERY}
    return [f"{name} = {value}" for name, legal in values.items() for value in legal] + list(RELATIONS)


def _wanted_pairs() -> list[str]:
    return [f"{one} = {a}, {other} = {b}" for one, a, other, b in sorted(_pairs_that_fit())]


def empty_bins(configurations: Sequence[Parameters]) -> list[str]:
    """What a campaign over these has missed: values and relations from 10 of them on, pairs from 150 on."""
    bins = Counter(name for p in configurations for name in value_bins(p))
    if len(configurations) < 10:
        return []
    empty = [label for label in _wanted_values() if not bins[label]]
    for name in NUMBERS:
        values = [label for label in bins if label.startswith(f"{name} = ") and "," not in label]
        empty += [f"three values of {name} (only {len(values)})"] if len(values) < 3 else []
    if len(configurations) >= 150:
        empty += [label for label in _wanted_pairs() if not bins[label]]
    return empty
