# SPDX-License-Identifier: Apache-2.0
"""The memories of an emitted design, counted in the Verilog itself: what the table says is what was written.

The instance tree is walked from the top, so a module that is placed thirty-two times counts thirty-two times.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from focus_rtl.gen.emit import EmittedDesign

__all__ = ["MemoryRow", "block_modules", "bytes_written_out", "instance_counts", "instances_of", "memory_rows",
           "total_bits"]

_MODULE = re.compile(r"^module (\S+?)\(.*?^endmodule$", re.MULTILINE | re.DOTALL)
_FUNCTION = re.compile(r"^  function automatic .*?^  endfunction$", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(r"^  (\S+) \\?(\S+) +\($", re.MULTILINE)
_MEMORY = re.compile(r"^  reg (?:\[(\d+):0\] )?\\?\S+ +\[(?:0:)?(\d+)(?::0)?\];$", re.MULTILINE)


@dataclass(frozen=True)
class MemoryRow:
    """`count` memories of `words` x `bits` in the block that the core calls `block`."""

    block: str
    count: int
    words: int
    bits: int

    @property
    def total(self) -> int:
        """Bits of all of them."""
        return self.count * self.words * self.bits

    def to_dict(self) -> dict[str, Any]:
        """As the manifest holds it."""
        return {"block": self.block, "count": self.count, "words": self.words, "bits": self.bits,
                "total_bits": self.total}


@dataclass(frozen=True)
class _Body:
    memories: list[tuple[int, int]]
    instances: list[tuple[str, str]]


def memory_rows(design: EmittedDesign) -> list[MemoryRow]:
    """Every memory of the design, by block of the top and by shape; black boxes are counted like inferred ones."""
    bodies = _bodies(design)
    rows = []
    own = Counter(bodies[design.top].memories)
    rows += [MemoryRow("(top)", count, words, bits) for (words, bits), count in sorted(own.items())]
    for module, name in bodies[design.top].instances:
        shapes = Counter(_memories_below(module, bodies, design.macros))
        rows += [MemoryRow(name, count, words, bits) for (words, bits), count in sorted(shapes.items(), reverse=True)]
    return rows


def block_modules(design: EmittedDesign) -> dict[str, str]:
    """Block of the top -> the module that it is an instance of."""
    return {name: module for module, name in _bodies(design)[design.top].instances}


def instances_of(design: EmittedDesign) -> dict[str, list[tuple[str, str]]]:
    """Module -> what it places: (module, name) of each instance, in the order of the text."""
    return {module: body.instances for module, body in _bodies(design).items()}


def total_bits(rows: list[MemoryRow]) -> int:
    """Bits of all memories together."""
    return sum(row.total for row in rows)


def instance_counts(design: EmittedDesign) -> Counter[str]:
    """How often each module occurs in the whole design, the top once."""
    bodies = _bodies(design)
    counts: Counter[str] = Counter()
    # Children come first in the text, so from its end every parent is counted before its children.
    counts[design.top] = 1
    for module in reversed(list(bodies)):
        for child, _ in bodies[module].instances:
            counts[child] += counts[module]
    return counts


def bytes_written_out(design: EmittedDesign) -> int:
    """Bytes that the Verilog would have with a copy of its module, but not of its functions, for every instance."""
    counts = instance_counts(design)
    total = 0
    for match in _MODULE.finditer(design.text):
        copied = len(_FUNCTION.sub("", match.group(0)))
        total += counts[match.group(1)] * copied + len(match.group(0)) - copied
    return total


def _memories_below(module: str, bodies: dict[str, _Body],
                    macros: dict[str, dict[str, int]]) -> Iterator[tuple[int, int]]:
    if module in macros:
        yield macros[module]["words"], macros[module]["bits"]
        return
    yield from bodies[module].memories
    for child, _ in bodies[module].instances:
        yield from _memories_below(child, bodies, macros)


def _bodies(design: EmittedDesign) -> dict[str, _Body]:
    found = {match.group(1): match.group(0) for match in _MODULE.finditer(design.text)}
    return {name: _body(text, {*found, *design.macros}) for name, text in found.items()}


def _body(text: str, modules: set[str]) -> _Body:
    memories = [(int(high) + 1, int(bits or 0) + 1) for bits, high in _MEMORY.findall(text)]
    instances = [(match.group(1), match.group(2)) for match in _INSTANCE.finditer(text) if match.group(1) in modules]
    return _Body(memories, instances)
