# SPDX-License-Identifier: Apache-2.0
"""Every input of every unit that has few enough: the compiled hardware against NumPy and ml_dtypes, chunk by chunk.

    python -m focus_rtl.verif.numeric.exhaustive            # all of them, some minutes
    python -m focus_rtl.verif.numeric.exhaustive narrow_bf16 --part 0.01
    python -m focus_rtl.verif.numeric.exhaustive --json docs/arithmetic.json

Widenings 2**16 per format, narrowings 2**32 per format, int8 products 2**16 and fp16 products 2**32, each by `dsp` and
by `lut` multipliers, and fp16 products as the PEs make them (`Recode` and `Product`).  Ends with 1 on the first
difference.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from amaranth import Module
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from focus_rtl.golden.numeric import elements, formats
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.multiply_add import MultiplyAdd
from focus_rtl.hdl.numeric.narrow import Narrow
from focus_rtl.hdl.numeric.widen import Widen
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.numeric.harness import Harness, Lane
from focus_rtl.verif.numeric.native import Native
from focus_rtl.verif.records import design_of, put, stamp

__all__ = ["SPACES", "Difference", "Space", "sweep"]

LANES = 16


class Difference(AssertionError):
    """Hardware and golden differ; the message names the inputs and both answers."""


@dataclass(frozen=True)
class Space:
    """A unit and all of its inputs: `count` numbers, whose low and next bits are the operands a (and b)."""

    lane: Lane
    operands: dict[str, int]
    golden: Callable[..., NDArray[Any]]

    @property
    def count(self) -> int:
        """How many inputs there are."""
        return 1 << sum(self.operands.values())

    def design(self) -> str:
        """SHA-256 of the unit's Verilog."""
        return design_of(self.lane.make())


def _unary(name: str, make: Callable[[], Any], width: int, golden: Callable[..., NDArray[Any]]) -> Space:
    return Space(Lane(name, make, {"a": "a"}), {"a": width}, golden)


def _binary(name: str, make: Callable[[], Any], width: int, golden: Callable[..., NDArray[Any]]) -> Space:
    return Space(Lane(name, make, {"a": "a", "b": "b"}), {"a": width, "b": width}, golden)


class PeProduct(Unit):
    """The product a PE makes of two fp16 elements, a * b, seen through its adder: -0 plus any number is that number."""

    def __init__(self) -> None:
        super().__init__({"a": In(16), "b": In(16), "o": Out(32)})

    def elaborate(self, platform: object) -> Module:
        """Wire it up."""
        m = Module()
        unit = place(m, "unit", MultiplyAdd(0, "fp16"))
        m.d.comb += [unit.a.eq(self.a), unit.b.eq(self.b), unit.c.eq(1 << 31), self.o.eq(unit.o)]
        return m


