"""How far an answer may lie from what was credited: the two arms that the challenge checks share.

Hard arm: one gap beyond a tolerance condemns. The tolerance is what repeats of whole blocks show this
machine and this scorer to differ by, times a factor, but never below the ruleset's floor (a lone forward
pass rounds differently from a batch) and never above its cap (noise made on purpose widens it no further).

Statistical arm: the mean of (answer - credited) is what a token gained on average from what it should not
have seen. Its one-sided bounds, by Student's t, are compared with the ruleset's limit in nats per token:
upper bound below the limit, PASS; lower bound above, FAIL; neither, undecided, with the number of
challenges that would decide.

Does not catch: a taint rarer than the power says, whose positions happened not to be drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from checks.contract import Breach, Challenge, Finding, Status, Tolerances

IMPOSSIBLE_NATS = 700.0
"""Beyond this a probability is 0 in double precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One comparison: at `position`, `answer` nats against `credited` nats; None is probability 0."""

    position: int
    credited: float
    answer: float | None

    @property
    def nats(self) -> float:
        """Return answer - credited: positive where the credited pass knew more.

        Two tokens that both sides hold impossible agree, whatever floor each puts under its logarithm.
        """
        if self.credited >= IMPOSSIBLE_NATS and (self.answer or IMPOSSIBLE_NATS) >= IMPOSSIBLE_NATS:
            return 0.0
        return math.inf if self.answer is None else self.answer - self.credited


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """The mean gap and its one-sided bounds, in nats per token."""

    count: int
    mean: float
    lower: float
    upper: float
    needed: int | None
    """Challenges that would decide at this mean and deviation; None if none would."""

    def status(self, limit: float) -> Status:
        """Return PASS, FAIL, or ERROR where the bounds straddle the limit."""
        if self.upper < limit:
            return Status.PASS
        return Status.FAIL if self.lower > limit else Status.ERROR


def hard_tolerance_nats(challenge: Challenge, limits: Tolerances) -> float:
    """Return the gap beyond which one answer alone condemns."""
    noise = max((answer.max_abs_gap_nats for answer in challenge.repeat), default=0.0)
    return min(limits.cap_nats, max(limits.floor_nats, limits.repeat_factor * noise))


def gain(gaps: Sequence[float], limit: float, confidence: float) -> Gain:
    """Return the mean of at least two finite gaps with its bounds at `confidence`.

    Raises ValueError for fewer than two: one number has no interval.
    """
    from scipy import stats

    count = len(gaps)
    if count < 2:
        raise ValueError("one gap has no interval")
    mean = math.fsum(gaps) / count
    deviation = math.sqrt(math.fsum((gap - mean) ** 2 for gap in gaps) / (count - 1))
    half = float(stats.t.ppf(confidence, count - 1)) * deviation / math.sqrt(count)
    distance = abs(limit - mean)
    z = float(stats.norm.ppf(confidence))
    needed = math.ceil((z * deviation / distance) ** 2) if distance > 0 else None
    return Gain(
        count=count,
        mean=mean,
        lower=mean - half,
        upper=mean + half,
        needed=None if needed is None or needed > 10**9 else max(needed, count + 1),
    )


def power(count: int, confidence: float) -> dict[str, Any] | None:
    """Return the smallest tainted fraction of positions that `count` uniform draws meet at `confidence`."""
    if count == 0:
        return None
    smallest = 1.0 - (1.0 - confidence) ** (1.0 / count)
    return {
        "smallest_tainted_fraction": smallest,
        "confidence": confidence,
        "challenges": count,
    }


def judge(
    check: str,
    gaps: Sequence[Gap],
    averages: Sequence[float],
    challenge: Challenge,
    limits: Tolerances,
    *,
    what: str,
) -> Finding:
    """Apply both arms: `gaps` one by one, `averages` (the statistic of each question) in the mean.

    `what` completes "the scorer gives it ... nats" in the message of the hard arm. A question whose gap is
    infinite has failed the hard arm already and is left out of the mean.
    """
    tolerance = hard_tolerance_nats(challenge, limits)
    span = challenge.span_tokens / challenge.tokens if challenge.tokens else 0.0
    evidence: dict[str, Any] = {
        "challenges": len(averages),
        "tolerance_nats": tolerance,
        "gain_limit_nats_per_token": limits.gain_limit_nats,
        "span_fraction": span,
    }
    strength = power(len(averages), limits.confidence)
    measure: float | None = None
    result: Gain | None = None
    if len(averages) >= 2:
        result = gain(averages, limits.gain_limit_nats, limits.confidence)
        measure = result.upper
        evidence |= {
            "gain_mean_nats_per_token": result.mean,
            "gain_lower_nats_per_token": result.lower,
            "gain_upper_nats_per_token": result.upper,
        }
    beyond = sorted((g for g in gaps if abs(g.nats) > tolerance), key=lambda g: -abs(g.nats))
    if beyond:
        evidence["beyond_tolerance"] = len(beyond)
        evidence["worst"] = [_gap_facts(gap) for gap in beyond[:10]]
    status, message = _conclude(beyond, len(gaps), tolerance, result, limits, what)
    if status is Status.PASS and (span < limits.min_span or challenge.out_of_time):
        status = Status.ERROR
        message = f"agrees as far as it was asked, but {_stopped(challenge, span, limits)}"
    if status is Status.PASS and span < 1.0 and _dawdled(challenge, limits):
        status = Status.ERROR
        message = (
            "agrees as far as it was asked, but the replay took "
            f"{challenge.replay_ratio:.3g} times as long a token as the credited pass, "
            f"so that the last {1.0 - span:.0%} of the stream was left out"
        )
    if status is Status.PASS and strength is not None:
        message += f"; {_unseen(strength['smallest_tainted_fraction'], span)} may go unseen"
    if status is Status.ERROR and result is not None and span >= limits.min_span:
        evidence["challenges_needed"] = result.needed
    return Finding(
        id=check,
        status=status,
        message=message,
        measured=measure,
        limit=limits.gain_limit_nats,
        unit="nats/token",
        evidence=evidence,
        power=strength,
    )


def _conclude(
    beyond: Sequence[Gap],
    compared: int,
    tolerance: float,
    result: Gain | None,
    limits: Tolerances,
    what: str,
) -> tuple[Status, str]:
    if beyond:
        worst = beyond[0]
        said = "probability 0" if worst.answer is None else f"{worst.answer:.4f} nats"
        return Status.FAIL, (
            f"position {worst.position}: credited {worst.credited:.4f} nats, but {what} "
            f"the scorer gives it {said} (tolerance {tolerance:.3g}); "
            f"{len(beyond)} of {compared} answers disagree"
        )
    if result is None:
        return Status.ERROR, "one answer has no interval; more challenges are needed"
    status = result.status(limits.gain_limit_nats)
    bound = f"{limits.confidence:.0%} bound"
    if status is Status.PASS:
        return status, (
            f"what was drawn agrees: mean gain at most {max(result.upper, 0.0):.2g} nats/token "
            f"({bound}, {result.count} questions; limit {limits.gain_limit_nats:.2g})"
        )
    if status is Status.FAIL:
        return status, (
            f"what it must not see gains {result.mean:.4f} nats/token (at least {result.lower:.4f}, "
            f"{bound}, {result.count} questions; limit {limits.gain_limit_nats:.2g})"
        )
    needed = f"about {result.needed}" if result.needed else "no number of"
    return status, (
        f"undecided: the gain lies between {result.lower:.2g} and {result.upper:.2g} nats/token "
        f"around the limit {limits.gain_limit_nats:.2g}; {needed} questions would decide"
    )


def _unseen(fraction: float, span: float) -> str:
    """Return what a PASS does not exclude: the mean of drawn positions says nothing of others."""
    rare = f"peeks at fewer than {fraction:.2g} of the positions"
    return rare if span >= 1.0 else f"{rare}, or in the last {1.0 - span:.0%} of the stream,"


def _dawdled(challenge: Challenge, limits: Tolerances) -> bool:
    """Return whether the replay, which does less than the credited pass did, took far longer."""
    return challenge.replay_ratio is not None and challenge.replay_ratio > limits.max_replay_ratio


def _stopped(challenge: Challenge, span: float, limits: Tolerances) -> str:
    if challenge.breach is not None:
        return f"the challenge broke off at {span:.0%} of the stream: {challenge.breach.message}"
    if challenge.out_of_time:
        return f"the challenge budget ran out at {math.floor(1000 * span) / 10:g}% of the stream"
    return (
        f"only {math.floor(1000 * span) / 10:g}% of the stream could be replayed in the challenge budget "
        f"and the ruleset asks for {limits.min_span:.0%}"
    )


def with_control(finding: Finding, control: Finding | None) -> Finding:
    """Return the finding, or ERROR where the planted leak was not caught: the check was blind.

    `control` is what the same check concluded about the judge's own leaking scorer; None is not planted,
    which is ERROR too unless nothing was judged.
    """
    if finding.status is Status.NOT_RUN:
        return finding
    caught = control is not None and control.status is Status.FAIL
    evidence = finding.evidence | {"planted_leak_caught": caught}
    status, message = finding.status, finding.message
    if not caught and status is Status.PASS:
        said = "no leak was planted" if control is None else control.message
        status = Status.ERROR
        message = f"the judge's own planted leak was not caught, so this check was blind: {said}"
    return Finding(
        id=finding.id,
        status=status,
        message=message,
        measured=finding.measured,
        limit=finding.limit,
        unit=finding.unit,
        evidence=evidence,
        power=finding.power,
    )


def broken_off(check: str, breach: Breach) -> Finding:
    """Return the FAIL of the check whose question was not answered as the protocol asks.

    A refusal, a crash or a silence in the challenge is a failure, never noise.
    """
    where = "" if breach.position is None else f" at position {breach.position}"
    question = f"{'an' if breach.question.startswith('a') else 'a'} {breach.question} question"
    return Finding(
        id=check,
        status=Status.FAIL,
        message=f"the challenge process broke off at {question}{where}: {breach.message}",
        evidence={
            "kind": breach.kind,
            "frame": breach.frame,
            "position": breach.position,
            "question": breach.question,
        },
    )


def not_run(check: str, why: str) -> Finding:
    """Return a NOT-RUN finding."""
    return Finding(id=check, status=Status.NOT_RUN, message=why)


def _gap_facts(gap: Gap) -> dict[str, Any]:
    return {
        "position": gap.position,
        "credited_nats": gap.credited,
        "answer_nats": gap.answer,
    }
