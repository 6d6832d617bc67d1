# SPDX-License-Identifier: Apache-2.0
"""A core whose array can be watched, and the monitor that gives every cycle a name from handshakes alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth import Module
from amaranth.lib import data
from amaranth.lib.wiring import Out

from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.array.sequencer import Sequencer
from focus_rtl.hdl.array.systolic import Systolic
from focus_rtl.hdl.control import Control
from focus_rtl.hdl.core import Core, core_members
from focus_rtl.hdl.sic.gather import Gather
from focus_rtl.hdl.sic.scatter import Scatter
from focus_rtl.hdl.unit import Unit

__all__ = ["PROBES", "Window", "WatchedCore", "names", "window_of"]

PROBES = ("weight", "valid", "ready", "first", "chained", "tile", "slice", "order", "accepted", "psum")
"""Bits of `probes`, lowest first.

weight : a weight row is taken.  valid, ready, first, chained : the vector at the array's edge.
tile, slice : the sequencer has one.  order, accepted : it offers one to scatter, which takes it.
psum : one leaves the array.
"""

LOST = {"array_idle": "fill and drain", "stall_input": "no slice", "stall_psum": "no room for psums",
        "stall_weights": "no weights", "stall_chain": "chained psums not back", "empty_slices": "empty slice"}
"""Counters of cycles in which no vector enters the array, and what was missing."""


class WatchedCore(Core):
    """`Core` with the handshakes around its array as a further output.

    Members
    -------
    probes : Out, see `PROBES`.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        members = {**core_members(p), "probes": Out(data.StructLayout(dict.fromkeys(PROBES, 1)))}
        Unit.__init__(self, members, p=p)

    def _report(self, m: Module, control: Control, sequencer: Sequencer, array: Systolic, scatter: Scatter,
                gather: Gather) -> None:
        super()._report(m, control, sequencer, array, scatter, gather)
        beat = array.vectors
        values = {
            "weight": array.weights.valid & array.weights.ready, "valid": beat.valid, "ready": beat.ready,
            "first": beat.payload.first, "chained": beat.payload.chain_in, "tile": sequencer.tiles.valid,
            "slice": sequencer.slot.valid, "order": sequencer.orders.valid,
            "accepted": sequencer.orders.valid & sequencer.orders.ready, "psum": array.psums.valid}
        m.d.comb += [self.probes[name].eq(value) for name, value in values.items()]


def names(trace: Sequence[int], rows: int) -> list[str]:
    """For every cycle since reset the counter that it belongs to.

    Which vector waits for what is recounted here: weight rows taken since the last swap, and for an edge without a
    vector what the sequencer had in the last cycle in which it could have sent one.
    """
    bit = {name: 1 << place for place, name in enumerate(PROBES)}
    found, in_place, cause = [], 0, "array_idle"
    for word in trace:
        valid, ready, first = (bool(word & bit[name]) for name in ("valid", "ready", "first"))
        enters = valid and ready
        name = "array_busy"
        if valid and not ready:
            name = "stall_weights" if first and in_place < rows else "stall_chain"
        elif not valid:
            name = cause
        found.append(name)
        if not valid or ready:
            cause = ("array_idle" if not word & bit["tile"] else "stall_input" if not word & bit["slice"] else
                     "stall_psum" if word & bit["order"] and not word & bit["accepted"] else "empty_slices")
        in_place = (0 if enters and first else in_place) + bool(word & bit["weight"])
    return found


@dataclass(frozen=True)
class Window:
    """From the first weight shift to the last psum: cycles, each under one name; vectors that entered the array."""

    cycles: int
    by_name: Counter[str]

    @property
    def lost(self) -> dict[str, int]:
        """Cycles without a vector, by name; those that did not occur are left out."""
        return {name: self.by_name[name] for name in LOST if self.by_name[name]}

    @property
    def utilisation(self) -> float:
        """Element MACs over R * C * cycles: a vector that enters is worth R * C of them."""
        return self.by_name["array_busy"] / self.cycles


def window_of(trace: Sequence[int], found: Sequence[str]) -> Window:
    """The window of a trace, whose cycles have the names `found`."""
    weight, psum = (1 << PROBES.index(name) for name in ("weight", "psum"))
    first = next(cycle for cycle, word in enumerate(trace) if word & weight)
    last = next(cycle for cycle in range(len(trace) - 1, -1, -1) if trace[cycle] & psum)
    return Window(last + 1 - first, Counter(found[first:last + 1]))
