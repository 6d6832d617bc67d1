# SPDX-License-Identifier: Apache-2.0
"""Tables in the pages of docs/: each stands between `<!--table:NAME-->` and `<!--/table-->`, and nobody types it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from focus_rtl.verif.records import Record

__all__ = ["MARK", "fill", "filled", "grid", "origin", "shown"]

MARK = re.compile(r"<!--table:([\w-]+)-->\n(.*?)<!--/table-->", re.DOTALL)


def shown(text: str) -> dict[str, str]:
    """The tables in a page's text: name -> lines."""
    return {match[1]: match[2] for match in MARK.finditer(text)}


def filled(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """The text with the tables that are named as these give them; others stay as they are."""
    return MARK.sub(lambda match: f"<!--table:{match[1]}-->\n{tables[match[1]]()}<!--/table-->"
                    if match[1] in tables else match[0], text)


def fill(page: Path, tables: Mapping[str, Callable[[], str]]) -> None:
    """Put tables into a page, as `filled` does."""
    page.write_text(filled(page.read_text(encoding="utf-8"), tables), encoding="utf-8")


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown.  `-:` stands before the titles of columns that are set to the right."""
    lines = [[title.removeprefix("-:") for title in head], *rows]
    rule = "".join("|---:" if title.startswith("-:") else "|---" for title in head) + "|"
    first, *others = (f"| {' | '.join(cells)} |" for cells in lines)
    return [first, rule, *others]


def origin(records: Iterable[Record]) -> str:
    """A sentence on where records come from: commits and versions of the tools."""
    records = list(records)
    commits = ", ".join(sorted({f"{record['commit'][:8]}{'-dirty' * record['commit'].endswith('-dirty')}"
                                for record in records}))
    tools = ", ".join(sorted({f"{name} {version}" for record in records for name, version in record["tools"].items()}))
    return f"Recorded at {commits}, with {tools}."
