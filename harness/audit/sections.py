"""What is shown of an audit, as titled tables of words: every renderer lays out these and adds nothing.

Words here are as the files have them; each renderer makes them harmless for where they go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from checks.contract import Finding, Status
from harness.audit.model import Audit, Audited, Candidate, RunFacts

NONE = "–"
FINDINGS = "Findings"
_FIRST = (Status.FAIL, Status.ERROR, Status.PASS, Status.NOT_RUN)

_CLAIM = {
    "claims.score": "claimed_val_bpb",
    "claims.rounding": "claimed_val_bpb",
    "claims.loss": "claimed_val_loss",
    "claims.deviation": "claimed_std_val_bpb",
    "claims.bytes": "claimed_bytes",
    "claims.code": "claimed_bytes_code",
    "claims.seeds": "claimed_seeds",
}
_LOGGED = {
    "claims.score": "val_bpb",
    "claims.rounding": "val_bpb",
    "claims.loss": "val_loss",
    "claims.deviation": "val_bpb",
    "claims.bytes": "counted_bytes",
    "claims.seeds": "seed",
    "claims.steps": "steps",
    "claims.ratio": "val_bpb",
    "evidence.train": "train_stop_ms",
    "evidence.score": "eval_ms",
    "evidence.bytes": "counted_bytes",
    "evidence.seeds": "seed",
    "evidence.margin": "val_bpb",
}
"""Which fields a check compares: where a reader has to look."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table: headings with whether numbers stand under them, and rows of words, each with a status."""

    title: str
    headings: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[Status | None, tuple[str, ...]], ...]
    note: str = ""


SORTS: dict[str, Callable[[Audited], Any]] = {
    "id": lambda folder: folder.id,
    "date": lambda folder: folder.date or "",
    "claimed": lambda folder: _or_last(folder.json.claimed_val_bpb),
    "logs": lambda folder: _or_last(folder.headline.mean_val_bpb),
    "train": lambda folder: -(folder.max_train_stop_ms or 0.0),
    "eval": lambda folder: -(folder.max_eval_s or 0.0),
    "bytes": lambda folder: -(folder.max_counted_bytes or 0),
    "fails": lambda folder: -len(fails(folder)),
}
"""The keys that a table can be sorted by; ties stay in the order of the folders."""


def fails(folder: Audited) -> list[str]:
    """Return the ids of the findings that are FAIL or ERROR."""
    return [f.id for f in folder.findings if f.status in (Status.FAIL, Status.ERROR)]


def table(audit: Audit, sort: str = "id") -> Section:
    """Return one row a folder."""
    headings = (
        ("record", False),
        ("claimed", True),
        ("logs' mean", True),
        ("n", True),
        ("train s", True),
        ("eval s", True),
        ("bytes", True),
        ("bytes/token", True),
        ("p", True),
        ("findings", False),
    )
    rows = tuple((worst_of(f), _row(f)) for f in sorted(audit.folders, key=SORTS[sort]))
    count = Counter(str(status) for status, _ in rows)
    note = ", ".join(f"{number} {status}" for status, number in sorted(count.items()))
    return Section(f"{len(rows)} records", headings, rows, note)


def _row(folder: Audited) -> tuple[str, ...]:
    runs = folder.runs
    ratios = [run.bytes_per_token for run in runs if run.bytes_per_token is not None]
    stops = [run.train_stop_ms for run in runs if run.train_stop_ms is not None]
    sizes = [run.counted_bytes for run in runs if run.counted_bytes is not None]
    statistics = folder.verdicts.statistics or {}
    return (
        folder.id,
        number(folder.json.claimed_val_bpb, 5),
        number(folder.headline.mean_val_bpb, 5),
        str(folder.headline.n),
        number(max(stops) / 1e3 if stops else None, 3),
        number(folder.max_eval_s, 1),
        f"{max(sizes):,}" if sizes else NONE,
        number(ratios[0] if ratios else folder.json.bytes_per_token, 3),
        probability(statistics.get("p_margin")),
        ", ".join(fails(folder)) or _open(folder),
    )


def _open(folder: Audited) -> str:
    return (
        "agrees"
        if folder.headline.reproduces_claim
        else f"nothing to hold it to ({folder.headline.rule})"
    )


