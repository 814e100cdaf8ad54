from __future__ import annotations

import html
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.escape import for_html, for_terminal, visible
from harness.report.markup import Safe, join, tag
from tests.harness.report.strategies import odd_text

anything = odd_text | st.text(st.characters())


@given(anything, st.none() | st.integers(0, 50))
def test_nothing_visible_acts(text: str, limit: int | None) -> None:
    shown = visible(text, limit)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode("utf-8")


@given(anything)
def test_plain_text_is_left_as_it_is(text: str) -> None:
    if text.isascii() and text.isprintable():
        assert visible(text) == text


@given(anything)
def test_escaping_twice_changes_nothing_more(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    assert for_terminal(for_terminal(text)) == for_terminal(text)


@given(anything)
def test_no_part_of_a_line_is_a_command_to_a_runner(text: str) -> None:
    shown = for_terminal(text)
    # A wrapped line may begin anywhere, so it is not enough to look at the start.
    assert "::" not in shown
    assert "##" not in shown


@given(anything)
def test_html_says_what_was_visible(text: str) -> None:
    shown = for_html(text)
    assert not set(shown) & set("<>\"'`")
    assert html.unescape(shown) == visible(text)


@given(anything, anything)
def test_an_element_holds_its_text_and_nothing_else(text: str, other: str) -> None:
    element = tag("p", text, title=other)
    assert element == f'<p title="{for_html(other)}">{for_html(text)}</p>'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("one\r\ntwo\tthree\x00", r"one\r\ntwo\tthree\x00"),
        ("\u202egnp", r"\u202egnp"),
        ("\U000e0041tag", r"\U000e0041tag"),
        ("\ud800", r"\ud800"),
        ("e\u0301", "e\u0301"),
        ("e" + "\u0301" * 6, "e" + "\u0301" * 4 + r"\u0301\u0301"),
        ("naïve Łukasz 文 😀 עברית", "naïve Łukasz 文 😀 עברית"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_commands_to_runners_are_broken_but_readable() -> None:
    assert for_terminal("::error::x") == r"\x3a:error\x3a:x"
    assert for_terminal("##[group]") == r"\x23#[group]"
    assert for_terminal("a: b # c") == "a: b # c"


def test_cutting_says_so() -> None:
    assert visible("x" * 4096, 50) == "x" * 50 + "… (4,096 characters)"
    assert visible("x" * 4096, 5) == "xxxxx…"
    assert visible("x" * 5, 5) == "xxxxx"


def test_joining_or_formatting_does_not_launder() -> None:
    safe = tag("b", "x")
    for laundered in (f"{safe}", safe + "<i>", "".join([safe])):
        assert not isinstance(laundered, Safe)
        assert "<" not in tag("p", laundered)[3:-4]
    assert join([safe, "<", None]) == "<b>x</b>&lt;"


def test_attributes() -> None:
    element = tag(
        "line", class_="a", stroke_width=2, viewBox="0 0", hidden=True, id=None, open=False
    )
    assert element == '<line class="a" stroke-width="2" viewBox="0 0" hidden/>'
