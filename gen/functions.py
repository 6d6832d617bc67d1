# SPDX-License-Identifier: Apache-2.0
"""A module of Yosys' Verilog -> the same module with its logic in functions, one for each register stage.

Verilator copies a module's logic into the C++ of every instance, and a module's functions as well, but compiles a
function that stands outside of modules once: an array of a thousand PEs builds and runs several times faster when what
a PE computes is such a function.  Only Verilator is given it there, for the others it is in the module (`_PLACED`).

Only the text is rewritten.  `assign`s and `always @*` blocks become statements on local variables, each behind those
that it depends on; ports, registers and instances stay.  Logic that several registers share is in one function, which
gives the values of all of them; they become one register, because Verilator would call the function once for each.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

__all__ = ["FunctionError", "in_functions"]

_PLACED = """\
`ifndef VERILATOR
{head}`endif
{functions}`ifdef VERILATOR
{head}`endif
"""

_NAME = r"(?:\\\S+ |(?<![\w'$\\.])[A-Za-z_][\w$]*)"
_PART = re.compile(rf"(?P<name>{_NAME})\s?(?:\[(?P<high>\d+)(?::(?P<low>\d+))?\])?")
_DECLARED = re.compile(rf"(?:  \(\*.*\*\)\n)*  (input|output|wire|reg) (signed )?(?:\[(\d+):0\] )?({_NAME})(.*);\n")
_ASSIGN = re.compile(r"  assign (.*?) = (.*);\n")
_BLOCK = re.compile(r"  always @\*(?: begin\n(?:    if \(\\\$start \) begin end\n)?(.*)  end\n|\n(    [^\n]*\n))",
                    re.DOTALL)
_CLOCKED = re.compile(r"  always @\((posedge [^)]*)\)\n    ([^;]*?) <= ([^;]*);\n")
_KEPT = re.compile(r"  (?:always @\(posedge |(?:\(\*.*\*\)\n  )?[\w\\$.]+ [\w\\$.]+ *\($)", re.MULTILINE)
_SET = re.compile(rf"^ +(\{{[^}}]*\}}|{_NAME}(?: ?\[[\d:]+\])?) = ", re.MULTILINE)
_MOVED = re.compile(r"[\w\s\\$\[\]{},:'.]*")  # names, parts, constants and concatenations: no operator


class FunctionError(ValueError):
    """The module's logic depends on itself, or is written in a way that is not known here."""


@dataclass(frozen=True)
class _Span:
    """Bits `low` .. `high` of a signal."""

    name: str
    low: int
    high: int

    @property
    def width(self) -> int:
        """In bits."""
        return self.high - self.low + 1

    def overlaps(self, other: "_Span") -> bool:
        """Whether the two have a bit in common."""
        return self.name == other.name and self.low <= other.high and other.low <= self.high


@dataclass(eq=False)
class _Item:
    """A piece of the body, and the bits it takes; logic also has the bits it gives and itself as a statement.

    `moves` : it computes nothing.
    """

    text: str
    takes: list[_Span]
    gives: list[_Span] = field(default_factory=list)
    statement: str = ""
    moves: bool = False

    @cached_property
    def register(self) -> re.Match[str] | None:
        """Of a register that takes a value as it is: edge, name, value."""
        found = _CLOCKED.fullmatch(self.text)
        return found if found and not set("[{") & set(found[2]) and _MOVED.fullmatch(found[3]) else None


@dataclass
class _Group:
    """Sinks (registers, instances, ports) and the logic in front of them that they share, in the order to run it."""

    sinks: list[_Item]
    logic: list[_Item]

    @property
    def edge(self) -> str | None:
        """Where all sinks are plain registers of one clock: that clock.  A call can stand for their next values."""
        edges = {sink.register[1] if sink.register else None for sink in self.sinks}
        return edges.pop() if len(edges) == 1 else None

    def shares(self, other: "_Group") -> bool:
        """Whether any logic that computes is in front of both."""
        mine = {id(item) for item in self.logic if not item.moves}
        return any(id(item) in mine for item in other.logic)

    def joined(self, other: "_Group") -> "_Group":
        """Both as one."""
        mine = {id(item) for item in self.logic}
        return _Group(self.sinks + other.sinks, self.logic + [item for item in other.logic if id(item) not in mine])


def in_functions(module: str) -> str:
    """The module with its logic in functions.

    Raises
    ------
    FunctionError : a combinational loop, an unknown kind of item, or a signal that is called as a function is to be.
    """
    return _Module(module).rewritten()


