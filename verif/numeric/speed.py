# SPDX-License-Identifier: Apache-2.0
"""Speed of a unit's compiled simulation, in cycles per CPU second, beside that of a bare register."""

import resource
from collections.abc import Callable

import numpy as np
from amaranth import Module
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.unit import Unit, place
from focus_rtl.verif.numeric.harness import Harness, Lane
from focus_rtl.verif.numeric.native import Native

__all__ = ["Alone", "Register", "speed"]

CYCLES, RUNS = 2_000_000, 5
"""Simulated per run at least; runs, of which the fastest counts."""


class Register(Unit):
    """32 bits, one cycle later: what any simulated unit costs at least."""

    def __init__(self) -> None:
        super().__init__({"a": In(32), "o": Out(32)})

    def elaborate(self, platform: object) -> Module:
        """One register."""
        m = Module()
        m.d.sync += self.o.eq(self.a)
        return m


class Alone(Unit):
    """A unit with the same inputs and, as `o`, its result: its output `o`, or a PE's psum."""

    def __init__(self, inner: Unit) -> None:
        self.inner = inner
        members = {path[0]: member for path, member, _ in inner.signature.flatten(inner)}
        self.inputs = {name: len(getattr(inner, name)) for name, member in members.items() if member.flow == In}
        self.result = "o" if "o" in members else "psum_o"
        super().__init__({name: In(width) for name, width in self.inputs.items()}
                         | {"o": Out(len(getattr(inner, self.result)))}, of=inner.module_name)

    def elaborate(self, platform: object) -> Module:
        """Wire it up."""
        m = Module()
        unit = place(m, "unit", self.inner)
        m.d.comb += [getattr(unit, name).eq(getattr(self, name)) for name in self.inputs]
        m.d.comb += self.o.eq(getattr(unit, self.result))
        return m


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _rate(make: Callable[[], Unit]) -> float:
    """Cycles per CPU second of the simulating process, on random operands; the best of some runs."""
    inputs = Alone(make()).inputs
    rng, best = np.random.default_rng(1), 0.0
    for _ in range(RUNS):
        with Native(Harness([Lane("o", lambda: Alone(make()), {name: name for name in inputs})], inputs)) as model:
            count = min(200_000, model.capacity)
            for name, width in inputs.items():
                model.inputs[name][:count, 0] = rng.integers(0, 1 << width, count)
            before = _cpu_of_children()
            for _ in range(-(-CYCLES // count)):
                model.start(count)
                model.finish()
        best = max(best, count * -(-CYCLES // count) / (_cpu_of_children() - before))  # counted once it has ended
    return best


def speed(make: Callable[[], Unit]) -> tuple[int, float]:
    """Simulated cycles per CPU second of a unit, and its ratio to a bare register's, measured right after."""
    own = _rate(make)
    return round(own), round(own / _rate(Register), 3)
