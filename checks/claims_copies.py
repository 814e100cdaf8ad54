"""claims.copies: the logs of different seeds are different logs.

Does not catch: a log that was made of another by changing its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from checks.contract import Finding, Status
from checks.published import Log, Published, Score

ID = "claims.copies"
WHOLE = "byte by byte"
SCORES = 3
"""Different exact scores that two logs must share before they count as one run."""
EXACT = 6
"""Decimals of an exact score; rounded ones are equal by chance."""
FINE = 8
"""Decimals of which one equal score is enough, where all that both logs state under one name are equal."""
_QUOTED = re.compile(r"baseline|previous|prior|reference|sota|record", re.IGNORECASE)
"""Scores of somebody else, which many logs may quote."""


def check(record: Published) -> Finding:
    """Look for logs that are one log: byte by byte, or in every exact score, under different seeds.

    FAIL: two seeds share a log. Where all exact scores are equal there have to be three of them, or one of
    eight decimals under a name of both. A copy under the same seed or under none is named in a PASS: reruns
    quote what they repeat. Copies of other records' logs are found, and added, where many records are read
    together. NOT-RUN: no log states a score. `measured` counts pairs.
    """
    logs = [log for log in record.logs if log.scores]
    if not logs:
        return Finding(id=ID, status=Status.NOT_RUN, message="no score is read from the logs")
    faults: list[str] = []
    notes: list[str] = []
    for one, other, how in _pairs(logs):
        words = f"{other.name} is {one.name}, {how}"
        (faults if _seeds_differ(one, other, how) else notes).append(words)
    none = f"{len(logs)} log{'s' * (len(logs) > 1)}, none a copy of another here"
    return Finding(
        id=ID,
        status=Status.FAIL if faults else Status.PASS,
        message="; ".join((faults + notes)[:4]) or none,
        measured=float(len(faults)),
        limit=0.0,
        unit="copies",
    )


def _pairs(logs: Sequence[Log]) -> Iterator[tuple[Log, Log, str]]:
    """Yield each two logs that are one, and in what."""
    finals = {log.name: _finals(log) for log in logs}
    exact = [frozenset(s.val_bpb for s in log.scores if s.bpb_digits >= EXACT) for log in logs]
    for (one, of_one), (other, of_other) in combinations(zip(logs, exact, strict=True), 2):
        whole = "#" not in one.name and "#" not in other.name
        if whole and one.sha256 and one.sha256 == other.sha256:
            yield one, other, WHOLE
        elif (of_one == of_other and len(of_one) >= SCORES) or _agree(
            finals[one.name], finals[other.name]
        ):
            yield one, other, "in every score"


def _finals(log: Log) -> dict[str, list[Score]]:
    """Return the scores of a log by name, without those of the middle of training and those quoted."""
    found: dict[str, list[Score]] = {}
    for score in log.scores:
        if not score.validation and not _QUOTED.search(score.name):
            found.setdefault(score.name, []).append(score)
    return found


def _agree(one: Mapping[str, Sequence[Score]], other: Mapping[str, Sequence[Score]]) -> bool:
    """Say whether two logs state the same under every name of both, once at least to eight decimals."""
    fine = False
    for name in one.keys() & other.keys():
        values, others = [[score.val_bpb for score in scores[name]] for scores in (one, other)]
        if values != others:
            return False
        fine = fine or any(score.bpb_digits >= FINE for score in one[name])
    return fine


def _seeds_differ(one: Log, other: Log, how: str) -> bool:
    """Say whether two logs go by two seeds; a log without a seed goes by none.

    Of whole files the names are enough. Equal scores of one stated seed are a rerun, whatever its name.
    """
    named = {one.seed_in_name, other.seed_in_name} - {None}
    own = {one.own_seed, other.own_seed} - {None}
    return len(own) > 1 or (how == WHOLE and len(named) > 1)
