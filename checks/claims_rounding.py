"""claims.rounding: quoted scores are the exact mean, rounded once.

A mean of rounded values is not the rounded mean: PR #1302's title says 1.1079, its logs' mean 1.1078455. A
cut digit flatters by up to one unit of the last place. Does not catch: a score that is wrong by more than
that, which is `claims.score`'s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from checks.contract import Finding, Status
from checks.published import Published, Value, mean

ID = "claims.rounding"
FINEST = 7
"""Decimals from which a number is no longer a rounded one: logs have eight."""
_QUOTED = re.compile(r"(?<![\d.])(\d\.\d{4,8})(?!\d)")
"""A score in a text. With three decimals, two units away lie other people's scores."""


def check(record: Published) -> Finding:
    """Compare the claimed score, and those quoted in title, name and blurb, with the logs' exact mean.

    Only numbers within two units of their last place of the mean are looked at; others quote something else.
    FAIL: the claim itself is better than the mean, rounded, gives. A slip that flatters nobody, or one in a
    title, is named in a PASS. `measured` is the exact mean, `limit` the claim, in bits per byte. NOT-RUN: no
    claimed score that the logs give.
    """
    claims = record.usable
    logged = [run.score.val_bpb for run in record.headline.runs]
    exact = mean(logged)
    claim = claims.val_bpb.best if claims else None
    if exact is None or claims is None or claim is None or not record.headline.reproduces:
        return Finding(
            id=ID,
            status=Status.NOT_RUN,
            message="no claimed score that the logs give",
            unit="bits/byte",
        )
    own = _slip(claim, claims.bpb_digits, exact, logged)
    slips = [
        slip for quoted, digits in _quoted(record) if (slip := _slip(quoted, digits, exact, logged))
    ]
    said = "; ".join((([own] if own else []) + slips)[:4])
    return Finding(
        id=ID,
        status=Status.FAIL if own and claim.value < exact else Status.PASS,
        message=said or f"what is quoted is the exact mean {exact:.8f}, rounded",
        measured=exact,
        limit=claim.value,
        unit="bits/byte",
        evidence={"slips": len(slips) + bool(own)},
    )


def _quoted(record: Published) -> list[tuple[Value[float], int]]:
    return [
        (Value(float(match[1]), text.file, text.line, text.words), len(match[1].partition(".")[2]))
        for text in record.texts
        for match in _QUOTED.finditer(text.value)
    ]


def _slip(quoted: Value[float], digits: int, exact: float, logged: Sequence[float]) -> str:
    """Return what is wrong with a quoted mean, or "" where it is the exact one rounded, or something else."""
    unit = 10.0**-digits
    away = abs(quoted.value - exact)
    if digits > FINEST or away > 2 * unit or away <= unit / 2 * (1 + 1e-6):
        return ""
    where = f"{quoted.words or 'text'} in {quoted.place}"
    return (
        f"{where} says {quoted.value:.{digits}f}; the exact mean {exact:.8f} rounds to "
        f"{exact:.{digits}f}{_how(quoted.value, digits, exact, logged)}"
    )


def _how(quoted: float, digits: int, exact: float, logged: Sequence[float]) -> str:
    """Return how the slip came about, or ""."""
    unit = 10.0**-digits
    for places in range(digits, 3, -1):
        of_rounded = mean([round(value, places) for value in logged]) or 0.0
        if len(logged) > 1 and abs(round(of_rounded, digits) - quoted) < unit / 100:
            return f"; it is the mean of values rounded to {places} digits"
    return "; digits were cut off" if 0 < exact - quoted < unit else ""
