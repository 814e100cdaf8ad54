"""What is signed of a run: an in-toto statement over its submission, rules, data, machine and measurements.

The subjects are what the statement is about, by digest: report.json, the submission as the judge copied it,
and what each seed sealed. The predicate says who judged, by which rules, on what, with which result, and the
SHA-256 of every file that the verdict was worked out from. Where SLSA's verification summary has a field of
the same meaning its name is used (verifier, timeVerified, policy, verificationResult); its type is not: it
requires SLSA levels, of which a contest has none, and has no place for measurements.

Stored as JSON with sorted keys, so that the same run and the same second give the same bytes. The predicate's
field names are a published surface (docs/schema/statement-1.json): adding one is a minor version; a major one
gets a predicate type of its own.

Source: in-toto Attestation Framework v1 (spec/v1/statement.md); SLSA v1.0, verification_summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from checks.contract import Status
from harness import __version__
from harness.errors import UsageError
from harness.report.model import Machine, Report, SeedResult
from harness.report.versions import read_versioned
from harness.run import Plan

SCHEMA_VERSION = "1.0"
STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Literal["urn:uuid:5a0f9ee8-5514-43b8-ab8d-0a5b2290561a"] = (
    "urn:uuid:5a0f9ee8-5514-43b8-ab8d-0a5b2290561a"
)
"""Of major version 1. A UUID is a name that nobody has to own a domain for (RFC 9562)."""
VERIFIER = "pkg:generic/model-contest-harness"
"""This project as a package URL; who ran it is said by the key alone."""
OTHER = "give what `harness attest` wrote of this run"

Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Digest(_Part, frozen=True):
    """A digest set of one algorithm."""

    sha256: Sha256


class Subject(_Part, frozen=True):
    """One thing that the statement is about."""

    name: str
    """"report.json"; "submission"; "seeds/N/sealed" for what seed N sealed."""
    digest: Digest
    """Of report.json its bytes; of the others a listing, a line "SHA-256 SIZE PATH" a file, lines sorted."""


class Verifier(_Part, frozen=True, kw_only=True):
    """Which program judged."""

    id: str = VERIFIER
    version: dict[str, str]


class Policy(_Part, frozen=True):
    """The ruleset."""

    name: str
    version: str
    digest: Digest
    """Of ruleset.toml."""


class DataDigests(_Part, frozen=True):
    """What the run was trained and scored on."""

    name: str
    sha256: dict[str, Sha256]
    """Of "dataset" (dataset.json), "train", "val" and, where there are such, "tokenizer", "token_classes",
    "train_text", "val_text"."""


class BaselineDigest(_Part, frozen=True):
    """What was to be beaten."""

    name: str
    digest: Digest


class GuaranteeState(_Part, frozen=True):
    """What the sandbox held."""

    name: str
    state: Literal["enforced", "watched", "best effort", "not enforced"]
    required: bool


class SeedMeasured(_Part, frozen=True):
    """What was measured of one seed; null where it did not get that far."""

    seed: int
    nats_per_token: float | None
    bits_per_byte: float | None
    tokens: int
    bytes: int
    """UTF-8 bytes of the scored text."""
    artifact_bytes: int | None
    wall_s: dict[str, float]
    """Seconds of each phase."""


class Predicate(_Part, frozen=True, kw_only=True):
    """What is stated about the subjects."""

    schema_version: str = SCHEMA_VERSION
    verifier: Verifier
    time_verified: str = msgspec.field(name="timeVerified")
    """When it was regraded and signed, UTC; the run's own time is `created_utc`."""
    policy: Policy
    verification_result: Literal["PASSED", "FAILED"] = msgspec.field(name="verificationResult")
    """PASSED where the verdict is PASS; FAILED for all others, which `verdict` tells apart."""
    verdict: Status
    exit_code: int
    message: str
    run_id: str
    created_utc: str
    submission: str
    """Its name, in its own words."""
    data: DataDigests
    baseline: BaselineDigest | None
    machine: Machine
    guarantees: tuple[GuaranteeState, ...]
    findings: dict[str, Status]
    seeds: tuple[SeedMeasured, ...]
    nats_per_token_mean: float | None
    bits_per_byte_mean: float | None
    evidence: dict[str, Sha256]
    """SHA-256 of each file of the run's folder that the verdict is worked out from, by its path in it."""


