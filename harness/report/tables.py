"""Titled tables of words, laid out as Markdown and for a terminal; what is in them is decided elsewhere.

Words may be anybody's and are made harmless here, for where they go. Loads rich inside a function alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.escape import for_markdown, for_terminal

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text


CELL = 600
"""Characters shown of a cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Headings, each with whether numbers stand under it, and rows of as many words."""

    title: str
    headings: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def markdown(table: Table, level: int = 2) -> str:
    """Return a table under its heading, as Markdown in which no cell can become markup."""
    head = _row([heading for heading, _ in table.headings])
    rule = "|" + "|".join("---:" if numbers else "---" for _, numbers in table.headings) + "|"
    lines = [f"{'#' * level} {for_markdown(table.title)}", ""]
    if table.note:
        lines += [for_markdown(table.note, CELL), ""]
    return "\n".join([*lines, head, rule, *map(_row, table.rows), ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(for_markdown(cell, CELL) or " " for cell in cells) + " |"


def blocks(table: Table) -> Iterator[RenderableType]:
    """Yield the title, the table without lines, its first column never cut, and the note."""
    from rich.padding import Padding
    from rich.table import Table as Grid

    yield _text(table.title, "bold")
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for index, (_, numbers) in enumerate(table.headings):
        grid.add_column(
            justify="right" if numbers else "left", overflow="fold", no_wrap=not index or numbers
        )
    if any(heading for heading, _ in table.headings):
        grid.add_row(*(_text(heading, "dim") for heading, _ in table.headings))
    for row in table.rows:
        grid.add_row(*map(_text, row))
    yield Padding(grid, (0, 0, 0, 2))
    if table.note:
        yield Padding(_text(table.note, "dim"), (0, 0, 0, 2))


def _text(words: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(for_terminal(words, CELL), style=style, overflow="fold")
