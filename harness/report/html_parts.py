"""Parts that several sections of report.html share: badges, outlines of evidence, tables, figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from checks.contract import Finding, Status
from harness.report.escape import visible
from harness.report.evidence import Entry, outline
from harness.report.figures import figure, percent, quantity
from harness.report.markup import Child, Safe, join, tag
from harness.report.model import Report
from harness.report.reading import number

NAME, MESSAGE, VALUE = 200, 1200, 400
"""Characters shown of a name, a message and a value of evidence; report.json has them whole."""

WIDE, NARROW = 840.0, 340.0
"""Widths a chart is drawn for. It is stretched to the page, where its letters then have a size to be read:
on a desk, a tablet and paper (WIDE), and on a phone (NARROW)."""

_TINY = re.compile(r"(\d[\d.]{0,20}e-\d{1,3})")
_STATES = {Status.PASS: "pass", Status.FAIL: "fail", Status.ERROR: "error", Status.NOT_RUN: "open"}

Draw = Callable[[Report, str, float], Safe | None]


def state(status: Status) -> str:
    """Return the class that gives an element the colour of a status."""
    return _STATES[status]


def badge(status: Status) -> Safe:
    """Return a status as a word in a frame."""
    return tag("span", tag("span", status, class_="badge"), class_=state(status))


def name(text: str) -> str:
    """Return a name, cut."""
    return visible(text, NAME)


def prose(text: str) -> Safe:
    """Return a text in which no number is broken at the hyphen of its exponent: 4.3e-07."""
    parts = _TINY.split(text)
    return join(tag("span", p, class_="whole") if i % 2 else p for i, p in enumerate(parts))


def mono(text: str) -> Safe:
    """Return a digest or another thing to be copied, on a line of its own."""
    return tag("span", name(text), class_="mono")


def section(ident: str, heading: str, *body: Child) -> Safe:
    """Return one section of the page under its heading; without a body, nothing is left out silently."""
    heading_id = f"{ident}-heading"
    return tag(
        "section",
        tag("h2", heading, id=heading_id),
        *body,
        id=ident,
        aria_labelledby=heading_id,
    )


def drawing(draw: Draw, report: Report, ident: str, caption: str | None = None) -> Safe | None:
    """Return a figure drawn twice, for a wide screen and for a phone, of which the page shows one."""
    wide = draw(report, f"{ident}-wide", WIDE)
    narrow = draw(report, f"{ident}-narrow", NARROW)
    if wide is None or narrow is None:
        return None
    return tag(
        "figure",
        tag("figcaption", caption) if caption else None,
        tag("div", wide, class_="wide"),
        tag("div", narrow, class_="narrow"),
    )


def table(
    caption: Child,
    headings: Sequence[tuple[str, bool]],
    rows: Sequence[Sequence[Child]],
    style: str,
) -> Safe:
    """Return a table whose first column heads its rows; a heading is (text, whether it is over numbers).

    Every cell carries its heading, which a phone shows where the columns have become lines.
    """
    rows_ = []
    for first, *rest in rows:
        heading, over = headings[0]
        head = {"scope": "row", "role": "rowheader", "data_label": heading, "class_": _num(over)}
        cells = [tag("th", first, **head)]
        for cell, (text, over) in zip(rest, headings[1:], strict=True):
            cells.append(tag("td", cell, role="cell", data_label=text, class_=_num(over)))
        rows_.append(tag("tr", *cells, role="row"))
    return framed(tag("caption", caption), [(t, _num(over)) for t, over in headings], rows_, style)


def framed(
    caption: Safe, headings: Sequence[tuple[str, str | None]], rows: Sequence[Safe], style: str
) -> Safe:
    """Return a table from finished rows; a heading is (text, class).

    Roles are spelt out: where a style sheet turns rows into blocks, browsers forget that it is a table.
    """
    head = (tag("th", t, scope="col", role="columnheader", class_=c) for t, c in headings)
    return tag(
        "table",
        caption,
        tag("thead", tag("tr", *head, role="row"), role="rowgroup"),
        tag("tbody", *rows, role="rowgroup"),
        role="table",
        class_=style,
    )


def outlined(evidence: object) -> Safe:
    """Return evidence of any shape as nested lists of labels and values."""
    return _nested(outline(evidence))


def power_sentence(finding: Finding) -> str | None:
    """Return what a check could have seen, as a sentence where its power has the usual form."""
    power = finding.power
    if not power:
        return None
    sufficient = number(power, "sufficient_nats")
    if sufficient is not None:
        return (
            "Power: with this deviation, this many seeds show an improvement of more than "
            f"{quantity(sufficient, 'nats/token')}."
        )
    smallest, confidence = (
        number(power, key) for key in ("smallest_tainted_fraction", "confidence")
    )
    asked = number(power, "challenges")
    if smallest is None or confidence is None or asked is None:
        return None
    return (
        f"Power: {figure(asked)} questions meet, with {percent(confidence)} confidence, "
        f"a taint of {percent(smallest)} of positions or more."
    )


def _num(over: bool) -> str | None:
    return "num" if over else None


def _nested(entries: Sequence[Entry]) -> Safe:
    return tag(
        "dl", *(_entry(entry, index) for index, entry in enumerate(entries, 1)), class_="outline"
    )


def _entry(entry: Entry, index: int) -> Safe:
    label = visible(entry.label, NAME) or (f"{index}" if entry.below else "")
    value = _nested(entry.below) if entry.below else visible(entry.value, VALUE)
    # A list's plain items need no label, but a dl needs a dt: it is there for the ear alone.
    term = tag("dt", label) if label else tag("dt", f"item {index}", class_="hidden")
    style = "group" if entry.below else None if label else "item"
    return tag("div", term, tag("dd", value), class_=style)
