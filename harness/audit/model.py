"""The result of an audit: what was read, what was worked out, and what each check says, as one record.

Every number of a record has its place under the same name in `sources`; where a file states several that
differ, `ambiguous` has all of them. What is not stated is null. Field names are a published surface
(docs/schema/audit-1.json).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from checks.contract import Finding
from harness.report import plain_json

SCHEMA_VERSION: Literal["1.0"] = "1.0"

Sources = dict[str, str]
"""Field name -> "file:line"."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Candidate(_Part, frozen=True):
    """One of several values that a file states for one thing."""

    value: int | float | str
    place: str
    words: str = ""


Ambiguous = dict[str, tuple[Candidate, ...]]
"""Field name -> all values; the field itself holds the last one that was stated."""


class JsonClaims(_Part, frozen=True, kw_only=True):
    """What submission.json claims."""

    file: str | None
    strict_json: bool
    error: str | None
    claimed_val_bpb: float | None
    claimed_val_bpb_key: str | None
    claimed_val_loss: float | None
    claimed_bytes: int | None
    claimed_bytes_key: str | None
    claimed_bytes_code: int | None
    claimed_std_val_bpb: float | None
    claimed_seeds: tuple[int, ...] | None
    claimed_per_seed_val_bpb: dict[str, float] | None
    claimed_per_seed_val_loss: dict[str, float] | None
    claimed_eval_seconds: dict[str, float] | None
    bytes_per_token: float | None
    """Claimed val_loss / (ln 2 x claimed val_bpb)."""
    name: str | None
    author: str | None
    hardware: str | None
    sources: Sources
    ambiguous: Ambiguous


class HeadlineFacts(_Part, frozen=True, kw_only=True):
    """Which logged numbers the claimed score is made of."""

    rule: str
    metric_line: str | None
    reproduces_claim: bool | None
    mean_val_bpb: float | None
    mean_val_loss: float | None
    std_val_bpb: float | None
    std_val_loss: float | None
    n: int


class RunFacts(_Part, frozen=True, kw_only=True):
    """One log that the headline was made of."""

    log: str
    seed: int | None
    seed_in_file_name: int | None
    metric_line: str
    val_loss: float | None
    val_bpb: float
    counted_bytes: int | None
    counted_bytes_kind: str | None
    counted_bytes_line: str | None
    train_stop_ms: float | None
    train_stop_from: str | None
    eval_ms: float | None
    total_eval_time_s: float | None
    val_tokens: int | None
    ranks: int | None
    steps: int | None
    step_avg_ms: float | None
    hardware: str | None
    torch: str | None
    python: str | None
    cuda: str | None
    joined_logs: tuple[str, ...]
    bytes_logged: int | None
    bytes_per_token: float | None
    scored_bytes: int | None
    sources: Sources
    ambiguous: Ambiguous


class ScoreFacts(_Part, frozen=True, kw_only=True):
    """One score that a log states at its end."""

    line: str
    """Its name: the words in front."""
    val_loss: float | None
    val_bpb: float
    eval_ms: float | None
    bytes_per_token: float | None
    place: str


class LogFacts(_Part, frozen=True, kw_only=True):
    """One log, or one training of several in a log."""

    log: str
    sha256: str
    problem: str
    seed_logged: int | None
    seed_in_file_name: int | None
    encoding: str
    counted_bytes: int | None
    train_stop_ms: float | None
    total_eval_time_s: float | None
    val_tokens: int | None
    ranks: int | None
    final_metrics: tuple[ScoreFacts, ...]
    sources: Sources
    ambiguous: Ambiguous


class Verdicts(_Part, frozen=True, kw_only=True):
    """The findings in single words, for tables and programs; null where there was nothing to judge."""

    json_vs_logs: str | None
    json_val_loss_vs_logs: str | None
    json_bytes_vs_logs: str | None
    cap: str | None
    train_time_strict: str | None
    train_time_grace_1s: str | None
    eval_time: str | None
    fingerprint: str | None
    seeds: tuple[str, ...]
    claimed_seeds_without_log: tuple[int, ...]
    statistics: dict[str, Any] | None


class SourceNote(_Part, frozen=True, kw_only=True):
    """A line of a script that a reviewer should look at; never a verdict."""

    id: str
    severity: Literal["note"] = "note"
    """Of each of them: no exit code and no status hangs on one."""
    file: str
    layer: str
    """"" for the file itself, else how the layer was unwrapped."""
    line: int
    text: str
    message: str
    behind: str
    """A flag that is off by default and without which the line is never reached, or ""."""


class Problem(_Part, frozen=True, kw_only=True):
    """A file that could not be read, or not whole."""

    file: str
    message: str


class Audited(_Part, frozen=True, kw_only=True):
    """One record folder."""

    id: str
    date: str | None
    track: str
    """By the contest's name; assumed to be the record track where nothing says it, and then ambiguous."""
    pull_request: int | None
    json: JsonClaims
    headline: HeadlineFacts
    runs: tuple[RunFacts, ...]
    other_logs: tuple[str, ...]
    logs: tuple[LogFacts, ...]
    logs_over_cap: tuple[str, ...]
    logs_over_600s_train: tuple[str, ...]
    logs_over_600s_eval: tuple[str, ...]
    max_counted_bytes: int | None
    """This and the next three: over the runs behind the claim, or over all logs where there are none."""
    max_train_stop_ms: float | None
    max_eval_s: float | None
    ranks: tuple[int, ...]
    tokenizer_by_ratio: str | None
    scripts: dict[str, int]
    artifacts: dict[str, int]
    verdicts: Verdicts
    findings: tuple[Finding, ...]
    source_notes: tuple[SourceNote, ...]
    problems: tuple[Problem, ...]
    sources: Sources
    ambiguous: Ambiguous


class Audit(_Part, frozen=True, kw_only=True):
    """All folders of one call, in the order in which they were found."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    harness_version: str
    contest: str
    rulesets: tuple[str, ...]
    """The first decides."""
    folders: tuple[Audited, ...]
    exit_code: int


def encode(audit: Audit) -> bytes:
    """Return JSON: keys sorted, two spaces, a line feed at the end.

    Halves of surrogate pairs, which names of files may hold and UTF-8 may not, appear as their escapes.
    Raises ValueError for NaN and infinity, which no reader lets through.
    """
    return plain_json.encode(audit)


def check_encodable(folder: Audited) -> None:
    """Raise TypeError or ValueError where a folder cannot be written, before it takes the others along."""
    plain_json.refuse_what_json_cannot_hold(msgspec.to_builtins(folder))


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `encode` returns."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"audit-{SCHEMA_VERSION.split('.')[0]}.json",
        **msgspec.json.schema(Audit),
    }
