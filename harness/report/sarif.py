"""A result as SARIF 2.1.0 (OASIS), for code scanning: what does not hold, what is open, and the notes.

FAIL is of kind "fail", level "error", or "warning" where it is advice; ERROR and NOT-RUN are "open", whose
level the standard fixes at "none" (3.27.10), and what is required of them is a notification of the tool, too;
a note is of level "note". What is PASS is of kind "pass" and left out unless asked for: GitHub looks at no
kind and shows each as an alert (microsoft/PSRule, issue 955).

Text may not link or ask for an argument: "](" and "{0}" are broken by an escape, as control characters are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from checks.contract import Status
from harness.report import ranking, rule_pages
from harness.report.escape import visible
from harness.report.plain_json import for_log
from harness.report.result import Entry, Judgement, Note, Place, Result

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "%SRCROOT%"
FINGERPRINT = "harnessFinding/v1"

_ID, _TEXT = 200, 10_000
"""Characters of a name and of a message."""
_ACTIVE = re.compile(r"(?<=\])\(|\{(?=\d+\})")
_STATES = re.compile(r"\*\*(?:States|Points at)\.\*\*\s+(.+?)(?:\n\s*\n|\Z)", re.DOTALL)
_LINK = re.compile(r"\[([^\]\n]*)\]\((?!https?:)[^)\n]*\)")
_LEVELS = {Status.FAIL: "error", Status.ERROR: "error", Status.NOT_RUN: "warning"}

Json = dict[str, Any]


def render_sarif(result: Result, *, passed: bool = False) -> str:
    """Return a SARIF log of one run as JSON, a line feed at the end.

    With `passed`, what is PASS and advice that was not run is in it as well.
    """
    entries = ranking.entries(result)
    found = list(_results(entries, passed=passed))
    rules = {check: index for index, check in enumerate(dict.fromkeys(r["ruleId"] for r in found))}
    for each in found:
        each["ruleIndex"] = rules[each["ruleId"]]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(result, rules)},
                "automationDetails": {"id": f"harness/{result.command}/"},
                "invocations": [_invocation(result, entries)],
                "originalUriBaseIds": {ROOT: {"description": {"text": "The repository's root."}}},
                "columnKind": "unicodeCodePoints",
                "results": found,
                "properties": _properties(result, entries),
            }
        ],
    }
    return for_log(msgspec.json.format(msgspec.json.encode(log), indent=2).decode()) + "\n"


# Rules.


def _driver(result: Result, rules: Iterable[str]) -> Json:
    return {
        "name": "harness",
        "version": _text(result.harness_version, _ID),
        "rules": [_rule(check) for check in rules],
    }


def _rule(check: str) -> Json:
    page = rule_pages.page(check)
    if page is None:
        none = {"text": f"{check}, which has no page of its own."}
        return {"id": check, "shortDescription": none, "fullDescription": none, "help": none}
    states = _STATES.search(page)
    said = " ".join(states[1].split()) if states else check
    # Links between the pages lead nowhere from where this is shown.
    plain = _LINK.sub(r"\1", page)
    return {
        "id": check,
        "shortDescription": {"text": said.partition(". ")[0].removesuffix(".") + "."},
        "fullDescription": {"text": said},
        "help": {"text": plain, "markdown": plain},
    }


# Results.


def _results(entries: Iterable[Entry], *, passed: bool) -> Iterator[Json]:
    seen: Counter[tuple[str, ...]] = Counter()
    for entry in entries:
        for each in ranking.judgements(entry):
            if passed or _matters(each):
                yield _result(entry, each, seen)
        for note in entry.notes:
            yield _note(entry, note, seen)


def _matters(judgement: Judgement) -> bool:
    status = judgement.finding.status
    return status in (Status.FAIL, Status.ERROR) or (
        status is Status.NOT_RUN and judgement.required
    )


def _result(entry: Entry, judgement: Judgement, seen: Counter[tuple[str, ...]]) -> Json:
    found = judgement.finding
    kinds = {Status.PASS: "pass", Status.FAIL: "fail"}
    level = (
        ("error" if judgement.required else "warning") if found.status is Status.FAIL else "none"
    )
    properties: Json = {"status": str(found.status), "required": judgement.required}
    for name in ("measured", "limit"):
        if getattr(found, name) is not None:
            properties[name] = getattr(found, name)
    if found.unit:
        properties["unit"] = _text(found.unit, _ID)
    return {
        **_common(entry, found.id, found.message, judgement.place, seen),
        "kind": kinds.get(found.status, "open"),
        "level": level,
        "properties": properties,
    }


def _note(entry: Entry, note: Note, seen: Counter[tuple[str, ...]]) -> Json:
    return {**_common(entry, note.id, note.message, note.place, seen), "level": "note"}


def _common(
    entry: Entry, check: str, message: str, place: Place | None, seen: Counter[tuple[str, ...]]
) -> Json:
    name = _text(check, _ID) or "unnamed"
    key = (name, entry.kind, entry.name, place.file if place else "")
    seen[key] += 1
    return {
        "ruleId": name,
        "message": {"text": _text(message) or name},
        "locations": [_location(entry, place)],
        "partialFingerprints": {FINGERPRINT: _fingerprint(*key, str(seen[key]))},
    }


def _fingerprint(*parts: str) -> str:
    """Return a digest of what stays when lines and figures move: check, entry, file and count."""
    text = json.dumps(parts)
    return hashlib.sha256(text.encode()).hexdigest()


def _location(entry: Entry, place: Place | None) -> Json:
    """Return where something stands; without a place, the folder that was judged, where it is a path."""
    logical = {"name": _text(entry.name, _ID) or entry.kind, "kind": "module"}
    location: Json = {"logicalLocations": [logical]}
    file = place.file if place else "" if entry.kind in ("run", "pull request") else entry.name
    uri = _uri(file)
    if uri:
        physical: Json = {"artifactLocation": {"uri": uri, "uriBaseId": ROOT}}
        if place is not None and place.line is not None and 0 < place.line < 2**31:
            physical["region"] = {"startLine": place.line}
        location["physicalLocation"] = physical
    return location


def _uri(file: str) -> str:
    """Return a relative path as a URI reference; "" for what leads out of the root, or nowhere."""
    parts = file.split("/")
    if not file or file.startswith("/") or ".." in parts:
        return ""
    try:
        raw = file.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = file.encode("utf-8", "backslashreplace")
    return quote(raw, safe="/")


# The run.


def _invocation(result: Result, entries: Iterable[Entry]) -> Json:
    errors = any(
        entry.verdict is Status.ERROR
        or any(each.required and each.finding.status is Status.ERROR for each in entry.judgements)
        for entry in entries
    )
    invocation: Json = {
        "executionSuccessful": not errors and result.verdict is not Status.ERROR,
        "toolExecutionNotifications": list(_notifications(result, entries)),
    }
    if 0 <= result.exit_code < 256:
        invocation["exitCode"] = result.exit_code
    return invocation


def _notifications(result: Result, entries: Iterable[Entry]) -> Iterator[Json]:
    """Yield what is undecided, which no result can say loudly, and what was not looked at."""
    if result.verdict in (Status.ERROR, Status.NOT_RUN):
        yield _notification(_LEVELS[result.verdict], f"{result.verdict}: {result.message}")
    for entry in entries:
        if ranking.unexplained(entry):
            text = f"{entry.name}: {entry.verdict}: {entry.message}"
            yield _notification(_LEVELS[entry.verdict], text)
        for each in ranking.judgements(entry):
            found = each.finding
            if each.required and found.status in (Status.ERROR, Status.NOT_RUN):
                text = f"{entry.name}: {found.id}: {found.message}"
                yield _notification(_LEVELS[found.status], text)
        for left in entry.not_checked:
            text = f"{entry.name}: not checked: {left.what}: {left.why}; {left.command}"
            yield _notification("note", text)


def _notification(level: str, text: str) -> Json:
    return {"level": level, "message": {"text": _text(text)}}


def _properties(result: Result, entries: Iterable[Entry]) -> Json:
    properties: Json = {
        "verdict": str(result.verdict),
        "message": _text(result.message),
        "created_utc": _text(result.created_utc, _ID),
        "entries": [
            {
                "kind": entry.kind,
                "name": _text(entry.name, _ID),
                "verdict": str(entry.verdict),
                "facts": {_text(name, _ID): _text(value) for name, value in entry.facts.items()},
            }
            for entry in entries
        ],
    }
    if result.ruleset is not None:
        rules = result.ruleset
        properties["ruleset"] = {
            name: _text(getattr(rules, name), _ID) for name in ("name", "version", "sha256")
        }
    if result.commits is not None:
        commits = result.commits
        properties["commits"] = {
            name: _text(getattr(commits, name), _ID) for name in ("base", "merge_base", "head")
        }
    return properties


def _text(text: str, limit: int = _TEXT) -> str:
    escape = {"(": r"\x28", "{": r"\x7b"}
    return _ACTIVE.sub(lambda match: escape[match.group()], visible(text, limit))
