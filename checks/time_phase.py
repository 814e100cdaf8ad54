"""time.setup, time.train, time.load, time.score: the phase did what it asks within its budget.

The clock is the judge's. The limit is budget plus grace, both from the ruleset, and it is strict: a
millisecond over is a FAIL. What the submission says of its own time is not read.

Does not catch: work that was moved to a phase with another budget, a host that is slower or faster than the
contest's own, or computation that the phase caused on another machine.
"""

from __future__ import annotations

from typing import Any

from checks.contract import Finding, Outcome, PhaseTime, Status

PHASES = ("setup", "train", "load", "score")
"""The phases that a rule times; sealing and challenges are the judge's own time."""


def check(time: PhaseTime) -> Finding:
    """Say whether one phase ended within budget + grace, in seconds of CLOCK_MONOTONIC.

    A session that broke off before the limit leaves `time.score` with nothing to judge: NOT-RUN, since
    `score.complete` names the fault. Raises ValueError for a phase that no rule times.
    """
    if time.phase not in PHASES:
        raise ValueError(f"no rule times the phase {time.phase!r}; known are {', '.join(PHASES)}")
    limit_s = time.budget_s + time.grace_s
    status, message = _judge(time, limit_s)
    started = time.outcome is not Outcome.NOT_STARTED
    return Finding(
        id=f"time.{time.phase}",
        status=status,
        message=message,
        measured=time.wall_s if started else None,
        limit=limit_s,
        unit="s",
        evidence=_evidence(time, limit_s),
    )


def _judge(time: PhaseTime, limit_s: float) -> tuple[Status, str]:
    took = f"{time.wall_s:.3f} s of {_limit(time)}"
    detail = f": {time.detail}" if time.detail else ""
    over = time.wall_s > limit_s
    if time.outcome is Outcome.NOT_STARTED:
        return (
            Status.NOT_RUN,
            f"{time.phase} was not started{detail or ': the run did not get there'}",
        )
    if time.outcome is Outcome.DEADLINE or over:
        excess = f", {_milliseconds(time.wall_s - limit_s)} over" if over else ""
        killed = "; the clock ended it" if time.outcome is Outcome.DEADLINE else ""
        return Status.FAIL, f"{time.phase} took {took}{excess}{killed}{detail}"
    if time.outcome is Outcome.DONE:
        return Status.PASS, f"{time.phase} took {took}"
    if time.phase == "score":
        return Status.NOT_RUN, f"the session ended early, at {took}; see score.complete"
    how = "broke the protocol" if time.outcome is Outcome.BREACH else "ended"
    return Status.FAIL, f"{time.phase} {how} at {took} without doing what the phase asks{detail}"


def _limit(time: PhaseTime) -> str:
    return f"{time.budget_s:g} s" + (f" + {time.grace_s:g} s grace" if time.grace_s else "")


def _milliseconds(seconds: float) -> str:
    ms = seconds * 1e3
    # Significant digits keep a tiny excess from being printed as "0 ms over".
    return f"{ms:,.0f} ms" if ms >= 10 else f"{ms:.3g} ms"


def _evidence(time: PhaseTime, limit_s: float) -> dict[str, Any]:
    return {
        "outcome": str(time.outcome),
        "detail": time.detail,
        "budget_s": time.budget_s,
        "grace_s": time.grace_s,
        "excess_s": max(0.0, time.wall_s - limit_s),
        "peak_rss_mb": time.peak_rss_mb,
    }
