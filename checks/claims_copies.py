"""claims.copies: the logs of different seeds are different logs.

Does not catch: a log that was made of another by changing its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from checks.contract import Finding, Status
from checks.published import Log, Published

ID = "claims.copies"
SCORES = 3
"""Different exact scores that two logs must share before they count as one run."""
EXACT = 6
"""Decimals of an exact score; rounded ones are equal by chance."""


def check(record: Published) -> Finding:
    """Look for logs that are one log: byte by byte, or in every exact score, under different seeds.

    FAIL: two seeds share a log. A copy under the same seed or under none is named in a PASS: reruns quote
    what they repeat. Copies of other records' logs are found, and added, where many records are read
    together. NOT-RUN: no log states a score. `measured` counts pairs.
    """
    logs = [log for log in record.logs if log.scores]
    if not logs:
        return Finding(id=ID, status=Status.NOT_RUN, message="no log states a score")
    faults: list[str] = []
    notes: list[str] = []
    for one, other, how in _pairs(logs):
        words = f"{other.name} is {one.name}, {how}"
        (faults if _seeds_differ(one, other) else notes).append(words)
    none = f"{len(logs)} log{'s' * (len(logs) > 1)}, none a copy of another"
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
    exact = [frozenset(s.val_bpb for s in log.scores if s.bpb_digits >= EXACT) for log in logs]
    for (one, of_one), (other, of_other) in combinations(zip(logs, exact, strict=True), 2):
        whole = "#" not in one.name and "#" not in other.name
        if whole and one.sha256 and one.sha256 == other.sha256:
            yield one, other, "byte by byte"
        elif of_one == of_other and len(of_one) >= SCORES:
            yield one, other, "in every score"


def _seeds_differ(one: Log, other: Log) -> bool:
    """Say whether two logs go by two seeds, by name or as stated; a log without a seed goes by none."""
    named = {one.seed_in_name, other.seed_in_name} - {None}
    own = {one.own_seed, other.own_seed} - {None}
    return len(named) > 1 or len(own) > 1
