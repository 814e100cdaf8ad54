"""What every check takes and gives: evidence records in, one Finding out.

Plain frozen dataclasses of JSON-able values, so that a verdict can be worked out again from what a run
left on disk. This module imports nobody. It does not decide anything and does no input or output.

Nats are natural-log units of surprise, -ln p. A probability of zero is an infinite number of nats, which
JSON cannot hold: wherever a record says `float | None`, None stands for "infinite".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """What a check concludes; only PASS is green."""

    PASS = "PASS"
    FAIL = "FAIL"
    ERROR = "ERROR"
    """The judge could not tell."""
    NOT_RUN = "NOT-RUN"
    """There was nothing to judge; the message says why."""


_SEVERITY = {Status.PASS: 0, Status.NOT_RUN: 1, Status.ERROR: 2, Status.FAIL: 3}


def worst(statuses: list[Status]) -> Status:
    """Return the status that decides a group: FAIL before ERROR before NOT-RUN before PASS.

    An empty list is NOT-RUN: nothing was judged.
    """
    return max(statuses, key=_SEVERITY.__getitem__) if statuses else Status.NOT_RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check concludes about one seed, or about a whole run.

    `measured` and `limit` are in `unit` and are finite, or None where there is none. `evidence` and `power`
    hold plain JSON values. Raises ValueError on a number that is NaN or infinite: a report holds neither.
    """

    id: str
    status: Status
    message: str
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    power: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that JSON cannot hold; make whole ones floats, so that they read back alike."""
        for name in ("measured", "limit"):
            value = getattr(self, name)
            if value is None:
                continue
            if not math.isfinite(value):
                raise ValueError(f"{self.id}: {name} is {value}; say it in the message instead")
            object.__setattr__(self, name, float(value))


class Outcome(StrEnum):
    """How a phase ended."""

    DONE = "done"
    DEADLINE = "deadline"
    """The clock ended it; everything was killed."""
    EXITED = "exited"
    """The command ended before it had done what the phase asks, or with a status other than 0."""
    BREACH = "breach"
    """It broke the protocol; the Breach record says how."""
    NOT_STARTED = "not started"
    """An earlier phase failed, or the run was cut off before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTime:
    """One phase on the judge's clock, in seconds of CLOCK_MONOTONIC."""

    phase: str
    budget_s: float
    grace_s: float
    wall_s: float
    outcome: Outcome
    detail: str = ""
    peak_rss_mb: float | None = None
    """Largest resident set of any one process of the tree, as the kernel counts it; None if not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedFile:
    """One file that crosses into the scorer."""

    path: str
    size_bytes: int
    sha256: str
    origin: str
    """"code" (from the submission's folder) or "output" (left by the train phase)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What the judge sealed and counted."""

    files: tuple[CountedFile, ...]
    tokenizer_bytes: int
    """Size of the data set's tokenizer where the ruleset counts it, else 0."""
    refusals: tuple[str, ...]
    """One sentence for each declared file that was refused or missing."""
    digest: str

    @property
    def total_bytes(self) -> int:
        """Return every byte counted against the cap."""
        return sum(file.size_bytes for file in self.files) + self.tokenizer_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """The point at which a process broke the protocol."""

    kind: str
    """"malformed", "count", "value", "silence", "closed" or "refused"."""
    message: str
    frame: int
    """How many frames the judge had read from this process before the bad one."""
    position: int | None = None
    """Stream position of the token concerned, where one can be named."""
    question: str = "score"
    """What was being asked: "score", "accept", "blind", "future", "target" or "repeat"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credited:
    """The credited pass: what counts."""

    expected_tokens: int
    credited_tokens: int
    sum_nats: float
    """Sum over the credited tokens, in float64, block sums added exactly (math.fsum)."""
    breach: Breach | None = None
    ended_by_clock: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBytes:
    """The byte denominator of a validation set, counted three ways."""

    text_bytes: int
    """UTF-8 bytes of the documents themselves."""
    decoded_bytes: int | None
    """UTF-8 bytes of what the stored tokens decode to; None where no tokenizer is at hand."""
    normalised_bytes: int | None
    """UTF-8 bytes of the documents after the tokenizer's own normaliser; None as above."""
    differing_documents: int | None
    """Documents whose tokens do not decode to the normalised text."""
    documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindAnswer:
    """One `predict` at a position whose token the process had not been shown."""

    position: int
    credited_nats: float
    blind_nats: float | None
    """-log-probability that the row gives the true token; None where the row gives it probability 0."""
    log_sum: float | None
    """Natural log of the row's sum in float64; 0 for a distribution, None for a row of zeros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FutureAnswer:
    """One `score` of a block whose tokens after `position` were exchanged."""

    position: int
    first: int
    """Stream position of the block's first token; positions first..position are compared."""
    gap_nats: float
    """Answer minus credited at `position` itself, the last one that must not have moved."""
    worst_position: int
    worst_credited_nats: float
    worst_gap_nats: float
    """The gap of largest absolute value over the compared positions, with its sign."""
    mean_gap_nats: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetAnswer:
    """`score` of a block up to `position` with several tokens, in turn, at `position`."""

    position: int
    credited_nats: float
    token: int
    """The true token at `position`."""
    tokens: tuple[int, ...]
    """The tokens tried; with `whole_vocabulary`, all of them in order."""
    nats: tuple[float, ...]
    row_nats: tuple[float | None, ...] | None
    """What the blind row of the same position gives them; None for a scorer without `predict`."""
    classes: tuple[int, ...] | None
    """Token classes of `tokens`, where the data set knows them (see docs/protocol.md)."""
    whole_vocabulary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatAnswer:
    """One block scored again as it was credited: the noise of this machine and this scorer."""

    first: int
    tokens: int
    mean_gap_nats: float
    max_abs_gap_nats: float
    worst_position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """Everything that the challenge process of one seed was asked, over all rounds."""

    tokens: int
    """Length of the stream."""
    span_tokens: int
    """Depth to which the stream was replayed, the least over rounds."""
    blind: tuple[BlindAnswer, ...] = ()
    future: tuple[FutureAnswer, ...] = ()
    target: tuple[TargetAnswer, ...] = ()
    repeat: tuple[RepeatAnswer, ...] = ()
    breach: Breach | None = None
    has_predict: bool = True
    block_tokens: int | None = None
    """Length of the blocks asked about; in blocks of 1 there is no later token to exchange."""
    replay_ratio: float | None = None
    """Time a token of `accept` alone over that of the whole credited pass; None if not measured."""
    out_of_time: bool = False
    """The challenge budget ended before all questions were answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """The limits of the challenge checks, from the ruleset."""

    floor_nats: float
    """The hard arm never accuses for a gap below this."""
    cap_nats: float
    """Repeats widen the hard arm up to this and no further, however noisy the scorer."""
    repeat_factor: float
    """Hard tolerance = this times the largest gap between repeats, held between floor and cap."""
    sum_tolerance: float
    """How far a sum over the vocabulary may lie from 1."""
    gain_limit_nats: float
    """Limit of the statistical arm on the mean gain from peeking, in nats per token."""
    confidence: float
    """One-sided, of the statistical arm and of the stated power; 0.99 in the shipped rulesets."""
    min_span: float
    """Fraction of the stream that challenges must cover, else the finding is ERROR."""
    max_replay_ratio: float
    """A replay that takes more than this times the credited pass's time a token, and leaves a part of the
    stream out for it, has chosen what is left out: ERROR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The result that a submission has to beat, seed by seed."""

    name: str
    nats_per_token: tuple[float, ...]
    seeds: tuple[int, ...]
    bytes_per_token: float
    """Of the baseline's tokenizer on its validation text: the exchange rate between tokenizers."""
    text_sha256: str | None = None
    """Digest of the validation text; None where it was never published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """The statistical question, from the ruleset."""

    test: str
    """"welch" (against the baseline's seeds) or "one-sample" (against the baseline's mean)."""
    margin_nats: float
    """Threshold in nats per token of the baseline's tokenizer."""
    margin_in_null: bool
    """True: H0 is "better by no more than the margin"; False: H0 is "no better at all"."""
    alpha: float
    min_seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedScore:
    """One seed's total, as the judge added it up."""

    seed: int
    sum_nats: float
    tokens: int
    text_bytes: int
