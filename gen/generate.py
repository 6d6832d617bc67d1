# SPDX-License-Identifier: Apache-2.0
"""A configuration -> the files of a core, or of one unit: Verilog, waivers, port table, template, manifest.

Everything is made in memory and checked before the first byte is written.
"""

import inspect
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from focus_rtl.gen.emit import EmittedDesign, verilog_of
from focus_rtl.gen.errors import CommandError
from focus_rtl.gen.manifest import MANIFEST, Manifest, manifest_bytes, sha256, versions
from focus_rtl.gen.memories import MemoryRow, instance_counts, memory_rows
from focus_rtl.gen.ports import port_rows, port_table
from focus_rtl.gen.template import instantiation
from focus_rtl.gen.units import ChosenUnit
from focus_rtl.gen.waivers import waiver_file
from focus_rtl.golden.params import Parameters
from focus_rtl.hdl.core import Core
from focus_rtl.hdl.unit import Unit

__all__ = ["Generated", "check_prefix", "default_prefix", "generate", "generate_unit"]

PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True)
class Generated:
    """A generated core.

    files : name -> bytes, in the order in which they are listed, the manifest last.
    design : the Verilog and its modules.  memories, modules : what the table of `check` shows.
    """

    files: dict[str, bytes]
    design: EmittedDesign
    memories: list[MemoryRow]
    modules: Counter[str]


def default_prefix(params: Parameters) -> str:
    """`focus_<first eight digits of the configuration hash>_`: two configurations never collide."""
    return f"focus_{params.sha256[:8]}_"


def check_prefix(prefix: str) -> str:
    """Return `prefix` if every name that begins with it is a Verilog identifier, else raise CommandError."""
    if not PREFIX.fullmatch(prefix):
        suggestion = re.sub(r"\W", "_", prefix, flags=re.ASCII).lstrip("_0123456789")[:39] or "focus"
        raise CommandError(
            f"--prefix {prefix!r}: must be 1 to 40 letters, digits and _, the first one a letter: "
            "every module name begins with it",
            f"try --prefix {suggestion.rstrip('_')}_")
    return prefix


def generate(params: Parameters, prefix: str | None = None) -> Generated:
    """Emit the core of `params` and everything that goes with it; nothing touches the disk.

    Raises
    ------
    CommandError : the prefix is not usable.
    EmissionError : Yosys failed.
    """
    prefix = default_prefix(params) if prefix is None else check_prefix(prefix)
    return _files(Core(params), "core", prefix, params.to_dict(), params.sha256)


def generate_unit(chosen: ChosenUnit, prefix: str | None = None) -> Generated:
    """The same for one unit; `ports.md` holds its contract as well."""
    prefix = f"focus_{chosen.sha256[:8]}_" if prefix is None else check_prefix(prefix)
    return _files(chosen.make(), chosen.name, prefix, chosen.configuration, chosen.sha256)


def _files(unit: Unit, name: str, prefix: str, configuration: dict[str, Any], config_sha256: str) -> Generated:
    rows = port_rows(unit)
    design = verilog_of(unit, prefix, name)
    memories, modules = memory_rows(design), instance_counts(design)
    texts = {
        f"{design.top}.v": design.text,
        f"{design.top}.vlt": waiver_file(f"{design.top}.v"),
        f"{design.top}_example.v": instantiation(rows, design.top),
        "ports.md": port_table(rows, design.top) + _contract(unit),
    }
    files = {name: text.encode() for name, text in texts.items()}
    files[MANIFEST] = manifest_bytes(Manifest(
        top=design.top, prefix=prefix, configuration=configuration, config_sha256=config_sha256,
        versions=versions(), files={name: sha256(content) for name, content in files.items()},
        modules={name: modules[name] for name in design.modules}, ports=[row.to_dict() for row in rows],
        memories=[row.to_dict() for row in memories], macros=design.macros))
    return Generated(files, design, memories, modules)


def _contract(unit: Unit) -> str:
    """What a unit says of itself; a core has pages of its own for that."""
    return "" if isinstance(unit, Core) else f"\n## Contract\n```\n{inspect.getdoc(type(unit))}\n```\n"
