# SPDX-License-Identifier: Apache-2.0
"""Devices with one fault each: the bench itself is tested by what it finds in them."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.unit import Unit

__all__ = ["FAULTS", "Faulty"]

FAULTS = {
    "none": "",
    "valid falls": "o: cycle .*: valid fell before the word was taken",
    "payload changes": "o: cycle .*: the payload changed",
    "valid follows ready": "o: cycle .*: valid or payload depends on ready of the same cycle",
    "valid waits for ready": r"(?s)nothing moved for 50 cycles.*i \(in\): 1 of 100 words taken.*o \(out\): 0 of 100",
    "drops": r"(?s)nothing moved for 50 cycles.*o \(out\): \d+ of 100 words came",
    "doubles": "o: cycle .*: word 101 came, 100 were expected",
    "dead": r"(?s)nothing moved for 50 cycles.*i \(in\): 0 of 100 words taken, valid 1, ready 0",
}
"""Fault -> what the bench must say of it."""


class Faulty(Unit):
    """A register slice of 8 bits, one entry deep, with a fault that shows every few words.

    Members
    -------
    i : In(stream of 8).  o : Out(stream of 8).
    """

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))}, fault=fault)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        full, word, count = Signal(), Signal(8), Signal(4)
        fault = self.fault
        lose = (count == 7) & (fault == "drops")
        twice = (count == 7) & (fault == "doubles")
        m.d.comb += [
            self.i.ready.eq(~full & (fault != "dead")), self.o.payload.eq(word),
            self.o.valid.eq(full),
        ]
        if fault == "valid falls":
            m.d.comb += self.o.valid.eq(full & (count[0:2] != 3))
            m.d.sync += count.eq(count + 1)
        elif fault == "payload changes":
            m.d.comb += self.o.payload.eq(word ^ Mux(count == 9, 1, 0))
            m.d.sync += count.eq(count + 1)
        elif fault == "valid follows ready":
            m.d.comb += self.o.valid.eq(full & self.o.ready)
        elif fault == "valid waits for ready":
            m.d.comb += self.o.valid.eq(full & count[0])
            m.d.sync += count.eq(self.o.ready)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [full.eq(~lose), word.eq(self.i.payload)]
            if fault in ("drops", "doubles"):
                m.d.sync += count.eq(count + 1)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += full.eq(0)
            if fault == "doubles":
                with m.If(twice):
                    m.d.sync += [full.eq(1), count.eq(0)]
        return m
