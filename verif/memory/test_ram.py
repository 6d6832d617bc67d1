# SPDX-License-Identifier: Apache-2.0
"""Ram: what was written is read a cycle later, the output holds, both ports work at once; macros stay open."""

import random
import re
from typing import Any

import pytest
from amaranth import Module
from amaranth.lib.wiring import In, Out

from focus_rtl.gen.emit import verilog_of
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.bench.runner import SimulationError, simulate
from focus_rtl.verif.bench.session import bench_test, seed
from focus_rtl.verif.bench.streams import Bench

SIZES = ((8, 16), (1, 2), (33, 5), (512, 64), (4, 1))
STEPS = 500
PORTS = {"w_en": In, "w_addr": In, "w_data": In, "r_en": In, "r_addr": In, "r_data": Out}


class Rams(Unit):
    """A Ram of every size of `SIZES`; the ports of the n-th are called `r<n>_...`."""

    def __init__(self) -> None:
        self.rams = [Ram(width, depth) for width, depth in SIZES]
        super().__init__({f"r{number}_{name}": flow(getattr(ram, name).shape())
                          for number, ram in enumerate(self.rams) for name, flow in PORTS.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for number, ram in enumerate(self.rams):
            place(m, f"ram{number}", ram)
            for name, flow in PORTS.items():
                outer, inner = getattr(self, f"r{number}_{name}"), getattr(ram, name)
                m.d.comb += inner.eq(outer) if flow == In else outer.eq(inner)
        return m


def _leave_alone(bench: Bench) -> None:
    """No port reads or writes: at the start of a simulation they hold anything."""
    for number in range(len(SIZES)):
        bench.write(f"r{number}_w_en", 0)
        bench.write(f"r{number}_r_en", 0)


@bench_test
async def reads_what_was_written(dut: Any) -> dict[str, Any]:
    bench, choice, compared = Bench(dut, seed()), random.Random(seed()), 0
    _leave_alone(bench)
    await bench.reset()
    for number, (width, depth) in enumerate(SIZES):
        contents: dict[int, int] = {}
        expected: int | None = None
        for _ in range(STEPS):
            write, data = choice.randrange(depth), choice.getrandbits(width)
            known = [address for address in contents if address != write]
            read = choice.choice(known) if known and choice.random() < 0.7 else None
            values = {"w_en": choice.random() < 0.6, "w_addr": write, "w_data": data, "r_en": read is not None,
                      "r_addr": choice.randrange(depth) if read is None else read}
            for name, value in values.items():
                bench.write(f"r{number}_{name}", int(value))
            await bench.edge()
            if values["w_en"]:
                contents[write] = data
            expected = expected if read is None else contents[read]
            if expected is not None:
                assert bench.read(f"r{number}_r_data") == expected, f"Ram {width} x {depth}, address {read}"
                compared += 1
            if depth == 1:  # a single word is read while nothing is written
                compared += await _single(bench, number, contents)
    return {"compared": compared}


async def _single(bench: Bench, number: int, contents: dict[int, int]) -> int:
    bench.write(f"r{number}_w_en", 0)
    bench.write(f"r{number}_r_en", 1)
    bench.write(f"r{number}_r_addr", 0)
    await bench.edge()
    if not contents:
        return 0
    assert bench.read(f"r{number}_r_data") == contents[0]
    return 1


@bench_test
async def reads_what_is_written(dut: Any) -> dict[str, Any]:
    """What is forbidden: the simulation has to end."""
    bench = Bench(dut, seed())
    _leave_alone(bench)
    await bench.reset()
    for name, value in {"w_en": 1, "w_addr": 3, "r_en": 1, "r_addr": 3}.items():
        bench.write(f"r0_{name}", value)
    await bench.edge()
    return {"compared": 1}


def test_a_collision_ends_the_simulation(seed: int) -> None:
    with pytest.raises(SimulationError, match="ram0: address 3 is read while it is written"):
        simulate(Rams(), __name__, testcase="reads_what_is_written", seed=seed)


def test_no_tool_is_to_spend_logic_on_collisions() -> None:
    assert re.search(r"^  \(\* no_rw_check \*\)\n  reg .* words ", verilog_of(Ram(8, 16)).text, re.MULTILINE)


def test_ram(seed: int) -> None:
    result = simulate(Rams(), __name__, testcase="reads_what_was_written", seed=seed)
    assert result["compared"] > STEPS * len(SIZES) * 0.8


def test_macro_is_left_open() -> None:
    design = verilog_of(Ram(32, 512, "macros"))
    assert design.macros == {"sram_1r1w_512x32": {"words": 512, "bits": 32}}
    assert "sram_1r1w_512x32 macro (" in design.text and "module sram_1r1w" not in design.text


def test_distinct_rams_are_emitted_once() -> None:
    class Two(Unit):
        def __init__(self) -> None:
            super().__init__({"o": Out(8)})

        def elaborate(self, platform: object) -> Module:
            m = Module()
            rams = [place(m, f"ram{number}", Ram(8, 16)) for number in range(2)]
            m.d.comb += self.o.eq(rams[0].r_data ^ rams[1].r_data)
            return m

    design = verilog_of(Two(), prefix="x_")
    assert design.modules == ["x_ram_w8_d16_minferred", "x_two"] and design.top == "x_two"
    assert verilog_of(Two(), prefix="x_").text == design.text, "not the same bytes twice"


@pytest.mark.parametrize(("width", "depth"), [(0, 8), (8, 0), (-1, 8)])
def test_ram_refuses_size(width: int, depth: int) -> None:
    with pytest.raises(ValueError, match=f"{depth} words of {width} bits: both must be at least 1"):
        Ram(width, depth)
