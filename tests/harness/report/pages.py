"""A strict look at a page: what a browser would act on, and what a screen reader needs."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

_ELEMENTS = """
html head meta title style body a header nav main footer section div p h1 h2 h3 span strong small dl dt dd
mark ul li table caption thead tbody tr th td details summary figure figcaption svg desc text line rect
circle path
"""
_ATTRIBUTES = """
lang charset http-equiv content name href id class role scope aria-label aria-labelledby data-label open
viewbox width height x y x1 y1 x2 y2 cx cy r d text-anchor transform
"""
ELEMENTS, ATTRIBUTES = frozenset(_ELEMENTS.split()), frozenset(_ATTRIBUTES.split())
_TABLE = {
    "table": {None: "table"},
    "thead": {None: "rowgroup"},
    "tbody": {None: "rowgroup"},
    "tr": {None: "row"},
    "td": {None: "cell"},
    "th": {"col": "columnheader", "row": "rowheader"},
}
VOID = frozenset({"meta"})
NUMBERS = frozenset({"width", "height", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r"})
_NUMBER = re.compile(r"-?\d+(\.\d+)?\Z")
_LOCAL = re.compile(r"#[a-z-]+\Z")


@dataclass
class Page:
    """What was found, in order of the document."""

    faults: list[str] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    named_by: list[str] = field(default_factory=list)
    metas: list[dict[str, str]] = field(default_factory=list)
    drawings: int = 0
    text: str = ""
    style: str = ""


class _Inspector(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        page = self.page
        if tag not in ELEMENTS:
            page.faults.append(f"element {tag}")
        self._attributes(tag, attrs)
        found = dict(attrs)
        if tag == "th" and found.get("scope") not in ("row", "col"):
            page.faults.append("th without scope")
        if tag in _TABLE and found.get("role") != _TABLE[tag].get(found.get("scope")):
            # Browsers forget that it is a table where a narrow screen shows it as blocks.
            page.faults.append(f"{tag} without its role")
        if tag == "svg":
            page.drawings += 1
            if found.get("role") != "img" or not found.get("aria-labelledby"):
                page.faults.append("svg without a name")
        if tag == "meta":
            page.metas.append(found)
        if re.fullmatch(r"h[1-6]", tag):
            page.headings.append((int(tag[1]), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.page.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.page.style += data
        else:
            self.page.text += data
        if self.open and re.fullmatch(r"h[1-6]", self.open[-1]):
            level, text = self.page.headings[-1]
            self.page.headings[-1] = (level, text + data)

    def handle_comment(self, data):
        self.page.faults.append(f"comment {data[:40]!r}")

    def handle_pi(self, data):
        self.page.faults.append(f"instruction {data[:40]!r}")

    def unknown_decl(self, data):
        self.page.faults.append(f"declaration {data[:40]!r}")

    def _attributes(self, tag, attrs):
        page = self.page
        if len({name for name, _ in attrs}) != len(attrs):
            page.faults.append(f"{tag}: an attribute twice")
        for name, value in attrs:
            if name not in ATTRIBUTES:
                page.faults.append(f"{tag}: attribute {name}")
            if name == "href" and not _LOCAL.match(value or ""):
                page.faults.append(f"{tag}: leads elsewhere, {value!r}")
            elif name == "href":
                page.named_by.append(value[1:])
            if name in NUMBERS and not _NUMBER.match(value or ""):
                page.faults.append(f"{tag}: {name} is {value!r}")
            if name == "d" and not re.fullmatch(r"[MLh0-9. -]*", value or ""):
                page.faults.append(f"{tag}: d is {value[:40]!r}")
            if name == "id":
                page.ids.append(value)
            if name == "aria-labelledby":
                page.named_by += value.split()


def inspected(html: str) -> Page:
    """Return a page's inspection; `faults` is empty where it is as it should be."""
    inspector = _Inspector()
    inspector.feed(html)
    inspector.close()
    page = inspector.page
    html.encode("utf-8")
    if inspector.open:
        page.faults.append(f"left open: {inspector.open}")
    if len(set(page.ids)) != len(page.ids):
        page.faults.append("an id twice")
    page.faults += [f"{name} names nothing" for name in page.named_by if name not in page.ids]
    page.faults += [f"character {c!r}" for c in set(html) if _acts(c)]
    levels = [0, *(level for level, _ in page.headings)]
    page.faults += [
        f"h{after} after h{before}" for before, after in pairwise(levels) if after > before + 1
    ]
    return page


def _acts(character: str) -> bool:
    return character != "\n" and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
