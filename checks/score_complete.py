"""score.complete: every position of the stream was credited exactly once, in order.

The judge holds the tokens, asks block after block and adds up the answers itself, so a position cannot be
credited twice. What can be missing is an answer, or an answer that is a number of nats.

Does not catch: answers that are finite, in range and untrue; the challenges are for those.
"""

from __future__ import annotations

import math
from typing import Any

from checks.contract import Breach, Credited, Finding, Status

ID = "score.complete"


def check(credited: Credited | None) -> Finding:
    """Say whether the credited pass answered for all of its tokens.

    A breach of the protocol is a FAIL that names its frame and, where there is one, its position; a pass
    that the clock ended is NOT-RUN, since `time.score` says so. More tokens than were asked for, or a sum
    that is no number of nats, is a fault of the judge: ERROR.
    """
    if credited is None:
        return Finding(
            id=ID, status=Status.NOT_RUN, message="no credited pass: scoring was not reached"
        )
    status, message = _judge(credited)
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=credited.credited_tokens,
        limit=credited.expected_tokens,
        unit="tokens",
        evidence=_evidence(credited),
    )


def _judge(credited: Credited) -> tuple[Status, str]:
    done, asked = credited.credited_tokens, credited.expected_tokens
    so_far = f"{done:,} of {asked:,} tokens credited"
    if credited.breach is not None:
        return Status.FAIL, f"{credited.breach.message} ({_place(credited.breach)}); {so_far}"
    if credited.ended_by_clock:
        return Status.NOT_RUN, f"the clock ended the pass with {so_far}; see time.score"
    if asked <= 0:
        return Status.NOT_RUN, "the stream has no position to credit"
    if done < asked:
        return Status.FAIL, f"{so_far}; the rest were never answered for"
    if done > asked:
        return Status.ERROR, f"the judge credited more than it asked for: {so_far}"
    if not math.isfinite(credited.sum_nats) or credited.sum_nats < 0:
        return (
            Status.ERROR,
            f"the judge's own sum is {credited.sum_nats}, which is no number of nats",
        )
    return Status.PASS, f"all {asked:,} positions credited once, in order"


def _place(breach: Breach) -> str:
    position = "" if breach.position is None else f"position {breach.position}, "
    return f"{position}after {breach.frame:,} frames"


def _evidence(credited: Credited) -> dict[str, Any]:
    breach = credited.breach
    finite = math.isfinite(credited.sum_nats)
    return {
        "expected_tokens": credited.expected_tokens,
        "credited_tokens": credited.credited_tokens,
        "sum_nats": credited.sum_nats if finite else None,
        "ended_by_clock": credited.ended_by_clock,
        "breach": None
        if breach is None
        else {
            "kind": breach.kind,
            "message": breach.message,
            "frame": breach.frame,
            "position": breach.position,
            "question": breach.question,
        },
    }
