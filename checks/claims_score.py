"""claims.score: the claimed bits per byte are those of the logs.

Does not catch: logs that were forged together with the claim. Only a rerun tells (`repro.score`).
"""

from __future__ import annotations

from collections.abc import Sequence

from checks.contract import Finding, Status
from checks.published import Claims, Log, Published, Value, mean, others, slack
from checks.score_names import is_before_quantising, is_final

ID = "claims.score"


def check(record: Published) -> Finding:
    """Compare the claim with the mean of the runs that it was found to be made of.

    `measured` is the mean of the logs, `limit` the claim, in bits per byte. FAIL: the logs say something
    else, and the message what; or the claim is their score from before quantising, and every final one is
    worse. NOT-RUN: no claim that JSON allows, no log, or no score that is read from them as a final one.
    """
    claims, headline = record.usable, record.headline
    claim = claims.val_bpb.best if claims else None
    if claims is None or claim is None:
        return _nothing_claimed(record.claims)
    value = mean([run.score.val_bpb for run in headline.runs])
    if value is None:
        outcome = "no_metric_in_logs" if record.logs else "no_log"
        why = "no final score is read from the logs" if record.logs else "there is no log"
        words = f"{claim.value:g} is claimed ({claim.place}) and {why}"
        return _finding(Status.NOT_RUN, outcome, words, limit=claim.value)
    number = len(headline.runs)
    says = (
        f"{claim.place} claims {claim.value:.{min(claims.bpb_digits, 12)}f}; the logs' mean is "
        f"{value:.8f} ({headline.name}, {number} log{'s' * (number > 1)}){others(claims.val_bpb)}"
    )
    later = _later(record, slack(claims.bpb_digits)) if headline.reproduces else None
    if later is not None:
        final, name = later
        says += "; that is a score from before quantising, and the same logs state "
        says += f"{final:.8f} ({name})"
        if value < final:
            outcome = "claim_is_not_the_artifact_score"
            return _finding(Status.FAIL, outcome, says, value, claim.value)
    if headline.reproduces:
        return _finding(Status.PASS, "agree", says, value, claim.value)
    outcome, words = _difference(record, claim, slack(claims.bpb_digits))
    said = f"{says}; {words}" if words else says
    return _finding(Status.FAIL, outcome, said, value, claim.value)


def _nothing_claimed(claims: Claims | None) -> Finding:
    if claims is None or claims.mended:
        outcome = "json_unreadable" if claims else "no_claim"
        words = "no submission.json that JSON allows was read, so there is no claim to compare"
        return _finding(Status.NOT_RUN, outcome, words)
    return _finding(Status.NOT_RUN, "no_claim", f"no bits per byte are read from {claims.file}")


def _later(record: Published, tolerance: float) -> tuple[float, str] | None:
    """Return the best final score of the logs whose score from before quantising is the claim, and its name.

    None where one of them states no final score, and where a final one gives the claim as well.
    """
    runs = record.headline.runs
    if not runs or not all(is_before_quantising(run.score.name) for run in runs):
        return None
    by_name = {log.name: log.scores for log in record.logs}
    finals = [
        {
            score.name: score.val_bpb
            for name in (*run.joined, run.log.name)
            for score in by_name.get(name, ())
            if is_final(score)
        }
        for run in runs
    ]
    means = [(mean([final.get(name) for final in finals]), name) for name in finals[0]]
    known = [(value, name) for value, name in means if value is not None]
    claimed = mean([run.score.val_bpb for run in runs]) or 0.0
    if any(abs(value - claimed) <= tolerance for value, _ in known):
        return None
    return min(known, default=None)


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
