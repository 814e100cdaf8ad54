"""The live view on a terminal: a panel that is redrawn in place, by a thread of its own.

The cursor is never hidden, so there is nothing to restore, however the judge ends. A terminal that does not
read (Ctrl-S) stops the drawing and nothing else.

Loads rich: import this module inside a function.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from checks.contract import Outcome
from harness.clock import now_s
from harness.commands import panel
from harness.commands.aside import Aside
from harness.commands.screen import plain
from harness.commands.show import describe
from harness.commands.watched import Ended, Event, Facts, Pace, Said, Watched
from harness.report.escape import for_terminal

EVERY_S = 0.2
"""Least time between two drawings: each keeps the interpreter, and so the judge, for half a millisecond."""


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:
        """Leave it as it is."""
        return False

    def on_broken_pipe(self) -> None:
        """Leave standard output alone, which rich would close."""
        raise BrokenPipeError


class _Drawn:
    """Lines that need no wrapping, which is most of what a rich.console.Group of them would take."""

    def __init__(self, lines: Sequence[Text]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._lines:
            yield from line.render(console, end="\n")


class Panel(Aside[Event]):
    """Draws what it watches, and above that what happens once and should stay: failures and remarks."""

    every_s = EVERY_S

    def __init__(self, facts: Facts) -> None:
        """Watch a run that starts now."""
        super().__init__()
        self.watched = Watched(facts, self.put)
        self._pace = Pace()
        self._drawn: list[Text] = []
        self._size: tuple[int, int] = (0, 0)
        self._waiting: list[str] = []

    def _begin(self, stream: TextIO) -> None:
        super()._begin(stream)
        self._console = _Console(
            file=stream,
            force_terminal=True,
            force_interactive=True,
            color_system=None if plain() else "auto",
        )
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()
        self._turn()

    def _say(self, event: Event) -> None:
        if isinstance(event, Said):
            self._waiting.append(for_terminal(event.text))
        elif isinstance(event, Ended) and event.time.outcome is not Outcome.DONE:
            self._waiting.append(describe(event.seed, event.time))

    def _turn(self) -> None:
        self._console.size = size = _size(self._stream)
        drawn = panel.lines(
            self.watched,
            now_s(),
            self._pace,
            width=size[0],
            rows=size[1],
            encoding=self._console.encoding,
        )
        if drawn == self._drawn and size == self._size and not self._waiting:
            return
        with self._console:  # one write
            self._go_back_over_wraps(size[0])
            self._live.update(_Drawn(drawn))
            for text in self._waiting:
                self._print(text)
            self._live.refresh()
        self._waiting, self._drawn, self._size = [], drawn, size

    def _go_back_over_wraps(self, width: int) -> None:
        """Erase what a terminal that has become narrower made of the lines beyond their number."""
        if width >= self._size[0]:
            return
        more = sum(max(0, -(-line.cell_len // width) - 1) for line in self._drawn)
        up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
        self._console.control(
            Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up * more)
        )

    def _end(self) -> None:
        """Take the panel away; leave it where the run was cut off, or where others write meanwhile."""
        self._live.transient = not (self.broken or self.late)
        if not self.late:
            said, self._waiting = self._waiting, []
            self._turn()
            self._waiting = said
        self._live.stop()
        for text in self._waiting:
            self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _size(stream: TextIO) -> tuple[int, int]:
    """Return columns and lines of the terminal that is drawn on: rich would ask COLUMNS and stdin first."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    return columns or 80, lines or 25  # a terminal may not know its size
