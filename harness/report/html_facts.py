"""The last sections of report.html: what the machine guarantees, and what was judged, with its digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.report import reading
from harness.report.escape import visible
from harness.report.figures import count, quantity
from harness.report.html_parts import MESSAGE, VALUE, mono, name, section, table
from harness.report.markup import Child, Safe, join, tag
from harness.report.model import Machine, Report

_MOST_SEEDS = 50
"""Secrets listed; report.json has them all."""


def guarantees(report: Report) -> Safe | None:
    """Return what the sandbox promises on this machine."""
    if not report.guarantees:
        return None
    headings = (
        ("Guarantee", False),
        ("On this machine", False),
        ("Required", False),
        ("Means", False),
    )
    rows = []
    for held in report.guarantees:
        style = "held" if held.state in reading.HELD else "loose"
        required = "yes" if held.required else "no"
        state_ = tag("span", held.state, class_=style)
        rows.append((name(held.name), state_, required, visible(held.means, VALUE)))
    return section(
        "guarantees",
        "Guarantees of this machine",
        table("What is enforced", headings, rows, "stack"),
    )


def judged(report: Report) -> Safe:
    """Return what was judged, under which rules, on which text and machine, with digests."""
    facts = (
        *_submission(report),
        (
            "Ruleset",
            _with_digest(f"{report.ruleset.title} ({_version(report)})", report.ruleset.sha256),
        ),
        *_data(report),
        ("Baseline", _baseline(report)),
        ("Machine", _machine(report.machine)),
        ("Packages", _packages(report.machine)),
        ("Secrets of the challenges", _secrets(report)),
        ("Run", f"{visible(report.run_id, 80)}, {visible(report.created_utc, 40)}"),
    )
    rows = [cell for term, value in facts for cell in (tag("dt", term), tag("dd", value))]
    return section("judged", "What was judged", tag("dl", *rows, class_="facts"))


def _submission(report: Report) -> Iterator[tuple[str, Child]]:
    facts = report.submission
    authors = ", ".join(visible(author, 80) for author in facts.authors[:20]) or "not named"
    size = f"{count(facts.files, 'file')}, {quantity(facts.size_bytes, 'bytes')}"
    yield "Submission", _with_digest(f"{visible(facts.name, 200)}; {size}", facts.digest)
    yield "Authors", authors
    yield "Summary", visible(facts.summary, MESSAGE) or "none"


def _data(report: Report) -> Iterator[tuple[str, Child]]:
    data = report.data
    whose = "the ruleset's own data" if data.own else "not the data that the ruleset names"
    yield "Data", f"{name(data.name)} (folder {name(data.folder)}): {whose}"
    text = "bytes not counted"
    if data.train_text_bytes is not None:
        text = quantity(data.train_text_bytes, "bytes")
    yield (
        "Train",
        _with_digest(f"{quantity(data.train_tokens, 'tokens')}, {text}", data.train_sha256),
    )
    text = quantity(data.val_text_bytes, "bytes")
    yield (
        "Validation",
        _with_digest(f"{quantity(data.val_tokens, 'tokens')}, {text}", data.val_sha256),
    )
    if data.val_text_sha256:
        yield "Validation text", _with_digest("SHA-256 of the text itself", data.val_text_sha256)
    vocabulary = quantity(data.vocab_size, "tokens")
    yield "Vocabulary", _with_digest(vocabulary, data.tokenizer_sha256 or "no tokenizer at hand")


def _with_digest(text: str, digest: str) -> Safe:
    return join((visible(text, 500), mono(digest)))


def _version(report: Report) -> str:
    return f"{name(report.ruleset.name)}, version {name(report.ruleset.version)}"


def _baseline(report: Report) -> Child:
    base = report.baseline
    if base is None:
        return "none"
    text = f"{name(base.name)}, {visible(base.date, 40)}, {name(base.source)}"
    return _with_digest(text, base.sha256)


def _machine(machine: Machine) -> str:
    gpus = [f"{n} × {name(gpu)}" for gpu, n in Counter(machine.gpus).most_common(16)]
    memory = "memory not measured"
    if machine.memory_gb is not None:
        memory = f"{quantity(machine.memory_gb, 'GB')} memory"
    parts = (
        name(machine.cpu or "processor not known"),
        count(machine.cores, "core"),
        memory,
        *(gpus or ["no GPU"]),
        name(machine.system),
        f"Python {name(machine.python)}",
    )
    return ", ".join(parts)


def _packages(machine: Machine) -> str:
    listed = sorted(machine.packages.items())[:40]
    return ", ".join(f"{visible(k, 60)} {visible(v, 40)}" for k, v in listed) or "none of note"


def _secrets(report: Report) -> Child:
    if not report.challenge_seed:
        return "none drawn"
    shown = list(report.challenge_seed.items())[:_MOST_SEEDS]
    return join(
        tag("span", f"seed {visible(k, 40)}: {visible(v, 80)}", class_="mono") for k, v in shown
    )
