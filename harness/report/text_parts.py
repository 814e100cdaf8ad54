"""The pieces that a report and a result have in common on a terminal.

Everything that a submission may have worded goes through `words`, which neutralises it; markup is never
interpreted, since only rich.text.Text is used.

Loads rich: import this module inside a function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from checks.contract import Finding, Status
from harness.report.escape import for_terminal
from harness.report.figures import quantity, versus

STYLES = {
    Status.PASS: "green",
    Status.FAIL: "red",
    Status.ERROR: "magenta",
    Status.NOT_RUN: "yellow",
}
LABEL, NAME, LINE, MESSAGE = 40, 80, 160, 600
"""Characters printed of a label, a name, a value and a message; JSON has them whole."""
WIDE = 84
"""Columns from which a check's message fits beside its numbers; below, it goes underneath."""


def words(text: str, limit: int = NAME, style: str = "") -> Text:
    """Return anybody's text, harmless, cut after `limit` characters, folded where it has to be."""
    return Text(for_terminal(text, limit), style=style, overflow="fold")


def section(title: str, *parts: RenderableType) -> RenderableType | None:
    """Return a bold title with the parts below it, indented; None where there are none."""
    if not parts:
        return None
    return Group(Text(title, style="bold"), *(Padding(part, (0, 0, 0, 2)) for part in parts))


def grid(columns: int, gap: int = 2) -> Table:
    """Return a table without lines, of which only the last column may wrap."""
    made = Table.grid(padding=(0, gap, 0, 0))
    for index in range(columns):
        made.add_column(overflow="fold", no_wrap=index < columns - 1)
    return made


def verdict(status: Status, message: str) -> Table:
    """Return the status as a badge and the sentence beside it."""
    made = grid(2)
    made.add_row(
        Text(f" {status} ", style=f"bold reverse {STYLES[status]}"),
        words(message, MESSAGE, f"bold {STYLES[status]}"),
    )
    return made


def checks(found: Iterable[tuple[Finding, bool]], width: int) -> Iterator[RenderableType]:
    """Yield a line for each (finding, whether it is required); `width` is in columns."""
    wide = width >= WIDE
    table = grid(4 if wide else 3)
    for finding, required in found:
        message = _one_line(finding, required)
        row = (status_word(finding.status), words(finding.id, 24), measure(finding))
        if wide:
            table.add_row(*row, message)
            continue
        table.add_row(*row)
        if message:
            yield table
            yield Padding(message, (0, 0, 0, 9))
            table = grid(3)
    if table.row_count:
        yield table


def status_word(status: Status) -> Text:
    """Return a status in its colour, as wide as the longest."""
    return Text(f"{status:<7}", style=f"bold {STYLES[status]}")


def measure(found: Finding) -> Text:
    """Return "measured / limit unit", with what is absent left out."""
    unit = for_terminal(found.unit, 24)
    if found.limit is not None:
        return Text(versus(found.measured, found.limit, unit))
    return Text("-" if found.measured is None else quantity(found.measured, unit))


def _one_line(found: Finding, required: bool) -> Text:
    message = words(found.message, LINE)
    if not required:
        message = Text.assemble(("advisory; ", "dim"), message)
    message.no_wrap, message.overflow = True, "ellipsis"
    return message