def page(folder: Audited) -> list[Section]:
    """Return everything about one folder."""
    parts = [
        _findings(folder),
        _runs(folder),
        _scores(folder),
        _ambiguous(folder),
        _notes(folder),
        _problems(folder),
    ]
    return [part for part in parts if part.rows]


def facts(folder: Audited) -> list[tuple[str, str]]:
    """Return what stands above the tables: a line a fact."""
    claims, head = folder.json, folder.headline
    stated = [
        ("name", claims.name or NONE),
        ("author", claims.author or NONE),
        ("date", folder.date or NONE),
        ("track", folder.track + (" (assumed)" if "track" in folder.ambiguous else "")),
        ("claimed", _claimed(folder)),
        ("headline", f"{head.rule}: {head.metric_line}" if head.metric_line else head.rule),
        (
            "hardware",
            next((run.hardware for run in folder.runs if run.hardware), None)
            or claims.hardware
            or NONE,
        ),
        ("versions", _versions(folder.runs)),
    ]
    return [(name, value) for name, value in stated if value != NONE]


def _claimed(folder: Audited) -> str:
    claims = folder.json
    if claims.error and not claims.sources:
        return f"nothing that can be read ({claims.error})"
    parts = [
        f"{claims.claimed_val_bpb:g} bits per byte" if claims.claimed_val_bpb is not None else "",
        f"{claims.claimed_val_loss:g} nats per token"
        if claims.claimed_val_loss is not None
        else "",
        f"{claims.claimed_bytes:,} bytes" if claims.claimed_bytes is not None else "",
        f"seeds {', '.join(map(str, claims.claimed_seeds))}" if claims.claimed_seeds else "",
    ]
    return ", ".join(part for part in parts if part) or NONE


def _versions(runs: Sequence[RunFacts]) -> str:
    found = [
        f"{name} {value}"
        for name in ("torch", "python", "cuda")
        for value in dict.fromkeys(getattr(run, name) for run in runs)
        if value
    ]
    return ", ".join(found) or NONE


def _findings(folder: Audited) -> Section:
    headings = (
        ("check", False),
        ("status", False),
        ("claim or limit", True),
        ("recomputed", True),
        ("source", False),
        ("finding", False),
    )
    rows = tuple(
        (
            finding.status,
            (
                finding.id,
                str(finding.status),
                _figure(finding, finding.limit),
                _figure(finding, finding.measured),
                where(folder, finding),
                finding.message,
            ),
        )
        for finding in sorted(folder.findings, key=lambda finding: _FIRST.index(finding.status))
    )
    return Section(FINDINGS, headings, rows)


def where(folder: Audited, finding: Finding) -> str:
    """Return the places that a finding compares: the claim's, and the first of the logs'; "" for none."""
    claim, logged = places(folder, finding)
    more = f" and {len(logged) - 1} more" if len(logged) > 1 else ""
    return "; ".join(part for part in (claim, logged[0] + more if logged else "") if part)


def places(folder: Audited, finding: Finding) -> tuple[str, list[str]]:
    """Return the claim's place, "" for none, and those of the logged values that a finding compares."""
    if finding.measured is None and finding.limit is None and finding.status is Status.NOT_RUN:
        return "", []
    field = _LOGGED.get(finding.id, "")
    logged = [run.sources[field] for run in folder.runs if field in run.sources]
    if finding.id == "evidence.score":
        logged = [
            run.sources["total_eval_time_s"]
            for run in folder.runs
            if "total_eval_time_s" in run.sources
        ] or logged
    return folder.json.sources.get(_CLAIM.get(finding.id, ""), ""), logged


def _figure(finding: Finding, value: float | None) -> str:
    if value is None:
        return NONE
    if finding.unit in ("bytes", "seeds", "copies"):
        return f"{value:,.0f}"
    if finding.unit == "p":
        return probability(value)
    return number(value, {"s": 3, "bytes/token": 4}.get(finding.unit, 6))


