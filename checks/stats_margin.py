"""stats.margin: over its seeds, the submission beats the baseline by what the ruleset asks for.

S: seeds. Scores are nats per token of the *baseline's* tokenizer, lower is better, and every test is
one-sided. Two null hypotheses are always reported, "better by no more than the margin" and "no better at
all", each by Welch's test against the baseline's seeds and by a one-sample t test against the baseline's
mean. The ruleset says which of the four decides.

Sources: Student, "The probable error of a mean", Biometrika 6 (1908); B. L. Welch, "The generalization of
'Student's' problem when several different population variances are involved", Biometrika 34 (1947), with the
degrees of freedom of F. E. Satterthwaite, Biometrics Bulletin 2 (1946). Tail probabilities are scipy's.

Does not catch: seeds chosen from many for their result, seeds that change nothing, hyperparameters tuned on
the validation text, or a baseline measured on another text whose digest was never published.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from checks.contract import Baseline, Finding, Margin, SeedScore, Status

ID = "stats.margin"
CONFIDENCE = 0.95
"""Of the two-sided intervals that are reported; they decide nothing."""
SAME_TOKENIZER = 1e-4
"""Relative difference in bytes per token up to which two tokenizers count as the same.

Published figures are rounded, and the last tokens of a stream may go unscored, so equality would be too much
to ask. A wrong guess costs at most this fraction of a score."""
MAX_SEEDS = 10_000
"""How far the search for a sufficient number of seeds goes."""

Floats = npt.NDArray[np.float64]

_IDENTICAL = "the seeds' scores are identical, which says nothing of the noise between seeds"
_BOTH_IDENTICAL = (
    "the scores of the seeds are identical, and so are the baseline's: no noise to test against"
)
_ONE_BASELINE_SEED = "Welch's test needs two seeds of the baseline, and it has one"
_TINY = "the deviation is too small for a number to hold t"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Nats per token of some seeds; `std` (n - 1 in its denominator) is None for a single value.

    `ci` is the two-sided interval of the mean at CONFIDENCE. It is None where the deviation is unknown or 0,
    since an interval of width 0 would read as certainty.
    """

    nats_per_token: tuple[float, ...]
    mean: float
    std: float | None
    ci: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One test of one null hypothesis, "better by no more than `margin_nats`"; p is one-sided.

    t is negative where the submission is better than the null hypothesis allows. t, df and p are None where
    the test is undefined, and `undefined` says why.
    """

    test: str
    margin_nats: float
    t: float | None = None
    df: float | None = None
    p: float | None = None
    undefined: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A submission against a baseline, by both tests and under both null hypotheses.

    `improvement_nats` is per token, positive where the submission is better; its interval is two-sided at
    CONFIDENCE, by the deciding test's own standard error. `sufficient_nats` is the improvement that these
    seeds, at this deviation, would have needed. `seeds_needed` is the least number of seeds, not below the
    ruleset's own minimum, that would reach alpha if mean and deviation stayed as they are; None where none up
    to MAX_SEEDS would, and `seeds_note` says why.
    """

    sample: Sample
    baseline: Sample
    improvement_nats: float
    improvement_ci: tuple[float, float] | None
    readings: tuple[Reading, ...]
    """The one that decides; the same test under the other null hypothesis; then the other test's two."""
    sufficient_nats: float | None
    seeds_needed: int | None
    seeds_note: str


def check(
    scores: Sequence[SeedScore],
    baseline: Baseline | None,
    margin: Margin,
    *,
    text_sha256: str | None,
) -> Finding:
    """Say whether the seeds show the improvement that the ruleset asks for, at its alpha.

    `measured` is the p-value of the ruleset's own test and `limit` its alpha; PASS needs p below alpha. No
    baseline, a baseline on another text, fewer seeds than the ruleset's minimum and an undefined test are
    NOT-RUN; scores that cannot be of one run are ERROR. `text_sha256` is the digest of the text scored.
    """
    fault = _fault(scores, baseline)
    if fault:
        return _finding(Status.ERROR, fault, margin)
    reason = _nothing_to_judge(scores, baseline, text_sha256)
    if baseline is None or reason:
        return _finding(Status.NOT_RUN, reason, margin, evidence=_own_evidence(scores))
    nats_S, basis = exchange(scores, baseline)
    result = compare(nats_S, baseline.nats_per_token, margin)
    evidence = {
        **_own_evidence(scores),
        "basis": basis,
        "same_text": True if text_sha256 and baseline.text_sha256 else None,
        "baseline_bytes_per_token": baseline.bytes_per_token,
        "baseline_seeds": list(baseline.seeds),
        "comparison": as_json(result),
    }
    status, message = _judge(result, baseline.name, margin, basis)
    measured = result.readings[0].p if status in (Status.PASS, Status.FAIL) else None
    power = {"sufficient_nats": result.sufficient_nats, "seeds_needed": result.seeds_needed}
    return _finding(status, message, margin, measured=measured, evidence=evidence, power=power)


