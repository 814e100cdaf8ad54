"""The result of a run: one record, which every renderer reads and report.json holds.

Stored and read back by msgspec with sorted keys, so equal runs give equal bytes. There is no NaN and no
infinity anywhere: what was not measured is null. Field names are a published surface (docs/schema/); adding
one is a minor version, changing one a major.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from checks.contract import Finding, PhaseTime, Status
from harness.report.versions import read_versioned
from harness.ruleset import Ruleset

SCHEMA_VERSION = "1.1"
"""1.1: `SeedResult.worst`."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class RulesetFacts(_Part, frozen=True):
    """Which rules, exactly."""

    name: str
    version: str
    title: str
    sha256: str
    """Of the TOML file's bytes."""


def ruleset_facts(ruleset: Ruleset, sha256: str) -> RulesetFacts:
    """Return which rules a ruleset is; `sha256` is of its file's bytes."""
    return RulesetFacts(
        name=ruleset.name, version=ruleset.version, title=ruleset.title, sha256=sha256
    )


class SubmissionFacts(_Part, frozen=True):
    """What was judged."""

    name: str
    authors: tuple[str, ...]
    summary: str
    digest: str
    """SHA-256 over names and contents of the submission's folder as it was copied."""
    files: int
    size_bytes: int


class DataFacts(_Part, frozen=True):
    """Which text; the judge owns it."""

    name: str
    folder: str
    """Last component of the data folder's path; a report names no path of the machine."""
    vocab_size: int
    tokenizer_sha256: str | None
    train_tokens: int
    train_text_bytes: int | None
    train_sha256: str
    val_tokens: int
    val_text_bytes: int
    val_sha256: str
    """Of the shards' digests, in order."""
    val_text_sha256: str | None
    own: bool
    """Whether this is the data that the ruleset names by digest."""


class BaselineFacts(_Part, frozen=True):
    """What was to be beaten."""

    name: str
    date: str
    source: str
    sha256: str
    seeds: tuple[int, ...]
    nats_per_token: tuple[float, ...]
    bytes_per_token: float


class Guarantee(_Part, frozen=True):
    """One thing the sandbox promises, and whether it is held on this machine."""

    name: str
    state: Literal["enforced", "watched", "best effort", "not enforced"]
    means: str
    required: bool


class Machine(_Part, frozen=True):
    """What it ran on; null means "not measured", never zero."""

    system: str
    cpu: str | None
    cores: int
    memory_gb: float | None
    gpus: tuple[str, ...]
    python: str
    packages: dict[str, str]
    """Versions of the packages that matter, where installed."""


class ArtifactFile(_Part, frozen=True):
    """One counted file."""

    path: str
    size_bytes: int
    sha256: str
    origin: str


class WorstPosition(_Part, frozen=True, kw_only=True):
    """A position whose challenge answer lay among the furthest from what was credited, and its text."""

    position: int
    question: Literal["blind", "future", "target"]
    token: int
    """What was asked about: the token at the position, or for "target" perhaps a substitute of it."""
    piece: str | None
    """The text of that token; null where the data's tokenizer could not be read."""
    credited_nats: float
    """Nats that `score` gave to the token; for a substitute, with it in the place of the true one."""
    answered_nats: float | None
    """Nats it should have had by the answer; null is infinite: probability 0."""
    gap_nats: float | None
    """Answered less credited; null is infinite."""
    first: int
    """Stream position of the first of `tokens`."""
    tokens: tuple[int, ...]
    """The stream around the position, which is in it: at most 12 before, and 4 after."""
    pieces: tuple[str, ...]
    """The text of each of `tokens`; empty where the data's tokenizer could not be read."""


class SeedResult(_Part, frozen=True, kw_only=True):
    """One seed, from start to end; null where a phase did not get that far."""

    seed: int
    nats_per_token: float | None
    bits_per_byte: float | None
    tokens: int
    """Credited tokens."""
    bytes: int
    """UTF-8 bytes of the scored text: the denominator of bits per byte."""
    artifact_bytes: int | None
    artifact_digest: str | None
    artifact_files: tuple[ArtifactFile, ...]
    phases: tuple[PhaseTime, ...]
    challenge_seed: str | None
    challenges: dict[str, int]
    """Questions answered, by kind."""
    curve: tuple[tuple[int, float], ...] = ()
    """Credited loss over the stream: (tokens so far, nats per token of that stretch), at most 200 points."""
    blind: tuple[tuple[float, float], ...] = ()
    """(credited, blind) nats of the blind challenges whose nats are finite, at most 2,000 points."""
    worst: tuple[WorstPosition, ...] = ()
    """Positions whose answers lay furthest from what was credited, the furthest first, at most 12."""
    findings: tuple[Finding, ...] = ()


class Report(_Part, frozen=True, kw_only=True):
    """A whole run."""

    schema_version: str = SCHEMA_VERSION
    harness_version: str
    run_id: str
    created_utc: str
    verdict: Status
    """PASS; FAIL (a rule is broken); ERROR (the judge could not tell); NOT-RUN (undecided: a required
    check could not be judged)."""
    verdict_message: str
    exit_code: int
    ruleset: RulesetFacts
    submission: SubmissionFacts
    data: DataFacts
    baseline: BaselineFacts | None
    machine: Machine
    guarantees: tuple[Guarantee, ...]
    findings: tuple[Finding, ...]
    """One for each check, over all seeds, in report order."""
    required: tuple[str, ...]
    """Ids of the checks that the ruleset requires."""
    seeds: tuple[SeedResult, ...]
    nats_per_token_mean: float | None
    bits_per_byte_mean: float | None
    challenge_seed: dict[str, str]
    """Seed -> the secret its questions were drawn from, published now that the run is over."""
    wall_s: float
    attempts: int
    """1, and one more for every resume."""


def encode(report: Report) -> bytes:
    """Return report.json: indented, sorted keys, UTF-8, newline at the end."""
    return msgspec.json.format(msgspec.json.encode(report, order="sorted"), indent=2) + b"\n"


def decode(data: bytes, origin: str = "report.json") -> Report:
    """Read report.json of this schema or an older minor of it back; `origin` names it in errors.

    Raises UsageError where it is none, or of a newer schema than this one.
    """
    return read_versioned(data, Report, known=SCHEMA_VERSION, origin=origin)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of report.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"report-{SCHEMA_VERSION.split('.')[0]}.json",
        **msgspec.json.schema(Report),
    }
