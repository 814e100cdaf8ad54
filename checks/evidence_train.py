"""evidence.train: by its own log, training stopped within the budget.

The clock is the trainer's: it starts after compiling and stops while validating, and leaves out quantising
and writing. Does not catch: what that clock does not see; `time.train` measures it.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.published import Found, Published
from checks.published_limits import Limits

ID = "evidence.train"


def check(record: Published, limits: Limits) -> Finding:
    """Hold the latest logged end of training against the budget, strictly and with the stated grace.

    `measured` and `limit` are seconds; the evidence says what holds with the grace. NOT-RUN: the non-record
    track, runs on another number of GPUs, or no logged end.
    """
    stop = _latest(record)
    value = stop[0] if stop else None
    if record.track is not None and record.track.value == "non-record":
        words = "the non-record track has no limit of time"
        return _finding(Status.NOT_RUN, "not_applicable", "not_applicable", words, value, limits)
    if stop is None or value is None:
        words = "no log states the end of training in milliseconds"
        return _finding(Status.NOT_RUN, None, None, words, None, limits)
    strict = "over" if value > limits.train_s else "within"
    graced = "over" if value > limits.train_s + limits.train_grace_s else "within"
    says = f"{stop[1].values[-1].place}: training stopped at {value:.3f} s of {limits.train_s:g} s"
    if stop[1].candidates:
        several = ", ".join(f"{other.value / 1e3:.3f}" for other in stop[1].candidates)
        says += f" (the log has several: {several})"
    gpus = _gpus(record)
    if gpus is not None and gpus != limits.gpus:
        says += f", on {gpus} GPU{'s' * (gpus > 1)}; the limit is for {limits.gpus}"
        return _finding(Status.NOT_RUN, strict, graced, says, value, limits)
    if strict == "within":
        return _finding(Status.PASS, strict, graced, says, value, limits)
    how = "also beyond" if graced == "over" else "within"
    excess_ms = (value - limits.train_s) * 1e3
    says += f", {excess_ms:,.0f} ms over, {how} a grace of {limits.train_grace_s:g} s"
    return _finding(Status.FAIL, strict, graced, says, value, limits)


def _latest(record: Published) -> tuple[float, Found[float]] | None:
    """Return the latest end of training in seconds, and the log's statements of it."""
    holders = record.headline.runs or record.logs  # without a headline, whatever was trained
    stops = [(h.stop_ms.value / 1e3, h.stop_ms) for h in holders if h.stop_ms.value is not None]
    return max(stops, key=lambda stop: stop[0], default=None)


def _gpus(record: Published) -> int | None:
    """Return the one number of GPUs that all runs state, or None."""
    ranks = {run.ranks.value for run in record.headline.runs}
    return ranks.pop() if len(ranks) == 1 else None


def _finding(
    status: Status,
    strict: str | None,
    graced: str | None,
    message: str,
    value: float | None,
    limits: Limits,
) -> Finding:
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=value,
        limit=limits.train_s,
        unit="s",
        evidence={"outcome": strict, "outcome_with_grace": graced, "grace_s": limits.train_grace_s},
    )
