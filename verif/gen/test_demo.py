# SPDX-License-Identifier: Apache-2.0
"""gen/report.py, picture.py, machine.py, demo.py: figures are as the docs say, differences are told."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from focus_rtl.gen import console, report
from focus_rtl.gen.configuration import load, preset_names
from focus_rtl.gen.demo import run_demo
from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.errors import CommandError, Exit, InputOutputError, SimulationFailed
from focus_rtl.gen.layers import run_layers
from focus_rtl.gen.machine import WAVE_CYCLES, Simulator, compare, emitted
from focus_rtl.gen.picture import WIDTH, Attention, merged_share, picture_of, write_picture
from focus_rtl.gen.plan import plan_of, source_of
from focus_rtl.gen.prompt import Box
from focus_rtl.gen.pruning import MODES, ModeFigures, Pruning, PruningFigures
from focus_rtl.gen.report import Control, Findings, LayerFigures, Shares, histogram, print_report, stage, to_json
from focus_rtl.gen.tokens import layer_weights, output_scales
from focus_rtl.gen.video import photo_clip
from focus_rtl.golden.core import next_slices, tokens_of
from focus_rtl.golden.numeric.dtypes import DTYPES, numbers
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.stream.skid import Skid
from focus_rtl.verif.bench.build import Built
from focus_rtl.verif.bench.player import Played, Segment
from focus_rtl.verif.bench.program import Program, program
from focus_rtl.verif.gen.pretend import ideal_hardware, pretend
from focus_rtl.verif.gen.test_video import write_video

# --- plan ---------------------------------------------------------------------------------------

def assert_complete(params: Parameters) -> None:
    plan = plan_of(params)
    jobs = plan.jobs(params, dense=False)
    tokens = [tile.tokens for tile in jobs[0].tiles]
    assert len(tokens) >= 4 and tokens[:-1] == [params.m_tile] * (len(tokens) - 1) and tokens[-1] < params.m_tile
    for job in jobs:
        counts = job.counts(params)
        assert job.dtype == params.dtype
        assert counts.slices >= 8 and counts.vectors >= 4 and job.k != job.n
        assert counts.last_lanes < params.vector
        assert params.cols == 1 or job.n % params.cols
    assert jobs[0].n == jobs[1].k


TOO_SMALL = "ice40-up5k"
"""A board of four frames: a clip that is worth showing has more."""


@pytest.mark.parametrize("name", sorted({*preset_names()} - {TOO_SMALL}))
def test_the_plan_has_everything_in_it(name: str) -> None:
    assert_complete(load(name).parameters)


@pytest.mark.parametrize("cols", [1, 2, 4, 8])
@pytest.mark.parametrize("vector", [8, 24])
def test_the_plan_suits_other_shapes(cols: int, vector: int) -> None:
    sizes = [f"cols={cols}", f"vector={vector}", "rows=1", "matcher_lanes=8"]
    assert_complete(load("regress", sizes).parameters)


def test_a_configuration_that_is_too_small_is_refused() -> None:
    with pytest.raises(CommandError, match=r"grid_max\[0\] of at least 7 \(it is 4\)"):
        plan_of(load(TOO_SMALL).parameters)
    small = load("tiny", ["tokens_max=48", "k_max=34", "n_max=34"]).parameters
    with pytest.raises(CommandError) as caught:
        plan_of(small)
    for words in ("tokens_max of at least 54 (it is 48)", "k_max of at least 35", "n_max of at least 35"):
        assert words in caught.value.cause
    assert caught.value.code == Exit.USAGE and "regress" in caught.value.cure


# --- report -------------------------------------------------------------------------------------

def layer(name: str, mismatches: int = 0, compared: int = 500) -> LayerFigures:
    return LayerFigures(name, 200, 128, 138, Shares(1600, 800, 780, 20), Shares(1800, 900, 900, 0), 1000, 1020, 480,
                        510, 500, compared, mismatches, {"dense": {"array_busy": 1000}, "focus": {"array_busy": 480}})


def findings(vector: int = 16, noise: int = 3, **last_layer: int) -> Findings:
    control = Control(Shares(3200, 3200 - noise, noise, 0), histogram(np.array([0.1, 0.2, np.nan])))
    layers = [layer("layer 1"), layer("layer 2", **last_layer)]
    return Findings("4 x 4", "ab" * 32, 7, "a clip", (8, 5, 5), 64, vector, 0.9, layers,
                    histogram(np.array([0.95, -0.5, 0.9, 1.0])), control,
                    "tile 1, token 3" if last_layer else None, {"python": "3"}, {"simulate": 1.5}, 400, {"job": 3},
                    0.25, pruning())


def pruning(both: int = 300) -> PruningFigures:
    cycles = {"dense": 1020, "sec": 420, "sic": 510, "both": both}
    phases = {"importance": 40, "top_k": 20, "offsets": 5}
    orders = [Pruning(("sec", "both"), 1, 200, 80, 81, phases, 6500), Pruning(("sec",), 2, 80, 60, 60, phases, 650)]
    modes = {mode.name: ModeFigures(mode.title, [80, 60] if mode.pruned else [200, 200], [cycles[mode.name]] * 2,
                                    130 if mode.pruned else 0, 2000 / (2 * cycles[mode.name])) for mode in MODES}
    return PruningFigures(["0,1,1,1,3"], 3, orders, modes)


def test_histogram_puts_the_threshold_into_the_lower_bin() -> None:
    found = histogram(np.array([-1.0, 0.0, 0.05, 0.9, np.nextafter(0.9, 1), 1.0, 1.0 + 1e-9, np.nan]))
    assert [round(7 * share) for share in found] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 3]
    assert histogram(np.array([np.nan])) == [0.0] * 11


def test_figures() -> None:
    found = findings()
    assert found.equal and found.speedup == 2000 / 1020 and found.layers[0].speedup == 1000 / 510
    assert found.shares_in.unique_ratio == 0.5 and found.shares_in.sparsity == 0.5
    assert all(found.checks().values()) and len(found.checks()) == 6
    assert found.pruning.faster() and not pruning(450).faster()
    assert not findings(noise=33).checks()["noise_at_most_1_percent_matched"]
    assert "noise_at_most_1_percent_matched" not in findings(vector=4).checks()


@pytest.mark.parametrize("fault", [{"mismatches": 1}, {"compared": 499}, {"compared": 501}])
def test_a_difference_or_a_missing_word_is_not_equal(fault: dict[str, int]) -> None:
    assert not findings(**fault).equal


def test_json_has_the_documented_keys() -> None:
    document = json.loads(json.dumps(to_json(findings())))
    needed = {"schema", "config_sha256", "seed", "words_expected", "words_compared", "mismatches", "cycles_dense",
              "cycles_dense_ideal", "cycles_focus", "unique_in_ratio", "layers"}
    assert needed <= set(document) and document["schema"] == report.SCHEMA
    assert document["words_expected"] == 1000 and document["cycles_dense"] == 2040
    assert document["speedup"] == 2000 / 1020
    assert {"name", "tokens", "k", "n", "cycles_dense", "cycles_dense_ideal", "cycles_focus", "unique_in_ratio",
            "utilisation_dense", "utilisation_focus", "counters", "words_expected"} <= set(document["layers"][0])
    text = (Path(__file__).parents[2] / "docs" / "demo.md").read_text(encoding="utf-8")
    chosen = document["pruning"]
    for key in [*document, *document["layers"][0], *chosen, *chosen["orders"][0], *chosen["modes"]["both"]]:
        assert f"`{key}`" in text, f"docs/demo.md does not explain {key}"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, terminal: bool, no_color: bool, found: Findings) -> str:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = _Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    assert console.plain() == (no_color or not terminal)
    with stage("compiling", {}, "compile") as tell:
        tell("file 1 of 2")
    print_report(found)
    return stream.getvalue()


@pytest.mark.parametrize(("terminal", "no_color"), [(False, False), (False, True), (True, True)])
def test_plain_text_is_ascii_without_escapes(monkeypatch: pytest.MonkeyPatch, terminal: bool, no_color: bool) -> None:
    text = printed(monkeypatch, terminal, no_color, findings())
    assert text.isascii() and "\x1b" not in text and "\r" not in text
    lines = text.splitlines()
    assert lines[0] == "compiling ..." and lines[1].startswith("compiling: ")
    assert max(map(len, lines)) <= 130
    for row in ("speed-up", "array utilisation, dense", "words compared", "mismatches", "published sparsity"):
        assert sum(line.startswith(row) for line in lines) == 1
    assert "white noise" in text and "1,000 of 1,000 words equal" in text and "First difference" not in text


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in printed(monkeypatch, True, False, findings())


def test_a_mismatch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(monkeypatch, False, False, findings(mismatches=2))
    assert "NOT" in text and "First difference:\ntile 1, token 3" in text


def test_stage_adds_up_times() -> None:
    seconds = {"emit": 1.0}
    with stage("emitting", seconds, "emit"):
        pass
    assert seconds["emit"] >= 1.0


# --- picture ------------------------------------------------------------------------------------

def test_merged_share() -> None:
    maps = [[np.array([0, 0, 1]), np.array([0, 1, 1])], [np.array([0]), np.array([0])]]
    assert merged_share(maps).tolist() == [0.0, 0.5, 0.5, 0.0]


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 2, 3), (9, 3, 3)])
def test_picture(tmp_path: Path, frames: int, height: int, width: int) -> None:
    clip = photo_clip(frames, height, width, seed=1)
    merged = np.linspace(0, 1, frames * height * width)
    looks = Attention(merged, [np.arange(1, len(merged)), np.arange(2, len(merged))], [Box(0, 0, 0, 1, 1)])

    def picture(shares: NDArray[np.float64], seen: Attention) -> bytes:
        return picture_of(clip, shares, 16, seen, "A title", "A subtitle")

    png = picture(merged, looks)
    assert png == picture(merged, looks) != picture(merged[::-1].copy(), looks)
    for change in ({"importance": merged[::-1].copy()}, {"kept": [looks.kept[0]] * 2}, {"boxes": []}):
        assert png != picture(merged, replace(looks, **change)), f"{change} is not seen"
    write_picture(tmp_path / "demo.png", png)
    with Image.open(tmp_path / "demo.png") as image:
        assert image.format == "PNG" and image.width == WIDTH and 400 < image.height < 2800
        pixels = np.asarray(image.convert("RGB"))
    assert len(np.unique(pixels[::9, ::9].reshape(-1, 3), axis=0)) > 100 and (pixels[:20] == 255).all()


def test_picture_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError) as caught:
        write_picture(tmp_path / "missing" / "demo.png", b"png")
    assert "cannot write the picture" in caught.value.cause and caught.value.code == Exit.IO


# --- comparison and the whole demo, on perfect and on faulty hardware -------------------------------

TINY = load("tiny").parameters
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)


def tiny(dtype: str) -> Parameters:
    return load("tiny", [f'dtype="{dtype}"']).parameters


def tiny_program(params: Parameters = TINY) -> Program:
    plan = plan_of(params)
    job, _ = plan.jobs(params, dense=False)
    source = source_of(params, plan, photo_clip(plan.grid.frames, plan.grid.height, plan.grid.width, 1), 1)
    weights = layer_weights(job.k, job.n, 1, 1, params.dtype)
    return program(params, job, next_slices(source.inputs[0]), weights,
                   scales=output_scales(source.tokens, weights, params.dtype))


@EVERY_DTYPE
def test_what_the_hardware_emits_is_read_back(dtype: str) -> None:
    expected = tiny_program(tiny(dtype))
    result = emitted(expected, ideal_hardware(expected))
    assert len(result) == len(expected.result) == 4
    for row, right in zip(result, expected.result, strict=True):
        assert len(row) == len(right) == 9
        for part, other in zip(row, right, strict=True):
            assert part.unique.dtype == other.unique.dtype == (np.uint8 if dtype == "int8" else np.uint16)
            assert np.array_equal(part.unique, other.unique) and np.array_equal(part.index_map, other.index_map)
            assert (part.zeros, part.matched) == (other.zeros, other.matched)


def test_equal_words_are_counted() -> None:
    expected = tiny_program()
    run = compare(expected, ideal_hardware(expected), "again")
    tokens, vectors = 54, 9
    unique = sum(part.p for row in expected.result for part in row)
    assert run.compared == expected.words == tokens * vectors + unique + 4 * vectors + 1
    assert run.mismatches == 0 and run.divergence is None


@pytest.mark.parametrize(("stream", "bit", "words"), [
    ("outputs", 17, ["token", "(f, r, c)", "lane 1", "expected"]), ("out_maps", 0, ["token", "expected"]),
    ("summary", 1, ["tile", "output vector"]), ("status", 0, ["error"])])
def test_a_wrong_bit_is_found_and_told(stream: str, bit: int, words: list[str]) -> None:
    expected = tiny_program()
    played = ideal_hardware(expected)
    played.received[stream].words[-1] ^= 1 << bit
    run = compare(expected, played, "focus-rtl demo --seed 1")
    assert run.mismatches == 1 and run.compared == expected.words
    assert run.divergence is not None and all(word in run.divergence for word in [*words, "focus-rtl demo --seed 1"])


@pytest.mark.parametrize("stream", ["outputs", "out_maps", "summary"])
@pytest.mark.parametrize("surplus", [False, True])
def test_a_missing_or_surplus_word_is_a_mismatch(stream: str, surplus: bool) -> None:
    expected = tiny_program()
    played = ideal_hardware(expected)
    received = played.received[stream]
    if surplus:
        received.words.append(received.words[-1])
        received.cycles.append(received.cycles[-1] + 1)
    else:
        received.words.pop()
    run = compare(expected, played, "again")
    assert run.mismatches >= 1 and run.divergence is not None


def test_a_cycle_counter_that_is_wrong_is_a_mismatch() -> None:
    expected = tiny_program()
    good = ideal_hardware(expected)
    slow = Played(good.received, good.cycles + 1000, good.stalled, None)
    assert "the bench" in str(compare(expected, slow, "again").divergence)


def test_a_run_that_stops_has_no_figures() -> None:
    expected = tiny_program()
    good = ideal_hardware(expected)
    with pytest.raises(SimulationFailed) as caught:
        compare(expected, Played(good.received, good.cycles, good.stalled, "nothing moved"), "again")
    assert "nothing moved" in caught.value.cause and caught.value.code == Exit.MISMATCH


@pytest.mark.parametrize("preset", ["tiny", "regress", "regress-bf16", "regress-int8"])
def test_demo_on_faultless_hardware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str) -> None:
    pretend(monkeypatch)
    monkeypatch.chdir(tmp_path)
    params = load(preset).parameters
    assert run_demo(params, json_file=Path("a.json")) == Exit.OK
    assert (tmp_path / "focus-demo.png").stat().st_size > 10_000
    document = json.loads((tmp_path / "a.json").read_text())
    assert all(document["checks"].values()) and document["config_sha256"] == params.sha256
    assert document["words_expected"] == document["words_compared"] > 5000 and document["mismatches"] == 0
    assert 0.3 < document["unique_in_ratio"] < 0.8 and document["speedup"] > 1.3
    assert params.dtype in document["configuration"]
    assert ("scales" in document["stall_cycles"]) == (params.dtype == "int8")
    if preset != "tiny":
        assert document["noise"]["matched_ratio"] <= 0.01


@EVERY_DTYPE
def test_a_seed_gives_the_same_figures_again(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    documents = []
    for seed in (1, 1, 2):
        assert run_demo(tiny(dtype), json_file=tmp_path / "a.json", picture_file=None, seed=seed) == Exit.OK
        documents.append(json.loads((tmp_path / "a.json").read_text()))
        del documents[-1]["seconds"]
    assert documents[0] == documents[1] and documents[2]["cycles_focus"] != documents[1]["cycles_focus"]


def test_int8_outputs_use_their_range_in_both_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dense run never clips and every column of it reaches the end of the range; the concentrated run is near."""
    pretend(monkeypatch)
    params = load("regress-int8").parameters
    plan = plan_of(params)
    grid = (plan.grid.frames, plan.grid.height, plan.grid.width)
    tokens = source_of(params, plan, photo_clip(*grid, 1), 1).tokens
    for layer in run_layers(Simulator(params, 1, "again"), plan, tokens, np.arange(3)):
        dense, focus = (numbers(tokens_of(next_slices(run.result), run.program.job.n), "int8")
                        for run in (layer.dense, layer.focus))
        assert (np.abs(dense).max(axis=0) == 127).all() and dense.shape[1] == layer.dense.program.job.n
        assert 20 < dense.std() < 64 and 20 < focus.std() < 64 and (np.abs(focus) == 127).mean() < 0.05


