"""evidence.train: by its own log, training stopped within the budget.

The clock is the trainer's: it starts after compiling and stops while validating, and leaves out quantising
and writing. Does not catch: what that clock does not see; `time.train` measures it.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.published import Found, Published, one_side, other_gpus, several
from checks.published_limits import Limits

ID = "evidence.train"


def check(record: Published, limits: Limits) -> Finding:
    """Hold the latest logged end of training against the budget, strictly and with the stated grace.

    `measured` and `limit` are seconds; the evidence says what holds with the grace. Of several ends in one
    log the last is the measured one; FAIL only where all of them are over. NOT-RUN: the non-record track,
    runs on another number of GPUs, no logged end, or several ends within and over in one log.
    """
    stop = _latest(record, limits)
    value = stop[0] if stop else None
    if record.track is not None and record.track.value == "non-record":
        words = "the non-record track has no limit of time"
        return _finding(Status.NOT_RUN, "not_applicable", "not_applicable", words, value, limits)
    if stop is None or value is None:
        words = "no end of training is read from the logs"
        return _finding(Status.NOT_RUN, None, None, words, None, limits)
    strict = "over" if value > limits.train_s else "within"
    graced = "over" if value > limits.train_s + limits.train_grace_s else "within"
    says = f"{stop[1].values[-1].place}: training stopped at {value:.3f} s of {limits.train_s:g} s"
    ends = [f"{other.value / 1e3:.3f}" for other in stop[1].candidates]
    gpus = other_gpus(record.headline.runs, limits.gpus)
    if gpus:
        says += f", on {gpus}; the limit is for {limits.gpus}"
        return _finding(Status.NOT_RUN, strict, graced, says, value, limits)
    if _over(stop[1], limits) is None:
        return _finding(Status.NOT_RUN, strict, graced, f"{says}; {several(ends)}", value, limits)
    says += f" (the log has several: {', '.join(ends)})" if ends else ""
    if strict == "within":
        return _finding(Status.PASS, strict, graced, says, value, limits)
    how = "also beyond" if graced == "over" else "within"
    excess_ms = (value - limits.train_s) * 1e3
    says += f", {excess_ms:,.0f} ms over, {how} a grace of {limits.train_grace_s:g} s"
    return _finding(Status.FAIL, strict, graced, says, value, limits)


def _latest(record: Published, limits: Limits) -> tuple[float, Found[float]] | None:
    """Return the latest end of training in seconds, and the log's statements of it.

    A log all of whose ends are over goes before one with ends on both sides, and that before all others.
    """
    holders = record.headline.runs or record.logs  # without a headline, whatever was trained
    stops = [(h.stop_ms.value / 1e3, h.stop_ms) for h in holders if h.stop_ms.value is not None]
    order = (False, None, True)
    return max(stops, key=lambda s: (order.index(_over(s[1], limits)), s[0]), default=None)


def _over(stop: Found[float], limits: Limits) -> bool | None:
    return one_side((value.value / 1e3 for value in stop.values), limits.train_s)


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
