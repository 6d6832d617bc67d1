# SPDX-License-Identifier: Apache-2.0
"""An array compiled with a small C++ driver: random normal operands on all lanes in every cycle, and a checksum.

    operands = Operands.drawn(parameters, seed=1)
    built = build(design, folder)                        # user seconds and the executable
    run = simulate(built.executable, operands, 40_000)   # cycles per CPU second; run.checksum == operands.checksum(...)

The operands are `PASSES` passes with weights of their own, over and over again.
"""

import resource
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.golden.array.systolic import psums
from focus_rtl.golden.numeric.dtypes import Bits, quantise
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.array.systolic import Systolic
from focus_rtl.verif.bench.toolchain import toolchain

__all__ = ["PASSES", "Built", "Operands", "Run", "build", "simulate"]

PASSES = 4
VERILATE = ("-O3", "-fno-localize", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-fatal",
            "-Wno-lint", "-Wno-style")
"""-fno-localize: else what a function gives lands in a variable of its own on the stack, which is zeroed before."""
FAST, SLOW = "-O2", "-O0"
"""Of what runs every cycle, and of what runs once.  With -O1 an array of 32 x 32 is a third slower."""

DRIVER = r"""
#include "Vtop.h"
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <vector>
static std::vector<char> content(const char* path) {
    FILE* file = fopen(path, "rb");
    if (!file) { perror(path); _Exit(2); }
    std::vector<char> bytes;
    for (int next; (next = getc(file)) != EOF;) bytes.push_back(char(next));
    fclose(file);
    return bytes;
}
int main(int, char** arguments) {
    const std::vector<char> vectors = content(arguments[1]), weights = content(arguments[2]);
    const size_t pass = strtoull(arguments[3], nullptr, 10), cycles = strtoull(arguments[4], nullptr, 10);
    VerilatedContext context;
    Vtop top(&context);
    constexpr size_t beat = sizeof(top.vectors_payload), row = sizeof(top.weights_payload);
    const size_t beats = vectors.size() / beat, rows = weights.size() / row;
    uint64_t entered = 0, left = 0, sum = 0, sums = 0;
    size_t next = 0, next_row = 0;
    top.rst = 1; top.clk = 0; top.eval(); top.clk = 1; top.eval(); top.rst = 0;
    top.vectors_valid = top.weights_valid = 1;
    const clock_t begin = clock();
    for (size_t cycle = 0; cycle < cycles; cycle++) {
        memcpy(&top.vectors_payload, &vectors[next * beat], beat);
        top.vectors_last = next % pass == pass - 1;
        memcpy(&top.weights_payload, &weights[next_row * row], row);
        top.clk = 0;
        top.eval();
        if (top.psums_valid) {
            uint32_t words[COLS];
            memcpy(words, &top.psums_payload, sizeof words);
            for (uint32_t word : words) sums += sum += word;
            left++;
        }
        if (top.entered && ++next == beats) next = 0;
        entered += top.entered;
        if (top.weights_ready && ++next_row == rows) next_row = 0;
        top.clk = 1;
        top.eval();
    }
    const double seconds = double(clock() - begin) / CLOCKS_PER_SEC;
    printf("%.6f %llu %llu %llu\n", seconds, (unsigned long long)entered, (unsigned long long)left,
           (unsigned long long)sums);
}
"""


