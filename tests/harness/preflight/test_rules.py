"""The ruleset of a trial: the contest's, but for what a trial does not measure."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ruleset
from harness.preflight.rules import CHALLENGE_S, MOST, NOT_JUDGED, TRAIN_S, to_toml, trial_rules
from tests.judged import QUICK

RULESETS = [*ruleset.shipped(), str(QUICK)]
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize("name", RULESETS)
def test_what_is_written_is_read_back(name):
    whole = ruleset.load(name).ruleset
    assert ruleset.parse(to_toml(whole), name) == whole


@given(title=TEXT, packages=st.lists(TEXT.filter(lambda t: 1 <= len(t) <= 200), max_size=3),
       memory=st.floats(1e-300, 0.999), cap=st.integers(1, 1 << 53))  # fmt: skip
def test_any_text_and_number_is_read_back(title, packages, memory, cap):
    whole, replace = ruleset.load(str(QUICK)).ruleset, msgspec.structs.replace
    changed = replace(
        whole,
        title=title,
        environment=replace(whole.environment, packages=tuple(packages)),
        limits=replace(whole.limits, memory_fraction=memory),
        bytes=replace(whole.bytes, cap_bytes=cap),
    )
    assert ruleset.parse(to_toml(changed), "x") == changed


@pytest.mark.parametrize("name", RULESETS)
@pytest.mark.parametrize("required", [False, True])
def test_nothing_becomes_easier(name, required):
    rules = ruleset.load(name)
    whole, trial = rules.ruleset, trial_rules(rules, guarantees_required=required)
    mine = trial.ruleset
    for same in ("limits", "environment", "score", "bytes", "unsettled"):
        assert getattr(mine, same) == getattr(whole, same)
    for same in ("setup_s", "load_s", "score_s", "score_grace_s", "answer_s"):
        assert getattr(mine.phases, same) == getattr(whole.phases, same)
    assert mine.tolerances() == whole.tolerances()
    assert set(mine.verdict.required) == set(whole.verdict.required) - NOT_JUDGED
    assert mine.verdict.guarantees == (whole.verdict.guarantees if required else ())
    for kind, most in MOST.items():
        assert getattr(mine.challenge, kind) == min(most, getattr(whole.challenge, kind))
    assert mine.phases.train_s <= TRAIN_S
    assert mine.phases.challenge_s <= CHALLENGE_S


def test_it_cannot_be_taken_for_the_contest_s():
    rules = ruleset.load("smoke")
    trial = trial_rules(rules, guarantees_required=False)
    assert trial.sha256 != rules.sha256
    assert trial.ruleset.name == "trial of smoke"
    assert trial.baseline_text is None
    assert trial.ruleset.stats.baseline == ""
    assert ruleset.parse(trial.text, "x") == trial.ruleset


def test_a_tokenizer_that_is_not_the_contest_s_does_not_count():
    trial = trial_rules(ruleset.load("smoke"), guarantees_required=False, free_tokenizer=True)
    assert trial.ruleset.bytes.tokenizer == "free"