def exchange(scores: Sequence[SeedScore], baseline: Baseline) -> tuple[tuple[float, ...], str]:
    """Return nats per token of the baseline's tokenizer for each seed, and "per token" or "through bytes".

    Where bytes per token agree to SAME_TOKENIZER the tokenizers count as the same and nothing is converted;
    otherwise nats per byte are multiplied by the baseline's bytes per token.
    """
    own = scores[0].text_bytes / scores[0].tokens
    if abs(own / baseline.bytes_per_token - 1) <= SAME_TOKENIZER:
        return tuple(s.sum_nats / s.tokens for s in scores), "per token"
    rate = baseline.bytes_per_token
    return tuple(s.sum_nats / s.text_bytes * rate for s in scores), "through bytes"


def describe(nats_S: Sequence[float]) -> Sample:
    """Return mean, sample deviation and interval of at least one score, in nats per token.

    Sums are exact (the standard library adds fractions), so equal seeds have a deviation of exactly 0.
    """
    mean = float(statistics.mean(nats_S))
    std, ci = None, None
    if len(nats_S) > 1:
        std = float(statistics.stdev(nats_S))
        ci = interval(mean, std / math.sqrt(len(nats_S)), float(len(nats_S) - 1))
    return Sample(nats_per_token=tuple(nats_S), mean=mean, std=std, ci=ci)


def compare(nats_S: Sequence[float], baseline_S: Sequence[float], margin: Margin) -> Comparison:
    """Test at least two scores against at least one of the baseline's, all in nats per token.

    Raises ValueError for fewer, and for a test that is neither "welch" nor "one-sample".
    """
    if len(nats_S) < 2 or not baseline_S:
        raise ValueError("a comparison needs two seeds of the submission and one of the baseline")
    sample, base = describe(nats_S), describe(baseline_S)
    four = readings(sample, base, margin)
    improvement_nats = base.mean - sample.mean
    ci, sufficient_nats = None, None
    if four[0].p is not None:
        error, df = _error_and_df(sample, base, margin.test)
        ci = interval(improvement_nats, error, df)
        sufficient_nats = four[0].margin_nats - _quantile(margin.alpha, df) * error
    needed, note = seeds_needed(sample, base, margin)
    return Comparison(
        sample=sample,
        baseline=base,
        improvement_nats=improvement_nats,
        improvement_ci=ci,
        readings=four,
        sufficient_nats=sufficient_nats,
        seeds_needed=needed,
        seeds_note=note,
    )


def readings(sample: Sample, baseline: Sample, margin: Margin) -> tuple[Reading, ...]:
    """Return both tests of both null hypotheses, the ruleset's own test first and its own null before."""
    nulls_nats = (margin.margin_nats, 0.0) if margin.margin_in_null else (0.0, margin.margin_nats)
    tests = [margin.test, "one-sample" if margin.test == "welch" else "welch"]
    return tuple(_read(sample, baseline, test, null) for test in tests for null in nulls_nats)


def welch(
    std: float | Floats, n: float | Floats, baseline_std: float | Floats, baseline_n: float | Floats
) -> tuple[Floats, Floats]:
    """Return the standard error of a difference of two means and its degrees of freedom, elementwise.

    The deviations may not both be 0. Degrees of freedom are formed from shares of the variance, where no
    square can underflow. Source: Welch (1947), Satterthwaite (1946).
    """
    own, other = std / np.sqrt(n), baseline_std / np.sqrt(baseline_n)
    error = np.hypot(own, other)
    own_share, other_share = (own / error) ** 2, (other / error) ** 2
    return error, 1 / (own_share**2 / (n - 1) + other_share**2 / (baseline_n - 1))


def lower_tail(t: float | Floats, df: float | Floats) -> Floats:
    """Return P(T <= t) for Student's t with df degrees of freedom, elementwise."""
    from scipy import special  # not scipy.stats, which takes a second to import

    return np.asarray(special.stdtr(df, t), np.float64)


