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
from harness.audit.sections import FINDINGS, Section, facts, page, table, worst_of
from harness.report.escape import for_terminal

_STYLES = {
    Status.PASS: "green",
    Status.FAIL: "red",
    Status.ERROR: "magenta",
    Status.NOT_RUN: "yellow",
}
_NAMES = 24
"""Columns that the names of records keep, however narrow the terminal."""
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
    shown = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    last = len(section.headings) - 1
    for index, (heading, over_numbers) in enumerate(section.headings):
        shown.add_column(
            heading,
            justify="right" if over_numbers else "left",
            overflow="fold",
            no_wrap=over_numbers,
            ratio=1 if index == last else None,
            min_width=_NAMES if index == 0 and last > 7 else None,
        )
    for status, cells in section.rows:
        style = _STYLES.get(status, "") if status is not None else ""
        words = [Text(for_terminal(cell, _CELL)) for cell in cells]
        if style:
            words[1 if len(cells) > 1 and cells[1] == status else 0].stylize(style)
        shown.add_row(*words)
    console.print(shown)


def _print_findings(section: Section, console: Console) -> None:
    """Print a line of figures a check, and below it what it says: sentences need the whole width."""
    console.print(Text(section.title, style="bold"))
    for status, (check, word, claim, recomputed, source, message) in section.rows:
        style = _STYLES.get(status, "") if status is not None else ""
        line = Text.assemble(
            (f"{word:<8}", style), (f"{check:<18}", "bold"), f"{claim:>14}  {recomputed:>14}"
        )
        console.print(Padding(line, (0, 0, 0, 2), expand=False))
        console.print(Padding(Text(for_terminal(message, _CELL)), (0, 0, 0, 10), expand=False))
        if source:
            shown = Text(f"({for_terminal(source, 200)})", style="dim")
            console.print(Padding(shown, (0, 0, 0, 10), expand=False))
