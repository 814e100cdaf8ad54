"""claims.deviation: the claimed deviation over seeds is that of the logs.

Does not catch: seeds left out because they lie far from the others.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from checks.contract import Finding, Status
from checks.published import Published, others, std

ID = "claims.deviation"
TOLERANCE = 0.02
"""Relative. A slip in the last of two digits moves no conclusion that rests on three seeds."""


def check(record: Published) -> Finding:
    """Compare the claimed deviation of bits per byte with that of the runs, n - 1 in the denominator.

    One unit of the last digit or 2 % may lie between them, whichever is more. The population's deviation (n)
    and that of rounded scores count as agreement too, to a unit, and that of the nats per token where the key
    does not say bits per byte; the message says which.
    `measured` is the sample deviation of the logs, `limit` the claim. NOT-RUN: no claim, fewer than two runs,
    or a claimed score that they do not give.
    """
    claims, runs = record.usable, record.headline.runs
    claim = claims.std_bpb.best if claims else None
    logged = [run.score.val_bpb for run in runs]
    value = std(logged)
    if claims is None or claim is None or value is None or not record.headline.reproduces:
        return Finding(
            id=ID,
            status=Status.NOT_RUN,
            message="no claimed deviation is read, or fewer than two runs to compare it with",
            unit="bits/byte",
        )
    seeds = [seed.val_bpb.value for seed in claims.per_seed if seed.val_bpb is not None]
    unit = 10.0**-claims.std_digits + 1e-9
    says = (
        f"{claim.place} claims {claim.value:.{min(claims.std_digits, 12)}f}{others(claims.std_bpb)}"
    )
    ways = [*_ways(logged, seeds)]
    nats = [run.score.val_loss for run in runs]
    of_nats = std(nats)
    if of_nats is not None and "bpb" not in claim.words.lower():
        ways.append(("of the logged nats per token", of_nats, TOLERANCE * of_nats))
    for words, deviation, slack in ways:
        if abs(deviation - claim.value) <= max(unit, slack):
            return _finding(
                Status.PASS, f"{says}; the deviation {words} is {deviation:.8f}", value, claim.value
            )
    words = f"{says}; the deviation of {len(runs)} logs is {value:.8f}"
    return _finding(Status.FAIL, words, value, claim.value)


def _ways(logged: Sequence[float], seeds: Sequence[float]) -> Iterator[tuple[str, float, float]]:
    """Yield of what a deviation may have been meant to be, that deviation, and what is granted beside it."""
    for words, values in (("of the logs", logged), ("of the claimed seeds", seeds)):
        sample = std(values)
        if sample is not None:
            yield words, sample, TOLERANCE * sample
            yield f"{words} as a population", statistics.pstdev(values), 0.0
    for places in (5, 4):
        rounded = std([round(value, places) for value in logged])
        if rounded is not None:
            yield f"of scores rounded to {places} digits", rounded, 0.0


def _finding(status: Status, message: str, measured: float, limit: float) -> Finding:
    return Finding(
        id=ID, status=status, message=message, measured=measured, limit=limit, unit="bits/byte"
    )
