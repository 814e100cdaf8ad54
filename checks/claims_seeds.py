"""claims.seeds: each claimed seed has a log of its own, which says the same seed.

Does not catch: seeds chosen for their result, of which only some were published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from checks.contract import Finding, Status
from checks.published import Published, Run, slack

ID = "claims.seeds"


def check(record: Published) -> Finding:
    """Compare the seeds that are claimed, those that logs state and those in the logs' names.

    FAIL: a claimed seed has no log, a log states another seed than its name or than the claim whose score it
    holds, two runs have one seed, or the logs of a seed state no score that the one claimed of it could be
    (where they do give the headline). NOT-RUN: nothing to compare; a log without any seed may be that of a
    claimed one. `measured` counts the distinct seeds.
    """
    runs = record.headline.runs
    claimed = record.usable.seeds if record.usable else ()
    if not record.logs:
        return _finding(Status.NOT_RUN, ["no_log"], "there is no log", claimed, (), claimed)
    others = list(_other_seed(record, runs))
    missing = _without_log(record, {seed for seed, _ in others})
    seeds = [run.seed for run in runs if run.seed is not None]
    faults = [
        (
            "claimed_seed_not_the_logged_one",
            f"seed {seed} is claimed for the score of {run.log.name}, which states seed {run.seed}",
        )
        for seed, run in others
    ]
    # A log that states no seed, and whose name has none, may be of any of them.
    nameless = sum(not log.seeds for log in record.logs)
    if len(missing) > nameless:
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        listed = f"seed{'s' * (len(missing) > 1)} {', '.join(map(str, missing[:8]))}{more}"
        faults.append(("claimed_seed_without_log", f"no log of the claimed {listed}"))
    elsewhere = {seed for seed, _ in others}
    faults += [*_repeated(runs), *_misnamed(runs, claimed), *_other_score(record, elsewhere)]
    words = list(dict.fromkeys(word for word, _ in faults))
    if runs and not seeds:
        words.append("seed_unknown")
    if faults:
        said = "; ".join(sentence for _, sentence in faults[:4])
        return _finding(Status.FAIL, words, said, claimed, seeds, missing)
    why = _nothing_to_compare(runs, seeds, missing)
    if why:
        return _finding(Status.NOT_RUN, words, why, claimed, seeds, missing)
    listed = ", ".join(str(seed) for seed in seeds)
    said = f"seed{'s' * (len(seeds) > 1)} {listed}, each with a log"
    return _finding(Status.PASS, words, said, claimed, seeds)


def _nothing_to_compare(runs: Sequence[Run], seeds: Sequence[int], missing: Sequence[int]) -> str:
    """Return why seeds without a fault are no agreement either, or ""."""
    if not runs:
        return "no log gives the claim, so it is not known which seeds count"
    if not seeds:
        return "neither a log nor its name states a seed"
    if missing:
        return f"{len(missing)} of the claimed seeds may be those of logs that state none"
    return ""


def _without_log(record: Published, elsewhere: set[int]) -> list[int]:
    """Return the claimed seeds of which there is no log, less those whose score stands `elsewhere`."""
    claimed = record.usable.seeds if record.usable else ()
    logged = {seed for log in record.logs for seed in log.seeds}
    return [seed for seed in claimed if seed not in logged and seed not in elsewhere]


def _repeated(runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
    stated = [run.log.seed.value for run in runs if run.log.seed.value is not None]
    for seed in sorted({seed for seed in stated if stated.count(seed) > 1})[:1]:
        yield "seed_repeated", f"{stated.count(seed)} of {len(runs)} runs state seed {seed}"


def _misnamed(runs: Sequence[Run], claimed: Sequence[int]) -> Iterator[tuple[str, str]]:
    if _are_an_index(runs, claimed):
        return
    for run in runs:
        own, named = run.log.seed.best, run.log.seed_in_name
        if own is not None and named is not None and own.value != named:
            words = f"{own.place} states seed {own.value}, the file's name {named}"
            yield "logged_seed_differs_from_file_name", words


def _are_an_index(runs: Sequence[Run], claimed: Sequence[int]) -> bool:
    """Say whether the numbers in the logs' names count the logs, and are no seeds.

    They run from 0 or 1, none is what its log states, and none is claimed.
    """
    names = [run.log.seed_in_name for run in runs]
    stated = [run.log.seed.value for run in runs]
    counts = any(set(names) == set(range(i, i + len(runs))) for i in (0, 1))
    if len(runs) < 2 or not counts or set(names) & set(claimed):
        return False
    return all(own is not None and own != name for own, name in zip(stated, names, strict=True))


def _other_score(record: Published, elsewhere: set[int]) -> Iterator[tuple[str, str]]:
    """Yield claimed scores of seeds that no score of the seed's logs rounds to.

    Not where the headline is none of the logs' either: that is `claims.score`'s to say, once.
    """
    claims = record.usable
    if claims is None or not record.headline.reproduces:
        return
    for claim in claims.per_seed:
        if claim.val_bpb is None or claim.seed in elsewhere:
            continue
        runs = [run for run in record.headline.runs if claim.seed in run.log.seeds]
        names = {name for run in runs for name in run.joined}
        logs = [log for log in record.logs if log.name in names or claim.seed in log.seeds]
        scores = [score for log in logs for score in log.scores]
        shown = [run.score for run in runs] or [s for s in scores if not s.validation]
        value = claim.val_bpb.value
        if shown and not any(
            abs(score.val_bpb - value) <= max(slack(claim.bpb_digits), slack(score.bpb_digits))
            for score in (*scores, *shown)
        ):
            words = f"seed {claim.seed} is claimed at {value:.{min(claim.bpb_digits, 12)}f}"
            words += f"; its log states {shown[-1].val_bpb:.{min(shown[-1].bpb_digits, 12)}f}"
            yield "claimed_score_not_the_logged_one", words


def _other_seed(record: Published, runs: Sequence[Run]) -> Iterator[tuple[int, Run]]:
    """Yield claimed seeds whose score stands in a log that states a seed which is not claimed at all."""
    per_seed = record.usable.per_seed if record.usable else ()
    claimed = {claim.seed for claim in per_seed}
    for claim in per_seed:
        if claim.val_bpb is None or any(claim.seed in (r.seed, r.log.seed_in_name) for r in runs):
            continue
        value, tolerance = claim.val_bpb.value, slack(claim.bpb_digits)
        near = [run for run in runs if abs(run.score.val_bpb - value) <= tolerance]
        if len(near) == 1 and near[0].seed is not None and near[0].seed not in claimed:
            yield claim.seed, near[0]


def _finding(
    status: Status,
    outcomes: Sequence[str],
    message: str,
    claimed: Sequence[int],
    seeds: Sequence[int] = (),
    missing: Sequence[int] = (),
) -> Finding:
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=float(len(set(seeds))) if seeds else None,
        unit="seeds",
        evidence={
            "outcomes": list(outcomes),
            "claimed": list(claimed),
            "without_log": list(missing),
        },
    )
