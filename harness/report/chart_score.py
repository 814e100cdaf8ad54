"""The charts of the score: seeds beside the baseline, the loss over the stream, blind against credited.

Each takes a report, an identifier unique on the page and a width, and returns None where there is nothing to
draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report import reading
from harness.report.figures import count, figure, quantity, seed_name
from harness.report.markup import Safe, join
from harness.report.model import Report, SeedResult
from harness.report.svg import (
    Scale,
    axis_below,
    axis_left,
    chart,
    cloud,
    dot,
    fitted,
    label,
    rule,
    scale,
    sideways,
    trace,
)

_ROW = 26.0
MOST_ROWS = 12
"""Seeds that have a row of their own."""
MOST_LINES = 6
"""Seeds whose loss is drawn."""
_MOST_POINTS = 5_000
"""Dots of the challenge plot; more only cover one another."""
_NATS = "nats/token"
_LEAST = 1e-3
"""Nats per token that the strip plot spans at least; seeds may be equal to the last digit."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the strip plot: its dots, and an interval if it is a mean."""

    name: str
    values: tuple[float, ...]
    style: str
    interval: reading.Interval | None = None
    mean: bool = False


def seeds(report: Report, ident: str, width: float) -> Safe | None:
    """Draw each seed's nats per token beside the baseline's, with means, interval and target."""
    facts = reading.comparison(report)
    if not facts.seeds:
        return None
    rows = _seed_rows(facts)
    left, right = (112.0, width - 84.0) if width > 500 else (100.0, width - 70.0)
    top = 46.0 if facts.target_nats is not None else 16.0
    bottom = top + _ROW * len(rows) + 4
    values = [value for row in rows for value in (*row.values, *(row.interval or ()))]
    marks = [mark for mark in (facts.target_nats, facts.baseline_mean) if mark is not None]
    across = scale([*values, *marks], left, right, least=_LEAST)
    body = [axis_below(across, top, bottom, 4 if width > 500 else 3)]
    body.append(
        label(((left + right) / 2, bottom + 34), "nats per token; left is better", "tick", "middle")
    )
    body += _marks(facts, across, top, bottom)
    body += [_seed_row(row, across, top + _ROW * (i + 0.5), width) for i, row in enumerate(rows)]
    size = (width, bottom + 42)
    return chart(ident, "Seeds beside the baseline", _seeds_in_words(facts), size, *body)


def _seed_rows(facts: reading.Comparison) -> list[_Row]:
    rows = _group("seed", facts.seeds, "accent")
    if facts.mean is not None and len(facts.seeds) > 1:
        rows.append(_Row("mean", (facts.mean,), "accent", facts.interval, mean=True))
    rows += _group("baseline", facts.baseline, "quiet")
    if facts.baseline_mean is not None:
        rows.append(_Row("baseline mean", (facts.baseline_mean,), "quiet", mean=True))
    return rows


def _group(name: str, values: Sequence[tuple[int, float]], style: str) -> list[_Row]:
    if len(values) > MOST_ROWS:
        return [_Row(f"{name}, {len(values)}", tuple(nats for _, nats in values), style)]
    return [_Row(f"{name} {seed_name(seed)}", (nats,), style) for seed, nats in values]


def _marks(facts: reading.Comparison, across: Scale, top: float, bottom: float) -> list[Safe]:
    if facts.target_nats is None:
        return []
    x = across(facts.target_nats)
    near_end = x > (across.start + across.end) / 2
    beside, anchor = (x - 6, "end") if near_end else (x + 6, "start")
    return [
        rule((x, top - 22), (x, bottom), "limit"),
        label((beside, top - 26), f"to beat: {figure(facts.target_nats, _NATS)}", "strong", anchor),
        label((beside, top - 10), "baseline mean less the margin", "tick", anchor),
    ]


def _seed_row(row: _Row, across: Scale, y: float, width: float) -> Safe:
    name = fitted(row.name, across.start - 8)
    style = "strong" if row.mean else "ink"
    parts = [label((0, y + 4), name, style)]
    if row.interval is not None:
        low, high = (across(end) for end in row.interval)
        parts += [rule((low, y), (high, y), "whisker")]
        parts += [rule((x, y - 5), (x, y + 5), "whisker") for x in (low, high)]
    for value in row.values:
        hint = f"{row.name}: {quantity(value, _NATS)}"
        x = across(value)
        parts.append(
            rule((x, y - 8), (x, y + 8), f"{row.style}-mean")
            if row.mean
            else dot((x, y), 4.5, row.style, hint)
        )
    if len(row.values) == 1:
        parts.append(label((width, y + 4), figure(row.values[0], _NATS), f"{style} figure", "end"))
    return join(parts)


