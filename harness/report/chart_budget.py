"""The charts of what a run may use: phases against their budgets, bytes by file against the cap.

Each takes a report, an identifier unique on the page and a width, and returns None where there is nothing to
draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from checks.contract import PhaseTime
from harness.report import reading
from harness.report.escape import visible
from harness.report.figures import count, figure, quantity, seconds, seed_name, short
from harness.report.markup import Safe, join
from harness.report.model import Report, SeedResult
from harness.report.svg import Scale, axis_below, bar, chart, fitted, label, rule, scale

_ROW = 22.0
_HEAD = 30.0
_MOST_SEEDS = 6
_MOST_FILES = 10


def phases(report: Report, ident: str, width: float) -> Safe | None:
    """Draw each seed's phases one after another, each bar before the shade of its budget."""
    drawn = [seed for seed in report.seeds if seed.phases][:_MOST_SEEDS]
    if not drawn:
        return None
    left, right = (92.0, width - 136.0) if width > 500 else (72.0, width - 104.0)
    ends = [
        start + max(_allowed(time), time.wall_s)
        for seed in drawn
        for start, time in _started(seed)
        if time.outcome != "not started"
    ]
    bottom = sum(_HEAD + _ROW * len(seed.phases) for seed in drawn)
    across = scale(ends, left, right, pad=0.0, zero=True)
    body = [axis_below(across, _HEAD - 6, bottom + 2, 5 if width > 500 else 3)]
    body.append(
        label(((left + right) / 2, bottom + 36), "seconds since the start", "tick", "middle")
    )
    y = 0.0
    for seed in drawn:
        body.append(label((0, y + 20), f"seed {seed_name(seed.seed)}", "strong"))
        y += _HEAD
        for start, time in _started(seed):
            body.append(_phase_row(time, start, across, y, width))
            y += _ROW
    words = "; ".join(_seed_in_words(seed) for seed in drawn) + "."
    return chart(ident, "Phases and their budgets", words, (width, bottom + 44), *body)


def _started(seed: SeedResult) -> Iterator[tuple[float, PhaseTime]]:
    """Yield each phase with the second at which it started, the phases being put end to end."""
    start = 0.0
    for time in seed.phases:
        yield start, time
        start += max(time.wall_s, 0.0)


def _allowed(time: PhaseTime) -> float:
    return time.budget_s + time.grace_s


def _phase_row(time: PhaseTime, start: float, across: Scale, y: float, width: float) -> Safe:
    ran = time.outcome != "not started"
    late = ran and (time.outcome != "done" or time.wall_s > _allowed(time))
    took = f"{seconds(time.wall_s)} of {short(_allowed(time))} s" if ran else "not started"
    parts = [label((0, y + 14), fitted(visible(time.phase), across.start - 6))]
    if ran:
        x, budget_x = across(start), across(start + _allowed(time))
        long = max(across(start + time.wall_s) - x, 1.5)
        parts += [
            bar((x, y + 3), (budget_x - x, 14), "shade"),
            bar((x, y + 5), (long, 10), "over" if late else "accent", took),
            rule((budget_x, y + 1), (budget_x, y + 19), "edge"),
        ]
    style = "bad figure" if late else "ink figure"
    parts.append(label((width, y + 14), f"{took} !" if late else took, style, "end"))
    return join(parts)


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
