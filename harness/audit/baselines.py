"""The table of earlier records: made from record folders, and the row that a record has to beat.

A row needs a claim that its logs give, on the record track, and a date. The pull request's number is not in
the files of a merged record; a number once entered by hand is kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from checks.published import Published, mean
from checks.published_limits import Limits
from harness.audit.contest import Row

NEAR = 0.01
"""How much worse, relatively, than the best before it a record can be: several are merged within days."""

HEAD = """\
# Records that a later one has to beat, worked out from their folders by
# `harness audit FOLDERS --write-baselines FILE`. pull_request = 0: the folder does not say it.
schema = 1
"""


def rows_of(records: Iterable[Published], limits: Limits, kept: Sequence[Row] = ()) -> list[Row]:
    """Return a row for each record that can be one, by date; pull requests are taken from `kept` rows."""
    numbers = {row.id: row.pull_request for row in kept}
    rows = []
    for record in records:
        runs = record.headline.runs
        merged = record.pull_request is None and not (
            record.track and record.track.value == "non-record"
        )
        if not merged or record.date is None or not record.headline.reproduces or not runs:
            continue
        losses = [run.score.val_loss for run in runs]
        ratio = mean([run.bytes_per_token for run in runs])
        near = min(limits.tokenizers, key=lambda t: abs((ratio or 0.0) / t.bytes_per_token - 1))
        if ratio is None or abs(ratio / near.bytes_per_token - 1) > limits.ratio_tolerance:
            continue
        seeds = [run.seed for run in runs]
        name = record.id.rpartition("/")[2]
        rows.append(
            Row(
                id=name,
                date=record.date.value,
                pull_request=numbers.get(name, 0),
                score=record.headline.name,
                seeds=tuple(seed for seed in seeds if seed is not None),
                val_bpb=tuple(run.score.val_bpb for run in runs),
                val_loss=tuple(loss for loss in losses if loss is not None),
                bytes_per_token=round(ratio, 5),
            )
        )
    return _records_only(sorted(rows, key=lambda row: (row.date, row.id)))


def _records_only(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that were near the best of their day: others are no record, whatever their track."""
    kept = []
    for row in rows:
        best = min(
            (other.mean_bpb for other in rows if other.date < row.date), default=row.mean_bpb
        )
        if row.mean_bpb <= best * (1 + NEAR):
            kept.append(row)
    return kept


def write_table(rows: Sequence[Row]) -> str:
    """Return the table as TOML."""
    parts = [HEAD]
    for row in rows:
        parts.append("\n[[record]]\n")
        for field in row.__struct_fields__:
            value = getattr(row, field)
            shown = list(value) if isinstance(value, tuple) else value
            parts.append(f"{field} = {json.dumps(shown, ensure_ascii=False)}\n")
    return "".join(parts)


def predecessor(record: Published, rows: Sequence[Row]) -> tuple[Row | None, str]:
    """Return the record that this one has to beat, and why that one: the best with an earlier date.

    A record that the claims name is mentioned and chooses nothing: contestants would choose an easy one.
    A row is the record itself where name and scores are the same.
    """
    if record.date is None:
        return None, "the record has no date"
    before = [row for row in rows if row.date < record.date.value and not _is(row, record)]
    if not before:
        return None, f"the table has no record before {record.date.value}"
    best = min(before, key=lambda row: row.mean_bpb)
    found = f"the best of the {len(before)} earlier records that the table has"
    if len(before) == 1:
        found = "the one earlier record that the table has"
    return best, found + _named(record, before, best)


def _named(record: Published, before: Sequence[Row], best: Row) -> str:
    """Return what to say of the record that the claims name, or ""."""
    claims = record.usable
    said = claims.against.best if claims else None
    if said is None or said.value <= 0:
        return ""
    row = next((row for row in before if row.pull_request == said.value), None)
    what = "that one" if row == best else f"{row.id}, which is worse" if row else "not in the table"
    return f"; {said.place} names PR #{said.value}, {what}"


def _is(row: Row, record: Published) -> bool:
    own = [run.score.val_bpb for run in record.headline.runs]
    same = len(own) == len(row.val_bpb) and all(
        abs(one - other) <= 1e-6
        for one, other in zip(sorted(own), sorted(row.val_bpb), strict=True)
    )
    return row.id == record.id.rpartition("/")[2] and same


def nats_of_row(row: Row) -> tuple[float, ...]:
    """Return a row's nats per token: as logged, else from bits per byte."""
    if len(row.val_loss) == len(row.val_bpb):
        return row.val_loss
    return tuple(value * math.log(2) * row.bytes_per_token for value in row.val_bpb)
