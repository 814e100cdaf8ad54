"""What comes of comparing two runs, A and B: one record, which every renderer lays out.

Differences are B minus A throughout. Scores are nats, lower is better, so a difference below 0 says that B is
better. Stored as JSON with sorted keys (docs/schema/compare-1.json); null is what is unknown or undefined,
never NaN. Names may be a submission's words: every renderer makes them harmless.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from checks.contract import Status
from harness.report.model import RulesetFacts

SCHEMA_VERSION: Literal["1.0"] = "1.0"

Interval = tuple[float, float]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Side(_Part, frozen=True, kw_only=True):
    """One of the two runs, as its report has it."""

    name: str
    run_id: str
    created_utc: str
    harness_version: str
    submission_digest: str
    verdict: Status
    verdict_message: str
    ruleset: RulesetFacts
    seeds: tuple[int, ...]
    """Those that have a score."""
    nats_per_token_mean: float | None
    """Over all of them, per token of the run's own tokenizer."""
    bits_per_byte_mean: float | None
    artifact_bytes: int | None
    """Of the largest artifact."""


class Scored(_Part, frozen=True, kw_only=True):
    """The seeds of one side that are compared, in the unit of the comparison."""

    seeds: tuple[int, ...]
    nats: tuple[float, ...]
    mean: float
    std: float | None
    """n - 1 in its denominator; null for one seed."""
    bits_per_byte_mean: float


class Score(_Part, frozen=True, kw_only=True):
    """The scores of both sides and the difference of their means."""

    unit: Literal["nats/token", "nats/byte"]
    """Per byte where the tokenizers differ; the text is the same."""
    paired: bool
    """Whether each difference is of one seed: then a is subtracted from b seed by seed."""
    test: Literal["paired t", "Welch"]
    a: Scored
    b: Scored
    left_out_a: tuple[int, ...]
    """Seeds of A that B lacks, where they are paired."""
    left_out_b: tuple[int, ...]
    difference: float
    interval: Interval | None
    """Two-sided, 95%; null where the deviation is unknown or 0."""
    bits_per_byte_difference: float
    t: float | None
    df: float | None
    p_b_better: float | None
    """One-sided: how likely a difference as low as this were, if B were no better than A."""
    p_a_better: float | None
    undefined: str
    """Why there is no interval and no p, or ""."""


class Document(_Part, frozen=True, kw_only=True):
    """One document of the validation stream, nats per token of it; `number` counts from 1."""

    number: int
    first: int
    """Stream position of its first token, from 0."""
    tokens: int
    nats_a: float
    nats_b: float
    difference_nats: float
    """B minus A over the whole document, in nats."""


class Documents(_Part, frozen=True, kw_only=True):
    """The same difference document by document, each side averaged over its seeds token by token.

    The interval is over documents, for these very models: it says nothing of other seeds.
    """

    documents: int
    tokens: int
    seeds_a: tuple[int, ...]
    seeds_b: tuple[int, ...]
    difference: float
    """Nats per token over the stream."""
    interval: Interval | None
    better: int
    """Documents that B scores with fewer nats than A."""
    worse: int
    gains: tuple[Document, ...]
    """Where B saves the most nats, largest first."""
    losses: tuple[Document, ...]
    """Where B loses the most nats, largest first."""


class Figure(_Part, frozen=True, kw_only=True):
    """One figure of both runs, in `unit`; null where a run has none."""

    name: str
    unit: str
    a: float | None
    b: float | None


class Change(_Part, frozen=True, kw_only=True):
    """One thing that a report says in words and the other says otherwise; null where it is absent."""

    name: str
    a: str | None
    b: str | None


class Comparison(_Part, frozen=True, kw_only=True):
    """Everything about two runs that differs, and the difference of their scores."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    harness_version: str
    a: Side
    b: Side
    notes: tuple[str, ...]
    """What to know before the figures are believed, a sentence each."""
    score: Score | None
    """Null where a side has no score."""
    documents: Documents | None
    documents_note: str
    """Why the documents were not compared, or ""."""
    figures: tuple[Figure, ...]
    """Artifact bytes of the largest artifact, and the mean seconds of each phase."""
    findings: tuple[Change, ...]
    """Checks whose status differs."""
    guarantees: tuple[Change, ...]
    machine: tuple[Change, ...]


def encode(comparison: Comparison) -> bytes:
    """Return the comparison as JSON: indented, sorted keys, UTF-8, newline at the end."""
    return msgspec.json.format(msgspec.json.encode(comparison, order="sorted"), indent=2) + b"\n"


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `encode` returns."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"compare-{SCHEMA_VERSION.split('.')[0]}.json",
        **msgspec.json.schema(Comparison),
    }
