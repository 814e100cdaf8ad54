"""claims.delta: a claimed improvement is in the unit it says.

The contest's threshold is in nats per token; bits per byte and nats per byte are smaller numbers for the same
gain, and were taken for it (openai/parameter-golf #1145, #1557, #1812, #2117). Does not catch: an improvement
over another record than the one it is compared with, unless it is the same number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from checks.contract import Finding, Status
from checks.published import Published, Value, mean

ID = "claims.delta"
TOLERANCE = 0.02
"""Relative, beside half a unit of the fourth decimal: deltas are quoted between rounded means."""
ACCUSING = 0.003
"""The same, beside a unit of the fifth decimal, before a number counts as one in another unit."""
TOKEN, BYTE, BITS = "nats per token", "nats per byte", "bits per byte"
_ASKED_FOR = re.compile(r"threshold|required|minimum|target", re.IGNORECASE)
"""Keys of what an improvement has to be, not of what it is."""


def check(
    record: Published,
    *,
    against_bpb: float | None,
    against_loss: float | None,
    bytes_per_token: float | None,
    against: str,
) -> Finding:
    """Compare each claimed delta with the difference from the earlier record, in each unit.

    `against_bpb`, `against_loss` (None where its logs state none) and `bytes_per_token` are the earlier
    record's. FAIL: the number is the difference in another unit than its key says. `measured` is the
    difference in nats per token. NOT-RUN: no delta, or one that is none of these (it may be against another
    record).
    """
    deltas = _deltas(record)
    if not deltas:
        return _finding(
            Status.NOT_RUN, "no improvement in a stated unit is read from submission.json"
        )
    gains = _gains(record, against_bpb, bytes_per_token)
    if gains is None:
        why = "there is no earlier record in the table to work the difference out from"
        return _finding(Status.NOT_RUN, why)
    own_loss = record.usable.val_loss.value if record.usable else None
    of_loss = None if own_loss is None or against_loss is None else against_loss - own_loss
    read = [_read(delta, unit, gains, of_loss, against) for delta, unit in deltas]
    for status in (Status.FAIL, Status.PASS):
        said = [words for found, words in read if found is status]
        if said:
            return _finding(status, "; ".join(said[:4]), gains[TOKEN])
    first = deltas[0][0]
    words = (
        f"{first.place} claims {first.value:g} ({first.words}), which is not the difference from "
        f"{against} ({gains[TOKEN]:.5f} {TOKEN}) in any unit: perhaps it is against another record, or of "
        "another score"
    )
    return _finding(Status.NOT_RUN, words)


def _deltas(record: Published) -> list[tuple[Value[float], str]]:
    """Return the claimed improvements, each with the unit that its key says; nats first."""
    claimed = [
        delta
        for delta in (record.usable.deltas if record.usable else ())
        if abs(delta.value) > 1e-6 and not _ASKED_FOR.search(delta.words)
    ]
    nats = [(delta, TOKEN) for delta in claimed if "nats" in delta.words.lower()]
    return nats + [
        (d, BITS) for d in claimed if "bpb" in d.words.lower() and (d, TOKEN) not in nats
    ]


def _gains(
    record: Published, against_bpb: float | None, bytes_per_token: float | None
) -> dict[str, float] | None:
    """Return the difference from the earlier record in each unit, or None where it cannot be worked out."""
    value = mean([run.score.val_bpb for run in record.headline.runs])
    if value is None and record.usable is not None:
        value = record.usable.val_bpb.value
    if value is None or against_bpb is None or bytes_per_token is None:
        return None
    bits = against_bpb - value
    gains = {
        BITS: bits,
        BYTE: bits * math.log(2),
        TOKEN: bits * math.log(2) * bytes_per_token,
    }
    return gains if all(math.isfinite(gain) for gain in gains.values()) else None


def _read(
    delta: Value[float], unit: str, gains: Mapping[str, float], of_loss: float | None, against: str
) -> tuple[Status, str]:
    """Return whether a delta is the difference in the unit that it says, or in another; and the words."""
    says = f"{delta.place} claims {abs(delta.value):g} ({delta.words})"
    if _near(delta, gains[unit], loose=True):
        return Status.PASS, f"{says}, as the difference from {against} is in {unit}"
    if unit == TOKEN and of_loss is not None and _near(delta, of_loss, loose=True):
        return Status.PASS, f"{says}, as the claimed loss differs from {against}, in {unit}"
    for other, gain in gains.items():
        if _near(delta, gain, loose=False):
            words = f"{says}; that is the difference from {against} in {other}"
            return Status.FAIL, f"{words}; in {unit} it is {gains[unit]:.5f}"
    return Status.NOT_RUN, ""


def _near(delta: Value[float], gain: float, *, loose: bool) -> bool:
    """Say whether a delta is this gain; what accuses has to fit closer than what agrees."""
    slack = TOLERANCE * abs(gain) + 5e-5 if loose else ACCUSING * abs(gain) + 1e-5
    return abs(abs(delta.value) - abs(gain)) <= slack


def _finding(status: Status, message: str, measured: float | None = None) -> Finding:
    return Finding(id=ID, status=status, message=message, measured=measured, unit="nats/token")
