# SPDX-License-Identifier: Apache-2.0
"""The instantiation template: Verilog to copy into a design, every port of the core with a wire of its own."""

from focus_rtl.gen.ports import STREAMS, PortRow

__all__ = ["instantiation"]


def instantiation(rows: list[PortRow], top: str) -> str:
    """A module `<top>_example` that declares a wire for every port of `top` and places it once."""
    width = max(len(row.name) for row in rows)
    lines = ["// Copy the wires and the instance into your design.  The fields inside the payloads are in ports.md.",
             f"module {top}_example(input clk, input rst);"]
    stream = ""
    for row in rows[2:]:
        if row.stream != stream:
            stream = row.stream
            lines += ["", f"  // {stream}: {STREAMS[stream]}" if stream in STREAMS else f"  // {stream}"]
        lines.append(f"  wire {_range(row.width):>9} {row.name};")
    ports = [f"    .{row.name:<{width}} ({row.name})" for row in rows]
    lines += ["", f"  {top} core (", ",\n".join(ports), "  );", "endmodule"]
    return "\n".join(lines) + "\n"


def _range(width: int) -> str:
    return f"[{width - 1}:0]" if width > 1 else ""
