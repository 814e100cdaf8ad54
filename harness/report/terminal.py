"""The blocks of a report as rich renderables, in the order in which they are printed.

Everything that a submission may have worded goes through `_words`, which neutralises it; markup is never
interpreted, since only rich.text.Text is used.

Loads rich: import this module inside a function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from checks.contract import Finding, Status
from harness.report import reading
from harness.report.escape import for_terminal
from harness.report.evidence import flat, outline
from harness.report.figures import count, duration, figure, quantity, seconds, seed_name, versus
from harness.report.model import Guarantee, Machine, Report, SeedResult

_STYLES = {
    Status.PASS: "green",
    Status.FAIL: "red",
    Status.ERROR: "magenta",
    Status.NOT_RUN: "yellow",
}
_LABEL, _NAME, _LINE, _MESSAGE = 40, 80, 160, 600
"""Characters printed of a label, a name, a value and a message; report.json has them whole."""
_WIDE = 84
"""Columns from which a check's message fits beside its numbers; below, it goes underneath."""
_EVIDENCE = 8
"""Lines of evidence printed for a check that failed."""


def blocks(report: Report, width: int, folder: str | None) -> Iterator[RenderableType]:
    """Yield the report block by block, a blank line before each; `width` is in columns."""
    parts = (
        _verdict(report),
        _section("Checks", *_checks(report, width)),
        _section("Why", *_why(report)),
        _section("Seeds (phases in seconds)", *_seeds(report, width - 2)),
        _section("Statistics", *_statistics(report)),
        _section("Guarantees of this machine", *_guarantees(report)),
        _section("What was judged", _facts(report, folder)),
        _section("Next", _next(report)),
    )
    for part in parts:
        if part is not None:
            yield Text("")
            yield part


def _words(text: str, limit: int = _NAME, style: str = "") -> Text:
    return Text(for_terminal(text, limit), style=style, overflow="fold")


def _section(title: str, *parts: RenderableType) -> RenderableType | None:
    if not parts:
        return None
    return Group(Text(title, style="bold"), *(Padding(part, (0, 0, 0, 2)) for part in parts))


def _grid(columns: int, gap: int = 2) -> Table:
    """Return a table without lines, of which only the last column may wrap."""
    grid = Table.grid(padding=(0, gap, 0, 0))
    for index in range(columns):
        grid.add_column(overflow="fold", no_wrap=index < columns - 1)
    return grid


def _verdict(report: Report) -> RenderableType:
    style = _STYLES[report.verdict]
    grid = _grid(2)
    message = report.verdict_message or reading.VERDICTS[report.verdict]
    grid.add_row(
        Text(f" {report.verdict} ", style=f"bold reverse {style}"),
        _words(message, _MESSAGE, f"bold {style}"),
    )
    what = " · ".join(
        (
            for_terminal(report.submission.name, _NAME),
            f"ruleset {for_terminal(report.ruleset.name, _NAME)}",
            f"data {for_terminal(report.data.name, _NAME)}",
            count(len(report.seeds), "seed"),
            duration(report.wall_s),
        )
    )
    return Group(grid, Text(what, style="dim", overflow="fold"))


# Checks.


def _checks(report: Report, width: int) -> Iterator[RenderableType]:
    if not report.findings:
        yield Text("none: the run did not get as far as a check")
        return
    wide = width >= _WIDE
    grid = _grid(4 if wide else 3)
    for found in report.findings:
        message = _one_line(found, reading.is_required(report, found.id))
        row = (_status(found.status), _words(found.id, 24), _measure(found))
        if wide:
            grid.add_row(*row, message)
            continue
        grid.add_row(*row)
        if message:
            yield grid
            yield Padding(message, (0, 0, 0, 9))
            grid = _grid(3)
    if grid.row_count:
        yield grid


def _status(status: Status) -> Text:
    return Text(f"{status:<7}", style=f"bold {_STYLES[status]}")


def _measure(found: Finding) -> Text:
    """Return "measured / limit unit", with what is absent left out."""
    unit = for_terminal(found.unit, 24)
    if found.limit is not None:
        return Text(versus(found.measured, found.limit, unit))
    return Text("-" if found.measured is None else quantity(found.measured, unit))


