"""`order.future`: no credited score depends on a later token.

A drawn block is scored again by the challenge process with everything after a drawn position exchanged for
earlier tokens. The nats up to and including that position must be what was credited. Across blocks the order
holds by construction: a block is sent only after the one before it was credited.

Does not catch: a look at the next token alone that gains less than the hard tolerance at each position (only
the last compared position sees the exchange); `order.blind` bounds that in the mean.
"""

from __future__ import annotations

import math

from checks.agreement import Gap, broken_off, judge, not_run, with_control
from checks.contract import Challenge, Finding, Status, Tolerances

ID = "order.future"


def check(challenge: Challenge | None, control: Challenge | None, limits: Tolerances) -> Finding:
    """Compare the nats of blocks with an exchanged future with credited nats."""
    if challenge is None:
        return not_run(ID, "there was no challenge: the run did not get there")
    if challenge.block_tokens == 1 and challenge.breach is None:
        return Finding(
            id=ID,
            status=Status.PASS,
            message="blocks of one token: no later token was ever in reach",
            evidence={"block_tokens": 1},
        )
    planted = None if control is None else _judge(control, limits)
    return with_control(_judge(challenge, limits), planted)


def _judge(challenge: Challenge, limits: Tolerances) -> Finding:
    if challenge.breach is not None and challenge.breach.question == "future":
        return broken_off(ID, challenge.breach)
    if not challenge.future:
        return not_run(ID, "no question with an exchanged future was answered")
    gaps = [
        Gap(
            position=answer.worst_position,
            credited=answer.worst_credited_nats,
            answer=answer.worst_credited_nats + answer.worst_gap_nats,
        )
        for answer in challenge.future
    ]
    return judge(
        ID, gaps, token_means(challenge), challenge, limits, what="with other tokens after it"
    )


def token_means(challenge: Challenge) -> list[float]:
    """Return one value a question whose mean is the gap per compared token, in nats.

    A question compares as many tokens as its position is deep in its block, and a mean of few is noisy.
    The values are those of a linearised ratio estimator (Cochran, Sampling Techniques, section 6.4): their
    deviation is what the weighted mean's uncertainty follows from.
    """
    counted = [(a.position - a.first + 1, a.mean_gap_nats) for a in challenge.future]
    total = sum(count for count, _ in counted)
    mean = math.fsum(count * gap for count, gap in counted) / total
    return [mean + count * len(counted) / total * (gap - mean) for count, gap in counted]
