"""Two runs compared: everything that `harness compare` prints, worked out of what the runs left on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness import __version__
from harness.compare import differences, documents, scores, sides
from harness.compare.model import Comparison, Documents, Score
from harness.compare.sides import Read
from harness.errors import JudgeError, UsageError
from harness.journal import read_record


class _Plan(msgspec.Struct):
    """What is needed here of run.json."""

    data_folder: str


def compare(first: Path, second: Path, *, data: Path | None = None) -> Comparison:
    """Compare two run folders, or the report.json of two.

    `data` is the data folder of the runs, where it is no longer where it was; it is read for the documents
    alone. Raises UsageError where a side is no run, where the two were scored on different texts, or where
    `data` was given and is of no use.
    """
    a, b = sides.read("A", first), sides.read("B", second)
    scale = sides.scale(a, b)
    nats_a, nats_b = sides.scores(a, scale), sides.scores(b, scale)
    score = scores.compare(nats_a, nats_b, scale) if nats_a and nats_b else None
    by_document, note = _documents(a, b, score, data)
    return Comparison(
        harness_version=__version__,
        a=sides.side(a),
        b=sides.side(b),
        notes=tuple(sides.notes(a, b, scale)),
        score=score,
        documents=by_document,
        documents_note=note,
        figures=differences.figures(a.report, b.report),
        findings=differences.findings(a.report, b.report),
        guarantees=differences.guarantees(a.report, b.report),
        machine=differences.machine(a.report, b.report),
    )


def _documents(
    a: Read, b: Read, score: Score | None, data: Path | None
) -> tuple[Documents | None, str]:
    """Return the comparison by document, or None and why."""
    if score is None:
        return None, "a side has no score"
    if score.unit != "nats/token":
        return None, "the two runs scored different streams of tokens"
    try:
        found = documents.compare(
            documents.chosen(a, score.a.seeds),
            documents.chosen(b, score.b.seeds),
            data or _data_folder(a, b),
        )
    except documents.NotThere as missing:
        if data is not None:
            raise UsageError(
                f"--data {data}: the documents cannot be compared, {missing}; leave it out"
            ) from None
        return None, str(missing)
    return found, ""


def _data_folder(a: Read, b: Read) -> Path:
    """Return the first data folder that a run names and that is still there."""
    named = []
    for read in (a, b):
        if read.folder is None:
            continue
        try:
            plan = read_record(read.folder / "run.json", _Plan)
        except (OSError, JudgeError):
            plan = None
        if plan is not None:
            named.append(Path(plan.data_folder))
    there = [folder for folder in named if folder.is_dir()]
    if not there and not named:
        raise documents.NotThere("no run.json says where the data is; name it with --data")
    return (there or named)[0]
