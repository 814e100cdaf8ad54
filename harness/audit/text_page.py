"""An audit on a terminal: a table of many records, a page of one.

Loads rich: import this module inside a function.
"""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from checks.contract import Status
from harness.audit.model import Audit, Audited
from harness.audit.sections import FINDINGS, NONE, Section, facts, page, table, worst_of
from harness.report.escape import for_terminal

_STYLES = {
    Status.PASS: "green",
    Status.FAIL: "red",
    Status.ERROR: "magenta",
    Status.NOT_RUN: "yellow",
}
_WORDS = 34
"""Columns that words get at the most before they are folded: the names of records are long."""
_CELL = 700
"""Characters of a cell; JSON has all of them."""


def print_audit(audit: Audit, console: Console, sort: str = "id") -> None:
    """Print one page for a single folder, a table for more."""
    if len(audit.folders) == 1:
        _print_folder(audit.folders[0], console)
    else:
        _print_section(table(audit, sort), console)


def _print_folder(folder: Audited, console: Console) -> None:
    status = worst_of(folder)
    console.print(
        Text.assemble(
            (f" {status} ", f"bold {_STYLES[status]}"), (for_terminal(folder.id, 200), "bold")
        )
    )
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, value in facts(folder):
        grid.add_row(Text(f"  {name}", style="dim"), Text(for_terminal(value, 300)))
    console.print(grid)
    for section in page(folder):
        console.print()
        _print_section(section, console)


def _print_section(section: Section, console: Console) -> None:
    if section.title == FINDINGS:
        _print_findings(section, console)
        return
    console.print(Text(for_terminal(section.title, 200), style="bold"))
    if section.note:
        console.print(Text(for_terminal(section.note, 300), style="dim"))
    if _needs(section) > console.width:
        _print_stacked(section, console)
        return
    shown = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    last = len(section.headings) - 1
    for index, (heading, over_numbers) in enumerate(section.headings):
        shown.add_column(
            heading,
            justify="right" if over_numbers else "left",
            overflow="fold",
            no_wrap=over_numbers,
            ratio=1 if index == last and not over_numbers else None,
        )
    for status, cells in section.rows:
        words = [Text(for_terminal(cell, _CELL)) for cell in cells]
        words[0].stylize(_style(status))
        shown.add_row(*words)
    console.print(shown)


def _needs(section: Section) -> int:
    """Return the columns that a table needs so that no number is cut and no name is broken to bits."""
    needed = 0
    for index, (heading, over_numbers) in enumerate(section.headings):
        longest = max([len(heading), *(len(cells[index]) for _, cells in section.rows)])
        needed += 2 + (longest if over_numbers else min(longest, _WORDS))
    return needed


def _print_stacked(section: Section, console: Console) -> None:
    """Print a row as its name and, below, what stands under each heading: for narrow terminals."""
    for status, (first, *rest) in section.rows:
        console.print(Text(for_terminal(first, _CELL), style=_style(status) or "bold"))
        parts = [
            f"{heading} {for_terminal(cell, _CELL)}"
            for (heading, _), cell in zip(section.headings[1:], rest, strict=True)
            if cell not in ("", NONE)
        ]
        console.print(Padding(Text(" · ".join(parts)), (0, 0, 0, 4), expand=False))


def _style(status: Status | None) -> str:
    return _STYLES[status] if status is not None else ""


def _print_findings(section: Section, console: Console) -> None:
    """Print a line of figures a check, and below it what it says: sentences need the whole width."""
    console.print(Text(section.title, style="bold"))
    for status, (check, word, claim, recomputed, source, message) in section.rows:
        line = Text.assemble(
            (f"{word:<8}", _style(status)),
            (f"{check:<18}", "bold"),
            f"{claim:>14}  {recomputed:>14}",
        )
        console.print(Padding(line, (0, 0, 0, 2), expand=False))
        console.print(Padding(Text(for_terminal(message, _CELL)), (0, 0, 0, 10), expand=False))
        if source:
            shown = Text(f"({for_terminal(source, 200)})", style="dim")
            console.print(Padding(shown, (0, 0, 0, 10), expand=False))
