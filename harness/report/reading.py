"""What a report says, looked up for its renderers: comparisons, caps, bounds, phases, and what to do next.

Evidence is plain JSON of any shape, so every look-up answers None where a value is absent or of another
kind. Nothing is worked out here that decides anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from checks.agreement import Gap
from checks.contract import Finding, Status
from harness.report.figures import count
from harness.report.model import Report, SeedResult

VERDICTS = {
    Status.PASS: "every required check passed",
    Status.FAIL: "a rule is broken",
    Status.ERROR: "the judge could not tell",
    Status.NOT_RUN: "undecided",
}
"""What each status means as the verdict of a whole run, where the report itself has no words for it."""

EXIT_CODES = {
    0: "all required checks passed",
    1: "a rule is broken",
    2: "usage or manifest error",
    3: "the judge or the machine failed, or nothing was decided",
}

HELD = ("enforced",)
"""States of a guarantee that hold, whatever the submission does."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run beside its baseline, in nats per token of the baseline's tokenizer; lower is better.

    `target_nats` is the mean that the threshold asks for: the baseline's less the margin. None where unknown.
    """

    seeds: tuple[tuple[int, float], ...]
    mean: float | None
    interval: Interval | None
    baseline: tuple[tuple[int, float], ...]
    baseline_mean: float | None
    target_nats: float | None
    improvement_nats: float | None
    improvement_interval: Interval | None
    seeds_needed: float | None


@dataclass(frozen=True, slots=True)
class Bound:
    """The gain from peeking, in nats per token, as far as the evidence states it."""

    mean: float | None
    lower: float | None
    upper: float | None
    limit: float | None


@dataclass(frozen=True, slots=True)
class Reading:
    """One of the tests of `stats.margin`: its name, the margin in its null hypothesis, and p."""

    test: str
    margin_nats: float
    p: float | None
    deciding: bool


def finding(findings: Iterable[Finding], check: str) -> Finding | None:
    """Return the finding of a check, or None."""
    return next((found for found in findings if found.id == check), None)


def is_required(report: Report, check: str) -> bool:
    """Say whether a check decides: named by the ruleset, or about a guarantee that the ruleset requires."""
    return check in report.required or check.startswith("sandbox.")


def evidence_of(report: Report, found: Finding) -> Mapping[str, object]:
    """Return the evidence behind a finding on all seeds: that of the first seed that came to the same.

    The finding's own, where no seed has one: a check over the whole run.
    """
    for seed in report.seeds:
        here = finding(seed.findings, found.id)
        if here is not None and here.status is found.status:
            return here.evidence
    return found.evidence


def number(evidence: Mapping[str, object], name: str) -> float | None:
    """Return the named value if it is a finite number."""
    value = evidence.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and _finite(value):
        return float(value)
    return None


def comparison(report: Report) -> Comparison:
    """Return the seeds beside the baseline's, as `stats.margin` compared them where it did."""
    compared = _compared(report)
    sample, base = _mapping(compared.get("sample")), _mapping(compared.get("baseline"))
    scored = [(seed.seed, seed.nats_per_token) for seed in report.seeds]
    own = tuple((seed, nats) for seed, nats in scored if nats is not None and _finite(nats))
    converted = _numbers(sample.get("nats_per_token"))
    if len(converted) == len(own):
        own = tuple((seed, nats) for (seed, _), nats in zip(own, converted, strict=True))
    facts = report.baseline
    theirs = tuple(zip(facts.seeds, facts.nats_per_token, strict=False)) if facts else ()
    baseline_mean = number(base, "mean")
    if baseline_mean is None:
        baseline_mean = _mean([nats for _, nats in theirs])
    mean = number(sample, "mean")
    margin = margin_nats(report)
    return Comparison(
        seeds=own,
        mean=_mean([nats for _, nats in own]) if mean is None else mean,
        interval=_interval(sample.get("ci")),
        baseline=theirs,
        baseline_mean=baseline_mean,
        target_nats=None if baseline_mean is None or margin is None else baseline_mean - margin,
        improvement_nats=number(compared, "improvement_nats"),
        improvement_interval=_interval(compared.get("improvement_ci")),
        seeds_needed=number(compared, "seeds_needed"),
    )


def readings(report: Report) -> tuple[Reading, ...]:
    """Return the p-values of `stats.margin` under every test and null hypothesis; the first decides."""
    listed = _compared(report).get("readings")
    rows = []
    for index, item in enumerate(listed if isinstance(listed, list | tuple) else ()):
        row = _mapping(item)
        margin, test = number(row, "margin_nats"), row.get("test")
        if margin is not None and isinstance(test, str):
            rows.append(Reading(test, margin, number(row, "p"), index == 0))
    return tuple(rows)


def _compared(report: Report) -> Mapping[str, object]:
    found = finding(report.findings, "stats.margin")
    return _mapping(found.evidence.get("comparison")) if found else {}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def gain(findings: Iterable[Finding]) -> Bound | None:
    """Return what `order.blind` says of the mean gain from peeking; None where it says nothing."""
    found = finding(findings, "order.blind")
    evidence: Mapping[str, object] = found.evidence if found else {}
    bound = Bound(
        mean=number(evidence, "gain_mean_nats_per_token"),
        lower=number(evidence, "gain_lower_nats_per_token"),
        upper=number(evidence, "gain_upper_nats_per_token"),
        limit=number(evidence, "gain_limit_nats_per_token"),
    )
    return bound if bound.upper is not None else None


