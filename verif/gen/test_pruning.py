# SPDX-License-Identifier: Apache-2.0
"""gen/prompt.py, pruning.py, layers.py: boxes, modes, and pruning from layer to layer, on hardware without a fault."""

import numpy as np
import pytest

from focus_rtl.gen.configuration import load
from focus_rtl.gen.layers import Layer, run_layers
from focus_rtl.gen.machine import Simulator, compare_prunings
from focus_rtl.gen.plan import plan_of, source_of
from focus_rtl.gen.prompt import Box, boxes_of, default_box, patches_in
from focus_rtl.gen.pruning import HEADS, MODES, Pruning, PruningFigures, modes_table, pruning_lines
from focus_rtl.gen.video import photo_clip
from focus_rtl.golden.core import next_slices, tokens_of
from focus_rtl.golden.job import Grid
from focus_rtl.golden.numeric.dtypes import Bits, numbers
from focus_rtl.golden.sec.attention import text_scores
from focus_rtl.golden.sec.importance import importance
from focus_rtl.golden.sec.offsets import decode
from focus_rtl.golden.sec.sec import SecOrder
from focus_rtl.golden.sec.topk import keep
from focus_rtl.verif.gen.pretend import ideal_choice, pretend
from focus_rtl.verif.gen.test_demo import pruning

GRID = Grid(8, 5, 5)


def test_boxes_are_patches() -> None:
    boxes = boxes_of(["0,1,1,2,3", " 7, 4,4,4,4", "0,2,3,2,4"], GRID)
    assert boxes == (Box(0, 1, 1, 2, 3), Box(7, 4, 4, 4, 4), Box(0, 2, 3, 2, 4)) and str(boxes[0]) == "0,1,1,2,3"
    want = {5 * row + column for row in (1, 2) for column in (1, 2, 3)} | {2 * 5 + 4, 199}
    assert patches_in(boxes, GRID).tolist() == sorted(want)


@pytest.mark.parametrize("grid", [GRID, Grid(6, 3, 3), Grid(1, 1, 1), Grid(4, 2, 1), Grid(40, 14, 14)])
def test_the_default_box_is_in_every_grid(grid: Grid) -> None:
    box, = boxes_of([], grid)
    assert box == default_box(grid) == boxes_of([str(box)], grid)[0] and len(patches_in([box], grid)) >= 1


PARAMS = load("regress").parameters