def interval(centre: float, error: float, df: float) -> tuple[float, float] | None:
    """Return the two-sided interval at CONFIDENCE by Student's t, or None where the standard error is 0."""
    if not error:
        return None
    half = _quantile((1 + CONFIDENCE) / 2, df) * error
    return centre - half, centre + half


def seeds_needed(sample: Sample, baseline: Sample, margin: Margin) -> tuple[int | None, str]:
    """Return the least number of seeds that would reach alpha by the ruleset's own test, or None and why.

    Mean and deviation are taken to stay as they are, and the baseline keeps its seeds. Where the seeds at
    hand do not reach it, only larger numbers count. All up to MAX_SEEDS are tried: Welch's p may rise again.
    """
    null_nats = margin.margin_nats if margin.margin_in_null else 0.0
    gain_nats = baseline.mean - sample.mean - null_nats
    if gain_nats <= 0:
        bar = f"above the margin of {null_nats:g}" if null_nats else "above 0"
        return None, f"no number of seeds helps while the improvement is not {bar}"
    reading = _read(sample, baseline, margin.test, null_nats)
    if reading.p is None:
        return None, reading.undefined
    least = 2 if reading.p < margin.alpha else len(sample.nats_per_token)
    n = np.arange(max(least, margin.min_seeds), MAX_SEEDS + 1, dtype=np.float64)
    if margin.test == "welch":
        error, df = welch(sample.std or 0.0, n, baseline.std or 0.0, len(baseline.nats_per_token))
    else:
        error, df = (sample.std or 0.0) / np.sqrt(n), n - 1
    with np.errstate(over="ignore", divide="ignore"):  # t may be -infinity, whose tail is 0
        enough = np.flatnonzero(lower_tail(-gain_nats / error, df) < margin.alpha)
    if enough.size:
        return int(n[enough[0]]), ""
    note = f"no number of seeds up to {MAX_SEEDS:,} would reach p < {margin.alpha:g}"
    few = f": the baseline has only {len(baseline.nats_per_token)}"
    return None, note + (few if margin.test == "welch" else "")


