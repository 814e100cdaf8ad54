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
    """Return the record that this one has to beat, and why that one.

    The one that submission.json names, if the table has it; else the best of those with an earlier date. A
    record is not its own predecessor.
    """
    own = record.id.rpartition("/")[2]
    others = [row for row in rows if row.id != own]
    named = record.claims.against.best if record.claims and not record.claims.mended else None
    if named is not None and named.value > 0:
        for row in others:
            if row.pull_request == named.value:
                return row, f"{named.place} names PR #{named.value} ({named.words})"
    if record.date is None:
        return None, "the record has no date, and names none that the table has"
    before = [row for row in others if row.date < record.date.value]
    if not before:
        return None, f"the table has no record before {record.date.value}"
    best = min(before, key=lambda row: row.mean_bpb)
    return best, f"best of the {len(before)} records before {record.date.value} in the table"


def nats_of_row(row: Row) -> tuple[float, ...]:
    """Return a row's nats per token: as logged, else from bits per byte."""
    if len(row.val_loss) == len(row.val_bpb):
        return row.val_loss
    return tuple(value * math.log(2) * row.bytes_per_token for value in row.val_bpb)
