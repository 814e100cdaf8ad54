import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from checks import agreement
from checks.agreement import Gap, gain, hard_tolerance_nats, power, with_control
from checks.contract import Finding, Status
from tests.checks.answers import LIMITS, breach, challenge, repeat

GAPS = st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=2, max_size=40)


def finding(status, message="said"):
    return Finding(id="order.blind", status=status, message=message, evidence={"a": 1})


def judge(gaps, averages=None, limits=LIMITS, **fields):
    entries = [
        Gap(position=i, credited=2.0, answer=None if g is None else 2.0 + g) for i, g in gaps
    ]
    finite = [g for _, g in gaps if g is not None] if averages is None else averages
    return agreement.judge(
        "order.blind", entries, finite, challenge(**fields), limits, what="blind"
    )


# The tolerance


@given(st.lists(st.floats(0, 10), max_size=5))
def test_the_tolerance_lies_between_floor_and_cap(noise):
    tolerance = hard_tolerance_nats(challenge(repeat=tuple(map(repeat, noise))), LIMITS)
    assert LIMITS.floor_nats <= tolerance <= LIMITS.cap_nats
    if noise and LIMITS.floor_nats < 4 * max(noise) < LIMITS.cap_nats:
        assert tolerance == 4 * max(noise)


def test_without_repeats_the_tolerance_is_the_floor():
    assert hard_tolerance_nats(challenge(), LIMITS) == 0.02


# The gain


@given(GAPS, st.sampled_from([0.9, 0.99]))
def test_the_bounds_are_those_of_a_t_interval(gaps, confidence):
    found = gain(gaps, 0.001, confidence)
    assert found.mean == pytest.approx(statistics.fmean(gaps))
    deviation = statistics.stdev(gaps)
    if deviation > 1e-9:
        two_sided = stats.t.interval(
            2 * confidence - 1, len(gaps) - 1, found.mean, deviation / math.sqrt(len(gaps))
        )
        assert (found.lower, found.upper) == pytest.approx(two_sided)


@given(GAPS, st.floats(0.01, 3))
def test_more_confidence_and_fewer_gaps_are_wider(gaps, limit):
    assume(statistics.stdev(gaps) > 1e-6)
    narrow, wide = gain(gaps, limit, 0.95), gain(gaps, limit, 0.99)
    assert wide.lower < narrow.lower <= narrow.upper < wide.upper
    assert gain(gaps * 4, limit, 0.99).upper < wide.upper


@given(GAPS, st.floats(0.001, 3))
def test_status_follows_the_bounds(gaps, limit):
    found = gain(gaps, limit, 0.99)
    status = found.status(limit)
    assert (status is Status.PASS) == (found.upper < limit)
    assert (status is Status.FAIL) == (found.lower > limit)


@given(st.floats(0.0005, 0.01), st.floats(0.01, 1), st.integers(3, 30))
def test_the_number_needed_decides_when_it_is_asked_for(mean, deviation, count):
    """At the same mean and deviation, that many gaps have bounds on one side of the limit."""
    assume(abs(mean - 0.001) > 1e-4)
    gaps = [mean - deviation, mean + deviation] * count
    found = gain(gaps, 0.001, 0.99)
    assert found.needed is None or found.needed > len(gaps)
    assume(found.needed is not None and found.status(0.001) is Status.ERROR)
    sample = statistics.stdev(gaps)
    half = stats.norm.ppf(0.99) * sample / math.sqrt(found.needed)
    assert half <= abs(mean - 0.001) * (1 + 1e-9)


def test_one_gap_has_no_interval():
    with pytest.raises(ValueError, match="no interval"):
        gain([0.1], 0.001, 0.99)


# The power


@given(st.integers(1, 100_000), st.floats(0.6, 0.999))
def test_the_power_is_the_fraction_that_would_be_missed_that_often(count, confidence):
    stated = power(count, confidence)
    miss = (1 - stated["smallest_tainted_fraction"]) ** count
    assert miss == pytest.approx(1 - confidence)


def test_no_question_no_power():
    assert power(0, 0.99) is None


# Both arms


