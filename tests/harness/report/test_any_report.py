"""Whatever a report holds, every renderer answers, and nothing of it acts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from harness.report.html_page import render_html
from harness.report.model import Report
from harness.report.text import render_text
from tests.harness.report import samples
from tests.harness.report.pages import inspected
from tests.harness.report.strategies import reports

quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)


@quick
@given(reports, st.sampled_from((40, 61, 84, 100, 160)))
def test_text_of_any_report_is_tame(report: Report, width: int) -> None:
    _assert_tame(render_text(report, width=width), width)


@pytest.mark.parametrize("make", samples.ALL)
@pytest.mark.parametrize("width", [40, 72, 83, 84, 100, 200])
def test_text_of_the_samples_is_tame(make, width: int) -> None:
    _assert_tame(render_text(make(), width=width), width)


def _assert_tame(text: str, width: int) -> None:
    text.encode("utf-8")
    for line in text.splitlines():
        assert cell_len(line) <= width, line
        # What a CI runner would take for a command: at the start of a line, or ##[ anywhere in it.
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "##vso" not in line
    acting = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert acting <= {"\n"}
    assert text.endswith("\n")
    assert not text.startswith("\n")


@quick
@given(reports)
def test_html_of_any_report_is_tame(report: Report) -> None:
    page = inspected(render_html(report))
    assert not page.faults, page.faults[:5]