@pytest.mark.parametrize("stream", ["outputs", "out_maps", "offsets"])
def test_demo_on_faulty_hardware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    pretend(monkeypatch, stream)
    code = run_demo(TINY, preset="tiny", json_file=tmp_path / "a.json", picture_file=tmp_path / "a.png", seed=3)
    assert code == Exit.MISMATCH
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["mismatches"] == 1 and [layer["mismatches"] for layer in document["layers"]] == [0, 1]
    assert f"{stream}[0]" in document["first_divergence"] and "--preset tiny --seed 3" in document["first_divergence"]
    assert "First difference" in capsys.readouterr().out


def test_waves_are_moved_here_and_nothing_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "dump.vcd").write_text("waves")
    limits = []

    def fake_play(design: object, built: object, segments: list[Segment],
                  **options: object) -> tuple[list[Played], dict[str, Any]]:
        limits.append(segments[0].limit)
        return [], {"waves": str(folder / "dump.vcd")}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("focus_rtl.gen.machine.play", fake_play)
    simulator = Simulator(TINY, 1, "again", waves=True)
    simulator.design, simulator.built = verilog_of(Skid(1)), Built(tmp_path, "vcd", True)
    simulator.record(tiny_program())
    assert (tmp_path / "focus-demo.vcd").read_text() == "waves" and not folder.exists()
    assert limits == [WAVE_CYCLES] and "focus-demo.vcd" in capsys.readouterr().out