def as_json(result: Comparison) -> dict[str, Any]:
    """Return the comparison as plain JSON values; null stands for what is undefined, never NaN."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(result), allow_nan=False))
    return plain


# The tests themselves.


def _read(sample: Sample, baseline: Sample, test: str, margin_nats: float) -> Reading:
    undefined = _undefined(sample, baseline, test)
    if undefined:
        return Reading(test=test, margin_nats=margin_nats, undefined=undefined)
    error, df = _error_and_df(sample, baseline, test)
    # Of deviations near the smallest numbers there are, the error may be 0.
    t = (sample.mean - baseline.mean + margin_nats) / error if error else math.inf
    if not math.isfinite(t):
        return Reading(test=test, margin_nats=margin_nats, undefined=_TINY)
    return Reading(test=test, margin_nats=margin_nats, t=t, df=df, p=float(lower_tail(t, df)))


def _undefined(sample: Sample, baseline: Sample, test: str) -> str:
    """Return why the test has no p-value, or ""."""
    if test not in ("welch", "one-sample"):
        raise ValueError(f'the test is {test!r}; it must be "welch" or "one-sample"')
    if test == "one-sample":
        return "" if sample.std else _IDENTICAL
    if baseline.std is None:
        return _ONE_BASELINE_SEED
    return "" if sample.std or baseline.std else _BOTH_IDENTICAL


def _error_and_df(sample: Sample, baseline: Sample, test: str) -> tuple[float, float]:
    n = len(sample.nats_per_token)
    if test == "one-sample":
        return (sample.std or 0.0) / math.sqrt(n), float(n - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        error, df = welch(sample.std or 0.0, n, baseline.std or 0.0, len(baseline.nats_per_token))
    return float(error), float(df)


def _quantile(probability: float, df: float) -> float:
    from scipy import special

    return float(special.stdtrit(df, probability))


# What the records allow, and the words.


def _fault(scores: Sequence[SeedScore], baseline: Baseline | None) -> str:
    """Return what makes the records impossible to compare, whatever they say, or ""."""
    seeds = [score.seed for score in scores]
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    if twice is not None:
        return f"seed {twice} was given more than once; a repeat is not an independent sample"
    for score in scores:
        if score.tokens <= 0 or score.text_bytes <= 0:
            return f"seed {score.seed} has {score.tokens} tokens and {score.text_bytes} bytes"
        if not (math.isfinite(score.sum_nats) and score.sum_nats >= 0):
            return f"seed {score.seed} has a sum of {score.sum_nats} nats, which is no score"
    if len({(score.tokens, score.text_bytes) for score in scores}) > 1:
        return "the seeds differ in tokens or bytes, so they were not scored on the same text"
    if baseline is not None:
        numbers = (*baseline.nats_per_token, baseline.bytes_per_token)
        if not baseline.nats_per_token or not all(math.isfinite(x) and x > 0 for x in numbers):
            return f"{baseline.name}: scores and bytes per token must be finite and above 0"
    return ""


def _nothing_to_judge(
    scores: Sequence[SeedScore], baseline: Baseline | None, text_sha256: str | None
) -> str:
    if not scores:
        return "no seed was scored"
    if baseline is None:
        return "no baseline to compare with; give one with --baseline FILE"
    if text_sha256 and baseline.text_sha256 and text_sha256 != baseline.text_sha256:
        return f"the baseline {baseline.name} was measured on another text (its digest differs)"
    return "1 seed has no interval; give at least 2" if len(scores) == 1 else ""


def _judge(result: Comparison, name: str, margin: Margin, basis: str) -> tuple[Status, str]:
    p = result.readings[0].p
    says = _improvement(result, name, basis)
    if p is None:
        return Status.NOT_RUN, f"{says}. No p-value: {result.readings[0].undefined}"
    says = f"{says}. {_readings(result, margin.alpha)}"
    count = len(result.sample.nats_per_token)
    if count < margin.min_seeds:
        return Status.NOT_RUN, f"{count} seeds, the ruleset asks for {margin.min_seeds}. {says}"
    wants = f"the ruleset wants p < {margin.alpha:g} for the first"
    if p < margin.alpha:
        return Status.PASS, f"{says}; {wants}"
    return Status.FAIL, f"{says}; {wants}. {_remedy(result)}"


def _improvement(result: Comparison, name: str, basis: str) -> str:
    sample, gain_nats = result.sample, result.improvement_nats
    way = "better" if gain_nats >= 0 else "worse"
    note = ", compared through bytes" if basis == "through bytes" else ""
    noise = f"deviation {sample.std:.3g}" if sample.std else "all the same"
    return (
        f"{abs(gain_nats):.5f} nats per token {way} than {name} ({sample.mean:.5f} against "
        f"{result.baseline.mean:.5f}{note}; {len(sample.nats_per_token)} seeds, {noise})"
    )


def _readings(result: Comparison, alpha: float) -> str:
    first, second = result.readings[:2]
    words = {"welch": "Welch's test", "one-sample": "One-sample t test"}[first.test]
    return (
        f"{words}: p = {_digits(first.p, alpha)} for H0 “{_null(first)}”, "
        f"p = {_digits(second.p, alpha)} for H0 “{_null(second)}”"
    )


def _null(reading: Reading) -> str:
    by = reading.margin_nats
    return f"better by no more than {by:g}" if by else "no better at all"


def _digits(p: float | None, alpha: float) -> str:
    """Write p with three digits, or as many as it takes to stay on its side of alpha."""
    if p is None:
        return "undefined"
    texts = (f"{p:.{digits}g}" for digits in (3, 6, 9, 17))
    return next(text for text in texts if (float(text) < alpha) == (p < alpha))


def _remedy(result: Comparison) -> str:
    if result.seeds_needed is None:
        return result.seeds_note[:1].upper() + result.seeds_note[1:]
    return f"At this mean and deviation {result.seeds_needed:,} seeds would reach it"


def _own_evidence(scores: Sequence[SeedScore]) -> dict[str, Any]:
    """Return what the run says by itself, per token of its own tokenizer."""
    own_S = [score.sum_nats / score.tokens for score in scores]
    sample = describe(own_S) if own_S else None
    return {
        "seeds": [score.seed for score in scores],
        "own_nats_per_token": own_S,
        "own_mean": sample.mean if sample else None,
        "own_std": sample.std if sample else None,
        "own_bytes_per_token": scores[0].text_bytes / scores[0].tokens if scores else None,
    }


def _finding(status: Status, message: str, margin: Margin, **more: Any) -> Finding:
    return Finding(id=ID, status=status, message=message, limit=margin.alpha, unit="p", **more)
