# SPDX-License-Identifier: Apache-2.0
"""What commands print: tables and lines on standard output, messages on standard error.

Colours and boxes only where a person looks: on a terminal and without `NO_COLOR`; else plain lines that `grep` likes.
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from focus_rtl.gen.errors import CommandError

__all__ = ["OutputClosed", "complain", "plain", "say", "say_json", "say_table", "say_title"]


class OutputClosed(Exception):
    """Whoever read standard output has gone (`focus-rtl presets | head -1`); not an error."""


def plain() -> bool:
    """Whether to print plain lines: standard output is no terminal, or `NO_COLOR` is set."""
    return not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR"))


def say(text: str = "") -> None:
    """Print a line."""
    try:
        print(text, flush=True)
    except BrokenPipeError as error:
        _discard_output()
        raise OutputClosed from error
    except OSError:  # a full disk, which would be told a second time at exit
        _discard_output()
        raise


def say_title(text: str) -> None:
    """Print a heading, with a line of space before it."""
    say()
    if plain():
        say(text)
    else:
        Console().print(text, style="bold", markup=False, highlight=False)


def say_json(value: Any) -> None:
    """Print a value as indented JSON; what JSON has no form for, such as a date out of a TOML file, as text."""
    say(json.dumps(value, indent=1, default=str))


def say_table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print a table; the columns whose numbers are in `right` are flush right."""
    if plain():
        for line in _plain_lines(headers, rows, right):
            say(line)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, header in enumerate(headers):
        table.add_column(header, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    Console().print(table)


def complain(error: CommandError) -> None:
    """Print an error and its cure to standard error."""
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    red, plain_text = ("\x1b[1;31m", "\x1b[0m") if colour else ("", "")
    print(f"{red}error:{plain_text} {error.cause}", file=sys.stderr)
    if error.cure:
        print(f"  cure: {error.cure}", file=sys.stderr)


def _plain_lines(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    widths = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]

    def line(row: Sequence[str]) -> str:
        cells = [cell.rjust(width) if column in right else cell.ljust(width)
                 for column, (cell, width) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(cells).rstrip()
    return [line(headers), *(line(row) for row in rows)]


def _discard_output() -> None:
    """So that Python does not complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
