import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import claims_loss
from checks.contract import Status
from checks.published import Found
from tests.checks.records import (
    SCORES_BPB,
    claimed,
    claims_of,
    honest_logs,
    record,
    score,
    with_claims,
)


def verdict(published):
    finding = claims_loss.check(published)
    return finding.status, finding.evidence["outcome"]


@given(st.integers(2, 8))
def test_the_mean_of_the_logs_is_agreed_to_at_any_number_of_digits(digits):
    logs = honest_logs()
    losses = [log.scores[-1].val_loss for log in logs]
    value = claimed(round(sum(losses) / 3, digits), "val_loss")
    published = record(logs, claims_of(logs, val_loss=value, loss_digits=digits))
    assert verdict(published) == (Status.PASS, "agree")


@given(st.integers(2, 9_000), st.sampled_from([-1, 1]))
def test_a_loss_of_no_score_fails(units, sign):
    logs = honest_logs()
    value = claims_of(logs).val_loss.value + sign * units * 1e-5
    other = sum(log.scores[0].val_loss for log in logs) / 3
    if abs(value - other) > 2e-5:
        published = with_claims(val_loss=claimed(round(value, 5), "val_loss"))
        assert verdict(published) == (Status.FAIL, "differs")


def test_the_loss_of_another_score_of_the_same_logs_is_named():
    # PR #1302: val_loss is the sliding window's, val_bpb has the n-gram part.
    logs = honest_logs()
    other = sum(log.scores[0].val_loss for log in logs) / 3
    finding = claims_loss.check(with_claims(val_loss=claimed(round(other, 5), "val_loss")))
    assert (finding.status, finding.evidence["outcome"]) == (Status.FAIL, "is_another_metric")
    assert finding.measured == pytest.approx(other)
    assert f"that is the mean of quantised ({other:.8f})" in finding.message


def test_a_score_in_a_joined_log_is_looked_at_too():
    logs = honest_logs()
    apart = [
        dataclasses.replace(log, scores=log.scores[1:], name=f"eval_{log.name}") for log in logs
    ]
    trained = [dataclasses.replace(log, scores=log.scores[:1]) for log in logs]
    other = sum(log.scores[0].val_loss for log in logs) / 3
    published = record(apart, claims_of(apart, val_loss=claimed(round(other, 5), "val_loss")))
    assert verdict(published) == (Status.FAIL, "differs")
    runs = tuple(
        dataclasses.replace(run, joined=(log.name,))
        for run, log in zip(published.headline.runs, trained, strict=True)
    )
    headline = dataclasses.replace(published.headline, runs=runs)
    joined = dataclasses.replace(published, headline=headline, logs=(*published.logs, *trained))
    assert verdict(joined) == (Status.FAIL, "is_another_metric")


def test_a_right_loss_beside_a_wrong_score_is_no_fault_of_the_loss():
    published = with_claims(val_bpb=claimed(1.07000, "val_bpb"))
    assert verdict(published) == (Status.NOT_RUN, "is_another_metric")


def test_bits_per_byte_in_nats_per_byte_agree_and_are_named():
    value = sum(SCORES_BPB) / 3 * math.log(2)
    finding = claims_loss.check(with_claims(val_loss=claimed(round(value, 5), "val_loss")))
    assert (finding.status, finding.evidence["outcome"]) == (Status.PASS, "agree")
    assert finding.message.endswith(f"; that is the bits per byte in nats per byte ({value:.8f})")
    near = with_claims(val_loss=claimed(round(value, 5) + 2e-4, "val_loss"))
    assert verdict(near) == (Status.FAIL, "differs")


def test_no_claim_or_no_logged_loss_is_not_run():
    assert verdict(with_claims(val_loss=Found())) == (Status.NOT_RUN, None)
    logs = [
        dataclasses.replace(log, scores=(score(log.scores[-1].val_bpb, val_loss=None),))
        for log in honest_logs()
    ]
    claims = claims_of(logs, val_loss=claimed(2.79, "val_loss"), loss_digits=2)
    assert verdict(record(logs, claims)) == (Status.NOT_RUN, None)


def test_few_digits_are_no_excuse():
    # 2.79324 has 2.79 with two digits; 2.80 is more than half a unit away.
    assert verdict(with_claims(val_loss=claimed(2.79, "val_loss"), loss_digits=2))[1] == "agree"
    assert verdict(with_claims(val_loss=claimed(2.80, "val_loss"), loss_digits=2))[1] != "agree"
