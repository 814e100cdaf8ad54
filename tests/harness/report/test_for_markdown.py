"""Text of anybody's in Markdown: it shows exactly itself, wherever it stands, and does nothing."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.report.escape import for_markdown, visible
from tests.harness.report.markdown_reader import read
from tests.harness.report.sample_results import HOSTILE, MARKDOWN
from tests.harness.report.strategies import odd_text

TAGS = ("<span>", "</span>", "<code>", "</code>")
SOMETHING = "something"
# What any text is put into: in front of it, behind it.
PLACES = (
    ("", ""),
    ("# ", ""),
    ("- ", ""),
    ("> ", ""),
    ("said: ", " and more"),
    ("| a | b |\n|---|---|\n| x | ", " |"),
    ("| a | b |\n|---|---|\n| ", " | x |"),
    ("before\n", ""),
    ("", "\nafter"),
    ("before\n\n", "\n\nafter"),
    ("text <code>", "</code> text"),
    ("**bold:** ", ""),
    ("<details><summary>s</summary>\n\n", "\n\n</details>"),
)


@settings(max_examples=400, deadline=None)
@given(odd_text, st.sampled_from(PLACES))
@example("---", PLACES[7])
@example("===", PLACES[7])
@example(":-", PLACES[7])
@example("\\", PLACES[4])
@example("    x", PLACES[2])
@example("1) x", PLACES[0])
@example("100000000.", PLACES[0])
@example("www.a", PLACES[0])
@example("[x]: y", PLACES[9])
def test_it_is_text_and_nothing_else(text: str, place: tuple[str, str]) -> None:
    before, after = place
    shown = read(f"{before}{for_markdown(text)}{after}")
    plain = read(f"{before}{SOMETHING}{after}")
    words = visible(text)
    if not words.strip():
        return  # an empty cell or item is another structure, and no text
    assert shown.structure == plain.structure
    ours = Counter({tag: shown.html[tag] - plain.html[tag] for tag in TAGS})
    assert ours["<span>"] == ours["</span>"] >= 0
    assert ours["<code>"] == ours["</code>"] >= 0
    assert shown.html - ours == plain.html
    assert shown.late == []
    assert [len(row) for row in shown.rows] == [len(row) for row in plain.rows]
    assert "".join(shown.text.split()) == "".join(plain.text.replace(SOMETHING, words).split())


@given(odd_text)
def test_it_is_one_line_without_commands_to_a_runner(text: str) -> None:
    shown = for_markdown(text)
    assert "\n" not in shown
    assert not shown.lstrip().startswith("::")
    assert "##" not in shown
    shown.encode("utf-8")


@given(odd_text)
def test_a_character_becomes_no_more_than_is_said(text: str) -> None:
    assert len(for_markdown(text).encode()) <= 14 * len(visible(text).encode()) + 4


@pytest.mark.parametrize("text", MARKDOWN)
def test_what_is_tried_here_acts_without_the_escape(text: str) -> None:
    """Otherwise the tests above would prove nothing."""
    page = read(f"before\n\n{text}")
    acts = page.late or page.structure - read("before\n\nx").structure or page.html
    assert acts or text.startswith((r"\[", "]]>"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b *c*", r"a\_b \*c\*"),
        ("@me", "<span>@</span>me"),
        ("PR #12", "PR <span>#</span>12"),
        ("https://x", "https<span>:</span>//x"),
        ("train.log:66: 1.5 s", "train.log:66: 1.5 s"),
        (":boom:", "<span>:</span>boom:"),
        ("-1.5", "-1.5"),
        ("- 1.5", r"\- 1.5"),
        ("1. one", r"1\. one"),
        ("15,857,705 bytes; 0.09504815", "15,857,705 bytes; 0.09504815"),
        ("at 74d53e811", "at <code>74d53e811</code>"),
        ("\x1b[31m", r"\\x1b\[31m"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert for_markdown(text) == shown


def test_it_is_fast_on_long_text() -> None:
    for text in (
        ":" * 20_000,
        "a:" * 20_000,
        "0" * 20_000,
        "www" * 20_000,
        "- " * 20_000,
        "1." * 9_999,
    ):
        for_markdown(text)
    for text in HOSTILE:
        for_markdown(text * (30_000 // len(text)))
