"""One pull request, judged: what it adds is taken out of git, tried and audited, by the rules of its base.

Submissions are tried as `harness check` does, in the sandbox and without training; records are audited as
`harness audit` does, without running anything. What cannot be decided here is said, with the command that
decides it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from checks.contract import Finding, Status
from harness import __version__
from harness.audit.as_result import entry_of_record
from harness.audit.survey import audit_folder
from harness.clock import utc_now
from harness.errors import HarnessError, JudgeError, UsageError
from harness.gate.repository import Repository
from harness.gate.scope import Scope, Unit, scope_of
from harness.gate.settings import Rules, rules_of
from harness.report.model import ruleset_facts
from harness.report.result import (
    EXIT_CODES,
    Commits,
    Entry,
    Judgement,
    Place,
    Result,
    conclude,
    over,
)
from harness.seal import digest_of

JUDGED = "gate.judged"
Check = Callable[[Path, str, Rules], Entry]
"""Tries one submission: (its folder, its name, the rules of the base) -> its entry, without a digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked: which commits, and where they are."""

    repository: Repository
    commits: Commits
    rules: Rules
    scope: Scope


def request(folder: Path, base: str, head: str) -> Request:
    """Look up a pull request.

    Raises UsageError for commits that are not there, RulesetError for rules of the base that cannot be used.
    """
    repository = Repository(folder)
    commits = Commits(
        base=repository.commit(base, "--base"),
        head=repository.commit(head, "--head"),
        merge_base="",
    )
    merge_base = repository.merge_base(commits.base, commits.head)
    commits = msgspec.structs.replace(commits, merge_base=merge_base)
    rules = rules_of(repository, commits.base)
    scope = scope_of(
        repository,
        rules.settings,
        base=commits.base,
        merge_base=commits.merge_base,
        head=commits.head,
    )
    return Request(repository=repository, commits=commits, rules=rules, scope=scope)


def judge(asked: Request, check: Check) -> Result:
    """Return everything that can be said of a pull request.

    Raises UsageError where it adds nothing to judge and changes nothing that it may not.
    """
    refuse_empty(asked)
    entries = [scope_entry(asked)]
    for unit in asked.scope.units:
        with tempfile.TemporaryDirectory(prefix="harness-gate-") as place:
            entries.append(_unit(asked, unit, Path(place), check))
    return result_of(asked, entries)


def refuse_empty(asked: Request) -> None:
    """Raise UsageError where a pull request adds nothing to judge and changes nothing that it may not."""
    if asked.scope.empty:
        allowed = ", ".join(f"{folder}/" for folder in asked.rules.settings.folders)
        raise UsageError(
            f"{asked.commits.head[:12]} adds no submission and no record below {allowed} to "
            f"{asked.commits.base[:12]}; add a folder with a submission.toml or a submission.json"
        )


def result_of(asked: Request, entries: Sequence[Entry]) -> Result:
    """Return the result of a pull request from the entries on it."""
    verdict, message = over(entries)
    if verdict is Status.PASS and any(entry.kind == "submission" for entry in entries):
        message += "; training, its time and the margin are still to be run"
    rules = asked.rules.ruleset
    return Result(
        harness_version=__version__,
        command="gate",
        created_utc=utc_now(),
        verdict=verdict,
        message=message,
        exit_code=EXIT_CODES[verdict],
        ruleset=ruleset_facts(rules.ruleset, rules.sha256),
        commits=asked.commits,
        entries=tuple(entries),
    )


def scope_entry(asked: Request, *more: Finding) -> Entry:
    """Return the entry on the pull request itself: where it reaches, how large it is, and `more`."""
    judgements = tuple(
        Judgement(finding=finding, required=True) for finding in (*asked.scope.findings, *more)
    )
    verdict, message = conclude(judgements)
    return Entry(
        kind="pull request",
        name=f"{asked.commits.base[:12]}...{asked.commits.head[:12]}",
        verdict=verdict,
        message=message,
        judgements=judgements,
    )


def export(asked: Request, unit: Unit, place: Path) -> Path:
    """Write an added folder's files below PLACE, as regular files; return the folder.

    Raises JudgeError where that is not possible here.
    """
    folder = place / Path(unit.name).name
    skipped = len(unit.path) + 1
    files = [(file.blob, folder / file.path[skipped:].decode()) for file in unit.files]
    try:
        asked.repository.export(files)
    except OSError as error:
        raise JudgeError(f"{unit.name}: {error.strerror}; it cannot be written here") from None
    return folder


def _unit(asked: Request, unit: Unit, place: Path, check: Check) -> Entry:
    try:
        folder = export(asked, unit, place)
        digest = digest_of(folder)
        if unit.kind == "submission":
            entry = _below(check(folder, unit.name, asked.rules), unit.name)
        else:
            audited = audit_folder(folder, unit.name, asked.rules.contest)
            entry = _weighed(entry_of_record(audited, unit.name), asked.rules)
    except Exception as error:
        # Whatever one folder does to the judge, the others are judged, and it has not passed.
        said = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
        return failed(unit, said)
    return msgspec.structs.replace(entry, name=unit.name, digest=digest)


def _below(entry: Entry, name: str) -> Entry:
    """Return an entry whose places, those of a folder, are those of the repository."""

    def moved(place: Place | None) -> Place | None:
        return place and msgspec.structs.replace(place, file=f"{name}/{place.file}")

    return msgspec.structs.replace(
        entry,
        judgements=tuple(
            msgspec.structs.replace(each, place=moved(each.place)) for each in entry.judgements
        ),
        notes=tuple(msgspec.structs.replace(each, place=moved(each.place)) for each in entry.notes),
    )


def _weighed(entry: Entry, rules: Rules) -> Entry:
    """Return a record's entry with the base's word on what must be PASS; a FAIL breaks in any case."""
    required = rules.settings.records_required
    judgements = tuple(
        msgspec.structs.replace(
            each,
            required=each.finding.id in required
            or each.finding.status in (Status.FAIL, Status.ERROR),
        )
        for each in entry.judgements
    )
    verdict, message = conclude(judgements)
    return msgspec.structs.replace(entry, judgements=judgements, verdict=verdict, message=message)


def failed(unit: Unit, reason: str) -> Entry:
    """Return the entry of a folder that the judge failed on: an ERROR, which is no word against it."""
    finding = Finding(id=JUDGED, status=Status.ERROR, message=f"the judge failed: {reason}"[:1000])
    judgements = (Judgement(finding=finding, required=True),)
    verdict, message = conclude(judgements)
    return Entry(
        kind=unit.kind, name=unit.name, verdict=verdict, message=message, judgements=judgements
    )
