"""Rulesets and baselines: versioned TOML in, frozen records out, with the SHA-256 of the file.

A ruleset names every decision that the contest's own rules left open (docs/decisions/0002-rulesets.md), so
that two judges with the same file cannot differ. The submission has no say in any of it.

Does not judge: the numbers here go to `checks` as evidence records.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from checks import ORDER
from checks.contract import Baseline, Margin, Tolerances
from harness.errors import RulesetError

UNREADABLE = (ValueError, RecursionError)
"""What comes of a file that is wrong: of its TOML, of a value, of a number too long, of nesting too deep."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Grace = Annotated[float, msgspec.Meta(ge=0, le=3600)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Fraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the TOML file: unknown keys are refused, so that a typo never means a default."""


class Phases(_Section, frozen=True):
    """Budgets in seconds, one a phase; every second of a run belongs to exactly one of them."""

    setup_s: Seconds
    train_s: Seconds
    load_s: Seconds
    score_s: Seconds
    challenge_s: Seconds
    answer_s: Seconds
    """Longest silence of the challenge process on one question."""
    train_grace_s: Grace
    score_grace_s: Grace
    export: Literal["in-train"]
    """Calibration, quantising and compressing are on the train clock."""
    data_in_setup: Literal[False]
    data_in_load: Literal[False]
    """No text is shown before its phase: no warm-up on validation tokens."""


class Bytes(_Section, frozen=True):
    """What is counted against the cap, and what the bytes of bits per byte are."""

    cap_bytes: Annotated[int, msgspec.Meta(gt=0, le=1 << 53)]
    counted: Literal["all-that-crosses"]
    """Every byte that the scorer can read: code and weights as they are, no hypothetical minifying."""
    tokenizer: Literal["counted-unless-own", "free"]
    """Whether the tokenizer's model counts; "own" is the one whose digest [data] names."""
    denominator: Literal["original-text"]
    normalisation: Literal["identity", "tokenizer"]
    """What the tokens must decode to: the text itself, or what the tokenizer's normaliser makes of it."""


class Score(_Section, frozen=True):
    """How the stream is scored."""

    stream: Literal["as-stored"]
    """One pass, left to right; documents are not reordered."""
    tail: Literal["scored"]
    """Every token counts; the contest's own script drops the last ones that fill no window of 2,048."""
    predict: Literal["required", "optional"]
    max_block_tokens: Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]


class Challenges(_Section, frozen=True):
    """How many questions a seed's challenge process is asked, and what its answers may differ by."""

    blind: Count
    future: Count
    target: Count
    target_tokens: Count
    """Substitutes at each target position, for scorers with `predict`."""
    target_whole: Count
    """Positions at which the whole vocabulary is tried, for scorers without `predict`."""
    repeat: Count
    max_rounds: Annotated[int, msgspec.Meta(ge=1, le=16)]
    floor_nats: Positive
    cap_nats: Positive
    repeat_factor: Positive
    sum_tolerance: Positive
    gain_limit_fraction: Fraction
    """Limit on the mean gain from peeking, as a fraction of the threshold."""
    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1)]
    min_span: Annotated[float, msgspec.Meta(ge=0, le=1)]
    max_replay_ratio: Positive
    """A slower replay that leaves a part of the stream out decides nothing (see checks.contract)."""


class Stats(_Section, frozen=True):
    """What a record has to show."""

    unit: Literal["nats-per-token"]
    """Of the baseline's tokenizer; other tokenizers are compared through bytes."""
    threshold_nats: Positive
    margin_in_null: bool
    test: Literal["welch", "one-sample"]
    alpha: Fraction
    min_seeds: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)]
    pooling: Literal["none"]
    """Reproductions by others are not pooled with the submission's own seeds."""
    baseline: str
    """File name under rulesets/baselines; "" where every run has to bring its own."""


