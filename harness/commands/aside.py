"""Speaking from a thread of its own: a terminal or a pipe that nobody reads holds up nobody but that thread.

A write to a terminal that is stopped (Ctrl-S), or to a full pipe, blocks. The judge's thread only puts what
happened into a queue, which never blocks. When the run is over the judge waits for what is still to be said,
but not for ever; what is left is said before the process ends, when somebody reads.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Generic, Self, TextIO, TypeVar

from harness.clock import now_s

PATIENCE_S = 3.0
"""How long the end of a run waits for somebody to read."""

T = TypeVar("T")


class Aside(Generic[T]):
    """Says what it is told, in order, and has a turn in between; what it says is its subclasses' matter."""

    every_s = 3600.0
    """Seconds between two turns."""

    def __init__(self) -> None:
        """Say nothing before it is entered."""
        self._told: SimpleQueue[T | None] = SimpleQueue()
        # Not a daemon: the interpreter waits for it, so nothing is lost and no stream is torn from it.
        self._thread = Thread(target=self._work, name="progress")
        self.broken = False
        """Whether the run ended by an exception."""
        self.late = False
        """Whether the judge has gone on meanwhile, and may be writing to the same terminal."""

    def put(self, event: T) -> None:
        """Have something said; returns at once."""
        self._told.put(event)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until all is said, PATIENCE_S at most."""
        self.broken = kind is not None
        self._told.put(None)
        self._thread.join(PATIENCE_S)
        self.late = self._thread.is_alive()

    def _work(self) -> None:
        # A reader that is gone is no fault of the judge: nobody is told anything from then on.
        with contextlib.suppress(OSError), own_stderr() as stream:
            self._begin(stream)
            due_s = now_s() + self.every_s
            while True:
                try:
                    event = self._told.get(timeout=max(0.0, due_s - now_s()))
                except Empty:
                    self._turn()
                    due_s = now_s() + self.every_s
                    continue
                if event is None:
                    break
                self._say(event)
            self._end()

    def _begin(self, stream: TextIO) -> None:
        self._stream = stream

    def _say(self, event: T) -> None:
        raise NotImplementedError

    def _turn(self) -> None:
        """Do what is to be done every so often."""

    def _end(self) -> None:
        """Say the last thing."""

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class Speaker(Aside[str]):
    """Says lines."""

    def _say(self, event: str) -> None:
        self._line(event)


@contextlib.contextmanager
def own_stderr() -> Iterator[TextIO]:
    """Yield a stream to where stderr goes that shares no lock with the process's other writers.

    What cannot be written in its encoding appears as escapes. Where stderr is no file, it is yielded itself.
    """
    try:
        copied = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):
        yield sys.stderr
        return
    with os.fdopen(copied, "w", encoding=sys.stderr.encoding, errors="backslashreplace") as stream:
        yield stream
