# SPDX-License-Identifier: Apache-2.0
"""Orders of the semantic concentrator -> the beats of its streams, and what must come of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.params import Parameters
from focus_rtl.golden.sec.sec import SecOrder, prune
from focus_rtl.hdl.sec import layouts
from focus_rtl.verif.bench.packing import pack
from focus_rtl.verif.sec.cases import beats

__all__ = ["SEC_INPUTS", "SEC_OUTPUTS", "SecBeats", "offset_beats", "sec_beats"]

SEC_INPUTS = ("sec_orders", "scores", "previous")
SEC_OUTPUTS = ("offsets", "sec_status")


@dataclass
class SecBeats:
    """inputs : words by stream of `SEC_INPUTS`.  offsets : words.  status : the fields of each `sec_status` beat that
    follow from its order; cycles depend on stalls.
    """

    inputs: dict[str, list[int]]
    offsets: list[int]
    status: list[dict[str, int]]


def offset_beats(params: Parameters, symbols: NDArray[np.uint16]) -> list[int]:
    """Offsets as a packet, `last` on the last one; none of none."""
    words = symbols.tolist()
    return [*words[:-1], *(word | 1 << params.offset_bits for word in words[-1:])]


def sec_beats(params: Parameters, orders: Sequence[SecOrder], rng: np.random.Generator) -> SecBeats:
    """All beats of some orders; `rng` fills lanes that the machine ignores."""
    made = SecBeats({name: [] for name in SEC_INPUTS}, [], [])
    for order in orders:
        pruned = order.previous is not None
        made.inputs["sec_orders"].append(pack(
            layouts.sec_order(params.sec_tokens_max), tokens=order.tokens, k=order.k,
            sweeps=order.sweeps(params.sec_lanes), spatial=int(order.spatial), pruned=int(pruned)))
        made.inputs["scores"] += beats(rng, order.rows, params.sec_lanes, order.spatial)
        made.inputs["previous"] += [] if order.previous is None else order.previous.tolist()
        symbols = prune(order.rows, order.k, params.offset_bits, order.previous).symbols
        made.offsets += offset_beats(params, symbols)
        made.status.append({"error": layouts.ERRORS["OK"], "symbols": len(symbols)})
    return made
