# SPDX-License-Identifier: Apache-2.0
"""Additions, multiply-accumulates and requantisations by the ten million, aimed at every bin, against golden.

    python -m focus_rtl.verif.numeric.campaign                        # all, a minute or two
    python -m focus_rtl.verif.numeric.campaign mac_bf16 --seed 7
    python -m focus_rtl.verif.numeric.campaign --seed 1 --json docs/arithmetic.json

Ends with 1 on a difference, on a reachable bin with fewer than 1,000 hits, or on a hit in a bin that is said to be out
of reach.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.numeric import elements, formats
from focus_rtl.hdl.numeric.add import Add
from focus_rtl.hdl.numeric.multiply_add import MultiplyAdd
from focus_rtl.hdl.numeric.requantise import Requantise
from focus_rtl.verif.numeric.bins import SHAPE, bin_names, bin_of, unreachable
from focus_rtl.verif.numeric.exhaustive import Difference
from focus_rtl.verif.numeric.halves import NAMES, OUT_OF_REACH, draw_halves, half_bins
from focus_rtl.verif.numeric.harness import Harness, Lane
from focus_rtl.verif.numeric.native import Native
from focus_rtl.verif.records import Record, design_of, put, stamp

__all__ = ["CAMPAIGNS", "Campaign", "Outcome", "run"]

LANES, BATCH = 8, 1 << 15
SETS, HITS, LIMIT = 10_000_000, 1_000, 60_000_000
"""Triples at least; hits of every reachable bin; triples at most before a bin that is still short is a failure."""

Bits = NDArray[np.uint32]
Triple = tuple[NDArray[Any], NDArray[Any], Bits]


def _field(bits: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(bits >> np.uint32(23) & np.uint32(255), np.int64)


def _fractions(rng: np.random.Generator, size: int, width: int) -> NDArray[np.int64]:
    """Any, all ones, a power of two, few low bits, few high bits, nearly all ones."""
    anything = rng.integers(0, 1 << width, size)
    ones, run = (1 << width) - 1, rng.integers(0, width, size)
    few = rng.choice([0, 1, 2, 3, 4], size) << width - 2 & ones  # of the highest bits
    return np.choose(rng.integers(0, 8, size), [
        anything, anything, 0 * run + ones, 0 * run, anything >> run, anything << run & ones,
        ones - rng.integers(0, 3, size), few])


def partner(rng: np.random.Generator, first: Bits, subnormal: bool) -> Bits:
    """A number for each `first`: at a chosen distance above or below it, its lost bits aimed at a rounding."""
    size = len(first)
    exponent = np.maximum(_field(first), 1)
    distance = np.where(rng.random(size) < 0.85, rng.integers(0, 27, size), rng.integers(26, 255, size))
    below = rng.random(size) < 0.5
    wanted = np.where(below, exponent - distance, exponent + distance)
    wanted = np.clip(wanted, 0 if subnormal else 1, np.where(exponent == 255, 255, 254))
    cut = np.clip(distance, 0, 23)  # bits of the fraction that are lost
    high = rng.integers(0, 1 << 23, size) >> cut << cut
    half = np.where(cut > 0, np.int64(1) << np.maximum(cut - 1, 0), 0)
    low = rng.integers(0, 1 << 23, size) & np.maximum(half - 1, 0)
    aimed = np.choose(rng.integers(0, 4, size), [high, high | low, high | half, high | half | low])
    fraction = np.where(rng.random(size) < 0.6, aimed, _fractions(rng, size, 23))
    number = np.where(wanted == 255, rng.integers(0, 2, size) << 22, fraction) | wanted << 23
    alike = rng.random(size)  # near equal, equal, zero
    number = np.where(alike < 0.06, (first & 0x7FFFFFFF).astype(np.int64) + rng.integers(-3, 4, size), number)
    number = np.where((alike > 0.06) & (alike < 0.08), first & 0x7FFFFFFF, number)
    number = np.where((alike > 0.08) & (alike < 0.10), 0, number)
    number = np.where((alike > 0.10) & (alike < 0.11), rng.choice([0x7F800000, 0x7FC00000], size), number)
    sign = rng.integers(0, 2, size) << 31
    # On the brink of overflow: the largest numbers, less about as much as the other one carries.
    brink = (exponent >= 229) & (exponent < 255) & (rng.random(size) < 0.5)
    away = np.clip(254 - exponent, 0, 25)
    carried = ((first & np.uint32(0x7FFFFF)).astype(np.int64) | 1 << 23) >> away
    large = np.clip((1 << 24) - carried - rng.integers(-1, 2, size), 1 << 23, (1 << 24) - 1)
    number = np.where(brink, 254 << 23 | large & 0x7FFFFF, number)
    sign = np.where(brink, (first >> np.uint32(31)).astype(np.int64) << 31, sign)
    return _legal(np.clip(number, 0, 0x7FFFFFFF) | sign, subnormal)


def _legal(number: NDArray[np.int64], subnormal: bool) -> Bits:
    bits = number.astype(np.uint32)
    if subnormal:
        return bits
    canonical = formats.canonical(bits)  # what a psum of fp16 can be
    return np.where(canonical & np.uint32(0x7FFFFFFF) < 0x00800000, canonical & np.uint32(0x80000000), canonical)


def _exponents(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """binary32's: anywhere, near the least, near the largest, special, and those a zero is so many binades below."""
    return np.choose(rng.integers(0, 9, size), [
        *[rng.integers(1, 255, size)] * 3, rng.integers(0, 4, size), rng.integers(0, 30, size),
        *[rng.integers(227, 255, size)] * 2, rng.integers(253, 255, size), np.full(size, 255)])


