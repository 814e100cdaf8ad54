"""claims.loss: the claimed nats per token are those of the score that is claimed in bits per byte.

A pair of two different scores looks like one: PR #1302's `val_loss` is without its n-gram part, its `val_bpb`
with it. Does not catch: a pair that is consistent and wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from checks.contract import Finding, Status
from checks.published import Claims, Published, Value, bytes_per_token, mean, slack

ID = "claims.loss"


def check(record: Published) -> Finding:
    """Compare the claimed loss with the mean of the runs behind the claimed bits per byte.

    `measured` is the logs' mean, `limit` the claim, in nats per token. A claim that is the bits per byte in
    nats, per byte, agrees too, and the message says so. FAIL: it is the loss of another score of the same
    logs (the message names it), or of none. NOT-RUN: no claim, no logged loss, or a loss that the
    logs give beside bits per byte that they do not give: that is `claims.score`'s to say.
    """
    claims = record.usable
    claim = claims.val_loss.best if claims else None
    if claims is None or claim is None:
        return _finding(Status.NOT_RUN, None, "no loss in nats is read from submission.json")
    says, tolerance = _said(claims, claim), slack(claims.loss_digits)
    value = mean([run.score.val_loss for run in record.headline.runs])
    if value is not None and abs(value - claim.value) <= tolerance:
        if record.headline.reproduces is False:
            words = f"{says}; that is the mean of {record.headline.name}"
            words += ", whose bits per byte are not the claimed ones"
            return _finding(Status.NOT_RUN, "is_another_metric", words, value, claim.value)
        words = f"{says}; the logs' mean is {value:.8f}"
        return _finding(Status.PASS, "agree", words, value, claim.value)
    per_byte = _per_byte(record)
    if per_byte is not None and abs(per_byte - claim.value) <= tolerance:
        words = f"{says}; that is the bits per byte in nats per byte ({per_byte:.8f})"
        return _finding(Status.PASS, "agree", words, per_byte, claim.value)
    for name, other in _other_scores(record):
        if abs(other - claim.value) <= max(tolerance, 1e-5):
            words = (
                f"{says}; that is the mean of {name} ({other:.8f}), another score than the one claimed "
                f"in bits per byte ({record.headline.name})"
            )
            return _finding(Status.FAIL, "is_another_metric", words, other, claim.value)
    if value is None:
        words = f"{says}; no loss of {record.headline.name or 'any score'} is read from the logs"
        return _finding(Status.NOT_RUN, None, words, limit=claim.value)
    words = f"{says}; the logs' mean is {value:.8f}"
    return _finding(Status.FAIL, "differs", words, value, claim.value)


def _said(claims: Claims, claim: Value[float]) -> str:
    says = f"{claim.place} claims {claim.value:.{min(claims.loss_digits, 12)}f}"
    pair = bytes_per_token(claim.value, claims.val_bpb.value)
    return says + (f" (with the claimed bits per byte: {pair:.4f} bytes a token)" if pair else "")


def _per_byte(record: Published) -> float | None:
    """Return the mean of the runs that give the claimed bits per byte, in nats per byte."""
    value = mean([run.score.val_bpb for run in record.headline.runs])
    return None if value is None or not record.headline.reproduces else value * math.log(2)


def _other_scores(record: Published) -> Iterator[tuple[str, float]]:
    """Yield the mean loss of each other score that all logs of the runs state, joined logs included."""
    by_name = {log.name: log.scores for log in record.logs}
    of_run = [
        {
            score.name: score.val_loss
            for name in (run.log.name, *run.joined)
            for score in by_name.get(name, ())
            if not score.validation
        }
        for run in record.headline.runs
    ]
    for name in of_run[0] if of_run else ():
        value = mean([scores.get(name) for scores in of_run])
        if value is not None and name != record.headline.name:
            yield name, value


def _finding(
    status: Status,
    outcome: str | None,
    message: str,
    measured: float | None = None,
    limit: float | None = None,
) -> Finding:
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=measured,
        limit=limit,
        unit="nats/token",
        evidence={"outcome": outcome},
    )
