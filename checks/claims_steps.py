"""claims.steps: steps, time of a step and time of training belong together, in the logs and in the claims.

Does not catch: all three made up together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from checks.contract import Finding, Status
from checks.published import Log, Published, Run, Value

ID = "claims.steps"
TOLERANCE = 0.02
"""Relative. A mean over steps leaves out the first ones in some trainers, and claims are rounded."""
LAST_LINE = 0.12
"""The same for claimed steps: a log writes every so many steps, so that a claim may be ahead of its end."""
PLANNED = 1.5
"""Times the logged steps from which a claim is of those that were planned (20000 of "step:6900/20000")."""
FEWEST = 100
"""Steps below which the first ones weigh too much in the mean."""


def check(record: Published) -> Finding:
    """Compare steps times the mean time of a step with the end of training, claimed steps with logged ones.

    `measured` is the largest relative difference, `limit` the tolerance of that comparison. Of several ends
    in one log the nearest is compared, and all are named. A claim of the steps that were planned is not
    compared. NOT-RUN: fewer than two of the three are stated anywhere.
    """
    compared = [*_of_logs(record), *_of_claims(record), *_of_claimed_seeds(record)]
    if not compared:
        return Finding(
            id=ID,
            status=Status.NOT_RUN,
            message="steps and times are not stated together",
            unit="relative difference",
        )
    bad = sorted((c for c in compared if c[0] > c[1]), key=lambda c: (-c[0], c[2]))
    off, limit, _ = max(bad or compared, key=lambda c: (c[0], -c[1]))
    count = len(compared)
    agree = f"{count} comparison{'s agree' if count > 1 else ' agrees'} within {off:.1%}"
    said = [words for _, _, words in bad[:3]] or [agree]
    return Finding(
        id=ID,
        status=Status.FAIL if bad else Status.PASS,
        message="; ".join([*said, *_several_ends(record)[:1]]),
        measured=off,
        limit=limit,
        unit="relative difference",
    )


def _of_logs(record: Published) -> Iterator[tuple[float, float, str]]:
    """Yield, for each run, how far steps times step time are from the end; the tolerance; and the words."""
    for run in record.headline.runs:
        log = _training(record, run)
        if log is None or log.steps is None or log.step_ms is None:
            continue
        if log.steps.value < FEWEST:
            continue
        product_s = log.steps.value * log.step_ms.value / 1e3
        ends_s = [value.value / 1e3 for value in run.stop_ms.values]
        offs = [(off, end) for end in ends_s if (off := _off(product_s, end)) is not None]
        if offs:
            off, end_s = min(offs)
            words = f"{log.steps.place}: {_product(log.steps, log.step_ms.value, product_s)}"
            yield off, TOLERANCE, f"{words}; the log's end says {end_s:.1f} s"


def _several_ends(record: Published) -> list[str]:
    """Return, for each run whose log states several ends of training, which."""
    return [
        f"{run.log.name} states several ends of training "
        f"({', '.join(f'{value.value / 1e3:.1f}' for value in run.stop_ms.candidates)} s)"
        for run in record.headline.runs
        if run.stop_ms.candidates
    ]


def _of_claims(record: Published) -> Iterator[tuple[float, float, str]]:
    claims = record.usable
    steps = claims.steps.best if claims else None
    step_ms = claims.step_ms.value if claims else None
    train_s = claims.train_s.value if claims else None
    if steps is None or step_ms is None or train_s is None:
        return
    product_s = steps.value * step_ms / 1e3
    off = _off(product_s, train_s)
    if off is not None:
        words = f"{steps.place} claims {_product(steps, step_ms, product_s)}"
        yield off, TOLERANCE, f"{words}, and {train_s:g} s of training"


def _of_claimed_seeds(record: Published) -> Iterator[tuple[float, float, str]]:
    """Yield how far the claimed steps of each seed are from the end of its log."""
    of_seed = {run.seed: run for run in record.headline.runs}
    for claim in record.usable.per_seed if record.usable else ():
        run = of_seed.get(claim.seed)
        log = _training(record, run) if run else None
        if claim.steps is None or log is None or log.steps is None:
            continue
        if claim.steps.value > PLANNED * log.steps.value:
            continue
        off = _off(log.steps.value, claim.steps.value)
        if off is not None:
            words = f"{claim.steps.place} claims {claim.steps.value:,} steps of seed {claim.seed}"
            yield off, LAST_LINE, f"{words}; {log.steps.place} ends at {log.steps.value:,}"


def _training(record: Published, run: Run) -> Log | None:
    """Return the log that a run was trained in: its own, or one joined to it."""
    names = (run.log.name, *run.joined)
    return next((log for log in record.logs if log.name in names and log.steps), None)


def _off(value: float, reference: float) -> float | None:
    """Return the relative difference, or None where there is no such thing."""
    off = abs(value / reference - 1) if reference > 0 else math.inf
    return off if math.isfinite(off) else None


def _product(steps: Value[int], step_ms: float, product_s: float) -> str:
    return f"{steps.value:,} steps of {step_ms:g} ms, {product_s:.1f} s"
