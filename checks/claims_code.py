"""claims.code: the claimed size of the code is that of the script, or what a log says it counted.

Does not catch: a second file that the script runs, unless it lies in the folder (the message says what does).
"""

from __future__ import annotations

from collections.abc import Mapping

from checks.contract import Finding, Status
from checks.published import Published, Value, others

ID = "claims.code"
SCRIPT = "train_gpt.py"


def check(record: Published) -> Finding:
    """Compare the claimed bytes of code with train_gpt.py and with the logs' own counts.

    PASS: what a log counted; a source file, train_gpt.py with one other, or all of them. FAIL: none of these,
    and train_gpt.py lies there. NOT-RUN: no claim, or nothing settles it: what a log counts is the script as
    it ran, and a claim may well be of the one that was published and is not here. `measured` is the script
    on disk, else the claim where a log counts the same.
    """
    claims = record.usable
    claim = claims.bytes_code.best if claims else None
    if claims is None or claim is None:
        return _finding(Status.NOT_RUN, "no size of code in whole bytes is claimed")
    says = f"{claim.place} claims {claim.value:,} bytes of code{others(claims.bytes_code)}"
    sizes = {value.file: value.value for value in record.scripts}
    logged = {v.value: v for log in record.logs for v in log.codes.values}
    script = sizes.get(SCRIPT)
    if claim.value in logged:
        says += f", as {logged[claim.value].place} does"
        if script is not None and script != claim.value:
            says += f"; {SCRIPT} on disk has {script:,}"
        return _finding(Status.PASS, says, claim.value if script is None else script, claim.value)
    source = _source_of(sizes, claim.value)
    if source:
        return _finding(Status.PASS, f"{says}, as {source} on disk", claim.value, claim.value)
    counted = f"; the logs count {_listed(logged)}" if logged else ""
    if script is None:
        what = "to settle it" if counted else "to compare with"
        words = f"{says}{counted}; there is no {SCRIPT} {what}"
        return _finding(Status.NOT_RUN, words, limit=claim.value)
    words = f"{says}; {SCRIPT} has {script:,}{_rest(sizes, SCRIPT)}{counted}"
    return _finding(Status.FAIL, words, script, claim.value)


def _source_of(sizes: Mapping[str, int], claim: int) -> str:
    """Return which source files together have the claimed size, or ""."""
    names = sorted(sizes, key=lambda name: (name != SCRIPT, name))
    for name in names:
        if sizes[name] == claim:
            return f"{name} has{_rest(sizes, name)}"
    for name in names:
        if SCRIPT in sizes and name != SCRIPT and sizes[SCRIPT] + sizes[name] == claim:
            return f"{SCRIPT} and {name} have"
    return f"all {len(sizes)} source files have" if sizes and sum(sizes.values()) == claim else ""


def _rest(sizes: Mapping[str, int], name: str) -> str:
    """Return what other source files lie there, in brackets, or ""."""
    count, size = len(sizes) - 1, sum(sizes.values()) - sizes[name]
    return f" ({count} more source file{'s' * (count > 1)}: {size:,} bytes)" if count else ""


def _listed(logged: Mapping[int, Value[int]]) -> str:
    values = sorted(logged)
    shown = ", ".join(f"{value:,}" for value in values[:4])
    return shown + (f" and {len(values) - 4} more" if len(values) > 4 else "")


def _finding(
    status: Status, message: str, measured: float | None = None, limit: float | None = None
) -> Finding:
    return Finding(
        id=ID, status=status, message=message, measured=measured, limit=limit, unit="bytes"
    )
