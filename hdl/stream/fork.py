# SPDX-License-Identifier: Apache-2.0
"""Fork: one stream to several consumers, each at its own pace."""

from amaranth import Module, Value
from amaranth.hdl import ShapeLike
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.hdl.unit import Unit, place

__all__ = ["Fork"]


class Fork(Unit):
    """Stream in -> the same transfers, in order, on each of `ways` outputs.

    A transfer is taken when every output's slice has room, so the outputs may drift two transfers apart.
    Latency 1 cycle, throughput one transfer per cycle.

    Parameters
    ----------
    shape : payload shape.  ways : outputs, at least 1.

    Members
    -------
    i : In(stream of shape).  o : Out(stream of shape), an array of `ways`.
    """

    latency = 1

    def __init__(self, shape: ShapeLike, ways: int) -> None:
        if ways < 1:
            raise ValueError(f"a Fork to {ways} outputs: must be at least 1")
        self.shape, self.ways = shape, ways
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)).array(ways)},
                         shape=shape, ways=ways)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        slices = [place(m, f"slice{way}", Skid(self.shape)) for way in range(self.ways)]
        everyone = Value.cast(1)
        for skid in slices:
            everyone = everyone & skid.i.ready
        m.d.comb += self.i.ready.eq(everyone)
        for skid, out in zip(slices, self.o, strict=True):
            m.d.comb += [
                skid.i.valid.eq(self.i.valid & everyone),
                Value.cast(skid.i.payload).eq(Value.cast(self.i.payload)),
                out.valid.eq(skid.o.valid), Value.cast(out.payload).eq(Value.cast(skid.o.payload)),
                skid.o.ready.eq(out.ready),
            ]
        return m
