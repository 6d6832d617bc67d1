# SPDX-License-Identifier: Apache-2.0
"""Assembler: the words of the output buffer in -> whole vectors.  Test: `verif/sic/test_scatter.py`."""

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl import layouts
from focus_rtl.hdl.unit import Unit

__all__ = ["Assembler"]


class Assembler(Unit):
    """V / C words of C elements -> a vector; the last word joins the others at the port.

    Latency 0 from a vector's last word, throughput one word per cycle.

    Parameters
    ----------
    p : configuration.

    Members
    -------
    words : In(stream of `layouts.output_word`).  vectors : Out(stream of `layouts.accumulators`).
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({
            "words": In(stream.Signature(layouts.output_word(p))),
            "vectors": Out(stream.Signature(layouts.accumulators(p))),
        }, p=p)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.p
        word = self.words.payload
        before = Signal((p.vector - p.cols) * p.leave_bits, reset_less=True)
        whole = Cat(before, Value.cast(word.data))
        with m.If(self.words.valid & ~word.last):
            m.d.sync += before.eq(whole[p.cols * p.leave_bits:])
        m.d.comb += [
            self.words.ready.eq(~word.last | self.vectors.ready), self.vectors.valid.eq(self.words.valid & word.last),
            Value.cast(self.vectors.payload).eq(whole),
        ]
        return m
