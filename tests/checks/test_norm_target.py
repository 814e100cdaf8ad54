import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import norm_target
from checks.contract import Status
from tests.checks.answers import LIMITS, breach, challenge, repeat, target, whole

CAUGHT = challenge(target=(target([0.9, 0.9], [0.1, 0.1]),))
PROBABILITIES = st.floats(1e-9, 1.0)
CLASSES = (2, 3, 3)


def check(record, control=CAUGHT):
    return norm_target.check(record, control, LIMITS)


@given(st.lists(st.tuples(PROBABILITIES, PROBABILITIES), min_size=1, max_size=10))
def test_a_substitute_must_get_its_entry_unless_both_are_negligible(entries):
    scored, row = zip(*entries, strict=True)
    found = check(challenge(target=(target(scored, row),)))
    gaps = [abs(math.log(a) - math.log(b)) for a, b in entries]
    counted = [i == 0 or abs(a - b) > 1e-6 for i, (a, b) in enumerate(entries)]
    disagree = any(gap > LIMITS.floor_nats and c for gap, c in zip(gaps, counted, strict=True))
    assert (found.status is Status.FAIL) == disagree
    assert found.measured == pytest.approx(
        max(g for g, c in zip(gaps, counted, strict=True) if c), abs=1e-9
    )


@given(st.lists(st.floats(0.001, 1.0), min_size=2, max_size=40))
def test_the_whole_vocabulary_must_sum_to_one(scored):
    found = check(challenge(target=(whole(scored),), has_predict=False))
    assert (found.status is Status.PASS) == (abs(sum(scored) - 1) <= LIMITS.sum_tolerance)
    assert found.measured == pytest.approx(abs(sum(scored) - 1))
    assert (found.limit, found.unit) == (LIMITS.sum_tolerance, "|sum - 1|")


def test_the_published_example_of_a_gate_that_reads_the_class():
    """p = (0.5, 0.3, 0.2), a word start and two continuations; beta = 0.75 for b."""
    tilt = math.exp(0.75)
    z = 1 + 0.3 * (tilt - 1)
    gated = [0.5, 0.3 * tilt / z, 0.2 / z]
    always = [0.5 / z, 0.3 * tilt / z, 0.2 / z]
    assert sum(gated) == pytest.approx(1.125496, abs=1e-6)
    with_row = check(challenge(target=(target(gated, always, position=41, classes=CLASSES),)))
    assert with_row.status is Status.FAIL
    assert with_row.message.startswith(
        "position 41: token 0 (word start) is scored with probability 0.5, "
        "its entry in the distribution is 0.374504; token 1 (continuation) with 0.475695 against 0.475695"
    )
    assert with_row.measured == pytest.approx(0.289, abs=1e-3)
    without = check(
        challenge(target=(whole(gated, position=41, classes=CLASSES),), has_predict=False)
    )
    assert without.status is Status.FAIL
    assert (
        "sum to 1.1255, not 1 (token 0 (word start) 0.5, token 1 (continuation) 0.4757)"
        in without.message
    )
    assert check(challenge(target=(target(always, always),))).status is Status.PASS


def test_the_worst_position_is_named_first():
    mild, grave = (target([0.5, 0.5 * f], [0.5, 0.5], position=p) for f, p in ((0.9, 3), (0.2, 4)))
    found = check(challenge(target=(mild, grave, target([0.5], [0.5], position=5))))
    assert found.message.startswith("position 4: token 1")
    assert found.message.endswith("2 of 3 positions are off")
    assert [p.split(":")[0] for p in found.evidence["problems"]] == ["position 4", "position 3"]


@pytest.mark.parametrize(
    ("record", "status", "says"),
    [
        (None, Status.NOT_RUN, "no challenge"),
        (challenge(), Status.NOT_RUN, "no substitution"),
        (challenge(breach=breach("target")), Status.FAIL, "at a target question"),
        (challenge(target=(target([0.5, 1e-9], [0.5, 0.0]),)), Status.PASS, "agree"),
        (challenge(target=(target([0.5, 0.2], [0.5, 0.0]),)), Status.FAIL, "distribution is 0"),
        (challenge(target=(target([1e-9, 0.5], [1e-8, 0.5]),)), Status.FAIL, "token 0"),
        (challenge(target=(target([0.5, 1e-9], [0.5, 1e-8]),)), Status.PASS, "agree"),
        (
            challenge(target=(target([0.5, 0.5], [0.5, 0.45]),), repeat=(repeat(0.05),)),
            Status.PASS,
            "2 substitutes at 1 positions agree",
        ),
    ],
)
def test_examples(record, status, says):
    found = check(record)
    assert found.status is status
    assert says in found.message


def test_a_blind_check_is_an_error():
    honest = challenge(target=(target([0.5], [0.5]),))
    assert check(honest, control=honest).status is Status.ERROR
