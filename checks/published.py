"""A published record as plain data: what its files state, each value with the file and line it came from.

Nothing of this was measured by the judge. A record folder is a `submission.json`, logs and scripts that
somebody wrote; `claims.*` says whether they agree with each other, `evidence.*` what follows from them under
a ruleset if they are true. This module imports nobody and decides nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

T = TypeVar("T", int, float, str)


@dataclass(frozen=True, slots=True)
class Value(Generic[T]):
    """One value as a file states it.

    `line` counts from 1; 0 where the file itself says it (its name, its size). `words` are those of the line
    that say what the value is, and may be anybody's: show them escaped.
    """

    value: T
    file: str
    line: int
    words: str = ""

    @property
    def place(self) -> str:
        """Return "file:line", or the file alone."""
        return place(self.file, self.line)


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """All that a log states of one quantity, in order of appearance; the last one counts.

    Logs repeat themselves, so equal values are one. Where they differ, the quantity is ambiguous: a limit
    is held against all `candidates` (`one_side`), and what uses the last alone is no verdict of a limit.
    """

    values: tuple[Value[T], ...] = ()

    @property
    def best(self) -> Value[T] | None:
        """Return the value that counts, or None where nothing was stated."""
        return self.values[-1] if self.values else None

    @property
    def value(self) -> T | None:
        """Return what the value that counts says, or None."""
        return self.values[-1].value if self.values else None

    @property
    def candidates(self) -> tuple[Value[T], ...]:
        """Return one value for each that differs from the others, or () where there is nothing to choose."""
        different = {value.value: value for value in self.values}
        return tuple(different.values()) if len(different) > 1 else ()


@dataclass(frozen=True, slots=True)
class SeedClaim:
    """What is claimed of one seed; None where nothing is."""

    seed: int
    val_bpb: Value[float] | None = None
    val_loss: Value[float] | None = None
    artifact_bytes: Value[int] | None = None
    steps: Value[int] | None = None
    train_s: Value[float] | None = None
    bpb_digits: int = 0
    loss_digits: int = 0


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one folder; each keeps its line and, as `words`, its key."""

    file: str
    strict_json: bool
    error: str
    mended: bool = False
    val_bpb: Found[float] = field(default_factory=Found)
    bpb_digits: int = 0
    val_loss: Found[float] = field(default_factory=Found)
    loss_digits: int = 0
    bytes_total: Found[int] = field(default_factory=Found)
    bytes_code: Found[int] = field(default_factory=Found)
    std_bpb: Found[float] = field(default_factory=Found)
    std_digits: int = 0
    seeds: tuple[int, ...] = ()
    seeds_line: int = 0
    per_seed: tuple[SeedClaim, ...] = ()
    eval_s: tuple[Value[float], ...] = ()
    deltas: tuple[Value[float], ...] = ()
    against: Found[int] = field(default_factory=Found)
    steps: Found[int] = field(default_factory=Found)
    step_ms: Found[float] = field(default_factory=Found)
    train_s: Found[float] = field(default_factory=Found)
    date: Found[str] = field(default_factory=Found)
    track: Found[str] = field(default_factory=Found)
    hardware: Found[str] = field(default_factory=Found)
    name: Found[str] = field(default_factory=Found)
    author: Found[str] = field(default_factory=Found)
    text: Found[str] = field(default_factory=Found)
    """Blurbs and notes: shown, and looked through for what a delta's unit is."""


