import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import norm_sum
from checks.contract import Status
from tests.checks.answers import LIMITS, blind, challenge, future, whole

CAUGHT = challenge(blind=(blind(log_sum=1.0),))


def check(record, control=CAUGHT):
    return norm_sum.check(record, control, LIMITS)


@given(st.lists(st.none() | st.floats(-2, 800), min_size=1, max_size=20))
def test_every_row_must_sum_to_one(log_sums):
    rows = tuple(blind(position=i, log_sum=s) for i, s in enumerate(log_sums))
    found = check(challenge(blind=rows))
    sums = [0.0 if s is None else math.exp(min(s, 700.0)) for s in log_sums]
    off = [i for i, s in enumerate(sums) if abs(s - 1.0) > LIMITS.sum_tolerance]
    assert (found.status is Status.PASS) == (not off)
    assert found.evidence["off"] == len(off)
    assert math.isfinite(found.measured)
    worst = max(range(len(sums)), key=lambda i: abs(sums[i] - 1.0))
    assert found.evidence["worst_sum"] == sums[worst]
    if off:
        assert f"sum to {sums[worst]:.6g}, not 1" in found.message


@given(st.lists(st.floats(0.001, 1.0), min_size=2, max_size=40))
def test_without_predict_the_answers_are_added_up(scored):
    found = check(challenge(target=(whole(scored, position=5),), has_predict=False))
    assert found.measured == pytest.approx(abs(sum(scored) - 1.0))
    assert (found.status is Status.PASS) == (found.measured <= LIMITS.sum_tolerance)
    if found.status is Status.FAIL:
        assert found.message.startswith("position 5: the probabilities of the vocabulary sum to")


@pytest.mark.parametrize(
    ("record", "status", "says"),
    [
        (None, Status.NOT_RUN, "no challenge"),
        (challenge(), Status.NOT_RUN, "no distribution"),
        (challenge(future=(future(),)), Status.NOT_RUN, "no distribution"),
        (challenge(blind=(blind(log_sum=9e-4), blind())), Status.PASS, "2 distributions sum to 1"),
        (challenge(blind=(blind(log_sum=-2e-3, position=8),)), Status.FAIL, "position 8"),
        (challenge(blind=(blind(log_sum=None),)), Status.FAIL, "sum to 0, not 1"),
    ],
)
def test_examples(record, status, says):
    found = check(record)
    assert found.status is status
    assert says in found.message


def test_a_blind_check_is_an_error():
    assert (
        check(challenge(blind=(blind(),)), control=challenge(blind=(blind(),))).status
        is Status.ERROR
    )
