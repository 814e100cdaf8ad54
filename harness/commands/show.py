"""What a person sees of a run: progress while it works, then the verdict.

On a terminal a live line with a bar; elsewhere one plain line a phase. Both on stderr, so that standard
output holds the result alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from checks.contract import Outcome, PhaseTime

if TYPE_CHECKING:
    from rich.progress import Progress

    from harness.launch import Listener
    from harness.run import Run


class Quiet:
    """Watches and says nothing."""

    def phase(self, seed: int, phase: str, budget_s: float) -> None:
        """Ignore the start of a phase."""

    def progress(self, done: int, total: int, note: str) -> None:
        """Ignore progress."""

    def ended(self, seed: int, time: PhaseTime) -> None:
        """Ignore the end of a phase."""

    def note(self, text: str) -> None:
        """Ignore a remark."""


class Lines(Quiet):
    """One line a phase, for logs and pipes."""

    def ended(self, seed: int, time: PhaseTime) -> None:
        """Say how a phase went."""
        click.echo(describe(seed, time), err=True)

    def note(self, text: str) -> None:
        """Say one line."""
        click.echo(text, err=True)


class Live(Lines):
    """A bar on a terminal, with the finished phases above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: Any = None

    def phase(self, seed: int, phase: str, budget_s: float) -> None:
        """Start a bar for the phase."""
        self._clear()
        self._task = self._progress.add_task(
            f"seed {seed} · {phase}", total=None, note=f"budget {budget_s:g} s"
        )

    def progress(self, done: int, total: int, note: str) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total, note=note)

    def ended(self, seed: int, time: PhaseTime) -> None:
        """Replace the bar by a line."""
        self._clear()
        self._progress.console.print(
            describe(seed, time), markup=False, highlight=False, soft_wrap=True
        )

    def note(self, text: str) -> None:
        """Say one line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _clear(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


def describe(seed: int, time: PhaseTime) -> str:
    """Return one line on a phase that is over; its detail may be a submission's words, made harmless."""
    from harness.report.escape import for_terminal

    line = f"seed {seed}  {time.phase:<9} {time.wall_s:8.2f} s of {time.budget_s:g} s"
    if time.outcome is Outcome.DONE:
        return line
    return f"{line}  {time.outcome}" + (f": {for_terminal(time.detail)}" if time.detail else "")


@contextmanager
def listener(seeds: int, *, quiet: bool) -> Iterator[Listener]:
    """Yield what fits where stderr goes: a live bar on a terminal, lines elsewhere, or nothing."""
    if quiet:
        yield Quiet()
        return
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        yield Live(progress)


def conclude(run: Run, *, as_json: bool) -> int:
    """Judge the evidence, write report.json and report.html, print the result; return the exit code."""
    from harness import verdict
    from harness.journal import write_atomically
    from harness.report.html_page import render_html
    from harness.report.model import encode
    from harness.report.text import print_report
    from harness.storage import writing

    report = verdict.report(run)
    encoded = encode(report)
    with writing(run.folder):
        write_atomically(run.folder / "report.json", encoded)
        write_atomically(run.folder / "report.html", render_html(report).encode())
    if as_json:
        click.echo(encoded, nl=False)
    else:
        from rich.console import Console

        print_report(report, Console(), folder=shown(run.folder))
    return report.exit_code


def shown(folder: Path) -> str:
    """Return a folder as a person here would name it."""
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)
