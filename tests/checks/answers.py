"""Challenge records written by hand, for the checks that read them."""

import math

from checks.contract import (
    BlindAnswer,
    Breach,
    Challenge,
    FutureAnswer,
    RepeatAnswer,
    TargetAnswer,
    Tolerances,
)

LIMITS = Tolerances(
    floor_nats=0.02,
    cap_nats=0.25,
    repeat_factor=4.0,
    sum_tolerance=1e-3,
    gain_limit_nats=0.001,
    confidence=0.99,
    min_span=0.9,
    max_replay_ratio=2.0,
)


def challenge(**fields):
    return Challenge(**{"tokens": 1000, "span_tokens": 1000, **fields})


def blind(gap=0.0, position=10, credited=2.0, log_sum=0.0):
    """Answer `gap` nats more than credited; None is probability 0."""
    return BlindAnswer(
        position=position,
        credited_nats=credited,
        blind_nats=None if gap is None else credited + gap,
        log_sum=log_sum,
    )


def future(gap=0.0, position=10, first=0, mean=None):
    return FutureAnswer(
        position=position,
        first=first,
        gap_nats=gap,
        worst_position=position,
        worst_credited_nats=2.0,
        worst_gap_nats=gap,
        mean_gap_nats=gap / (position - first + 1) if mean is None else mean,
    )


def repeat(gap=0.0, first=0, tokens=100):
    return RepeatAnswer(
        first=first, tokens=tokens, mean_gap_nats=0.0, max_abs_gap_nats=gap, worst_position=first
    )


def target(scored, row, position=10, token=0, classes=None):
    """Answer with the probabilities `scored` for tokens 0, 1, ... whose row says `row`."""
    return TargetAnswer(
        position=position,
        credited_nats=-math.log(scored[token]),
        token=token,
        tokens=tuple(range(len(scored))),
        nats=tuple(-math.log(p) for p in scored),
        row_nats=tuple(-math.log(p) if p else None for p in row),
        classes=classes,
        whole_vocabulary=False,
    )


def whole(scored, position=10, token=0, credited=None, classes=None):
    """Answer with the probabilities `scored` for every token of the vocabulary."""
    return TargetAnswer(
        position=position,
        credited_nats=-math.log(scored[token]) if credited is None else credited,
        token=token,
        tokens=tuple(range(len(scored))),
        nats=tuple(-math.log(p) for p in scored),
        row_nats=None,
        classes=classes,
        whole_vocabulary=True,
    )


def breach(question, kind="closed", position=7):
    return Breach(kind=kind, message="it ended", frame=3, position=position, question=question)
