"""The section of report.html that shows the worst challenged positions token by token, with their text.

The text is the validation set's, cut into tokens by the data's own tokenizer. Each token stands in a frame of
its own and its spaces are marked, so that what a scorer was asked about can be seen as it saw it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from harness.report import reading
from harness.report.escape import visible
from harness.report.figures import count, figure, seed_name
from harness.report.html_parts import prose, section, table
from harness.report.markup import Child, Safe, tag
from harness.report.model import Report, SeedResult, WorstPosition

_MOST_SEEDS = 50
_PRINTED = 4
"""Folded seeds up to which paper shows them too; of more, their one line."""
_PIECE = 80
"""Characters shown of one token."""
_HEADINGS = (
    ("Position", False),
    ("Question", False),
    ("Credited, nats", True),
    ("Answered, nats", True),
    ("Gap / tolerance", True),
    ("Text", False),
)
_LEGEND = (
    "Where the challenge's answers lay furthest from what was credited. Asked before the token was shown "
    "(blind), with other tokens after it (future) or in its place (target). A gap above 0: fewer nats were "
    "credited than the answer gives. Each frame is one token of the validation text, its spaces marked; the "
    "filled one stands at the position."
)


def worst(report: Report) -> Safe | None:
    """Return the worst positions of each seed: that of the largest gap in full, the others to open."""
    seeds = [seed for seed in report.seeds if seed.worst]
    if not seeds:
        return None
    first = max(seeds, key=_widest)
    others = [seed for seed in seeds[:_MOST_SEEDS] if seed is not first]
    style = "wide-details" if len(others) <= _PRINTED else "wide-details apart"
    notes = [_LEGEND]
    if len(seeds) > _MOST_SEEDS:
        notes.append(f"{count(len(seeds), 'seed')}, the first {_MOST_SEEDS} and the worst shown.")
    if not any(position.pieces for seed in seeds for position in seed.worst):
        notes.append("The data's tokenizer could not be read, so tokens are shown as numbers.")
    return section(
        "worst",
        "Worst challenged positions",
        *(tag("p", note, class_="note") for note in notes),
        _table(first),
        *(
            tag("details", tag("summary", prose(_caption(seed))), _table(seed), class_=style)
            for seed in others
        ),
    )


def _caption(seed: SeedResult) -> str:
    """Return what a reader who opens nothing should know: how large the largest gap is."""
    tolerance = reading.tolerance([seed])
    within = "" if tolerance is None else f", tolerance {figure(tolerance)}"
    return (
        f"Seed {seed_name(seed.seed)}: {count(len(seed.worst), 'position')}, "
        f"largest gap {_short(_widest(seed))}{within}"
    )


def _widest(seed: SeedResult) -> float:
    return max(abs(_gap(position)) for position in seed.worst)


def _gap(position: WorstPosition) -> float:
    return math.inf if position.gap_nats is None else position.gap_nats


def _table(seed: SeedResult) -> Safe:
    tolerance = reading.tolerance([seed])
    rows = [_row(position, tolerance) for position in seed.worst]
    return table(prose(_caption(seed)), _HEADINGS, rows, "worst stack")


def _row(position: WorstPosition, tolerance: float | None) -> Sequence[Child]:
    answered = position.answered_nats
    return (
        figure(position.position),
        position.question,
        _short(position.credited_nats),
        "infinite" if answered is None else _short(answered),
        _against(_gap(position), tolerance),
        _text(position),
    )


def _against(gap: float, tolerance: float | None) -> Safe:
    beyond = tolerance is not None and abs(gap) > tolerance
    limit = "" if tolerance is None else f" / {figure(tolerance)}"
    return tag(
        "span", f"{_short(gap)}{limit}{' !' if beyond else ''}", class_="bad" if beyond else None
    )


def _short(nats: float) -> str:
    """Return nats with the digits that a gap is read from: 4.2919, 0.0042, 1.2e-07, infinite."""
    if math.isinf(nats):
        return "infinite"
    return f"{nats:.4f}" if 1e-4 <= abs(nats) < 1e6 or nats == 0 else f"{nats:.1e}"


def _text(position: WorstPosition) -> Safe:
    here = position.position - position.first
    shown = position.pieces or tuple(f"#{figure(token)}" for token in position.tokens)
    return tag("div", *_tokens(shown, here), tag("small", _token(position, here)), class_="tokens")


def _token(position: WorstPosition, here: int) -> str:
    """Return which token was asked about, and that it is another than the one at the position."""
    named = f"token\N{NO-BREAK SPACE}{figure(position.token)}"
    if position.tokens[here : here + 1] == (position.token,):
        return named
    piece = "" if position.piece is None else f" “{visible(position.piece, _PIECE)}”"
    return f"with {named}{piece} in its place"


def _tokens(pieces: Iterable[str], here: int) -> Iterator[Safe]:
    for index, piece in enumerate(pieces):
        yield tag(
            "mark" if index == here else "span", *_spaced(visible(piece, _PIECE)), class_="token"
        )


def _spaced(piece: str) -> Iterator[Child]:
    """Yield a token's text with each space in an element that shows it; it is copied as a space."""
    for part in re.split("( )", piece):
        yield tag("span", part, class_="space") if part.startswith(" ") else part
