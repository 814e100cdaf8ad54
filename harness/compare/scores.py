"""The difference between two runs' scores: seed by seed where both have the seed, else mean against mean.

Two seeds or more in common are paired: one seed may start both programs from the same draw, and what that
does to both falls out of the difference. Otherwise the means of all seeds are compared by Welch's test.
Neither knows a margin, and no alpha decides anything here; that is `stats.margin`, against a baseline.

Sources: as in checks.stats_margin, whose arithmetic this is.

Does not catch: seeds that were chosen for their result, or that change nothing in the program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from checks.stats_margin import describe, interval, lower_tail, welch
from harness.compare.model import Interval, Score, Scored

SAME = "the seeds' differences are identical: no noise to test against"
NEITHER_VARIES = "neither side's scores vary between its seeds: no noise to test against"
ONE_SEED = "one seed has no deviation"
ROUNDING = 1e-12
"""A deviation below this share of the scores is what float64 makes of sums that are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What the scores are in, and how many bits per byte one of them is."""

    unit: str
    bits_per_byte: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    interval: Interval | None = None
    t: float | None = None
    df: float | None = None
    undefined: str = ""


def compare(nats_a: Mapping[int, float], nats_b: Mapping[int, float], scale: Scale) -> Score:
    """Return the difference B minus A of at least one seed each, seed to score, all in `scale`.

    Paired over the seeds in common where there are two or more, or where one is all that a side has; else
    Welch's over all seeds. Where the deviation is unknown or 0, interval, t and p are None and `undefined`
    says why. Raises ValueError where a side has no seed.
    """
    if not nats_a or not nats_b:
        raise ValueError("each side needs a seed")
    common = [seed for seed in nats_a if seed in nats_b]
    paired = len(common) > 1 or (bool(common) and min(len(nats_a), len(nats_b)) == 1)
    a = _scored(nats_a, common if paired else list(nats_a), scale)
    b = _scored(nats_b, common if paired else list(nats_b), scale)
    if paired:
        differences = [theirs - own for own, theirs in zip(a.nats, b.nats, strict=True)]
        difference, test = describe(differences).mean, _paired(differences, _noise(a, b))
    else:
        difference, test = b.mean - a.mean, _welch(a, b)
    p_b, p_a = _tails(test)
    return Score(
        unit=scale.unit,  # type: ignore[arg-type]
        paired=paired,
        test="paired t" if paired else "Welch",
        a=a,
        b=b,
        left_out_a=tuple(seed for seed in nats_a if paired and seed not in nats_b),
        left_out_b=tuple(seed for seed in nats_b if paired and seed not in nats_a),
        difference=difference,
        interval=test.interval,
        bits_per_byte_difference=difference * scale.bits_per_byte,
        t=test.t,
        df=test.df,
        p_b_better=p_b,
        p_a_better=p_a,
        undefined=test.undefined,
    )


def _scored(nats: Mapping[int, float], seeds: list[int], scale: Scale) -> Scored:
    sample = describe([nats[seed] for seed in seeds])
    return Scored(
        seeds=tuple(seeds),
        nats=sample.nats_per_token,
        mean=sample.mean,
        std=sample.std,
        bits_per_byte_mean=sample.mean * scale.bits_per_byte,
    )


def _noise(a: Scored, b: Scored) -> float:
    """Return the deviation up to which nothing but rounding is seen."""
    return ROUNDING * max(*a.nats, *b.nats)


def _paired(differences: list[float], noise: float) -> _Test:
    sample = describe(differences)
    if sample.std is None:
        return _Test(undefined=ONE_SEED)
    if sample.std <= noise:
        return _Test(undefined=SAME)
    n = len(differences)
    return _test(sample.mean, sample.std / math.sqrt(n), float(n - 1))


def _welch(a: Scored, b: Scored) -> _Test:
    if a.std is None or b.std is None:
        return _Test(undefined=ONE_SEED)
    if max(a.std, b.std) <= _noise(a, b):
        return _Test(undefined=NEITHER_VARIES)
    error, df = welch(a.std, len(a.nats), b.std, len(b.nats))
    return _test(b.mean - a.mean, float(error), float(df))


def _test(difference: float, error: float, df: float) -> _Test:
    return _Test(interval=interval(difference, error, df), t=difference / error, df=df)


def _tails(test: _Test) -> tuple[float | None, float | None]:
    """Return one-sided p for "B is no better than A" and for "A is no better than B"."""
    if test.t is None or test.df is None:
        return None, None
    return float(lower_tail(test.t, test.df)), float(lower_tail(-test.t, test.df))
