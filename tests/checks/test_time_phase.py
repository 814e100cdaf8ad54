import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import time_phase
from checks.contract import Outcome, PhaseTime, Status

PHASES = st.sampled_from(["setup", "train", "load", "score"])
SECONDS = st.floats(0, 1e5, allow_nan=False)


@st.composite
def times(draw, **fixed):
    fields = {
        "phase": draw(PHASES),
        "budget_s": draw(st.floats(1e-3, 1e5)),
        "grace_s": draw(st.sampled_from([0.0, 0.2, 5.0])),
        "wall_s": draw(SECONDS),
        "outcome": draw(st.sampled_from(Outcome)),
        "detail": draw(st.sampled_from(["", "exit status 3"])),
    }
    return PhaseTime(**{**fields, **fixed})


def time(phase="train", wall_s=1.0, outcome=Outcome.DONE, budget_s=60.0, grace_s=0.0, detail=""):
    return PhaseTime(
        phase=phase,
        budget_s=budget_s,
        grace_s=grace_s,
        wall_s=wall_s,
        outcome=outcome,
        detail=detail,
    )


@given(times())
def test_passes_exactly_when_done_within_budget_and_grace(record):
    finding = time_phase.check(record)
    within = record.wall_s <= record.budget_s + record.grace_s
    assert (finding.status is Status.PASS) == (within and record.outcome is Outcome.DONE)
    assert finding.id == f"time.{record.phase}"
    assert finding.limit == record.budget_s + record.grace_s
    assert finding.unit == "s"


@given(times(outcome=Outcome.DEADLINE))
def test_a_deadline_always_fails(record):
    assert time_phase.check(record).status is Status.FAIL


@given(times(outcome=Outcome.NOT_STARTED))
def test_a_phase_that_was_not_started_measures_nothing(record):
    finding = time_phase.check(record)
    assert finding.status is Status.NOT_RUN
    assert finding.measured is None


@given(PHASES, st.floats(0.1, 1e5), st.floats(0, 10))
def test_the_limit_itself_passes_and_the_next_number_fails(phase, budget_s, grace_s):
    limit_s = budget_s + grace_s
    at = time(phase, limit_s, budget_s=budget_s, grace_s=grace_s)
    above = time(phase, math.nextafter(limit_s, math.inf), budget_s=budget_s, grace_s=grace_s)
    assert time_phase.check(at).status is Status.PASS
    finding = time_phase.check(above)
    assert finding.status is Status.FAIL
    assert " 0 ms" not in finding.message


@given(times())
def test_more_time_never_turns_a_finding_green(record):
    longer = PhaseTime(
        phase=record.phase,
        budget_s=record.budget_s,
        grace_s=record.grace_s,
        wall_s=record.wall_s + 1,
        outcome=record.outcome,
    )
    if time_phase.check(record).status is not Status.PASS:
        assert time_phase.check(longer).status is not Status.PASS


def test_the_excess_is_stated_in_milliseconds():
    """The overrun of contest PR #1908: 601.153 s of 600 s."""
    finding = time_phase.check(time(wall_s=601.153, budget_s=600.0))
    assert finding.status is Status.FAIL
    assert "601.153 s of 600 s, 1,153 ms over" in finding.message


@pytest.mark.parametrize("outcome", [Outcome.EXITED, Outcome.BREACH])
@pytest.mark.parametrize("phase", ["setup", "train", "load"])
def test_a_phase_that_ended_without_its_work_fails_and_says_why(phase, outcome):
    finding = time_phase.check(time(phase, outcome=outcome, detail="exit status 3"))
    assert finding.status is Status.FAIL
    assert "without doing what the phase asks: exit status 3" in finding.message


@pytest.mark.parametrize("outcome", [Outcome.EXITED, Outcome.BREACH])
def test_a_session_that_ended_early_is_left_to_score_complete(outcome):
    finding = time_phase.check(time("score", 3.2, outcome))
    assert finding.status is Status.NOT_RUN
    assert finding.message == "the session ended early, at 3.200 s of 60 s; see score.complete"
    assert time_phase.check(time("score", 60.1, outcome)).status is Status.FAIL


def test_a_phase_without_a_rule_is_refused():
    with pytest.raises(ValueError, match="challenge"):
        time_phase.check(time("challenge"))
