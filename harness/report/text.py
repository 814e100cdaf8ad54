"""A report as text: for a terminal, in colour, and for a log, without.

The verdict comes first, then a line a check, then the seeds, the statistics, the guarantees, digests and
places, and what to do next. Rich is loaded only when something is rendered.

Does not write files; what is here fits a screen, and report.json holds the rest.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from harness.report.model import Report

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
_NARROWEST = 40


def render_text(report: Report, *, width: int | None = None, folder: str | None = None) -> str:
    """Return the report as plain text without colours or escapes, lines at most `width` characters.

    `width` is 100 where not given and never below 40. `folder` is where the run's files are, if known.
    """
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=max(width or WIDTH, _NARROWEST),
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
        _environ={},
    )
    _print(report, console, folder)
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    return "\n".join(lines).strip("\n") + "\n"


def print_report(report: Report, console: Console, *, folder: str | None = None) -> None:
    """Print the report on a rich console, in colour if it is a terminal (NO_COLOR is rich's to obey).

    A file or a pipe gets plain text, at least 100 wide. Where the output cannot write a character, its
    escape is written.
    """
    unicode = console.encoding.lower().startswith("utf")
    if unicode and console.is_terminal:
        _print(report, console, folder)
        return
    width = console.width if console.is_terminal else max(console.width, WIDTH)
    text = render_text(report, width=width, folder=folder)
    safe = text.encode(console.encoding, "backslashreplace").decode(console.encoding)
    console.out(safe, end="", highlight=False)


def _print(report: Report, console: Console, folder: str | None) -> None:
    from harness.report.terminal import blocks

    for block in blocks(report, max(console.width, _NARROWEST), folder):
        console.print(block, highlight=False, markup=False, emoji=False)
