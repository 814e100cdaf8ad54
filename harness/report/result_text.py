"""A result on a terminal, in colour, and as plain text for a log.

The verdict comes first; then, the worst entry first, a line a finding with what was measured and its limit,
the whole message and the place of what does not hold, what was noticed, what was not checked and by which
command it is, and the facts.

Loads rich: import this module inside a function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from checks.contract import Status
from harness.report import ranking
from harness.report.escape import for_terminal
from harness.report.result import Entry, Judgement, NotChecked, Note, Result
from harness.report.text import plain, put
from harness.report.text_parts import (
    LABEL,
    LINE,
    MESSAGE,
    NAME,
    STYLES,
    checks,
    grid,
    section,
    verdict,
    words,
)

_PATH = 240
"""Characters printed of a place or of what was judged: the folders of a record are deep."""
_MOST = 200
"""Entries printed, and of each of them findings, reasons and notes; JSON has all of them."""


def print_result(result: Result, console: Console) -> None:
    """Print a result on a rich console: in colour if it is a terminal, else plain and at least 100 wide."""
    put(lambda width: _blocks(result, width), console)


def render_text(result: Result, *, width: int | None = None) -> str:
    """Return a result as plain text without colours or escapes; `width` is 100 where not given."""
    return plain(lambda columns: _blocks(result, columns), width)


def _blocks(result: Result, width: int) -> Iterator[RenderableType]:
    yield _head(result)
    entries = ranking.entries(result)
    for entry in entries[:_MOST]:
        yield Text("")
        yield _title(entry, said=result.message)
        parts = (
            section("Checks", *_checks(entry, width)),
            section("Why", *_why(entry)),
            section("Notes: advice to a reviewer, no verdict", *_notes(entry.notes)),
            section("Not checked", *_not_checked(entry.not_checked)),
            section("Facts", *_facts(entry)),
        )
        for part in parts:
            if part is not None:
                yield Text("")
                yield Padding(part, (0, 0, 0, 2))
    for line in _more(entries, ranking.tally(entry.verdict for entry in entries[_MOST:])):
        yield Text("")
        yield line


def _more(listed: Sequence[object], what: str) -> Iterator[RenderableType]:
    """Yield a line on those that are too many for a screen."""
    if len(listed) > _MOST:
        yield Text(f"... and {len(listed) - _MOST:,} more: {what}; JSON has them", style="dim")


def _head(result: Result) -> RenderableType:
    what = [
        f"harness {result.command}",
        f"ruleset {for_terminal(result.ruleset.name, NAME)}" if result.ruleset else "",
        for_terminal(result.created_utc, LABEL),
        f"version {for_terminal(result.harness_version, LABEL)}",
        f"exit code {result.exit_code}",
    ]
    rows: list[RenderableType] = [
        verdict(result.verdict, result.message),
        Text(" · ".join(part for part in what if part), style="dim", overflow="fold"),
    ]
    if result.commits is not None:
        named = ("base", "merge_base", "head")
        ids = (f"{name} {getattr(result.commits, name)}" for name in named)
        rows += [words(line.replace("_", " ", 1), NAME, "dim") for line in ids]
    return Group(*rows)


def _title(entry: Entry, *, said: str) -> RenderableType:
    """Return what was judged, with its verdict, and its message where that is not what is `said` already."""
    status = Text(f"{entry.verdict} ", style=f"bold {STYLES[entry.verdict]}")
    name = Text.assemble(
        status, f"{entry.kind} ", (for_terminal(entry.name, _PATH), "bold"), overflow="fold"
    )
    rows: list[RenderableType] = [name]
    if entry.message != said:
        rows.append(Padding(words(entry.message, MESSAGE), (0, 0, 0, 2)))
    if entry.digest:
        rows.append(Padding(words(f"sha256 {entry.digest}", LINE, "dim"), (0, 0, 0, 2)))
    return Group(*rows)


def _checks(entry: Entry, width: int) -> Iterator[RenderableType]:
    ordered = ranking.judgements(entry)
    shown = ((each.finding, each.required) for each in ordered[:_MOST])
    yield from checks(shown, width - 4)
    yield from _more(ordered, ranking.tally(each.finding.status for each in ordered[_MOST:]))


def _why(entry: Entry) -> Iterator[RenderableType]:
    asked = [each for each in ranking.judgements(entry) if _is_red(each) or _is_open(each)]
    for each in asked[:_MOST]:
        found = each.finding
        name = Text(f"{found.status} ", style=f"bold {STYLES[found.status]}")
        name.append_text(words(found.id, LABEL, "bold"))
        name.append("" if each.required else " (advisory)", style="dim")
        yield name
        yield Padding(words(found.message, MESSAGE), (0, 0, 0, 2))
        if each.place is not None:
            yield Padding(words(ranking.where(each.place), _PATH, "dim"), (0, 0, 0, 2))
    yield from _more(asked, ranking.tally(each.finding.status for each in asked[_MOST:]))


def _is_red(judgement: Judgement) -> bool:
    return judgement.finding.status in (Status.FAIL, Status.ERROR)


def _is_open(judgement: Judgement) -> bool:
    return judgement.required and judgement.finding.status is Status.NOT_RUN


def _notes(notes: tuple[Note, ...]) -> Iterator[RenderableType]:
    for note in notes[:_MOST]:
        yield Text.assemble(
            words(note.id, LABEL, "bold"), "  ", words(ranking.where(note.place), _PATH, "dim")
        )
        yield Padding(words(note.message, MESSAGE), (0, 0, 0, 2))
    yield from _more(notes, "notes")


def _not_checked(left: tuple[NotChecked, ...]) -> Iterator[RenderableType]:
    for each in left:
        yield words(f"{each.what}: {each.why}", MESSAGE)
        if each.command:
            yield Padding(words(each.command, LINE, "bold"), (0, 0, 0, 2))


def _facts(entry: Entry) -> Iterator[RenderableType]:
    if entry.facts:
        table = grid(2)
        for name, value in entry.facts.items():
            table.add_row(words(name, LABEL, "dim"), words(value, 2 * LINE))
        yield table