def _runs(folder: Audited) -> Section:
    headings = (
        ("log", False),
        ("seed", True),
        ("nats/token", True),
        ("bits/byte", True),
        ("bytes", True),
        ("train s", True),
        ("eval s", True),
        ("tokens", True),
        ("steps", True),
    )
    rows = tuple(
        (
            None,
            (
                run.log + (f" + {', '.join(run.joined_logs)}" if run.joined_logs else ""),
                str(run.seed) if run.seed is not None else NONE,
                number(run.val_loss, 8),
                number(run.val_bpb, 8),
                f"{run.counted_bytes:,}" if run.counted_bytes is not None else NONE,
                number(run.train_stop_ms / 1e3 if run.train_stop_ms is not None else None, 3),
                number(
                    run.total_eval_time_s
                    if run.total_eval_time_s is not None
                    else (run.eval_ms / 1e3 if run.eval_ms is not None else None),
                    1,
                ),
                f"{run.val_tokens:,}" if run.val_tokens is not None else NONE,
                f"{run.steps:,}" if run.steps is not None else NONE,
            ),
        )
        for run in folder.runs
    )
    return Section(f"Runs behind the claim ({folder.headline.metric_line})", headings, rows)


def _scores(folder: Audited) -> Section:
    """Return the statistics of every score that the runs have in common."""
    statistics = folder.verdicts.statistics or {}
    headings = (
        ("score", False),
        ("mean nats/token", True),
        ("mean bits/byte", True),
        ("improvement", True),
        ("p one-sample", True),
        ("p Welch", True),
    )
    rows = tuple(
        (
            None,
            (
                reading["score"],
                number(reading["mean_nats"], 7),
                number(reading["mean_bpb"], 7),
                number(reading["improvement_nats"], 5),
                probability(reading["p_one_sample"]),
                probability(reading["p_welch"]),
            ),
        )
        for reading in statistics.get("by_score", ())
    )
    margin = statistics.get("margin_nats", 0.0)
    note = (
        f"Against {statistics.get('against')}, in nats per token of its tokenizer; p for an improvement of "
        f"more than {margin:g}."
    )
    return Section("Each score against the record before", headings, rows, note)


def _candidate(candidate: Candidate) -> str:
    where_from = candidate.words if candidate.place == "." else candidate.place
    return f"{candidate.value} ({where_from})" if where_from else f"{candidate.value}"


def _ambiguous(folder: Audited) -> Section:
    rows = [
        (None, (holder, field, ", ".join(_candidate(c) for c in candidates[:6])))
        for holder, fields in (
            ("record", folder.ambiguous),
            ("submission.json", folder.json.ambiguous),
            *((run.log, run.ambiguous) for run in folder.runs),
        )
        for field, candidates in fields.items()
    ]
    return Section(
        "Ambiguous: what else it may be; the last of each row is used",
        (("in", False), ("field", False), ("candidates", False)),
        tuple(rows),
    )


def _notes(folder: Audited) -> Section:
    rows = tuple(
        (
            None,
            (
                f"{note.layer or note.file}:{note.line}",
                note.id,
                note.message + (f" [dead unless {note.behind}]" if note.behind else ""),
                note.text,
            ),
        )
        for note in folder.source_notes
    )
    return Section(
        "Lines to look at (advisory, no verdict)",
        (("line", False), ("note", False), ("why", False), ("text", False)),
        rows,
    )


def _problems(folder: Audited) -> Section:
    rows = tuple((None, (problem.file, problem.message)) for problem in folder.problems)
    return Section("Not read", (("file", False), ("why", False)), rows)


def probability(value: float | None) -> str:
    """Return a p-value with four decimals; a smaller one is not 0."""
    return "<0.0001" if value is not None and value < 0.0001 else number(value, 4)


def number(value: float | None, digits: int) -> str:
    """Return a number with a fixed count of decimals, or a dash."""
    return NONE if value is None else f"{value:.{digits}f}"


def worst_of(folder: Audited) -> Status:
    """Return the status that decides a folder."""
    statuses = {finding.status for finding in folder.findings}
    order = (Status.FAIL, Status.ERROR, Status.NOT_RUN)
    return next((status for status in order if status in statuses), Status.PASS)


def _or_last(value: float | None) -> float:
    return 1e9 if value is None else value
