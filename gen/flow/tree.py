# SPDX-License-Identifier: Apache-2.0
"""The units of a design as a tree of rows, each with the module that it is and how often it occurs."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from focus_rtl.gen.emit import EmittedDesign
from focus_rtl.gen.memories import instances_of

__all__ = ["DEPTH", "Branch", "branches", "kept_modules", "memory_modules"]

DEPTH = 2
"""Levels below the top whose units keep their borders in synthesis, so that each has figures of its own."""

_RAM = re.compile(r"(?:.*_)?ram_w(\d+)_d(\d+)_m[a-z]+")


@dataclass(frozen=True)
class Branch:
    """`count` equal units: where they are placed (names from the top, the last one of the first), and their module."""

    path: tuple[str, ...]
    module: str
    count: int

    @property
    def label(self) -> str:
        """For tables: indented by depth, with the count."""
        times = f" x {self.count}" if self.count > 1 else ""
        return "  " * (len(self.path) - 1) + self.path[-1] + times


def memory_modules(design: EmittedDesign) -> dict[str, tuple[int, int]]:
    """Modules that are a `Ram` -> (words, bits)."""
    found = ((module, _RAM.fullmatch(module)) for module in design.modules)
    return {module: (int(match[2]), int(match[1])) for module, match in found if match}


def branches(design: EmittedDesign, depth: int = DEPTH) -> list[Branch]:
    """The units down to `depth`, each before its parts; memories are not among them, they are listed apart."""
    instances, memories = instances_of(design), memory_modules(design)

    def below(module: str, path: tuple[str, ...]) -> Iterator[Branch]:
        counts = Counter(child for child, _ in instances[module])
        first = dict(reversed(instances[module]))
        for child, count in counts.items():
            if child not in memories:
                branch = Branch((*path, first[child]), child, count)
                yield branch
                if len(branch.path) < depth:
                    yield from below(child, branch.path)

    return list(below(design.top, ()))


def kept_modules(design: EmittedDesign, depth: int = DEPTH) -> list[str]:
    """Modules whose borders stay in synthesis: the top, the units down to `depth`, and every memory."""
    return list(dict.fromkeys([design.top, *(branch.module for branch in branches(design, depth)),
                               *memory_modules(design)]))
