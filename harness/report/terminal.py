"""The blocks of a report as rich renderables, in the order in which they are printed.

Everything that a submission may have worded goes through `words`, which neutralises it; markup is never
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

from checks.contract import Status
from harness.report import reading
from harness.report.escape import for_terminal
from harness.report.evidence import flat, outline
from harness.report.figures import count, duration, figure, quantity, seconds, seed_name
from harness.report.model import Guarantee, Machine, Report, SeedResult
from harness.report.text_parts import (
    LABEL,
    LINE,
    MESSAGE,
    NAME,
    STYLES,
    checks,
    grid,
    section,
    verdict,
    words,
)

_EVIDENCE = 8
"""Lines of evidence printed for a check that failed."""


def blocks(report: Report, width: int, folder: str | None) -> Iterator[RenderableType]:
    """Yield the report block by block, a blank line before each; `width` is in columns."""
    parts = (
        _verdict(report),
        section("Checks", *_checks(report, width)),
        section("Why", *_why(report)),
        section("Seeds (phases in seconds)", *_seeds(report, width - 2)),
        section("Statistics", *_statistics(report)),
        section("Guarantees of this machine", *_guarantees(report)),
        section("What was judged", _facts(report, folder)),
        section("Next", _next(report)),
    )
    for part in parts:
        if part is not None:
            yield Text("")
            yield part


def _verdict(report: Report) -> RenderableType:
    message = report.verdict_message or reading.VERDICTS[report.verdict]
    what = " · ".join(
        (
            for_terminal(report.submission.name, NAME),
            f"ruleset {for_terminal(report.ruleset.name, NAME)}",
            f"data {for_terminal(report.data.name, NAME)}",
            count(len(report.seeds), "seed"),
            duration(report.wall_s),
        )
    )
    return Group(verdict(report.verdict, message), Text(what, style="dim", overflow="fold"))


# Checks.


def _checks(report: Report, width: int) -> Iterator[RenderableType]:
    if not report.findings:
        yield Text("none: the run did not get as far as a check")
        return
    pairs = ((found, reading.is_required(report, found.id)) for found in report.findings)
    yield from checks(pairs, width)


def _why(report: Report) -> Iterator[RenderableType]:
    """Yield, for each check that decides, the whole message and the head of its evidence.

    Those that are red; where none is, those that were not run.
    """
    red = [f for f in report.findings if f.status in (Status.FAIL, Status.ERROR)]
    missing = [f for f in report.findings if f.status is Status.NOT_RUN]
    for found in red or missing:
        name = Text(f"{found.status} ", style=f"bold {STYLES[found.status]}")
        name.append_text(words(found.id, LABEL, "bold"))
        yield name
        yield Padding(words(found.message, MESSAGE), (0, 0, 0, 2))
        power = {"power": found.power} if found.power else {}
        evidence = {**reading.evidence_of(report, found), **power}
        lines = list(flat(outline(evidence, most=4 if len(evidence) < 9 else 8)))
        table = grid(2)
        for path, value in lines[:_EVIDENCE]:
            table.add_row(words(path, LABEL, "dim"), words(value, LINE))
        if len(lines) > _EVIDENCE:
            table.add_row("", Text("... the rest is in report.json", style="dim"))
        if lines:
            yield Padding(table, (0, 0, 0, 4))


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
    table = grid(2)
    for seed, *cells in rows[1:]:
        named = (f"{name} {cell}" for name, cell in zip(rows[0][1:], cells, strict=True))
        table.add_row(Text(seed, style="dim"), Text(", ".join(named), overflow="fold"))
    return table


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
                yield words(line, MESSAGE, STYLES[Status.FAIL])


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
        name = for_terminal(report.baseline.name, NAME)
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
    table = grid(2)
    for label, value in rows:
        table.add_row(Text(label, style="dim"), Text(value, overflow="fold"))
    yield table


def _between(interval: reading.Interval | None) -> str:
    if interval is None:
        return ""
    return f" (95%: {' to '.join(figure(end, 'nats/token') for end in interval)})"


# What it ran on, what it was, and what to do about it.


def _guarantees(report: Report) -> Iterator[RenderableType]:
    table = grid(2)
    for state in ("enforced", "watched", "best effort", "not enforced"):
        names = ", ".join(_guarantee(g) for g in report.guarantees if g.state == state)
        if names:
            table.add_row(Text(state, style="dim"), Text(names, overflow="fold"))
    if table.row_count:
        yield table


def _guarantee(guarantee: Guarantee) -> str:
    return for_terminal(guarantee.name, NAME) + (" (required)" if guarantee.required else "")


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
    table = grid(2)
    for label, value in rows:
        table.add_row(Text(label, style="dim"), words(value, 2 * LINE))
    return table


def _machine(machine: Machine) -> str:
    gpus = [f"{n} x {name}" if n > 1 else name for name, n in Counter(machine.gpus).items()]
    parts = [machine.cpu or machine.system, count(machine.cores, "core"), *gpus]
    return ", ".join([*parts, f"Python {machine.python}"])


def _next(report: Report) -> Table:
    table = grid(2, gap=1)
    for step in reading.next_steps(report):
        table.add_row("-", words(step, MESSAGE))
    return table
