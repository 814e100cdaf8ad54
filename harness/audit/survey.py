"""Many folders: read and judged side by side, then held against each other.

Some folders at a time are a piece of work for one process of a pool; what comes back is their finished part
of the result. A reader that fails on a folder is a fault of the judge: that folder is an ERROR, and the
others stand.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import msgspec

from checks.contract import Finding, Status
from checks.published import Headline, Published, Value
from harness import __version__
from harness.audit.contest import Contest
from harness.audit.encoding import audited
from harness.audit.folder import read_folder
from harness.audit.judging import exit_code, judge
from harness.audit.model import Audit, Audited, check_encodable
from harness.audit.scripts import look_at

READ = "audit.read"
TOGETHER = 8
"""Folders of one piece of work; and the number from which a pool pays."""


def survey(
    folders: Sequence[tuple[Path, str]],
    contest: Contest,
    *,
    jobs: int = 0,
    title: str = "",
    done: Callable[[int], None] = lambda count: None,
) -> Audit:
    """Return the audit of (folder, name) pairs, in their order; `done` hears how many are finished.

    `jobs` is the number of processes; 0 takes one a core. `title` is of the pull request, where there is one
    folder alone.
    """
    found: list[Audited] = []
    for part in _parts(folders, contest, jobs or os.cpu_count() or 1, title):
        found += part
        done(len(found))
    found = [_with_copies(folder, others) for folder, others in _copies(found)]
    codes = [exit_code(folder.findings) for folder in found]
    return Audit(
        harness_version=__version__,
        contest=contest.limits.name,
        rulesets=tuple(name for name, _ in contest.margins),
        folders=tuple(found),
        exit_code=1 if 1 in codes else max(codes, default=0),
    )


def _parts(
    folders: Sequence[tuple[Path, str]], contest: Contest, jobs: int, title: str
) -> Iterator[list[Audited]]:
    pieces = [folders[i : i + TOGETHER] for i in range(0, len(folders), TOGETHER)]
    if jobs == 1 or len(pieces) < 2:
        for piece in pieces:
            yield audit_piece(piece, contest, title)
        return
    # A fresh interpreter each: nothing of the caller's threads or descriptors goes with it.
    with ProcessPoolExecutor(min(jobs, len(pieces)), get_context("spawn")) as pool:
        yield from pool.map(audit_piece, pieces, [contest] * len(pieces))


def audit_piece(
    folders: Sequence[tuple[Path, str]], contest: Contest, title: str = ""
) -> list[Audited]:
    """Return the audits of a few folders."""
    return [audit_folder(folder, name, contest, title) for folder, name in folders]


def audit_folder(folder: Path, name: str, contest: Contest, title: str = "") -> Audited:
    """Return one folder's audit; a reader or check that raises makes it an ERROR of the judge's."""
    record = _empty(name, "not read")
    try:
        record = read_folder(folder, name)
        if title:
            quoted = Value(title[:500], "the pull request", 0, "title")
            record = replace(record, texts=(quoted, *record.texts))
        notes, unread = look_at(folder, record.scripts)
        record = replace(record, problems=(*record.problems, *unread))
        result = audited(record, judge(record, contest), notes, contest.limits)
        check_encodable(result)
        return result
    except Exception as error:
        # Whatever a folder holds may not end the audit of the others.
        said = f"the judge failed on this folder: {type(error).__name__}: {error}"
        finding = Finding(id=READ, status=Status.ERROR, message=said[:500])
        return audited(_empty(name, said[:500]), (finding,), (), contest.limits)


def _empty(name: str, problem: str) -> Published:
    return Published(
        id=name,
        date=None,
        track=None,
        pull_request=None,
        claims=None,
        logs=(),
        scripts=(),
        artifacts=(),
        headline=Headline(rule="not read", name="", runs=(), reproduces=None),
        problems=(Value(problem, ".", 0),),
    )


def _copies(found: Sequence[Audited]) -> Iterator[tuple[Audited, list[str]]]:
    """Yield each folder with what is said of logs that another folder has too, byte by byte."""
    holders: dict[str, list[tuple[int, str]]] = {}
    for index, folder in enumerate(found):
        for log in folder.logs:
            if log.sha256 and log.final_metrics:
                holders.setdefault(log.sha256, []).append((index, log.log))
    for index, folder in enumerate(found):
        said = []
        for log in folder.logs:
            others = [h for h in holders.get(log.sha256, ()) if h[0] != index] if log.sha256 else []
            if others:
                said.append(f"{log.log} is, byte by byte, {found[others[0][0]].id}: {others[0][1]}")
        yield folder, said


def _with_copies(folder: Audited, said: list[str]) -> Audited:
    """Return a folder whose claims.copies names the other folders that hold a log of its."""
    if not said:
        return folder
    findings = tuple(
        replace(finding, message="; ".join([finding.message, *said[:3]]))
        if finding.id == "claims.copies"
        else finding
        for finding in folder.findings
    )
    return msgspec.structs.replace(folder, findings=findings)
