"""source.dead: which of the other notes are about lines that the script's defaults do not reach.

One note a flag, at the first of its lines. Advice, no verdict: dead code taken for a cheat was the contest's
classic false alarm (#1458, retracted; #1232, #1170, #984).

Does not catch: what the command that was really run sets. A flag in the README's command line, or in a log's
list of settings, makes the lines live.
"""

from __future__ import annotations

from collections.abc import Iterable

from checks.source_note import MOST, Note

ID = "source.dead"
_NAMED = 8
"""How many lines one note names."""


def check(others: Iterable[Note]) -> tuple[Note, ...]:
    """Return a note for each flag that notes of other checks, on the same text, are behind."""
    behind: dict[str, list[Note]] = {}
    for note in others:
        if note.behind:
            behind.setdefault(note.behind, []).append(note)
    found = []
    for flag, notes in behind.items():
        first = min(notes, key=lambda note: note.line)
        lines = sorted({note.line for note in notes})
        named = ", ".join(str(line) for line in lines[:_NAMED])
        more = f" and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
        said = f"line {named} is" if len(lines) == 1 else f"lines {named}{more} are"
        message = f"{said} noted, and not reached by default: {flag}"
        found.append(Note(ID, first.line, first.text, message, flag))
    found.sort(key=lambda note: note.line)
    return tuple(found[:MOST])
