"""Whatever a result holds, every renderer answers, what it says can be read, and nothing in it acts."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from checks.contract import Finding, Status
from harness.report import result as model
from harness.report.annotations import render_annotations
from harness.report.formats import FORMATS, render
from harness.report.result import Judgement, Place, Result
from harness.report.result_markdown import COMMENT_BYTES, SUMMARY_BYTES, comment, summary
from harness.report.sarif import render_sarif
from tests.harness.report import sample_results
from tests.harness.report.strategies import results
from tests.harness.report.test_annotations import parsed
from tests.harness.report.test_formats import assert_tame
from tests.harness.report.test_result_markdown import assert_ours
from tests.harness.report.test_sarif import VALIDATOR

quick = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)


@quick
@given(results, st.sampled_from(FORMATS))
def test_every_format_is_tame(result: Result, style: str) -> None:
    assert_tame(render(result, style), style)


@quick
@given(results)
def test_markdown_is_ours(result: Result) -> None:
    for page in (summary(result), comment(result)):
        assert_ours(page, result)


@quick
@given(results)
def test_annotations_are_read_back(result: Result) -> None:
    text = render_annotations(result)
    assert len(list(parsed(text))) == text.count("\n")


@quick
@given(results, st.booleans())
def test_sarif_is_valid(result: Result, passed: bool) -> None:
    VALIDATOR.validate(json.loads(render_sarif(result, passed=passed)))


@quick
@given(results)
def test_junit_is_xml(result: Result) -> None:
    root = ET.fromstring(render(result, "junit").encode())
    cases = [case for suite in root for case in suite.iter("testcase")]
    assert int(root.get("tests", "")) == len(cases)
    bad = int(root.get("failures", "")) + int(root.get("errors", ""))
    if any(entry.verdict is not Status.PASS for entry in result.entries):
        assert bad > 0


@quick
@given(results)
def test_json_is_read_back(result: Result) -> None:
    text = render(replace(result, schema_version=model.SCHEMA_VERSION), "json")
    json.loads(text)
    model.decode(text.encode(), "it")


@pytest.fixture(scope="module")
def large() -> Result:
    """10,000 findings in one entry and 1,000 entries, some with names of 4 KB."""
    statuses = list(Status)
    name = "deep/" * 800 + "@everyone.py"
    judgements = tuple(
        Judgement(
            finding=Finding(id=f"time.train_{n}", status=statuses[n % 4], message=f"n {n} #{n}"),
            required=n % 3 == 0,
            place=Place(file=name if n % 200 == 0 else f"r{n}/score.py", line=n),
        )
        for n in range(10_000)
    )
    one = sample_results.entry("submission", name, *judgements)
    many = [sample_results.entry("record", f"r{n}", judgements[n]) for n in range(1_000)]
    return sample_results.result("gate", one, *many)


def test_limits_hold_for_ten_thousand_findings(large: Result) -> None:
    for page, limit in ((summary(large), SUMMARY_BYTES), (comment(large), COMMENT_BYTES)):
        assert limit * 0.9 < len(page.encode()) <= limit
        assert "Left out for want of room" in page
        assert page.removeprefix("<!-- harness gate -->\n\n").startswith("## FAIL: ")
    assert render_annotations(large).count("\n") == 20
    assert len(json.loads(render(large, "sarif"))["runs"][0]["results"]) > 5_000
    assert int(ET.fromstring(render(large, "junit").encode()).get("tests", "")) >= 11_000
