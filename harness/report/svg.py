"""Drawing by hand: a scale, axes, bars, dots and lines as inline SVG, without a library or a script.

Sizes are in user units, which are CSS pixels at the width a chart is made for. Colours are classes of the
page's style sheet, so that light, dark and paper share one drawing. Every chart has a title and a description
for those who do not see it.

Does not lay out: a chart says where each thing goes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.report.figures import short
from harness.report.markup import Child, Safe, join, tag

_FAR = 1e300
"""Values are held within this, so that the difference of any two is a number."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values in [low, high], low < high, to positions from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a value; values outside are put at the nearer end."""
        share = (_held(value) - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int = 5) -> tuple[tuple[float, str], ...]:
        """Return at most `most` + 1 round values with their labels.

        Source: P. Heckbert, "Nice numbers for graph labels", Graphics Gems (1990).
        """
        step = _nice((self.high - self.low) / most)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        values = [(first + index) * step for index in range(min(last - first, most) + 1)]
        return tuple(zip(values, _tick_labels(values, step), strict=True))


def scale(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    pad: float = 0.06,
    zero: bool = False,
    least: float = 0.0,
) -> Scale:
    """Return a scale over all values, with a margin of `pad` of their range, from 0 if `zero`.

    A range below `least`, or too small to divide, is widened, so that noise does not fill the chart.
    """
    held = [_held(value) for value in values]
    low = 0.0 if zero else min(held, default=0.0)
    high = max(held, default=1.0)
    least = max(least, max(abs(low), abs(high)) * 1e-9 + 1e-12)
    if high - low < least:
        middle = (low + high) / 2
        low, high = (
            (low if zero else middle - least / 2),
            (low if zero else middle - least / 2) + least,
        )
    margin = (high - low) * pad
    return Scale(low if zero else low - margin, high + margin, start, end)


def chart(
    ident: str, title: str, description: str, size: tuple[float, float], *body: Child
) -> Safe:
    """Return a whole SVG image of `size` (width, height); `ident` must be unique on the page."""
    width, height = size
    return tag(
        "svg",
        tag("title", title, id=f"{ident}-title"),
        tag("desc", description, id=f"{ident}-desc"),
        *body,
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
        viewBox=f"0 0 {_n(width)} {_n(height)}",
        width=_n(width),
        height=_n(height),
        class_="chart",
    )


def label(at: Point, text: str, style: str = "ink", anchor: str = "start") -> Safe:
    """Return text whose baseline starts, ends or is centred ("start", "end", "middle") at a point."""
    return tag("text", text, x=_n(at[0]), y=_n(at[1]), class_=style, text_anchor=anchor)


def sideways(at: Point, text: str, style: str = "tick") -> Safe:
    """Return text that reads upwards, centred at a point: the name of an axis to the left."""
    x, y = at
    return tag(
        "text",
        text,
        x=_n(x),
        y=_n(y),
        class_=style,
        text_anchor="middle",
        transform=f"rotate(-90 {_n(x)} {_n(y)})",
    )


def rule(start: Point, end: Point, style: str = "grid") -> Safe:
    """Return a straight line."""
    (x1, y1), (x2, y2) = start, end
    return tag("line", x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2), class_=style)


def bar(start: Point, size: Point, style: str, hint: str | None = None) -> Safe:
    """Return a bar from its upper left corner; `hint` appears under the pointer."""
    (x, y), (width, height) = start, size
    body = [tag("title", hint)] if hint else []
    return tag(
        "rect",
        *body,
        x=_n(x),
        y=_n(y),
        width=_n(max(width, 0.0)),
        height=_n(height),
        class_=style,
    )


def dot(at: Point, radius: float, style: str, hint: str | None = None) -> Safe:
    """Return a filled circle; `hint` appears under the pointer."""
    body = [tag("title", hint)] if hint else []
    return tag("circle", *body, cx=_n(at[0]), cy=_n(at[1]), r=_n(radius), class_=style)


def cloud(points: Iterable[Point], style: str) -> Safe:
    """Return many dots as one path of lines without length, which round caps make visible."""
    return tag("path", d="".join(f"M{_n(x)} {_n(y)}h0" for x, y in points), class_=style)


def trace(points: Iterable[Point], style: str) -> Safe:
    """Return one line through all points, in order."""
    return tag("path", d="M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points), class_=style)


def axis_below(across: Scale, top: float, bottom: float, most: int = 5) -> Safe:
    """Return vertical grid lines from `top` to `bottom` with their values below."""
    parts: list[Safe] = []
    for value, text in across.ticks(most):
        x = across(value)
        parts += [rule((x, top), (x, bottom)), label((x, bottom + 16), text, "tick", "middle")]
    return join(parts)


def axis_left(up: Scale, left: float, right: float, most: int = 5) -> Safe:
    """Return horizontal grid lines from `left` to `right` with their values beside `left`."""
    parts: list[Safe] = []
    for value, text in up.ticks(most):
        y = up(value)
        parts += [rule((left, y), (right, y)), label((left - 8, y + 4), text, "tick", "end")]
    return join(parts)


def fitted(text: str, width: float, each: float = 6.9) -> str:
    """Return `text`, cut in the middle to the letters that fit in `width`."""
    room = max(int(width / each), 3)
    if len(text) <= room:
        return text
    head = (room - 1) // 2
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _held(value: float) -> float:
    return min(max(value, -_FAR), _FAR)


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(size for size in (1, 2, 2.5, 5, 10) if size * power >= step * 0.999) * power


def _tick_labels(values: Sequence[float], step: float) -> list[str]:
    decimals = -math.floor(math.log10(step) + 1e-9)
    if 0 < decimals <= 8:
        # A step of 2.5 needs one digit more than its power of ten.
        halves = abs(step * 10**decimals % 1 - 0.5) < 0.01
        return [f"{value:.{decimals + halves}f}" for value in values]
    labels = [short(value) for value in values]
    return labels if len(set(labels)) == len(labels) else [f"{value:,.12g}" for value in values]
