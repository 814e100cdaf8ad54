"""What a trial holds against a submission, and what may be the trial's own fault."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import bytes_artifact, norm_target, order_blind, score_complete, time_phase
from checks.contract import (
    Artifact,
    Breach,
    Challenge,
    CountedFile,
    Credited,
    Finding,
    Outcome,
    PhaseTime,
    Status,
)
from harness.preflight.doubts import Circumstances, doubted, only_absent
from tests.checks.test_rule_pages import LIMITS, class_gate

PLAIN = Circumstances(fresh=True)
ALL = Circumstances(
    fresh=True, lacking="no triton", no_gpu="no GPU", other_tokenizer="other tokens"
)


def phase(name, outcome):
    return time_phase.check(
        PhaseTime(phase=name, budget_s=1.0, grace_s=0.0, wall_s=0.5, outcome=outcome, detail="d")
    )


def judged(finding, here, *, artifact=None, challenge=None, cap_bytes=100):
    return doubted(finding, here, artifact=artifact, challenge=challenge, cap_bytes=cap_bytes)


def sealed(code, output, refusals=()):
    files = [("code", code), ("manifest", 1), ("output", output)]
    return Artifact(
        files=tuple(
            CountedFile(path=origin, size_bytes=size, sha256="", origin=origin)
            for origin, size in files
        ),
        tokenizer_bytes=0,
        refusals=refusals,
        digest="d",
    )


@given(
    status=st.sampled_from(Status),
    check=st.sampled_from(["time.load", "norm.sum", "bytes.artifact"]),
)
def test_nothing_but_a_fail_is_ever_changed_and_never_to_a_pass(status, check):
    finding = Finding(id=check, status=status, message="m", evidence={"outcome": "exited"})
    found = judged(finding, ALL, artifact=sealed(200, 1))
    assert found == finding or (status is Status.FAIL and found.status is Status.NOT_RUN)
    assert found.message.startswith("m")


@pytest.mark.parametrize("name", ["setup", "load"])
def test_without_reasons_a_crash_is_a_fail(name):
    finding = phase(name, Outcome.EXITED)
    assert judged(finding, PLAIN) is finding
    found = judged(finding, ALL)
    assert found.status is Status.NOT_RUN
    assert found.message.endswith("not held against it here: no triton; no GPU; other tokens")


def test_a_deadline_is_excused_by_a_missing_gpu_alone():
    finding = phase("score", Outcome.DEADLINE)
    assert judged(finding, replace(ALL, no_gpu="")) is finding
    assert judged(finding, ALL).message.endswith("here: no GPU")


def test_a_broken_protocol_is_excused_by_nothing():
    finding = phase("setup", Outcome.BREACH)
    assert judged(finding, ALL) is finding


def credited(kind):
    breach = Breach(kind=kind, message="m", frame=1, position=5)
    return score_complete.check(
        Credited(expected_tokens=9, credited_tokens=5, sum_nats=1.0, breach=breach)
    )


def test_a_scorer_that_went_away_and_one_that_answered_nonsense():
    assert judged(credited("closed"), ALL).status is Status.NOT_RUN
    assert judged(credited("value"), ALL).status is Status.FAIL
    assert judged(credited("closed"), PLAIN).status is Status.FAIL


def test_rows_of_another_length_may_be_of_another_tokenizer():
    breach = Breach(kind="count", message="m", frame=1, position=5, question="blind")
    challenge = Challenge(tokens=9, span_tokens=9, breach=breach)
    finding = order_blind.check(challenge, None, LIMITS)
    assert finding.status is Status.FAIL
    assert judged(finding, PLAIN, challenge=challenge) is finding
    assert judged(finding, ALL, challenge=challenge).message.endswith("here: other tokens")
    # Data that nobody chose for the submission are a reason for this, and for nothing else.
    unchosen = replace(PLAIN, vocabulary="512 tokens")
    assert judged(finding, unchosen, challenge=challenge).message.endswith("here: 512 tokens")
    value = replace(challenge, breach=replace(breach, kind="value"))
    other = order_blind.check(value, None, LIMITS)
    assert judged(other, unchosen, challenge=value) is other
    assert judged(credited("closed"), unchosen).status is Status.FAIL


def test_a_gate_is_found_whatever_the_tokenizer():
    challenge = class_gate()
    finding = norm_target.check(challenge, challenge, LIMITS)
    assert finding.status is Status.FAIL
    assert judged(finding, ALL, challenge=challenge) is finding
    whole = replace(
        challenge, has_predict=False
    )  # a part of a larger vocabulary sums to less than 1
    assert judged(finding, ALL, challenge=whole).status is Status.NOT_RUN


@pytest.mark.parametrize(
    ("artifact", "fresh", "status"),
    [
        (sealed(50, 60), True, Status.NOT_RUN),  # by its weights, which are untrained
        (sealed(50, 60), False, Status.FAIL),
        (sealed(100, 60), True, Status.FAIL),  # by its code and manifest
        (sealed(50, 0, ("output w: is not there",)), True, Status.NOT_RUN),
        (sealed(50, 0, ("output w: is not there",)), False, Status.FAIL),
        (sealed(50, 0, ("output w: is a symbolic link",)), True, Status.FAIL),
        (sealed(50, 0, ("output w: is not there", "code c: is sparse")), True, Status.FAIL),
        (sealed(50, 60, ("code c: is not there",)), True, Status.FAIL),
    ],
)
def test_bytes_of_untrained_weights(artifact, fresh, status):
    finding = bytes_artifact.check(artifact, 100)
    assert finding.status is Status.FAIL
    assert judged(finding, replace(PLAIN, fresh=fresh), artifact=artifact).status is status


def test_only_absent():
    assert only_absent(sealed(1, 1, ("output w: is not there",)))
    assert not only_absent(sealed(1, 1))
    assert not only_absent(None)
