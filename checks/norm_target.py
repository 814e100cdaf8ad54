"""`norm.target`: what is credited for a token is that token's entry in one distribution.

At a drawn position other tokens are put in the place of the true one, and `score` is asked each time. A
scorer whose answers depend on the token only through its probability must give each substitute what its blind
row of the same position gives it; without `predict`, the whole vocabulary is tried and must sum to one.
Substitutes are drawn within and across token classes (word starts, continuations, bytes, control) and from
the likely ones.

Does not catch: a dependence on tokens that were not among the substitutes; `order.blind` covers the true one.
"""

from __future__ import annotations

import math
from typing import Any

from checks.agreement import Gap, broken_off, hard_tolerance_nats, not_run, power, with_control
from checks.contract import Challenge, Finding, Status, TargetAnswer, Tolerances

ID = "norm.target"
CLASS_NAMES = ("control", "byte", "word start", "continuation")
NEGLIGIBLE = 1e-6
"""Two probabilities this close agree, whatever their logarithms: rounding moves tiny ones by whole nats."""


def check(challenge: Challenge | None, control: Challenge | None, limits: Tolerances) -> Finding:
    """Compare substitutes with their entries, in nats; without `predict`, sums over the vocabulary with 1.

    Measured is the largest distance. Substitutes whose probability is negligible both ways do not count.
    """
    if challenge is None:
        return not_run(ID, "there was no challenge: the run did not get there")
    planted = None if control is None else _judge(control, limits)
    return with_control(_judge(challenge, limits), planted)


def _judge(challenge: Challenge, limits: Tolerances) -> Finding:
    if challenge.breach is not None and challenge.breach.question == "target":
        return broken_off(ID, challenge.breach)
    if not challenge.target:
        return not_run(ID, "no substitution was answered")
    tolerance = hard_tolerance_nats(challenge, limits)
    whole = challenge.target[0].whole_vocabulary
    ranked = sorted(challenge.target, key=_largest, reverse=True)
    problems = [
        problem for answer in ranked if (problem := _problem(answer, tolerance, limits)) is not None
    ]
    tried = sum(len(answer.tokens) for answer in challenge.target)
    largest = [gap for answer in ranked if math.isfinite(gap := _largest(answer))]
    if problems:
        status = Status.FAIL
        message = f"{problems[0]}; {len(problems)} of {len(challenge.target)} positions are off"
    else:
        status = Status.PASS
        message = f"{tried} substitutes at {len(challenge.target)} positions agree with one distribution each"
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=max(largest, default=None),
        limit=limits.sum_tolerance if whole else tolerance,
        unit="|sum - 1|" if whole else "nats",
        evidence={
            "positions": len(challenge.target),
            "substitutes": tried,
            "off": len(problems),
            "problems": problems[:10],
        },
        power=power(len(challenge.target), limits.confidence),
    )


def _problem(answer: TargetAnswer, tolerance: float, limits: Tolerances) -> str | None:
    """Return one sentence on what is wrong at a position, or None."""
    if answer.whole_vocabulary:
        total = _sum(answer)
        if abs(total - 1.0) > limits.sum_tolerance:
            heavy = _heaviest(answer)
            return (
                f"position {answer.position}: tried in turn, the vocabulary's probabilities sum to "
                f"{total:.6g}, not 1 ({heavy})"
            )
        return None
    off = [index for index in range(len(answer.tokens)) if _disagrees(answer, index, tolerance)]
    if not off:
        return None
    index = max(off, key=lambda i: abs(_gap(answer, i)))
    row = None if answer.row_nats is None else answer.row_nats[index]
    said = "0" if row is None else f"{math.exp(-row):.6g}"
    text = (
        f"position {answer.position}: {_named(answer, index)} is scored with probability "
        f"{math.exp(-answer.nats[index]):.6g}, its entry in the distribution is {said}"
    )
    other = _of_another_class(answer, index)
    return text if other is None else f"{text}; {other}"


def _disagrees(answer: TargetAnswer, index: int, tolerance: float) -> bool:
    return abs(_gap(answer, index)) > tolerance and _counts(answer, index)


def _counts(answer: TargetAnswer, index: int) -> bool:
    """Return whether a substitute's logarithms are worth comparing; the true token's always are."""
    row = None if answer.row_nats is None else answer.row_nats[index]
    entry = 0.0 if row is None else math.exp(-row)
    is_true = answer.tokens[index] == answer.token
    return is_true or abs(math.exp(-answer.nats[index]) - entry) > NEGLIGIBLE


def _gap(answer: TargetAnswer, index: int) -> float:
    """Return entry - answer in nats: positive where the score is better than the distribution."""
    if answer.row_nats is None:
        return 0.0
    gap = Gap(position=answer.position, credited=answer.nats[index], answer=answer.row_nats[index])
    return gap.nats


def worst_substitute(answer: TargetAnswer) -> tuple[int, Gap] | None:
    """Return the token furthest from its entry and the comparison; None where there are no entries."""
    if answer.row_nats is None:
        return None
    counted = [
        (token, Gap(position=answer.position, credited=nats, answer=row))
        for index, (token, nats, row) in enumerate(
            zip(answer.tokens, answer.nats, answer.row_nats, strict=True)
        )
        if _counts(answer, index)
    ]
    return max(counted, key=lambda entry: abs(entry[1].nats), default=None)


def _largest(answer: TargetAnswer) -> float:
    """Return the largest distance at a position, infinite where something has an entry of 0."""
    if answer.whole_vocabulary:
        return abs(_sum(answer) - 1.0)
    indices = range(len(answer.tokens))
    return max((abs(_gap(answer, i)) for i in indices if _counts(answer, i)), default=0.0)


def _sum(answer: TargetAnswer) -> float:
    return math.fsum(math.exp(-nats) for nats in answer.nats)


def _named(answer: TargetAnswer, index: int) -> str:
    token = answer.tokens[index]
    if answer.classes is None:
        return f"token {token}"
    return f"token {token} ({CLASS_NAMES[answer.classes[index]]})"


def _of_another_class(answer: TargetAnswer, index: int) -> str | None:
    """Return, for comparison, what the best-behaved substitute of another class was given."""
    if answer.classes is None or answer.row_nats is None:
        return None
    mine, rows = answer.classes[index], answer.row_nats
    others = [
        (abs(_gap(answer, i)), i, row)
        for i, (kind, row) in enumerate(zip(answer.classes, rows, strict=True))
        if kind != mine and row is not None
    ]
    if not others:
        return None
    _, other, row = min(others)
    probability = math.exp(-answer.nats[other])
    return f"{_named(answer, other)} with {probability:.6g} against {math.exp(-row):.6g}"


def _heaviest(answer: TargetAnswer) -> str:
    order: list[Any] = sorted(range(len(answer.nats)), key=lambda i: answer.nats[i])[:2]
    return ", ".join(f"{_named(answer, i)} {math.exp(-answer.nats[i]):.4g}" for i in order)
