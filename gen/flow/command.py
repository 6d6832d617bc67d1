# SPDX-License-Identifier: Apache-2.0
"""What `focus-rtl synth` does once its arguments are read: run the flow, print the table, keep the report."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from focus_rtl.gen.configuration import load
from focus_rtl.gen.console import say, say_json, say_table
from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.flow.report import HEADERS, Report
from focus_rtl.gen.flow.run import NotFinished, Work, synthesise_for, write_report
from focus_rtl.gen.flow.targets import target_named
from focus_rtl.gen.fpga import TimedOut, nextpnr_ecp5, yosys
from focus_rtl.gen.synth import DEVICE, synthesise
from focus_rtl.gen.units import choose
from focus_rtl.hdl.core import Core

__all__ = ["on_target", "out_of_context"]


def _told(step: str) -> None:
    print(f"{step} ...", file=sys.stderr, flush=True)


def on_target(source: str | None, unit: str | None, overrides: Sequence[str], target: str, seeds: int,
              freq: float | None, timeout: float, output: Path | None, as_json: bool) -> None:
    """A core (`source`), or a unit, with four pins on a target."""
    chip = target_named(target)
    if unit is not None:
        chosen = choose(unit, overrides)
        work = Work(unit, chosen.make, chosen.configuration, chosen.sha256, chip, freq or chip.mhz)
    else:
        loaded = load(source or "", overrides)
        params = loaded.parameters
        if params.memories != "inferred":
            raise CommandError("memories = 'macros' leaves the memories open, and an FPGA has its own",
                               "try --set memories=inferred")
        work = Work(loaded.name, lambda: Core(params), params.to_dict(), params.sha256, chip, freq or chip.mhz)
    folder = output or (None if unit is not None else Path(f"focus-{work.name}-{target}"))

    def keep(report: Report) -> None:
        if folder is not None and report.whole:  # else there is nothing to keep
            write_report(folder, report)
            print(f"what is known until now is in {folder / 'report.md'}", file=sys.stderr)

    report = synthesise_for(work, range(1, seeds + 1), timeout, _told, keep)
    if folder is not None:
        write_report(folder, report)
    if as_json:
        say_json(report.to_dict())
        return
    say_table(HEADERS, report.rows(), right=(1, 2, 3, 4, 5))
    for sentence in report.sentences():
        say(sentence)
    if folder is not None:
        say(f"report: {folder / 'report.md'}, {folder / 'report.json'}")


def out_of_context(unit: str, overrides: Sequence[str], target: str | None, seeds: int, timeout: float,
                   as_json: bool) -> None:
    """A unit without pins, between registers: ECP5 only, and by default its smallest."""
    chip = target_named(target or "ecp5-25k")
    if chip.family.name != "ecp5":
        raise CommandError(f"nextpnr places nothing out of context for {chip.name}", "leave out --ooc")
    chosen = choose(unit, overrides)
    tools = {tool.name: tool.version for tool in (yosys(), nextpnr_ecp5())}
    device = (chip.device[0], *DEVICE[1:])
    try:
        result = synthesise(chosen.make, range(1, seeds + 1), chosen.values.get("depth") != 0, _told,
                            chip.device[0].removeprefix("--"), timeout)
    except TimedOut as late:
        raise NotFinished(str(late), "give it more with --timeout SECONDS") from late
    if as_json:
        say_json({"schema": "focus-rtl-synth/1", "configuration": chosen.configuration, "config_sha256": chosen.sha256,
                  "tools": tools, "device": " ".join(device), **dataclasses.asdict(result)})
        return
    say_table(("unit", "LUT", "FF", "DSP", "RAM", "Fmax, MHz", "transistors"), [
        (unit, str(result.lut), str(result.ff), str(result.dsp), str(result.ram), f"{result.fmax_mhz:.0f}",
         f"{result.transistors:,}")], right=(1, 2, 3, 4, 5, 6))
    say(f"{chip.name}, slowest speed grade, between registers; Fmax of {seeds} seed{'s' * (seeds > 1)}: "
        f"{', '.join(f'{value:.0f}' for value in result.seeds)}; "
        + ", ".join(f"{name} {version}" for name, version in tools.items()))
