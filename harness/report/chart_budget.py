"""The charts of what a run may use: phases against their budgets, bytes by file against the cap.

Each takes a report, an identifier unique on the page and a width, and returns None where there is nothing to
draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from checks.contract import PhaseTime
from harness.report import reading
from harness.report.escape import visible
from harness.report.figures import count, figure, quantity, seconds, seed_name, short
from harness.report.markup import Safe, join
from harness.report.model import Report, SeedResult
from harness.report.svg import Scale, axis_below, bar, chart, fitted, label, rule, scale

MOST_SEEDS = 6
"""Seeds whose phases are drawn."""
_ROW = 22.0
_HEAD = 26.0
_TOP = 22.0
_MOST_FILES = 10


@dataclass(frozen=True, slots=True)
class _Lanes:
    """Where the two halves of a phase's row lie: when it ran, and how much of its budget that was."""

    clock: Scale
    """Seconds since the seed's first phase began."""
    share: Scale
    """Part of the budget, grace included; 1 is all of it."""
    name_width: float
    bar_y: float
    """How far the bars lie below the words: 0 where there is room for them in one line."""
    row: float


def phases(report: Report, ident: str, width: float) -> Safe | None:
    """Draw each seed's phases one after another on the clock, and beside each how far its budget went.

    Two scales, because a budget may be a hundred times what a phase took: on one of them the phases would
    be too short to see.
    """
    drawn = [seed for seed in report.seeds if seed.phases][:MOST_SEEDS]
    if not drawn:
        return None
    lanes = _lanes(drawn, width)
    bottom = _TOP + sum(_HEAD + lanes.row * len(seed.phases) for seed in drawn)
    wide = lanes.bar_y == 0
    body = [
        label((lanes.clock.start, 12), "when it ran", "tick"),
        label((lanes.share.start, 12), "part of its budget", "tick"),
        axis_below(lanes.clock, _TOP - 4, bottom + 2, 4 if wide else 3),
        label((_middle(lanes.clock), bottom + 36), "seconds since the start", "tick", "middle"),
        *(
            label((lanes.share(value), bottom + 18), text, "tick", "middle")
            for value, text in ((0.0, "0"), (0.5, "50%"), (1.0, "100%"))
        ),
    ]
    y = _TOP
    for seed in drawn:
        body.append(label((0, y + 16), f"seed {seed_name(seed.seed)}", "strong"))
        y += _HEAD
        for start, time in _started(seed):
            body.append(_phase_row(time, start, lanes, y, width))
            y += lanes.row
    words = "; ".join(_seed_in_words(seed) for seed in drawn) + "."
    return chart(ident, "Phases and their budgets", words, (width, bottom + 44), *body)


def _lanes(drawn: Sequence[SeedResult], width: float) -> _Lanes:
    ends = [start + time.wall_s for seed in drawn for start, time in _started(seed) if _ran(time)]
    most = max((_share(time) for seed in drawn for time in seed.phases if _ran(time)), default=0.0)
    # A bar that runs over its budget leaves the shade, and does not squeeze all the others.
    full = 1.0 if most <= 1.0 else 1.25
    if width > 500:
        clock = scale(ends, 92.0, width * 0.54, pad=0.0, zero=True)
        return _Lanes(clock, Scale(0.0, full, width * 0.58, width - 136.0), 86.0, 0.0, _ROW)
    clock = scale(ends, 5.0, width * 0.6, pad=0.0, zero=True)
    return _Lanes(clock, Scale(0.0, full, width * 0.66, width - 22.0), width * 0.5, 18.0, 40.0)


def _middle(lane: Scale) -> float:
    return (lane.start + lane.end) / 2


def _started(seed: SeedResult) -> Iterator[tuple[float, PhaseTime]]:
    """Yield each phase with the second at which it started, the phases being put end to end."""
    start = 0.0
    for time in seed.phases:
        yield start, time
        start += max(time.wall_s, 0.0)


def _ran(time: PhaseTime) -> bool:
    return time.outcome != "not started"


def _allowed(time: PhaseTime) -> float:
    return time.budget_s + time.grace_s


def _share(time: PhaseTime) -> float:
    """Return the part of its budget that a phase took; at most 2, where there was none to take."""
    if time.wall_s <= 0:
        return 0.0
    return min(time.wall_s / _allowed(time), 2.0) if _allowed(time) > 0 else 2.0