def draw_add(rng: np.random.Generator, size: int) -> Triple:
    """Two binary32 numbers; the third operand is none."""
    first = (_exponents(rng, size) << 23 | _fractions(rng, size, 23) | rng.integers(0, 2, size) << 31).astype(np.uint32)
    second = partner(rng, first, True)
    turned = rng.random(size) < 0.5
    return np.where(turned, first, second), np.where(turned, second, first), np.zeros(size, np.uint32)


def draw_fp16(rng: np.random.Generator, size: int) -> Triple:
    """Two elements, subnormals and specials among them, and a psum placed relative to their product."""
    def element() -> NDArray[np.uint16]:
        exponent = np.choose(rng.integers(0, 6, size), [*[rng.integers(0, 31, size)] * 4, 0 * rng.integers(0, 1, size),
                                                        rng.integers(0, 32, size)])
        bits = exponent << 10 | _fractions(rng, size, 10) | rng.integers(0, 2, size) << 15
        special = rng.choice([0, 0x8000, 0x7C00, 0x7E01, 0xFC00], size)
        return np.where(rng.random(size) < 0.05, special, bits).astype(np.uint16)

    x, w = element(), element()
    product = formats.multiply(x, w)
    psum = partner(rng, product, False)
    return x, w, psum


_SIGNIFICANDS = np.arange(128, 256)
_FULL = np.argwhere(np.multiply.outer(_SIGNIFICANDS, _SIGNIFICANDS) // 128 == 255)
"""Fractions of bfloat16 whose product is nearly 2: the largest of a binade, which a small psum carries over."""


def draw_bf16(rng: np.random.Generator, size: int) -> Triple:
    """Two elements whose product has a chosen exponent, and a psum placed relative to it."""
    wanted = _exponents(rng, size) + rng.integers(-1, 2, size)
    x_exponent = np.clip(rng.integers(1, 255, size), wanted + 127 - 254, wanted + 126)
    x_exponent = np.clip(x_exponent, 0, 255)
    w_exponent = np.clip(wanted + 127 - x_exponent, 0, 254)
    full = rng.random(size) < 0.1
    x_exponent, w_exponent = np.where(full, 190, x_exponent), np.where(full, 191, w_exponent)  # product below 2**128
    fractions = np.where(full, rng.choice(_FULL, size).T, [_fractions(rng, size, 7) for _ in "xw"])
    sides = [np.where(rng.random(size) < 0.02, rng.choice([0, 255], size), exponent)
             for exponent in (x_exponent, w_exponent)]
    x, w = ((side << 7 | part | rng.integers(0, 2, size) << 15).astype(np.uint16)
            for side, part in zip(sides, fractions, strict=True))
    return x, w, partner(rng, elements.multiply_bf16(x, w), True)


def draw_int8(rng: np.random.Generator, size: int) -> Triple:
    """Two elements, and accumulators anywhere, at the ends of int32, or near the product."""
    def element() -> NDArray[np.uint8]:
        end = rng.choice([0, 1, 127, 128, 255], size)
        return np.where(rng.random(size) < 0.2, end, rng.integers(0, 256, size)).astype(np.uint8)

    x, w = element(), element()
    near = rng.integers(0, 1 << 15, size)
    product = elements.multiply_int8(x, w).view(np.int32).astype(np.int64)
    psum = np.choose(rng.integers(0, 5, size), [near * 0, rng.integers(0, 1 << 32, size), 0x7FFFFFFF - near,
                                                0x80000000 + near, near % 3 - product])
    return x, w, (psum & 0xFFFFFFFF).astype(np.uint32)


def _float_bins(first: Bits, psum: Bits, total: Bits) -> NDArray[np.int64]:
    return bin_of(first, psum, total)


SIGNS = ("negative", "zero", "positive")
INT_NAMES = [f"product {p}, psum {q}, {wrap}" for p in SIGNS for q in SIGNS for wrap in ("in range", "wraps")]


def _int_bins(first: Bits, psum: Bits, total: Bits) -> NDArray[np.int64]:
    a, b = first.view(np.int32).astype(np.int64), psum.view(np.int32).astype(np.int64)
    wraps = total.view(np.int32) != a + b
    return np.asarray(((np.sign(a) + 1) * 3 + np.sign(b) + 1) * 2 + wraps, np.int64)


_INT_REASONS = {number: "only two of one sign wrap" for number, name in enumerate(INT_NAMES)
                if name.endswith("wraps") and name not in ("product negative, psum negative, wraps",
                                                           "product positive, psum positive, wraps")}


@dataclass(frozen=True)
class Campaign:
    """A unit, where its triples come from, what it has to answer (product, sum), and the bins."""

    lane: Lane
    operands: dict[str, int]
    draw: Callable[[np.random.Generator, int], Triple]
    product: Callable[..., Bits]
    accumulate: Callable[..., Bits] = formats.add32
    bins: Callable[[Bits, Bits, Bits], NDArray[np.int64]] = _float_bins
    number: int = int(np.prod(SHAPE))
    name_of: Callable[[int], str] = bin_names
    reasons: dict[int, str] = field(default_factory=dict)

    @property
    def reachable(self) -> list[int]:
        """The bins that operands reach."""
        return [number for number in range(self.number) if number not in self.reasons]

    def design(self) -> str:
        """SHA-256 of the unit's Verilog."""
        return design_of(self.lane.make())


def _mac(dtype: str, draw: Callable[[np.random.Generator, int], Triple], width: int, **more: Any) -> Campaign:
    element = elements.ELEMENTS[dtype]
    lane = Lane("o", lambda: MultiplyAdd(0, dtype), {"a": "a", "b": "b", "c": "c"})
    return Campaign(lane, {"a": width, "b": width, "c": 32}, draw, element.multiply, element.accumulate, **more)


def _first(a: Bits, b: Bits) -> Bits:
    return a


CAMPAIGNS: dict[str, Campaign] = {
    "add": Campaign(Lane("o", lambda: Add(0), {"a": "a", "b": "b"}), {"a": 32, "b": 32}, draw_add, _first,
                    reasons=unreachable(False)),
    "mac_fp16": _mac("fp16", draw_fp16, 16, reasons=unreachable(True)),
    "mac_bf16": _mac("bf16", draw_bf16, 16, reasons=unreachable(False)),
    "mac_int8": _mac("int8", draw_int8, 8, bins=_int_bins, number=len(INT_NAMES), name_of=INT_NAMES.__getitem__,
                     reasons=_INT_REASONS),
    "requantise": Campaign(Lane("o", lambda: Requantise(0), {"a": "a", "b": "b"}), {"a": 32, "b": 32}, draw_halves,
                           _first, elements.requantise, half_bins, len(NAMES), NAMES.__getitem__, OUT_OF_REACH),
}


@dataclass(frozen=True)
class Outcome:
    """Triples compared, hits by bin, and the complaints: reachable bins that are short, others that were hit."""

    compared: int
    hits: NDArray[np.int64]
    short: list[str]
    surprising: list[str]

    def least(self, campaign: Campaign) -> int:
        """Hits of the bin that was hit least, of those that can be."""
        return min(int(self.hits[number]) for number in campaign.reachable)


def run(campaign: Campaign, seed: int, sets: int = SETS, hits: int = HITS, limit: int = LIMIT) -> Outcome:
    """Compare at least `sets` triples, and go on to `limit` while a reachable bin has fewer than `hits`.

    Raises
    ------
    Difference : hardware and golden differ.
    """
    rng, count, compared = np.random.default_rng(seed), np.zeros(campaign.number, np.int64), 0
    reachable = np.isin(np.arange(campaign.number), campaign.reachable)
    with Native(Harness([campaign.lane], campaign.operands, LANES)) as model:
        records = min(BATCH, model.capacity)
        while compared < sets or (compared < limit and (count[reachable] < hits).any()):
            triple = campaign.draw(rng, records * LANES)
            two = len(campaign.operands) == 2
            for name, values in zip(campaign.operands, triple, strict=not two):
                model.inputs[name][:records] = values.reshape(records, LANES)
            model.start(records)
            first = campaign.product(triple[0], triple[1])
            second = triple[1] if two else triple[2]
            expected = campaign.accumulate(first, second)
            count += np.bincount(campaign.bins(first, second, expected), minlength=campaign.number)
            _compare(campaign, triple, expected, model.finish()["o"].ravel(), seed)
            compared += len(expected)
    if count.sum() != compared:
        raise Difference("a triple fell into no bin")
    short = [f"{campaign.name_of(number)} ({count[number]})"
             for number in np.flatnonzero(reachable & (count < hits)).tolist()]
    surprising = [f"{campaign.name_of(number)} ({count[number]}): {campaign.reasons[number]}"
                  for number in np.flatnonzero(~reachable & (count > 0)).tolist()]
    return Outcome(compared, count, short, surprising)


def _compare(campaign: Campaign, triple: Triple, expected: Bits, got: Bits, seed: int) -> None:
    wrong = np.flatnonzero(got != expected)
    if wrong.size:
        first = wrong[0]
        inputs = ", ".join(f"{name} = {int(values[first]):#x}"
                           for name, values in zip(campaign.operands, triple, strict=False))
        raise Difference(f"{wrong.size} of {len(expected)} differ; the first: {inputs}: "
                         f"expected {int(expected[first]):#x}, got {int(got[first]):#x}; seed {seed}")


def record_of(name: str, seed: int, outcome: Outcome) -> Record:
    """What is recorded of a campaign that passed."""
    campaign = CAMPAIGNS[name]
    return {"result": "all equal", "cases": outcome.compared, "seed": seed, "bins": campaign.number,
            "bins_reached": len(campaign.reachable), "least_hits": outcome.least(campaign),
            **stamp(f"python -m focus_rtl.verif.numeric.campaign {name} --seed {seed}", campaign.design())}


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.numeric.campaign",
                                     description="additions, multiply-accumulates and requantisations against golden")
    parser.add_argument("campaigns", nargs="*", metavar="campaign", help=f"of {', '.join(CAMPAIGNS)}; else all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31))
    parser.add_argument("--sets", type=int, default=SETS, help=f"triples at least (default: {SETS:,})")
    parser.add_argument("--reasons", action="store_true", help="list the bins that are out of reach, and why")
    parser.add_argument("--json", type=Path, help="record there what passed")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.campaigns) - set(CAMPAIGNS))
    if unknown:
        parser.error(f"no campaign {', '.join(unknown)}; there are {', '.join(CAMPAIGNS)}")
    if chosen.json and chosen.sets < SETS:
        parser.error(f"--json records campaigns of {SETS:,} triples and more")
    print(f"seed {chosen.seed}")
    for name in chosen.campaigns or CAMPAIGNS:
        campaign, begin = CAMPAIGNS[name], time.monotonic()
        try:
            outcome = run(campaign, chosen.seed, chosen.sets)
        except Difference as difference:
            print(f"DIFFERENT {name}: {difference}")
            return 1
        print(f"{name}: {outcome.compared:,} triples equal, {len(campaign.reachable)} bins hit "
              f"{outcome.least(campaign):,} times or more, {len(campaign.reasons)} out of reach, "
              f"{time.monotonic() - begin:.1f} s", flush=True)
        if chosen.reasons:
            print("\n".join(f"  {campaign.name_of(number)}: {why}" for number, why in campaign.reasons.items()))
        for complaint, bins in (("fewer than 1,000 hits", outcome.short),
                                ("said to be out of reach, and hit", outcome.surprising)):
            if bins:
                print(f"{name}: {complaint}: {'; '.join(bins)}")
                return 1
        if chosen.json:
            put(chosen.json, f"campaign {name}", record_of(name, chosen.seed, outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
