import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import claims_delta, claims_steps
from checks.contract import Status
from checks.published import Found, SeedClaim, Value
from tests.checks.records import (
    EARLIER,
    SCORES_BPB,
    claimed,
    claims_of,
    found,
    honest_logs,
    record,
    with_claims,
    with_logs,
)

UNCLAIMED = {"steps": Found(), "step_ms": Found(), "train_s": Found()}


def of_logs(steps, step_ms, stop_ms):
    logs = [
        dataclasses.replace(
            log,
            steps=Value(steps, log.name, 4),
            step_ms=Value(step_ms, log.name, 4),
            stop_ms=stop_ms,
        )
        for log in honest_logs()
    ]
    return claims_steps.check(record(logs, claims_of(logs, **UNCLAIMED)))


@given(st.integers(100, 50_000), st.floats(1, 5_000), st.floats(-0.019, 0.019))
def test_steps_times_step_time_may_be_two_per_cent_off(steps, step_ms, off):
    finding = of_logs(steps, step_ms, found(steps * step_ms / (1 + off)))
    assert finding.status is Status.PASS
    assert finding.measured == pytest.approx(abs(off), abs=1e-9)
    assert finding.limit == claims_steps.TOLERANCE


@given(st.integers(100, 50_000), st.floats(1, 5_000), st.floats(0.021, 5) | st.floats(-0.9, -0.021))
def test_further_off_fails(steps, step_ms, off):
    assert of_logs(steps, step_ms, found(steps * step_ms / (1 + off))).status is Status.FAIL


def test_the_message_has_the_product():
    assert of_logs(10_000, 60.0, found(540_000.0)).message.startswith(
        "train_seed314.log:4: 10,000 steps of 60 ms, 600.0 s; the log's end says 540.0 s; train_seed42"
    )


def test_few_steps_and_no_end_are_not_judged():
    for steps, stop_ms in ((99, found(1.0)), (5_000, Found())):
        assert of_logs(steps, 119.9, stop_ms).status is Status.NOT_RUN


@pytest.mark.parametrize("ends", [(900_000.0, 599_000.0), (599_000.0, 900_000.0)])
def test_of_several_ends_the_nearest_is_compared_and_all_are_named(ends):
    finding = of_logs(6_900, 130.43, found(*ends))
    assert finding.status is Status.PASS
    listed = ", ".join(f"{end / 1e3:.1f}" for end in ends)
    assert finding.message.endswith(
        f"; train_seed42.log states several ends of training ({listed} s)"
    )
    assert of_logs(6_900, 50.0, found(*ends)).status is Status.FAIL


def test_claimed_steps_time_and_step_time_belong_together():
    assert claims_steps.check(with_claims(train_s=claimed(600.0, "t"))).status is Status.PASS
    finding = claims_steps.check(with_claims(train_s=claimed(480.0, "t")))
    assert finding.status is Status.FAIL
    assert finding.message == (
        "submission.json:8 claims 5,000 steps of 119.9 ms, 599.5 s, and 480 s of training"
    )


@pytest.mark.parametrize(
    ("steps", "status"),
    [(5_400, Status.PASS), (6_000, Status.FAIL), (7_500, Status.FAIL), (20_000, Status.PASS)],
)
def test_claimed_steps_may_be_ahead_of_the_last_line_of_a_log_or_be_those_that_were_planned(
    steps, status
):
    per_seed = (SeedClaim(seed=314, steps=claimed(steps, "steps").best),)
    finding = claims_steps.check(with_claims(per_seed=per_seed))
    assert finding.status is status
    if status is Status.FAIL:
        assert finding.limit == claims_steps.LAST_LINE
        assert finding.message.endswith("steps of seed 314; train_seed314.log:4 ends at 5,000")


