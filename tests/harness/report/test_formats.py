"""Every format of the one result: golden files, and what holds for each whatever a result says."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from unittest import mock

import jsonschema
import pytest

from checks.contract import Status
from harness.report import result, rule_pages, schema
from harness.report.formats import FORMATS, render
from tests.harness.report import sample_results

GOLDEN = Path(__file__).parent / "golden"
ENDINGS = {
    "text": "txt",
    "json": "json",
    "markdown": "md",
    "github": "annotations",
    "junit": "xml",
    "sarif": "sarif",
}
PAGE = "# `{0}`\n\n**States.** What {0} states. And more.\n\n**Why.** See [there](there.md).\n"


def golden(make, style: str) -> tuple[Path, str]:
    """Return a golden file and what it should be; the pages of rules change for reasons of their own."""
    with mock.patch.object(rule_pages, "page", PAGE.format):
        return GOLDEN / f"{make.__name__}.{ENDINGS[style]}", render(make(), style)


@pytest.mark.parametrize("style", FORMATS)
@pytest.mark.parametrize("make", sample_results.GOLDEN)
def test_golden(make, style: str) -> None:
    """After a change that is meant: python -m tests.harness.report.test_formats, and read the difference."""
    file, text = golden(make, style)
    assert text == file.read_text("utf-8")


@pytest.mark.parametrize("style", FORMATS)
@pytest.mark.parametrize("make", sample_results.ALL)
def test_nothing_in_it_acts_in_a_log(make, style: str) -> None:
    assert_tame(render(make(), style), style)


def assert_tame(text: str, style: str) -> None:
    """No character acts on a terminal, and no line is a command to the runner of a CI job but our own."""
    text.encode("utf-8")
    acting = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert acting <= {"\n"} or style == "json"  # JSON holds the words as they were
    assert "##" not in text.replace("\n## ", "\n").replace("\n### ", "\n").removeprefix("## ")
    for line in text.split("\n"):
        assert style == "github" or not line.lstrip().startswith("::")
    assert text.endswith("\n") or text == ""


@pytest.mark.parametrize("style", ["text", "markdown", "github", "junit"])
@pytest.mark.parametrize("make", sample_results.ALL)
def test_the_verdict_is_never_lost(make, style: str) -> None:
    """What is not PASS is red, open or a warning in every format, and what is PASS alone is not."""
    made = make()
    text = render(made, style)
    if style in ("text", "markdown"):
        assert made.verdict in text.split("\n\n" if style == "markdown" else "\n")[0]
    elif made.verdict is Status.PASS:
        assert "::error" not in text
        assert "<failure" not in text
        assert "<error" not in text
    else:
        assert any(word in text for word in ("::error", "::warning", "<failure", "<error"))


@pytest.mark.parametrize("make", sample_results.GOLDEN)
def test_every_finding_is_in_every_format(make) -> None:
    made = make()
    for style in FORMATS:
        text = render(made, style).replace("\\", "")
        for entry in made.entries:
            for each in entry.judgements:
                decides = each.required and each.finding.status is not Status.PASS
                assert each.finding.id in text or (style in ("github", "sarif") and not decides)


def test_another_word_is_no_format() -> None:
    with pytest.raises(ValueError, match="yaml"):
        render(sample_results.gate(), "yaml")


# JSON and its schema.


def test_the_published_schema_is_current() -> None:
    published = Path(__file__).parents[3] / "docs" / "schema" / "result-1.json"
    assert published.read_text("utf-8") == schema.text("result"), (
        "run: python -m harness.report.schema result > docs/schema/result-1.json"
    )


@pytest.mark.parametrize("make", sample_results.ALL)
def test_json_is_what_the_schema_says_and_comes_back(make) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema.text("result")))
    validator.check_schema(validator.schema)
    text = render(make(), "json")
    validator.validate(json.loads(text))
    read = result.decode(text.encode(), "it")
    assert result.encode(result.decode(result.encode(read), "it")) == result.encode(read)
    if make is not sample_results.hostile:  # whose halves of surrogate pairs come back as escapes
        assert read == make()


def test_what_is_no_result_is_refused() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema.text("result")))
    whole = json.loads(result.encode(sample_results.gate()))
    for change in ({"verdict": "GREEN"}, {"entries": None}, {"extra": 1}, {"exit_code": "1"}):
        assert not validator.is_valid({**whole, **change}), change


if __name__ == "__main__":
    for sample in sample_results.GOLDEN:
        for name in FORMATS:
            path, shown = golden(sample, name)
            path.write_text(shown, "utf-8")