def _seeds_in_words(facts: reading.Comparison) -> str:
    words = [f"{count(len(facts.seeds), 'seed')}"]
    if facts.mean is not None:
        words.append(f"mean {quantity(facts.mean, _NATS)}")
    if facts.interval is not None:
        words.append(f"95% interval {' to '.join(figure(end, _NATS) for end in facts.interval)}")
    if facts.baseline_mean is not None:
        words.append(f"baseline mean {quantity(facts.baseline_mean, _NATS)}")
    if facts.target_nats is not None:
        words.append(f"to beat {quantity(facts.target_nats, _NATS)}")
    return "; ".join(words) + ". Lower is better."


def curve(report: Report, ident: str, width: float) -> Safe | None:
    """Draw the credited loss over the stream, a line a seed."""
    drawn = [seed for seed in report.seeds if len(seed.curve) > 1][:MOST_LINES]
    if not drawn:
        return None
    left, right, top = 62.0, width - 12.0, 40.0
    bottom = top + (240.0 if width > 500 else 190.0)
    points = [point for seed in drawn for point in seed.curve]
    across = scale((tokens for tokens, _ in points), left, right, pad=0.0, zero=True)
    up = scale((nats for _, nats in points), bottom, top)
    body = [
        axis_left(up, left, right),
        axis_below(across, bottom, bottom + 4, 5 if width > 500 else 3),
        label(((left + right) / 2, bottom + 34), "tokens scored so far", "tick", "middle"),
        sideways((12, (top + bottom) / 2), "nats per token"),
    ]
    for index, seed in enumerate(drawn):
        line = [(across(tokens), up(nats)) for tokens, nats in seed.curve]
        body += [trace(line, f"line line-{index}"), *_key(index, seed, width)]
    first, last = drawn[0].curve[0], drawn[0].curve[-1]
    words = (
        f"{count(len(drawn), 'seed')}. Seed {seed_name(drawn[0].seed)} goes from {quantity(first[1], _NATS)} "
        f"after {figure(first[0])} tokens to {quantity(last[1], _NATS)} after {figure(last[0])}."
    )
    return chart(ident, "Loss over the stream", words, (width, bottom + 42), *body)


