"""A result as annotations of a pull request: workflow commands of GitHub Actions, to be printed.

GitHub shows ten of each level for a step, so the worst come first, and the tenth says how many are left. The
escapes are those of GitHub's own toolkit (actions/toolkit, packages/core): %, CR and LF in a message, and in
a property : and , as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from checks.contract import Status
from harness.report import ranking
from harness.report.escape import for_terminal
from harness.report.result import Entry, Judgement, Place, Result

MOST = 10
"""Of each level that GitHub shows for one step."""

Level = Literal["error", "warning", "notice"]
_LEVELS: tuple[Level, ...] = ("error", "warning", "notice")
_TITLE, _MESSAGE = 160, 1_000
"""Characters of a title and of a message."""


@dataclass(frozen=True, slots=True)
class _Annotation:
    title: str
    message: str
    place: Place | None = None


def render_annotations(result: Result) -> str:
    """Return the workflow commands, a line each, at most ten of each level; "" where there is nothing to say.

    FAIL and ERROR are errors, a required check that was not run is a warning, and so is advice that is not
    PASS; notes are notices. What is PASS is not annotated.
    """
    found: dict[Level, list[_Annotation]] = {level: [] for level in _LEVELS}
    entries = ranking.entries(result)
    for level, annotation in _required(result, entries):
        found[level].append(annotation)
    for level, annotation in _advice(entries):
        found[level].append(annotation)
    return "".join(_lines(level, found[level]) for level in _LEVELS)


def _lines(level: Level, found: list[_Annotation]) -> str:
    shown = found
    if len(found) > MOST:
        more = len(found) - MOST + 1
        last = _Annotation("harness", f"{more:,} more of this level; see the summary")
        shown = [*found[: MOST - 1], last]
    return "".join(_line(level, each) for each in shown)


def _required(result: Result, entries: list[Entry]) -> Iterator[tuple[Level, _Annotation]]:
    """Yield what the verdicts hang on, errors of all entries before the rest of any."""
    if not entries and result.verdict is not Status.PASS:
        yield _level(result.verdict), _Annotation(str(result.verdict), result.message)
    for entry in entries:
        if ranking.unexplained(entry):
            title = f"{entry.verdict} {entry.name}"
            yield _level(entry.verdict), _Annotation(title, entry.message)
        for each in ranking.judgements(entry):
            if each.required and each.finding.status is not Status.PASS:
                yield _level(each.finding.status), _of(entry, each)


def _advice(entries: list[Entry]) -> Iterator[tuple[Level, _Annotation]]:
    for entry in entries:
        for each in ranking.judgements(entry):
            if not each.required and each.finding.status in (Status.FAIL, Status.ERROR):
                yield "warning", _of(entry, each)
        for note in entry.notes:
            yield "notice", _Annotation(f"{note.id} {entry.name}", note.message, note.place)


def _level(status: Status) -> Level:
    return "warning" if status is Status.NOT_RUN else "error"


def _of(entry: Entry, judgement: Judgement) -> _Annotation:
    found = judgement.finding
    advisory = "" if judgement.required else " (advisory)"
    title = f"{found.status} {found.id}{advisory} {entry.name}"
    return _Annotation(title, found.message, judgement.place)


def _line(level: Level, annotation: _Annotation) -> str:
    properties = []
    if annotation.place is not None and annotation.place.file:
        properties.append(f"file={_property(for_terminal(annotation.place.file))}")
        if annotation.place.line is not None and annotation.place.line > 0:
            properties.append(f"line={annotation.place.line}")
    properties.append(f"title={_property(for_terminal(annotation.title, _TITLE))}")
    # An empty message would be shown as no annotation at all.
    message = _data(for_terminal(annotation.message, _MESSAGE)) or "-"
    return f"::{level} {','.join(properties)}::{message}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
