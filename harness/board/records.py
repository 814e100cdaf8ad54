"""Which entries were records: taken by date, each against the record that stood when it came.

The first has to beat the ruleset's own baseline, where that was measured on this text. Test, margin, null
hypothesis, alpha and the least number of seeds are the ruleset's; the margin is in nats per token of one
tokenizer throughout, so that the bar does not move with the tokenizer of whoever came last.

Source: the contest's README ("records are accepted by creation time") and, for its later board, issue #1902.

Does not catch: a date that the machine's clock gave wrongly, and what checks.stats_margin says of its tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from checks.contract import Margin
from checks.stats_margin import describe, readings


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Whose scores, and nats per token of each seed, of the board's tokenizer."""

    name: str
    nats_S: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Whether an entry was a record, and what it was compared with; fields as in board.model.Entry."""

    record: bool
    against: str | None
    p: float | None
    why: str


def chain(by_date: Iterable[Scores], bar: Scores | None, margin: Margin) -> list[Judged]:
    """Return one verdict an entry, in the order given, which must be that of their dates."""
    standing, judged = bar, []
    for entry in by_date:
        verdict = _judge(entry, standing, margin)
        judged.append(verdict)
        if verdict.record:
            standing = entry
    return judged


def _judge(entry: Scores, before: Scores | None, margin: Margin) -> Judged:
    count = len(entry.nats_S)
    few = "" if count >= margin.min_seeds else f"the ruleset asks for {margin.min_seeds} seeds"
    if before is None:
        return Judged(record=not few, against=None, p=None, why=few or "no record before it")
    if count < 2:
        return Judged(record=False, against=before.name, p=None, why="one seed has no interval")
    reading = readings(describe(entry.nats_S), describe(before.nats_S), margin)[0]
    if reading.p is None:
        return Judged(record=False, against=before.name, p=None, why=reading.undefined)
    reached = reading.p < margin.alpha
    return Judged(record=reached and not few, against=before.name, p=reading.p, why=few)