class Statement(_Part, frozen=True, kw_only=True):
    """A whole statement: the payload of the envelope."""

    type_: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(
        name="_type", default=STATEMENT_TYPE
    )
    subject: tuple[Subject, ...]
    predicate_type: Literal["urn:uuid:5a0f9ee8-5514-43b8-ab8d-0a5b2290561a"] = msgspec.field(
        name="predicateType", default=PREDICATE_TYPE
    )
    predicate: Predicate


def state(
    report: Report, *, report_sha256: str, plan: Plan, evidence: Mapping[str, str], when_utc: str
) -> Statement:
    """Return the statement over a report, the digest of its file, what was asked, and its evidence."""
    return Statement(
        subject=(
            Subject(name="report.json", digest=Digest(sha256=report_sha256)),
            Subject(name="submission", digest=Digest(sha256=report.submission.digest)),
            *(
                Subject(
                    name=f"seeds/{seed.seed}/sealed", digest=Digest(sha256=seed.artifact_digest)
                )
                for seed in report.seeds
                if seed.artifact_digest is not None
            ),
        ),
        predicate=Predicate(
            verifier=Verifier(version={"harness": __version__}),
            time_verified=when_utc,
            policy=Policy(
                name=report.ruleset.name,
                version=report.ruleset.version,
                digest=Digest(sha256=report.ruleset.sha256),
            ),
            verification_result="PASSED" if report.verdict is Status.PASS else "FAILED",
            verdict=report.verdict,
            exit_code=report.exit_code,
            message=report.verdict_message,
            run_id=report.run_id,
            created_utc=report.created_utc,
            submission=report.submission.name,
            data=DataDigests(name=report.data.name, sha256=dict(plan.data_digests)),
            baseline=(
                BaselineDigest(
                    name=report.baseline.name, digest=Digest(sha256=report.baseline.sha256)
                )
                if report.baseline
                else None
            ),
            machine=report.machine,
            guarantees=tuple(
                GuaranteeState(name=held.name, state=held.state, required=held.required)
                for held in report.guarantees
            ),
            findings={finding.id: finding.status for finding in report.findings},
            seeds=tuple(_measured(seed) for seed in report.seeds),
            nats_per_token_mean=report.nats_per_token_mean,
            bits_per_byte_mean=report.bits_per_byte_mean,
            evidence=dict(evidence),
        ),
    )


def _measured(seed: SeedResult) -> SeedMeasured:
    return SeedMeasured(
        seed=seed.seed,
        nats_per_token=seed.nats_per_token,
        bits_per_byte=seed.bits_per_byte,
        tokens=seed.tokens,
        bytes=seed.bytes,
        artifact_bytes=seed.artifact_bytes,
        wall_s={time.phase: time.wall_s for time in seed.phases},
    )


def encode(statement: Statement) -> bytes:
    """Return the payload: JSON on one line with sorted keys, UTF-8."""
    return msgspec.json.encode(statement, order="sorted")


class _Loose(msgspec.Struct):
    type_: str = msgspec.field(name="_type")
    predicate_type: str = msgspec.field(name="predicateType")
    subject: tuple[Subject, ...]
    predicate: msgspec.Raw


def decode(data: bytes, origin: str) -> Statement:
    """Read a payload back; `origin` names it in errors.

    Raises UsageError where it is not JSON, not a statement of this type, of a newer schema, or not written as
    `encode` writes it: of a name that stands twice, readers would believe different ones.
    """
    try:
        said = msgspec.json.decode(data, type=_Loose)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{origin}: not an in-toto statement of a run ({error}); {OTHER}"
        ) from None
    for name, found, known in (
        ("_type", said.type_, STATEMENT_TYPE),
        ("predicateType", said.predicate_type, PREDICATE_TYPE),
    ):
        if found != known:
            raise UsageError(
                f"{origin}: {name} is {found[:80]!r}, and this harness reads {known}; {OTHER}, "
                "or install a newer harness"
            )
    predicate = read_versioned(
        bytes(said.predicate), Predicate, known=SCHEMA_VERSION, origin=origin
    )
    statement = Statement(subject=said.subject, predicate=predicate)
    if predicate.schema_version == SCHEMA_VERSION and encode(statement) != data:
        raise UsageError(f"{origin}: its statement is not written as harness writes it; {OTHER}")
    return statement


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `encode` returns."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"statement-{SCHEMA_VERSION.split('.')[0]}.json",
        **msgspec.json.schema(Statement),
    }
