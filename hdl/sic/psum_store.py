# SPDX-License-Identifier: Apache-2.0
"""PsumStore: psums of several column passes, interleaved over banks so that several lanes read at once."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.memory.ram import Ram
from focus_rtl.hdl.unit import Unit, place

__all__ = ["PsumStore"]


class PsumStore(Unit):
    """A ring of 2 m psum vectors; place `i` is word `i // banks` of bank `i % banks`.

    One write per cycle; per lane one read per cycle, data one cycle after.  Two lanes may read one bank in the same
    cycle only at the same address: whoever grants the reads sees to that, and to reading nothing that is not yet there.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    w_en, w_place, w_data : In, the psum that arrives: C accumulator words.
    r_en, r_place : In, one each lane.  r_data : Out, one each lane, in the cycle after.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        width = p.cols * p.acc_bits
        super().__init__({
            "w_en": In(1), "w_place": In(p.index_bits + 1), "w_data": In(width),
            "r_en": In(p.scatter_lanes), "r_place": In(data.ArrayLayout(p.index_bits + 1, p.scatter_lanes)),
            "r_data": Out(data.ArrayLayout(width, p.scatter_lanes)),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        bank_bits = p.psum_banks.bit_length() - 1
        words = []
        for bank in range(p.psum_banks):
            ram = place(m, f"bank{bank}", Ram(p.cols * p.acc_bits, 2 * p.m_tile // p.psum_banks, p.memories))
            m.d.comb += [
                ram.w_en.eq(self.w_en & (self.w_place[:bank_bits] == bank)),
                ram.w_addr.eq(self.w_place[bank_bits:]), ram.w_data.eq(self.w_data),
            ]
            address: Value = self.r_place[0][bank_bits:]
            for lane in range(p.scatter_lanes):
                here = self.r_en[lane] & (self.r_place[lane][:bank_bits] == bank)
                with m.If(here):
                    m.d.comb += ram.r_en.eq(1)
                if lane:
                    address = Mux(here, self.r_place[lane][bank_bits:], address)
            m.d.comb += ram.r_addr.eq(address)
            words.append(ram.r_data)
        for lane in range(p.scatter_lanes):
            chosen = Signal(bank_bits, name=f"chosen{lane}")
            m.d.sync += chosen.eq(self.r_place[lane][:bank_bits])
            with m.Switch(chosen):
                for bank, word in enumerate(words):
                    with m.Case(bank):
                        m.d.comb += self.r_data[lane].eq(word)
        return m
