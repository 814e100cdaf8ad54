"""The two runs as they are read, the unit in which their scores can be compared, and what to know before.

Scores of one text can be compared, of two texts never. On one stream of tokens they are compared per token,
on two streams of the same text per byte.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from checks.contract import Status
from harness.compare.model import Side
from harness.compare.scores import Scale
from harness.errors import UsageError
from harness.report.escape import for_terminal
from harness.report.figures import count
from harness.report.model import Report, SeedResult, decode
from harness.report.reading import largest_artifact

FILE = "report.json"
LARGEST_NATS = 1e6
"""A score above is none; below, no sum or square leaves what a float holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One side: its report, where it came from, and its run folder if that is what was named."""

    label: str
    path: Path
    folder: Path | None
    report: Report

    @property
    def scored(self) -> tuple[SeedResult, ...]:
        """Return the seeds that have a score."""
        return tuple(seed for seed in self.report.seeds if seed.nats_per_token is not None)


def read(label: str, path: Path) -> Read:
    """Read a run folder or a report.json.

    Raises UsageError where it is neither, of a newer schema, or holds what no run can have measured.
    """
    folder = path if path.is_dir() else None
    file = path / FILE if folder else path
    if not file.is_file():
        kind = "no report.json in there" if folder else "no such file"
        raise UsageError(f"{path}: {kind}; name a run folder that has a report, or a report.json")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; make it readable") from None
    report = decode(data, str(file))
    fault = _fault(report)
    if fault:
        raise UsageError(f"{file}: {fault}; have it written again with `harness report`")
    return Read(label=label, path=path, folder=folder, report=report)


def _fault(report: Report) -> str:
    """Return what makes the report's scores impossible, or ""."""
    seeds = [seed.seed for seed in report.seeds]
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    if twice is not None:
        return f"seed {twice} is in it twice"
    for seed in report.seeds:
        if seed.nats_per_token is None:
            continue
        if not 0 <= seed.nats_per_token <= LARGEST_NATS:
            return f"seed {seed.seed} has {seed.nats_per_token:g} nats per token, which is no score"
        if not (0 < seed.tokens <= 1 << 53 and 0 < seed.bytes <= 1 << 53):
            return f"seed {seed.seed} has {seed.tokens:,} tokens and {seed.bytes:,} bytes"
        if (seed.tokens, seed.bytes) != (report.data.val_tokens, report.data.val_text_bytes):
            return f"seed {seed.seed} was not scored on the whole text that the report names"
    return ""


def side(read: Read) -> Side:
    """Return what is shown of a run."""
    report, largest = read.report, largest_artifact(read.report)
    return Side(
        name=report.submission.name,
        run_id=report.run_id,
        created_utc=report.created_utc,
        harness_version=report.harness_version,
        submission_digest=report.submission.digest,
        verdict=report.verdict,
        verdict_message=report.verdict_message,
        ruleset=report.ruleset,
        seeds=tuple(seed.seed for seed in read.scored),
        nats_per_token_mean=report.nats_per_token_mean,
        bits_per_byte_mean=report.bits_per_byte_mean,
        artifact_bytes=largest.artifact_bytes if largest else None,
    )


def scale(a: Read, b: Read) -> Scale:
    """Return the unit in which the scores are compared.

    Raises UsageError where they are of two texts, or where nothing says that the text is one.
    """
    one, other = a.report.data, b.report.data
    same_stream = one.val_sha256 == other.val_sha256
    digests = one.val_text_sha256, other.val_text_sha256
    if None not in digests and digests[0] != digests[1]:
        raise UsageError(
            f"{a.path} and {b.path}: not comparable, scored on two texts (val_text_sha256 "
            f"{_short(digests[0])} and {_short(digests[1])}); name two runs on one text"
        )
    if None in digests and not same_stream:
        raise UsageError(
            f"{a.path} and {b.path}: not comparable, scored on two streams of tokens (val_sha256 "
            f"{_short(one.val_sha256)} and {_short(other.val_sha256)}) and not both have the text's "
            "digest; name two runs on one text"
        )
    if one.val_text_bytes != other.val_text_bytes or (
        same_stream and one.val_tokens != other.val_tokens
    ):
        raise UsageError(
            f"{a.path} and {b.path}: not comparable, they count one text as {one.val_text_bytes:,} and "
            f"{other.val_text_bytes:,} bytes, {one.val_tokens:,} and {other.val_tokens:,} tokens; "
            "look at score.bytes of both"
        )
    if same_stream:
        bits = one.val_tokens / max(one.val_text_bytes, 1) / math.log(2)
        return Scale(unit="nats/token", bits_per_byte=bits)
    return Scale(unit="nats/byte", bits_per_byte=1 / math.log(2))


def scores(read: Read, scale: Scale) -> dict[int, float]:
    """Return each seed's score in the unit of the comparison."""
    found = {}
    for seed in read.scored:
        nats = seed.nats_per_token or 0.0
        found[seed.seed] = nats if scale.unit == "nats/token" else nats * seed.tokens / seed.bytes
    return found


def notes(a: Read, b: Read, scale: Scale) -> Iterator[str]:
    """Yield what to know before the figures are believed, a sentence each."""
    one, other = a.report, b.report
    for read in (a, b):
        if read.report.verdict is not Status.PASS:
            yield (
                f"{read.label} is {read.report.verdict} ({read.report.verdict_message}): "
                "its score is not one that the judge vouches for"
            )
        missing = len(read.report.seeds) - len(read.scored)
        if missing:
            yield f"{read.label}: {count(missing, 'seed')} of {len(read.report.seeds)} has no score"
    if one.run_id == other.run_id:
        yield "A and B are the same run"
    elif one.submission.digest == other.submission.digest:
        yield "A and B are the same submission, file by file: what differs is noise, data or machine"
    if one.ruleset.sha256 != other.ruleset.sha256:
        yield f"judged under different rulesets: {_ruleset(one)} and {_ruleset(other)}"
    if one.harness_version != other.harness_version:
        yield f"judged by different versions: {one.harness_version} and {other.harness_version}"
    if scale.unit == "nats/byte":
        yield (
            "different tokens of the same text "
            f"({one.data.val_tokens:,} and {other.data.val_tokens:,}): compared per byte"
        )
    if one.data.train_sha256 != other.data.train_sha256:
        yield "trained on different data: the digests of the train shards differ"


def _ruleset(report: Report) -> str:
    return f"{report.ruleset.name} {report.ruleset.version} ({_short(report.ruleset.sha256)})"


def _short(digest: str | None) -> str:
    """Return the head of a digest; a report may hold anything in its place."""
    return "none" if digest is None else for_terminal(digest[:12])
