"""What a person sees of a run: progress while it works, then the verdict.

On a terminal a live view; elsewhere one plain line a phase, or JSON. All on stderr, so that standard output
holds the result alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checks.contract import Outcome, PhaseTime
from harness.commands.aside import Speaker
from harness.errors import UsageError
from harness.launch import Quiet

if TYPE_CHECKING:
    from harness.commands.watched import Facts
    from harness.launch import Listener
    from harness.run import Run

DUMB = ("", "dumb", "unknown")
"""Values of TERM that say nothing of a cursor."""


class Lines(Quiet):
    """One line a phase, for logs and pipes."""

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        """Give each line to `say`; without it, to stderr."""
        self._say = say or partial(click.echo, err=True)

    def ended(self, seed: int, time: PhaseTime) -> None:
        """Say how a phase went."""
        self._say(describe(seed, time))

    def note(self, text: str) -> None:
        """Say one line."""
        from harness.report.escape import for_terminal

        self._say(for_terminal(text))


def describe(seed: int, time: PhaseTime) -> str:
    """Return one line on a phase that is over; its detail may be a submission's words, made harmless."""
    from harness.report.escape import for_terminal

    line = f"seed {seed}  {time.phase:<9} {time.wall_s:8.2f} s of {time.budget_s:g} s"
    if time.outcome is Outcome.DONE:
        return line
    return f"{line}  {time.outcome}" + (f": {for_terminal(time.detail)}" if time.detail else "")


def chosen(progress: str) -> str:
    """Return how progress is shown where stderr goes: what was asked for, or for "auto" what fits there.

    Raises UsageError for a live view where nothing can be redrawn.
    """
    terminal = sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in DUMB
    if progress == "auto":
        return "live" if terminal else "plain"
    if progress == "live" and not terminal:
        raise UsageError(
            "--progress live: standard error is no terminal whose cursor can be moved; choose plain or json"
        )
    return progress


@contextmanager
def listener(facts: Facts, progress: str = "auto") -> Iterator[Listener]:
    """Yield somebody who shows a run as `chosen` says, and holds up nothing where nobody reads."""
    progress = chosen(progress)
    if progress == "none":
        yield Quiet()
    elif progress == "plain":
        with Speaker() as speaker:
            yield Lines(speaker.put)
    elif progress == "json":
        from harness.commands.event_lines import EventLines
        from harness.commands.watched import Watched

        with EventLines(facts) as writer:
            yield Watched(facts, writer.put)
    else:
        from harness.commands.live import Panel

        with Panel(facts) as drawn:
            yield drawn.watched


def announce(text: str, progress: str) -> None:
    """Say one line on stderr before a run starts, in the form in which its progress is shown."""
    if progress == "json":
        from harness.clock import now_s
        from harness.commands.event_lines import note

        click.echo(note(text, now_s()), err=True)
    else:
        from harness.report.escape import for_terminal

        click.echo(for_terminal(text), err=True)


def _spare_newer(path: Path) -> None:
    from harness.errors import NewerSchema, UsageError
    from harness.report.model import decode

    try:
        decode(path.read_bytes(), shown(path))
    except NewerSchema:
        raise
    except (OSError, UsageError):
        return  # none, or one that is damaged: it is written anew


def conclude(run: Run, style: str) -> int:
    """Judge the evidence, write report.json and report.html, print the result; return the exit code.

    `style` is one of harness.report.formats.FORMATS, of which "json" is report.json here. Raises NewerSchema
    where the report.json that is there was written by a newer version: it is left as it is.
    """
    from harness import verdict
    from harness.journal import write_atomically
    from harness.report.html_page import render_html
    from harness.report.model import encode
    from harness.report.text import print_report
    from harness.storage import writing

    _spare_newer(run.folder / "report.json")
    report = verdict.report(run)
    encoded = encode(report)
    with writing(run.folder):
        write_atomically(run.folder / "report.json", encoded)
        write_atomically(run.folder / "report.html", render_html(report).encode())
    if style == "json":
        click.echo(encoded, nl=False)
    elif style == "text":
        from harness.commands.screen import screen

        print_report(report, screen(), folder=shown(run.folder))
    else:
        from harness.report.formats import render
        from harness.report.from_run import result_of_run

        click.echo(render(result_of_run(report), style).encode(), nl=False)
    return report.exit_code


def shown(folder: Path) -> str:
    """Return a folder as a person here would name it."""
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)
