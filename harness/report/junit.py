"""A result as JUnit XML, as test reporters of CI systems read it: a suite an entry, a case a finding.

Kept to the elements and attributes of the schema of the Jenkins xUnit plugin (junit-10.xsd), which pytest's
own reports keep to as well. A required FAIL is a failure, a required ERROR an error, NOT-RUN and advice that
is not PASS are skipped. Readers of JUnit take "skipped" for green: where a verdict is not PASS and no case is
red, a case named "verdict" is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from xml.etree import ElementTree as ET

from checks.contract import Finding, Status
from harness.report import ranking
from harness.report.escape import visible
from harness.report.figures import quantity, versus
from harness.report.result import Entry, Judgement, Result

_NAME, _MESSAGE, _TEXT = 240, 400, 10_000
"""Characters of a name, of the message in an attribute, and of text."""
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
"""What XML 1.0 cannot hold, not even as a reference."""
_VERDICT, _UNNAMED = "verdict", "unnamed"


def render_junit(result: Result) -> str:
    """Return one XML document for all entries, the worst first; UTF-8, a line feed at the end."""
    suites = [_suite(entry) for entry in ranking.entries(result)]
    if not suites:
        suites = [_verdict_alone(result)]
    root = ET.Element("testsuites", {"name": f"harness {result.command}"})
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    root.extend(suites)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    # A runner of CI that sees the file in a log looks for ##[ in it; a reference says the same.
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.replace("##", "#&#35;")


def _suite(entry: Entry) -> ET.Element:
    cases = [_case(entry, each) for each in ranking.judgements(entry)]
    if entry.verdict is not Status.PASS and not any(map(_is_red, cases)):
        cases.insert(0, _verdict(_one(entry.name) or _UNNAMED, entry.verdict, entry.message))
    suite = _counted(_one(entry.name) or _UNNAMED, cases)
    if entry.facts:
        properties = ET.Element("properties")
        for name, value in entry.facts.items():
            ET.SubElement(properties, "property", {"name": _one(name), "value": _one(value, _TEXT)})
        suite.insert(0, properties)
    said = "\n".join(_beside(entry))
    if said:
        ET.SubElement(suite, "system-out").text = said
    return suite


def _verdict_alone(result: Result) -> ET.Element:
    cases = [_verdict("harness", result.verdict, result.message)]
    return _counted(f"harness {result.command}", cases if result.verdict is not Status.PASS else [])


def _counted(name: str, cases: Sequence[ET.Element]) -> ET.Element:
    suite = ET.Element("testsuite", {"name": name})
    suite.set("tests", str(len(cases)))
    for attribute, element in (
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        suite.set(attribute, str(sum(case.find(element) is not None for case in cases)))
    suite.extend(cases)
    return suite


def _case(entry: Entry, judgement: Judgement) -> ET.Element:
    found = judgement.finding
    names = {
        "classname": _one(entry.name) or _UNNAMED,
        "name": _one(found.id) or _UNNAMED,
    }
    case = ET.Element("testcase", names)
    took = _seconds(found)
    if took is not None:
        case.set("time", took)
    if found.status is Status.PASS:
        return case
    red = {Status.FAIL: "failure", Status.ERROR: "error"}.get(found.status)
    if red is None or not judgement.required:
        advisory = "" if judgement.required else f"advisory, {found.status}: "
        message = f"{advisory}{found.message}"
        ET.SubElement(case, "skipped", {"message": _one(message, _MESSAGE)})
        return case
    outcome = ET.SubElement(case, red, {"message": _one(found.message, _MESSAGE)})
    outcome.set("type", str(found.status))
    outcome.text = "\n".join(_detail(judgement))
    return case


def _verdict(name: str, verdict: Status, message: str) -> ET.Element:
    case = ET.Element("testcase", {"classname": name, "name": _VERDICT})
    red = "failure" if verdict is Status.FAIL else "error"
    ET.SubElement(case, red, {"message": _one(message, _MESSAGE), "type": str(verdict)})
    return case


def _is_red(case: ET.Element) -> bool:
    return case.find("failure") is not None or case.find("error") is not None


def _seconds(found: Finding) -> str | None:
    """Return what a check of a phase's time measured; no other check has a time of its own."""
    if found.measured is None or found.unit != "s" or not found.id.startswith("time."):
        return None
    return f"{found.measured:.3f}" if 0 <= found.measured < 1e9 else None


def _detail(judgement: Judgement) -> Iterator[str]:
    found = judgement.finding
    yield _one(found.message, _TEXT)
    if found.limit is not None:
        yield f"measured / limit: {_one(versus(found.measured, found.limit, found.unit))}"
    elif found.measured is not None:
        yield f"measured: {_one(quantity(found.measured, found.unit))}"
    place = ranking.where(judgement.place)
    if place:
        yield f"place: {_one(place)}"


def _beside(entry: Entry) -> Iterable[str]:
    """Yield a line for each note and for each thing that was not checked."""
    for note in entry.notes:
        place = ranking.where(note.place)
        yield _one(f"note {note.id}{f' {place}' if place else ''}: {note.message}", _TEXT)
    for each in entry.not_checked:
        does = f"; checked by: {each.command}" if each.command else ""
        yield _one(f"not checked: {each.what}: {each.why}{does}", _TEXT)


def _one(text: str, limit: int = _NAME) -> str:
    """Return one line of characters that XML can hold, what it cannot as an escape."""
    return _FORBIDDEN.sub(lambda match: f"\\u{ord(match.group()):04x}", visible(text, limit))
