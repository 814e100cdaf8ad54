"""What happens in a run as JSON, one object a line: for CI and dashboards. docs/terminal.md has the keys.

Names, messages and remarks may be worded by the submission: they are made harmless as for a terminal, since a
log is one. There is no NaN and no infinity; what is not known is null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TextIO

from harness.clock import now_s
from harness.commands.aside import Aside
from harness.commands.watched import Began, Doing, Ended, Event, Facts, Pace
from harness.report.escape import for_terminal

if TYPE_CHECKING:
    from harness.challenge import Questions

SCHEMA = 1
EVERY_S = 2.0
"""Least time between two `progress` lines."""


def line(event: str, at_s: float, **facts: Any) -> str:
    """Return one event as a line, without its end."""
    head = {"schema": SCHEMA, "event": event, "at_s": round(at_s, 3)}
    return json.dumps({**head, **facts}, allow_nan=False)


def note(text: str, at_s: float) -> str:
    """Return a remark as a line."""
    return line("note", at_s, text=for_terminal(text))


class EventLines(Aside[Event]):
    """Writes a line for each event, and now and then how far the phase is."""

    every_s = EVERY_S

    def __init__(self, facts: Facts) -> None:
        """Write of one run."""
        super().__init__()
        self._facts = facts
        self._pace = Pace()
        # Of the last event that was written, not of the moment: `progress` lies between its phase's events.
        self._doing: Doing | None = None
        self._progress_s = 0.0

    def _begin(self, stream: TextIO) -> None:
        super()._begin(stream)
        facts, goal = self._facts, self._facts.goal
        self._line(
            line(
                "run",
                now_s(),
                run_id=facts.run_id,
                folder=facts.folder,
                submission=for_terminal(facts.name),
                ruleset=for_terminal(facts.ruleset),
                seeds=facts.seeds,
                finished_phases={
                    str(seed): [time.phase for time in facts.times.get(seed, ())]
                    for seed in facts.seeds
                },
                baseline_nats_per_token=goal and goal.baseline_nats,
                target_nats_per_token=goal and goal.target_nats,
            )
        )

    def _say(self, event: Event) -> None:
        if isinstance(event, Began):
            self._doing = doing = event.doing
            self._progress_s = event.at_s
            self._line(line("phase", event.at_s, **_which(doing)))
        elif isinstance(event, Ended):
            self._doing = None
            self._line(line("ended", event.at_s, **_ended(event)))
        else:
            self._line(note(event.text, event.at_s))

    def _turn(self) -> None:
        doing, at_s = self._doing, now_s()
        if doing is not None and at_s - self._progress_s >= EVERY_S:
            self._progress_s = at_s
            self._line(line("progress", at_s, **progress(doing, at_s, self._pace)))

    def _end(self) -> None:
        self._line(line("over", now_s(), interrupted=self.broken))


def progress(doing: Doing, at_s: float, pace: Pace) -> dict[str, Any]:
    """Return how far a phase is, with a key for everything that any phase has."""
    per_s, used_s = pace.look(doing, at_s), doing.used_s(at_s)
    return {
        **_which(doing),
        "used_s": round(used_s, 3),
        "left_s": round(doing.budget_s - used_s, 3),
        "clock_runs": not doing.stands,
        "tokens": doing.done if doing.total else None,
        "total_tokens": doing.total or None,
        "tokens_per_s": per_s and round(per_s, 1),
        "eta_s": per_s and round((doing.total - doing.done) / per_s, 1),
        "nats_per_token": doing.nats_per_token,
        **_questions(doing.questions),
    }


def _which(doing: Doing) -> dict[str, Any]:
    return {"seed": doing.seed, "phase": doing.phase, "budget_s": doing.budget_s}


def _ended(event: Ended) -> dict[str, Any]:
    time, doing = event.time, event.doing
    return {
        "seed": event.seed,
        "phase": time.phase,
        "budget_s": time.budget_s,
        "grace_s": time.grace_s,
        "wall_s": time.wall_s,
        "outcome": str(time.outcome),
        "detail": for_terminal(time.detail),
        "peak_rss_mb": time.peak_rss_mb,
        "tokens": doing.done if doing and doing.total else None,
        "total_tokens": (doing.total or None) if doing else None,
        "nats_per_token": doing.nats_per_token if doing else None,
        **_questions(doing.questions if doing else None),
    }


def _questions(asked: Questions | None) -> dict[str, Any]:
    return {
        "round": asked and asked.round,
        "planned": asked and dict(asked.planned),
        "answered": asked and dict(asked.answered),
        "worst_gap_nats": asked and asked.worst_gap_nats,
    }
