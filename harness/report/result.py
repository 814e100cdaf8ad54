"""What a command concluded, in one shape for every renderer: a run, a check, an audit, a pull request.

A Result has one entry for each thing that was judged. What is special to a run (seeds, phases, plots) stays
in its report.json; what is here is what somebody needs who decides: the verdict, each finding with its place,
what was only noticed, and what was not checked, with the command that would. Names, messages and places may
hold words of the submission: nothing here is escaped, every renderer does that.

Stored as JSON with sorted keys (docs/schema/result-1.json). Field names are a published surface: adding one
is a minor version, changing one a major.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

import msgspec

from checks.contract import Finding, Status, worst
from harness.errors import EXIT_JUDGE, EXIT_PASS, EXIT_RULE_BROKEN
from harness.report import plain_json
from harness.report.model import RulesetFacts
from harness.report.versions import read_versioned

SCHEMA_VERSION = "1.0"

EXIT_CODES = {
    Status.PASS: EXIT_PASS,
    Status.FAIL: EXIT_RULE_BROKEN,
    Status.ERROR: EXIT_JUDGE,
    Status.NOT_RUN: EXIT_JUDGE,
}
"""Undecided is not a pass, and no rule is known to be broken: the judge could not conclude."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Place(_Part, frozen=True, kw_only=True):
    """Where something stands: a file relative to the repository, or to what was judged; lines from 1."""

    file: str
    line: int | None = None


class Judgement(_Part, frozen=True, kw_only=True):
    """One finding, whether the verdict hangs on it, and where to look."""

    finding: Finding
    required: bool
    place: Place | None = None


class Note(_Part, frozen=True, kw_only=True):
    """Advice to a reviewer, which no verdict hangs on."""

    id: str
    message: str
    place: Place | None = None


class NotChecked(_Part, frozen=True, kw_only=True):
    """What this command did not look at, why, and the command that would."""

    what: str
    why: str
    command: str


class Entry(_Part, frozen=True, kw_only=True):
    """One thing that was judged."""

    kind: Literal["submission", "record", "run", "pull request"]
    name: str
    """Folder or title, relative to the repository where there is one."""
    digest: str | None = None
    """SHA-256 over names and contents of what was judged, where that is defined."""
    verdict: Status
    message: str
    judgements: tuple[Judgement, ...] = ()
    notes: tuple[Note, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    facts: dict[str, str] = msgspec.field(default_factory=dict)
    """Figures worth a line each, as text with units: "artifact": "404,084 of 1,000,000 bytes"."""


class Commits(_Part, frozen=True, kw_only=True):
    """Which change of a repository, as full commit ids."""

    base: str
    merge_base: str
    head: str


class Result(_Part, frozen=True, kw_only=True):
    """Everything that one command concluded."""

    schema_version: str = SCHEMA_VERSION
    harness_version: str
    command: Literal["run", "check", "audit", "gate"]
    created_utc: str
    verdict: Status
    message: str
    exit_code: int
    ruleset: RulesetFacts | None = None
    commits: Commits | None = None
    entries: tuple[Entry, ...] = ()


def conclude(judgements: Sequence[Judgement], *, noun: str = "check") -> tuple[Status, str]:
    """Return the verdict over the required judgements and one sentence on it.

    Without any that is required it is NOT-RUN: nothing was judged.
    """
    needed = [each.finding for each in judgements if each.required]
    verdict = worst([finding.status for finding in needed])
    deciding = ", ".join(f.id for f in needed if f.status is verdict)
    count = f"{len(needed)} required {noun}{'' if len(needed) == 1 else 's'}"
    return verdict, {
        Status.PASS: f"all {count} hold" if len(needed) != 1 else f"the one required {noun} holds",
        Status.FAIL: f"broken: {deciding}",
        Status.ERROR: f"the judge could not tell: {deciding}",
        Status.NOT_RUN: f"undecided: {deciding or 'nothing was judged'}",
    }[verdict]


def over(entries: Collection[Entry]) -> tuple[Status, str]:
    """Return the verdict over all entries and one sentence on it; over none it is NOT-RUN."""
    verdict = worst([entry.verdict for entry in entries])
    if len(entries) == 1:
        return verdict, next(iter(entries)).message
    counted = [(status, sum(e.verdict is status for e in entries)) for status in Status]
    words = ", ".join(f"{number} {status}" for status, number in counted if number)
    if not words:
        return verdict, "nothing was judged"
    said = f"{len(entries)} judged: {words}"
    if verdict is not Status.PASS:
        first = next(entry for entry in entries if entry.verdict is verdict)
        said += f"; {first.kind} {first.name}: {first.message}"
    return verdict, said


def encode(result: Result) -> bytes:
    """Return the result as JSON: indented, sorted keys, UTF-8, newline at the end.

    Halves of surrogate pairs appear as their escapes. Raises ValueError for NaN and infinity.
    """
    return plain_json.encode(result)


def decode(data: bytes, origin: str) -> Result:
    """Read a result back; `origin` names it in errors.

    Raises UsageError where it is none, or of a newer schema than this one.
    """
    return read_versioned(data, Result, known=SCHEMA_VERSION, origin=origin)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `encode` returns."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"result-{SCHEMA_VERSION.split('.')[0]}.json",
        **msgspec.json.schema(Result),
    }
