# SPDX-License-Identifier: Apache-2.0
"""The command line: `focus-rtl presets | check | gen | synth | fit | units | demo | doctor | verify-manifest`.

Commands only read arguments and print; what they do lives in the modules they import, as late as they need them.
"""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from focus_rtl.gen.configuration import load, preset_names, preset_text
from focus_rtl.gen.console import plain, say, say_json, say_table, say_title
from focus_rtl.gen.errors import CommandError, Exit, ToolMissing
from focus_rtl.gen.manifest import verify, versions
from focus_rtl.golden.params import ConfigurationError

__all__ = ["app", "run"]

CHECK_SCHEMA = "focus-rtl-check/1"

EXIT_CODES = ("Exit codes: 0 ok, 1 mismatch, 2 usage or configuration, 3 tool missing, 4 input or output, "
              "130 interrupted (and 70: a defect of this program).")


app = typer.Typer(name="focus-rtl", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  rich_markup_mode="rich" if not plain() else None, epilog=EXIT_CODES,
                  context_settings={"help_option_names": ["-h", "--help"]})

Source = Annotated[str, typer.Argument(metavar="PRESET_OR_TOML", help="A preset's name, or the path of a .toml file.")]
Overrides = Annotated[list[str] | None, typer.Option(
    "--set", metavar="KEY=VALUE", help="Change one key; the value as in TOML. May be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code.  Errors come as exceptions, usage errors are printed here."""
    try:
        app(list(arguments), prog_name="focus-rtl")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.OK
    return Exit.OK


def _show_version(wanted: bool) -> None:
    if wanted:
        say(" ".join(f"{name} {version}" for name, version in versions().items()))
        raise typer.Exit


@app.callback()
def _main(
    _version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True,
                                           help="Print the versions that decide the emitted bytes.")] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error, too.")] = False,
) -> None:
    """Generate, check and try the Focus accelerator for video vision-language models.

    Start with `focus-rtl demo`: it generates a core, compiles it with Verilator and compares every bit it puts out.
    """


