"""The judge's clock: CLOCK_MONOTONIC, read here and nowhere else.

A step of the wall clock changes nothing. The date in a report is for people and comes from `utc_now`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_s() -> float:
    """Return CLOCK_MONOTONIC in seconds; comparable between processes of one machine."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def sleep(duration_s: float) -> None:
    """Sleep for at least `duration_s` seconds."""
    time.sleep(duration_s)


def utc_now() -> str:
    """Return the date and time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Deadline:
    """An instant that does not move once it is set."""

    def __init__(self, in_s: float) -> None:
        """Set the deadline `in_s` seconds from now."""
        self.at_s = now_s() + in_s

    @property
    def remaining_s(self) -> float:
        """Return the seconds left; negative once it has passed."""
        return self.at_s - now_s()

    @property
    def passed(self) -> bool:
        """Return whether the deadline has been reached."""
        return self.remaining_s <= 0


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._from_s = now_s()

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the start."""
        return now_s() - self._from_s
