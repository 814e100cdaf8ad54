"""What a report must look like for a cheat to count as caught, and for a twin to count as passed.

Caught means: by the checks that should catch it, by no other, each saying what it should say. A cheat that
the wrong check fails has escaped the right one, and somebody honest may be accused by the wrong one next.

Pure: reports in, complaints out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from checks.contract import Finding, Status
from harness.report.model import Report
from harness.selftest.corpus import Expected

WORDS = 300
"""Characters that a complaint quotes of one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """The required findings of a report by what they conclude."""

    failed: dict[str, Finding]
    unsettled: dict[str, Finding]
    """ERROR or NOT-RUN."""


def required(report: Report) -> Required:
    """Return the findings that the ruleset requires and that are not PASS, in order."""
    found = [finding for finding in report.findings if finding.id in report.required]
    return Required(
        failed={f.id: f for f in found if f.status is Status.FAIL},
        unsettled={f.id: f for f in found if f.status in (Status.ERROR, Status.NOT_RUN)},
    )


def cheat_complaints(expected: Expected, report: Report) -> list[str]:
    """Return one sentence for each way in which a cheat's report is not as expected; [] means caught."""
    found = required(report)
    failed = set(found.failed)
    one_of, also = set(expected.one_of), set(expected.also)
    wanted = set(expected.caught_by or ())
    complaints = [f"{check} did not FAIL" for check in sorted(wanted - failed)]
    if one_of and not failed & one_of:
        complaints.append(f"none of {', '.join(sorted(one_of))} FAILed")
    if len(failed & one_of) > 1:
        complaints.append(f"{', '.join(sorted(failed & one_of))} FAILed, where one should")
    complaints += [
        f"{check} FAILed, which should not: {_said(found.failed[check])}"
        for check in sorted(failed - wanted - one_of - also)
    ]
    complaints += [
        f"{check} is {finding.status}, which should not be: {_said(finding)}"
        for check, finding in found.unsettled.items()
        if check not in expected.consequences
    ]
    complaints += [
        f"{check} does not say {expected.messages[check]!r} but {_said(finding)}"
        for check, finding in found.failed.items()
        if check in expected.messages
        and not re.search(expected.messages[check], f"{finding.status} {finding.message}")
    ]
    if (report.verdict, report.exit_code) != (Status.FAIL, 1):
        complaints.append(f"the verdict is {report.verdict}, exit code {report.exit_code}")
    return complaints


def twin_complaints(report: Report, tokens: int) -> list[str]:
    """Return one sentence for each way in which an honest report is no PASS over `tokens` tokens."""
    found = required(report)
    complaints = [
        f"{check} is {finding.status}: {_said(finding)}"
        for check, finding in {**found.failed, **found.unsettled}.items()
    ]
    if (report.verdict, report.exit_code) != (Status.PASS, 0):
        complaints.append(f"the verdict is {report.verdict}, exit code {report.exit_code}")
    complaints += [
        f"seed {seed.seed} was credited with {seed.tokens} of {tokens} tokens"
        for seed in report.seeds
        if seed.tokens != tokens
    ]
    return complaints


def _said(finding: Finding) -> str:
    text = finding.message
    return text if len(text) <= WORDS else f"{text[:WORDS]}…"