@app.command()
def presets(
    show: Annotated[str, typer.Option("--show", metavar="NAME", help="Print a preset's file, to start your own.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the presets.

    Example: focus-rtl presets --show tiny > my.toml
    """
    if show:
        if show not in preset_names():
            load(show)  # says which names there are
            raise CommandError(f"{show} is not a preset but a file")
        say(preset_text(show).rstrip("\n"))
        return
    found = [load(name) for name in preset_names()]
    if as_json:
        say_json({item.name: item.parameters.to_dict() | {"sha256": item.parameters.sha256} for item in found})
        return
    rows = [(item.name, f"{item.parameters.rows} x {item.parameters.cols}", str(item.parameters.vector),
             item.parameters.dtype, str(item.parameters.m_tile), item.summary) for item in found]
    say_table(("preset", "array", "V", "dtype", "m", "what for"), rows, right=(2, 4))


@app.command()
def check(source: Source, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Validate a configuration and explain what it means: memories, lanes, limits, cost of a simulation.

    Example: focus-rtl check paper --set matchers=2
    """
    try:
        params = load(source, overrides or ()).parameters
    except ConfigurationError as error:
        if as_json:
            say_json({"schema": CHECK_SCHEMA, "valid": False,
                      "problems": [dataclasses.asdict(problem) for problem in error.problems]})
        raise
    from focus_rtl.gen import explain
    from focus_rtl.gen.generate import generate
    made = generate(params)
    cost = explain.estimate(made.design)
    if as_json:
        say_json({"schema": CHECK_SCHEMA, "valid": True,
                  "configuration": params.to_dict(), "config_sha256": params.sha256,
                  "memories": [row.to_dict() for row in made.memories], "lanes": dict(explain.lanes(params)),
                  "limits": explain.limits(params), "estimate": cost.to_dict(),
                  "verilog_bytes": len(made.design.text), "modules": len(made.design.modules)})
        return
    say(f"{source} is valid; configuration hash {params.sha256[:8]}")
    say_title("Memories")
    say_table(("block", "memories", "words", "bits", "KB"), explain.memory_table(made.memories), right=(1, 2, 3, 4))
    say_title("Lanes")
    say_table(("unit", "in parallel"), explain.lanes(params))
    say_title("What limits the throughput")
    for sentence in explain.limits(params):
        say(f"- {sentence}")
    say_title("Cost")
    say(f"- {len(made.design.text) / 1024:.0f} KB of Verilog in {len(made.design.modules)} modules")
    say(f"- a simulation build takes about {cost.seconds} s on one core and {cost.megabytes} MB (an estimate)")


@app.command()
def gen(
    source: Annotated[str | None, typer.Argument(
        metavar="PRESET_OR_TOML", help="A preset's name, or a TOML file that lists every key.")] = None,
    output: Annotated[Path | None, typer.Option(
        "-o", "--output", metavar="DIR", help="Folder to write to; by default focus-<name> here.")] = None,
    overrides: Overrides = None,
    prefix: Annotated[str | None, typer.Option(
        "--prefix", help="What every module name begins with; by default it holds the configuration's hash.")] = None,
    unit: Annotated[str | None, typer.Option(
        "--unit", metavar="NAME", help="One unit instead of a core; `focus-rtl units` lists them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write Verilog, manifest, port table, instantiation template and lint waivers of a core, or of one unit.

    A wrong configuration writes nothing; files that would not change are not touched.

    Example: focus-rtl gen paper -o rtl --set memories=macros --prefix vlm_
    Example: focus-rtl gen --unit requantise --set depth=4
    """
    if (source is None) == (unit is None):
        raise CommandError("gen takes a configuration or --unit NAME, and not both",
                           "try focus-rtl gen regress, or focus-rtl gen --unit add")
    from focus_rtl.gen.files import write_folder
    if unit is not None:
        from focus_rtl.gen.generate import generate_unit
        from focus_rtl.gen.units import choose
        name, made = unit, generate_unit(choose(unit, overrides or ()), prefix)
    else:
        from focus_rtl.gen.generate import generate
        configuration = load(source or "", overrides or ())
        name, made = configuration.name, generate(configuration.parameters, prefix)
    folder = output or Path(f"focus-{name}")
    written = write_folder(folder, made.files)
    if as_json:
        say_json({"schema": "focus-rtl-gen/1", "folder": str(folder), "top": made.design.top, "written": written,
                  "files": {name: len(content) for name, content in made.files.items()}})
        return
    say_table(("file", "bytes", ""), [(str(folder / name), str(len(content)), "" if name in written else "unchanged")
                                      for name, content in made.files.items()], right=(1,))
    say(f"top module {made.design.top}; still unchanged? focus-rtl verify-manifest {shlex.quote(str(folder))}")


@app.command()
def synth(
    source: Annotated[str | None, typer.Argument(
        metavar="PRESET_OR_TOML", help="A preset's name, or a TOML file that lists every key.")] = None,
    target: Annotated[str | None, typer.Option(
        "--target", metavar="TARGET", help="ecp5-25k, ecp5-45k, ecp5-85k, ice40-up5k or ice40-hx8k.")] = None,
    unit: Annotated[str | None, typer.Option(
        "--unit", metavar="NAME", help="One unit instead of a core; `focus-rtl units` lists them.")] = None,
    overrides: Overrides = None,
    ooc: Annotated[bool, typer.Option(
        "--ooc", help="A unit out of context, without pins, on ECP5: what happens without --target.")] = False,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds 1 .. N of placement: worst and median Fmax.")] = 1,
    freq: Annotated[float | None, typer.Option(
        "--freq", min=0.1, max=10_000, metavar="MHZ", help="The clock to aim for; else the target's.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, max=1_000_000, metavar="SECONDS",
                                           help="Give up a placement after so long.")] = 3600.0,
    output: Annotated[Path | None, typer.Option(
        "-o", "--output", metavar="DIR", help="Folder for the report; for a core focus-<name>-<target> here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Synthesise a core, or a unit, with Yosys and nextpnr: LUT, FF, DSP, RAM by unit, Fmax after place and route.

    Example: focus-rtl synth ecp5-25k --target ecp5-25k --seeds 5
    Example: focus-rtl synth --unit pe --set depth=4 --ooc --seeds 5
    """
    if (source is None) == (unit is None):
        raise CommandError("synth takes a configuration or --unit NAME, and not both",
                           "try focus-rtl synth tiny --target ecp5-25k, or focus-rtl synth --unit add")
    from focus_rtl.gen.flow import command
    if unit is not None and (ooc or target is None):
        if freq is not None or output is not None:
            raise CommandError("--freq and --output are for what is placed with pins",
                               "give a --target and no --ooc, or leave them out; --json prints what can be kept")
        command.out_of_context(unit, overrides or (), target, seeds, timeout, as_json)
        return
    if target is None:
        raise CommandError("synth of a core needs a target", "add for example --target ecp5-25k")
    if ooc:
        raise CommandError("--ooc is for a unit", "leave it out")
    command.on_target(source, unit, overrides or (), target, seeds, freq, timeout, output, as_json)


@app.command()
def fit(
    source: Annotated[str | None, typer.Argument(
        metavar="PRESET_OR_TOML", help="By default the preset of the target's name, else regress.")] = None,
    target: Annotated[str, typer.Option("--target", metavar="TARGET", help="The FPGA, as for synth.")] = "ecp5-25k",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Estimate what a core takes of an FPGA, in seconds; where it is too much, propose the nearest that fits.

    Example: focus-rtl fit regress --target ecp5-85k
    """
    from focus_rtl.gen.flow import command
    command.fit(source, overrides or (), target, as_json)


@app.command()
def units(as_json: AsJson = False) -> None:
    """List the units that can be generated and synthesised alone, with their parameters.

    Example: focus-rtl units
    """
    from focus_rtl.gen.units import UNITS, options_of, summary_of
    if as_json:
        say_json({"schema": "focus-rtl-units/1", "units": [
            {"name": name, "parameters": options_of(name), "what": summary_of(name)} for name in UNITS]})
        return
    say_table(("unit", "parameters", "what it computes"), [
        (name, " ".join(f"{key}={value}" for key, value in options_of(name).items()), summary_of(name))
        for name in UNITS])


@app.command()
def demo(
    preset: Annotated[str, typer.Option(
        "--preset", metavar="PRESET_OR_TOML", help="Configuration to run.")] = "regress",
    video: Annotated[Path | None, typer.Option(
        "--video", metavar="FILE", help="A video file; by default a photograph, panned and zoomed.")] = None,
    prompt: Annotated[list[str] | None, typer.Option(
        "--prompt", metavar="f,r0,c0,r1,c1", help="A box of patches that the text asks for: frame, first row and "
        "column, last row and column, from 0. May be repeated.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of weights, projection and stalls.")] = 1,
    waves: Annotated[bool, typer.Option("--waves", help="Record the first cycles as a waveform, too.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")] = None,
    picture: Annotated[Path, typer.Option(
        "--picture", metavar="FILE", help="Where the picture goes (PNG).")] = Path("focus-demo.png"),
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes that compile at a time.")] = 2,
    timeout: Annotated[float, typer.Option("--timeout", min=1, metavar="SECONDS",
                                           help="Give up a simulation after so long.")] = 900.0,
    cache_dir: Annotated[Path | None, typer.Option("--cache-dir", metavar="DIR",
                                                   help="Where compiled simulations are kept.")] = None,
) -> None:
    """Run real video through generated Verilog in Verilator and compare every bit with the golden model.

    Example: focus-rtl demo --video holiday.mp4 --prompt 0,1,1,2,3 --json figures.json
    """
    parameters = load(preset).parameters
    try:
        from focus_rtl.gen.demo import run_demo
    except ImportError as error:
        if error.name is None or error.name.startswith("focus_rtl"):
            raise
        raise ToolMissing(f"the demo needs the Python package {error.name}, which is not installed",
                          "pip install 'focus-rtl[sim,video]'") from error
    raise typer.Exit(run_demo(parameters, preset=preset, video=video, prompt=prompt or (), seed=seed, waves=waves,
                              json_file=json_file, picture_file=picture, jobs=jobs, timeout=timeout,
                              cache_dir=cache_dir))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say which tools and packages are here, in which versions, and how to get those that are missing.

    Example: focus-rtl doctor
    """
    from focus_rtl.gen.doctor import examine
    findings = examine()
    missing = [item for item in findings if not item.found]
    if as_json:
        say_json({"schema": "focus-rtl-doctor/1", "tools": [item.to_dict() for item in findings]})
    else:
        say_table(("tool", "state", "version", "where or how to get it"),
                  [(item.name, "ok" if item.found else "MISSING", item.version, item.note) for item in findings])
        say("everything is here" if not missing else f"{len(missing)} missing")
    if missing:
        raise typer.Exit(Exit.TOOL)


@app.command("verify-manifest")
def verify_manifest(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `focus-rtl gen` has written.")],
    as_json: AsJson = False,
) -> None:
    """Compare the files of a generated folder with the hashes in its manifest.

    Example: focus-rtl verify-manifest focus-tiny
    """
    findings = verify(folder)
    states: dict[str, Any] = {item.file: item.state for item in findings}
    if as_json:
        say_json({"schema": "focus-rtl-verify/1", "files": states})
    else:
        say_table(("file", "state"), list(states.items()))
    if "missing" in states.values():
        raise typer.Exit(Exit.IO)
    if "changed" in states.values():
        raise typer.Exit(Exit.MISMATCH)
