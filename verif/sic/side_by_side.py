# SPDX-License-Identifier: Apache-2.0
"""Several units in one device, so that many ways of building one cost a single simulation build."""

from collections.abc import Iterable
from typing import Any

from amaranth import Module
from amaranth.lib.wiring import Out, connect, flipped

from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.bench.session import seed
from focus_rtl.verif.bench.streams import Bench

__all__ = ["One", "SideBySide", "fresh_bench"]


class SideBySide(Unit):
    """Units by name, with nothing between them; port `x` of unit `a` is called `a_x`."""

    def __init__(self, units: dict[str, Unit]) -> None:
        self.units = units
        super().__init__({name: Out(unit.signature) for name, unit in units.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, unit in self.units.items():
            connect(m, flipped(getattr(self, name)), place(m, name, unit))
        return m


class One:
    """The bench of one of the units, which does not see the others: ports by the unit's own names."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench, self.name = bench, name

    def read(self, port: str) -> int:
        return self.bench.read(f"{self.name}_{port}")

    def write(self, port: str, value: int) -> None:
        self.bench.write(f"{self.name}_{port}", value)

    async def edge(self, cycles: int = 1) -> Any:
        await self.bench.edge(cycles)

    @property
    def cycle(self) -> int:
        return self.bench.cycle


async def fresh_bench(dut: Any, quiet: Iterable[str]) -> Bench:
    """A bench with this run's seed, after a reset; the quiet ports are 0 from the beginning."""
    bench = Bench(dut, seed())
    for port in quiet:
        bench.write(port, 0)
    await bench.reset()
    return bench
