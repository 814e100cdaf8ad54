"""Rules come from the base: gate.toml, the ruleset and the table that it names, each refused by name."""

import pytest

from harness import ruleset
from harness.errors import RulesetError
from harness.gate.repository import Repository
from harness.gate.settings import Settings, rules_of
from tests.harness.gate.pulls import Pulls
from tests.judged import QUICK

TABLE = b"""schema = 1

[[record]]
id = "first"
date = "2026-01-01"
score = "sliding"
seeds = [1]
val_bpb = [1.2]
bytes_per_token = 2.4
"""


def read(tmp_path, files):
    pulls = Pulls(tmp_path / "repo.git")
    base = pulls.commit("main", {"README.md": b"", **files})
    return rules_of(Repository(pulls.folder), base)


def plain(baseline=""):
    text = QUICK.read_text()
    assert text.count('baseline = "quick.toml"') == 1
    return text.replace('baseline = "quick.toml"', f'baseline = "{baseline}"')


def test_without_a_file_there_are_defaults(tmp_path):
    rules = read(tmp_path, {})
    assert rules.settings == Settings()
    assert rules.ruleset.sha256 == ruleset.load("parameter-golf").sha256


def test_everything_may_come_from_the_base(tmp_path):
    text = plain().encode()
    rules = read(
        tmp_path,
        {
            "gate.toml": b'schema = 1\nfolders = ["in"]\nruleset = "rules/mine.toml"\n'
            b'baselines = "rules/table.toml"\nmax_files = 7\nmax_bytes = 8\nrecords_required = []\n',
            "rules/mine.toml": text,
            "rules/table.toml": TABLE,
        },
    )
    assert rules.ruleset.text.encode() == text
    assert rules.settings.max_files == 7
    assert [row.id for row in rules.contest.rows] == ["first"]


def test_a_ruleset_brings_the_baseline_that_lies_beside_it(tmp_path):
    named = plain("own.toml")
    files = {"gate.toml": b'ruleset = "r/mine.toml"', "r/mine.toml": named.encode()}
    rules = read(tmp_path, {**files, "r/baselines/own.toml": b"whatever"})
    assert rules.ruleset.baseline_text == "whatever"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"gate.toml": b"schema = 2"}, "gate.toml of the base: Invalid enum value 2"),
        ({"gate.toml": b"shema = 1"}, "gate.toml of the base: .*unknown field `shema`"),
        ({"gate.toml": b"folders = []"}, "gate.toml of the base: .*folders"),
        (
            {"gate.toml": b'folders = [".."]'},
            "gate.toml of the base: folders: '..' leaves its folder",
        ),
        (
            {"gate.toml": b'folders = ["a/"]'},
            "gate.toml of the base: folders: 'a/' is not a plain path",
        ),
        ({"gate.toml": b"max_files = 0"}, "gate.toml of the base: .*max_files"),
        ({"gate.toml": b"not toml"}, "gate.toml of the base: "),
        ({"gate.toml": b"\xff"}, "gate.toml of the base: "),
        ({"gate.toml": b'ruleset = "nobodys"'}, "no ruleset 'nobodys'"),
        (
            {"gate.toml": b'ruleset = "a.toml"'},
            "ruleset: 'a.toml' is not in the base; add it there",
        ),
        ({"gate.toml": b'ruleset = "../a.toml"'}, "ruleset: '../a.toml' leaves its folder"),
        ({"gate.toml": b'ruleset = "a.toml"', "a.toml": b"x = 1"}, "^a.toml: "),
        ({"gate.toml": b'ruleset = "a.toml"', "a.toml": b"\xff"}, "a.toml of the base: not UTF-8"),
        (
            {"gate.toml": b'ruleset = "a.toml"', "a.toml": plain("none.toml").encode()},
            "a.toml of the base: stats.baseline names 'none.toml'",
        ),
        ({"gate.toml": b'baselines = "t.toml"', "t.toml": b"x = 1"}, "t.toml of the base: "),
        ({"gate.toml": b'baselines = "t.toml"'}, "baselines: 't.toml' is not in the base"),
    ],
)
def test_what_cannot_be_used_is_named_by_its_place_in_the_base(tmp_path, files, words):
    with pytest.raises(RulesetError, match=words) as raised:
        read(tmp_path, files)
    assert str(tmp_path) not in str(raised.value)
    assert "harness-gate" not in str(raised.value)
