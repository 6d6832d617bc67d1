# SPDX-License-Identifier: Apache-2.0
"""Sorter: what every unit has that finds the k largest scores.

Model: `golden/sec/topk.py`.  Test: `verif/sec/test_topk.py`.
"""

from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from focus_rtl.hdl.sec import layouts
from focus_rtl.hdl.sec.layouts import SCORE_BITS, words_of
from focus_rtl.hdl.unit import Unit

__all__ = ["Sorter"]


class Sorter(Unit):
    """Stored scores -> which tokens hold the k largest; all sorters give the same masks.

    Parameters
    ----------
    tokens_max, lanes : as `Importance`.  score_bits : width of a score, an unsigned number.

    Members
    -------
    orders : In(stream of `layouts.select_order`); 1 <= k <= tokens.  Taken with the last mask.
    r_en, r_word : Out, read request.  r_data : In(lanes scores), in the cycle after and until the next request.
    masks : Out(stream of `layouts.mask_beat`), one word per `lanes` tokens.
    """

    def __init__(self, tokens_max: int = 12800, lanes: int = 32, score_bits: int = SCORE_BITS) -> None:
        layouts.check_lanes(type(self).__name__, tokens_max, lanes)
        self.tokens_max, self.lanes, self.score_bits = tokens_max, lanes, score_bits
        self.words = words_of(tokens_max, lanes)
        super().__init__({
            "orders": In(stream.Signature(layouts.select_order(tokens_max))),
            "r_en": Out(1), "r_word": Out(range(max(self.words, 2))), "r_data": In(lanes * score_bits),
            "masks": Out(stream.Signature(layouts.mask_beat(lanes))),
        }, tokens_max=tokens_max, lanes=lanes, score_bits=score_bits)