class _Module:
    """A module's text, taken apart."""

    def __init__(self, text: str) -> None:
        lines = text.splitlines(keepends=True)
        start = next(number for number, line in enumerate(lines) if line.startswith("module ")) + 1
        self.text, self.head, self.end = text, "".join(lines[:start]), lines[-1]
        self.name = lines[start - 1].split()[1].split("(")[0]
        pieces = list(_pieces(lines[start:-1]))
        self.declared = {piece: found for piece in pieces if (found := _DECLARED.fullmatch(piece))}
        self.width = {found[4]: int(found[3] or 0) + 1 for found in self.declared.values()}
        self.signed = {found[4] for found in self.declared.values() if found[2]}
        self.initial = {found[4]: found[5].removeprefix(" = ") for found in self.declared.values() if "=" in found[5]}
        self.ports = {found[4] for found in self.declared.values() if found[1] in ("input", "output")}
        self.items = [self._item(piece) for piece in pieces if piece not in self.declared]
        self.drivers: dict[str, list[tuple[_Span, _Item]]] = {}
        for item in self.items:
            for span in item.gives:
                self.drivers.setdefault(span.name, []).append((span, item))

    def rewritten(self) -> str:
        groups = self._groups()
        stages = [group for group in groups if not all(item.moves for item in group.logic)]
        if not stages:
            return self.text
        wiring = {id(item) for group in groups if group not in stages for item in group.logic}
        functions = [_Function(self, f"{self.name}_step{number}", group) for number, group in enumerate(stages, 1)]
        replaced = {id(sink) for group in stages if group.edge for sink in group.sinks}
        kept = [item.text for item in self.items
                if (not item.statement or id(item) in wiring) and id(item) not in replaced]
        body = [function.call(functions) for function in functions] + kept
        used = self.ports | {span.name for text in body for span in self.spans(text)}
        body += [f"  assign {_joined(function.packed)} = {function.word};\n"
                 for function in functions if not used.isdisjoint(function.packed)]
        used |= {span.name for text in body for span in self.spans(text)}
        driven = {name for function in functions for name in function.driven}
        wires = [_as_wire(piece) if found[4] in driven else piece
                 for piece, found in self.declared.items() if found[4] in used]
        head = _PLACED.format(head=self.head, functions="".join(function.text(functions) for function in functions))
        return "".join([head, *wires, *(function.declaration for function in functions), *body, self.end])

    def spans(self, text: str) -> list[_Span]:
        """The bits of declared signals that a text names, each once."""
        spans: dict[_Span, None] = {}
        for found in _PART.finditer(text):
            name, high = found["name"], found["high"]
            if name in self.width:
                spans[_Span(name, int(found["low"] or high), int(high)) if high else self.whole(name)] = None
        return list(spans)

    def range_of(self, name: str) -> str:
        """What stands between `reg` and the name."""
        return ("signed " if name in self.signed else "") + _range(self.width[name])

    def whole(self, name: str) -> _Span:
        """All bits of a signal."""
        return _Span(name, 0, self.width[name] - 1)

    def _item(self, text: str) -> _Item:
        assign, block, register = (form.fullmatch(text) for form in (_ASSIGN, _BLOCK, _CLOCKED))
        if assign:
            return _Item(text, self.spans(assign[2]), self.spans(assign[1]), f"    {assign[1]} = {assign[2]};\n",
                         _MOVED.fullmatch(assign[2]) is not None)
        if block:
            body = block[1] or block[2]
            given = list(dict.fromkeys(span for target in _SET.findall(body) for span in self.spans(target)))
            names = {span.name for span in given}
            return _Item(text, [span for span in self.spans(body) if span.name not in names], given, body)
        if not _KEPT.match(text):
            raise FunctionError(f"{self.name}: neither logic, register nor instance: {text.strip()[:60]}")
        return _Item(text, self.spans(register[3] if register else text))

    def _groups(self) -> list[_Group]:
        """The sinks with logic in front of them; those that share some of it together."""
        groups: list[_Group] = []
        ports = [_Item("", [self.whole(name)]) for name in self.ports if name in self.drivers]
        for sink in [item for item in self.items if not item.statement] + ports:
            logic: list[_Item] = []
            for span in sink.takes:
                self._collect(span, logic, [])
            if not logic:
                continue
            group = _Group([sink], logic)
            for other in [other for other in groups if other.shares(group)]:
                groups.remove(other)
                group = other.joined(group)
            groups.append(group)
        return groups

    def _collect(self, wanted: _Span, logic: list[_Item], path: list[_Item]) -> None:
        """Append the logic that gives `wanted`, what it depends on first."""
        for span, item in self.drivers.get(wanted.name, ()):
            if not span.overlaps(wanted) or item in logic:
                continue
            if item in path:
                raise FunctionError(f"{self.name}: {wanted.name} depends on itself")
            for taken in item.takes:
                self._collect(taken, logic, [*path, item])
            logic.append(item)


