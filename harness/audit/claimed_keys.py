"""The keys and numbers of a submission.json in one spelling, so that a name is looked for once.

"valBpb", "Val BPB", "val-bpb" and "val_bits_per_byte" are one key, and so are "val_bpb_mean" and
{"val_bpb": {"mean": ...}}; "1.0811" and "15,912,345" are numbers that somebody put into quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from harness.audit.json_lines import Entry, decimal
from harness.audit.text import decimals

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER = re.compile(r"[^a-z0-9#]+")
_QUOTED = re.compile(
    r"\s*+([-+]?(?:\d{1,3}(?:[,_]\d{3})+|\d{1,30})(?:\.\d{1,30})?(?:e[-+]?\d{1,3})?)\s*(?:bytes|b|bpb|nats)?\s*",
    re.I,
)
_WHOLE = re.compile(r"[-+]?\d+")
GROUP = re.compile(
    r"(?:final_|overall_|headline_)?(?:results?|metrics?|scores?|summary|final|submission|aggregate[sd]?"
    r"|overall|headline|stat(?:istic)?s|evaluation|means?|averages?)"
)
"""Objects that merely hold results: what lies in them is as if it lay beside them."""
STATISTIC = re.compile(r"(?:3seed_)?(?:mean|avg|average|std|std_dev|stdev|max|value)")
"""Keys of an object that says several things of one quantity."""


@dataclass(frozen=True, slots=True)
class Named:
    """An entry with its key in the one spelling, without the objects that merely group results.

    `nested` counts the objects that it lies in.
    """

    key: str
    entry: Entry
    nested: int


def spelled(key: str) -> str:
    """Return a key in lower case, its words parted by one underscore."""
    if not key.islower():
        key = _CAMEL.sub("_", key[:200]).lower()
    key = _OTHER.sub("_", key[:200]).strip("_")
    return key.replace("bits_per_byte", "bpb")


def is_number(value: Any) -> bool:
    """Say whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def with_numbers(entry: Entry) -> Entry:
    """Return an entry whose text is a number, or whose list has such texts, with numbers instead."""
    if isinstance(entry.value, str):
        number, digits = _number(entry.value)
        return entry if number is None else replace(entry, value=number, digits=digits)
    if isinstance(entry.value, list):
        return replace(entry, value=[_or_number(item) for item in entry.value])
    return entry


def _or_number(item: Any) -> Any:
    digits = _unquoted(item) if isinstance(item, str) else ""
    if not digits:
        return item
    # In a list each number keeps its decimals itself, as those do that were written without quotes.
    return int(digits) if _WHOLE.fullmatch(digits) else decimal(digits)


def _number(text: str) -> tuple[int | float | None, int]:
    digits = _unquoted(text)
    if not digits:
        return None, 0
    # Nobody else may meet the reader's own kind of number: what is written again has to be plain.
    return (int(digits) if _WHOLE.fullmatch(digits) else float(digits)), decimals(digits)


def _unquoted(text: str) -> str:
    """Return a number that was put into quotes, without what parts its thousands; or ""."""
    match = _QUOTED.fullmatch(text) if len(text) <= 80 else None
    digits = re.sub("[,_]", "", match[1]) if match else ""
    return digits if digits and abs(float(digits)) < 1e300 else ""


def named(entries: tuple[Entry, ...]) -> tuple[Named, ...]:
    """Return each entry with its key; what lies in other objects than groups has none and is left out."""
    found = []
    for entry in entries:
        path = [spelled(part) for part in entry.path]
        nested = len(path) - 1
        while len(path) > 1 and GROUP.fullmatch(path[0]) and not path[0].endswith("_"):
            path = path[1:]
        if len(path) == 2 and STATISTIC.fullmatch(path[1]):
            path = ["_".join(path)]
        if len(path) == 1:
            found.append(Named(path[0], entry, nested))
    return tuple(found)
