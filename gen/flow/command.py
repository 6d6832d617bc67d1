# SPDX-License-Identifier: Apache-2.0
"""What `focus-rtl synth` and `fit` do once their arguments are read: run the flow, print tables, keep the report."""

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from focus_rtl.gen.configuration import load, preset_names
from focus_rtl.gen.console import say, say_json, say_table
from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.files import require_folder
from focus_rtl.gen.flow.estimate import WEIGHTS, estimate
from focus_rtl.gen.flow.fit import Proposal, nearest_that_fits
from focus_rtl.gen.flow.report import HEADERS, Report
from focus_rtl.gen.flow.route import DoesNotFit
from focus_rtl.gen.flow.run import NotFinished, Work, synthesise_for, write_report
from focus_rtl.gen.flow.targets import COLUMNS, target_named
from focus_rtl.gen.fpga import TimedOut, nextpnr_ecp5, yosys
from focus_rtl.gen.synth import DEVICE, synthesise
from focus_rtl.gen.units import choose
from focus_rtl.hdl.core import Core

__all__ = ["fit", "on_target", "out_of_context"]


def _told(step: str) -> None:
    print(f"{step} ...", file=sys.stderr, flush=True)


def on_target(source: str | None, unit: str | None, overrides: Sequence[str], target: str, seeds: int,
              freq: float | None, timeout: float, output: Path | None, as_json: bool) -> None:
    """A core (`source`), or a unit, with four pins on a target.

    What is found is printed and written to `output`, whatever becomes of the one or the other.
    """
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
    if folder is not None:
        require_folder(folder)

    def keep(report: Report) -> None:
        if not report.whole:  # there is nothing to keep
            return
        if folder is None or as_json:
            _show(report, as_json)
        if folder is not None:
            write_report(folder, report)
            print(f"what is known until now is in {folder / 'report.md'}", file=sys.stderr)

    report = synthesise_for(work, range(1, seeds + 1), timeout, _told, keep)
    try:
        if folder is not None:
            write_report(folder, report)
    finally:  # a folder that has become full does not cost what took an hour
        _show(report, as_json)
    if folder is not None and not as_json:
        say(f"report: {folder / 'report.md'}, {folder / 'report.json'}")


def _show(report: Report, as_json: bool) -> None:
    if as_json:
        say_json(report.to_dict())
        return
    say_table(HEADERS, report.rows(), right=range(1, len(HEADERS)))
    for sentence in report.sentences():
        say(sentence)


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


def fit(source: str | None, overrides: Sequence[str], target: str, as_json: bool) -> None:
    """What a configuration takes of a target, before synthesis; and what would fit where it does not."""
    chip = target_named(target)
    loaded = load(source or (target if target in preset_names() else "regress"), overrides)
    asked = estimate(loaded.parameters, chip)
    error = WEIGHTS[chip.family.name].error
    over = asked.excess(chip, 1 - error)
    near = {} if over else asked.excess(chip, 1 + error)
    rows = [(column.upper(), f"{takes:,}", f"{holds:,}", f"{100 * takes / holds:.0f} %" if holds else "")
            for column, takes, holds in ((name, asked.takes[name], chip.holds[name]) for name in COLUMNS)]
    proposal = nearest_that_fits(loaded.parameters, lambda params: estimate(params, chip),
                                 lambda found: found.excess(chip, 1 + error), _told) if over else None
    if as_json:
        say_json({"schema": "focus-rtl-fit/1", "name": loaded.name, "target": chip.name, "fits": not over,
                  "sure": not over and not near, "takes": asked.takes, "holds": dict(chip.holds), "lut_error": error,
                  "units": asked.units, "proposal": None if proposal is None or not proposal.fits else
                  {"changes": proposal.changes, "takes": proposal.found.takes}})
    else:
        say_table(("", "takes", f"{chip.name} holds", "share"), rows, right=(1, 2, 3))
        largest = sorted(asked.units.items(), key=lambda item: -item[1])[:4]
        say(f"LUT and FF may be {100 * error:.0f} % off; most LUTs: "
            + ", ".join(f"{name} {count:,}" for name, count in largest))
    if proposal is not None:
        raise DoesNotFit(f"{loaded.name} does not fit {chip.name}: " + "; ".join(
            f"{asked.takes[column]:,} {column.upper()} of {chip.holds[column]:,}" for column in over), _cure(proposal))
    if not as_json:
        say(f"{loaded.name} may just fit {chip.name}: only synthesis can tell" if near else
            f"{loaded.name} fits {chip.name}")


def _cure(proposal: Proposal) -> str:
    changes = " ".join(f"--set {shlex.quote(f'{key}={list(value) if isinstance(value, tuple) else value}')}"
                       for key, value in proposal.changes.items())
    takes = ", ".join(f"{count:,} {column.upper()}" for column, count in proposal.found.takes.items())
    if proposal.fits:
        return f"{changes} fits: {takes}"
    even = f": even with {changes} it takes {takes}" if changes else ""
    return f"nothing smaller is known{even}; take a larger target"
