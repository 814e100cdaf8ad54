"""A leaderboard as a record: what is ranked, by what, and what is not and why; every renderer lays it out.

Stored as JSON with sorted keys (docs/schema/board-1.json). It holds no date of its making, so equal runs give
equal bytes. Names are the submissions' words: every renderer makes them harmless.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from harness.report.model import RulesetFacts

SCHEMA_VERSION: Literal["1.0"] = "1.0"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Key(_Part, frozen=True, kw_only=True):
    """A key that was given and whose signature verified."""

    file: str
    """Name of the file it was read from."""
    keyid: str
    """SHA-256 of the DER public key, hexadecimal."""


class Question(_Part, frozen=True, kw_only=True):
    """What a record has to show, from the ruleset."""

    test: Literal["welch", "one-sample"]
    margin_nats: float
    margin_in_null: bool
    alpha: float
    min_seeds: int


class Bar(_Part, frozen=True, kw_only=True):
    """What the first record has to beat: the ruleset's own baseline."""

    name: str
    date: str
    seeds: int
    nats_per_token_mean: float


class Entry(_Part, frozen=True, kw_only=True):
    """One verified run that passed."""

    rank: int
    name: str
    authors: tuple[str, ...]
    run_id: str
    submission_digest: str
    created_utc: str
    seeds: tuple[int, ...]
    nats_per_token_mean: float
    """Per token of the board's tokenizer; see `Board.bytes_per_token`."""
    interval: tuple[float, float] | None
    """Of the mean, two-sided, 95%; null where the deviation is unknown or 0."""
    bits_per_byte_mean: float | None
    artifact_bytes: int | None
    """Of the largest artifact."""
    record: bool
    """Whether it beat the record before it, or the bar, as the ruleset asks."""
    against: str | None
    """The record before it by date; null where there was none."""
    p: float | None
    """One-sided, by the ruleset's test against that record; null where it is undefined."""
    why: str
    """Why there is no p, or what beside p keeps it from being a record, or ""."""
    ruleset: RulesetFacts
    signed_by: tuple[Key, ...]
    notes: tuple[str, ...] = ()


class LeftOut(_Part, frozen=True, kw_only=True):
    """One run that is not ranked, and why."""

    place: str
    """As it was named on the command line, below the folder that was given."""
    name: str | None
    run_id: str | None
    reason: str


class Board(_Part, frozen=True, kw_only=True):
    """The whole board: entries by score, lowest first, then by date."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    harness_version: str
    ruleset: RulesetFacts
    question: Question
    text_sha256: str | None
    """Of the validation text on which all entries were scored; null where nothing is ranked."""
    bytes_per_token: float | None
    """Of the tokenizer whose tokens the scores are per: the baseline's, else the earliest entry's."""
    keys: tuple[Key, ...]
    """Those that were given; without any, nobody vouches for where a run came from."""
    bar: Bar | None
    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]


def encode(board: Board) -> bytes:
    """Return the board as JSON: indented, sorted keys, UTF-8, newline at the end."""
    return msgspec.json.format(msgspec.json.encode(board, order="sorted"), indent=2) + b"\n"


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `encode` returns."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"board-{SCHEMA_VERSION.split('.')[0]}.json",
        **msgspec.json.schema(Board),
    }
