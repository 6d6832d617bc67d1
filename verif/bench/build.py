# SPDX-License-Identifier: Apache-2.0
"""Verilog text -> an executable simulation, cached by content.

cocotb's own build compiles Verilator's and cocotb's runtime anew for every design, about 8 s of it, and makes every
signal public.  Here the runtime is compiled once per set of tools into the same cache, with a precompiled header, so a
small design builds in half a second; and only the ports of the top are public, which is 3 to 7 times faster to run.
"""

import contextlib
import functools
import hashlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from cocotb_tools import config as cocotb_config

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.hdl.memory.ram import RW_CHECK
from focus_rtl.verif.bench import cache
from focus_rtl.verif.bench.toolchain import Toolchain, fst_supported, toolchain

__all__ = ["BuildError", "Built", "build", "group"]

VERILATE = ("-O3", "--x-assign", "fast", "--x-initial", "unique", "--noassert", "-Wno-fatal", "-Wno-lint", "-Wno-style",
            f"+define+{RW_CHECK}")
# The designs' own code: -O2 takes twice as long to compile as -O1 and, beside the Python of a bench, saves nothing that
# can be measured; -O0 is for simulations that are over before -O1 would have compiled.
FAST, SLOW = "-O1", "-O0"  # of what runs every cycle, and of what runs once
RUNTIME_LEVEL = "-O2"  # compiled once for all
WAVES = {"none": (), "vcd": ("--trace-vcd",), "fst": ("--trace-fst",)}
RUNTIME = {kind: ("verilated", "verilated_vpi", "verilated_threads", *writer)
           for kind, writer in {"none": (), "vcd": ("verilated_vcd_c",), "fst": ("verilated_fst_c",)}.items()}
PRECOMPILED = "#include <memory>\n#include <string>\n#include \"verilated.h\"\n#include \"verilated_vpi.h\"\n"
ONE_UNIT = 400_000  # bytes of C++ up to which one compiler process is faster than several

Progress = Callable[[str], None]
Started = Callable[[subprocess.Popen[str]], None]


class BuildError(RuntimeError):
    """Verilator, the compiler or the linker refused the design; the message holds the end of what they said."""


@dataclass(frozen=True)
class Built:
    """A simulation that can be run: its folder in the cache, the executable, and what kind of waves it can write."""

    folder: Path
    waves: str
    cached: bool

    @property
    def executable(self) -> Path:
        return self.folder / "simulation"


def run_group(command: Sequence[str], cwd: Path, env: dict[str, str] | None = None,
              started: Started | None = None) -> tuple[int, str]:
    """Run a program in a process group of its own; whatever ends the wait ends the whole group.

    started : told the process, for who wants to end it from another thread.

    Returns (return code, what it printed).
    """
    with group(command, cwd, env, subprocess.PIPE) as process:
        if started:
            started(process)
        text, _ = process.communicate()
    return process.returncode, text


@contextlib.contextmanager
def group(command: Sequence[str], cwd: Path, env: dict[str, str] | None,
          stdout: int) -> Iterator[subprocess.Popen[str]]:
    """A program in a process group of its own, which does not outlive the block: Ctrl-C and errors end it too."""
    with subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT,
                          text=True, errors="replace", start_new_session=True) as process:
        try:
            yield process
        except BaseException:
            _kill_group(process)
            raise


