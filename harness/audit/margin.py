"""evidence.margin: the statistics of a record on its own logs, against the record before it.

`checks.stats_margin` does the tests. Where both used one tokenizer and both log nats per token, those are
compared; otherwise bits per byte, as nats per token of the earlier record's tokenizer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from checks.contract import Finding, Margin, Status
from checks.published import Published, Score, bytes_per_token, mean
from checks.score_names import is_a_difference
from checks.stats_margin import Comparison, Reading, compare, describe, readings
from harness.audit.baselines import nats_of_row
from harness.audit.contest import Row

ID = "evidence.margin"
SAME_TOKENIZER = 0.002
"""Relative difference in bytes per token from which two tokenizers are two; logged losses are rounded."""


def check_margin(
    record: Published, row: Row | None, why: str, margins: Sequence[tuple[str, Margin]]
) -> Finding:
    """Test the runs behind the claim against `row`, the record before, under each ruleset of the contest.

    `why` says why that one, or why there is none. `margins` are by the names of their rulesets; the first
    decides. `measured` is its p-value and `limit` its alpha. The evidence has both tests
    under both null hypotheses, for each score that the runs have in common, and how many seeds it would take.
    NOT-RUN: one run, no earlier record, the non-record track. A PASS says nothing of the method's legality.
    """
    runs = record.headline.runs
    if record.track is not None and record.track.value == "non-record":
        return _not_run("the non-record track need not beat a record")
    if not runs:
        return _not_run("no runs behind the claim were found")
    if not all(_plausible(run.score) for run in runs):
        return _not_run("a run states a score that none can have")
    if row is None:
        return _not_run(f"no earlier record to compare with: {why}")
    evidence: dict[str, Any] = {
        "against": row.id,
        "why": why,
        "n_new": len(runs),
        "n_old": len(row.val_bpb),
        "delta_bpb": row.mean_bpb - (mean([run.score.val_bpb for run in runs]) or 0.0),
    }
    if len(runs) < 2 or len(row.val_bpb) < 2:
        few = "the claim has one run" if len(runs) < 2 else f"{row.id} has one run"
        return _not_run(f"{few}: no deviation, so no test (against {row.id}: {why})", evidence)
    scores = [run.score for run in runs]
    new_S, old_S, unit = exchange(scores, row)
    margin = margins[0][1]
    results = [(name, margin, compare(new_S, old_S, margin)) for name, margin in margins]
    decided = results[0][2]
    evidence |= {
        "unit": unit,
        "bytes_per_token": row.bytes_per_token,
        "margin_nats": margin.margin_nats,
        "delta_nats": decided.improvement_nats,
        "p_equal": _p(decided.readings, margin.test, 0.0),
        "p_margin": _p(decided.readings, margin.test, margin.margin_nats),
        "seeds_needed": decided.seeds_needed,
        "rulesets": {
            n: {"p": _deciding(r), "alpha": m.alpha, "status": str(_status(r, m, len(runs)))}
            for n, m, r in results
        },
        "by_score": [_reading(name, values, row, margin) for name, values in common_scores(record)],
    }
    status = _status(decided, margin, len(runs))
    p = _deciding(decided)
    others = "".join(
        f"; under {n} {_status(r, m, len(runs))} (p = {_said(_deciding(r))})"
        for n, m, r in results[1:]
    )
    needs = (
        f"; {decided.seeds_needed} seeds would do"
        if status is Status.FAIL and decided.seeds_needed
        else ""
    )
    needs += _of_the_loss(record, evidence["by_score"])
    below = "<" if p is not None and p < margin.alpha else "not <"
    says = (
        f"{decided.improvement_nats:+.5f} nats per token ({unit}) against {row.id}, p = {_said(p)}"
        f" {below} {margin.alpha:g} for more than {margin.margin_nats:g} ({why}){others}{needs}"
    )
    return Finding(
        id=ID,
        status=status,
        message=says,
        measured=p,
        limit=margin.alpha,
        unit="p",
        evidence=evidence,
    )


def exchange(scores: Sequence[Score], row: Row) -> tuple[list[float], tuple[float, ...], str]:
    """Return new and old nats per token of the old tokenizer, and "as logged" or "through bits per byte"."""
    losses = [score.val_loss for score in scores if score.val_loss is not None]
    ratio = mean([bytes_per_token(score.val_loss, score.val_bpb) for score in scores])
    if (
        ratio is not None
        and row.val_loss
        and abs(ratio / row.bytes_per_token - 1) <= SAME_TOKENIZER
    ):
        return losses, nats_of_row(row), "as logged"
    factor = math.log(2) * row.bytes_per_token
    new_S = [score.val_bpb * factor for score in scores]
    return new_S, tuple(value * factor for value in row.val_bpb), "through bits per byte"


def common_scores(record: Published) -> list[tuple[str, list[Score]]]:
    """Return the final scores that every run has, in its own log or in one joined to it."""
    by_name = {log.name: log for log in record.logs}
    of_run = [
        {
            s.name: s
            for name in (*run.joined, run.log.name)
            for s in by_name[name].scores
            if not s.validation
        }
        for run in record.headline.runs
    ]
    names = [
        name
        for name in (of_run[0] if of_run else {})
        if not is_a_difference(name)
        and all(name in scores and _plausible(scores[name]) for scores in of_run)
    ]
    return [(name, [scores[name] for scores in of_run]) for name in names]


def _of_the_loss(record: Published, readings_of: Sequence[dict[str, Any]]) -> str:
    """Return what holds of the score that the claimed loss is of, where it is another than the headline."""
    claims = record.usable
    claim = claims.val_loss.value if claims else None
    for reading in readings_of:
        if (
            claim is not None
            and abs(reading["mean_nats"] - claim) <= 1e-4
            and reading["unit"] == "as logged"
        ):
            other = reading["score"] != record.headline.name
            return (
                f"; of {reading['score']}, whose loss is claimed, p = {_said(reading['p_welch'])}"
                if other
                else ""
            )
    return ""


def _plausible(score: Score) -> bool:
    """Say whether a score can be one; a log may state any number."""
    return 1e-6 < score.val_bpb < 100 and (score.val_loss is None or 1e-6 < score.val_loss < 100)


def _reading(name: str, scores: Sequence[Score], row: Row, margin: Margin) -> dict[str, Any]:
    new_S, old_S, unit = exchange(scores, row)
    sample, old = describe(new_S), describe(old_S)
    four = readings(sample, old, margin)
    return {
        "score": name,
        "mean_nats": sample.mean,
        "mean_bpb": mean([score.val_bpb for score in scores]),
        "unit": unit,
        "improvement_nats": old.mean - sample.mean,
        "p_one_sample": _p(four, "one-sample", margin.margin_nats),
        "p_welch": _p(four, "welch", margin.margin_nats),
    }


def _p(four: Sequence[Reading], test: str, margin_nats: float) -> float | None:
    return next((r.p for r in four if r.test == test and r.margin_nats == margin_nats), None)


def _deciding(result: Comparison) -> float | None:
    return result.readings[0].p


def _status(result: Comparison, margin: Margin, runs: int) -> Status:
    p = _deciding(result)
    if p is None or runs < margin.min_seeds:
        return Status.NOT_RUN
    return Status.PASS if p < margin.alpha else Status.FAIL


def _said(p: float | None) -> str:
    return "undefined" if p is None else f"{p:.4f}" if p >= 0.0001 else f"{p:.1e}"


def _not_run(message: str, evidence: dict[str, Any] | None = None) -> Finding:
    return Finding(id=ID, status=Status.NOT_RUN, message=message, unit="p", evidence=evidence or {})
