"""`order.blind`: no credited score depends on its target beyond the target's own probability.

At drawn positions a fresh process, replayed to just before the token, is asked for the whole distribution
(`predict`) before it has been shown the token. The entry of the true token must be what was credited. For a
scorer without `predict`, every token of the vocabulary is tried at the position instead, and the answers are
divided by their sum.

Does not catch: a peek at positions that were not drawn (the power says how rare it must be), and whatever the
two processes told each other: the sandbox's guarantees say how far that was possible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from checks.agreement import Gap, broken_off, judge, not_run, with_control
from checks.contract import Challenge, Finding, Tolerances

ID = "order.blind"
OWN = ("blind", "accept", "score")
"""Questions whose breach this check answers for; a refused replay leaves nothing to compare."""


def check(challenge: Challenge | None, control: Challenge | None, limits: Tolerances) -> Finding:
    """Compare blind answers with credited nats; see checks.agreement for the two arms."""
    if challenge is None:
        return not_run(ID, "there was no challenge: the run did not get there")
    planted = None if control is None else _judge(control, limits)
    return with_control(_judge(challenge, limits), planted)


def _judge(challenge: Challenge, limits: Tolerances) -> Finding:
    if challenge.breach is not None and challenge.breach.question in OWN:
        return broken_off(ID, challenge.breach)
    gaps = blind_gaps(challenge, limits)
    if not gaps:
        return not_run(ID, "no blind question was answered")
    finite = [gap.nats for gap in gaps if gap.answer is not None]
    what = (
        "before the token was shown"
        if challenge.has_predict
        else "(tried among the whole vocabulary)"
    )
    return judge(ID, gaps, finite, challenge, limits, what=what)


def blind_gaps(challenge: Challenge, limits: Tolerances) -> list[Gap]:
    """Return the comparisons: from `predict`, or from whole-vocabulary substitution without it.

    Substitution shows the scorer its target. What it would have said without is the nearest distribution, the
    answers divided by their sum: ln(sum) is then the gain.
    """
    if challenge.has_predict:
        return [
            Gap(
                position=a.position,
                credited=a.credited_nats,
                answer=None if a.blind_nats is None else a.blind_nats + _excess(a.log_sum, limits),
            )
            for a in challenge.blind
        ]
    return [
        Gap(
            position=a.position,
            credited=a.credited_nats,
            answer=a.nats[a.token] + _log_total(a.nats),
        )
        for a in challenge.target
        if a.whole_vocabulary
    ]


def _log_total(nats_V: Sequence[float]) -> float:
    """Return ln of the sum of the probabilities; finite even where each of them is too small to hold."""
    least = min(nats_V)
    return math.log(math.fsum(math.exp(least - nats) for nats in nats_V)) - least


def _excess(log_sum: float | None, limits: Tolerances) -> float:
    """Return ln(sum) where `norm.sum` lets it pass, so that two tolerances cannot be had one on the other.

    A row that is further off fails there, and is not held against the score here.
    """
    if log_sum is None or abs(math.expm1(log_sum)) > limits.sum_tolerance:
        return 0.0
    return log_sum
