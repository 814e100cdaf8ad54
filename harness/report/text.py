"""A report as text: for a terminal, in colour, and for a log, without.

The verdict comes first, then a line a check, then the seeds, the statistics, the guarantees, digests and
places, and what to do next. Rich is loaded only when something is rendered.

Does not write files; what is here fits a screen, and report.json holds the rest.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from harness.report.model import Report

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    Blocks = Callable[[int], Iterable[RenderableType]]

WIDTH = 100
_NARROWEST = 40


def render_text(report: Report, *, width: int | None = None, folder: str | None = None) -> str:
    """Return the report as plain text without colours or escapes, lines at most `width` characters.

    `width` is 100 where not given and never below 40. `folder` is where the run's files are, if known.
    """
    return plain(_blocks(report, folder), width)


def print_report(report: Report, console: Console, *, folder: str | None = None) -> None:
    """Print the report on a rich console, in colour if it is a terminal (NO_COLOR is rich's to obey).

    A file or a pipe gets plain text, at least 100 wide. Where the output cannot write a character, its
    escape is written.
    """
    put(_blocks(report, folder), console)


def _blocks(report: Report, folder: str | None) -> Blocks:
    from harness.report.terminal import blocks

    return lambda width: blocks(report, width, folder)


def plain(blocks: Blocks, width: int | None = None) -> str:
    """Return what `blocks` yields for a width as plain text, as `render_text` does."""
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
    _print(blocks, console)
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    return "\n".join(lines).strip("\n") + "\n"


def put(blocks: Blocks, console: Console) -> None:
    """Print what `blocks` yields for a width on a console, as `print_report` does."""
    unicode = console.encoding.lower().startswith("utf")
    if unicode and console.is_terminal:
        _print(blocks, console)
        return
    width = console.width if console.is_terminal else max(console.width, WIDTH)
    text = plain(blocks, width)
    safe = text.encode(console.encoding, "backslashreplace").decode(console.encoding)
    console.out(safe, end="", highlight=False)


def _print(blocks: Blocks, console: Console) -> None:
    for block in blocks(max(console.width, _NARROWEST)):
        console.print(block, highlight=False, markup=False, emoji=False)
