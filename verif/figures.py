# SPDX-License-Identifier: Apache-2.0
"""The figures that the docs quote: measured by one command each, kept in docs/figures.json, written into the texts.

    python -m focus_rtl.verif.figures write --demo demo.json   # measure what is exact, and write the texts
    python -m focus_rtl.verif.figures write --times            # measure times as well: best of five, on an idle machine
    python -m focus_rtl.verif.figures check --demo demo.json   # measure again; 1 if a figure or a text differs

In a text a figure stands between two comments, `<!--fig:demo.speedup-->2.03x<!--/fig-->`; nobody types it.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from focus_rtl.gen.configuration import load, preset_names
from focus_rtl.gen.emit import verilog_of
from focus_rtl.gen.memories import memory_rows, total_bits
from focus_rtl.gen.report import tool_versions
from focus_rtl.hdl.core import Core

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
STORE = ROOT / "docs" / "figures.json"
MARK = re.compile(r"<!--fig:([\w.-]+)-->(.*?)<!--/fig-->", re.DOTALL)

FORMATS: dict[str, Callable[[Any], str]] = {
    "ratio": lambda value: f"{value:.2f}x", "share": lambda value: f"{100 * value:.1f} %",
    "s": lambda value: f"{value:.1f} s",
    "bytes": lambda value: f"{value / 1000:,.0f} kB", "bits": lambda value: f"{value / 8192:,.0f} KB",
}
"""How a unit is written; anything else as a whole number with thousands set apart."""

Figures = dict[str, dict[str, Any]]


def _figure(value: Any, unit: str, command: str, configuration: str, exact: bool = True) -> dict[str, Any]:
    return {"value": value, "unit": unit, "command": command, "configuration_sha256": configuration, "exact": exact}


def verilog() -> Figures:
    """Size of the emitted cores, and of their memories."""
    found = {}
    for preset in preset_names():
        params = load(preset).parameters
        design, command = verilog_of(Core(params)), f"focus-rtl gen {preset}; focus-rtl check {preset}"
        values = {"verilog": (len(design.text.encode()), "bytes"), "modules": (len(design.modules), "modules"),
                  "memory": (total_bits(memory_rows(design)), "bits")}
        found |= {f"{preset}.{name}": _figure(value, unit, command, params.sha256)
                  for name, (value, unit) in values.items()}
    return found


def demo(report: Path) -> Figures:
    """What `focus-rtl demo --json` reported; the cycles are those of the simulated Verilog."""
    data = json.loads(report.read_text(encoding="utf-8"))
    command = f"make demo SEED={data['seed']}"
    units = {"words_compared": "words", "mismatches": "words", "cycles_dense": "cycles", "cycles_dense_ideal": "cycles",
             "cycles_focus": "cycles", "speedup": "ratio", "unique_in_ratio": "share", "published_sparsity": "share"}
    values = {name: (data[name], unit) for name, unit in units.items()}
    for mode in ("sec", "both"):
        figures = data["pruning"]["modes"][mode]
        values |= {f"{mode}.cycles": (figures["cycles"], "cycles"), f"{mode}.speedup": (figures["speedup"], "ratio")}
    values["both.tokens"] = (figures["image_tokens"][-1], "tokens")
    return {f"demo.{name}": _figure(value, unit, command, data["config_sha256"])
            for name, (value, unit) in values.items()}


def times() -> Figures:
    """Generation time, best of five, beside the time that starting the command takes anyway."""
    params = load("paper").parameters
    with tempfile.TemporaryDirectory() as folder:
        start = _best([sys.executable, "-m", "focus_rtl.gen", "--version"])
        whole = _best([sys.executable, "-m", "focus_rtl.gen", "gen", "paper", "-o", f"{folder}/paper"])
    return {"paper.gen_time": _figure(whole, "s", "focus-rtl gen paper", params.sha256, exact=False),
            "paper.gen_ratio": _figure(whole / start, "ratio", "focus-rtl gen paper, against focus-rtl --version",
                                       params.sha256, exact=False)}


def _best(command: list[str]) -> float:
    def once() -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start
    return round(min(once() for _ in range(5)), 2)


def _written(figure: dict[str, Any]) -> str:
    return FORMATS.get(figure["unit"], lambda value: f"{value:,}")(figure["value"])


def _texts() -> Iterator[Path]:
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").glob("*.md"))


def _fill(text: str, figures: Figures) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in figures:
            raise SystemExit(f"error: no figure {name}; there are {', '.join(sorted(figures))}")
        return f"<!--fig:{name}-->{_written(figures[name])}<!--/fig-->"
    return MARK.sub(value, text)


def _write(measured: Figures) -> int:
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    stamp = {"commit": commit.stdout.strip(), "tools": tool_versions()}
    stored: Figures = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    for name, figure in measured.items():
        if {key: stored.get(name, {}).get(key) for key in figure} != figure:  # an unchanged figure keeps its stamp
            stored[name] = figure | stamp
    STORE.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for path in _texts():
        path.write_text(_fill(path.read_text(encoding="utf-8"), stored), encoding="utf-8")
    print(f"{len(measured)} figures measured; {STORE.relative_to(ROOT)} and the texts are written")
    return 0


def _check(measured: Figures) -> int:
    stored: Figures = json.loads(STORE.read_text(encoding="utf-8"))
    wrong = [f"{name}: measured {figure['value']}, docs/figures.json says {stored.get(name, {}).get('value')}"
             for name, figure in measured.items() if figure["value"] != stored.get(name, {}).get("value")]
    texts = [path.relative_to(ROOT) for path in _texts()
             if (text := path.read_text(encoding="utf-8")) != _fill(text, stored)]
    wrong += [f"{path}: a figure differs from docs/figures.json" for path in texts]
    for line in wrong:
        print(line)
    if wrong:
        print("cure: find out why; if it is meant, python -m focus_rtl.verif.figures write --demo FILE")
        return 1
    print(f"{len(measured)} figures measured again, all as in docs/figures.json and the texts")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.figures", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("write", "check"))
    parser.add_argument("--demo", type=Path, help="report of focus-rtl demo --json, with its default seed")
    parser.add_argument("--times", action="store_true", help="measure times too")
    given = parser.parse_args(arguments)
    measured = verilog()
    if given.demo:
        measured |= demo(given.demo)
    if given.times:
        measured |= times()
    return _write(measured) if given.action == "write" else _check(measured)


if __name__ == "__main__":
    sys.exit(main())