@dataclass(frozen=True, slots=True)
class Score:
    """One logged score of one log: nats per token and bits per byte, as written.

    `name` says which score ("final_int6_sliding_window"). `digits` are the decimals of the bits per byte.
    """

    name: str
    place: str
    val_loss: float | None
    val_bpb: float
    eval_ms: float | None
    loss_digits: int = 0
    bpb_digits: int = 0
    text_bytes: int | None = None
    """Bytes of text that the line itself says it scored; byte mixtures print them."""
    loss_place: str = ""
    eval_place: str = ""
    """Where loss and time stand, if another line states them of the same score; "" for the score's own."""
    validation: bool = False
    """True for a line from the middle of training, which is no score of an artifact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One log, or the part of one that belongs to one training."""

    name: str
    """Within the folder; "train.log#lines18-223" for a part."""
    sha256: str
    """Of the whole file; "" where it was too long to read whole."""
    problem: str
    """Why nothing could be read, or ""."""
    skipped_bytes: int
    encoding: str
    seed: Found[int]
    seed_in_name: int | None
    scores: tuple[Score, ...]
    counted: Found[int]
    counted_kind: str | None
    """"total", "artifact_line" (code may be missing), or None."""
    codes: Found[int]
    stop_ms: Found[float]
    stop_from: str | None
    """"stopping line", "worked line", "last train_time line", or None."""
    total_eval_s: Found[float]
    val_tokens: Found[int]
    ranks: Found[int]
    steps: Value[int] | None
    step_ms: Value[float] | None
    hardware: Found[str] = field(default_factory=Found)
    torch: Found[str] = field(default_factory=Found)
    python: Found[str] = field(default_factory=Found)
    cuda: Found[str] = field(default_factory=Found)

    @property
    def own_seed(self) -> int | None:
        """Return the seed as logged, or as the file's name has it."""
        return self.seed.value if self.seed.values else self.seed_in_name

    @property
    def seeds(self) -> set[int]:
        """Return every seed that the log states or has in its name."""
        stated = {value.value for value in self.seed.values}
        return stated if self.seed_in_name is None else stated | {self.seed_in_name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One log that the headline was made of, completed from the log of its training where that is another."""

    log: Log
    score: Score
    others: tuple[Score, ...] = ()
    """Scores of the same name in the same log that differ: which of them counts was a choice."""
    joined: tuple[str, ...] = ()
    """Logs of the same seed that bytes, tokens or times were taken from."""
    counted: Found[int] = field(default_factory=Found)
    counted_kind: str | None = None
    stop_ms: Found[float] = field(default_factory=Found)
    stop_from: str | None = None
    val_tokens: Found[int] = field(default_factory=Found)
    ranks: Found[int] = field(default_factory=Found)

    @property
    def seed(self) -> int | None:
        """Return the seed of this run."""
        return self.log.own_seed

    @property
    def bytes_per_token(self) -> float | None:
        """Return nats per token over nats per byte, or None where one of them is not stated."""
        return bytes_per_token(self.score.val_loss, self.score.val_bpb)

    @property
    def scored_bytes(self) -> float | None:
        """Return the bytes of text that follow from ratio and tokens, else those that the line states."""
        ratio = self.bytes_per_token
        tokens = None if self.val_tokens.candidates else self.val_tokens.value
        if ratio is None or tokens is None:
            return None if self.score.text_bytes is None else float(self.score.text_bytes)
        return ratio * tokens if math.isfinite(ratio * tokens) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The runs behind the claimed score, and by which rule they were found.

    `reproduces` is None where nothing is claimed.
    """

    rule: str
    name: str
    runs: tuple[Run, ...]
    reproduces: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One record folder, as read."""

    id: str
    """The folder's path as given, shortened to what tells it from the others."""
    date: Value[str] | None
    """YYYY-MM-DD of the submission, else of the folder's name."""
    track: Value[str] | None
    """"record" or "non-record", and where that is said."""
    pull_request: int | None
    claims: Claims | None
    headline: Headline
    logs: tuple[Log, ...]
    scripts: tuple[Value[int], ...]
    """Sizes of source files, by name."""
    artifacts: tuple[Value[int], ...]
    """Sizes of weights that lie in the folder."""
    texts: tuple[Value[str], ...] = ()
    """Title of the README, name, blurb: where scores are quoted."""
    problems: tuple[Value[str], ...] = ()
    """One sentence for each file that could not be read, or not whole."""

    @property
    def usable(self) -> Claims | None:
        """Return the claims, or None for none and for a file that had to be mended to be read."""
        return self.claims if self.claims is not None and not self.claims.mended else None


def place(file: str, line: int) -> str:
    """Return "file:line"; lines below 0 count from the end of a log too long to be read whole."""
    if line < 0:
        return f"{file}, line {-line:,} from the end"
    return f"{file}:{line}" if line else file


def others(found: Found[T]) -> str:
    """Return the words for values that are stated beside the one that counts, or ""."""
    beside = [v for v in found.candidates if v.value != found.value][:4]
    stated = ", ".join(
        f"{v.words or 'another value'} {v.value:g} ({v.place})"
        for v in beside
        if not isinstance(v.value, str)
    )
    return f"; also stated: {stated}" if stated else ""


def one_side(values: Iterable[float], limit: float) -> bool | None:
    """Return whether values lie over a limit: True for all, False for none, None for values on both sides."""
    over = {value > limit for value in values}
    return over.pop() if len(over) == 1 else None


def several(values: Iterable[str]) -> str:
    """Return the words for values on both sides of a limit."""
    return f"the log states several ({', '.join(values)}); which one counts cannot be told"


def other_gpus(runs: Sequence[Run], expected: int) -> str:
    """Return on how many GPUs all runs were that state no run on the expected number, or "".

    A stray line of another number, as an evaluation on one GPU prints, does not make it another run: one
    statement of the expected number anywhere is enough.
    """
    if not runs or any(not run.ranks.values for run in runs):
        return ""
    stated = sorted({value.value for run in runs for value in run.ranks.values})
    if expected in stated:
        return ""
    return f"{' or '.join(map(str, stated))} GPU{'s' * (stated != [1])}"


def completed(score: Score, other: Score) -> Score:
    """Return a score with the loss, the time and the bytes of text that only another line of it states."""
    lossless = score.val_loss is None and other.val_loss is not None
    timeless = score.eval_ms is None and other.eval_ms is not None
    return replace(
        score,
        val_loss=other.val_loss if lossless else score.val_loss,
        loss_digits=other.loss_digits if lossless else score.loss_digits,
        loss_place=(other.loss_place or other.place) if lossless else score.loss_place,
        eval_ms=other.eval_ms if timeless else score.eval_ms,
        eval_place=(other.eval_place or other.place) if timeless else score.eval_place,
        text_bytes=other.text_bytes if score.text_bytes is None else score.text_bytes,
    )


def slack(digits: int) -> float:
    """Return how far a value may lie from what was written with so many decimals.

    Cutting digits off moves by up to a unit of the last one. Of three decimals or fewer half a unit is
    allowed, and never more than 0.005: JSON drops zeros at the end, so that 1.0 may have been any precision.
    """
    unit = float(10.0 ** -min(max(digits, 0), 15))
    return min(unit if digits > 3 else 0.51 * unit, 0.0051)


def bytes_per_token(val_loss: float | None, val_bpb: float | None) -> float | None:
    """Return val_loss / (ln 2 x val_bpb): bytes that a token stands for, if both are of one score.

    None where one is missing or not above 0, and where the quotient is no float above 0.
    """
    if val_loss is None or val_bpb is None or val_bpb <= 0 or val_loss <= 0:
        return None
    # Divided twice: ln 2 times the smallest of floats would be 0.
    ratio = val_loss / val_bpb / math.log(2)
    return ratio if 0 < ratio < math.inf else None


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None for no values and where one is missing."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    try:
        return statistics.fmean(known)
    except OverflowError:  # the sum is no float; the exact mean always is
        return float(statistics.mean(known))


def std(values: Sequence[float | None]) -> float | None:
    """Return the deviation with n - 1, or None for fewer than two values and where one is missing.

    None, too, where it is larger than any float: logs may state whatever they like.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2 or len(known) < len(values):
        return None
    try:
        return statistics.stdev(known)
    except OverflowError:
        return None
