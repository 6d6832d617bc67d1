# SPDX-License-Identifier: Apache-2.0
"""Unit: the base of every block, and `place`, the one way to put a unit inside another.

Amaranth writes one Verilog module per *instance*.  `place` decides: outside an emission (Amaranth's own simulator,
formal) the unit becomes an ordinary submodule; inside one an `Instance` of a module that is converted once per
distinct unit, however often it is placed.  That is why a unit's module name carries everything it was built with.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from amaranth import ClockSignal, Const, Instance, Module, ResetSignal, Shape, Signal, Value
from amaranth.back import rtlil
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from focus_rtl.golden.params import Parameters

__all__ = ["Emission", "Port", "Unit", "current_emission", "emitting", "place", "ports_of"]


class Unit(wiring.Component):
    """A block of the accelerator: a component whose name says all it was built with.

    Parameters
    ----------
    signature : members, as for `wiring.Component`.
    key : the constructor's arguments by name (numbers, words, tuples, or a `Parameters`); they make `module_name`.
    """

    in_functions = False
    """Whether emission writes the unit's logic as functions (`gen.functions`): for what an array holds many of."""

    _MustUse__silence = True  # a placed unit is converted, or its twin was: Amaranth would call it unused

    def __init__(self, signature: dict[str, Any], **key: Any) -> None:
        self._key = key
        super().__init__(signature)

    def verilog(self, name: str) -> str | None:
        """Verilog of this unit as module `name`, where the unit writes its own; its clock is `clk`, it has no reset."""
        return None

    @property
    def module_name(self) -> str:
        """Name of the Verilog module: the class in snake case, then each argument's initials and value."""
        words = [re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()]
        for name, value in self._key.items():
            if isinstance(value, Parameters):
                words.append(value.sha256[:8])
                continue
            if isinstance(value, data.Layout | Shape):
                text = f"{Shape.cast(value).width}b{hashlib.sha256(repr(value).encode()).hexdigest()[:4]}"
            else:
                text = "x".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
            words.append("".join(part[0] for part in name.split("_")) + re.sub(r"\W", "_", text))
        return "_".join(words)


@dataclass(frozen=True)
class Port:
    """A flat Verilog port: `value` is the part of the unit's interface it carries, `inward` its direction."""

    name: str
    value: Value
    inward: bool


def ports_of(unit: wiring.Component) -> list[Port]:
    """The flat ports of a unit: `<member>_<member>`, a stream's `last` apart from the rest of its payload.

    A payload whose layout ends in a field `last` becomes `<stream>_payload` and `<stream>_last`; everything else is one
    packed port, first field (lane 0) in the low bits.
    """
    ports = []
    for path, member, interface in unit.signature.flatten(unit):
        name, value = "_".join(str(step) for step in path), Value.cast(interface)
        inward = member.flow == In
        layout = interface.shape() if isinstance(interface, data.View) else None
        if path[-1] == "payload" and isinstance(layout, data.StructLayout) and list(layout.members)[-1] == "last":
            stem = "_".join(str(step) for step in path[:-1])
            if len(value) > 1:
                ports.append(Port(name, value[:-1], inward))
            ports.append(Port(f"{stem}_last", value[-1], inward))
        elif len(value) and not isinstance(value, Const):  # `ready` of an always ready stream is no wire
            ports.append(Port(name, value, inward))
    return ports


@dataclass
class Emission:
    """What one emission has converted so far: RTLIL (or finished Verilog) by module name, and open memory macros.

    in_functions : the modules whose logic becomes functions.
    """

    prefix: str = ""
    modules: dict[str, str] = field(default_factory=dict)
    verilog: dict[str, str] = field(default_factory=dict)
    clocked: dict[str, bool] = field(default_factory=dict)
    macros: dict[str, dict[str, int]] = field(default_factory=dict)
    in_functions: set[str] = field(default_factory=set)

    def convert(self, unit: Unit, name: str | None = None) -> str:
        """Convert `unit` and all it places, each distinct unit once; returns the module's name."""
        name = self.prefix + (name or unit.module_name)
        if name in self.verilog:
            return name
        source = unit.verilog(name)
        if source is not None:
            self.verilog[name], self.clocked[name] = source, True
        elif name not in self.modules:
            if unit.in_functions:
                self.in_functions.add(name)
            self.modules[name] = ""  # claimed: a unit inside itself would be an endless design
            module = unit.elaborate(None)
            ports = {}
            for port in ports_of(unit):
                flat = Signal(len(port.value), name=port.name)
                module.d.comb += port.value.eq(flat) if port.inward else flat.eq(port.value)
                ports[port.name] = (flat, None)  # an output is what is driven
            text = rtlil.convert(module, name=name, ports=ports, emit_src=False)
            self.clocked[name] = re.search(r"^\s*wire (width 1 )?input \d+\s+\\clk$", text, re.MULTILINE) is not None
            del self.modules[name]  # so that the order is children first
            self.modules[name] = text
        return name


_emission: ContextVar[Emission | None] = ContextVar("emission", default=None)


@contextlib.contextmanager
def emitting(prefix: str = "") -> Iterator[Emission]:
    """While active, `place` makes instances of shared modules; the `Emission` collects them."""
    emission = Emission(prefix)
    token = _emission.set(emission)
    try:
        yield emission
    finally:
        _emission.reset(token)


def current_emission() -> Emission | None:
    """The emission in progress, or None in simulation."""
    return _emission.get()


def place(m: Module, name: str, unit: Unit) -> Unit:
    """Put `unit` into `m` under `name`; its ports are used as ever.  Returns the unit."""
    emission = _emission.get()
    if emission is None:
        m.submodules[name] = unit
        return unit
    module = emission.convert(unit)
    links: dict[str, Any] = {f"{'i' if port.inward else 'o'}_{port.name}": port.value for port in ports_of(unit)}
    if emission.clocked[module]:
        links["i_clk"] = ClockSignal()
        if module not in emission.verilog:
            links["i_rst"] = ResetSignal()
    m.submodules[name] = Instance(module, **links)
    return unit
