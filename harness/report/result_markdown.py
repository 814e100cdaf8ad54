"""A result as GitHub's Markdown: the summary of a CI step, and a comment on a pull request.

Both have a limit beyond which GitHub shows nothing at all, so what is least important is left out: whole
entries and rows, never a part of one, and how many is said. In the order of importance: entries that are not
PASS; their required findings, FAIL and ERROR before NOT-RUN; entries that are PASS; what was not checked;
advisory findings; notes; findings that are PASS; facts.

Every word of anybody's goes through `for_markdown`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import IntEnum, auto

from checks.contract import Finding, Status
from harness.report import ranking
from harness.report.escape import for_markdown
from harness.report.figures import count, figure, quantity, versus
from harness.report.markdown_fit import Group, Part, Row, fitted
from harness.report.result import Entry, Judgement, NotChecked, Result

SUMMARY_BYTES = 1_024 * 1_024 - 8_192
"""GitHub takes 1,024 KiB from a step; the rest is for what else the step may say."""
COMMENT_BYTES = 65_536 - 1_536
"""GitHub takes 65,536 characters, never more than there are bytes; the rest is for what is put around it."""
LEAST_BYTES = 16_384
"""The smallest limit: the heading fits, however hostile its words are."""

_LABEL, _NAME, _MESSAGE, _CELL = 80, 240, 400, 600
"""Characters shown of a label, of what was judged, of a message, and of a cell or a command."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


class _Rank(IntEnum):
    BAD_ENTRY = auto()
    BROKEN = auto()
    UNDECIDED = auto()
    GOOD_ENTRY = auto()
    NOT_CHECKED = auto()
    ADVISORY = auto()
    NOTE = auto()
    PASSED = auto()
    FACT = auto()


def summary(result: Result, limit_bytes: int = SUMMARY_BYTES) -> str:
    """Return the summary of a CI step, at most `limit_bytes` of UTF-8.

    Raises ValueError for a limit below 16,384.
    """
    return _page(result, "", limit_bytes)


def comment(result: Result, limit_bytes: int = COMMENT_BYTES) -> str:
    """Return a comment on a pull request, at most `limit_bytes` of UTF-8.

    Its first line, `<!-- harness COMMAND -->`, does not show: a workflow finds its own comment by it, to
    replace it. Raises ValueError for a limit below 16,384.
    """
    return _page(result, f"<!-- harness {result.command} -->\n\n", limit_bytes)


def _page(result: Result, marker: str, limit_bytes: int) -> str:
    if limit_bytes < LEAST_BYTES:
        raise ValueError(f"a page of {limit_bytes} bytes; the least is {LEAST_BYTES}")
    parts = [_part(entry, result.message) for entry in ranking.entries(result)]
    return fitted(marker + _head(result), parts, limit_bytes).rstrip("\n") + "\n"


def _head(result: Result) -> str:
    facts = (
        f"`harness {result.command}`",
        f"ruleset {for_markdown(result.ruleset.name, _LABEL)}" if result.ruleset else "",
        for_markdown(result.created_utc, 40),
        f"version {for_markdown(result.harness_version, 40)}",
        f"exit code {figure(result.exit_code)}",
    )
    lines = [
        f"## {result.verdict}: {for_markdown(result.message, _MESSAGE)}",
        " · ".join(fact for fact in facts if fact),
    ]
    if result.commits is not None:
        base, head, parted = map(
            _commit, (result.commits.base, result.commits.head, result.commits.merge_base)
        )
        lines.append(f"From {base} to {head}, which part at {parted}")
    return "\n\n".join(lines) + "\n\n"


def _commit(name: str) -> str:
    """Return the id of a commit, which GitHub makes a link; anything else as text."""
    return name if _COMMIT.fullmatch(name) else for_markdown(name, _LABEL)


def _part(entry: Entry, said: str) -> Part:
    name = for_markdown(entry.name, _NAME) or "without a name"
    head = f"### {entry.verdict}: {entry.kind} {name}\n\n"
    if entry.message not in ("", said):
        head += f"{for_markdown(entry.message, _MESSAGE)}\n\n"
    if entry.digest:
        head += f"sha256 {for_markdown(entry.digest, _LABEL)}\n\n"
    rank = _Rank.GOOD_ENTRY if entry.verdict is Status.PASS else _Rank.BAD_ENTRY
    groups = [*_judged(entry), _not_checked(entry.not_checked), _notes(entry), _facts(entry)]
    return Part(entry.verdict, Row(rank, head), [group for group in groups if group.rows])


def _judged(entry: Entry) -> Iterator[Group]:
    """Yield what does not hold as a table, and what holds as one that is folded."""
    columns = ("status", "check", "measured / limit", "finding", "where")
    held: list[Row] = []
    rest: list[Row] = []
    for each in ranking.judgements(entry):
        found = each.finding
        cells = (
            f"{found.status}{'' if each.required else ' (advisory)'}",
            for_markdown(found.id, _LABEL),
            for_markdown(_measure(found), _LABEL),
            for_markdown(found.message, _CELL),
            for_markdown(ranking.where(each.place)),
        )
        (held if found.status is Status.PASS else rest).append(Row(_rank(each), _line(cells)))
    yield Group("open finding", _table(columns), rest)
    yield _folded("passing check", columns, held, f"{count(len(held), 'check')} PASS")


def _rank(judgement: Judgement) -> _Rank:
    status = judgement.finding.status
    if status is Status.PASS:
        return _Rank.PASSED
    if not judgement.required:
        return _Rank.ADVISORY
    return _Rank.UNDECIDED if status is Status.NOT_RUN else _Rank.BROKEN


def _measure(found: Finding) -> str:
    if found.limit is not None:
        return versus(found.measured, found.limit, found.unit)
    return "" if found.measured is None else quantity(found.measured, found.unit)


def _not_checked(left: Sequence[NotChecked]) -> Group:
    rows = []
    # No colon of ours follows a word of theirs: the two could be an emoji, as :this: is.
    for each in left:
        what, why = for_markdown(each.what, _MESSAGE), for_markdown(each.why, _MESSAGE)
        command = for_markdown(each.command, _CELL)
        does = f"; checked by <code>{command}</code>" if command else ""
        rows.append(Row(_Rank.NOT_CHECKED, f"- **Not checked:** {what} ({why}){does}\n"))
    return Group("unchecked thing", "", rows)


def _notes(entry: Entry) -> Group:
    rows = [
        Row(
            _Rank.NOTE,
            _line(
                (
                    for_markdown(note.id, _LABEL),
                    for_markdown(ranking.where(note.place)),
                    for_markdown(note.message, _CELL),
                )
            ),
        )
        for note in entry.notes
    ]
    title = f"{count(len(rows), 'note')}: advice to a reviewer, no verdict"
    return _folded("note", ("note", "where", "what"), rows, title)


def _facts(entry: Entry) -> Group:
    rows = [
        Row(_Rank.FACT, _line((for_markdown(name, _LABEL), for_markdown(value, _CELL))))
        for name, value in entry.facts.items()
    ]
    return _folded("fact", ("fact", "value"), rows, "Facts")


# Tables.


def _folded(noun: str, columns: Sequence[str], rows: list[Row], title: str) -> Group:
    before = f"<details><summary>{title}</summary>\n\n{_table(columns)}"
    return Group(noun, before, rows, "\n</details>\n\n")


def _table(columns: Sequence[str]) -> str:
    return f"{_line(columns)}|{'---|' * len(columns)}\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell or " " for cell in cells) + " |\n"