def _table_of_products() -> Callable[..., NDArray[Any]]:
    """fp16 products by way of a table of the widened: NumPy's own widening is many times slower than its product."""
    wide = formats.widen(np.arange(1 << 16, dtype=np.uint16)).view(np.float32)

    def multiply(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> NDArray[np.uint32]:
        with np.errstate(all="ignore"):
            product = wide[a] * wide[b]
        bits = product.view(np.uint32)
        bits[np.isnan(product)] = formats.NAN32
        return bits

    return multiply


SPACES: dict[str, Space] = {space.lane.name: space for space in (
    _unary("widen_fp16", lambda: Widen(0, "fp16"), 16, formats.widen),
    _unary("widen_bf16", lambda: Widen(0, "bf16"), 16, elements.widen_bf16),
    _binary("multiply_int8", lambda: Multiply(0, "int8"), 8, elements.multiply_int8),
    _binary("multiply_int8_lut", lambda: Multiply(0, "int8", "lut"), 8, elements.multiply_int8),
    _unary("narrow_bf16", lambda: Narrow(0, "bf16"), 32, elements.narrow_bf16),
    _unary("narrow_fp16", lambda: Narrow(0, "fp16"), 32, formats.narrow),
    _binary("multiply_fp16", lambda: Multiply(0, "fp16"), 16, _table_of_products()),
    _binary("multiply_fp16_lut", lambda: Multiply(0, "fp16", "lut"), 16, _table_of_products()),
    _binary("pe_product_fp16", PeProduct, 16, _table_of_products()),
)}


def _chunks(space: Space, size: int, part: float) -> Iterator[int]:
    """Where to begin: every chunk, or evenly spread ones (the first and the last among them)."""
    number = max(space.count // size, 1)
    chosen = number if part >= 1 else max(2, round(number * part))
    yield from sorted({round(index * (number - 1) / max(chosen - 1, 1)) * size for index in range(min(chosen, number))})


def sweep(space: Space, part: float = 1.0, tell: Callable[[int, int], None] | None = None) -> int:
    """Compare the unit with golden on all its inputs, or on a part of the chunks; returns how many inputs.

    Raises
    ------
    Difference : at the first chunk that differs.
    """
    compared = 0
    with Native(Harness([space.lane], space.operands, LANES)) as model:
        records = 1 << min(15, (space.count // LANES).bit_length() - 1, model.capacity.bit_length() - 1)
        size = records * LANES
        for start in _chunks(space, size, part):
            numbers = np.arange(start, start + size, dtype=np.uint32).reshape(records, LANES)
            sets, low = [], 0
            for width in space.operands.values():
                sets.append((numbers >> np.uint32(low) & np.uint32((1 << width) - 1)).astype(f"u{width // 8}"))
                low += width
            for name, values in zip(space.operands, sets, strict=True):
                model.inputs[name][:records] = values
            model.start(records)
            expected = space.golden(*sets)
            got = model.finish()[space.lane.name]
            if not np.array_equal(got, expected):
                _refuse(space, sets, expected, got)
            compared += size
            if tell:
                tell(compared, start)
    return compared


def _refuse(space: Space, sets: list[NDArray[Any]], expected: NDArray[Any], got: NDArray[Any]) -> None:
    first = tuple(np.argwhere(got != expected)[0])
    inputs = ", ".join(f"{name} = {int(values[first]):#x}" for name, values in zip(space.operands, sets, strict=True))
    raise Difference(f"{space.lane.name}: {inputs}: expected {int(expected[first]):#x}, got {int(got[first]):#x}")


def _progress(name: str) -> Callable[[int, int], None]:
    last = [time.monotonic()]

    def tell(compared: int, start: int) -> None:
        if time.monotonic() - last[0] > 10:
            last[0] = time.monotonic()
            print(f"  {name}: {compared:,}", flush=True)

    return tell


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.numeric.exhaustive",
                                     description="every input of every unit that has few enough")
    parser.add_argument("units", nargs="*", metavar="unit", help=f"of {', '.join(SPACES)}; else all")
    parser.add_argument("--part", type=float, default=1.0, help="of the inputs, evenly spread chunks (default: all)")
    parser.add_argument("--json", type=Path, help="record whole sweeps there")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.units) - set(SPACES))
    if unknown:
        parser.error(f"no unit {', '.join(unknown)}; there are {', '.join(SPACES)}")
    if not 0 < chosen.part <= 1:
        parser.error("--part is in (0, 1]")
    if chosen.json and chosen.part < 1:
        parser.error("--json records whole sweeps, and --part is below 1")
    for name in chosen.units or SPACES:
        space, begin = SPACES[name], time.monotonic()
        try:
            compared = sweep(space, chosen.part, _progress(name))
        except Difference as difference:
            print(f"DIFFERENT {difference}")
            return 1
        if chosen.part == 1 and compared != space.count:
            print(f"{name}: compared {compared:,} of {space.count:,}")
            return 1
        seconds = time.monotonic() - begin
        print(f"{name}: {compared:,} of {space.count:,} inputs, all equal, {seconds:.1f} s", flush=True)
        if chosen.json:
            command = f"python -m focus_rtl.verif.numeric.exhaustive {name}"
            put(chosen.json, f"exhaustive {name}", {"result": "all equal", "cases": compared, "of": space.count,
                                                    **stamp(command, space.design())})
    return 0


if __name__ == "__main__":
    sys.exit(main())
