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
    """Return the page of a check, or what there is to say of a guarantee (`sandbox.*`), or None."""
    found = page(check)
    if found is not None or not check.startswith("sandbox."):
        return found
    states = GUARANTEES.get(check.removeprefix("sandbox."))
    return None if states is None else _about_guarantee(check, states)


def statements() -> dict[str, str]:
    """Return what each id states, in a line: checks as docs/rules/README.md orders them, then guarantees."""
    try:
        index = (_folder() / "README.md").read_text("utf-8")
    except OSError:
        index = ""
    known = set(pages())
    listed = {row[1]: row[2] for row in _ROW.finditer(index) if row[1] in known}
    others = {check: "" for check in sorted(known - set(listed))}
    return listed | others | {f"sandbox.{name}": says for name, says in GUARANTEES.items()}


def _about_guarantee(check: str, states: str) -> str:
    name = check.removeprefix("sandbox.")
    return (
        f"# `{check}`\n\n"
        f"**States.** {states[:1].upper()}{states[1:]}.\n\n"
        f"A guarantee of the sandbox, not a rule for the submission: `{check}` is an ERROR where a ruleset\n"
        f"requires `{name}` and this machine does not enforce it. `harness doctor` says what is held here\n"
        "and how to get what is missing; docs/sandbox.md says what each level holds.\n"
    )


def _folder() -> Traversable:
    """Return where the pages are: in the package if it came from a wheel, else in the checkout."""
    shipped = resources.files("harness") / "rules"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "docs" / "rules"