def _key(index: int, seed: SeedResult, width: float) -> list[Safe]:
    """Return the name of a line with a stretch of it: one row of six, or two of three on a phone."""
    columns = MOST_LINES if width > 500 else 3
    left = 62.0 if width > 500 else 4.0
    room = (width - 12.0 - left) / columns
    x, y = left + room * (index % columns), 12.0 + 16.0 * (index // columns)
    name = fitted(f"seed {seed_name(seed.seed)}", room - 34, each=6.2)
    return [
        rule((x, y - 4), (x + 22, y - 4), f"line line-{index}"),
        label((x + 28, y), name, "tick"),
    ]


def scatter(report: Report, ident: str, width: float) -> Safe | None:
    """Draw the blind answers against what was credited for the same tokens."""
    points = [point for seed in report.seeds for point in seed.blind][:: _step(report)]
    if not points:
        return None
    side = min(width, 420.0)
    left, right, top, bottom = 46.0, side - 10.0, 12.0, side - 44.0
    off = [point for seed in report.seeds for point in reading.off_the_line(seed)]
    both = scale([value for point in (*points, *off) for value in point], 0.0, 1.0, zero=True)
    across = Scale(both.low, both.high, left, right)
    up = Scale(both.low, both.high, bottom, top)
    body = (
        axis_left(up, left, right),
        axis_below(across, top, bottom),
        rule((left, bottom), (right, top), "base"),
        cloud(((across(credited), up(blind)) for credited, blind in points), "cloud"),
        cloud(((across(credited), up(blind)) for credited, blind in off), "cloud off")
        if off
        else None,
        label((left + 8, top + 14), "above the line: credited too little", "tick"),
        label(((left + right) / 2, bottom + 34), "credited, nats", "tick", "middle"),
        sideways((12, (top + bottom) / 2), "answered blind, nats"),
    )
    return chart(ident, "Blind against credited", scattered(report), (side, side), *body)


def _step(report: Report) -> int:
    """Return n where every nth blind answer is drawn; those off the line always are."""
    return max(-(-sum(len(seed.blind) for seed in report.seeds) // _MOST_POINTS), 1)


def scattered(report: Report) -> str:
    """Return in words how far the blind answers lie from what was credited, and which are drawn."""
    points = [point for seed in report.seeds for point in seed.blind]
    apart = max(map(reading.apart, points), default=0.0)
    off = sum(len(reading.off_the_line(seed)) for seed in report.seeds)
    tolerance = reading.tolerance(report.seeds)
    step = _step(report)
    drawn = "" if step == 1 else f" One in {step} is drawn, and each that is beyond."
    beyond = (
        ""
        if tolerance is None
        else f", {off or 'none'} beyond the tolerance of {figure(tolerance)}"
    )
    return (
        f"{count(len(points), 'blind answer')} over {count(len(report.seeds), 'seed')}{beyond}; "
        f"the largest distance from what was credited is {quantity(apart, 'nats')}.{drawn}"
    )


def gain(report: Report, ident: str, width: float) -> Safe | None:
    """Draw, a row a seed, the interval of the mean gain from peeking, its limit and the margin to win."""
    rows = _gain_rows(report)
    if not rows:
        return None
    left, right, top = 86.0, width - 84.0 if width > 500 else width - 70.0, 48.0
    bottom = top + _ROW * len(rows) + 4
    limit = next((bound.limit for _, bound in rows if bound.limit is not None), None)
    margin = reading.margin_nats(report)
    ends = [end for _, b in rows for end in (b.lower, b.mean, b.upper) if end is not None]
    across = scale([0.0, *ends, *(end for end in (limit, margin) if end is not None)], left, right)
    body = [
        axis_below(across, top, bottom, 4 if width > 500 else 3),
        rule((across(0.0), top), (across(0.0), bottom), "base"),
        label(((left + right) / 2, bottom + 34), "mean gain, nats per token", "tick", "middle"),
    ]
    if margin is not None:
        body += _upright(
            across, margin, (top, bottom), 32.0, f"margin to win {figure(margin)}", "tick"
        )
    if limit is not None:
        body += _upright(across, limit, (top, bottom), 14.0, f"limit {figure(limit)}", "strong")
    body += [
        _gain_row(name, b, across, top + _ROW * (i + 0.5), width)
        for i, (name, b) in enumerate(rows)
    ]
    words = "; ".join(f"seed {name}: at most {figure(b.upper)}" for name, b in rows)
    if limit is not None:
        words += f". The limit is {figure(limit)} nats per token."
    if margin is not None:
        words += f" The margin to win is {figure(margin)} nats per token."
    return chart(ident, "The gain from peeking", words, (width, bottom + 42), *body)


def _gain_rows(report: Report) -> list[tuple[str, reading.Bound]]:
    bounds = [(seed.seed, reading.gain(seed.findings)) for seed in report.seeds[:MOST_ROWS]]
    rows = [(seed_name(seed), bound) for seed, bound in bounds if bound is not None]
    if rows:
        return rows
    whole = reading.gain(report.findings)
    return [] if whole is None else [("all", whole)]


def _upright(
    across: Scale, value: float, ends: tuple[float, float], above: float, text: str, style: str
) -> list[Safe]:
    """Return a dashed line with its name over it, on the side that has room for the letters."""
    x, (top, bottom) = across(value), ends
    near_end = x > (across.start + across.end) / 2
    return [
        rule((x, top - above + 4), (x, bottom), "limit" if style == "strong" else "far"),
        label(
            (x + (4 if near_end else -4), top - above), text, style, "end" if near_end else "start"
        ),
    ]


def _gain_row(name: str, bound: reading.Bound, across: Scale, y: float, width: float) -> Safe:
    upper = bound.upper if bound.upper is not None else 0.0
    lower = bound.lower if bound.lower is not None else upper
    low, high = across(lower), across(upper)
    over = bound.limit is not None and upper > bound.limit
    style = "bad figure" if over else "ink figure"
    parts = [
        label((0, y + 4), fitted(f"seed {name}", across.start - 8)),
        rule((low, y), (high, y), "whisker"),
        *(rule((x, y - 5), (x, y + 5), "whisker") for x in (low, high)),
        label((width, y + 4), f"≤ {upper:.2g}{' !' if over else ''}", style, "end"),
    ]
    if bound.mean is not None:
        parts.append(dot((across(bound.mean), y), 4.5, "accent", f"mean {figure(bound.mean)}"))
    return join(parts)
