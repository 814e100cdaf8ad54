"""claims.score: the claimed bits per byte are those of the logs.

Does not catch: logs that were forged together with the claim. Only a rerun tells (`repro.score`).
"""

from __future__ import annotations

from collections.abc import Sequence

from checks.contract import Finding, Status
from checks.published import Claims, Log, Published, Value, mean, slack

ID = "claims.score"


def check(record: Published) -> Finding:
    """Compare the claim with the mean of the runs that it was found to be made of.

    `measured` is the mean of the logs, `limit` the claim, in bits per byte. FAIL: the logs say something
    else, and the message what. NOT-RUN: no claim, no log, or no score in the logs.
    """
    claims, headline = record.usable, record.headline
    claim = claims.val_bpb.best if claims else None
    if claims is None or claim is None:
        return _nothing_claimed(record.claims)
    value = mean([run.score.val_bpb for run in headline.runs])
    if value is None:
        outcome = "no_metric_in_logs" if record.logs else "no_log"
        why = "no log states a final score" if record.logs else "there is no log"
        words = f"{claim.value:g} is claimed ({claim.place}) and {why}"
        return _finding(Status.NOT_RUN, outcome, words, limit=claim.value)
    number = len(headline.runs)
    says = (
        f"{claim.place} claims {claim.value:.{min(claims.bpb_digits, 12)}f}; the logs' mean is "
        f"{value:.8f} ({headline.name}, {number} log{'s' * (number > 1)})"
    )
    if headline.reproduces:
        return _finding(Status.PASS, "agree", says, value, claim.value)
    outcome, words = _difference(record, claim, slack(claims.bpb_digits))
    said = f"{says}; {words}" if words else says
    return _finding(Status.FAIL, outcome, said, value, claim.value)


def _nothing_claimed(claims: Claims | None) -> Finding:
    if claims is None or claims.mended:
        outcome = "json_unreadable" if claims else "no_claim"
        words = "there is no submission.json that JSON allows, so no claim to compare"
        return _finding(Status.NOT_RUN, outcome, words)
    return _finding(Status.NOT_RUN, "no_claim", f"{claims.file} claims no bits per byte")


def _difference(record: Published, claim: Value[float], tolerance: float) -> tuple[str, str]:
    """Return what a claim is that the logs do not give, as outcome and in words."""
    middle = _in_training(record.logs, claim.value, tolerance)
    if middle:
        words = f"the claim is a line from the middle of training ({middle})"
        return "claim_is_not_the_artifact_score", words
    runs = record.headline.runs
    loss = mean([run.score.val_loss for run in runs])
    if loss is not None and abs(loss - claim.value) <= tolerance:
        return "agree_wrong_field", "the claim is the loss in nats per token"
    own = [run.score.val_bpb for run in runs]
    final = own + [s.val_bpb for log in record.logs for s in log.scores if not s.validation]
    if claim.value < min(final) - tolerance:
        words = f"better than every score of every log (best: {min(final):.8f})"
        return "json_better_than_every_log", words
    if claim.value > max(own) + tolerance:
        return "json_worse_than_the_logs", "worse than what the logs show"
    if claim.value < min(own) - tolerance:
        words = f"better than each of these logs (best: {min(own):.8f})"
        return "json_better_than_every_log", words
    return "differs", ""


def _in_training(logs: Sequence[Log], claim: float, tolerance: float) -> str:
    """Return the place of a validation line in the middle of training that gives the claim, or ""."""
    for log in logs:
        for score in log.scores:
            if score.validation and abs(score.val_bpb - claim) <= tolerance / 2:
                return score.place
    return ""


def _finding(
    status: Status,
    outcome: str,
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
        unit="bits/byte",
        evidence={"outcome": outcome},
    )
