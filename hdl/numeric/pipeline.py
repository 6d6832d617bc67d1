# SPDX-License-Identifier: Apache-2.0
"""Pipeline: a function written as a row of stages, cut into as many register stages as are asked for.

A stage takes named values and returns named values; every one of them becomes a signal `<name>_s<stage>`, driven by
logic, or by the clock where the pipeline is cut.  The bits never depend on the cuts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from types import SimpleNamespace
from typing import Any

from amaranth import Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.unit import Unit

__all__ = ["MAX_DEPTH", "NumericUnit", "Stage", "carrying", "cuts", "pipeline"]

MAX_DEPTH = 4
"""Deepest pipeline of a numeric unit, unless its class says otherwise."""


@dataclass(frozen=True)
class Stage:
    """One step: `levels` of logic, roughly, and the function of the values before it that gives those after it."""

    levels: int
    step: Callable[[Module, SimpleNamespace], dict[str, Value]]


def carrying(stages: Sequence[Stage], *names: str) -> list[Stage]:
    """The same stages, which also hand on the values called `names`."""
    def wrap(stage: Stage) -> Stage:
        def step(m: Module, s: SimpleNamespace) -> dict[str, Value]:
            return {name: getattr(s, name) for name in names} | stage.step(m, s)
        return Stage(stage.levels, step)
    return [wrap(stage) for stage in stages]


def cuts(levels: Sequence[int], depth: int) -> list[int]:
    """Registers behind each stage so that the slowest piece is as short as `depth` registers allow.

    The output is registered whenever depth > 0.  Registers that find no boundary left stand at the output, where
    synthesis may retime them.
    """
    last = len(levels) - 1
    registers = [0] * len(levels)
    if depth == 0:
        return registers

    def slowest(inner: tuple[int, ...]) -> int:
        edges = (-1, *inner, last)
        return max(sum(levels[low + 1:high + 1]) for low, high in pairwise(edges))

    inner = min(combinations(range(last), min(depth - 1, last)), key=slowest)
    for stage in inner:
        registers[stage] = 1
    registers[last] = depth - len(inner)
    return registers


def pipeline(m: Module, stages: Sequence[Stage], inputs: dict[str, Any], depth: int) -> SimpleNamespace:
    """Chain the stages from `inputs` in `m` with `depth` registers; returns the values of the last one.

    Registers run freely, without enable or reset: what was in them before the first operands means nothing.
    """
    values = SimpleNamespace(**inputs)
    for number, (stage, registers) in enumerate(zip(stages, cuts([s.levels for s in stages], depth), strict=True)):
        after = {}
        for name, value in stage.step(m, values).items():
            shape = value.shape() if isinstance(value, data.View) else Value.cast(value).shape()
            after[name] = Signal(shape, name=f"{name}_s{number}", reset_less=True)
            m.d[("sync" if registers else "comb")] += after[name].eq(value)
            for again in range(1, registers):
                late = Signal(shape, name=f"{name}_s{number}_{again}", reset_less=True)
                m.d.sync += late.eq(after[name])
                after[name] = late
        values = SimpleNamespace(**after)
    return values


class NumericUnit(Unit):
    """A pure function of its inputs with one output `o`, `depth` cycles later; one operation per cycle, never stalls.

    Parameters
    ----------
    inputs : width of each input port, bits.
    output : width of `o`, bits.
    depth : registers between inputs and output, 0 (combinational) .. `max_depth`.
    key : what else the unit was built with; it goes into the module's name.

    Raises
    ------
    TypeError, ValueError : depth is not an integer, or outside 0 .. `max_depth`.
    """

    max_depth = MAX_DEPTH

    def __init__(self, inputs: dict[str, int], output: int, depth: int, **key: Any) -> None:
        if not isinstance(depth, int) or isinstance(depth, bool):
            raise TypeError(f"depth = {depth!r}: must be an integer between 0 and {self.max_depth}")
        if not 0 <= depth <= self.max_depth:
            raise ValueError(f"depth = {depth}: must be between 0 and {self.max_depth}")
        self.depth = depth
        self._inputs = tuple(inputs)
        super().__init__({name: In(width) for name, width in inputs.items()} | {"o": Out(output)}, depth=depth,
                         **key)

    @staticmethod
    def check_dtype(unit: str, dtype: str, legal: Sequence[str]) -> None:
        """Raise ValueError unless `dtype` is one of `legal`."""
        if dtype not in legal:
            raise ValueError(f"{unit} of dtype {dtype!r}: must be one of {', '.join(legal)}")

    @property
    def latency(self) -> int:
        """Cycles from operands to result."""
        return self.depth

    def stages(self) -> list[Stage]:
        """The function, first stage to last; the first sees the ports by name, the last returns `o`."""
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        m = Module()
        result = pipeline(m, self.stages(), {name: getattr(self, name) for name in self._inputs}, self.depth)
        m.d.comb += self.o.eq(result.o)
        return m
