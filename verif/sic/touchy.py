# SPDX-License-Identifier: Apache-2.0
"""Memories that show where a unit reads and writes one address in a cycle, which no macro has to stand."""

import pytest
from amaranth import Module, Mux, Signal
from amaranth.lib.memory import Memory

from focus_rtl.hdl.memory.ram import Ram

__all__ = ["touchy_memories"]


def _touchy(ram: Ram, m: Module) -> None:
    """A memory that inverts what is read in the cycle in which the same address is written."""
    m.submodules.words = words = Memory(shape=ram.width, depth=max(ram.depth, 2), init=[])
    write, read = words.write_port(), words.read_port()
    clash = Signal()
    with m.If(ram.r_en):
        m.d.sync += clash.eq(ram.w_en & (ram.w_addr == ram.r_addr))
    m.d.comb += [write.en.eq(ram.w_en), write.addr.eq(ram.w_addr), write.data.eq(ram.w_data), read.en.eq(ram.r_en),
                 read.addr.eq(ram.r_addr), ram.r_data.eq(Mux(clash, ~read.data, read.data))]


def touchy_memories(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every memory that is emitted is `_touchy`."""
    monkeypatch.setattr(Ram, "verilog", lambda ram, name: None)
    monkeypatch.setattr(Ram, "_inferred", _touchy)
