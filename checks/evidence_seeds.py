"""evidence.seeds: the claim rests on enough seeds, and is no single one of several runs that lie here.

Logs of further seeds that the claim leaves out are named, and nothing more: why they were left out is not in
them. Does not catch: seeds that were run and never published.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.published import Published, mean
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
    ruleset's least number. FAIL: fewer, or one run reported of several. NOT-RUN: no run was found, or the
    non-record track, which asks for no number of seeds; the outcomes say what was found all the same.
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
    says += _left_out(record)
    if outcomes and record.track is not None and record.track.value == "non-record":
        says += "; the non-record track asks for none"
        return _finding(Status.NOT_RUN, outcomes, says, distinct, limits)
    status = Status.FAIL if outcomes else Status.PASS
    return _finding(status, outcomes, says, distinct, limits)


def _left_out(record: Published) -> str:
    """Return which other seeds' logs state the headline's score, and the mean with them, or ""."""
    runs, name = record.headline.runs, record.headline.name
    counted = {run.seed for run in runs}
    used = {run.log.name for run in runs}.union(*(run.joined for run in runs))
    others: dict[int, float] = {}
    for log in record.logs:
        seed = log.own_seed
        found = [s.val_bpb for s in log.scores if s.name == name and not s.validation]
        if found and seed is not None and seed not in counted and log.name not in used:
            others[seed] = found[-1]
    value = mean([*(run.score.val_bpb for run in runs), *others.values()])
    if not others or value is None:
        return ""
    seeds, many = sorted(others), len(others) > 1
    shown = ", ".join(map(str, seeds[:8])) + (f" and {len(seeds) - 8} more" if seeds[8:] else "")
    words = f"; {len(seeds)} more log{'s' * many} state{'s' * (not many)} this score: seed"
    return f"{words}{'s' * many} {shown}; the mean with {'them' if many else 'it'} is {value:.4f}"


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
