# SPDX-License-Identifier: Apache-2.0
"""What an emitted array costs: seconds, memory and bytes of the generation, as shared modules and one per instance.

    python -m focus_rtl.verif.array.emission 32 fp16           # one JSON object; run it in a process of its own
    python -m focus_rtl.verif.array.emission 8 fp16 --plain
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from amaranth import Module, Signal
from amaranth.back import verilog

from focus_rtl.gen.configuration import load
from focus_rtl.gen.emit import EmittedDesign, PortInfo, verilog_of
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.array.systolic import Systolic
from focus_rtl.hdl.unit import Unit, ports_of

__all__ = ["Cost", "measured", "parameters", "plain"]

PASS = 256
"""Vectors of a pass: more than any array here needs to hide the next weights."""


def parameters(size: int, dtype: str) -> Parameters:
    """The preset `paper` with an array of size x size PEs, one row pass, of that data type."""
    preset = load("paper" if dtype == "fp16" else f"paper-{dtype}").parameters
    return replace(preset, rows=size, cols=size, vector=size, matcher_lanes=min(size, preset.matcher_lanes),
                   m_tile=PASS)


def plain(unit: Unit) -> EmittedDesign:
    """The unit as Amaranth itself writes it: one module per instance, no function."""
    top, ports = Module(), {}
    top.submodules.unit = unit
    for port in ports_of(unit):
        flat = Signal(len(port.value), name=port.name)
        top.d.comb += port.value.eq(flat) if port.inward else flat.eq(port.value)
        ports[port.name] = (flat, None)
    text = verilog.convert(top, name="plain", ports=ports, emit_src=False, strip_internal_attrs=True)
    flat_ports = [PortInfo(port.name, len(port.value), port.inward) for port in ports_of(unit)]
    return EmittedDesign("plain", text, [], {}, [PortInfo("clk", 1, True), PortInfo("rst", 1, True), *flat_ports])


@dataclass(frozen=True)
class Cost:
    """Of a generation in a process of its own.

    seconds : of CPU, Python and Yosys, without the imports.  megabytes : peak of the larger of the two.
    bytes, modules : of the Verilog.  sha256 : of it.
    """

    seconds: float
    megabytes: float
    bytes: int
    modules: int
    sha256: str


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _here(size: int, dtype: str, alone: bool, folder: Path) -> Cost:
    begin = _cpu()
    design = (plain if alone else verilog_of)(Systolic(parameters(size, dtype)))
    seconds = _cpu() - begin
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    (folder / "design.json").write_text(json.dumps(asdict(design)))
    return Cost(seconds, peak / 1024, len(design.text), design.text.count("\nendmodule"),
                hashlib.sha256(design.text.encode()).hexdigest())


def measured(size: int, dtype: str, alone: bool = False) -> tuple[Cost, EmittedDesign]:
    """Generate in a process of its own; what it cost, and the design."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "focus_rtl.verif.array.emission", str(size), dtype, "--folder", folder]
        done = subprocess.run(command + ["--plain"] * alone, stdout=subprocess.PIPE, text=True, check=True)
        design = json.loads((Path(folder) / "design.json").read_text())
    design["ports"] = [PortInfo(**port) for port in design["ports"]]
    return Cost(**json.loads(done.stdout)), EmittedDesign(**design)


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m focus_rtl.verif.array.emission", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=int)
    parser.add_argument("dtype", choices=("fp16", "bf16", "int8"))
    parser.add_argument("--plain", action="store_true", help="one module per instance")
    parser.add_argument("--folder", type=Path, help="where to leave the design")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asdict(_here(told.size, told.dtype, told.plain, told.folder or Path(folder)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
