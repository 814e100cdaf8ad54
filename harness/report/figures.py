"""Numbers as people read them: figures, durations, counts, with their units.

Whatever number comes in, a string comes out: nothing here raises.
"""

from __future__ import annotations

import math

_FIXED = {"nats/token": 6, "bits/byte": 6}
"""Digits after the point that belong to a unit, whatever the size of the number."""

_LARGE = 10**15


def figure(value: float | None, unit: str = "") -> str:
    """Return a number without its unit: "16,000,000", "1.882763", "0.0049", "n/a" for None."""
    if value is None:
        return "n/a"
    if isinstance(value, int):
        return _whole(value)
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else f"{'minus ' if value < 0 else ''}infinite"
    if value.is_integer() and abs(value) < _LARGE and unit not in _FIXED:
        return f"{int(value):,}"
    if unit == "s" and 1e-3 <= abs(value) < 1e9:
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    digits = _FIXED.get(unit)
    if digits is not None and 10.0 ** (1 - digits) <= abs(value) < 1e6:
        return f"{value:,.{digits}f}"
    return _significant(value)


def quantity(value: float | None, unit: str = "") -> str:
    """Return a number with its unit: "12.4 s", "1,204 bytes"; None has no unit."""
    text = figure(value, unit)
    return f"{text} {unit}" if unit and value is not None else text


def versus(measured: float | None, limit: float, unit: str = "") -> str:
    """Return "measured / limit unit"; a measure that is not the limit never reads as if it were."""
    text, bound = "-" if measured is None else figure(measured, unit), figure(limit, unit)
    if text == bound and measured is not None and measured != limit:
        text = repr(measured)
    return f"{text} / {bound} {unit}".rstrip()


def percent(share: float) -> str:
    """Return a fraction as a percentage: 0.0178 is "1.78%"."""
    if not math.isfinite(share * 100):
        return figure(share)
    return f"{_significant(share * 100, 3)}%"


def duration(seconds: float) -> str:
    """Return seconds as "0.42 s", "41.2 s", "2 min 31 s" or "1 h 4 min"."""
    if not 0 <= seconds < 1e9:
        return f"{figure(float(seconds))} s"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def seconds(value: float) -> str:
    """Return seconds for a table, without their unit: "0.03", "41.72", "589.4"."""
    if not abs(value) < 1e6:
        return figure(value)
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.1f}"


def count(number: int, noun: str) -> str:
    """Return "1 seed", "3 seeds": a number with a noun whose plural ends in s."""
    return f"{_whole(number)} {noun}{'' if number == 1 else 's'}"


def seed_name(seed: int) -> str:
    """Return a seed as it was given, without separators."""
    return figure(seed).replace(",", "")


def short(value: float) -> str:
    """Return a number for the tick of an axis or beside a bar: "16M", "250k", "0.005"."""
    if not math.isfinite(value):
        return figure(value)
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if max(size, 1e4) <= abs(value) < 1e15:
            return f"{value / size:.4g}{letter}"
    if 1e3 <= abs(value) < 1e4:
        return f"{value:,.5g}"
    return f"{value:.5g}" if value else "0"


def _whole(value: int) -> str:
    # str() of a whole number refuses more than 4,300 digits, and a submission may well name one.
    if value.bit_length() > 256:
        return f"about {'-' if value < 0 else ''}2^{value.bit_length() - 1}"
    return f"{int(value):,}"


def _significant(value: float, digits: int = 5) -> str:
    if abs(value) >= _LARGE or 0 < abs(value) < 1e-5:
        return f"{value:.{digits}g}"
    if abs(value) >= 1000:
        return f"{value:,.{0 if abs(value) >= 1e6 else 1}f}"
    return f"{value:.{digits}g}" if value else "0"
