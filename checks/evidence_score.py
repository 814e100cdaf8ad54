"""evidence.score: by its own log, evaluation took no longer than the budget.

The clock is the trainer's and leaves out loading, decompressing and compiling; `time.score` measures.

Does not catch: a clock that is stopped for part of the work.
"""

from __future__ import annotations

from dataclasses import dataclass

from checks.contract import Finding, Status
from checks.published import Published, Run, Value, one_side, other_gpus, several
from checks.published_limits import Limits

ID = "evidence.score"


@dataclass(frozen=True, slots=True)
class _Took:
    """How long the evaluation of a run took in seconds, where that stands, and what else it may have been."""

    seconds: float
    place: str
    every: tuple[float, ...]


def check(record: Published, limits: Limits) -> Finding:
    """Hold the longest logged evaluation, else the longest claimed one, against the budget.

    Of a run's stated total and the time of its own score the longer counts. `measured` and `limit` are
    seconds. A claimed time over the budget is a FAIL too: nobody claims more than it took. NOT-RUN: the
    non-record track, another number of GPUs, no time anywhere, a claimed time within the budget alone, or
    several totals of one log on both sides of it.
    """
    logged = _longest(record, limits)
    claim = _claimed(record)
    value = logged.seconds if logged else claim.value if claim else None
    if record.track is not None and record.track.value == "non-record":
        words = "the non-record track has no limit of time"
        return _finding(Status.NOT_RUN, "not_applicable", words, value, limits)
    if value is None:
        words = "no time of evaluation is read from logs or claims"
        return _finding(Status.NOT_RUN, None, words, None, limits)
    outcome, says, unsettled = "within", "", False
    if logged:
        outcome = "over" if logged.seconds > limits.score_s else "within"
        says = f"{logged.place}: evaluation took {logged.seconds:.1f} s of {limits.score_s:g} s"
        unsettled = one_side(logged.every, limits.score_s) is None
    if outcome == "within" and claim is not None and claim.value > limits.score_s:
        outcome, value, unsettled = "over_by_json_only", claim.value, False
        also = f"; the logs say {logged.seconds:.1f} s" if logged else ""
        says = f"{_says(claim)}, of {limits.score_s:g} s{also}"
    elif not logged and claim is not None:
        words = f"{_says(claim)}; no log states it"
        return _finding(Status.NOT_RUN, None, words, value, limits)
    gpus = other_gpus(record.headline.runs, limits.gpus)
    if gpus:
        words = f"{says}, on {gpus}; the limit is for {limits.gpus}"
        return _finding(Status.NOT_RUN, outcome, words, value, limits)
    if unsettled and logged:
        words = f"{says}; {several(f'{seconds:.1f}' for seconds in logged.every)}"
        return _finding(Status.NOT_RUN, outcome, words, value, limits)
    status = Status.PASS if outcome == "within" else Status.FAIL
    return _finding(status, outcome, says, value, limits)


def _longest(record: Published, limits: Limits) -> _Took | None:
    """Return the longest logged evaluation of the runs.

    One that is over by all that its log states goes before one that may be, and that before all others.
    """
    took = [found for run in record.headline.runs if (found := _took(run)) is not None]
    order = (False, None, True)
    return max(
        took,
        key=lambda t: (order.index(one_side(t.every, limits.score_s)), t.seconds),
        default=None,
    )


def _took(run: Run) -> _Took | None:
    total, score = run.log.total_eval_s.best, run.score
    own_s = score.eval_ms / 1e3 if score.eval_ms is not None else None
    place = score.eval_place or score.place
    if total is None:
        return None if own_s is None else _Took(own_s, place, (own_s,))
    totals = [value.value for value in run.log.total_eval_s.candidates] or [total.value]
    # What is less than a part of it is no total.
    every = tuple(dict.fromkeys(v if own_s is None else max(v, own_s) for v in totals))
    if own_s is not None and own_s > total.value:
        return _Took(own_s, place, every)
    return _Took(total.value, total.place, every)


def _claimed(record: Published) -> Value[float] | None:
    """Return the longest claimed evaluation."""
    claims = record.usable.eval_s if record.usable else ()
    return max(claims, key=lambda value: value.value, default=None)


def _says(claim: Value[float]) -> str:
    return f"{claim.place} claims {claim.value:g} s of evaluation ({claim.words})"


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
