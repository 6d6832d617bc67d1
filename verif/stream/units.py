# SPDX-License-Identifier: Apache-2.0
"""StreamUnits: every stream unit under one top, so that one compilation tests them all."""

from amaranth import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from focus_rtl.hdl.stream.fifo import Fifo
from focus_rtl.hdl.stream.fork import Fork
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.hdl.unit import Unit, place

__all__ = ["BUFFERS", "DEPTHS", "LATENCY", "LINES", "WAYS", "WIDTHS", "StreamUnits"]

DEPTHS = (2, 3, 8)
WAYS = (1, 3)
BUFFERS = [f"fifo{depth}" for depth in DEPTHS]
WIDTHS = {"skid": 9, "fork": 17} | dict.fromkeys(BUFFERS, 40)

LINES = {"skid": ["skid_o"]} | {line: [f"{line}_o"] for line in BUFFERS} | {
    f"fork{ways}": [f"fork{ways}_o{way}" for way in range(ways)] for ways in WAYS}
"""Line -> its output streams; its input is `<line>_i`, and what goes in comes out of every output."""

LATENCY = {line: {"skid": Skid, "fifo": Fifo, "fork": Fork}[line.rstrip("0123456789")].latency
           for line in LINES}


def width(line: str) -> int:
    """Payload bits of a line."""
    return WIDTHS["fork" if line.startswith("fork") else line]


class StreamUnits(Unit):
    """One of each stream unit, side by side.

    Members
    -------
    `<line>_i` : In(stream), and its outputs : Out(stream), as in `LINES`.
    """

    def __init__(self) -> None:
        ports = {}
        for line, outputs in LINES.items():
            ports[f"{line}_i"] = In(stream.Signature(width(line)))
            ports |= {output: Out(stream.Signature(width(line))) for output in outputs}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        units: dict[str, Unit] = {"skid": Skid(WIDTHS["skid"])}
        units |= {f"fifo{depth}": Fifo(width(f"fifo{depth}"), depth) for depth in DEPTHS}
        units |= {f"fork{ways}": Fork(WIDTHS["fork"], ways) for ways in WAYS}
        for line, outputs in LINES.items():
            unit = place(m, line, units[line])
            ends = unit.o if line.startswith("fork") else [unit.o]
            connect(m, flipped(getattr(self, f"{line}_i")), unit.i)
            for output, end in zip(outputs, ends, strict=True):
                connect(m, end, flipped(getattr(self, output)))
        return m