def test_nothing_stated_together_is_not_run():
    logs = [dataclasses.replace(log, steps=None) for log in honest_logs()]
    claims = claims_of(logs, **(UNCLAIMED | {"steps": claimed(5_000, "steps")}))
    assert claims_steps.check(record(logs, claims)).status is Status.NOT_RUN


# claims.delta

GAIN_BPB = 1.0900 - sum(SCORES_BPB) / 3
GAINS = {
    "bits per byte": GAIN_BPB,
    "nats per byte": GAIN_BPB * math.log(2),
    "nats per token": GAIN_BPB * math.log(2) * 3.727,
}
KEYS = {"delta_bpb": "bits per byte", "gain_nats": "nats per token"}


def delta(value, key, **earlier):
    deltas = (claimed(value, key).best,)
    return claims_delta.check(with_claims(deltas=deltas), **(EARLIER | earlier))


@given(st.sampled_from(sorted(KEYS)), st.integers(4, 8), st.booleans())
def test_the_difference_in_the_unit_that_the_key_says_passes(key, digits, down):
    value = round(GAINS[KEYS[key]], digits) * (-1 if down else 1)
    finding = delta(value, key)
    assert finding.status is Status.PASS
    assert finding.measured == pytest.approx(GAINS["nats per token"])


@pytest.mark.parametrize(
    ("key", "unit"),
    [(key, unit) for key, own in KEYS.items() for unit in GAINS if unit != own],
)
def test_the_difference_in_another_unit_fails_and_says_which(key, unit):
    finding = delta(round(GAINS[unit], 6), key)
    assert finding.status is Status.FAIL
    assert f"that is the difference from the record before in {unit}" in finding.message
    assert finding.message.endswith(f"in {KEYS[key]} it is {GAINS[KEYS[key]]:.5f}")


@given(st.sampled_from(sorted(KEYS)), st.sampled_from(sorted(GAINS)), st.floats(0.006, 0.1))
def test_near_the_difference_in_another_unit_is_not_accused(key, unit, off):
    near = [gain for gain in GAINS.values() if abs(GAINS[unit] * (1 + off) - gain) < 0.005 * gain]
    if not near:
        assert delta(GAINS[unit] * (1 + off), key).status is not Status.FAIL


def test_a_difference_of_the_claimed_losses_counts_as_nats_per_token():
    # PR #1302: the loss is another score's than the bits per byte.
    value = round(2.85000 - 2.79338, 5)
    loss = claimed(2.79338, "val_loss")
    published = with_claims(deltas=(claimed(value, "delta_nats").best,), val_loss=loss)
    finding = claims_delta.check(published, **(EARLIER | {"against_loss": 2.85}))
    assert finding.status is Status.PASS
    assert "as the claimed loss differs from the record before" in finding.message


@pytest.mark.parametrize(
    ("key", "earlier"),
    [
        ("improvement_percent", {}),
        ("improvement_threshold_nats", {}),
        ("delta_nats", {"against_bpb": None}),
        ("delta_nats", {"bytes_per_token": None}),
    ],
)
def test_without_a_unit_or_an_earlier_record_there_is_nothing_to_judge(key, earlier):
    assert delta(GAIN_BPB, key, **earlier).status is Status.NOT_RUN


def test_a_difference_that_no_float_holds_is_not_run():
    huge = {"val_bpb": claimed(1.5e308, "val_bpb"), "deltas": (claimed(0.1, "delta_nats").best,)}
    claims = claims_of(honest_logs(), **huge)
    finding = claims_delta.check(record([], claims), **EARLIER)
    assert finding.status is Status.NOT_RUN
    assert "inf" not in finding.message


def test_without_a_run_the_claimed_score_is_compared():
    claims = claims_of(honest_logs(), deltas=(claimed(round(GAIN_BPB, 5), "delta_bpb").best,))
    assert claims_delta.check(record([], claims), **EARLIER).status is Status.PASS
    assert claims_delta.check(with_logs(), **EARLIER).status is Status.NOT_RUN
