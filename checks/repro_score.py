"""`repro.score`: scoring the same artifact again, in a fresh process, gives the same nats.

Drawn blocks are scored again exactly as they were credited, after every other question about them. The
largest gap is this machine's and this scorer's noise; it calibrates the hard arm of the other challenge
checks, which is why it may not grow beyond the ruleset's cap.

Does not catch: noise between machines, or between two trainings with one seed.
"""

from __future__ import annotations

from checks.agreement import broken_off, not_run
from checks.contract import Challenge, Finding, Status, Tolerances

ID = "repro.score"


def check(challenge: Challenge | None, limits: Tolerances) -> Finding:
    """Compare repeated blocks with their credited nats; measured is the largest absolute gap."""
    if challenge is None:
        return not_run(ID, "there was no challenge: the run did not get there")
    if challenge.breach is not None and challenge.breach.question == "repeat":
        return broken_off(ID, challenge.breach)
    if not challenge.repeat:
        return not_run(ID, "no block was scored again")
    worst = max(challenge.repeat, key=lambda answer: answer.max_abs_gap_nats)
    tokens = sum(answer.tokens for answer in challenge.repeat)
    noisy = worst.max_abs_gap_nats > limits.cap_nats
    found = (
        f"position {worst.worst_position}: scored again, the same token of the same artifact differs by "
        f"{worst.max_abs_gap_nats:.3g} nats"
        if noisy
        else f"{tokens} tokens scored again differ by at most {worst.max_abs_gap_nats:.2g} nats"
    )
    return Finding(
        id=ID,
        status=Status.FAIL if noisy else Status.PASS,
        message=found,
        measured=worst.max_abs_gap_nats,
        limit=limits.cap_nats,
        unit="nats",
        evidence={
            "blocks": len(challenge.repeat),
            "tokens": tokens,
            "mean_gap_nats": [answer.mean_gap_nats for answer in challenge.repeat],
        },
    )
