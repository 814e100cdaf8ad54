"""Evidence made readable: plain JSON of any shape becomes an outline of labels and values.

A check writes what it measured under field names with units in them (`gain_upper_nats_per_token`); a reader
wants "gain upper: 0.00012 nats/token". Long lists are cut with "... and n more", deep ones with "...".

Does not escape: the outline holds untrusted text, and every renderer escapes what it prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from harness.report.figures import figure, percent, quantity

_UNITS = (
    ("_nats_per_token", "nats/token"),
    ("_nats_per_byte", "nats/byte"),
    ("_bits_per_byte", "bits/byte"),
    ("_bytes_per_token", "bytes/token"),
    ("_tokens_per_s", "tokens/s"),
    ("_nats", "nats"),
    ("_bytes", "bytes"),
    ("_tokens", "tokens"),
    ("_ms", "ms"),
    ("_mb", "MB"),
    ("_gb", "GB"),
    ("_s", "s"),
    ("_fraction", "%"),
)
"""Endings of field names that state a unit, longest first."""

_DEEPEST = 5
_INLINE = 60
"""Characters up to which a list or an object of plain values is written on one line."""
_INLINE_FACTS = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the outline: a label, and either a value or entries below it.

    The label is "" for an item of a list.
    """

    label: str
    value: str = ""
    below: tuple[Entry, ...] = ()


def outline(evidence: object, *, most: int = 12) -> tuple[Entry, ...]:
    """Return the outline of a JSON value; of every list and object at most `most` members are shown."""
    return _members(evidence, most, 0)


def flat(entries: Sequence[Entry], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the outline as (path of labels, value), depth first."""
    for number, entry in enumerate(entries, start=1):
        label = entry.label or (f"{number}" if prefix else "")
        path = " / ".join(part for part in (prefix, label) if part)
        if entry.below:
            yield from flat(entry.below, path)
        else:
            yield path, entry.value


def readable(name: str) -> tuple[str, str]:
    """Return a field name as (words, unit): ("gain upper", "nats/token"); the unit may be ""."""
    for ending, unit in _UNITS:
        if name.endswith(ending) and len(name) > len(ending):
            return name.removesuffix(ending).replace("_", " "), unit
    return name.replace("_", " "), ""


def _members(value: object, most: int, depth: int) -> tuple[Entry, ...]:
    if isinstance(value, Mapping):
        shown = [_entry(str(key), item, most, depth) for key, item in islice(value.items(), most)]
        return _cut(shown, len(value))
    if isinstance(value, list | tuple):
        shown = [_entry("", item, most, depth) for item in islice(value, most)]
        return _cut(shown, len(value))
    return (Entry("", _plain(value, "")),)


def _cut(shown: list[Entry], total: int) -> tuple[Entry, ...]:
    more = total - len(shown)
    return (*shown, Entry("", f"... and {more:,} more")) if more > 0 else tuple(shown)


def _entry(name: str, value: object, most: int, depth: int) -> Entry:
    label, unit = readable(name)
    if not isinstance(value, Mapping | list | tuple):
        # A number carries its unit itself; in front of anything else the name is left whole.
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return Entry(label if number else name.replace("_", " "), _plain(value, unit))
    if not value:
        return Entry(name.replace("_", " "), "none")
    line = _on_one_line(value, unit)
    if line is not None:
        return Entry(label, line)
    if depth >= _DEEPEST:
        return Entry(label, "...")
    return Entry(name.replace("_", " "), below=_members(value, most, depth + 1))


def _on_one_line(value: object, unit: str) -> str | None:
    """Return a short list or object of plain values as one line, or None."""
    if isinstance(value, Mapping):
        return _facts_on_one_line(value)
    if not isinstance(value, list | tuple) or len(value) > _INLINE or _holds_more(value):
        return None
    line = ", ".join(_plain(item, "%" if unit == "%" else "") for item in value)
    line = f"{line} {unit}" if unit not in ("", "%") else line
    return line if len(line) <= _INLINE else None


def _facts_on_one_line(value: Mapping[str, object]) -> str | None:
    if len(value) > _INLINE_FACTS or _holds_more(value.values()):
        return None
    entries = [_entry(str(key), item, 0, 0) for key, item in value.items()]
    line = ", ".join(f"{entry.label} {entry.value}" for entry in entries)
    return line if len(line) <= _INLINE else None


def _holds_more(values: Iterable[object]) -> bool:
    return any(isinstance(item, Mapping | list | tuple) for item in values)


def _plain(value: object, unit: str) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if unit == "%":
            return percent(value) if abs(value) < 1e300 else figure(value)
        return quantity(value, unit)
    return str(value)