def tolerance(seeds: Iterable[SeedResult]) -> float | None:
    """Return the gap, in nats, beyond which one answer condemns: the widest of these seeds."""
    found = [finding(seed.findings, "order.blind") for seed in seeds]
    widths = [number(each.evidence, "tolerance_nats") for each in found if each is not None]
    return max((width for width in widths if width is not None), default=None)


def confidence(report: Report) -> float | None:
    """Return how sure the bounds of the gain are, as a share; they are one-sided."""
    found = finding(report.findings, "order.blind")
    return number(found.power, "confidence") if found and found.power else None


def off_the_line(seed: SeedResult) -> tuple[tuple[float, float], ...]:
    """Return the (credited, blind) pairs of a seed that lie further apart than its tolerance."""
    width = tolerance([seed])
    return () if width is None else tuple(pair for pair in seed.blind if apart(pair) > width)


def apart(pair: tuple[float, float]) -> float:
    """Return how far (credited, blind) nats lie apart, as the check compares them."""
    credited, blind = pair
    return abs(Gap(position=0, credited=credited, answer=blind).nats)


def margin_nats(report: Report) -> float | None:
    """Return by how much the baseline is to be beaten, in nats per token; None where it was not tested."""
    margins = [reading.margin_nats for reading in readings(report)]
    return max(margins, default=None)


def cap_bytes(report: Report) -> float | None:
    """Return the cap on the artifact, as the findings state it."""
    everywhere = [*report.findings, *(f for seed in report.seeds for f in seed.findings)]
    limits = [f.limit for f in everywhere if f.id == "bytes.artifact" and f.limit is not None]
    return limits[0] if limits else None


def largest_artifact(report: Report) -> SeedResult | None:
    """Return the seed whose artifact is largest: the one that the cap decides on."""
    sealed = [seed for seed in report.seeds if seed.artifact_files]
    return max(sealed, key=lambda seed: seed.artifact_bytes or 0, default=None)


def phase_names(report: Report) -> tuple[str, ...]:
    """Return the phases of all seeds, in the order in which they first appear."""
    return tuple(dict.fromkeys(time.phase for seed in report.seeds for time in seed.phases))


def next_steps(report: Report) -> tuple[str, ...]:
    """Return what to do next, a sentence or two each; at least one."""
    steps = [*_about_seeds(report), *_about_checks(report), *_about_guarantees(report)]
    if report.verdict is Status.PASS:
        steps.append(
            "Keep the run's folder: report.json and what lies beside it are what a second judge needs."
        )
    if not steps:
        steps.append(
            "Read the message of each check that is not PASS; report.json has the evidence."
        )
    return tuple(steps)


def _about_seeds(report: Report) -> Iterable[str]:
    for seed in report.seeds:
        ended = [time for time in seed.phases if time.outcome not in ("done", "not started")]
        if ended and seed.nats_per_token is None:
            yield (
                f"Seed {seed.seed} has no score: its {ended[0].phase} phase ended with "
                f'"{ended[0].outcome}". Its log in the run\'s folder says why.'
            )


def _about_checks(report: Report) -> Iterable[str]:
    failed = [found.id for found in report.findings if found.status is Status.FAIL]
    errors = [found.id for found in report.findings if found.status is Status.ERROR]
    undecided = [found.id for found in report.findings if found.status is Status.NOT_RUN]
    if failed:
        yield f"Mend what broke {_listed(failed)}; `harness explain {failed[0]}` prints the rule."
    if errors:
        yield (
            f"{_listed(errors)} could not be decided, which says nothing against the submission: "
            "the message names what was missing. Run again."
        )
    if "stats.margin" in undecided:
        yield _about_margin(report)


def _about_margin(report: Report) -> str:
    if report.baseline is None:
        return "Nothing to compare with: give --baseline FILE, or judge under a ruleset that names one."
    if len(report.seeds) < 2:
        return (
            f"{count(len(report.seeds), 'seed')} cannot show a margin: give --seeds at least two."
        )
    return "stats.margin could not be judged; its message says what was missing."


def _about_guarantees(report: Report) -> Iterable[str]:
    missing = [g.name for g in report.guarantees if g.required and g.state not in HELD]
    if missing:
        yield f"This machine does not enforce {_listed(missing)}, which the ruleset requires."


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _numbers(value: object) -> list[float]:
    items = value if isinstance(value, list | tuple) else ()
    return [float(item) for item in items if isinstance(item, int | float) and _finite(item)]


def _interval(value: object) -> Interval | None:
    ends = _numbers(value)
    return (ends[0], ends[1]) if len(ends) == 2 and ends[0] <= ends[1] else None


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False


def _mean(values: Sequence[float]) -> float | None:
    # Each is divided first: a sum of large numbers could overflow.
    return math.fsum(value / len(values) for value in values) if values else None