class Limits(_Section, frozen=True):
    """What one process tree of a submission may take of the machine."""

    memory_fraction: Fraction
    """Of the machine's memory; /dev/shm inside the cell may hold half of that."""
    processes: Annotated[int, msgspec.Meta(ge=16, le=1 << 22)]
    """Processes and threads together."""
    disk_bytes: Annotated[int, msgspec.Meta(ge=1 << 20, le=1 << 50)]
    """Largest file; and what the tree may have written when the disk runs full."""


class Environment(_Section, frozen=True):
    """What a submission's processes may import beside the standard library and their own files."""

    packages: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=200)], ...]
    """Requirements in the form of PEP 508; what these packages require themselves is visible too."""
    project: tuple[Literal["native"], ...]
    """Packages of this project that are visible, besides `harness.sdk`, which always is."""


class Data(_Section, frozen=True):
    """The data the ruleset belongs to; empty digests mean "whatever data the run is given"."""

    name: str
    val_text_sha256: str
    train_text_sha256: str
    tokenizer_sha256: str


class Verdict(_Section, frozen=True):
    """What must hold for PASS."""

    required: tuple[str, ...]
    guarantees: tuple[str, ...]
    """Sandbox guarantees that must be held; one that is not is an ERROR: the judge cannot vouch."""


class Unsettled(_Section, frozen=True):
    """Questions that no measurement settles; stated so that nobody takes silence for an answer."""

    offline_tuning_on_validation: Literal["not judged"]
    seed_choice: Literal["as given"]
    smear_across_documents: Literal["allowed"]


class Ruleset(_Section, frozen=True):
    """One contest's rules, complete."""

    schema: Literal[1]
    name: str
    version: str
    title: str
    source: str
    """Where the wording comes from."""
    phases: Phases
    bytes: Bytes
    score: Score
    challenge: Challenges
    stats: Stats
    limits: Limits
    environment: Environment
    data: Data
    verdict: Verdict
    unsettled: Unsettled

    def tolerances(self) -> Tolerances:
        """Return the limits of the challenge checks."""
        asked = self.challenge
        return Tolerances(
            floor_nats=asked.floor_nats,
            cap_nats=asked.cap_nats,
            repeat_factor=asked.repeat_factor,
            sum_tolerance=asked.sum_tolerance,
            gain_limit_nats=asked.gain_limit_fraction * self.stats.threshold_nats,
            confidence=asked.confidence,
            min_span=asked.min_span,
            max_replay_ratio=asked.max_replay_ratio,
        )

    def margin(self) -> Margin:
        """Return the statistical question."""
        return Margin(
            test=self.stats.test,
            margin_nats=self.stats.threshold_nats,
            margin_in_null=self.stats.margin_in_null,
            alpha=self.stats.alpha,
            min_seeds=self.stats.min_seeds,
        )


class BaselineFile(_Section, frozen=True):
    """A baseline as stored: seeds and their nats per token, in the same order."""

    schema: Literal[1]
    name: str
    date: str
    source: str
    """Where the numbers come from: a pull request, or the command that measured them."""
    seeds: tuple[Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)], ...]
    nats_per_token: tuple[Positive, ...]
    bytes_per_token: Positive
    tokens: Annotated[int, msgspec.Meta(gt=0, le=1 << 53)]
    """Validation tokens that were scored."""
    tokenizer_sha256: str
    val_text_sha256: str
    """"" where the text was never published as a digest."""

    def measured_on(
        self, *, text_sha256: str | None, tokenizer_sha256: str | None, tokens: int
    ) -> bool:
        """Return whether this is the data the baseline was measured on, as far as can be told.

        By the text's digest; where that was never published, by the tokenizer and the number of tokens, which
        may differ by less than one window of 2,048.
        """
        if self.val_text_sha256:
            return self.val_text_sha256 == text_sha256
        same_tokenizer = self.tokenizer_sha256 == (tokenizer_sha256 or "")
        return same_tokenizer and abs(self.tokens - tokens) < 2048

    def record(self) -> Baseline:
        """Return what `stats.margin` compares with."""
        return Baseline(
            name=self.name,
            nats_per_token=self.nats_per_token,
            seeds=self.seeds,
            bytes_per_token=self.bytes_per_token,
            text_sha256=self.val_text_sha256 or None,
        )


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A ruleset with the exact bytes it was read from."""

    ruleset: Ruleset
    text: str
    sha256: str
    baseline_text: str | None
    """The ruleset's own baseline file, verbatim."""


