"""claims.bytes: the claimed size is one that the logs counted, and no less than what lies on the disk.

Does not catch: files that a log never counted and that are not in the folder either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from checks.contract import Finding, Status
from checks.published import Log, Published, Run, SeedClaim, Value, mean

ID = "claims.bytes"
_PACKED = re.compile(r"\.ptz(?:\.\w+)?$|model[^/]*\.(?:br|zst|xz|lzma)$", re.IGNORECASE)
"""Weights as they are submitted. A checkpoint (.pt, .npz) may lie beside them, as large as it likes."""


def check(record: Published) -> Finding:
    """Compare the claimed bytes with the totals of the logs, and with packed weights that lie in the folder.

    PASS: equal to a log's total, to their mean, or to a total whose code was exchanged for the claimed code;
    or to one without its code, where the key does not say that it is a total. Where only sizes of seeds are
    claimed, each is held against its own logs, and one of another log that is no smaller will do.
    FAIL: less than every total, or than the weights; equal to none. `measured` is the largest logged total,
    `limit` the claim; `outcome` says how they compare, whatever the status. NOT-RUN: no claim or no total,
    and where the total that the claim is of is not stated.
    """
    claim = record.usable.bytes_total.best if record.usable else None
    if claim is None:
        none = _finding(Status.NOT_RUN, None, "no size in whole bytes is claimed")
        return _of_seeds(record) or none
    says = f"{claim.place} claims {claim.value:,} bytes ({claim.words})"
    packed = [value for value in record.artifacts if _PACKED.search(value.file)]
    least = min(packed, key=lambda value: value.value, default=None)
    if least is not None and claim.value < least.value:
        message = f"{says}; {least.file} alone has {least.value:,}"
        return _finding(Status.FAIL, "below_the_disk", message, least.value, claim.value)
    totals = [run.counted.best for run in record.headline.runs if run.counted.best is not None]
    if not totals:
        return _finding(
            Status.NOT_RUN, None, f"{says}; no total is read from the logs", limit=claim.value
        )
    largest = max(total.value for total in totals)
    same = _same(record, claim, totals)
    if same:
        return _finding(Status.PASS, "equals_a_log", f"{says}, {same}", largest, claim.value)
    every = {value.value for value in (*_logged(record), *totals)}
    outcome = "below_every_log" if claim.value < min(every) else "differs"
    status, words = _other(record, claim, outcome, [total.value for total in totals])
    return _finding(status, outcome, says + words, largest, claim.value)


def _same(record: Published, claim: Value[int], totals: Sequence[Value[int]]) -> str:
    """Return which total the claim is, or ""."""
    for value in (*totals, *_logged(record)):
        if value.value == claim.value:
            return f"as {value.place} does"
    middle = mean([total.value for total in totals])
    return "the mean of the logs' totals" if _rounds_to(middle, claim.value) else ""


def _other(
    record: Published, claim: Value[int], outcome: str, totals: Sequence[int]
) -> tuple[Status, str]:
    """Return what a claim that is no log's total deserves, and the rest of the sentence."""
    runs = record.headline.runs
    exchanged = _with_the_claimed_code(record, claim.value)
    if exchanged:
        return Status.PASS, f", {exchanged}"
    code = record.usable.bytes_code.value if record.usable else None
    alone = _is_the_model_alone(runs, claim.value, code)
    if alone and not _says_total(claim):
        how = f", what the logs count without the code: their totals are {_spread(totals)}"
        return Status.PASS, how
    silent = _whose_total_is_not_stated(record, claim)
    if silent:
        return Status.NOT_RUN, f", {silent}"
    if claim.value > max(totals) and {run.counted_kind for run in runs} == {"artifact_line"}:
        why = f"; the logs count an artifact of {_spread(totals)}, in which code may be missing"
        return Status.NOT_RUN, why
    how = "less than every log" if outcome == "below_every_log" else "none of the logs' totals"
    words = f", {how}: {_spread(totals)}"
    if alone:
        words += "; it is what they count without their code"
    others = record.usable.bytes_total.candidates if record.usable else ()
    for other in others:
        if other.value != claim.value:
            words += f"; line {other.line} claims {other.value:,} ({other.words})"
    return Status.FAIL, words


def _with_the_claimed_code(record: Published, claim: int) -> str:
    """Return which total the claim is once the claimed code takes the place of the logged code, or "".

    Scripts are trimmed after a run. Whether the claimed size of the code is right, `claims.code` says.
    """
    code = record.usable.bytes_code.value if record.usable else None
    if code is None:
        return ""
    for log in record.logs:
        codes = {value.value for value in log.codes.values}
        for total in log.counted.values:
            own = total.value + code - claim
            if own in codes:
                return (
                    f"as {total.place} does ({total.value:,}) with the claimed {code:,} bytes of code "
                    f"for its {own:,}"
                )
    return ""


