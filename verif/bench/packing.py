# SPDX-License-Identifier: Apache-2.0
"""Fields <-> the word of a beat, as a layout has it."""

from amaranth.lib import data

__all__ = ["pack", "unpack"]


def pack(layout: data.StructLayout, **values: int) -> int:
    """A beat: each field's value at its place; an array's value is packed already (`elements`)."""
    if values.keys() != dict(layout.members).keys():
        raise ValueError(f"fields {sorted(values)} given, the layout has {sorted(dict(layout.members))}")
    word = 0
    for name, value in values.items():
        place = layout[name]
        if not 0 <= value < 1 << place.width:
            raise ValueError(f"{name} = {value}: does not fit {place.width} bits")
        word |= int(value) << place.offset
    return word


def unpack(layout: data.StructLayout, word: int) -> dict[str, int]:
    """The fields of a beat; arrays stay packed."""
    places = {name: layout[name] for name in dict(layout.members)}
    return {name: word >> place.offset & ((1 << place.width) - 1) for name, place in places.items()}
