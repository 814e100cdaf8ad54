"""`harness explain`: every id has its page, as it is in a pipe and laid out on a terminal."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import checks
from harness.attest import verification
from harness.audit.source import IDS
from harness.commands.explain import SCHEMA_VERSION
from harness.errors import EXIT_PASS
from harness.report import rule_pages
from harness.sandbox.guarantees import KNOWN
from tests.judged import ROOT

PAGES = ROOT / "docs" / "rules"
ALL = sorted(path.stem for path in PAGES.glob("*.*.md"))


def test_every_id_of_a_report_can_be_explained():
    known = rule_pages.statements()
    others = [c for c in known if c.startswith(("sandbox.", "verify."))]
    assert set(ALL) == set(rule_pages.pages()) == set(known) - set(others)
    assert set(checks.ORDER) | set(IDS) <= set(known)
    assert others == [
        *(f"sandbox.{name}" for name in KNOWN),
        *(verification.SCHEMA, verification.SIGNATURE, verification.STATEMENT),
        *(verification.EVIDENCE, verification.REGRADE),
    ]
    for check, says in known.items():
        assert says, f"docs/rules/README.md has no line for {check}"
        page = rule_pages.explained(check)
        assert page is not None
        assert page.startswith(f"# `{check}`\n")


@given(
    st.text(max_size=20)
    | st.sampled_from(["..", "../rules/norm.sum", "README", "out-of-reach", "sandbox.x"])
)
def test_no_other_word_has_a_page(word):
    if word not in rule_pages.statements():
        assert rule_pages.explained(word) is None


def test_a_pipe_gets_the_file_itself(desk):
    page = (PAGES / "stats.margin.md").read_text("utf-8")
    assert desk("explain", "stats.margin") == (EXIT_PASS, page, "")
    assert desk("explain", "stats.margin", "--raw")[1] == page


def test_json_has_id_statement_and_page(desk):
    status, out, _ = desk("explain", "norm.sum", "--json")
    assert status == EXIT_PASS
    assert json.loads(out) == {
        "schema_version": SCHEMA_VERSION,
        "id": "norm.sum",
        "states": "probabilities sum to 1",
        "markdown": (PAGES / "norm.sum.md").read_text("utf-8"),
    }
    listed = json.loads(desk("explain", "--json")[1])["checks"]
    assert {entry["id"]: entry["states"] for entry in listed} == rule_pages.statements()


def test_without_an_id_every_one_is_listed(desk):
    status, out, _ = desk("explain")
    assert status == EXIT_PASS
    assert [line.split()[0] for line in out.splitlines()] == list(rule_pages.statements())
    assert re.search(r"^norm\.sum +probabilities sum to 1$", out, re.MULTILINE)


def test_a_guarantee_is_explained_in_short(desk):
    out = desk("explain", "sandbox.network")[1]
    assert "harness doctor" in out
    assert "docs/sandbox.md" in out
    assert "docs/attest.md" in desk("explain", "verify.regrade")[1]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("norm.sums", "did you mean norm.sum?"),
        ("stats_margin", "did you mean stats.margin"),
        ("network", "source.network or sandbox.network"),
        ("zzz", "`harness explain` lists them all"),
        ("\x1b[31m" + "x" * 500, "lists them all"),
        ("", "lists them all"),
    ],
)
def test_an_unknown_id_gets_the_nearest(desk, word, hint):
    said = desk.refuses("explain", word)
    assert hint in said
    assert len(said) < 200
    assert "\x1b" not in said
