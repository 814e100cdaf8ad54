import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import order_blind
from checks.contract import Status
from tests.checks.answers import LIMITS, blind, breach, challenge, whole

CAUGHT = challenge(blind=(blind(1.0), blind(1.0)))
GAPS = st.lists(st.none() | st.floats(-1, 1), min_size=2, max_size=30)


def check(record, control=CAUGHT):
    return order_blind.check(record, control, LIMITS)


@given(GAPS)
def test_passes_only_where_every_answer_agrees(gaps):
    found = check(challenge(blind=tuple(blind(g, position=i) for i, g in enumerate(gaps))))
    if any(g is None or abs(2.0 + g - 2.0) > LIMITS.floor_nats for g in gaps):
        assert found.status is Status.FAIL
    if found.status is Status.PASS:
        assert all(abs(g) <= LIMITS.floor_nats + 1e-12 for g in gaps)


@given(st.floats(0.002, 0.019), st.integers(10, 60))
def test_a_small_steady_gain_is_caught_in_the_mean(gap, count):
    found = check(challenge(blind=(blind(gap),) * count))
    assert found.status is Status.FAIL
    assert found.measured == pytest.approx(gap)


@given(
    st.lists(st.floats(0.01, 1.0), min_size=3, max_size=8),
    st.integers(0, 2),
    st.floats(0.5, 5.0),
)
def test_without_predict_the_gap_is_to_the_normalised_answer(scored, token, scale):
    total = sum(scored)
    scored = [p / total * scale for p in scored]
    answer = whole(scored, token=token)
    record = challenge(target=(answer, answer), has_predict=False)
    for gap in order_blind.blind_gaps(record, LIMITS):
        assert gap.nats == pytest.approx(math.log(scale), abs=1e-9)
    gap = math.log(scale)
    fails = abs(gap) > LIMITS.floor_nats or gap > LIMITS.gain_limit_nats
    assert check(record).status is (Status.FAIL if fails else Status.PASS)


@pytest.mark.parametrize("nats", [746.0, 1e4, 1e9])
def test_without_predict_probabilities_too_small_to_hold_are_compared(nats):
    answer = replace(whole([0.5, 0.5, 1.0], credited=0.1), nats=(nats, nats, nats + 1e6))
    record = challenge(target=(answer, answer), has_predict=False)
    for gap in order_blind.blind_gaps(record, LIMITS):
        assert gap.answer == pytest.approx(math.log(2), abs=1e-6)
    assert check(record).status is Status.FAIL


def test_without_predict_the_credited_nats_are_what_counts():
    answer = whole([0.5, 0.25, 0.25], credited=0.1)
    found = check(challenge(target=(answer, answer), has_predict=False))
    assert found.status is Status.FAIL
    assert (
        "position 10: credited 0.1000 nats, but (tried among the whole vocabulary)" in found.message
    )


@pytest.mark.parametrize(
    ("record", "status", "says"),
    [
        (None, Status.NOT_RUN, "no challenge"),
        (challenge(), Status.NOT_RUN, "no blind question"),
        (challenge(breach=breach("blind")), Status.FAIL, "at a blind question at position 7"),
        (challenge(breach=breach("accept")), Status.FAIL, "at an accept question"),
        (challenge(blind=(blind(),) * 9, breach=breach("future")), Status.PASS, "at most"),
        (challenge(blind=(blind(),) * 9), Status.PASS, "at most 0 nats/token"),
        (challenge(blind=(blind(1.5, position=612),) * 9), Status.FAIL, "position 612: credited"),
    ],
)
def test_examples(record, status, says):
    found = check(record)
    assert found.status is status
    assert says in found.message


def test_a_blind_check_is_an_error():
    found = check(challenge(blind=(blind(),) * 9), control=challenge(blind=(blind(),) * 9))
    assert found.status is Status.ERROR
    assert check(challenge(blind=(blind(),) * 9), control=None).status is Status.ERROR


def test_two_tolerances_cannot_be_had_one_on_the_other():
    """A row 0.9e-3 above 1 and a score 0.9e-3 below it: each within its limit, together twice the gain."""
    steady = challenge(blind=(blind(0.0009, log_sum=0.0009),) * 60)
    assert check(steady).status is Status.FAIL
    assert check(challenge(blind=(blind(0.0009),) * 60)).status is Status.PASS


def test_a_row_that_is_far_off_is_left_to_norm_sum():
    assert check(challenge(blind=(blind(0.0, log_sum=0.5),) * 60)).status is Status.PASS


@pytest.mark.parametrize(("credited", "status"), [(1e9, Status.PASS), (30.0, Status.FAIL)])
def test_what_both_sides_hold_impossible_agrees(credited, status):
    paid = blind(None, credited=credited)
    others = (blind(0.0),) * 10
    assert check(challenge(blind=(paid, *others))).status is status
