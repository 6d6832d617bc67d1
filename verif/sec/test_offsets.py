# SPDX-License-Identifier: Apache-2.0
"""OffsetEncoder and OffsetDecoder: symbols and positions as golden has them, for every mask, grid and stall."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.golden.sec.offsets import ESCAPE, Strides, decode, encode, reach
from focus_rtl.hdl.layouts import grid_position
from focus_rtl.hdl.sec import layouts
from focus_rtl.hdl.sec.offset_decoder import OffsetDecoder
from focus_rtl.hdl.sec.offset_encoder import OffsetEncoder
from focus_rtl.verif.bench.runner import simulate
from focus_rtl.verif.bench.session import bench_test, config, seed
from focus_rtl.verif.bench.streams import ALWAYS, Bench, Stall
from focus_rtl.verif.sec.cases import kept_words
from focus_rtl.verif.sec.tops import OffsetPair

UNITS = {"one bit": (70, 4, 1, (4, 3, 5)), "three bits": (200, 2, 3, (9, 6, 4)), "eight bits": (900, 8, 8, (5, 7, 13))}
"""tokens_max, lanes, offset_bits, (frames, height, width)."""

STALLS = {"never": ALWAYS, "often": Stall(0.5), "bursts": Stall(0.1, burst=15), "lazy": Stall(0.2, lazy=True)}
INPUTS = ("orders", "masks", "previous", "decodes", "symbols")
OUTPUTS = ("offsets", "positions")
EVENTS = {"empty", "full", "one token", "most tokens", "escape", "two escapes in a row", "longest without escape",
          "shortest with escape", "pruned", "escape among the previous", "separators", "no separators", "row skipped",
          "frame skipped", "separator in a row", "separator behind a frame", "beyond the last frame", "one by one grid",
          "an escape at the end"}


def const(layout: Any, **fields: int) -> int:
    word: int = layout.const(fields).as_value().value
    return word


@dataclass
class Work:
    """Words of every stream, and how often each named case is in them."""

    unit: tuple[int, int, int, tuple[int, int, int]]
    words: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in INPUTS + OUTPUTS})
    events: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    beyond: int = 0

    def add_mask(self, present: NDArray[np.bool_] | None, kept: NDArray[np.bool_]) -> None:
        """An order for the encoder: `kept` of the tokens that are present, of all if None."""
        tokens_max, lanes, bits, _ = self.unit
        pruned = present is not None
        inner = kept if present is None else kept[present]
        symbols = encode(kept, bits).tolist()
        last = np.cumsum(np.array(symbols) != ESCAPE) == kept.sum()
        self.words["orders"].append(const(layouts.encode_order(tokens_max), tokens=len(inner), k=int(kept.sum()),
                                          pruned=pruned))
        self.words["masks"] += kept_words(inner, lanes)
        self.words["offsets"] += [symbol | int(end) << bits for symbol, end in zip(symbols, last, strict=True)]
        gaps = np.diff(np.flatnonzero(kept), prepend=-1)
        self.events += Counter({
            "empty": not kept.any(), "full": bool(kept.all()) and not pruned, "one token": len(inner) == 1,
            "most tokens": len(inner) == tokens_max, "escape": ESCAPE in symbols,
            "two escapes in a row": (0, 0) in set(pairwise(symbols)),
            "longest without escape": int((gaps == reach(bits)).sum()),
            "shortest with escape": int((gaps == reach(bits) + 1).sum()), "pruned": pruned})
        if present is not None:
            before = encode(present, bits).tolist()
            self.words["previous"] += before
            self.events["escape among the previous"] += before.count(ESCAPE)

    def add_positions(self, kept: NDArray[np.bool_], strides: Strides, more: int = 0) -> None:
        """An order for the decoder; behind the last token's offset `more` escapes, or one if there is no token."""
        tokens_max, _, bits, grid_max = self.unit
        symbols = encode(kept, bits)
        symbols = np.append(symbols, np.full(more if kept.any() else 1, ESCAPE, np.uint16))
        tokens = decode(symbols, bits)
        assert tokens.tolist() == np.flatnonzero(kept).tolist(), "golden decode is no inverse of encode"
        places = strides.positions(tokens)
        self.words["decodes"].append(const(
            layouts.decode_order(tokens_max, grid_max), frames=strides.frames, height=strides.height,
            width=strides.width, row_stride=strides.row, frame_stride=strides.frame))
        self.words["symbols"] += [*symbols[:-1].tolist(), int(symbols[-1]) | 1 << bits]
        self.words["positions"] += [const(grid_position(grid_max), image=image, frame=frame, row=row, column=column)
                                    for image, frame, row, column in places.tolist()]
        self.steps += steps_of(symbols, bits, strides)
        self.beyond += int((places[:, 0] == 0).sum())
        frames, rows = np.diff(places[:, 1]), np.diff(places[:, 2])
        self.events += Counter({
            "separators": strides.row > strides.width, "no separators": strides.row == strides.width,
            "frame skipped": int((frames > 1).sum()), "row skipped": int(((frames == 0) & (rows > 1)).sum()),
            "separator in a row": int((places[:, 3] == strides.width).sum()),
            "separator behind a frame": int((places[:, 2] == strides.height).sum()),
            "beyond the last frame": int((places[:, 0] == 0).sum()),
            "an escape at the end": bool(symbols[-1] == ESCAPE),
            "one by one grid": strides.height == strides.width == 1})


