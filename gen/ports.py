# SPDX-License-Identifier: Apache-2.0
"""The ports of an emitted core as data: flat ports, and for every packed payload the fields inside with their offsets.

One description feeds the manifest, the port table and the instantiation template.
"""

from dataclasses import dataclass, field
from typing import Any

from amaranth import Shape, ShapeLike
from amaranth.lib import data, wiring

from focus_rtl.hdl.unit import Unit, ports_of

__all__ = ["STREAMS", "PortField", "PortRow", "port_rows", "port_table"]

STREAMS: dict[str, str] = {
    "job": "one per job: counts, threshold and mode",
    "tiles": "one per m-tile: its number of tokens",
    "vectors": "concentrated input vectors, `last` on the last one of a k-slice",
    "maps": "similarity map, scatter_lanes indices a beat; none when dense",
    "weights": "one row of a weight tile a beat, bottom row first",
    "positions": "one per token and output vector: where the token is; none for a job with `decoded`",
    "retained": "only for a job with `decoded`: where its image tokens are, as offsets, `last` on the last one",
    "preloads": "what the accumulators of scatter_lanes tokens and C columns start from; only for a job with `preload`",
    "sec_orders": "one per pruning: how many image tokens there are, how many stay, how the scores come",
    "scores": "of the softmax, sec_lanes binary16 numbers a beat",
    "previous": "only for an order with `pruned`: the offsets of the pruning before",
    "outputs": "concentrated output vectors, `last` on the last one of an output vector's tile",
    "out_maps": "one index per token, `last` on the last one of a tile",
    "summary": "one per tile and output vector: how many vectors came out",
    "status": "one per job, after everything else: error code and counters",
    "offsets": "of the image tokens that stay, `last` on the last one: `retained` of the jobs that follow",
    "sec_status": "one per pruning, after its offsets: error code, symbols sent, cycles",
}
"""What a beat of each stream of the core is, in the order of the documentation."""


@dataclass(frozen=True)
class PortField:
    """A field of a packed port: bits `offset` .. `offset + width - 1`; `count` of them, `stride` bits apart."""

    name: str
    offset: int
    width: int
    count: int = 1
    stride: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As the manifest holds it: an array has `count` and `stride`, a single field has neither."""
        single = {"name": self.name, "offset": self.offset, "width": self.width}
        return single if self.count == 1 else single | {"count": self.count, "stride": self.stride}


@dataclass(frozen=True)
class PortRow:
    """A flat Verilog port and what it carries."""

    name: str
    direction: str
    width: int
    stream: str = ""
    fields: list[PortField] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As the manifest holds it."""
        row: dict[str, Any] = {"name": self.name, "direction": self.direction, "width": self.width}
        if self.stream:
            row["stream"] = self.stream
        if self.fields:
            row["fields"] = [item.to_dict() for item in self.fields]
        return row


def port_rows(unit: Unit) -> list[PortRow]:
    """Every port of `unit` after emission, `clk` and `rst` first."""
    layouts = _payload_layouts(unit)
    rows = [PortRow("clk", "input", 1), PortRow("rst", "input", 1)]
    for port in ports_of(unit):
        stream, _, part = port.name.rpartition("_")
        known = stream if part in ("valid", "ready", "payload", "last") else ""
        fields = _fields(layouts[port.name]) if port.name in layouts else []
        rows.append(PortRow(port.name, "input" if port.inward else "output", len(port.value), known,
                            [item for item in fields if item.width and item.offset < len(port.value)]))
    return rows


def port_table(rows: list[PortRow], top: str) -> str:
    """The ports of `top` as a Markdown document."""
    lines = [f"# Ports of `{top}`", "",
             "All streams are valid/ready: a transfer happens in a clock cycle in which both are high. Payloads are",
             "packed, first field and lane 0 in the low bits. The rising edge of `clk` counts; `rst` is synchronous",
             "and active high.", "",
             "| port | direction | bits | stream |", "|---|---|---|---|"]
    lines += [f"| `{row.name}` | {row.direction} | {row.width} | {_meaning(row)} |" for row in rows]
    for row in rows:
        if row.fields:
            lines += ["", f"## `{row.name}`", "", "| field | bits | width |", "|---|---|---|"]
            lines += [f"| {_field_name(item)} | {_bits(item)} | {item.width} |" for item in row.fields]
    return "\n".join(lines) + "\n"


def _meaning(row: PortRow) -> str:
    return STREAMS.get(row.stream, "") if row.name == f"{row.stream}_payload" else ""


def _field_name(item: PortField) -> str:
    return f"`{item.name}`" if item.count == 1 else f"`{item.name}[i]`, i = 0 .. {item.count - 1}"


def _bits(item: PortField) -> str:
    if item.count == 1:
        return f"{item.offset + item.width - 1}:{item.offset}"
    base = f"{item.offset} + " if item.offset else ""
    return f"{base}{item.stride} i + {item.width - 1} : {base}{item.stride} i"


def _payload_layouts(unit: Unit) -> dict[str, data.Layout]:
    found = {}
    for path, _, interface in wiring.Signature.flatten(unit.signature, unit):
        if isinstance(interface, data.View):
            found["_".join(str(step) for step in path)] = interface.shape()
    return found


def _fields(layout: ShapeLike, name: str = "", offset: int = 0) -> list[PortField]:
    """The leaves of a layout; an array of plain numbers is one leaf with a count, an array of structs is spelt out."""
    if isinstance(layout, data.ArrayLayout):
        if not isinstance(layout.elem_shape, data.Layout):
            width = Shape.cast(layout.elem_shape).width
            return [PortField(name or "lane", offset, width, layout.length, width)]
        stride = Shape.cast(layout.elem_shape).width
        return [leaf for i in range(layout.length)
                for leaf in _fields(layout.elem_shape, f"{name or 'lane'}[{i}]", offset + i * stride)]
    if isinstance(layout, data.Layout):
        return [leaf for key, part in layout
                for leaf in _fields(part.shape, f"{name}.{key}" if name else str(key), offset + part.offset)]
    return [PortField(name, offset, Shape.cast(layout).width)]
