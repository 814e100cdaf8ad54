import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import score_complete
from checks.contract import Breach, Credited, Status

BREACHES = st.builds(
    Breach,
    kind=st.sampled_from(["malformed", "count", "value", "silence", "closed", "refused"]),
    message=st.just("the answer for position 7 is NaN"),
    frame=st.integers(0, 1 << 30),
    position=st.none() | st.integers(0, 1 << 30),
)
PASSES = st.builds(
    Credited,
    expected_tokens=st.integers(0, 5),
    credited_tokens=st.integers(0, 5),
    sum_nats=st.floats(),
    breach=st.none() | BREACHES,
    ended_by_clock=st.booleans(),
)


def credited(done=10, asked=10, sum_nats=1.0, **more):
    return Credited(expected_tokens=asked, credited_tokens=done, sum_nats=sum_nats, **more)


@given(PASSES)
def test_passes_exactly_when_every_position_was_credited(record):
    finding = score_complete.check(record)
    whole = record.credited_tokens == record.expected_tokens > 0
    sound = math.isfinite(record.sum_nats) and record.sum_nats >= 0
    undisturbed = record.breach is None and not record.ended_by_clock
    assert (finding.status is Status.PASS) == (whole and sound and undisturbed)


@given(PASSES.filter(lambda record: record.breach is not None))
def test_a_breach_fails_and_is_named_by_frame_and_position(record):
    finding = score_complete.check(record)
    assert finding.status is Status.FAIL
    assert record.breach.message in finding.message
    assert f"{record.breach.frame:,} frames" in finding.message
    if record.breach.position is not None:
        assert f"(position {record.breach.position}, " in finding.message
    assert finding.evidence["breach"]["position"] == record.breach.position


@pytest.mark.parametrize(
    ("record", "status", "says"),
    [
        (None, Status.NOT_RUN, "not reached"),
        (credited(9, ended_by_clock=True), Status.NOT_RUN, "see time.score"),
        (credited(0, 0), Status.NOT_RUN, "no position"),
        (credited(9), Status.FAIL, "9 of 10 tokens credited; the rest were never"),
        (credited(11), Status.ERROR, "more than it asked for"),
        (credited(sum_nats=math.nan), Status.ERROR, "nan"),
        (credited(sum_nats=-1.0), Status.ERROR, "-1"),
        (credited(), Status.PASS, "all 10 positions"),
    ],
)
def test_examples(record, status, says):
    finding = score_complete.check(record)
    assert finding.status is status
    assert says in finding.message
    assert finding.unit == ("" if record is None else "tokens")
