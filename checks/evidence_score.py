"""evidence.score: by its own log, evaluation took no longer than the budget.

The clock is the trainer's and leaves out loading, decompressing and compiling; `time.score` measures.

Does not catch: a clock that is stopped for part of the work.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.published import Published, Run, Value
from checks.published_limits import Limits

ID = "evidence.score"


def check(record: Published, limits: Limits) -> Finding:
    """Hold the longest logged evaluation, else the longest claimed one, against the budget.

    Of a run the stated total counts, else the time of its own score. `measured` and `limit` are seconds. A
    claimed time over the budget is a FAIL too: nobody claims more than it took. NOT-RUN: the non-record
    track, another number of GPUs, no time anywhere, or a claimed time within the budget alone.
    """
    logged = _longest(record)
    claim = _claimed(record)
    value = logged[0] if logged else claim.value if claim else None
    if record.track is not None and record.track.value == "non-record":
        words = "the non-record track has no limit of time"
        return _finding(Status.NOT_RUN, "not_applicable", words, value, limits)
    if value is None:
        words = "neither a log nor a claim states how long evaluation took"
        return _finding(Status.NOT_RUN, None, words, None, limits)
    outcome, says = "within", ""
    if logged:
        outcome = "over" if logged[0] > limits.score_s else "within"
        says = f"{logged[1].score.place}: evaluation took {logged[0]:.1f} s of {limits.score_s:g} s"
    if outcome == "within" and claim is not None and claim.value > limits.score_s:
        outcome, value, also = "over_by_json_only", claim.value, ""
        also = f"; the logs say {logged[0]:.1f} s" if logged else ""
        says = f"{_says(claim)}, of {limits.score_s:g} s{also}"
    elif not logged and claim is not None:
        words = f"{_says(claim)}; no log states it"
        return _finding(Status.NOT_RUN, None, words, value, limits)
    gpus = _gpus(record)
    if gpus is not None and gpus != limits.gpus:
        words = f"{says}, on {gpus} GPU{'s' * (gpus > 1)}; the limit is for {limits.gpus}"
        return _finding(Status.NOT_RUN, outcome, words, value, limits)
    status = Status.PASS if outcome == "within" else Status.FAIL
    return _finding(status, outcome, says, value, limits)


def _longest(record: Published) -> tuple[float, Run] | None:
    """Return the longest logged evaluation of the runs in seconds, and which it is."""
    took = [(seconds, run) for run in record.headline.runs if (seconds := _took_s(run)) is not None]
    return max(took, key=lambda pair: pair[0], default=None)


def _took_s(run: Run) -> float | None:
    if run.log.total_eval_s.value is not None:
        return run.log.total_eval_s.value
    return run.score.eval_ms / 1e3 if run.score.eval_ms is not None else None


def _claimed(record: Published) -> Value[float] | None:
    """Return the longest claimed evaluation."""
    claims = record.usable.eval_s if record.usable else ()
    return max(claims, key=lambda value: value.value, default=None)


def _says(claim: Value[float]) -> str:
    return f"{claim.place} claims {claim.value:g} s of evaluation ({claim.words})"


def _gpus(record: Published) -> int | None:
    """Return the one number of GPUs that all runs state, or None."""
    ranks = {run.ranks.value for run in record.headline.runs}
    return ranks.pop() if len(ranks) == 1 else None


def _finding(
    status: Status, outcome: str | None, message: str, value: float | None, limits: Limits
) -> Finding:
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=value,
        limit=limits.score_s,
        unit="s",
        evidence={"outcome": outcome},
    )
