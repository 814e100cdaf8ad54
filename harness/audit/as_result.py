"""Audited records as a result: what any other command says of what it judged, in the same shape.

A finding stands where the claim or the logged value does that it is about. What is special to an audit (every
run, every candidate, the statistics of each score) stays in its own JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from checks.contract import Finding
from harness.audit.model import Audit, Audited, SourceNote
from harness.audit.sections import facts, places
from harness.report.result import Entry, Judgement, NotChecked, Note, Place, Result, conclude, over

UNREAD = "audit.unread"
"""Id of the notes on files that could not be read, or not whole."""

_LAYER = re.compile(r":([1-9][0-9]{0,8})")
_PLACE = re.compile(r"(.+?)(?::([1-9][0-9]{0,8})|, line [0-9,]+ from the end)?", re.DOTALL)
"""How `checks.published.place` writes one."""


def result_of_audit(
    audit: Audit, *, created_utc: str, prefixes: Mapping[str, str] | None = None
) -> Result:
    """Return an audit as a result, with its exit code.

    `prefixes` has, by the id of a folder, its path from the repository's root; without one the id is taken.
    """
    paths = prefixes or {}
    entries = tuple(entry_of_record(each, paths.get(each.id, each.id)) for each in audit.folders)
    verdict, message = over(entries)
    return Result(
        harness_version=audit.harness_version,
        command="audit",
        created_utc=created_utc,
        verdict=verdict,
        message=message,
        exit_code=audit.exit_code,
        entries=entries,
    )


def entry_of_record(folder: Audited, prefix: str) -> Entry:
    """Return one record; `prefix` is its path from the repository's root, and the places begin with it.

    Every finding is required: an audit has no other, and its exit code is 0 only where all of them pass.
    """
    judgements = tuple(
        Judgement(finding=finding, required=True, place=_place_of(folder, finding, prefix))
        for finding in folder.findings
    )
    verdict, message = conclude(judgements)
    return Entry(
        kind="record",
        name=folder.id if prefix in ("", ".") else prefix,
        verdict=verdict,
        message=message,
        judgements=judgements,
        notes=tuple(_notes(folder, prefix)),
        not_checked=(
            NotChecked(
                what="the scores themselves",
                why="an audit reads what was published and runs none of it; a run needs a submission.toml",
                command="harness run SUBMISSION",
            ),
        ),
        facts=dict(facts(folder)),
    )


def _place_of(folder: Audited, finding: Finding, prefix: str) -> Place | None:
    """Return where a message says that it begins, else the claim's place, else that of the first log."""
    known = (
        folder.sources,
        folder.json.sources,
        *(run.sources for run in folder.runs),
        *(log.sources for log in folder.logs),
    )
    begun = [
        place
        for sources in known
        for place in sources.values()
        if finding.message.startswith((f"{place} ", f"{place}:"))
    ]
    claim, logged = places(folder, finding)
    # Of two names, one of which begins as the other does, the longer one is meant.
    said = max(begun, key=len, default="") or claim or next(iter(logged), "")
    found = _PLACE.fullmatch(said)
    return _place(found[1], int(found[2] or 0), prefix) if found else None


def _notes(folder: Audited, prefix: str) -> Iterator[Note]:
    for note in folder.source_notes:
        yield _source_note(note, prefix)
    for problem in folder.problems:
        yield Note(id=UNREAD, message=problem.message, place=_place(problem.file, 0, prefix))


def _source_note(note: SourceNote, prefix: str) -> Note:
    """Return a note on a script; one on a layer stands where the layer begins in the file."""
    line, within = note.line, ""
    if note.layer:
        begins = _LAYER.match(note.layer.removeprefix(note.file))
        line, within = int(begins[1]) if begins else 0, f" [line {note.line} of {note.layer}]"
    dead = f" [dead unless {note.behind}]" if note.behind else ""
    message = f"{note.message}{within}{dead}"
    return Note(id=note.id, message=message, place=_place(note.file, line, prefix))


def _place(file: str, line: int, prefix: str) -> Place:
    """Return a place below the prefix; "." is the folder itself, and only lines from 1 are named."""
    path = str(PurePosixPath(prefix) / file) if prefix else file
    return Place(file=path, line=line if line > 0 else None)
