"""Nobody who watches: for trials of which only the result is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checks.contract import PhaseTime

if TYPE_CHECKING:
    from harness.challenge import Questions


class Silent:
    """Watches and says nothing (harness.launch.Listener)."""

    def phase(self, seed: int, phase: str, budget_s: float) -> None:
        """Ignore the start of a phase."""

    def clock(self, *, runs: bool) -> None:
        """Ignore whether the clock runs."""

    def progress(
        self,
        done: int,
        total: int,
        *,
        nats_per_token: float | None = None,
        questions: Questions | None = None,
    ) -> None:
        """Ignore progress."""

    def ended(self, seed: int, time: PhaseTime) -> None:
        """Ignore the end of a phase."""

    def note(self, text: str) -> None:
        """Ignore a remark."""
