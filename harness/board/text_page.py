"""A board for a terminal: two or three lines an entry, so that it can be read at 80 columns.

Loads rich: import this module inside a function.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.board import words
from harness.board.model import Board, Entry, LeftOut
from harness.report.escape import for_terminal
from harness.report.figures import count
from harness.report.text import WIDTH

_NAME, _LINE, _LONG = 80, 400, 1200
_NARROWEST = 60


def render_text(board: Board, console: Console) -> str:
    """Return the text for a console: in colour if it is one with colours, else plain.

    A pipe gets lines of at least 100 characters. Where the output cannot write a character, its escape is
    written.
    """
    console.width = max(console.width, _NARROWEST if console.is_terminal else WIDTH)
    with console.capture() as captured:
        for part in _parts(board):
            console.print(part, highlight=False, markup=False, emoji=False)
    lines = (line.rstrip() for line in captured.get().splitlines())
    text = "\n".join(lines).strip("\n") + "\n"
    return text.encode(console.encoding, "backslashreplace").decode(console.encoding)


def _parts(board: Board) -> Iterator[RenderableType]:
    yield Text(for_terminal(words.title(board), _LINE), style="bold", overflow="fold")
    yield Text(words.summary(board), style="dim")
    for entry in board.entries:
        yield Text("")
        yield from _entry(entry, board.question.alpha)
    if board.left_out:
        yield Text("")
        yield Text("Not ranked", style="bold")
        for each in board.left_out:
            yield Padding(_left_out(each), (0, 0, 0, 2))
    yield Text("")
    for said in words.sentences(board):
        yield Text(for_terminal(said, _LONG), style="dim", overflow="fold")


def _entry(entry: Entry, alpha: float) -> Iterator[RenderableType]:
    style = "bold green" if entry.record else "bold"
    yield Text.assemble(
        (f"{entry.rank:>3}  ", style),
        (for_terminal(entry.name, _NAME), style),
        ("  ", ""),
        (f"{words.score(entry)} nats/token", ""),
        overflow="fold",
    )
    p = "" if entry.p is None else f", p = {words.probability(entry, alpha)}"
    yield _below(f"{words.standing(entry)}{p}")
    _, _, authors, _, bits, size, _, _, date, ruleset, signed = words.cells(entry, alpha)
    parts = (f"{bits} bits/byte", f"{size} bytes", count(len(entry.seeds), "seed"), date, ruleset)
    yield _below(" · ".join(parts))
    yield _below(
        "; ".join((*_by(entry, authors), f"signed by {signed if entry.signed_by else 'nobody'}"))
    )
    if entry.notes:
        yield _below(words.remarks(entry))


def _by(entry: Entry, authors: str) -> Iterator[str]:
    if entry.authors:
        yield f"by {authors}"


def _below(text: str) -> RenderableType:
    return Padding(Text(for_terminal(text, _LINE), style="dim", overflow="fold"), (0, 0, 0, 5))


def _left_out(each: LeftOut) -> Text:
    name = f" ({for_terminal(each.name, _NAME)})" if each.name else ""
    reason = for_terminal(each.reason, _LINE)
    return Text(f"{for_terminal(each.place, _NAME)}{name}: {reason}", overflow="fold")
