# SPDX-License-Identifier: Apache-2.0
"""The instantiation template: Verilog to copy into a design, with every port of the core connected by name."""

from itertools import groupby

from focus_rtl.gen.ports import STREAMS, PortRow

__all__ = ["instantiation"]


def instantiation(rows: list[PortRow], top: str) -> str:
    """A module `<top>_example` that passes every port on to one instance of `top`; it lints as it is."""
    lines = ["// Copy the instance into your design.  The fields inside the payloads are in ports.md.",
             f"module {top}_example("]
    for stream, group in groupby(rows, key=lambda row: row.stream):
        if stream:
            lines.append(f"  // {stream}: {STREAMS[stream]}" if stream in STREAMS else f"  // {stream}")
        lines += [f"  {row.direction:<6} {_range(row.width)}{row.name}{',' if row is not rows[-1] else ''}"
                  for row in group]
    width = max(len(row.name) for row in rows)
    ports = ",\n".join(f"    .{row.name:<{width}} ({row.name})" for row in rows)
    return "\n".join([*lines, ");", f"  {top} core (", ports, "  );", "endmodule", ""])


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""