def _phase_row(time: PhaseTime, start: float, lanes: _Lanes, y: float, width: float) -> Safe:
    ran = _ran(time)
    late = ran and (time.outcome != "done" or time.wall_s > _allowed(time))
    took = f"{seconds(time.wall_s)} of {short(_allowed(time))} s" if ran else "not started"
    parts = [label((0, y + 14), fitted(visible(time.phase), lanes.name_width))]
    if ran:
        hint = f"{visible(time.phase)}: {took}"
        bars, style = y + lanes.bar_y, "over" if late else "accent"
        parts.append(_bar_of(lanes.clock, (start, start + time.wall_s), bars, style, hint))
        end = lanes.share(1.0)
        parts.append(bar((lanes.share.start, bars + 3), (end - lanes.share.start, 14), "shade"))
        parts.append(_bar_of(lanes.share, (0.0, _share(time)), bars, style, hint))
        parts.append(rule((end, bars + 1), (end, bars + 19), "edge"))
    style = "bad figure" if late else "ink figure"
    parts.append(label((width, y + 14), f"{took} !" if late else took, style, "end"))
    return join(parts)


def _bar_of(lane: Scale, span: tuple[float, float], y: float, style: str, hint: str) -> Safe:
    start, end = (lane(value) for value in span)
    # What is too short to see is drawn wider, and never beyond the end of the lane.
    start = min(start, lane.end - 1.5)
    return bar((start, y + 5), (max(end - start, 1.5), 10), style, hint)


def _seed_in_words(seed: SeedResult) -> str:
    words = [
        f"{visible(t.phase, 30)} {seconds(t.wall_s)} of {short(_allowed(t))} s ({t.outcome})"
        for t in seed.phases
    ]
    return f"Seed {seed_name(seed.seed)}: {', '.join(words)}"


def artifact(report: Report, ident: str, width: float) -> Safe | None:
    """Draw the files of the largest artifact one after another, against the cap."""
    seed = reading.largest_artifact(report)
    if seed is None:
        return None
    files = _file_rows(seed)
    total = sum(size for _, size in files)
    cap = reading.cap_bytes(report)
    left, right = (190.0, width - 100.0) if width > 500 else (104.0, width - 84.0)
    top = 40.0
    bottom = top + _ROW * (len(files) + 1) + 4
    across = scale([total, cap or 0.0], left, right, pad=0.02, zero=True)
    body = [axis_below(across, top, bottom, 4 if width > 500 else 2)]
    body.append(label(((left + right) / 2, bottom + 34), "bytes, added up", "tick", "middle"))
    done, y = 0, top + 2
    for name, size in files:
        body.append(_file_row(name, size, (across(done), across(done + size)), y, (left, width)))
        done, y = done + size, y + _ROW
    over = cap is not None and total > cap
    body.append(_total_row(total, over, across, y, width))
    body += _cap_mark(cap, across, top, bottom)
    return chart(
        ident, "Bytes by file", _files_in_words(files, total, cap), (width, bottom + 42), *body
    )


def _file_rows(seed: SeedResult) -> list[tuple[str, int]]:
    """Return (name, bytes), largest first; what is counted without a file of its own comes last."""
    files = sorted(seed.artifact_files, key=lambda file: (-file.size_bytes, file.path))
    rows = [(visible(file.path), max(file.size_bytes, 0)) for file in files[:_MOST_FILES]]
    rest = [max(file.size_bytes, 0) for file in files[_MOST_FILES:]]
    if rest:
        rows.append((f"{len(rest)} more", sum(rest)))
    uncounted = (seed.artifact_bytes or 0) - sum(size for _, size in rows)
    return [*rows, ("tokenizer of the data", uncounted)] if uncounted > 0 else rows


def _file_row(
    name: str, size: int, span: tuple[float, float], y: float, edges: tuple[float, float]
) -> Safe:
    start, end = span
    left, width = edges
    return join(
        (
            label((0, y + 14), fitted(name, left - 8)),
            bar(
                (start, y + 4),
                (max(end - start, 1.5), 12),
                "accent",
                f"{name}: {figure(size)} bytes",
            ),
            label((width, y + 14), _whole(size), "ink figure", "end"),
        )
    )


def _total_row(total: int, over: bool, across: Scale, y: float, width: float) -> Safe:
    style = "bad" if over else "strong"
    long = across(total) - across.start
    return join(
        (
            label((0, y + 14), "all, over the cap" if over else "all", style),
            bar((across.start, y + 4), (long, 12), "over" if over else "quiet"),
            label((width, y + 14), _whole(total), f"{style} figure", "end"),
        )
    )


def _cap_mark(cap: float | None, across: Scale, top: float, bottom: float) -> list[Safe]:
    if cap is None:
        return []
    x = across(cap)
    return [
        rule((x, top - 14), (x, bottom), "limit"),
        label((x + 4, top - 20), f"cap {quantity(cap, 'bytes')}", "strong", "end"),
    ]


def _whole(size: int) -> str:
    return f"{size:,}" if size < 10**10 else short(float(min(size, 10**300)))


def _files_in_words(files: Sequence[tuple[str, int]], total: int, cap: float | None) -> str:
    listed = ", ".join(f"{name[:60]} {figure(size)}" for name, size in files[:4])
    limit = "" if cap is None else f" The cap is {quantity(cap, 'bytes')}."
    return f"{figure(total)} bytes in {count(len(files), 'row')}, the largest: {listed}.{limit}"
