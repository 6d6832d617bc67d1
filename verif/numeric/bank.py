# SPDX-License-Identifier: Apache-2.0
"""Bank: every numeric unit at every depth under one top, so that one compilation tests them all."""

from collections.abc import Callable

from amaranth import Module
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.numeric.add import Add
from focus_rtl.hdl.numeric.compare import ProductGreater
from focus_rtl.hdl.numeric.multiply import Multiply
from focus_rtl.hdl.numeric.multiply32 import Multiply32
from focus_rtl.hdl.numeric.narrow import Narrow
from focus_rtl.hdl.numeric.pipeline import MAX_DEPTH, NumericUnit
from focus_rtl.hdl.unit import Unit, place

__all__ = ["DEPTHS", "OPERANDS", "TAKES", "UNITS", "WIDTHS", "Bank", "results_layout"]

DEPTHS = range(MAX_DEPTH + 1)

UNITS: dict[str, Callable[..., NumericUnit]] = {
    "add": Add, "multiply32": Multiply32, "multiply": Multiply, "narrow": Narrow, "greater": ProductGreater}

OPERANDS = data.StructLayout({"a": 32, "b": 32, "c": 32, "d": 32, "e": 16, "f": 16})
"""a, b, c, d : binary32.  e, f : binary16."""

TAKES = {"add": "ab", "multiply32": "ab", "multiply": "ef", "narrow": "a", "greater": "abcd"}
"""The operands of each unit, in the order of its ports a, b, c, d."""

WIDTHS = {"add": 32, "multiply32": 32, "multiply": 32, "narrow": 16, "greater": 1}
"""Bits of each result."""


def results_layout() -> data.StructLayout:
    """Per unit, in the order of `UNITS`, the result at each depth, depth 0 low."""
    return data.StructLayout({name: data.ArrayLayout(WIDTHS[name], len(DEPTHS)) for name in UNITS})


class Bank(Unit):
    """One set of operands per cycle -> the result of every unit at every depth, each after its own latency.

    Members
    -------
    operands : In(OPERANDS).
    results : Out(results_layout()).
    """

    def __init__(self) -> None:
        super().__init__({"operands": In(OPERANDS), "results": Out(results_layout())})

    def elaborate(self, platform: object) -> Module:
        """Place and wire them all."""
        m = Module()
        for name, unit in UNITS.items():
            for depth in DEPTHS:
                lane = place(m, f"{name}_{depth}", unit(depth=depth))
                for port, operand in zip("abcd", TAKES[name], strict=False):
                    m.d.comb += getattr(lane, port).eq(self.operands[operand])
                m.d.comb += self.results[name][depth].eq(lane.o)
        return m
