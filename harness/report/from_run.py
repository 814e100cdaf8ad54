"""A run's report as a result: what decides, without its seeds, phases and plots."""

from __future__ import annotations

from collections.abc import Iterator

from checks.contract import Finding, Status
from harness.report import reading
from harness.report.figures import count, duration, figure, quantity, seed_name, versus
from harness.report.model import Report
from harness.report.result import Entry, Judgement, Result


def result_of_run(report: Report) -> Result:
    """Return a run as a result, with the verdict, the message and the exit code of its report."""
    entry = Entry(
        kind="run",
        name=report.submission.name,
        digest=report.submission.digest,
        verdict=report.verdict,
        message=report.verdict_message or reading.VERDICTS[report.verdict],
        judgements=tuple(_judgements(report)),
        facts=dict(_facts(report)),
    )
    return Result(
        harness_version=report.harness_version,
        command="run",
        created_utc=report.created_utc,
        verdict=entry.verdict,
        message=entry.message,
        exit_code=report.exit_code,
        ruleset=report.ruleset,
        entries=(entry,),
    )


def _judgements(report: Report) -> Iterator[Judgement]:
    """Yield every finding, and a NOT-RUN for each check that is required and has none: it decides too."""
    for found in report.findings:
        yield Judgement(finding=found, required=reading.is_required(report, found.id))
    there = {found.id for found in report.findings}
    for check in report.required:
        if check not in there:
            missing = Finding(
                id=check, status=Status.NOT_RUN, message="the run did not get as far as this check"
            )
            yield Judgement(finding=missing, required=True)


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    compared = reading.comparison(report)
    if report.nats_per_token_mean is not None:
        yield "mean", quantity(report.nats_per_token_mean, "nats/token")
    if report.bits_per_byte_mean is not None:
        yield "mean in bits", quantity(report.bits_per_byte_mean, "bits/byte")
    if report.baseline is not None and compared.baseline_mean is not None:
        mean = quantity(compared.baseline_mean, "nats/token")
        yield "baseline", f"{mean} ({report.baseline.name})"
    if compared.improvement_nats is not None:
        yield "improvement", quantity(compared.improvement_nats, "nats/token")
    deciding = next((row for row in reading.readings(report) if row.deciding), None)
    if deciding is not None and deciding.p is not None:
        yield "p-value", f"{figure(deciding.p)} ({deciding.test})"
    yield from _artifact(report)
    yield "seeds", ", ".join(seed_name(seed.seed) for seed in report.seeds) or "none"
    yield "time in phases", duration(report.wall_s)
    yield "data", report.data.name
    held = "; ".join(_guarantees(report))
    if held:
        yield "guarantees", held
    yield "run", f"{report.run_id}, {count(report.attempts, 'attempt')}"


def _artifact(report: Report) -> Iterator[tuple[str, str]]:
    largest, cap = reading.largest_artifact(report), reading.cap_bytes(report)
    if largest is None or largest.artifact_bytes is None:
        return
    text = quantity(largest.artifact_bytes, "bytes")
    yield "artifact", versus(largest.artifact_bytes, cap, "bytes") if cap is not None else text


def _guarantees(report: Report) -> Iterator[str]:
    for state in dict.fromkeys(guarantee.state for guarantee in report.guarantees):
        names = (each.name for each in report.guarantees if each.state == state)
        yield f"{state}: {', '.join(names)}"
