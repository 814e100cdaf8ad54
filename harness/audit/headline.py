"""Which logged numbers the claimed score is made of.

A folder holds several logs, a log several scores, and the claim is a mean of some, one of them, or none. The
search is over whole groups (one score, one log a seed) and never mixes scores; what it settles on is said
with the rule, and whether it gives the claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from checks.published import (
    Claims,
    Headline,
    Log,
    Run,
    Score,
    SeedClaim,
    completed,
    mean,
    slack,
)
from checks.score_names import is_of_something_else

SLACK_BPB = 1e-5
"""Beyond the last digit claimed: a mean of rounded values differs from the mean by less than that."""

MAX_OTHERS = 16
"""Of a score that a log states often and differently."""

NOTHING = Headline(rule="no log states a score", name="", runs=(), reproduces=None)

OF_SEEDS = "mean of the claimed seeds, each found in a log"
OF_ALL = "mean of all logs"
OF_GROUP = "mean of one group of logs"
_SINGLE_RANK = 4
"""One log alone; a group is the better explanation of a claim, be it of what score it may."""
SINGLE, BEST, ONE = "single log", "best of several logs", "one of several logs"
UNCLAIMED = "no claim: last final line of each log"
MISSED = "claim not reproduced: last final line of each log"


def find_headline(claims: Claims | None, logs: Sequence[Log]) -> Headline:
    """Return the runs that give the claimed bits per byte, or the last scores in common and that they do not.

    A submission.json that had to be mended to be read claims nothing here, and one without a score has no
    headline.
    """
    scored = _without_copies(
        [log for log in logs if any(not score.validation for score in log.scores)]
    )
    if claims is None or claims.mended:
        return _last_in_common(scored, UNCLAIMED, None)
    claim = claims.val_bpb.value
    if claim is None:
        return NOTHING
    tolerance = slack(claims.bpb_digits)
    best: tuple[tuple[float, ...], Headline] | None = None
    for number, (rank, rule, name, runs) in enumerate(_groups(claims, scored)):
        value = mean([run.score.val_bpb for run in runs])
        if value is None or abs(value - claim) > tolerance + SLACK_BPB:
            continue
        order = (
            rank >= _SINGLE_RANK,
            sum(is_of_something_else(run.score.name) for run in runs),
            rank,
            -len(runs),
            abs(value - claim) > 0.6 * tolerance + 1e-9,
            not _has_loss(runs, claims),
            any(run.others for run in runs),
            any(run.score.val_loss is None for run in runs),
            any(run.score.eval_ms is None for run in runs),
            -min(run.score.bpb_digits for run in runs),
            -number,  # what is stated later
        )
        if best is None or order < best[0]:
            best = (order, Headline(rule=rule, name=name, runs=runs, reproduces=True))
    return best[1] if best else _last_in_common(scored, MISSED, False)


def _groups(claims: Claims, logs: Sequence[Log]) -> Iterator[tuple[int, str, str, tuple[Run, ...]]]:
    """Yield (rank, rule, name of the score, runs) for each group that the claim may be the mean of."""
    wanted = [claim for claim in claims.per_seed if claim.val_bpb is not None]
    alone = _alone(logs)
    for name, each in _by_name(logs).items():
        last = list({run.log.name: run for run in each}.values())
        found = [_matching(each, claim) for claim in wanted]
        of_seeds = tuple(run for run in found if run is not None)
        if len(wanted) > 1 and len({run.log.name for run in of_seeds}) == len(wanted):
            yield 0, OF_SEEDS, name, of_seeds
        shapes = _by_shape(last)
        for group in shapes:
            by_seed = {run.seed: run for run in group}
            if 1 < len(claims.seeds) < len(by_seed) and all(s in by_seed for s in claims.seeds):
                yield 1, OF_SEEDS, name, tuple(by_seed[seed] for seed in claims.seeds)
        if len(last) > 1:
            yield (1 if len(shapes) == 1 else 3), OF_ALL, name, tuple(last)
            for group in shapes:
                if 1 < len(group) < len(last):
                    yield 2, OF_GROUP, name, tuple(group)
        best = min(run.score.val_bpb for run in last)
        for run in each:
            yield _SINGLE_RANK, SINGLE if alone else _one_of(run, best, len(last)), name, (run,)


def _alone(logs: Sequence[Log]) -> bool:
    """Say whether every log is of one run: it is the only one, or one trained and the others evaluated it."""
    seeds = {log.own_seed for log in logs}
    one_seed = len(seeds) == 1 and None not in seeds
    return len(logs) == 1 or (one_seed and sum(bool(log.stop_ms.values) for log in logs) <= 1)


def _one_of(run: Run, best: float, runs: int) -> str:
    return BEST if runs > 1 and run.score.val_bpb <= best else ONE


def _by_name(logs: Sequence[Log]) -> dict[str, list[Run]]:
    """Return each score's statements, log after log, by its name."""
    found: dict[str, list[Run]] = {}
    for log in logs:
        stated: dict[str, list[Score]] = {}
        for score in log.scores:
            if not score.validation:
                stated.setdefault(score.name, []).append(score)
        for name, scores in stated.items():
            found.setdefault(name, []).extend(_each(log, scores))
    return found


