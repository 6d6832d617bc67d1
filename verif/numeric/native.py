# SPDX-License-Identifier: Apache-2.0
"""A harness compiled with a small C++ driver: millions of cycles per second, fed and read by NumPy in shared memory.

    with Native(harness) as model:
        model.inputs["a"][:n] = ...
        model.start(n)               # the model runs in a process of its own ...
        expected = ...               # ... while NumPy works
        results = model.finish()     # record array; the result of a unit of depth d for operand i is at i + d
"""

import hashlib
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.verif.bench import cache
from focus_rtl.verif.bench.build import BuildError, run_group
from focus_rtl.verif.bench.toolchain import Toolchain, toolchain
from focus_rtl.verif.numeric.harness import Harness

__all__ = ["Native", "NativeError"]

VERILATE = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-fatal", "-Wno-lint", "-Wno-style")
FAST = "-O2"
RUNTIME = ("verilated", "verilated_threads")
BYTES = 1 << 25
"""Of operands, or of results, held at once."""

DRIVER = r"""
#include "Vtop.h"
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
static char* open_shared(const char* path, size_t size) {
    int file = open(path, O_RDWR);
    void* at = file < 0 ? MAP_FAILED : mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED) { perror(path); _Exit(2); }
    return static_cast<char*>(at);
}
int main(int, char** arguments) {
    size_t capacity = strtoull(arguments[3], nullptr, 10), count;
    VerilatedContext context;
    Vtop top(&context);
    constexpr size_t in = sizeof(top.operands), out = sizeof(top.results);
    const char* operands = open_shared(arguments[1], capacity * in);
    char* results = open_shared(arguments[2], capacity * out);
    printf("%zu %zu\n", in, out);
    fflush(stdout);
#if CLOCKED
    top.rst = 1; top.clk = 0; top.eval(); top.clk = 1; top.eval(); top.rst = 0;
#endif
    while (scanf("%zu", &count) == 1 && count <= capacity) {
        for (size_t i = 0; i < count; i++) {
            memcpy(&top.operands, operands + i * in, in);
#if CLOCKED
            top.clk = 0;
#endif
            top.eval();
            memcpy(results + i * out, &top.results, out);
#if CLOCKED
            top.clk = 1; top.eval();
#endif
        }
        puts("done");
        fflush(stdout);
    }
}
"""


class NativeError(RuntimeError):
    """The compiled model ended before it was told to."""


def _run(command: list[str], folder: Path, tools: Toolchain) -> None:
    code, log = run_group(command, folder, tools.environment())
    if code:
        full = cache.out_of_space(code, log)
        if full:
            raise cache.storage_failure(folder.parent, full)
        raise BuildError(f"{Path(command[0]).name} failed with code {code}:\n" + "\n".join(log.splitlines()[-20:]))


def _flags(tools: Toolchain) -> list[str]:
    include = tools.root / "include"
    off = ("VM_TRACE", "VM_TRACE_FST", "VM_TRACE_VCD", "VM_TRACE_SAIF", "VM_COVERAGE", "VM_SC", "VM_TIMING")
    return ["-I.", f"-I{include}", f"-I{include / 'vltstd'}", "-DVERILATOR=1", *(f"-D{name}=0" for name in off), "-w"]


def compile_native(design: EmittedDesign, optimise: str = FAST) -> Path:
    """The executable of a design with ports `operands` and `results`, from the cache or built."""
    tools = toolchain()
    parts = [tools.fingerprint, *VERILATE, optimise, DRIVER, design.text, *_flags(tools)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]

    def make(folder: Path) -> None:
        (folder / "design.v").write_text(design.text)
        _run([tools.verilator.path, "-cc", "-Mdir", "generated", "--top-module", design.top, "--prefix", "Vtop",
              *VERILATE, "design.v"], folder, tools)
        generated = folder / "generated"
        sources = sorted(generated.glob("*.cpp"))
        runtime = [tools.root / "include" / f"{name}.cpp" for name in RUNTIME]
        (generated / "all.cc").write_text("".join(f'#include "{source.name}"\n' for source in sources) + DRIVER)
        _run([tools.compiler.path, *_flags(tools), optimise, f"-DCLOCKED={int(design.clocked)}", "all.cc",
              *map(str, runtime), "-o", "../native", "-pthread"], generated, tools)
        for file in generated.iterdir():
            file.unlink()
        generated.rmdir()

    return cache.entry(f"native-{digest}", make) / "native"


class Native:
    """A running model; `inputs` are the operands of the next run, `capacity` how many fit.

    Parameters
    ----------
    harness : what is compiled; a fresh one.

    Raises
    ------
    ToolMissing, BuildError, cache.CacheError : it could not be built.  NativeError : it died.
    """

    def __init__(self, harness: Harness) -> None:
        self._packed = harness.inputs, harness.outputs
        executable = compile_native(verilog_of(harness))
        self._folder = tempfile.TemporaryDirectory(prefix="focus-rtl-native-")
        folder = Path(self._folder.name)
        self.capacity = BYTES // max(packed.stride for packed in self._packed)
        self._maps = [self._shared(folder / name, packed.stride) for name, packed in
                      zip(("operands", "results"), self._packed, strict=True)]
        self.inputs, self._results = (self._records(raw, packed) for raw, packed in
                                      zip(self._maps, self._packed, strict=True))
        command = [str(executable), str(folder / "operands"), str(folder / "results"), str(self.capacity)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        strides = " ".join(str(packed.stride) for packed in self._packed)
        if (said := self._line()) != strides:
            raise NativeError(f"the model's ports have {said} bytes, the harness says {strides}")

    def _shared(self, path: Path, stride: int) -> NDArray[np.uint8]:
        return np.memmap(path, np.uint8, "w+", shape=(self.capacity, stride))

    @staticmethod
    def _records(raw: NDArray[np.uint8], packed: Any) -> Any:
        return np.ndarray((len(raw),), packed.dtype, raw, strides=(packed.stride,))

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise NativeError(f"the compiled model ended with code {self._process.wait()}")
        return line.strip()

    def start(self, count: int) -> None:
        """Run on the first `count` records of `inputs`, one per cycle."""
        if not 0 < count <= self.capacity:
            raise ValueError(f"count = {count}: must be between 1 and {self.capacity}")
        assert self._process.stdin is not None
        self._count = count
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()

    def finish(self) -> Any:
        """Wait for the run; its results, valid until the next `start`."""
        if self._line() != "done":
            raise NativeError("the compiled model lost step")
        return self._results[:self._count]

    def __enter__(self) -> "Native":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        del self.inputs, self._results, self._maps
        self._folder.cleanup()
