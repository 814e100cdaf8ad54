"""Each cheat is caught by the checks that should catch it and by no other; each honest twin passes.

`harness selftest` tries the same corpus with the same code; here each trial is a test with a name of its own.
docs/attacks.md says what an attack is made of, and is held to the corpus below.
"""

import pytest

from harness.commands.run import passed_environment
from harness.launch import Quiet
from harness.selftest.corpus import read_corpus
from harness.selftest.pool import Pool
from harness.selftest.trial import State
from tests import attacks_page

ATTACKS = read_corpus(attacks_page.CORPUS)
CHEATS = [attack for attack in ATTACKS if attack.cheat]
PAGE = attacks_page.PAGE.read_text("utf-8")


def name(attack):
    return attack.name


@pytest.fixture(scope="module")
def trials(request, tmp_path_factory):
    """Return what comes of the attacks of the tests that were chosen, tried two at a time."""
    chosen = {
        item.callspec.params["attack"].name for item in request.session.items if is_trial(item)
    }
    folder = tmp_path_factory.mktemp("bench")
    with Pool(folder, Quiet(), passed_environment(), jobs=2) as pool:
        yield {attack.name: pool.submit(attack) for attack in ATTACKS if attack.name in chosen}


def is_trial(item):
    return "trials" in getattr(item, "fixturenames", ())


@pytest.mark.parametrize("attack", CHEATS, ids=name)
def test_the_cheat_is_caught_by_exactly_the_right_checks(attack, trials):
    _, trial, _ = trials[attack.name].result()
    if trial.state is State.NOT_RUN:
        pytest.skip(trial.reason)
    assert trial.state is State.CAUGHT, trial.reason


@pytest.mark.parametrize("attack", ATTACKS, ids=name)
def test_the_honest_twin_passes(attack, trials):
    _, _, trial = trials[attack.name].result()
    if trial.state is State.NOT_RUN:
        pytest.skip(trial.reason)
    assert trial.state is State.PASS, trial.reason


@pytest.mark.parametrize("attack", ATTACKS, ids=name)
def test_the_page_says_of_an_attack_what_its_folder_says(attack):
    """`python -m tests.attacks_page` writes the tables anew."""
    assert attacks_page.row(attack) in PAGE.splitlines()


def test_the_tables_of_the_page_are_those_of_the_corpus():
    assert attacks_page.rendered(PAGE, ATTACKS) == PAGE


def test_every_class_has_its_row_in_order():
    rows = [line[2:5] for line in PAGE.splitlines() if line[2:5] in attacks_page.CLASSES]
    assert rows == attacks_page.CLASSES
    assert len(rows) == 75


@pytest.mark.parametrize("attack_class", attacks_page.CLASSES)
def test_every_class_is_an_attack_or_explained_and_not_both(attack_class):
    attacks = attacks_page.covering(ATTACKS)[attack_class]
    explained = attacks_page.explained().count(attack_class)
    assert explained == (0 if attacks else 1), f"{attack_class}: {attacks or 'no attack'}"


def test_what_is_out_of_reach_is_in_order():
    explained = attacks_page.explained()
    assert explained == sorted(explained, key=attacks_page.CLASSES.index)