def _one_line(found: Finding, required: bool) -> Text:
    message = _words(found.message, _LINE)
    if not required:
        message = Text.assemble(("advisory; ", "dim"), message)
    message.no_wrap, message.overflow = True, "ellipsis"
    return message


def _why(report: Report) -> Iterator[RenderableType]:
    """Yield, for each check that decides, the whole message and the head of its evidence.

    Those that are red; where none is, those that were not run.
    """
    red = [f for f in report.findings if f.status in (Status.FAIL, Status.ERROR)]
    missing = [f for f in report.findings if f.status is Status.NOT_RUN]
    for found in red or missing:
        name = Text(f"{found.status} ", style=f"bold {_STYLES[found.status]}")
        name.append_text(_words(found.id, _LABEL, "bold"))
        yield name
        yield Padding(_words(found.message, _MESSAGE), (0, 0, 0, 2))
        power = {"power": found.power} if found.power else {}
        evidence = {**reading.evidence_of(report, found), **power}
        lines = list(flat(outline(evidence, most=4 if len(evidence) < 9 else 8)))
        grid = _grid(2)
        for path, value in lines[:_EVIDENCE]:
            grid.add_row(_words(path, _LABEL, "dim"), _words(value, _LINE))
        if len(lines) > _EVIDENCE:
            grid.add_row("", Text("... the rest is in report.json", style="dim"))
        if lines:
            yield Padding(grid, (0, 0, 0, 4))


# Seeds and statistics.


def _seeds(report: Report, width: int) -> Iterator[RenderableType]:
    if not report.seeds:
        yield Text("none")
        return
    phases = reading.phase_names(report)
    scores = [("seed", "nats/token", "bits/byte", "artifact bytes")]
    scores += [_score_cells(seed) for seed in report.seeds]
    times = [tuple(for_terminal(phase, 12) for phase in phases)]
    times += [_second_cells(seed, phases) for seed in report.seeds]
    both = [(*score, *time) for score, time in zip(scores, times, strict=True)]
    named = [(score[0], *time) for score, time in zip(scores, times, strict=True)]
    if _fits(both, width):
        yield _columns(both)
    elif _fits(scores, width) and _fits(named, width):
        yield _columns(scores)
        yield Text("")
        yield _columns(named)
    else:
        yield _lines(both)
    yield from _ended(report)


def _fits(rows: Sequence[Sequence[str]], width: int) -> bool:
    widths = [max(Text(cell).cell_len for cell in column) for column in zip(*rows, strict=True)]
    return sum(widths) + 2 * len(widths) <= width


