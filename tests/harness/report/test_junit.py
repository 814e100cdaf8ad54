"""JUnit XML, read back by two readers and held to the schema of the Jenkins xUnit plugin."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from junitparser import Error, Failure, JUnitXml, Skipped
from msgspec.structs import replace

from checks.contract import Finding, Status
from harness.report.junit import render_junit
from harness.report.result import Judgement, Result
from tests.harness.report import sample_results

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).parent / "junit-10.xsd"))


def suites_of(result: Result) -> list[ET.Element]:
    return list(ET.fromstring(render_junit(result).encode()))


@pytest.mark.parametrize("make", sample_results.ALL)
def test_it_is_valid(make) -> None:
    SCHEMA.validate(io.StringIO(render_junit(make())))


def test_the_schema_refuses_what_is_none() -> None:
    broken = render_junit(sample_results.gate()).replace("<testcase ", "<testcase colour='red' ", 1)
    assert not SCHEMA.is_valid(io.StringIO(broken))


@pytest.mark.parametrize("make", sample_results.GOLDEN)
def test_a_common_reader_reads_it(make) -> None:
    result = make()
    read = JUnitXml.fromstring(render_junit(result).encode())
    found = Counter[type | None]()
    for suite in read:
        own = Counter(type(case.result[0]) if case.result else None for case in suite)
        assert (suite.tests, suite.failures) == (own.total(), own[Failure])
        assert (suite.errors, suite.skipped) == (own[Error], own[Skipped])
        found += own
    assert (read.tests, read.failures, read.errors) == (found.total(), found[Failure], found[Error])
    wanted = Counter(
        {Status.FAIL: Failure, Status.ERROR: Error, Status.NOT_RUN: Skipped}.get(
            each.finding.status
        )
        if each.required or each.finding.status is Status.PASS
        else Skipped
        for entry in result.entries
        for each in entry.judgements
    )
    open_ = sum(entry.verdict is Status.NOT_RUN for entry in result.entries)
    assert found == wanted + Counter({Error: open_})


def test_what_is_undecided_is_red() -> None:
    (suite,) = suites_of(sample_results.audit())
    case = next(case for case in suite.iter("testcase") if case.get("name") == "verdict")
    error = case.find("error")
    assert error is not None
    assert (error.get("type"), error.get("message")) == ("NOT-RUN", "undecided: claims.code")


def test_advice_is_not_red() -> None:
    advice = Judgement(
        finding=Finding(id="repro.score", status=Status.FAIL, message="2 blocks differ"),
        required=False,
    )
    held = Judgement(finding=Finding(id="a.b", status=Status.PASS, message="holds"), required=True)
    (suite,) = suites_of(
        sample_results.result("check", sample_results.entry("submission", "s", advice, held))
    )
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "1")
    skipped = suite.find("testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "advisory, FAIL: 2 blocks differ"


def test_what_stands_where() -> None:
    suite = suites_of(sample_results.gate())[0]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert (failure.text or "").split("\n") == [
        "position 31: the row sums to 1.0213",
        "measured / limit: 0.0213 / 0.001",
        "place: submissions/tilted-transformer/score.py:48",
    ]
    times = {case.get("name"): case.get("time") for case in suite.iter("testcase")}
    assert times["time.setup"] == "1.200"
    assert times["norm.sum"] is None
    said = (suite.findtext("system-out") or "").split("\n")
    assert [line.split(" ")[0] for line in said] == ["note", "note", "not"]
    assert said[2].endswith(
        "checked by: harness run submissions/tilted-transformer --ruleset parameter-golf"
    )
    assert {p.get("name") for p in suite.iter("property")} == {"scripts", "author"}


@pytest.mark.parametrize("text", sample_results.HOSTILE)
def test_words_are_read_as_they_are_shown(text: str) -> None:
    entry = replace(sample_results.gate().entries[1], name=text)
    suite = suites_of(sample_results.result("check", entry))[0]
    name = suite.get("name") or ""
    assert name.isprintable()
    assert name[:5] == text[:5] or not text[:5].isprintable() or "\u0301" in text
