"""A page that has to fit: what is least important is left out, whole rows at a time, and how much is said.

Knows nothing of what the rows mean but their rank. All sizes are bytes of UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from checks.contract import Status
from harness.report.figures import count
from harness.report.ranking import tally


@dataclass(slots=True)
class Row:
    """A line of a table or an item of a list; the smaller its rank, the more important it is."""

    rank: int
    text: str
    shown: bool = False


@dataclass(slots=True)
class Group:
    """A table or a list, which is there as soon as one of its rows is."""

    noun: str
    before: str
    rows: list[Row]
    after: str = "\n"


@dataclass(slots=True)
class Part:
    """What is said of one entry: a heading, without which none of its groups is shown."""

    verdict: Status
    head: Row
    groups: list[Group] = field(default_factory=list)


def fitted(head: str, parts: Sequence[Part], limit_bytes: int) -> str:
    """Return the page: `head`, then the parts in their order, at most `limit_bytes` of UTF-8.

    Rows are taken in the order of their ranks, those of the first parts first, up to the first that does not
    fit. Raises ValueError where `head` alone does not fit.
    """
    # The line at the end is longest where every part is left out.
    room = limit_bytes - _size(head) - _size(_parts_left_out(parts))
    if room < 0:
        raise ValueError(f"{limit_bytes} bytes do not hold the heading of {_size(head)}")
    _choose(parts, room)
    shown = (_written(part) for part in parts if part.head.shown)
    return head + "".join(shown) + _parts_left_out([p for p in parts if not p.head.shown])


def _choose(parts: Sequence[Part], room: int) -> None:
    begun: set[int] = set()
    for part, group, row in _by_importance(parts):
        cost = _size(row.text)
        if group is None:
            # The line on what is left out of a part is longest where that is everything.
            cost += _size(_rows_left_out(part, lambda each: len(each.rows)))
        elif id(group) not in begun:
            cost += _size(group.before) + _size(group.after)
        if cost > room:
            return
        room -= cost
        row.shown = True
        if group is not None:
            begun.add(id(group))


def _by_importance(parts: Sequence[Part]) -> Iterator[tuple[Part, Group | None, Row]]:
    places: list[tuple[tuple[int, int, int, int], Part, Group | None, Row]] = []
    for index, part in enumerate(parts):
        places.append(((part.head.rank, index, -1, 0), part, None, part.head))
        for number, group in enumerate(part.groups):
            for line, row in enumerate(group.rows):
                # No row is of use without the heading of its part.
                rank = max(row.rank, part.head.rank)
                places.append(((rank, index, number, line), part, group, row))
    for place in sorted(places, key=lambda place: place[0]):
        yield place[1:]


def _written(part: Part) -> str:
    text = [part.head.text]
    for group in part.groups:
        rows = [row.text for row in group.rows if row.shown]
        if rows:
            text += [group.before, *rows, group.after]
    text.append(_rows_left_out(part, lambda each: sum(not row.shown for row in each.rows)))
    return "".join(text)


def _rows_left_out(part: Part, left: Callable[[Group], int]) -> str:
    counted = ((left(group), group.noun) for group in part.groups)
    return _left_out(count(number, noun) for number, noun in counted if number)


def _parts_left_out(parts: Sequence[Part]) -> str:
    if not parts:
        return ""
    return _left_out([f"{len(parts):,} of what was judged ({tally(p.verdict for p in parts)})"])


def _left_out(words: Iterable[str]) -> str:
    said = ", ".join(words)
    return f"Left out for want of room: {said}.\n\n" if said else ""


def _size(text: str) -> int:
    return len(text.encode())