def _columns(rows: Sequence[Sequence[str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in rows[0]:
        table.add_column(justify="right", no_wrap=True)
    for number, row in enumerate(rows):
        table.add_row(*(Text(cell, style="" if number else "dim") for cell in row))
    return table


def _lines(rows: Sequence[Sequence[str]]) -> Table:
    """Return the same as running text, a paragraph a seed, for a narrow terminal."""
    grid = _grid(2)
    for seed, *cells in rows[1:]:
        named = (f"{name} {cell}" for name, cell in zip(rows[0][1:], cells, strict=True))
        grid.add_row(Text(seed, style="dim"), Text(", ".join(named), overflow="fold"))
    return grid


def _score_cells(seed: SeedResult) -> tuple[str, str, str, str]:
    return (
        seed_name(seed.seed),
        _or_dash(seed.nats_per_token, "nats/token"),
        _or_dash(seed.bits_per_byte, "bits/byte"),
        _or_dash(seed.artifact_bytes),
    )


def _second_cells(seed: SeedResult, phases: Sequence[str]) -> tuple[str, ...]:
    took = {time.phase: time.wall_s for time in seed.phases if time.outcome != "not started"}
    return tuple(seconds(took[phase]) if phase in took else "-" for phase in phases)


def _or_dash(value: float | None, unit: str = "") -> str:
    return "-" if value is None else figure(value, unit)


def _ended(report: Report) -> Iterator[RenderableType]:
    """Yield a line for each phase that did not end as it should."""
    for seed in report.seeds:
        for time in seed.phases:
            if time.outcome not in ("done", "not started"):
                detail = f": {time.detail}" if time.detail else ""
                line = f"seed {seed_name(seed.seed)}, {time.phase}: {time.outcome}{detail}"
                yield _words(line, _MESSAGE, _STYLES[Status.FAIL])


def _statistics(report: Report) -> Iterator[RenderableType]:
    facts = reading.comparison(report)
    rows: list[tuple[str, str]] = []
    if facts.mean is not None:
        bits = _or_dash(report.bits_per_byte_mean, "bits/byte")
        mean = f"{quantity(facts.mean, 'nats/token')}{_between(facts.interval)}"
        rows.append(("mean", f"{mean}; {bits} bits/byte over {count(len(facts.seeds), 'seed')}"))
    if facts.baseline_mean is not None and report.baseline:
        target = (
            ""
            if facts.target_nats is None
            else f"; to beat: {figure(facts.target_nats, 'nats/token')}"
        )
        name = for_terminal(report.baseline.name, _NAME)
        rows.append(("baseline", f"{quantity(facts.baseline_mean, 'nats/token')} ({name}){target}"))
    if facts.improvement_nats is not None:
        gained = quantity(facts.improvement_nats, "nats/token")
        rows.append(("improvement", f"{gained}{_between(facts.improvement_interval)}"))
    for row in reading.readings(report):
        p = "undefined" if row.p is None else f"p = {figure(row.p)}"
        null = f"better by no more than {row.margin_nats:g}" if row.margin_nats else "no better"
        decides = "; this one decides" if row.deciding else ""
        rows.append((for_terminal(row.test, 20), f"{p}, H0: {null}{decides}"))
    if facts.seeds_needed is not None:
        needed = f"{figure(facts.seeds_needed)}, if mean and deviation stay as they are"
        rows.append(("seeds needed", needed))
    if not rows:
        rows.append(("", "no seed has a score"))
    grid = _grid(2)
    for label, value in rows:
        grid.add_row(Text(label, style="dim"), Text(value, overflow="fold"))
    yield grid


def _between(interval: reading.Interval | None) -> str:
    if interval is None:
        return ""
    return f" (95%: {' to '.join(figure(end, 'nats/token') for end in interval)})"


# What it ran on, what it was, and what to do about it.


def _guarantees(report: Report) -> Iterator[RenderableType]:
    grid = _grid(2)
    for state in ("enforced", "watched", "best effort", "not enforced"):
        names = ", ".join(_guarantee(g) for g in report.guarantees if g.state == state)
        if names:
            grid.add_row(Text(state, style="dim"), Text(names, overflow="fold"))
    if grid.row_count:
        yield grid


def _guarantee(guarantee: Guarantee) -> str:
    return for_terminal(guarantee.name, _NAME) + (" (required)" if guarantee.required else "")


def _facts(report: Report, folder: str | None) -> Table:
    baseline = report.baseline
    rows = [
        ("submission", report.submission.name),
        ("  sha256", report.submission.digest),
        ("ruleset", f"{report.ruleset.name}, version {report.ruleset.version}"),
        ("  sha256", report.ruleset.sha256),
        ("data", report.data.name),
        ("  val sha256", report.data.val_sha256),
        ("baseline", baseline.name if baseline else "none"),
        *([("  sha256", baseline.sha256)] if baseline else []),
        ("machine", _machine(report.machine)),
        ("run", f"{report.run_id}, {report.created_utc}, harness {report.harness_version}"),
        (
            "files",
            f"{folder or f'runs/{report.run_id}'}: report.json, report.html, logs of every phase",
        ),
    ]
    grid = _grid(2)
    for label, value in rows:
        grid.add_row(Text(label, style="dim"), _words(value, 2 * _LINE))
    return grid


def _machine(machine: Machine) -> str:
    gpus = [f"{n} x {name}" if n > 1 else name for name, n in Counter(machine.gpus).items()]
    parts = [machine.cpu or machine.system, count(machine.cores, "core"), *gpus]
    return ", ".join([*parts, f"Python {machine.python}"])


def _next(report: Report) -> Table:
    grid = _grid(2, gap=1)
    for step in reading.next_steps(report):
        grid.add_row("-", _words(step, _MESSAGE))
    return grid