@given(st.lists(st.none() | st.floats(-0.5, 0.5), min_size=2, max_size=20))
def test_one_gap_beyond_the_tolerance_condemns(values):
    found = judge(list(enumerate(values)))
    beyond = [(i, v) for i, v in enumerate(values) if v is None or abs(2.0 + v - 2.0) > 0.02]
    if beyond:
        worst, _ = max(beyond, key=lambda e: math.inf if e[1] is None else abs(2.0 + e[1] - 2.0))
        assert found.status is Status.FAIL
        assert found.message.startswith(f"position {worst}: credited 2.0000 nats, but blind")
        assert f"{len(beyond)} of {len(values)} answers disagree" in found.message
        assert found.evidence["beyond_tolerance"] == len(beyond)
        assert found.evidence["worst"][0]["position"] == worst


def test_probability_zero_is_named_and_left_out_of_the_mean():
    found = judge([(3, None), (4, 0.0), (5, 0.0)])
    assert found.status is Status.FAIL
    assert "probability 0" in found.message
    assert found.measured == 0.0
    assert found.evidence["worst"][0]["answer_nats"] is None


@pytest.mark.parametrize(
    ("gaps", "fields", "status", "says"),
    [
        ([0.0] * 30, {}, Status.PASS, "at most 0 nats/token"),
        ([0.006] * 30, {}, Status.FAIL, "gains 0.0060 nats/token"),
        ([-0.006] * 30, {}, Status.PASS, "at most 0 nats/token"),
        ([0.015, -0.015] * 4, {}, Status.ERROR, "questions would decide"),
        ([0.0], {}, Status.ERROR, "one answer has no interval"),
        ([0.0] * 30, {"span_tokens": 800}, Status.ERROR, "only 80% of the stream"),
        (
            [0.0] * 30,
            {"span_tokens": 800, "breach": breach("future")},
            Status.ERROR,
            "broke off at 80% of the stream: it ended",
        ),
        ([0.0] * 30, {}, Status.PASS, "; peeks at fewer than 0.14 of the positions may go unseen"),
        ([0.0] * 30, {"span_tokens": 900}, Status.PASS, "or in the last 10% of the stream, may go"),
        ([0.03] * 30, {"span_tokens": 10}, Status.FAIL, "position 0"),
        ([0.03] * 30, {"repeat": (repeat(0.01),)}, Status.FAIL, "gains 0.0300"),
    ],
)
def test_examples(gaps, fields, status, says):
    found = judge(list(enumerate(gaps)), **fields)
    assert found.status is status
    assert says in found.message
    assert ("challenges_needed" in found.evidence) == (says == "questions would decide")
    assert found.unit == "nats/token"
    assert found.limit == 0.001


# The control


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("planted", [None, *Status])
def test_only_a_caught_leak_lets_a_pass_stand(status, planted):
    found = with_control(finding(status), None if planted is None else finding(planted, "missed"))
    caught = planted is Status.FAIL
    blind = status is Status.PASS and not caught
    assert found.status is (Status.ERROR if blind else status)
    if blind:
        assert "planted leak was not caught" in found.message
    else:
        assert found.message == "said"
    if status is not Status.NOT_RUN:
        assert found.evidence == {"a": 1, "planted_leak_caught": caught}


def test_a_breach_is_a_fail_that_names_the_question_and_the_position():
    found = agreement.broken_off("order.blind", breach("blind"))
    assert found.status is Status.FAIL
    assert "broke off at a blind question at position 7: it ended" in found.message


@pytest.mark.parametrize(
    ("span_tokens", "replay_ratio", "status"),
    [
        (500, None, Status.PASS),
        (500, 2.0, Status.PASS),
        (500, 2.01, Status.ERROR),
        (1000, 99.0, Status.PASS),
    ],
)
def test_a_slow_replay_may_not_choose_what_is_left_out(span_tokens, replay_ratio, status):
    limits = replace(LIMITS, min_span=0.25)
    fields = {"span_tokens": span_tokens, "replay_ratio": replay_ratio}
    assert judge([(1, 0.0), (2, 0.0)], limits=limits, **fields).status is status


def test_what_ran_out_of_time_is_never_a_pass():
    entries = [(1, 0.0), (2, 0.0)]
    found = judge(entries, limits=replace(LIMITS, min_span=0.0), span_tokens=600, out_of_time=True)
    assert found.status is Status.ERROR
    assert "ran out at 60% of the stream" in found.message