def steps_of(symbols: NDArray[np.uint16], bits: int, strides: Strides) -> int:
    """Cycles that the decoder is to spend: one per symbol, and one per start of a row or frame on the way."""
    steps, here = 0, (0, 0)
    token = -1
    for symbol in symbols.tolist():
        token += symbol or reach(bits)
        frame = min(token // strides.frame, strides.frames)
        row = min(token % strides.frame // strides.row, strides.height) if frame < strides.frames else 0
        steps += 1 + (frame - here[0]) + (row if frame > here[0] else row - here[1])
        here = frame, row
    return steps


def random_mask(rng: np.random.Generator, tokens: int, bits: int) -> NDArray[np.bool_]:
    """Any density; or gaps around the longest one; or next to none."""
    kind = rng.integers(3)
    if kind == 0:
        return np.asarray(rng.random(tokens) < rng.choice((0.02, 0.1, 0.4, 0.9)))
    kept = np.zeros(tokens, np.bool_)
    token = -1
    while kind == 1:
        token += int(reach(bits) * rng.integers(1, 3) + rng.integers(0, 3) - 1) or 1
        if token >= tokens:
            break
        kept[token] = True
    kept[rng.integers(tokens)] = True
    return kept


def random_strides(rng: np.random.Generator, unit: tuple[int, int, int, tuple[int, int, int]]) -> Strides:
    """Any grid, half of them with separators; the largest one and the smallest among them."""
    frames, height, width = (int(rng.choice((1, size, rng.integers(1, size + 1)))) for size in unit[3])
    apart = rng.random() < 0.5
    row = width + (int(rng.integers(1, 4)) if apart else 0)
    most = unit[0]
    row = min(row, max(most // height, width))
    return Strides(frames, height, width, row, min(height * row + (int(rng.integers(0, 5)) if apart else 0), most))


def named(unit: tuple[int, int, int, tuple[int, int, int]]) -> Work:
    """The cases that have to be there, whatever the seed."""
    most, _, bits, (frames, _, _) = unit
    work, longest = Work(unit), reach(bits)
    everything, none = np.ones(most, np.bool_), np.zeros(most, np.bool_)
    work.add_mask(None, none)
    work.add_mask(None, everything)
    work.add_mask(None, np.ones(1, np.bool_))
    far = none.copy()
    far[[longest - 1, 2 * longest, min(5 * longest + 1, most - 1)]] = True
    work.add_mask(None, far)
    work.add_mask(far, far)
    last = none.copy()
    last[-1] = True
    work.add_mask(last, last)
    for strides in (Strides(1, 1, 1, 1, 1), Strides(frames, 2, 2, 4, 9), Strides(1, 3, 3, 3, 9)):
        for kept in (everything, last, far):
            work.add_positions(kept, strides)
    sparse = none.copy()
    sparse[[0, 8, 26]] = True  # row 0, row 2, two frames on
    work.add_positions(sparse, Strides(4, 3, 3, 3, 9))
    work.add_positions(none, Strides(frames, 2, 2, 4, 9))
    work.add_positions(far, Strides(frames, 2, 2, 4, 9), more=2)
    return work


def random_work(rng: np.random.Generator, unit: tuple[int, int, int, tuple[int, int, int]], orders: int) -> Work:
    """Encoder and decoder with any masks and grids."""
    work = Work(unit)
    for _ in range(orders):
        tokens = int(rng.integers(1, unit[0] + 1))
        kept = random_mask(rng, tokens, unit[2])
        present = kept | random_mask(rng, tokens, unit[2]) if rng.random() < 0.6 else None
        work.add_mask(present, kept)
        work.add_positions(random_mask(rng, tokens, unit[2]), random_strides(rng, unit), more=int(rng.integers(3)) // 2)
    return work


async def compare(bench: Bench, work: Work, stall: Stall) -> int:
    """Run to the end; every word."""
    for name in INPUTS:
        bench.source(name, work.words[name], Stall(stall.probability, stall.burst))
    for name in OUTPUTS:
        bench.sink(name, len(work.words[name]), stall)
    await bench.run()
    for name in OUTPUTS:
        got, want = bench.sinks[name].words, work.words[name]
        first = next((number for number, pair in enumerate(zip(got, want, strict=True)) if pair[0] != pair[1]), None)
        assert first is None, f"{name} {first}: got {got[first]:#x}, expected {want[first]:#x}"
    return sum(len(work.words[name]) for name in OUTPUTS)


def watch_beyond(bench: Bench) -> list[int]:
    """The cycles in which `beyond` is high."""
    cycles: list[int] = []
    bench.hooks.append(lambda cycle: cycles.append(cycle) if bench.read("beyond") else None)
    return cycles


def unit_of() -> tuple[int, int, int, tuple[int, int, int]]:
    tokens, lanes, bits, grid = config()["unit"]
    return tokens, lanes, bits, tuple(grid)


@bench_test
async def equals_the_model(dut: Any) -> dict[str, Any]:
    unit, bench, rng = unit_of(), Bench(dut, seed()), np.random.default_rng(seed())
    events: Counter[str] = Counter()
    compared = 0
    pulses = watch_beyond(bench)
    await bench.reset()
    for stall in STALLS.values():
        for work in (named(unit), random_work(rng, unit, config()["orders"])):
            pulses.clear()
            compared += await compare(bench, work, stall)
            assert len(pulses) == work.beyond, "tokens behind the last frame"
            events += work.events
    return {"compared": compared, "events": dict(events)}


@bench_test
async def keeps_latency_and_throughput(dut: Any) -> dict[str, Any]:
    """Encoder: a present token per cycle.  Decoder: a step per cycle, steps as stated."""
    unit, bench, rng = unit_of(), Bench(dut, seed()), np.random.default_rng(seed())
    tokens = unit[0]
    compared = 0
    await bench.reset()
    for number in range(8):
        work = Work(unit)
        kept = random_mask(rng, tokens, unit[2])
        kept[-1] = True
        dense = np.ones(tokens, np.bool_)
        work.add_mask(dense, dense)  # no escape: nothing is owed
        work.add_positions(kept, random_strides(rng, unit))
        compared += await compare(bench, work, ALWAYS)
        first, last = bench.sources["previous"].cycles[0], bench.sinks["offsets"].cycles[-1]
        assert last - first == tokens - 1 + OffsetEncoder.latency, f"encoder, order {number}"
        first, last = bench.sources["symbols"].cycles[0], bench.sinks["positions"].cycles[-1]
        assert last - first == work.steps - 1 + OffsetDecoder.latency, f"decoder, order {number}"
    return {"compared": compared}


@bench_test
async def forgets_at_reset(dut: Any) -> dict[str, Any]:
    unit, bench, rng = unit_of(), Bench(dut, seed()), np.random.default_rng(seed())
    compared = 0
    for cycles in range(5, 100, 9):
        work = random_work(rng, unit, 5)
        for name in INPUTS:
            bench.source(name, work.words[name])
        for name in OUTPUTS:
            bench.sink(name, None, STALLS["often"])
        await bench.run(limit=cycles)
        await bench.reset(1)
        compared += await compare(bench, random_work(rng, unit, 2), STALLS["often"])
    return {"compared": compared}


@pytest.mark.parametrize("name", UNITS)
def test_offsets(name: str, seed: int) -> None:
    result = simulate(OffsetPair(*UNITS[name]), __name__, config={"unit": UNITS[name], "orders": 6}, seed=seed)
    events = result["tests"]["equals_the_model"]["events"]
    print(f"{name}: {result['compared']} words, {events}")
    assert {event for event in EVENTS if not events.get(event)} == set()
    assert len(result["tests"]) == 3


@pytest.mark.parametrize("bits", [0, 17])
def test_units_refuse_offset_bits(bits: int) -> None:
    with pytest.raises(ValueError, match=f"offset_bits = {bits} of OffsetEncoder: must be between 1 and 16"):
        OffsetEncoder(32, 4, bits)
    with pytest.raises(ValueError, match=f"offset_bits = {bits} of OffsetDecoder: must be between 1 and 16"):
        OffsetDecoder(32, bits)


@pytest.mark.parametrize(("grid", "message"), [
    ({"frames": 0}, "frames = 0 of OffsetDecoder: must be between 1 and 4096"),
    ({"height": 257}, "height = 257 of OffsetDecoder: must be between 1 and 256"), ({"width": 0}, "width = 0")])
def test_decoder_refuses_grids(grid: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OffsetDecoder(**grid)
