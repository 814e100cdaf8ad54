"""HTML and SVG elements built so that forgetting to escape is not possible.

`tag` escapes every child and every attribute that is not a `Safe` string, and only this module makes those.
Joining or formatting a Safe string gives a plain `str`, which is escaped where it is used: a slip shows up
as visible angle brackets, never as an element.

Does not parse, validate or indent.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.report.escape import for_html

_VOID = frozenset({"meta", "br", "hr", "col"})
_EMPTY = frozenset({"path", "rect", "line", "circle", "polygon"})

Attribute = str | int | float | bool | None


class Safe(str):
    """Markup that is known to be well formed; made by this module alone."""

    __slots__ = ()


Child = str | None
"""Text, which is escaped, or Safe, which is not; None is nothing."""


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Safe:
    """Return one element.

    Attribute names lose a trailing underscore and turn the others into hyphens (`class_`, `stroke_width`;
    `viewBox` stays). None and False leave the attribute out; True writes it without a value.
    """
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}"
    if name in _VOID:
        return Safe(f"{opening}>")
    if name in _EMPTY and not children:
        return Safe(f"{opening}/>")
    return Safe(f"{opening}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Safe:
    """Return the children one after another, each escaped unless Safe."""
    return Safe("".join(_content(child) for child in children if child is not None))


def lines(children: Iterable[Child]) -> Safe:
    """Return the children each on a line of its own, which keeps the source of a page readable."""
    return Safe("\n".join(_content(child) for child in children if child is not None))


def constant(markup: str) -> Safe:
    """Return text of this project's own source (a style sheet) as markup, unchanged."""
    return Safe(markup)


def _content(child: str) -> str:
    return child if isinstance(child, Safe) else for_html(child)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.removesuffix("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{for_html(str(value))}"'