@pytest.fixture(scope="module")
def layers() -> list[Layer]:
    """The clip, asked for its tenth and eleventh patch."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        pretend(monkeypatch)
        plan = plan_of(PARAMS)
        tokens = source_of(PARAMS, plan, photo_clip(8, 5, 5, 1), 1).tokens
        return run_layers(Simulator(PARAMS, 1, "again"), plan, tokens, np.array([10, 11]))


def outputs(layer: Layer, mode: str) -> Bits:
    """The tokens that came out in a mode."""
    run = layer.runs[mode]
    return tokens_of(next_slices(run.result), run.program.job.n)


def test_modes_take_the_tokens_that_are_left(layers: list[Layer]) -> None:
    for layer, count in zip(layers, (80, 60), strict=True):
        assert layer.image_tokens == {"dense": 200, "sec": count, "sic": 200, "both": count}
        for mode in MODES:
            job = layer.runs[mode.name].program.job
            assert job.tokens == layer.image_tokens[mode.name] + 2 and job.dense == (not mode.concentrated)
            assert (job.offsets is None) == (not mode.pruned)
            assert not job.tiles[-1].image.any() and job.tiles[-1].tokens == 2, "text is gone"
        assert np.array_equal(layer.kept, decode(layer.pruned.symbols[-1], PARAMS.offset_bits))
    assert set(layers[1].kept) < set(layers[0].kept) <= set(range(200))


def test_the_second_choice_is_made_from_what_the_first_layer_gave(layers: list[Layer]) -> None:
    """Rebuilt from the hardware's outputs: text rows first layer's, ratios of all 200 tokens, indices original."""
    first, second = layers
    assert [(order.modes, order.layer, order.present, order.kept) for order in (*first.prunings, *second.prunings)] == [
        (("sec", "both"), 1, 200, 80), (("sec",), 2, 80, 60), (("both",), 2, 80, 60)]
    before = decode(first.pruned.symbols[0], 4)
    for mode, symbols in zip(("sec", "both"), second.pruned.symbols, strict=True):
        given = numbers(outputs(first, mode), "fp16").astype(np.float64)
        stays = keep(importance(text_scores(given[-2:], given[:-2], HEADS)), 60)
        assert np.array_equal(decode(symbols, 4), before[stays])
        taken = second.runs[mode].program.job
        assert [tuple(place[1:]) for tile in taken.tiles[:-1] for place in tile.positions.tolist()] == [
            tuple(int(side) for side in np.unravel_index(token, (8, 5, 5))) for token in before[stays]]


def test_figures_of_modes(layers: list[Layer]) -> None:
    phases = {"importance": 30, "top_k": 20, "offsets": 10}
    for layer in layers:
        assert [order.cycles for order in layer.prunings] == [phases] * len(layer.prunings)
        words = layer.figures("layer").words_expected
        assert words == layer.figures("layer").words_compared > sum(run.program.words for run in layer.every)
    # 4 heads, 80 tokens, 34 of 138 elements each: 9 row passes, 20 column passes on 4 x 4
    assert layers[1].prunings[0].hidden_by == 4 * 80 * 9 * 20


def test_the_report_says_what_is_charged(layers: list[Layer]) -> None:
    order = Pruning(("sec", "both"), 1, 200, 80, 81, {"importance": 1200, "top_k": 40, "offsets": 5}, 12_450)
    figures = PruningFigures(["0,1,1,1,3", "2,0,0,0,0"], 4, [order], {})
    text = "\n".join(pruning_lines(figures))
    for words in ("patches 0,1,1,1,3 and 2,0,0,0,0", "4 text tokens", "golden model", "80 of 200 image tokens",
                  "importance 1,200, top-k 40, offsets 5, all of them charged", "at least 10 times"):
        assert words in text
    heads, rows = modes_table(pruning())
    assert heads == ["mode", "dense", "SEC only", "SIC only", "both"]
    cells = {row[0]: row[1:] for row in rows}
    assert cells["cycles in all"] == ["2,040", "970", "1,020", "730"]
    assert cells["cycles, importance to offsets"] == ["0", "130", "0", "130"]
    assert cells["image tokens, layer 2"] == ["200", "60", "200", "60"]


@pytest.mark.parametrize(("stream", "bit"), [("offsets", 0), ("offsets", 4), ("sec_status", 0), ("sec_status", 3)])
@pytest.mark.parametrize("stalled", [False, True])
def test_a_wrong_word_of_the_choice_is_found_and_told(stream: str, bit: int, stalled: bool) -> None:
    orders = [SecOrder(np.arange(1, 41, dtype=np.uint16).reshape(2, 20), 7)]
    played = [ideal_choice(PARAMS, orders, each) for each in (False, True)]
    good = compare_prunings(PARAMS, orders, played, "again")
    assert good.mismatches == 0 and good.compared == good.expected and good.divergence is None
    assert good.compared_stalled * 2 == good.compared and good.cycles[0]["top_k"] == 20
    played[stalled].received[stream].words[0] ^= 1 << bit
    run = compare_prunings(PARAMS, orders, played, "again")
    assert run.mismatches == 1 and str(run.divergence).startswith(f"{stream}[0]: expected ")
    assert "replay: again" in str(run.divergence)


@pytest.mark.parametrize("surplus", [False, True])
def test_a_missing_or_surplus_offset_is_a_mismatch(surplus: bool) -> None:
    orders = [SecOrder(np.arange(1, 41, dtype=np.uint16).reshape(2, 20), 7)]
    played = [ideal_choice(PARAMS, orders, each) for each in (False, True)]
    words = played[1].received["offsets"].words
    if surplus:
        words.append(1)
    else:
        words.pop()
    run = compare_prunings(PARAMS, orders, played, "again")
    assert run.mismatches == 1 and run.divergence is not None
    assert [symbols.tolist() for symbols in run.symbols] == [symbols.tolist() for symbols in compare_prunings(
        PARAMS, orders, [ideal_choice(PARAMS, orders)] * 2, "again").symbols]
    assert run.compared == run.expected - (not surplus)
