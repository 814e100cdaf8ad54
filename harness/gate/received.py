"""A result that another job left, taken for what it is worth: a claim about one pull request.

The job that judges a pull request may have been changed by it: what it uploads is checked before anybody
relies on it. Which commits, which rules, which folders with which contents, and where the pull request
reaches is worked out here again, from git alone; only the findings on the folders themselves are the other
job's. Since a pull request that reaches a workflow fails `gate.scope` here, the job that made the findings
was the base's.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from checks.contract import Finding, Status
from harness.errors import HarnessError, UsageError
from harness.gate.judge import Request, export, failed, refuse_empty, result_of, scope_entry
from harness.gate.scope import Unit
from harness.gate.settings import rules_of
from harness.report.result import Entry, Result, conclude, decode
from harness.seal import digest_of

RECEIVED = "gate.result"
MAX_BYTES = 8 << 20
MOST_ITEMS = 300
"""Judgements, notes, facts or things not checked of one entry; no honest one has as many."""
NOT_TRIED = ("time.train", "stats.margin")
"""What a ruleset may require and a trial does not look at."""
SESSION = "submission.session"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def receive(asked: Request, file: Path) -> Result:
    """Return the result of a pull request from what another job left at `file`.

    Where nothing arrived, or something that is not about this pull request, it is an ERROR that says so.
    Raises UsageError where the pull request adds nothing to judge and changes nothing that it may not.
    """
    refuse_empty(asked)
    try:
        theirs = _read(file)
    except UsageError as error:
        return _without(asked, str(error))
    problem = _problem(asked, theirs)
    if problem:
        return _without(asked, problem)
    arrived = Finding(
        id=RECEIVED, status=Status.PASS, message="the result is of these commits and rules"
    )
    by_unit = {(e.kind, e.name): e for e in theirs.entries}
    entries = [
        _entry(asked, unit, by_unit.get((unit.kind, unit.name))) for unit in asked.scope.units
    ]
    return result_of(asked, [scope_entry(asked, arrived), *entries])


def _read(file: Path) -> Result:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(
            "no result arrived: the job that judges failed, was stopped, or left none; see its log"
        ) from None
    except OSError as error:
        raise UsageError(f"the result cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"the result has more than {MAX_BYTES:,} bytes; none is that large")
    return decode(data, file.name)


def _problem(asked: Request, theirs: Result) -> str:
    """Return why a result is not about this pull request, or ""."""
    if theirs.command != "gate" or theirs.commits is None:
        return "the result is not of a pull request"
    if not all(map(_COMMIT.fullmatch, msgspec.structs.astuple(theirs.commits))):
        return "the result names commits by something else than their ids"
    if theirs.commits.head != asked.commits.head:
        return (
            f"the result is of {theirs.commits.head[:12]}, not of {asked.commits.head[:12]}; wait for the "
            "newer one"
        )
    if theirs.ruleset is None or theirs.ruleset.sha256 != asked.rules.ruleset.sha256:
        return "the result was worked out by other rules than those of the base"
    if theirs.commits.base != asked.commits.base and not _same_rules(asked, theirs.commits.base):
        return (
            f"the result is by the rules of {theirs.commits.base[:12]}, and those of "
            f"{asked.commits.base[:12]} are others; have it judged again"
        )
    return ""


def _same_rules(asked: Request, base: str) -> bool:
    """Return whether a base of before, which the present one grew from, has all the same rules."""
    try:
        before = asked.repository.commit(base, "the base of the result")
        grown = asked.repository.merge_base(before, asked.commits.base) == before
        return grown and rules_of(asked.repository, before) == asked.rules
    except UsageError:
        return False


def _entry(asked: Request, unit: Unit, theirs: Entry | None) -> Entry:
    if theirs is None:
        return failed(unit, "the result that arrived says nothing of this folder")
    try:
        with tempfile.TemporaryDirectory(prefix="harness-gate-") as place:
            digest = digest_of(export(asked, unit, Path(place)))
    except (HarnessError, OSError) as error:
        return failed(unit, str(error))
    # An entry on which the judge failed has no digest, and does not pass either.
    if theirs.digest != digest and theirs.verdict is Status.PASS:
        return failed(unit, "the result that arrived is of other contents than this folder's")
    problem = _unlike(theirs, asked)
    if problem:
        return failed(unit, f"the result that arrived {problem}")
    verdict, _ = conclude(theirs.judgements)
    if verdict is not theirs.verdict:
        return failed(
            unit, f"the result that arrived says {theirs.verdict}, but its findings {verdict}"
        )
    return _without_evidence(theirs)


def _unlike(entry: Entry, asked: Request) -> str:
    """Return what no entry of this judge's has, or lacks, by these rules, or ""."""
    lists = (entry.judgements, entry.notes, entry.not_checked, entry.facts)
    if max(map(len, lists)) > MOST_ITEMS:
        return f"has more than {MOST_ITEMS} items in a list"
    found = {each.finding.id: each for each in entry.judgements}
    if len(found) != len(entry.judgements):
        return "has two findings of one check"
    if entry.verdict is not Status.PASS:
        return ""
    wanted = set(asked.rules.settings.records_required)
    if entry.kind == "submission":
        wanted = {"submission.manifest", "submission.files", SESSION}
        session = found.get(SESSION)
        if session is None or session.finding.status is Status.PASS:
            required = set(asked.rules.ruleset.ruleset.verdict.required)
            wanted |= required.difference(NOT_TRIED)
    missing = sorted(check for check in wanted if check not in found)
    if missing:
        return f"is a PASS without {', '.join(missing)}"
    free = sorted(c for c in wanted if not found[c].required and c != SESSION)
    return f"does not require {', '.join(free)}" if free else ""


def _without_evidence(entry: Entry) -> Entry:
    """Return an entry without what only its own renderers made small: evidence of any depth."""
    return msgspec.structs.replace(
        entry,
        judgements=tuple(
            msgspec.structs.replace(each, finding=replace(each.finding, evidence={}, power=None))
            for each in entry.judgements
        ),
    )


def _without(asked: Request, reason: str) -> Result:
    missing = Finding(id=RECEIVED, status=Status.ERROR, message=reason[:1000])
    return result_of(asked, [scope_entry(asked, missing)])
