"""What comes first in every format: the worst entry, in it what decides, then what was only noticed.

Also the few words that all formats share: where something stands, and how many there are of each status.
"""

from __future__ import annotations

from collections.abc import Iterable

from checks.contract import Status
from harness.report.figures import figure
from harness.report.result import Entry, Judgement, Place, Result

_PATH = 200
_WORST_FIRST = (Status.FAIL, Status.ERROR, Status.NOT_RUN, Status.PASS)


def severity(status: Status) -> int:
    """Return 0 for the worst status, 3 for PASS."""
    return _WORST_FIRST.index(status)


def entries(result: Result) -> list[Entry]:
    """Return the entries, the worst verdict first, otherwise in their order."""
    return sorted(result.entries, key=lambda entry: severity(entry.verdict))


def judgements(entry: Entry) -> list[Judgement]:
    """Return the judgements: first what is not PASS and required, then advice, then what passed."""
    return sorted(entry.judgements, key=_rank)


def _rank(judgement: Judgement) -> tuple[bool, bool, int]:
    status = judgement.finding.status
    return status is Status.PASS, not judgement.required, severity(status)


def unexplained(entry: Entry) -> bool:
    """Say whether no required finding has the entry's verdict, so that the verdict itself must be shown."""
    return entry.verdict is not Status.PASS and not any(
        each.required and each.finding.status is entry.verdict for each in entry.judgements
    )


def where(place: Place | None) -> str:
    """Return "file:line", "file", or "" for no place; of a long name the end is kept, which tells most."""
    if place is None:
        return ""
    file = place.file if len(place.file) <= _PATH else f"...{place.file[-_PATH:]}"
    return file if place.line is None else f"{file}:{figure(place.line).replace(',', '')}"


def tally(statuses: Iterable[Status]) -> str:
    """Return "2 FAIL, 1 NOT-RUN, 14 PASS", the worst first; "" for none."""
    listed = list(statuses)
    counted = [(status, listed.count(status)) for status in _WORST_FIRST]
    return ", ".join(f"{number:,} {status}" for status, number in counted if number)