def _each(log: Log, stated: Sequence[Score]) -> list[Run]:
    """Return a log's statements of one score, each with those that differ from it."""
    shown = stated[-MAX_OTHERS:]
    return [
        Run(
            log=log,
            score=_with_twin(log, score),
            others=tuple(other for other in shown if other is not score),
        )
        for score in stated
    ]


def _matching(runs: Sequence[Run], claim: SeedClaim) -> Run | None:
    """Return the run whose score rounds to what is claimed of a seed; with that seed, if several do."""
    if claim.val_bpb is None:
        return None
    value = claim.val_bpb.value
    tolerance = slack(claim.bpb_digits) + SLACK_BPB
    near = [run for run in runs if abs(run.score.val_bpb - value) <= tolerance]
    return min(
        near, key=lambda r: (r.seed != claim.seed, abs(r.score.val_bpb - value)), default=None
    )


def _by_shape(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in groups whose file names differ in digits alone."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(re.sub(r"\d+", "#", run.log.name), []).append(run)
    return list(groups.values())


def _with_twin(log: Log, score: Score) -> Score:
    """Return a score with the loss and the time of another line that states the same bits per byte."""
    for other in log.scores:
        digits = min(score.bpb_digits, other.bpb_digits)
        same = abs(score.val_bpb - other.val_bpb) <= 0.51 * 10.0**-digits
        if other is score or other.validation or digits < 4 or not same:
            continue
        score = completed(score, other)
    return score


def _has_loss(runs: Sequence[Run], claims: Claims) -> bool:
    """Say whether the group gives the claimed loss too."""
    value, claim = mean([run.score.val_loss for run in runs]), claims.val_loss.value
    if value is None or claim is None:
        return False
    return abs(value - claim) <= 2 * 10.0**-claims.loss_digits


def _without_copies(logs: Sequence[Log]) -> list[Log]:
    """Return the logs without byte-identical copies; the first stays, or the first that states a seed."""
    kept: dict[str, Log] = {}
    for log in logs:
        key = log.sha256 + log.name.partition("#")[2] if log.sha256 else log.name
        if key not in kept or (kept[key].own_seed is None and log.own_seed is not None):
            kept[key] = log
    return list(kept.values())


def _last_in_common(logs: Sequence[Log], rule: str, reproduces: bool | None) -> Headline:
    """Return the last final score that most logs state."""
    final = {name: runs for name, runs in _by_name(logs).items() if not is_of_something_else(name)}
    if not final:
        return replace(NOTHING, reproduces=reproduces)
    logs_of = {name: list(dict.fromkeys(run.log.name for run in final[name])) for name in final}
    most = max(map(len, logs_of.values()))
    # Of those, the last one that the last log states first.
    names = [
        score.name
        for log in logs
        for score in _first_statements(log)
        if len(logs_of.get(score.name, ())) == most
    ]
    runs = {run.log.name: run for run in final[names[-1]]}
    return Headline(rule=rule, name=names[-1], runs=tuple(runs.values()), reproduces=reproduces)


def _first_statements(log: Log) -> list[Score]:
    firsts: dict[str, Score] = {}
    for score in log.scores:
        if not score.validation:
            firsts.setdefault(score.name, score)
    return list(firsts.values())
