"""`harness check` as a person uses it: what is refused, what is printed, how it ends."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from harness.report.result import decode
from tests.faults.minis import rules as mini_rules
from tests.judged import uniform


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    return mini_rules(tmp_path_factory.mktemp("rules"))


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    return uniform(tmp_path_factory.mktemp("submission") / "mine")


def test_a_manifest_error_is_one_sentence(desk, tmp_path, quick):
    odd = uniform(tmp_path / "odd", block_tokens="blok_tokens = 500")
    assert "did you mean `block_tokens`?" in desk.refuses("check", odd, "--ruleset", quick)
    assert "no such file" in desk.refuses("check", tmp_path / "none")
    large = uniform(tmp_path / "large", block_tokens="block_tokens = 16_000_000")
    assert "lower it" in desk.refuses("check", large, "--ruleset", quick)


def test_wrong_options_are_one_sentence(desk, tmp_path, mine, quick):
    assert "no ruleset" in desk.refuses("check", mine, "--ruleset", "nothing")
    assert "no such file" in desk.refuses("check", mine, "--data", tmp_path)
    assert "has no none.bin" in desk.refuses(
        "check", mine, "--ruleset", quick, "--artifact", tmp_path
    )
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").touch()
    assert "is not empty" in desk.refuses("check", mine, "--keep", tmp_path / "kept")


def test_text_says_what_was_not_checked(desk, mine, quick, tiny_data):
    status, out, err = desk("check", mine, "--ruleset", quick, "--data", tiny_data.folder)
    assert status == 0, out
    assert "all 14 required checks hold" in out
    assert "Not checked" in out
    assert "--seeds 1337,42,2025 --ruleset" in out
    assert "seed 1  setup" in err


def test_json_is_the_result(desk, mine, quick, tiny_data, tmp_path):
    kept = tmp_path / "kept"
    status, out, err = desk(
        *("check", mine, "--ruleset", quick, "--data", tiny_data.folder, "--json", "--quiet"),
        *("--keep", kept),
    )
    assert (status, err) == (0, "")
    result = decode(out.encode(), "out")
    assert (result.command, result.exit_code, len(result.entries)) == ("check", 0, 1)
    assert result.ruleset.name == "quick"
    assert result.entries[0].name == str(mine)
    assert list(kept.glob("*/report.html"))


@pytest.mark.parametrize("style", ["sarif", "junit"])
def test_a_broken_rule_in_other_formats(desk, tmp_path, quick, tiny_data, style):
    odd = uniform(tmp_path / "odd")
    (odd / "uniform.py").write_text("import gone\n")
    status, out, _ = desk(
        *("check", odd, "--ruleset", quick, "--data", tiny_data.folder, "--quiet"),
        *("--format", style),
    )
    assert status == 1
    assert "submission.imports" in out
    if style == "sarif":
        assert json.loads(out)["runs"][0]["results"]
    else:
        assert ElementTree.fromstring(out).iter("failure")


def test_the_embedded_corpus_is_the_default(desk, mine, quick):
    pytest.importorskip("sentencepiece")
    status, out, _ = desk("check", mine, "--ruleset", quick, "--quiet", "--json")
    assert status == 0
    entry = decode(out.encode(), "out").entries[0]
    assert entry.facts["data"].startswith("excerpt of synthetic-1, ")
    assert any("of the embedded corpus was used" in each.why for each in entry.not_checked)
