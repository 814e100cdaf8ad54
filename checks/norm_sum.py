"""`norm.sum`: at drawn positions the probabilities of the whole vocabulary sum to one.

The judge adds up, in float64, the row that `predict` answered; for a scorer without `predict`, the answers to
every token of the vocabulary tried in turn.

Does not catch: a credited score that is not an entry of the row that sums to one; `order.blind` and
`norm.target` compare them.
"""

from __future__ import annotations

import math

from checks.agreement import not_run, power, with_control
from checks.contract import Challenge, Finding, Status, Tolerances

ID = "norm.sum"


def check(challenge: Challenge | None, control: Challenge | None, limits: Tolerances) -> Finding:
    """Compare sums over the vocabulary with 1; measured is the largest distance from 1."""
    if challenge is None:
        return not_run(ID, "there was no challenge: the run did not get there")
    planted = None if control is None else _judge(control, limits)
    return with_control(_judge(challenge, limits), planted)


def _judge(challenge: Challenge, limits: Tolerances) -> Finding:
    sums = vocabulary_sums(challenge)
    if not sums:
        return not_run(ID, "no distribution was answered")
    position, worst = max(sums, key=lambda entry: abs(entry[1] - 1.0))
    off = sum(abs(total - 1.0) > limits.sum_tolerance for _, total in sums)
    if off:
        status = Status.FAIL
        message = (
            f"position {position}: the probabilities of the vocabulary sum to {worst:.6g}, not 1 "
            f"(tolerance {limits.sum_tolerance:.2g}); {off} of {len(sums)} positions are off"
        )
    else:
        status = Status.PASS
        message = f"{len(sums)} distributions sum to 1 within {abs(worst - 1.0):.1e}"
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=abs(worst - 1.0),
        limit=limits.sum_tolerance,
        unit="|sum - 1|",
        evidence={
            "positions": len(sums),
            "off": off,
            "worst_position": position,
            "worst_sum": worst,
        },
        power=power(len(sums), limits.confidence),
    )


def vocabulary_sums(challenge: Challenge) -> list[tuple[int, float]]:
    """Return (position, sum of probabilities), sums held at the largest finite float."""
    if challenge.has_predict:
        return [
            (a.position, 0.0 if a.log_sum is None else math.exp(min(a.log_sum, 700.0)))
            for a in challenge.blind
        ]
    return [
        (a.position, math.fsum(math.exp(-nats) for nats in a.nats))
        for a in challenge.target
        if a.whole_vocabulary
    ]
