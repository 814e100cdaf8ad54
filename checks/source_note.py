"""A line of a script that a reviewer should look at, and the text it is taken from: no verdict.

`read` prepares one text for the `source` checks; `notes` turns what a check found into notes, with the line,
its text, and the flag that it is behind.

Does not catch: anything by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from checks.source_flags import unreached
from checks.source_tree import Tree
from checks.source_tree import read as read_tree

MOST = 20
"""Notes of one check on one text; one more says how many were left out."""
_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Note:
    """One line to look at. `line` counts from 1; `text` is that line, stripped, of 200 characters at most.

    `behind` names the flag that has to be set for the line to be reached, "" if the defaults reach it.
    Texts come from the submission as they are: whoever shows them makes them harmless.
    """

    id: str
    line: int
    text: str
    message: str
    behind: str


@dataclass(frozen=True, slots=True)
class Source:
    """A text made ready: its tree, and for each node the flags that it is behind."""

    tree: Tree
    behind: tuple[str, ...]


def read(text: str) -> Source | str:
    """Return the text made ready, or why it cannot be: it does not parse, or is beyond the bounds."""
    tree = read_tree(text)
    return tree if isinstance(tree, str) else Source(tree, tuple(unreached(tree)))


def notes(source: Source, check: str, found: Iterable[tuple[int, str]]) -> tuple[Note, ...]:
    """Return a note for each (node, message), in the order of lines: one for a line and message."""
    seen: dict[tuple[int, str], Note] = {}
    for i, message in found:
        line = source.tree.line(i)
        note = Note(check, line, _text(source.tree, line), message, source.behind[i])
        known = seen.setdefault((line, message), note)
        if known.behind and not note.behind:
            seen[line, message] = note
    # Where some must be left out, lines that are reached come before lines that are not.
    ordered = sorted(seen.values(), key=lambda note: (note.behind != "", note.line, note.message))
    kept, rest = ordered[:MOST], ordered[MOST:]
    kept.sort(key=lambda note: (note.line, note.message))
    if rest:
        first = min(rest, key=lambda note: note.line)
        said = f"{len(rest)} more of {check}, the first of them here"
        kept.append(Note(check, first.line, first.text, said, first.behind))
    return tuple(kept)


def _text(tree: Tree, line: int) -> str:
    return tree.lines[line - 1].strip()[:_CHARACTERS]
