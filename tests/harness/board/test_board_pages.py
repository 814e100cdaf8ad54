"""A board as text, Markdown, HTML and JSON: the same words, none of which acts."""

import io
import json
import re

import jsonschema
import msgspec
import pytest
from rich.console import Console

from harness.board import schema
from harness.board.html_page import render_html
from harness.board.markdown_page import render_markdown
from harness.board.model import Board, LeftOut, encode
from harness.board.rows import board
from harness.board.text_page import render_text
from tests.harness.board.made import KEY, RULES, replaced, run
from tests.harness.report import samples
from tests.harness.report.pages import inspected
from tests.judged import ROOT

ACTING = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
HOSTILE = tuple(text.replace("\ud800", "?") for text in samples.HOSTILE)


def plain():
    return board(
        [run("mixer", (1.86, 1.8601, 1.8602), day=2), run("first", (1.87, 1.871, 1.872))],
        [],
        RULES,
        [KEY],
    )


def hostile():
    """Every word that a submission, a folder or a file may hold is hostile."""
    runs = []
    for index, word in enumerate(HOSTILE):
        entry = run(
            f"{index}|{word}", (1.86 + index / 1e3, 1.861, 1.862 + index / 1e3), day=1 + index
        )
        submission = replaced(entry.report.submission, authors=(word, f"|{word}|"))
        baseline = replaced(entry.report.baseline, name=word)
        report = replaced(entry.report, submission=submission, baseline=baseline, run_id=word)
        runs.append(
            type(entry)(
                place=word,
                report=report,
                signed_by=(replaced(KEY, file=word),),
                train_text_sha256=None,
            )
        )
    refused = [
        LeftOut(place=word, name=word, run_id=word, reason=f"not verified: {word}")
        for word in HOSTILE
    ]
    rules = replaced(RULES, ruleset=replaced(RULES.ruleset, title=HOSTILE[0] + HOSTILE[4]))
    return board(runs, refused, rules, [replaced(KEY, file=HOSTILE[2])])


def empty():
    return board([], [], RULES, [])


ALL = (plain, hostile, empty)


def text_of(found, **how):
    return render_text(found, Console(file=io.StringIO(), **how))


@pytest.mark.parametrize("make", ALL)
def test_the_page_acts_on_nothing_and_fetches_nothing(make):
    page = inspected(render_html(make()))
    assert not page.faults
    policy = page.metas[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert "default-src 'none'" in policy["content"]
    assert "script" not in policy["content"]
    assert not re.search(r"url\(|@import|expression|behavior|//", page.style)


@pytest.mark.parametrize("make", ALL)
def test_no_word_acts_in_text_or_markdown(make):
    text, page = text_of(make(), width=100), render_markdown(make())
    assert not ACTING.search(text)
    assert not ACTING.search(page)
    assert "::error" not in text
    assert "<script>" not in page
    assert "\n\n\n" not in page
    width = {
        len(re.findall(r"(?<!\\)(?:\\\\)*\|", row))
        for row in page.splitlines()
        if row.startswith("|")
    }
    assert width <= {13, 4}


def test_hostile_words_are_there_to_be_read():
    page = inspected(render_html(hostile()))
    assert "<script>alert(1)</script>" in page.text
    assert r"\x1b[31mred" in page.text
    assert r"\x1b[31mred" in text_of(hostile())


def test_every_form_says_the_same():
    found = plain()
    forms = [text_of(found), render_markdown(found), inspected(render_html(found)).text]
    for form in forms:
        words = " ".join(form.split())
        for fact in (
            "1.860100 ± 0.000248",
            "1.871000 ± 0.002484",
            f"{found.entries[0].artifact_bytes:,}",
            "2026-11-02",
            "organiser.pem",
            "p < 0.01".replace("<", r"\<" if form is forms[1] else "<"),
            "2 entries, 2 records, 0 runs not ranked",
            RULES.sha256,
        ):
            assert fact in words, (fact, form)
    assert "record against first, p = " in forms[0]
    assert "| record | 1 | mixer |" in forms[1]


def test_p_is_written_on_its_side_of_alpha():
    found = plain()
    near = replaced(found.entries[0], p=0.01 - 1e-9)
    page = render_markdown(replaced(found, entries=(near, found.entries[1])))
    assert "| 0.009999999 |" in page


def test_without_keys_nobody_vouches_and_every_form_says_so():
    found = board([run("first", (1.87, 1.871, 1.872))], [], RULES, [])
    for form in (text_of(found), render_markdown(found), render_html(found)):
        assert "nobody vouches" in " ".join(form.split())


def test_a_narrow_terminal_and_one_without_unicode():
    assert (
        max(
            map(
                len, text_of(plain(), width=70, force_terminal=True, color_system=None).splitlines()
            )
        )
        <= 70
    )
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    render_text(hostile(), Console(file=out)).encode("ascii")


@pytest.mark.parametrize("make", ALL)
def test_json_is_what_the_schema_says_and_comes_back(make):
    data = encode(make())
    check = jsonschema.Draft202012Validator(json.loads(schema.text()))

    def refuse(word):
        raise AssertionError(word)

    check.validate(json.loads(data, parse_constant=refuse))
    assert msgspec.json.decode(data, type=Board) == make()
    assert encode(make()) == data


def test_the_published_schema_is_current():
    path = ROOT / "docs" / "schema" / "board-1.json"
    assert path.read_text("utf-8") == schema.text(), (
        "run: python -m harness.board.schema > docs/schema/board-1.json"
    )
