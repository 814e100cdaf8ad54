import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import order_future
from checks.contract import Status
from tests.checks.answers import LIMITS, blind, breach, challenge, future

CAUGHT = challenge(future=(future(1.0), future(1.0)))


def check(record, control=CAUGHT):
    return order_future.check(record, control, LIMITS)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_one_score_that_moves_condemns(gaps):
    found = check(challenge(future=tuple(future(g, position=i) for i, g in enumerate(gaps))))
    if any(abs(2.0 + (2.0 + g - 2.0) - 2.0) > LIMITS.floor_nats for g in gaps):
        assert found.status is Status.FAIL
        assert "with other tokens after it" in found.message
    else:
        assert found.status is not Status.FAIL or found.measured > 0.001


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(-1, 1)), min_size=2, max_size=12))
def test_the_mean_is_over_tokens_and_the_deviation_is_the_ratio_estimators(entries):
    answers = [future(position=count - 1, mean=mean) for count, mean in entries]
    values = order_future.token_means(challenge(future=tuple(answers)))
    total = sum(count for count, _ in entries)
    mean = sum(count * gap for count, gap in entries) / total
    assert statistics.fmean(values) == pytest.approx(mean, abs=1e-9)
    residuals = sum((count * (gap - mean)) ** 2 for count, gap in entries)
    expected = math.sqrt(residuals / (len(entries) - 1)) / (total / len(entries))
    assert statistics.stdev(values) == pytest.approx(expected, abs=1e-9)


def test_a_gap_that_is_the_same_everywhere_has_no_deviation():
    answers = tuple(future(position=n, mean=0.005) for n in (0, 10, 499))
    assert order_future.token_means(challenge(future=answers)) == pytest.approx([0.005] * 3)


def test_one_noisy_token_does_not_leave_the_rest_undecided():
    few = future(0.015, position=0)
    many = (future(0.0, position=499),) * 7
    assert check(challenge(future=(few, *many))).status is Status.PASS


@pytest.mark.parametrize(
    ("record", "status", "says"),
    [
        (None, Status.NOT_RUN, "no challenge"),
        (challenge(), Status.NOT_RUN, "no question with an exchanged future"),
        (challenge(block_tokens=2), Status.NOT_RUN, "no question with an exchanged future"),
        (challenge(block_tokens=1), Status.PASS, "no later token was ever in reach"),
        (challenge(block_tokens=1, breach=breach("accept")), Status.NOT_RUN, "no question"),
        (challenge(breach=breach("future")), Status.FAIL, "at a future question at position 7"),
        (challenge(future=(future(), future())), Status.PASS, "at most"),
        (
            challenge(future=(future(), future(-0.5, 77))),
            Status.FAIL,
            "position 77: credited 2.0000",
        ),
        (challenge(future=(future(mean=0.01),) * 5), Status.FAIL, "gains 0.0100 nats/token"),
        (
            challenge(future=(future(),) * 5, span_tokens=500),
            Status.ERROR,
            "only 50% of the stream",
        ),
    ],
)
def test_examples(record, status, says):
    found = check(record)
    assert found.status is status
    assert says in found.message


def test_a_blind_check_is_an_error():
    honest = challenge(future=(future(), future()))
    assert check(honest, control=honest).status is Status.ERROR
    assert check(honest, control=challenge(blind=(blind(1.0),))).status is Status.ERROR