def _kill_group(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


def _run(command: Sequence[str], cwd: Path, env: dict[str, str] | None = None, name: str | None = None,
         started: Started | None = None) -> None:
    code, log = run_group(command, cwd, env, started)
    if code:
        full = cache.out_of_space(code, log)
        if full:
            raise cache.storage_failure(cwd.parent, full)
        tail = "\n".join(log.strip().splitlines()[-20:])
        raise BuildError(f"{name or Path(command[0]).name} failed with code {code}:\n{tail}")


def _compile_flags(tools: Toolchain, waves: str) -> list[str]:
    include = tools.root / "include"
    trace = {"VM_TRACE": waves != "none", "VM_TRACE_FST": waves == "fst", "VM_TRACE_VCD": waves == "vcd",
             "VM_TRACE_SAIF": False, "VM_COVERAGE": False, "VM_SC": False, "VM_TIMING": False}
    return ["-I.", f"-I{include}", f"-I{include / 'vltstd'}", "-DVERILATOR=1",
            *(f"-D{name}={int(on)}" for name, on in trace.items()), "-w"]


def _link_flags(waves: str) -> list[str]:
    libraries = str(cocotb_config.libs_dir)
    return [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-lcocotbvpi_verilator", "-pthread",
            *(["-llz4", "-lz"] if waves == "fst" else [])]


def in_parallel(commands: Sequence[Sequence[str]], cwd: Path, jobs: int) -> None:
    """Run compilers, `jobs` at a time; a failure or Ctrl-C ends those that run and starts no other."""
    running: list[subprocess.Popen[str]] = []
    stopped = threading.Event()

    def started(process: subprocess.Popen[str]) -> None:
        running.append(process)
        if stopped.is_set():
            _kill_group(process)

    with ThreadPoolExecutor(max_workers=max(jobs, 1)) as pool:
        try:  # from the first compiler on: Ctrl-C may come before the last of them is handed over
            futures = [pool.submit(_run, command, cwd, started=started) for command in commands]
            for done in as_completed(futures):
                done.result()
        except BaseException:  # the threads wait for their compilers, and the pool for the threads
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                if process.poll() is None:
                    _kill_group(process)
            raise


def _make_runtime(folder: Path, tools: Toolchain, waves: str, jobs: int) -> None:
    flags = _compile_flags(tools, waves)
    commands = [[tools.compiler.path, *flags, RUNTIME_LEVEL, "-c", str(tools.root / "include" / f"{name}.cpp"),
                 "-o", f"{name}.o"] for name in RUNTIME[waves]]
    (folder / "runtime.h").write_text(PRECOMPILED)
    if tools.gcc:  # takes the file in this folder that was made with the flags at hand
        (folder / "runtime.h.gch").mkdir()
        compiler = [tools.compiler.path, *flags]
        commands = [[*compiler, level, "-x", "c++-header", "runtime.h", "-o", f"runtime.h.gch/{level}"]
                    for level in (FAST, SLOW)] + commands
    in_parallel(commands, folder, jobs)


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def _runtime(tools: Toolchain, waves: str, root: Path, jobs: int, progress: Progress) -> Path:
    """The compiled runtime of these tools: objects and the precompiled header."""
    flags = _compile_flags(tools, waves)
    digest = _digest([tools.fingerprint, PRECOMPILED, RUNTIME_LEVEL, FAST, SLOW, *flags])

    def make(folder: Path) -> None:
        progress("compiling the simulator's runtime (once)")
        _make_runtime(folder, tools, waves, jobs)

    return cache.entry(f"runtime-{digest}", make, root)


def _verilate(folder: Path, design: EmittedDesign, tools: Toolchain, waves: str) -> None:
    (folder / "design.v").write_text(design.text)
    (folder / "public.vlt").write_text(_public(design))
    # Verilator recurses deeply: it wants the stack that its own start script would ask for.
    command = ["/bin/sh", "-c", 'ulimit -s unlimited 2>/dev/null; exec "$0" "$@"', tools.verilator.path,
               "-cc", "-Mdir", "generated", "--top-module", design.top, "--prefix", "Vtop", "--vpi",
               *VERILATE, *WAVES[waves], "public.vlt", "design.v"]
    _run(command, folder, tools.environment(), "verilator")


def _public(design: EmittedDesign) -> str:
    lines = [f'public_flat_rw -module "{design.top}" -var "{port.name}"' for port in design.ports]
    return "\n".join(["`verilator_config", *lines]) + "\n"


def _units(generated: Path, quick: bool) -> list[tuple[str, str, str]]:
    """(name, text, optimisation) of the compilation units; the first holds the main program."""
    main = f'#include "{cocotb_config.share_dir / "lib" / "verilator" / "verilator.cpp"}"\n'
    sources = sorted(generated.glob("*.cpp"))
    if quick or sum(source.stat().st_size for source in sources) <= ONE_UNIT:
        return [("all", main + "".join(f'#include "{source.name}"\n' for source in sources), SLOW if quick else FAST)]
    slow = [source for source in sources if source.stem.endswith("__Slow")]
    fast = [source for source in sources if source not in slow]
    levels = [(source, FAST) for source in fast] + [(source, SLOW) for source in slow]
    return [("main", main, SLOW), *((source.stem, f'#include "{source.name}"\n', level) for source, level in levels)]


def _compile(folder: Path, tools: Toolchain, waves: str, runtime: Path, quick: bool, jobs: int,
             progress: Progress) -> None:
    generated = folder / "generated"
    flags = _compile_flags(tools, waves)
    commands = []
    units = _units(generated, quick)
    progress(f"compiling {len(units)} C++ file{'s' if len(units) > 1 else ''}")
    for name, text, level in units:
        (generated / f"unit_{name}.cc").write_text(text)
        commands.append([tools.compiler.path, *flags, level, "-include", str(runtime / "runtime.h"), "-c",
                         f"unit_{name}.cc", "-o", f"unit_{name}.o"])
    in_parallel(commands, generated, jobs)
    objects = [f"unit_{name}.o" for name, _, _ in units] + [str(runtime / f"{name}.o") for name in RUNTIME[waves]]
    _run([tools.compiler.path, *objects, "-o", "../simulation", *_link_flags(waves)], generated)


def _tidy(folder: Path) -> None:
    """The C++ is large and not needed again; the Verilog stays, for who wants to look."""
    for file in (folder / "generated").iterdir():
        file.unlink()
    (folder / "generated").rmdir()


@functools.cache
def _default_jobs() -> int:
    return min(os.cpu_count() or 1, 4)


def build(design: EmittedDesign, waves: bool = False, cache_dir: Path | None = None, rebuild: bool = False,
          quick: bool = False, jobs: int | None = None, progress: Progress | None = None) -> Built:
    """Compile `design`, or find it in the cache.

    Parameters
    ----------
    design : from `gen.emit.verilog_of`, without macros.
    waves : make it able to write waves: FST where its headers are installed, else VCD.
    cache_dir : of the cache; else `cache.cache_root()`.
    rebuild : compile even if the cache has it.
    quick : compile without optimisation: for a simulation of some thousand cycles.
    jobs : compiler processes at a time; else the number of processors, at most 4.
    progress : told what goes on, a phrase at a time.

    Raises
    ------
    ToolMissing, BuildError, cache.CacheError.
    """
    tools, root = toolchain(), cache_dir or cache.cache_root()
    kind = ("fst" if fst_supported() else "vcd") if waves else "none"
    tell = progress or (lambda phrase: None)
    parts = [tools.fingerprint, *VERILATE, SLOW if quick else FAST, *_compile_flags(tools, kind), design.top,
             _public(design), design.text]
    key = f"{design.top[:40]}-{_digest(parts)}"
    made = []

    def make(folder: Path) -> None:
        made.append(key)
        runtime = _runtime(tools, kind, root, jobs or _default_jobs(), tell)
        tell(f"verilating {design.top}")
        _verilate(folder, design, tools, kind)
        _compile(folder, tools, kind, runtime, quick, jobs or _default_jobs(), tell)
        _tidy(folder)
        about = {"top": design.top, "verilator": tools.verilator.version, "compiler": tools.compiler.version,
                 "waves": kind}
        (folder / "build.json").write_text(json.dumps(about, indent=1) + "\n")

    folder = cache.entry(key, make, root, rebuild)
    return Built(folder, kind, not made)