def shipped() -> list[str]:
    """Return the names of the rulesets in the package, sorted."""
    folder = resources.files("harness") / "rulesets"
    return sorted(
        e.name.removesuffix(".toml") for e in folder.iterdir() if e.name.endswith(".toml")
    )


def load(name_or_path: str) -> Loaded:
    """Read a shipped ruleset by name, or one from a file (anything that ends in .toml).

    Raises RulesetError, with the field and the values allowed, where it is not a ruleset.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        text = _read(path)
        baselines: Traversable = path.parent / "baselines"
    elif name_or_path in shipped():
        root = resources.files("harness") / "rulesets"
        text = (root / f"{name_or_path}.toml").read_text("utf-8")
        baselines = root / "baselines"
    else:
        known = ", ".join(shipped())
        raise RulesetError(
            f"no ruleset {name_or_path!r}: take one of {known}, or a file ending in .toml"
        )
    ruleset = parse(text, name_or_path)
    if Path(ruleset.stats.baseline).name != ruleset.stats.baseline:
        raise RulesetError(f"{name_or_path}: stats.baseline must be a bare file name")
    own = ruleset.stats.baseline
    if own and not (baselines / own).is_file():
        # A ruleset made from a shipped one keeps that one's baseline.
        baselines = resources.files("harness") / "rulesets" / "baselines"
        if not (baselines / own).is_file():
            raise RulesetError(
                f"{name_or_path}: stats.baseline names {own!r}, which is neither in baselines/ beside it nor "
                'shipped; add the file, or write "" and give --baseline'
            )
    baseline_text = _read(baselines / own) if own else None
    return Loaded(
        ruleset=ruleset,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        baseline_text=baseline_text,
    )


def parse(text: str, origin: str) -> Ruleset:
    """Return the ruleset in `text`; `origin` names it in errors.

    Raises RulesetError.
    """
    try:
        ruleset = msgspec.convert(tomllib.loads(text), Ruleset)
    except UNREADABLE as error:
        raise RulesetError(f"{origin}: {error}") from None
    if ruleset.challenge.cap_nats < ruleset.challenge.floor_nats:
        raise RulesetError(f"{origin}: challenge.cap_nats is below challenge.floor_nats; raise it")
    for number, check in enumerate(ruleset.verdict.required):
        if check not in ORDER:
            near = difflib.get_close_matches(check, ORDER, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(ORDER)}"
            raise RulesetError(f"{origin}: verdict.required: no check {check!r}; {hint}")
        if check in ruleset.verdict.required[:number]:
            raise RulesetError(
                f"{origin}: verdict.required: {check!r} is named twice; name it once"
            )
    return ruleset


def parse_baseline(text: str, origin: str) -> BaselineFile:
    """Return the baseline in `text`; `origin` names it in errors.

    Raises RulesetError.
    """
    try:
        file = msgspec.convert(tomllib.loads(text), BaselineFile)
    except UNREADABLE as error:
        raise RulesetError(f"{origin}: {error}") from None
    if len(file.seeds) != len(file.nats_per_token):
        raise RulesetError(
            f"{origin}: {len(file.seeds)} seeds but {len(file.nats_per_token)} nats_per_token; "
            "they must be as many"
        )
    if not file.seeds:
        raise RulesetError(f"{origin}: no seeds; a baseline has at least one")
    if len(set(file.seeds)) != len(file.seeds):
        raise RulesetError(f"{origin}: a seed is listed twice in `seeds`; list each once")
    return file


def _read(path: Traversable) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise RulesetError(f"{path}: {reason}; give the path of a TOML file") from None