@dataclass(frozen=True)
class Operands:
    """Passes for an array of `p`: vectors (passes, beats, rows), weights (passes, rows, cols), seeded and normal."""

    p: Parameters
    vectors: Bits
    weights: Bits

    @staticmethod
    def drawn(p: Parameters, seed: int) -> "Operands":
        """Standard normal numbers (int8: times 40), every pass with other ones."""
        rng = np.random.default_rng(seed)
        scale = 40 if p.dtype == "int8" else 1
        shapes = (PASSES, p.m_tile, p.rows), (PASSES, p.rows, p.cols)
        vectors, weights = (quantise(rng.standard_normal(shape) * scale, p.dtype) for shape in shapes)
        return Operands(p, vectors, weights)

    @property
    def results(self) -> NDArray[np.uint32]:
        """(passes * beats, cols) psums, from the golden model."""
        return np.concatenate([psums(x, w, self.p.dtype) for x, w in zip(self.vectors, self.weights, strict=True)])

    def checksum(self, beats: int) -> int:
        """Of the first `beats` results: the sum of all partial sums of the words, modulo 2**64."""
        words = np.resize(self.results.astype(np.uint64), (beats, self.p.cols)).reshape(-1)
        return int((words * np.arange(len(words), 0, -1, dtype=np.uint64)).sum(dtype=np.uint64))

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Files of beats for the driver: the ports' variables one after another; a pass's weights bottom row first."""
        files = folder / "vectors.bin", folder / "weights.bin"
        marks = np.zeros((*self.vectors.shape[:2], 1), np.uint8)
        marks[:, 0] = 1  # the lowest of the marks above the elements: first
        files[0].write_bytes(_beats(np.concatenate([_bytes(self.vectors), marks], axis=2)))
        files[1].write_bytes(_beats(_bytes(self.weights[:, ::-1])))
        return files


def _bytes(elements: Bits) -> NDArray[np.uint8]:
    return np.ascontiguousarray(elements).view(np.uint8).reshape(*elements.shape[:2], -1)


def _beats(lines: NDArray[np.uint8]) -> bytes:
    """Lines of bytes, each filled up to the size of Verilator's variable: 1, 2, 4, 8 bytes, or words of 4."""
    width = lines.shape[2]
    size = next((whole for whole in (1, 2, 4, 8) if width <= whole), -(-width // 4) * 4)
    return np.pad(lines, ((0, 0), (0, 0), (0, size - width))).tobytes()


@dataclass(frozen=True)
class Built:
    """A compiled array: the executable, user seconds of Verilator and compiler, bytes of C++."""

    executable: Path
    seconds: float
    cpp: int


def _children() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def build(design: EmittedDesign, cols: int, folder: Path, limit: float | None = None) -> Built:
    """Verilator and the compiler on an emitted `Systolic`, the simulator's runtime included.

    Raises
    ------
    subprocess.TimeoutExpired : a step took more than `limit` seconds.  subprocess.CalledProcessError : it failed.
    """
    tools, generated, begin = toolchain(), folder / "generated", _children()
    (folder / "design.v").write_text(design.text)

    def run(*command: str, cwd: Path = generated) -> None:
        subprocess.run(command, cwd=cwd, env=tools.environment(), check=True, timeout=limit, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, text=True)

    run("/bin/sh", "-c", 'ulimit -s unlimited 2>/dev/null; exec "$0" "$@"', tools.verilator.path, "-cc", "-Mdir",
        "generated", "--top-module", design.top, "--prefix", "Vtop", *VERILATE, "design.v", cwd=folder)
    sources = sorted(generated.glob("*.cpp"))
    include = tools.root / "include"
    runtime = [include / f"{name}.cpp" for name in ("verilated", "verilated_threads")]
    off = ("VM_TRACE", "VM_TRACE_FST", "VM_TRACE_VCD", "VM_TRACE_SAIF", "VM_COVERAGE", "VM_SC", "VM_TIMING")
    flags = ["-I.", f"-I{include}", f"-I{include / 'vltstd'}", "-DVERILATOR=1", f"-DCOLS={cols}", "-w",
             *(f"-D{name}=0" for name in off)]
    slow = [source for source in sources if source.stem.endswith("__Slow")]
    fast = [source for source in sources if source not in slow]
    parts = {"slow": (SLOW, slow, ""), "fast": (FAST, fast, ""), "main": (FAST, runtime, DRIVER)}
    for name, (level, files, text) in parts.items():
        (generated / f"{name}.cc").write_text("".join(f'#include "{file}"\n' for file in files) + text)
        run(tools.compiler.path, *flags, level, "-c", f"{name}.cc", "-o", f"{name}.o")
    run(tools.compiler.path, *(f"{name}.o" for name in parts), "-o", "../array", "-pthread")
    return Built(folder / "array", _children() - begin, sum(source.stat().st_size for source in sources))


@dataclass(frozen=True)
class Run:
    """What a simulation did: CPU seconds, cycles, in how many of them a vector entered, beats that left, checksum."""

    seconds: float
    cycles: int
    entered: int
    left: int
    checksum: int

    @property
    def rate(self) -> float:
        """Cycles per CPU second."""
        return self.cycles / self.seconds


def simulate(executable: Path, operands: Operands, cycles: int, folder: Path) -> Run:
    """Run the array for `cycles`.

    Raises
    ------
    ValueError : a result differs from the golden model's, or the array was not kept busy.
    """
    files: Sequence[Path] = operands.write(folder)
    done = subprocess.run([executable, *map(str, files), str(operands.p.m_tile), str(cycles)], capture_output=True,
                          text=True, check=True)
    seconds, *counts = done.stdout.split()
    run = Run(float(seconds), cycles, *map(int, counts))
    p = operands.p
    idle = p.rows + (p.pe_depth - 1) * (p.rows - 1) + 2
    if run.entered < cycles - idle:
        raise ValueError(f"a vector entered in {run.entered} of {cycles} cycles: must be all but {idle}")
    if run.left != run.entered - Systolic(p).latency:
        raise ValueError(f"{run.left} results of {run.entered} vectors")
    if run.checksum != operands.checksum(run.left):
        raise ValueError(f"checksum {run.checksum:x} of {run.left} results: the golden model has "
                         f"{operands.checksum(run.left):x}")
    return run