class _Function:
    """A group as a function: its text, the call, and where several registers take its value, the one they become.

    word : name of the signal that holds several results.  packed : those results, from the top bit down.
    """

    def __init__(self, module: _Module, name: str, group: _Group) -> None:
        self.module, self.name, self.group = module, name, group
        self.word = name.removeprefix(f"{module.name}_")
        if {self.word, name} & module.width.keys():
            raise FunctionError(f"{module.name}: a signal is called {self.word}, as a function is to be")
        self.own = _names(span for item in group.logic for span in item.gives)
        self.registers = [sink.register for sink in group.sinks if sink.register] if group.edge else []
        read = [*group.logic, *(group.sinks if self.registers else [])]
        self.arguments = [given for given in _names(span for item in read for span in item.takes)
                          if given not in self.own]
        results = _names(span for sink in group.sinks for span in sink.takes if span.name in self.own)
        self.values = [found[3] for found in self.registers] or results
        self.targets = [name for found in self.registers for name in _names(module.spans(found[2] + " "))] or results
        self.width = sum(module.width[target] for target in self.targets)
        self.packed = self.targets if len(self.targets) > 1 else []

    @property
    def driven(self) -> list[str]:
        """Results that are no longer driven by an `always`, even where they were."""
        return self.packed or ([] if self.registers else self.targets)

    @property
    def declaration(self) -> str:
        """Of the word."""
        if not self.packed:
            return ""
        first = [self.module.initial.get(target, "") for target in self.targets]
        start = f" = {_joined(first)}" if self.registers and all(first) else ""
        return f"  {'reg' if self.registers else 'wire'} {_range(self.width)}{self.word}{start};\n"

    def call(self, others: Sequence["_Function"]) -> str:
        """The statement with the call."""
        target = self.word if self.packed else self.targets[0]
        call = f"{target} {'<=' if self.registers else '='} {self.name}({', '.join(self._taken(others))});\n"
        return f"  always @({self.group.edge})\n    {call}" if self.registers else f"  assign {call}"

    def text(self, others: Sequence["_Function"]) -> str:
        """The function.  Of another's word it takes all, and takes it apart itself: one argument instead of many."""
        taken, widths = self._taken(others), {other.word: other.width for other in others}
        lines = [f"    input {_range(widths[name]) if name in widths else self.module.range_of(name)}{name};\n"
                 for name in taken]
        words = [other for other in others if other.word in taken]
        inner = [name for other in words for name in other.packed] + self.own
        lines += [f"    reg {self.module.range_of(name)}{name};\n" for name in inner]
        body = "".join(f"    {_joined(other.packed)} = {other.word};\n" for other in words)
        body += "".join(item.statement for item in self.group.logic) + f"    {self.name} = {_joined(self.values)};\n"
        return (f"  function automatic {_range(self.width)}{self.name};\n    /* verilator no_inline_task */\n"
                f"{''.join(lines)}    begin\n{_indented(body)}    end\n  endfunction\n")

    def _taken(self, others: Sequence["_Function"]) -> list[str]:
        words = {name: other.word for other in others if other is not self for name in other.packed}
        return list(dict.fromkeys(words.get(name, name) for name in self.arguments))


def _pieces(lines: list[str]) -> Iterator[str]:
    """The declarations, statements and instances of a body, each with the attributes above it."""
    piece: list[str] = []
    for line in lines:
        begins = re.match(r"  (?! |end\b|\))", line) is not None
        if begins and not (piece and piece[-1].startswith("  (*")):
            if piece:
                yield "".join(piece)
            piece = []
        piece.append(line)
    if piece:
        yield "".join(piece)


def _names(spans: Iterable[_Span]) -> list[str]:
    return list(dict.fromkeys(span.name for span in spans))


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{{ {', '.join(parts)} }}"


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def _indented(text: str) -> str:
    return re.sub(r"^", "  ", text, flags=re.MULTILINE).rstrip(" ")


def _as_wire(declaration: str) -> str:
    return re.sub(r"^  reg (.*?)( = .*)?;$", r"  wire \1;", declaration, flags=re.MULTILINE)
