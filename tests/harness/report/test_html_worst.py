"""The section on the worst positions: whose tokens are shown, how, and that none of them acts."""

from __future__ import annotations

import html
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.report.html_page import render_html
from harness.report.html_worst import worst
from harness.report.model import Report, WorstPosition
from tests.harness.report import samples
from tests.harness.report.pages import inspected
from tests.harness.report.strategies import odd_text


def _with(*positions: WorstPosition) -> Report:
    report = samples.passing()
    seed = msgspec.structs.replace(report.seeds[0], worst=positions)
    return msgspec.structs.replace(report, seeds=(seed,))


def _position(**changes: object) -> WorstPosition:
    return msgspec.structs.replace(samples.passing().seeds[0].worst[0], **changes)


def _words(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def _rows(report: Report) -> list[str]:
    return re.findall(r"<tr role=\"row\"><th scope=\"row\".*?</tr>", str(worst(report)), re.S)


def test_the_token_at_the_position_is_the_marked_one() -> None:
    position = _position(
        first=5, position=7, tokens=(1, 2, 3, 4), pieces=(" a", "b", " c d", "\n"), token=3
    )
    (row,) = _rows(_with(position))
    tokens = re.findall(r'<(span|mark) class="token">(.*?)</\1>(?=<)', row)
    assert [kind for kind, _ in tokens] == ["span", "span", "mark", "span"]
    assert [_words(markup) for _, markup in tokens] == [" a", "b", " c d", r"\n"]
    # Each space is in an element of its own, which shows it; what is copied is the text.
    assert row.count('<span class="space"> </span>') == 3
    assert "token\N{NO-BREAK SPACE}3<" in row


def test_a_substitute_is_named_with_its_text() -> None:
    (row,) = _rows(_with(_position(token=999, piece=" <b>")))
    assert "with token\N{NO-BREAK SPACE}999 “ &lt;b&gt;” in its place" in row


@pytest.mark.parametrize(
    ("gap", "shown", "beyond"),
    [
        (0.0199, "0.0199 / 0.02", False),
        (0.0201, "0.0201 / 0.02 !", True),
        (-0.3, "-0.3000 / 0.02 !", True),
        (None, "infinite / 0.02 !", True),
        (0.0, "0.0000 / 0.02", False),
        (1.2e-7, "1.2e-07 / 0.02", False),
    ],
)
def test_a_gap_stands_against_the_tolerance(gap: float | None, shown: str, beyond: bool) -> None:
    (row,) = _rows(_with(_position(gap_nats=gap, answered_nats=None if gap is None else 1.0)))
    assert f">{shown}<" in row
    assert ('class="bad"' in row) is beyond
    assert (">infinite<" in row) is (gap is None)


def test_without_a_tokenizer_tokens_are_numbers_and_that_is_said() -> None:
    report = _with(_position(pieces=(), piece=None))
    words = _words(str(worst(report)))
    assert "tokenizer could not be read" in words
    assert all(f"#{token}" in words for token in report.seeds[0].worst[0].tokens)


def test_the_seed_of_the_largest_gap_is_open_and_the_others_say_theirs() -> None:
    report = samples.passing()
    far = tuple(msgspec.structs.replace(p, gap_nats=1.5) for p in report.seeds[1].worst)
    seeds = (report.seeds[0], msgspec.structs.replace(report.seeds[1], worst=far), report.seeds[2])
    section = str(worst(msgspec.structs.replace(report, seeds=seeds)))
    opened, *folded = section.split("<details")
    assert "Seed 42: 12 positions, largest gap 1.5000, tolerance 0.02" in opened
    assert opened.count("<mark") == 12
    assert [re.search(r"<summary>(Seed \d+)", part)[1] for part in folded] == [
        "Seed 1337",
        "Seed 2025",
    ]
    assert all(part.count("<mark") == 12 for part in folded)


def test_no_section_without_positions() -> None:
    assert worst(samples.died()) is None
    assert worst(samples.empty()) is None


def test_hostile_text_is_there_to_be_read() -> None:
    page = inspected(render_html(_with(samples.failing().seeds[0].worst[0])))
    assert not page.faults
    for shown in (
        "<script>alert(1)</script>",
        r"\x1b[31mred\x1b[0m",
        r"\u202egnp.exe",
        '" onload="alert(1)" x="',
        r"line one\r\nPASS everything\x00\u2028",
        "&lt;b&gt; ' ` <!-- ]]> -->",
        r"“\u202e<mark>" + "w" * 73 + "… (407 characters)”",
    ):
        assert shown in page.text


@settings(max_examples=15, deadline=None)
@given(st.lists(odd_text, max_size=6), odd_text | st.none(), st.integers(-2, 8))
def test_no_text_gets_out(pieces: list[str], piece: str | None, here: int) -> None:
    position = _position(
        first=0, position=here, pieces=tuple(pieces), tokens=(7,) * len(pieces), piece=piece
    )
    page = inspected(render_html(_with(position)))
    assert not page.faults