def _whose_total_is_not_stated(record: Published, claim: Value[int]) -> str:
    """Return why the claim cannot be held against the totals that there are, or ""."""
    claims, runs = record.usable, record.headline.runs
    if claims is None:
        return ""
    for seed in claims.per_seed:
        if seed.artifact_bytes is None or seed.artifact_bytes.value != claim.value:
            continue
        if any(run.seed == seed.seed and not run.counted.values for run in runs):
            return f"as of seed {seed.seed}, whose log states no total"
    missing = set(claims.seeds) - {run.seed for run in runs}
    if missing and "mean" in claim.words.lower():
        count = len(missing)
        return f"a mean over {len(claims.seeds)} seeds; there is no log of {count} of them"
    return ""


def _is_the_model_alone(runs: Sequence[Run], claim: int, code: int | None) -> bool:
    """Say whether the claim is a total less its code, logged or claimed, or the mean of those."""
    for less in (None, code):
        models = [
            total.value - (less or run.log.codes.value or 0)
            for run in runs
            if (total := run.counted.best) and (less or run.log.codes.value)
        ]
        whole = len(models) == len(runs)
        if claim in models or (whole and _rounds_to(mean(models), claim)):
            return True
    return False


def _of_seeds(record: Published) -> Finding | None:
    """Compare the sizes claimed of single seeds with the totals of their logs; None where none is claimed."""
    sizes = [(c.seed, c.artifact_bytes) for c in _seed_claims(record) if c.artifact_bytes]
    if not sizes:
        return None
    read = [_of_seed(record, seed, size) for seed, size in sizes]
    faults = [words for status, words, _ in read if status is Status.FAIL]
    compared = [totals for status, _, totals in read if status is not Status.NOT_RUN]
    most, of = max(size.value for _, size in sizes), f"{len(sizes)} seed{'s' * (len(sizes) > 1)}"
    if not compared:
        words = f"{sizes[0][1].place} claims sizes of {of}; {read[0][1]}"
        return _finding(Status.NOT_RUN, None, words, limit=most)
    largest = max(map(max, compared))
    if faults:
        below = all(
            size.value < min(totals)
            for (_, size), (status, _, totals) in zip(sizes, read, strict=True)
            if status is Status.FAIL
        )
        outcome = "below_every_log" if below else "differs"
        return _finding(Status.FAIL, outcome, "; ".join(faults[:3]), largest, most)
    words = f"{sizes[0][1].place} claims sizes of {of}; "
    words += f"{len(compared)} are those of the seeds' logs"
    return _finding(Status.PASS, "equals_a_log", words, largest, most)


def _of_seed(record: Published, seed: int, claim: Value[int]) -> tuple[Status, str, list[int]]:
    """Return what the size claimed of one seed deserves, why, and what its logs state."""
    joined = {n for run in record.headline.runs if seed in run.log.seeds for n in run.joined}
    logs = [log for log in record.logs if seed in log.seeds or log.name in joined]
    totals = [value.value for log in logs for value in log.counted.values]
    if not totals:
        return Status.NOT_RUN, f"no total of seed {seed} is read from the logs", totals
    allowed, every = _may_be(record, claim, logs), _may_be(record, claim, record.logs)
    for own, others in zip(allowed, every, strict=True):
        # One number for all seeds, the largest, is no less than that of each.
        if own and claim.value in others and claim.value >= min(own):
            return Status.PASS, "", totals
    kinds = {log.counted_kind for log in logs if log.counted.values}
    if claim.value > max(totals) and kinds == {"artifact_line"}:
        return (
            Status.NOT_RUN,
            f"the logs of seed {seed} count an artifact, perhaps without code",
            [],
        )
    says = f"{claim.place} claims {claim.value:,} bytes of seed {seed} ({claim.words})"
    return Status.FAIL, f"{says}; its log states {_spread(totals)}", totals


def _may_be(record: Published, claim: Value[int], logs: Sequence[Log]) -> tuple[set[int], set[int]]:
    """Return each size that the claim may be of these logs: with code, theirs or the claimed; without any.

    Nothing is without code where the key of the claim says that it is a total.
    """
    code = record.usable.bytes_code.value if record.usable else None
    whole: set[int] = set()
    alone: set[int] = set()
    for log in logs:
        codes = {value.value for value in log.codes.values}
        for total in {value.value for value in log.counted.values}:
            alone |= {total - own for own in (*codes, code) if own}
            whole |= {total, *(total - own + code for own in codes if code)}
    return whole, set() if _says_total(claim) else alone


def _seed_claims(record: Published) -> tuple[SeedClaim, ...]:
    return record.usable.per_seed if record.usable else ()


def _says_total(claim: Value[int]) -> bool:
    """Say whether the key of a claim says that code is in it."""
    return re.search("total|submission", claim.words, re.IGNORECASE) is not None


def _rounds_to(middle: float | None, claim: int) -> bool:
    return middle is not None and abs(middle - claim) < 1


def _logged(record: Published) -> list[Value[int]]:
    return [value for log in record.logs for value in log.counted.values]


def _spread(values: Sequence[int]) -> str:
    least, most = min(values), max(values)
    return f"{least:,}" + (f" to {most:,}" if most > least else "")


def _finding(
    status: Status,
    outcome: str | None,
    message: str,
    measured: float | None = None,
    limit: float | None = None,
) -> Finding:
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=measured,
        limit=limit,
        unit="bytes",
        evidence={"outcome": outcome},
    )
