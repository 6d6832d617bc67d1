# SPDX-License-Identifier: Apache-2.0
"""Pipeline: a function written as a row of stages, cut into as many register stages as are asked for.

A stage takes named values and returns named values; every one of them becomes a signal `<name>_s<stage>`, driven by
logic, or by the clock where the pipeline is cut.  The bits never depend on the cuts.  A stage may also take several
cycles over a set of values, and is then told when one begins; its unit has an `interval`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from types import SimpleNamespace
from typing import Any

from amaranth import Const, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.unit import Unit

__all__ = ["MAX_DEPTH", "Begin", "NumericUnit", "Stage", "carrying", "cuts", "late", "pipeline"]

MAX_DEPTH = 4
"""Deepest pipeline of a numeric unit, unless its class says otherwise."""


@dataclass(frozen=True)
class Stage:
    """One step: `levels` of logic, roughly, and the function of the values before it that gives those after it.

    A step that takes `cycles` finds `begin` among the values: high when a set of them is there, at least `cycles` after
    the one before; what it returns has to be right that many cycles later, in that cycle only.
    """

    levels: int
    step: Callable[[Module, SimpleNamespace], dict[str, Value]]
    cycles: int = 0


def late(m: Module, value: Value, cycles: int, name: str, reset: bool = False) -> Value:
    """`value` as it was `cycles` ago; with `reset` the stages start at 0, as anything called valid must."""
    if not len(Value.cast(value)):
        return value  # a wire of no bits is nothing that Verilog has a word for
    for cycle in range(1, cycles + 1):
        after = Signal(Value.cast(value).shape(), name=f"{name}_d{cycle}", reset_less=not reset)
        m.d.sync += after.eq(value)
        value = after
    return value


@dataclass(frozen=True)
class Begin:
    """When a set of values is there: in the cycles with `now`, each at least `interval` after the one before.

    With an interval of 1 nobody needs to be told: `now` is not looked at, and values move on in every cycle.
    """

    now: Value
    interval: int

    def late(self, m: Module, cycles: int, name: str) -> "Begin":
        """The same, `cycles` later."""
        return Begin(late(m, self.now, cycles, name, reset=True), self.interval) if self.interval > 1 else self

    def keep(self, m: Module, value: Value, cycles: int, name: str) -> Value:
        """A value of the set as it was `cycles` ago; means something only that long after a `now`.

        A register keeps a value for a whole interval, so there are fewer of them than cycles.
        """
        if self.interval == 1 or not len(Value.cast(value)):
            return late(m, value, cycles, name)
        begin = self
        while cycles > 0:
            kept = Signal(Value.cast(value).shape(), name=f"{name}_k{cycles}", reset_less=True)
            with m.If(begin.now):
                m.d.sync += kept.eq(value)
            value, cycles = kept, cycles - self.interval
            if cycles > 0:
                begin = begin.late(m, self.interval, f"{name}_begin{cycles}")
        return value


def carrying(stages: Sequence[Stage], *names: str) -> list[Stage]:
    """The same stages, which also hand on the values called `names`."""
    def wrap(stage: Stage) -> Stage:
        def step(m: Module, s: SimpleNamespace) -> dict[str, Value]:
            return {name: getattr(s, name) for name in names} | stage.step(m, s)
        return Stage(stage.levels, step, stage.cycles)
    return [wrap(stage) for stage in stages]


def cuts(levels: Sequence[int], depth: int, cut: Sequence[int] = ()) -> list[int]:
    """Registers behind each stage so that the slowest piece is as short as `depth` registers allow.

    The output is registered whenever depth > 0.  Registers that find no boundary left stand at the output, where
    synthesis may retime them.  `cut`: stages that begin and end in registers of their own.
    """
    last = len(levels) - 1
    registers = [0] * len(levels)
    if depth == 0:
        return registers

    def slowest(inner: tuple[int, ...]) -> int:
        edges = sorted({-1, *inner, *cut, last})
        return max(sum(levels[low + 1:high + 1]) for low, high in pairwise(edges))

    inner = min(combinations(range(last), min(depth - 1, last)), key=slowest)
    for stage in inner:
        registers[stage] = 1
    registers[last] = depth - len(inner)
    return registers


def pipeline(m: Module, stages: Sequence[Stage], inputs: dict[str, Any], depth: int,
             begin: Value | None = None) -> SimpleNamespace:
    """Chain the stages from `inputs` in `m` with `depth` registers; returns the values of the last one.

    Registers run freely, without enable or reset: what was in them before the first operands means nothing.  `begin`
    is high when operands are there; only stages that take cycles look at it.
    """
    values, begin = SimpleNamespace(**inputs), Const(0) if begin is None else begin
    registers_of = cuts([stage.levels for stage in stages], depth, [n for n, s in enumerate(stages) if s.cycles])
    for number, (stage, registers) in enumerate(zip(stages, registers_of, strict=True)):
        after = {}
        if stage.cycles:
            values.begin = begin
        if any(later.cycles for later in stages[number + 1:]):
            begin = late(m, begin, registers + stage.cycles, f"begin_s{number}", reset=True)
        for name, value in stage.step(m, values).items():
            shape = value.shape() if isinstance(value, data.View) else Value.cast(value).shape()
            after[name] = Signal(shape, name=f"{name}_s{number}", reset_less=True)
            m.d[("sync" if registers else "comb")] += after[name].eq(value)
            for again in range(1, registers):
                behind = Signal(shape, name=f"{name}_s{number}_{again}", reset_less=True)
                m.d.sync += behind.eq(after[name])
                after[name] = behind
        values = SimpleNamespace(**after)
    return values


class NumericUnit(Unit):
    """A pure function of its inputs with one output `o`, `latency` cycles later; never stalls.

    One operation per cycle, unless a stage takes several (a serial multiplier does): then there is a port `start`, high
    in the cycle of the operands and at least `interval` cycles after the time before.  The result stands in the one
    cycle it is due; what begins too early spoils what came before.

    Parameters
    ----------
    inputs : width of each input port, bits.
    output : width of `o`, bits.
    depth : registers between inputs and output, 0 (combinational) .. `max_depth`, besides stages that take cycles.
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
        start = {"start": In(1)} if self.interval > 1 else {}
        super().__init__({name: In(width) for name, width in inputs.items()} | start | {"o": Out(output)}, depth=depth,
                         **key)

    @staticmethod
    def check_dtype(unit: str, dtype: str, legal: Sequence[str]) -> None:
        """Raise ValueError unless `dtype` is one of `legal`."""
        if dtype not in legal:
            raise ValueError(f"{unit} of dtype {dtype!r}: must be one of {', '.join(legal)}")

    @property
    def latency(self) -> int:
        """Cycles from operands to result."""
        return self.depth + sum(stage.cycles for stage in self.stages())

    @property
    def interval(self) -> int:
        """Cycles from operands until new ones may begin."""
        return max(1, *(stage.cycles for stage in self.stages()))

    def stages(self) -> list[Stage]:
        """The function, first stage to last; the first sees the ports by name, the last returns `o`."""
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        m = Module()
        result = pipeline(m, self.stages(), {name: getattr(self, name) for name in self._inputs}, self.depth,
                          self.start if self.interval > 1 else None)
        m.d.comb += self.o.eq(result.o)
        return m
