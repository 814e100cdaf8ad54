"""gate.scope: a pull request adds folders of its own where it may, and touches nothing else.

What the base holds is not the contestant's: rules, thresholds, baselines, workflows, the results of others. A
path is judged by where it lies and what it is; its contents are not looked at.

Does not catch: a workflow of the base that runs what a pull request holds; see docs/gate.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from checks.contract import Finding, Status

ID = "gate.scope"
_NAMED = 5
"""How many paths a message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trespass:
    """One path that a pull request may not change as it does."""

    path: str
    """Anybody's words; bytes that are not UTF-8 are escaped."""
    problem: str
    """Completes "<path> ..."."""


def check(
    trespasses: Sequence[Trespass], *, added: Sequence[str], folders: Sequence[str]
) -> Finding:
    """Say whether everything that changes lies in folders that are added where that is allowed.

    `added` are the folders that were found to be submissions or records, `folders` those below which they may
    be. With neither a trespass nor an added folder it is NOT-RUN: there is nothing to judge.
    """
    if not trespasses and not added:
        return Finding(
            id=ID,
            status=Status.NOT_RUN,
            message=f"no submission and no record is added below {_listed(folders)}",
            unit="paths",
        )
    if not trespasses:
        noun = "folder is" if len(added) == 1 else "folders are"
        return Finding(
            id=ID,
            status=Status.PASS,
            message=f"{len(added)} {noun} added, and nothing else is changed",
            measured=0,
            limit=0,
            unit="paths",
            evidence={"added": list(added)},
        )
    named = [f"{each.path} {each.problem}" for each in trespasses[:_NAMED]]
    more = f"; and {len(trespasses) - _NAMED:,} more" if len(trespasses) > _NAMED else ""
    return Finding(
        id=ID,
        status=Status.FAIL,
        message="; ".join(named) + more,
        measured=len(trespasses),
        limit=0,
        unit="paths",
        evidence={
            "added": list(added),
            "paths": [{"path": each.path, "problem": each.problem} for each in trespasses[:200]],
        },
    )


def _listed(folders: Sequence[str]) -> str:
    return ", ".join(f"{folder}/" for folder in folders)
