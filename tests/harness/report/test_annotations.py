from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from checks.contract import Status
from harness.report.annotations import MOST, render_annotations
from harness.report.escape import for_terminal
from tests.harness.report import sample_results

LINE = re.compile(r"::(error|warning|notice) ([^\r\n]*?)::([^\r\n]+)")


def parsed(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield (level, properties, message) as the runner of GitHub Actions reads them."""
    for line in text.splitlines():
        found = LINE.fullmatch(line)
        assert found is not None, line
        level, listed, message = found.groups()
        properties = dict(item.split("=", 1) for item in listed.split(","))
        assert set(properties) <= {"file", "line", "title"}
        yield level, {name: _read(value) for name, value in properties.items()}, _read(message)


def _read(text: str) -> str:
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_levels_and_places() -> None:
    found = list(parsed(render_annotations(sample_results.gate())))
    assert [(level, where.get("file"), where.get("line")) for level, where, _ in found] == [
        ("error", "submissions/tilted-transformer/score.py", "48"),
        ("error", None, None),
        ("warning", None, None),
        ("warning", None, None),
        ("notice", "submissions/tilted-transformer/score.py", "31"),
        ("notice", None, None),
    ]
    titles = [where["title"] for _, where, _ in found]
    assert titles[0] == "FAIL norm.sum submissions/tilted-transformer"
    assert titles[2] == "NOT-RUN claims.code records/2026-04-03_SplitLR"
    assert titles[3] == "FAIL repro.score (advisory) submissions/tilted-transformer"
    assert found[0][2] == "position 31: the row sums to 1.0213"


def test_at_most_ten_of_a_level_and_the_tenth_counts_the_rest() -> None:
    result = sample_results.hostile()
    found = list(parsed(render_annotations(result)))
    levels = Counter(level for level, _, _ in found)
    assert levels == {"error": MOST, "warning": MOST, "notice": MOST}
    errors = sum(
        each.required and each.finding.status in (Status.FAIL, Status.ERROR)
        for entry in result.entries
        for each in entry.judgements
    )
    last = [message for level, _, message in found if level == "error"][-1]
    assert last == f"{errors - MOST + 1} more of this level; see the summary"


@pytest.mark.parametrize("number", [9, 10, 11])
def test_ten_are_shown_whole(number: int) -> None:
    entry = sample_results.gate().entries[1]
    note = entry.notes[0]
    many = replace(entry, judgements=(), verdict=Status.PASS, notes=(note,) * number)
    lines = render_annotations(sample_results.result("check", many)).splitlines()
    assert len(lines) == min(number, MOST)
    assert ("more of this level" in lines[-1]) is (number > MOST)


def test_the_worst_come_before_the_first() -> None:
    """A broken rule in the last entry is not crowded out by what is open in those before it."""
    entry = sample_results.gate().entries[2]
    last = sample_results.gate().entries[1]
    lines = list(parsed(render_annotations(sample_results.result("gate", *[entry] * 30, last))))
    assert lines[0][1]["title"].startswith("FAIL norm.sum")


@pytest.mark.parametrize("text", sample_results.HOSTILE)
def test_words_stay_words(text: str) -> None:
    entry = sample_results.gate().entries[1]
    found = replace(entry, message=text, name=text, judgements=(), notes=())
    result = sample_results.result("check", found)
    ((level, where, message),) = parsed(render_annotations(result))
    assert (level, message) == ("error", for_terminal(text, 1_000))
    assert where["title"] == for_terminal(f"FAIL {text}", 160)


def test_nothing_to_say_is_nothing() -> None:
    assert render_annotations(sample_results.run()) == ""
