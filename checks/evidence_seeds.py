"""evidence.seeds: the claim rests on enough seeds, and on all that were run.

Does not catch: seeds that were run and never published.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.published import Published
from checks.published_limits import Limits

ID = "evidence.seeds"
CHOSEN = {
    "best of several logs": ("best_run_reported", "the best"),
    "one of several logs": ("one_run_of_several_reported", "one"),
}
"""Rules by which a headline was found that name a choice: the outcome, and the words."""


def check(record: Published, limits: Limits) -> Finding:
    """Count the distinct seeds of the runs behind the claim, and say where one run of several was reported.

    A seed that a log states is believed before the one in its name. `measured` counts seeds, `limit` is the
    ruleset's least number. FAIL: fewer, or a choice. NOT-RUN: no run was found, or the non-record track,
    which asks for no number of seeds; the outcomes say what was found all the same.
    """
    runs = record.headline.runs
    if not runs:
        return _finding(Status.NOT_RUN, [], "no runs behind the claim were found", None, limits)
    distinct = _distinct(record)
    outcomes = ["fewer_than_3_seeds"] if distinct < limits.min_seeds else []
    says = f"{distinct} distinct seed{'s' * (distinct != 1)} of {limits.min_seeds}"
    if record.headline.rule in CHOSEN:
        outcome, which = CHOSEN[record.headline.rule]
        outcomes.append(outcome)
        says += f"; the claim is {which} of several runs that are here"
    if outcomes and record.track is not None and record.track.value == "non-record":
        says += "; the non-record track asks for none"
        return _finding(Status.NOT_RUN, outcomes, says, distinct, limits)
    status = Status.FAIL if outcomes else Status.PASS
    return _finding(status, outcomes, says, distinct, limits)


def _distinct(record: Published) -> int:
    runs = record.headline.runs
    stated = [run.log.seed.value for run in runs if run.log.seed.value is not None]
    seeds = {run.seed for run in runs if run.seed is not None}
    return min(len(seeds), len(set(stated))) if len(stated) == len(runs) else len(seeds)


def _finding(
    status: Status, outcomes: list[str], message: str, distinct: int | None, limits: Limits
) -> Finding:
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=distinct,
        limit=float(limits.min_seeds),
        unit="seeds",
        evidence={"outcomes": outcomes},
    )
