"""A report as one HTML page that needs nothing else: no script, no network, no font, no picture file.

Every word of a submission passes through harness.report.markup, which escapes whatever it did not build
itself; should something slip through all the same, the page's Content-Security-Policy forbids scripts and
any request.

Does not catch: a browser that ignores the policy of a page opened from a disk.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.contract import Status
from harness.report import html_facts, html_worst, reading
from harness.report import html_sections as sections
from harness.report.escape import visible
from harness.report.figures import count, duration, figure, quantity
from harness.report.html_parts import MESSAGE, name, state
from harness.report.markup import Safe, constant, lines, tag
from harness.report.model import Report
from harness.report.page_style import sheet

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render_html(report: Report) -> str:
    """Return the report as a whole HTML document, UTF-8 when written, line feed at the end."""
    document = tag("html", lines((_head(report), _body(report))), lang="en")
    return f"<!doctype html>\n{document}\n"


def _head(report: Report) -> Safe:
    # The title is what a tab shows: verdict first, then whose.
    title = f"{_word(report)}: {visible(report.submission.name, 80)}"
    parts = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="generator", content=f"harness {name(report.harness_version)}"),
        tag("title", title),
        tag("style", constant(sheet())),
    )
    return tag("head", lines(parts))


def _body(report: Report) -> Safe:
    parts = [
        (name_, part)
        for name_, part in (
            (("checks", "Checks"), sections.checks(report)),
            (("next", "Next"), sections.steps(report)),
            (("seeds", "Seeds"), sections.seeds(report)),
            (("time", "Time"), sections.times(report)),
            (("bytes", "Bytes"), sections.artifact(report)),
            (("peeking", "Peeking"), sections.peeking(report)),
            (("worst", "Worst positions"), html_worst.worst(report)),
            (("stream", "Loss"), sections.stream(report)),
            (("guarantees", "Guarantees"), html_facts.guarantees(report)),
            (("judged", "What was judged"), html_facts.judged(report)),
        )
        if part is not None
    ]
    links = [tag("a", text, href=f"#{ident}") for (ident, text), _ in parts]
    whole = (
        tag("a", "Skip to the checks", href="#checks", class_="skip"),
        _header(report, tag("nav", *links, aria_label="Sections", class_="jump")),
        tag("main", lines(part for _, part in parts), class_="wrap"),
        _footer(report),
    )
    return tag("body", lines(whole))


def _word(report: Report) -> str:
    return "UNDECIDED" if report.verdict is Status.NOT_RUN else str(report.verdict)


def _header(report: Report, jump: Safe) -> Safe:
    ruleset = f"{name(report.ruleset.name)} {name(report.ruleset.version)}"
    eyebrow = f"Ruleset {ruleset} · data {name(report.data.name)} · run {name(report.run_id)}"
    message = visible(report.verdict_message, MESSAGE) or reading.VERDICTS[report.verdict]
    return tag(
        "header",
        tag(
            "div",
            tag("p", eyebrow, class_="eyebrow text"),
            tag(
                "h1",
                tag("span", _word(report), class_="word"),
                tag("span", message, class_="meaning text"),
                tag("span", name(report.submission.name), class_="who text"),
            ),
            tag("p", visible(report.submission.summary, MESSAGE), class_="message text"),
            tag("dl", *_keys(report), class_="keys"),
            jump,
            class_="wrap",
        ),
        class_=state(report.verdict),
    )


def _keys(report: Report) -> Iterator[Safe]:
    """Yield the figures that everybody looks for first."""
    facts = reading.comparison(report)
    scored = count(len(facts.seeds), "seed")
    below = (
        f"mean of {scored}" if len(facts.seeds) > 1 else "one seed" if facts.seeds else "no score"
    )
    for term, mean, unit in (
        ("Nats per token", report.nats_per_token_mean, "nats/token"),
        ("Bits per byte", report.bits_per_byte_mean, "bits/byte"),
    ):
        yield _key(term, "–" if mean is None else figure(mean, unit), below)
    if facts.improvement_nats is not None:
        over = name(report.baseline.name) if report.baseline else "the baseline"
        yield _key(
            "Improvement", figure(facts.improvement_nats, "nats/token"), f"nats/token over {over}"
        )
    largest, cap = reading.largest_artifact(report), reading.cap_bytes(report)
    size = "–" if largest is None else figure(largest.artifact_bytes)
    yield _key("Artifact bytes", size, f"cap {quantity(cap)}" if cap is not None else "")
    attempts = f"in {count(report.attempts, 'attempt')}"
    yield _key("Time", duration(report.wall_s), attempts if report.attempts != 1 else "in phases")


def _key(term: str, value: str, below: str) -> Safe:
    return tag(
        "div",
        tag("dt", term),
        tag("dd", value, tag("small", below) if below else None, class_="text"),
    )


def _footer(report: Report) -> Safe:
    meaning = reading.EXIT_CODES.get(report.exit_code, "not a code of this judge")
    by = f"harness {name(report.harness_version)}, {visible(report.created_utc, 40)}"
    text = (
        f"Exit code {figure(report.exit_code)}: {meaning}. Written by {by}. report.json, beside this "
        "page, is the record; this page only shows it."
    )
    return tag("footer", tag("div", text, class_="wrap text"))
