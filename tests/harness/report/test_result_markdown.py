from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.contract import Status
from harness.report import ranking
from harness.report.escape import visible
from harness.report.result import Result
from harness.report.result_markdown import (
    COMMENT_BYTES,
    LEAST_BYTES,
    SUMMARY_BYTES,
    comment,
    summary,
)
from tests.harness.report import sample_results
from tests.harness.report.markdown_reader import Page, read
from tests.harness.report.strategies import results

STRUCTURE = frozenset(
    "heading paragraph table thead tbody tr th td bullet_list list_item strong".split()
)
OWN_HTML = re.compile(
    r"</?span>|</?code>|</?details>|<!-- harness (run|check|audit|gate) -->"
    r"|<details><summary>"
    r"([0-9,]+ checks? PASS|[0-9,]+ notes?: advice to a reviewer, no verdict|Facts)</summary>"
)


def assert_ours(source: str, result: Result) -> Page:
    """Every heading, table, list, element and piece of code is one that the renderer itself puts there."""
    page = read(source)
    kinds = {kind.removesuffix("_open").removesuffix("_close") for kind in page.structure}
    assert kinds <= STRUCTURE | {"code_inline"}
    assert page.structure["code_inline"] == 1
    assert all(OWN_HTML.fullmatch(tag) for tag in page.html), page.html
    assert page.html["<span>"] == page.html["</span>"]
    assert page.html["</details>"] == sum(n for tag, n in page.html.items() if "<summary>" in tag)
    ids = {result.commits.base, result.commits.head} if result.commits else set()
    assert [found for found in page.late if found not in ids | _parted(result)] == []
    said = f"{result.verdict}: {visible(result.message, 400)}"
    assert page.headings[0].strip() == said.strip()
    assert len(page.headings) <= 1 + len(result.entries)
    widths = {len(row) for row in page.rows}
    assert widths <= {2, 3, 5}
    assert page.structure["strong_open"] == page.structure["list_item_open"]
    return page


def _parted(result: Result) -> set[str]:
    return {result.commits.merge_base} if result.commits else set()


@pytest.mark.parametrize("make", sample_results.ALL)
def test_it_is_ours(make) -> None:
    for page in (summary(make()), comment(make())):
        assert_ours(page, make())


@pytest.mark.parametrize("make", sample_results.ALL)
def test_everything_is_there_where_there_is_room(make) -> None:
    result = make()
    page = read(summary(result))
    assert "Left out" not in page.text
    assert len(page.headings) == 1 + len(result.entries)
    for entry, heading in zip(ranking.entries(result), page.headings[1:], strict=True):
        assert heading.startswith(f"{entry.verdict}: {entry.kind} ")
        for each in entry.judgements:
            row = [
                visible(each.finding.id, 80).strip(),
                visible(each.finding.message, 600).strip(),
                visible(ranking.where(each.place)).strip(),
            ]
            assert row in [[cells[1], cells[3], cells[4]] for cells in page.rows if len(cells) == 5]
        for left in entry.not_checked:
            assert visible(left.command, 600).strip() in page.text


def test_the_worst_comes_first() -> None:
    page = read(summary(sample_results.gate()))
    assert [heading.split(":")[0] for heading in page.headings] == [
        "FAIL",
        "FAIL",
        "NOT-RUN",
        "PASS",
    ]
    statuses = [row[0] for row in page.rows if len(row) == 5 and row[0] != "status"]
    assert statuses[:5] == ["FAIL", "ERROR", "FAIL (advisory)", "NOT-RUN (advisory)", "PASS"]


def _shown(source: str) -> list[int]:
    """Return the rank of every finding that is shown, as far as it can be told from outside.

    Reads lines, not Markdown, which takes a second for a large page: nobody's | stands between two spaces.
    """
    ranks = {"FAIL": 1, "ERROR": 1, "NOT-RUN": 2, "PASS": 7}
    rows = [
        line.removeprefix("| ").split(" | ") for line in source.split("\n") if line.startswith("| ")
    ]
    return [ranks.get(row[0], 5) for row in rows if len(row) == 5 and row[0] != "status"]


def _headings(source: str) -> int:
    return sum(line.startswith(("## ", "### ")) for line in source.split("\n"))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(results, st.integers(LEAST_BYTES, 60_000))
def test_any_limit_holds_and_less_room_shows_less(result: Result, limit: int) -> None:
    crowded = sample_results.result("gate", *result.entries, *sample_results.hostile().entries)
    small, large = summary(crowded, limit), summary(crowded, limit + 5_000)
    assert len(small.encode()) <= limit
    assert len(large.encode()) <= limit + 5_000
    assert_ours(small, crowded)
    assert _headings(small) <= _headings(large)
    assert len(_shown(small)) <= len(_shown(large))


def test_what_is_least_important_goes_first() -> None:
    """While a finding that breaks a rule is missing, nothing less important is shown."""
    result = sample_results.hostile()
    broken = sum(
        each.required and each.finding.status in (Status.FAIL, Status.ERROR)
        for entry in result.entries
        for each in entry.judgements
    )
    seen = set()
    for limit in range(LEAST_BYTES, 120_000, 4_000):
        ranks = _shown(summary(result, limit))
        assert ranks.count(1) == broken or set(ranks) <= {1}
        assert not set(ranks) & {5, 7} or ranks.count(2) > 0
        seen.add(tuple(sorted(set(ranks))))
    assert {(1,), (1, 2), (1, 2, 5, 7)} <= seen


def test_how_much_is_left_out_is_said_exactly() -> None:
    result = sample_results.hostile()
    for limit in (20_000, 40_000, 60_000):
        source = summary(result, limit)
        page = read(source)
        said = [text for text in page.texts if text.startswith("Left out")]
        parts = [re.search(r"([0-9,]+) of what was judged", text) for text in said]
        left = sum(int(found[1]) for found in parts if found)
        assert left == len(result.entries) - (len(page.headings) - 1)
        rows = sum(
            int(number)
            for text in said
            for number in re.findall(r"(\d+) (?:open finding|passing check)", text)
        )
        shown = [entry for entry in ranking.entries(result)][: len(page.headings) - 1]
        assert rows + len(_shown(source)) == sum(len(entry.judgements) for entry in shown)


def test_the_limits_are_github_s() -> None:
    assert SUMMARY_BYTES < 1_024 * 1_024
    assert COMMENT_BYTES < 65_536
    with pytest.raises(ValueError, match="16384"):
        summary(sample_results.gate(), LEAST_BYTES - 1)


def test_a_comment_can_be_found_again() -> None:
    assert comment(sample_results.gate()).startswith("<!-- harness gate -->\n\n## FAIL: ")
    assert "<!--" not in summary(sample_results.gate())


def test_only_a_whole_id_is_left_to_become_a_link() -> None:
    assert "From 8520a3f444444444444444444444444444444444 to " in summary(sample_results.gate())
    assert "[31m" not in summary(sample_results.hostile()).replace("\\[", "")
