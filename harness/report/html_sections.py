"""The sections of report.html, each a function of the report: markup, or None where it does not apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from checks.contract import Finding, PhaseTime
from harness.report import chart_budget, chart_score, reading
from harness.report.escape import visible
from harness.report.figures import (
    count,
    duration,
    figure,
    percent,
    quantity,
    seed_name,
    short,
    versus,
)
from harness.report.html_parts import (
    MESSAGE,
    VALUE,
    badge,
    drawing,
    framed,
    mono,
    name,
    outlined,
    power_sentence,
    prose,
    section,
    state,
    table,
)
from harness.report.markup import Child, Safe, join, tag
from harness.report.model import Report, SeedResult

_MOST_SEEDS = 50
"""Seeds listed in a table; report.json has them all."""
_MOST_FILES = 100
_HALF = 360.0
"""Width of a chart that stands beside another, or alone on a phone."""


def steps(report: Report) -> Safe:
    """Return what to do next."""
    items = (tag("li", visible(step, MESSAGE)) for step in reading.next_steps(report))
    return section("next", "What to do next", tag("ul", *items, class_="steps"))


# Checks.


def checks(report: Report) -> Safe:
    """Return a line a check: status, measure, limit, message, power, and its evidence to open."""
    if not report.findings:
        return section("checks", "Checks", tag("p", "None: the run did not get as far as a check."))
    counted = Counter(str(found.status) for found in report.findings)
    summary = ", ".join(f"{n} {status}" for status, n in counted.most_common())
    head = (
        ("Status", None),
        ("Check", None),
        ("Measured / limit", "num"),
        ("What was found", "found"),
    )
    rows = [_check(found, report) for found in report.findings]
    return section(
        "checks",
        "Checks",
        tag("p", f"{summary}.", class_="note"),
        framed(
            tag("caption", "Each check over all seeds", class_="hidden"), head, rows, "checks stack"
        ),
    )


def _check(found: Finding, report: Report) -> Safe:
    power = power_sentence(found)
    body: list[Child] = [tag("p", prose(visible(found.message, MESSAGE)), class_="text")]
    if not reading.is_required(report, found.id):
        body.append(tag("p", "Advisory: the ruleset does not require it.", class_="advisory"))
    if power:
        body.append(tag("p", power, class_="power"))
    body.append(_evidence(found, report))
    return tag(
        "tr",
        tag("td", badge(found.status), role="cell", class_="state"),
        tag("th", name(found.id), scope="row", role="rowheader"),
        tag("td", _measure(found), role="cell", class_="num"),
        tag("td", *body, role="cell", class_="found"),
        role="row",
        class_=state(found.status),
    )


def _measure(found: Finding) -> Child:
    unit = visible(found.unit, 24)
    if found.limit is not None:
        measured, _, limit = versus(found.measured, found.limit, unit).partition(" / ")
        return join((f"{measured} ", tag("span", f"/ {limit}", class_="whole")))
    return "–" if found.measured is None else quantity(found.measured, unit)


def _evidence(found: Finding, report: Report) -> Safe | None:
    pairs = [
        (seed, reading.finding(seed.findings, found.id)) for seed in report.seeds[:_MOST_SEEDS]
    ]
    by_seed = [(seed, here) for seed, here in pairs if here is not None]
    # Where every seed has a finding of its own, that over all seeds only repeats them.
    own = {} if by_seed else found.evidence
    own = {**own, **({"power": found.power} if found.power else {})}
    parts: list[Child] = [outlined(own)] if own else []
    for seed, here in by_seed:
        parts += _evidence_of_seed(here, seed)
    if not parts:
        return None
    summary = tag("summary", "Evidence", tag("span", f" for {name(found.id)}", class_="hidden"))
    return tag("details", summary, tag("div", *parts, class_="evidence"))


def _evidence_of_seed(found: Finding, seed: SeedResult) -> Iterator[Safe]:
    yield tag("h3", f"Seed {seed_name(seed.seed)}: {found.status}")
    yield tag("p", visible(found.message, MESSAGE), class_="text")
    if found.evidence:
        yield outlined(found.evidence)


# Seeds.


def seeds(report: Report) -> Safe:
    """Return the seeds beside baseline and threshold, drawn and as a table, with the statistics."""
    if not report.seeds:
        return section("seeds", "Seeds", tag("p", "No seed was run."))
    heading = "Seeds against the baseline" if report.baseline else "Seeds"
    return section(
        "seeds",
        heading,
        *(tag("p", sentence) for sentence in _statistics(report)),
        drawing(chart_score.seeds, report, "chart-seeds"),
        _seed_table(report),
        _reading_table(report),
    )


def _statistics(report: Report) -> Iterator[str]:
    facts = reading.comparison(report)
    if facts.improvement_nats is not None:
        interval = facts.improvement_interval
        between = (
            f" (95% interval {' to '.join(figure(end, 'nats/token') for end in interval)})"
            if interval
            else ""
        )
        yield f"Improvement: {quantity(facts.improvement_nats, 'nats/token')}{between}."
    elif report.baseline is None:
        yield "There is no baseline, so nothing is compared."
    if facts.seeds_needed is not None:
        yield (
            f"At this mean and deviation, {count(int(facts.seeds_needed), 'seed')} would be needed."
        )


def _seed_table(report: Report) -> Safe:
    headings = (
        ("Seed", False),
        ("Nats/token", True),
        ("Bits/byte", True),
        ("Tokens", True),
        ("Artifact bytes", True),
        ("Questions", True),
        ("Time", True),
    )
    rows = [
        (
            seed_name(seed.seed),
            _or_dash(seed.nats_per_token, "nats/token"),
            _or_dash(seed.bits_per_byte, "bits/byte"),
            figure(seed.tokens),
            _or_dash(seed.artifact_bytes),
            figure(sum(seed.challenges.values())),
            duration(sum(time.wall_s for time in seed.phases)),
        )
        for seed in report.seeds[:_MOST_SEEDS]
    ]
    caption = f"{count(len(report.seeds), 'seed')}{_cut(len(report.seeds), _MOST_SEEDS)}"
    return table(caption, headings, rows, "seeds stack")


def _reading_table(report: Report) -> Safe | None:
    found = reading.readings(report)
    if not found:
        return None
    headings = (("Test", False), ("Null hypothesis", False), ("p", True))
    rows = []
    for row in found:
        null = (
            f"better by no more than {row.margin_nats:g} nats" if row.margin_nats else "no better"
        )
        decides = tag("strong", " (decides)") if row.deciding else None
        p = "undefined" if row.p is None else figure(row.p)
        rows.append((name(row.test), join((null, decides)), p))
    return table("Both tests under both null hypotheses, one-sided", headings, rows, "readings")


def _drawn(report: Report, most: int) -> str:
    """Return a sentence on how many seeds are drawn, where not all of them are."""
    seeds = len(report.seeds)
    return f" The first {most} of {seeds} seeds are drawn." if seeds > most else ""


def _or_dash(value: float | None, unit: str = "") -> str:
    return "–" if value is None else figure(value, unit)


def _cut(total: int, most: int) -> str:
    return f", the first {most} shown" if total > most else ""


# Time and bytes.


def times(report: Report) -> Safe | None:
    """Return the phases of each seed against their budgets."""
    if not any(seed.phases for seed in report.seeds):
        return None
    return section(
        "time",
        "Time",
        tag(
            "p",
            "Each seed's phases on the judge's clock, one after another, and how much of its budget "
            "each took: the shade ends where the budget does."
            f"{_drawn(report, chart_budget.MOST_SEEDS)}",
            class_="note",
        ),
        drawing(chart_budget.phases, report, "chart-time"),
        tag(
            "details",
            tag("summary", "Phases as a table"),
            *(_phase_table(seed) for seed in report.seeds[:_MOST_SEEDS]),
            class_="wide-details",
        ),
    )


def _phase_table(seed: SeedResult) -> Safe:
    headings = (
        ("Phase", False),
        ("Took", True),
        ("Budget", True),
        ("Ended", False),
        ("Largest memory", True),
    )
    rows = [_phase_row(time) for time in seed.phases]
    return table(f"Seed {seed_name(seed.seed)}", headings, rows, "stack")


def _phase_row(time: PhaseTime) -> Sequence[Child]:
    grace = f" + {short(time.grace_s)} s grace" if time.grace_s else ""
    ended = f"{time.outcome}: {time.detail}" if time.detail else str(time.outcome)
    memory = "not measured" if time.peak_rss_mb is None else quantity(time.peak_rss_mb, "MB")
    return (
        name(time.phase),
        quantity(time.wall_s, "s"),
        f"{quantity(time.budget_s, 's')}{grace}",
        visible(ended, VALUE),
        memory,
    )


def artifact(report: Report) -> Safe | None:
    """Return the files of the largest artifact against the cap."""
    seed = reading.largest_artifact(report)
    if seed is None:
        return None
    headings = (("File", False), ("Bytes", True), ("From", False), ("SHA-256", False))
    files = sorted(seed.artifact_files, key=lambda file: (-file.size_bytes, file.path))
    rows = [
        (name(file.path), figure(file.size_bytes), name(file.origin), mono(file.sha256))
        for file in files[:_MOST_FILES]
    ]
    caption = f"{count(len(files), 'file')}{_cut(len(files), _MOST_FILES)}"
    return section(
        "bytes",
        "Bytes",
        tag(
            "p",
            f"Everything that crosses into the scorer, counted by the judge: seed "
            f"{seed_name(seed.seed)}, the largest artifact of this run.",
            class_="note",
        ),
        drawing(chart_budget.artifact, report, "chart-bytes"),
        tag(
            "details",
            tag("summary", "Files as a table"),
            table(caption, headings, rows, "stack"),
            class_="wide-details",
        ),
    )


# Challenges and the stream.


def peeking(report: Report) -> Safe | None:
    """Return blind answers against credited ones, and the bound on the gain."""
    answers = chart_score.scatter(report, "chart-blind", _HALF)
    bounds = chart_score.gain(report, "chart-gain", _HALF)
    figures = [
        tag("figure", tag("figcaption", title), image, tag("p", prose(words), class_="note"))
        for title, image, words in (
            ("Blind answers against credited ones", answers, chart_score.scattered(report)),
            ("Mean gain from peeking, with its bounds", bounds, _bounds(report)),
        )
        if image
    ]
    if not figures:
        return None
    return section(
        "peeking",
        "What peeking could have gained",
        tag(
            "p",
            "A fresh process, which had not been shown the token, was asked for it afterwards: a dot for "
            "each position that was drawn. An honest score lies on the line; one that saw its token lies "
            "above it. The mean height above the line is the gain from peeking.",
            class_="note",
        ),
        tag("div", *figures, class_="pair"),
    )


def _bounds(report: Report) -> str:
    """Return in words how large the gain may be, beside its limit and what is to be won."""
    found = [(seed.seed, reading.gain(seed.findings)) for seed in report.seeds]
    bounds = [(b.upper, seed, b) for seed, b in found if b is not None and b.upper is not None]
    if not bounds:
        return ""
    upper, seed, bound = max(bounds, key=lambda entry: entry[0])
    sure = reading.confidence(report)
    said = [f"at most {quantity(upper, 'nats/token')} (seed {seed_name(seed)}, the largest bound)"]
    if bound.limit is not None:
        said.append(f"the limit is {figure(bound.limit)}")
    margin = reading.margin_nats(report)
    if margin is not None:
        said.append(f"the baseline is to be beaten by {figure(margin)}")
    ends = "its one-sided bounds" if sure is None else f"its one-sided {percent(sure)} bounds"
    more = _drawn(report, chart_score.MOST_ROWS)
    return f"A dot is the mean of a seed, the line through it {ends}: {'; '.join(said)}.{more}"


def stream(report: Report) -> Safe | None:
    """Return the credited loss along the stream."""
    figure_ = drawing(chart_score.curve, report, "chart-curve")
    if figure_ is None:
        return None
    note = (
        "Credited nats per token of each stretch of the stream, in the order in which it was scored."
        f"{_drawn(report, chart_score.MOST_LINES)}"
    )
    return section("stream", "Loss over the stream", tag("p", note, class_="note"), figure_)
