import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import repro_score
from checks.contract import Status
from tests.checks.answers import LIMITS, breach, challenge, repeat


@given(st.lists(st.floats(0, 2), min_size=1, max_size=8))
def test_fails_exactly_where_the_noise_is_over_the_cap(noise):
    record = challenge(repeat=tuple(repeat(n, first=100 * i) for i, n in enumerate(noise)))
    found = repro_score.check(record, LIMITS)
    assert (found.status is Status.FAIL) == (max(noise) > LIMITS.cap_nats)
    assert found.measured == max(noise)
    assert found.evidence["tokens"] == 100 * len(noise)
    if found.status is Status.FAIL:
        assert found.message.startswith(f"position {100 * noise.index(max(noise))}: scored again")


@pytest.mark.parametrize(
    ("record", "status", "says"),
    [
        (None, Status.NOT_RUN, "no challenge"),
        (challenge(), Status.NOT_RUN, "no block was scored again"),
        (challenge(breach=breach("repeat")), Status.FAIL, "at a repeat question"),
        (
            challenge(repeat=(repeat(0.1),)),
            Status.PASS,
            "100 tokens scored again differ by at most 0.1",
        ),
    ],
)
def test_examples(record, status, says):
    found = repro_score.check(record, LIMITS)
    assert found.status is status
    assert says in found.message