@EVERY_DTYPE
def test_demo_of_a_video_on_generated_verilog(dtype: str, tmp_path: Path) -> None:
    """The real thing, small: a moving gradient, encoded, decoded, through Verilator."""
    steps = np.arange(12)[:, None, None, None]
    rows, columns = np.arange(48)[:, None, None], np.arange(64)[:, None]
    frames = (128 + 90 * np.sin((rows + 3 * steps) / 9 + np.arange(3)) + 30 * np.cos(columns / 5)).clip(0, 255)
    path = write_video(tmp_path / "wave.mp4", frames.astype(np.uint8))
    code = run_demo(tiny(dtype), video=path, json_file=tmp_path / "a.json", picture_file=tmp_path / "a.png", seed=5)
    document = json.loads((tmp_path / "a.json").read_text())
    assert code == Exit.OK and all(document["checks"].values())
    assert document["words_compared"] == document["words_expected"] > 5000
    assert 0 < document["words_under_stalls"] * 2 < document["words_compared"]
    assert [order["kept"] for order in document["pruning"]["orders"]] == [21, 16, 16]
    assert all(min(order["cycles"].values()) > 0 for order in document["pruning"]["orders"])
    for layer in document["layers"]:
        assert layer["counters"]["focus"]["array_busy"] == layer["cycles_focus_ideal"] < layer["cycles_focus"]
        assert layer["counters"]["dense"]["array_busy"] == layer["cycles_dense_ideal"]
        assert layer["counters"]["both"]["array_busy"] < layer["counters"]["sec"]["array_busy"]
