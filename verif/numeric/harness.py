# SPDX-License-Identifier: Apache-2.0
"""Harness: numeric units side by side, in many lanes, under one top whose two wide ports NumPy can read as records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from amaranth import Module
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.unit import Unit, place

__all__ = ["Harness", "Lane", "Packed"]


@dataclass(frozen=True)
class Lane:
    """A unit under test: what it is called, how to make a fresh one, and port -> operand."""

    name: str
    make: Callable[[], Unit]
    takes: Mapping[str, str]


@dataclass(frozen=True)
class Packed:
    """Named fields, each an array over the lanes in containers of 8, 16, 32 or 64 bits: a layout and a NumPy record."""

    widths: tuple[tuple[str, int], ...]
    lanes: int

    @staticmethod
    def container(width: int) -> int:
        """Bits of the smallest NumPy integer that holds `width` bits."""
        return next(size for size in (8, 16, 32, 64) if width <= size)

    @property
    def layout(self) -> data.StructLayout:
        """For Amaranth."""
        return data.StructLayout({name: data.ArrayLayout(self.container(width), self.lanes)
                                  for name, width in self.widths})

    @property
    def dtype(self) -> np.dtype[np.void]:
        """For NumPy; without padding at the end."""
        return np.dtype([(name, f"<u{self.container(width) // 8}", (self.lanes,)) for name, width in self.widths])

    @property
    def stride(self) -> int:
        """Bytes of Verilator's variable for the port: 1, 2, 4, 8, or words of 4."""
        size = self.dtype.itemsize
        return next((whole for whole in (1, 2, 4, 8) if size <= whole), -(-size // 4) * 4)


class Harness(Unit):
    """Each lane's operands -> the results of every unit for it.

    Members
    -------
    operands : In, fields of `inputs.layout`.  results : Out, fields of `outputs.layout`.
    """

    def __init__(self, units: Sequence[Lane], operands: Mapping[str, int], lanes: int = 1) -> None:
        self.units, self.lanes = tuple(units), lanes
        self.inputs = Packed(tuple(operands.items()), lanes)
        self.outputs = Packed(tuple((lane.name, len(lane.make().o)) for lane in units), lanes)
        super().__init__({"operands": In(self.inputs.layout), "results": Out(self.outputs.layout)}, lanes=lanes)

    def elaborate(self, platform: object) -> Module:
        """Place and wire them all."""
        m = Module()
        for index in range(self.lanes):
            for lane in self.units:
                unit = place(m, f"{lane.name}_{index}", lane.make())
                for port, operand in lane.takes.items():
                    target = getattr(unit, port)
                    m.d.comb += target.eq(self.operands[operand][index][:len(target)])
                m.d.comb += self.results[lane.name][index].eq(unit.o)
        return m
