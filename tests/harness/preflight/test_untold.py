"""What a trial says that it did not look at: commands that can be pasted."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.submitted import Tried
from harness import ruleset
from harness.preflight.untold import Asked, untold
from tests.judged import QUICK

TRIED = Tried(reached="challenge")
SMOKE, GOLF = ruleset.load("smoke"), ruleset.load("parameter-golf")


def asked(rules=SMOKE, **given):
    given = {"name": "subs/x", "ruleset_named": "", "own_data": False, "given": False, **given}
    return Asked(rules=rules, guarantees_required=False, **given)


def commands(question):
    return {
        each.what.split(",")[0].split(":")[0]: each.command
        for each in untold(question, TRIED, None)
    }


def test_on_the_embedded_corpus_no_data_have_to_be_named():
    said = commands(asked())
    assert said["time.train"] == "harness run subs/x --seeds 1337,42,2025 --ruleset smoke"
    assert said["trained weights"] == "harness check subs/x --ruleset smoke --artifact FOLDER"


@pytest.mark.parametrize("question", [asked(GOLF), asked(own_data=True)])
def test_elsewhere_they_have(question):
    said = commands(question)
    assert said["stats.margin"].endswith(" --data DATA")
    assert said["trained weights"].endswith(" --data DATA --artifact FOLDER")


def test_a_ruleset_is_called_as_it_was():
    rules = ruleset.load(str(QUICK))
    assert " --ruleset quick.toml " in commands(asked(rules))["time.train"]
    named = asked(rules, ruleset_named="my rules/quick.toml")
    assert " --ruleset 'my rules/quick.toml' " in commands(named)["time.train"]


def test_given_weights_need_no_more():
    assert "trained weights" not in commands(asked(given=True))


def test_a_session_that_stopped_comes_first():
    said = untold(asked(), Tried(why_not="it stopped"), None)
    assert (said[0].why, said[0].command) == ("it stopped", "harness check subs/x --ruleset smoke")


@given(name=st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_any_name_is_one_word_of_a_shell(name):
    for command in commands(asked(name=name)).values():
        words = shlex.split(command)
        assert words[2] == name
        assert words[0] == "harness"
