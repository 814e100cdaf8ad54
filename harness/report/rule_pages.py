"""The page of each rule, as it stands in docs/rules: what it states, why, how it is measured, what to do."""

from __future__ import annotations

import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

GUARANTEES = {
    "network": "no process of a submission reaches a network",
    "files": "a phase sees its own files and what it was given, nothing else of the machine",
    "processes": "when a phase ends, no process that it started is left",
    "memory": "what a phase takes of the machine's memory is bounded",
    "ipc": "nothing but the artifact passes from one process to a later one",
    "clock": "time is the judge's own, on a clock that no submission can set",
    "channel": "a submission reaches the judge through its channel alone",
    "environment": "what can be imported is what the ruleset allows, and is what it was",
}
"""What a `sandbox.*` finding is about; they have no page each, but one together, docs/sandbox.md."""
VERIFIED = {
    "schema": "report.json can be read",
    "signature": "one of the keys given signed the attestation",
    "statement": "report.json and its evidence are the files that the statement names",
    "evidence": "rules, code, sealed artifacts, nats and answers agree with each other",
    "regrade": "report.json is what its evidence gives",
}
"""What `harness verify` finds; likewise, in docs/attest.md."""

_ID = r"[a-z]+\.[a-z_]+"
_ROW = re.compile(rf"^\| \[({_ID})\]\(\1\.md\) \| (.+?) \|", re.MULTILINE)


def page(check: str) -> str | None:
    """Return the Markdown page of a check, or None where there is none; `check` may be anybody's words."""
    if re.fullmatch(_ID, check) is None:
        return None
    try:
        return (_folder() / f"{check}.md").read_text("utf-8")
    except OSError:
        return None


def pages() -> list[str]:
    """Return the ids that have a page, sorted."""
    names = (entry.name for entry in _folder().iterdir())
    found = (re.fullmatch(rf"({_ID})\.md", name) for name in names)
    return sorted(match[1] for match in found if match)


def explained(check: str) -> str | None:
    """Return the page of a check, or what there is to say of `sandbox.*` and `verify.*`, or None."""
    found = page(check)
    group, _, name = check.partition(".")
    if found is None and group == "sandbox" and name in GUARANTEES:
        return _about_guarantee(name)
    if found is None and group == "verify" and name in VERIFIED:
        return _about_verified(name)
    return found


def statements() -> dict[str, str]:
    """Return what each id states, in a line: checks as docs/rules/README.md orders them, then the rest."""
    try:
        index = (_folder() / "README.md").read_text("utf-8")
    except OSError:
        index = ""
    known = set(pages())
    listed = {row[1]: row[2] for row in _ROW.finditer(index) if row[1] in known}
    others = {check: "" for check in sorted(known - set(listed))}
    held = {f"sandbox.{name}": says for name, says in GUARANTEES.items()}
    return listed | others | held | {f"verify.{name}": says for name, says in VERIFIED.items()}


def _about_guarantee(name: str) -> str:
    return (
        f"# `sandbox.{name}`\n\n"
        f"**States** that {GUARANTEES[name]}.\n\n"
        f"A guarantee of the sandbox, no rule for the submission: this is an ERROR where a ruleset\n"
        f"requires `{name}` and this machine does not enforce it. `harness doctor` says what is held here\n"
        "and how to get what is missing; docs/sandbox.md says what each level holds.\n"
    )


def _about_verified(name: str) -> str:
    return (
        f"# `verify.{name}`\n\n"
        f"**States** that {VERIFIED[name]}.\n\n"
        "A finding of `harness verify`, about a report and not about a submission; docs/attest.md says what\n"
        "each answer means.\n"
    )


def _folder() -> Traversable:
    """Return where the pages are: in the package if it came from a wheel, else in the checkout."""
    shipped = resources.files("harness") / "rules"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "docs" / "rules"
