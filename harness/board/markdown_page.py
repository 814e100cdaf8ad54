"""A board as Markdown: for a README, an issue, a comment; no cell can become markup."""

from __future__ import annotations

from harness.board import words
from harness.board.model import Board, Entry, LeftOut
from harness.report.escape import for_markdown
from harness.report.tables import Table, markdown

_LONG = 1200


def render_markdown(board: Board) -> str:
    """Return the whole board: entries, how they are ordered, and what is not ranked."""
    parts = [f"# {for_markdown(words.title(board))}\n"]
    parts.append(f"{for_markdown(words.summary(board))}.\n")
    headings = (("", False), *words.HEADINGS)
    rows = tuple(_row(entry, board.question.alpha) for entry in board.entries)
    if rows:
        parts.append(markdown(Table(title="Entries", headings=headings, rows=rows)))
    sentences = "".join(f"- {for_markdown(said, _LONG)}\n" for said in words.sentences(board))
    parts.append(f"## How it is ordered\n\n{sentences}")
    if board.left_out:
        left = tuple(map(_left_out, board.left_out))
        parts.append(markdown(Table(title="Not ranked", headings=words.LEFT_OUT, rows=left)))
    return "\n".join(parts)


def _row(entry: Entry, alpha: float) -> tuple[str, ...]:
    return "record" if entry.record else "", *words.cells(entry, alpha)


def _left_out(each: LeftOut) -> tuple[str, ...]:
    return each.place, each.name or words.NONE, each.reason
