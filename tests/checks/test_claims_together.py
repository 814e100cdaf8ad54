"""What holds of every check over a published record, and that no fault of one is laid on another."""

import dataclasses
import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from checks.contract import Status
from checks.published import Found, mean
from tests.checks.records import (
    LIMITS,
    any_records,
    checks_of,
    claimed,
    claims_of,
    failing,
    found,
    honest_logs,
    honest_records,
    record,
    score,
    with_claims,
    with_logs,
)


@given(honest_records())
def test_an_honest_record_fails_nothing_and_passes_all_that_applies(published):
    statuses = {name: finding.status for name, finding in checks_of(published).items()}
    assert statuses.pop("claims.delta") is Status.NOT_RUN  # it claims none
    assert set(statuses.values()) == {Status.PASS}


@given(honest_records(), st.integers(3, 10_000), st.sampled_from([-1, 1]))
def test_a_score_moved_by_more_than_its_last_digit_fails_claims_score_alone(published, units, sign):
    value = published.claims.val_bpb.value + sign * units * 1e-5
    scores = [run.score.val_bpb for run in published.headline.runs]
    assume(value > 0.05 and min(abs(one - value) for one in scores) > 4e-5)
    moved = dataclasses.replace(published.claims, val_bpb=claimed(round(value, 5), "val_bpb"))
    assert failing(record(list(published.logs), moved, scripts=published.scripts)) == {
        "claims.score"
    }


@given(any_records())
def test_nothing_that_a_folder_states_makes_a_check_raise_or_write_what_json_cannot_hold(published):
    for name, finding in checks_of(published).items():
        assert finding.id == name
        assert finding.message
        assert finding.status in (Status.PASS, Status.FAIL, Status.NOT_RUN)
        json.dumps(dataclasses.asdict(finding), allow_nan=False)


@given(any_records(), st.data())
def test_the_order_of_logs_and_runs_decides_nothing(published, data):
    runs = tuple(data.draw(st.permutations(published.headline.runs)))
    headline = dataclasses.replace(published.headline, runs=runs)
    logs = tuple(data.draw(st.permutations(published.logs)))
    # Logs of one name cannot lie in one folder; looked up by name, the order would decide.
    assume(len({log.name for log in logs}) == len(logs))
    other = dataclasses.replace(published, headline=headline, logs=logs)
    before, after = checks_of(published), checks_of(other)
    for name, finding in before.items():
        if name == "claims.copies":
            assert finding.measured == after[name].measured
        assert finding.status is after[name].status


@given(honest_records(), st.integers(1, 20_000))
def test_a_record_that_is_worse_throughout_has_the_same_statuses(published, units):
    shift = units * 1e-4
    logs = []
    for log in published.logs:
        (one,) = log.scores
        value = round(one.val_bpb + shift, 8)
        loss = round(value * math.log(2) * 3.727, 8)
        score = dataclasses.replace(one, val_bpb=value, val_loss=loss)
        logs.append(dataclasses.replace(log, scores=(score,)))
    claims = dataclasses.replace(
        published.claims,
        val_bpb=claimed(round(mean([log.scores[0].val_bpb for log in logs]), 5), "val_bpb"),
        val_loss=claimed(round(mean([log.scores[0].val_loss for log in logs]), 5), "val_loss"),
    )
    assert failing(record(logs, claims, scripts=published.scripts)) == set()


FAULTS = {
    "claims.json": lambda: with_claims(strict_json=False, error="Extra data"),
    "claims.score": lambda: with_claims(val_bpb=claimed(1.07100, "val_bpb")),
    "claims.loss": lambda: with_claims(val_loss=claimed(2.79555, "val_loss")),
    "claims.rounding": lambda: with_claims(val_bpb=claimed(1.0812, "val_bpb"), bpb_digits=4),
    "claims.deviation": lambda: with_claims(std_bpb=claimed(0.0001, "val_bpb_std"), std_digits=5),
    "claims.bytes": lambda: with_claims(bytes_total=claimed(15_000_000, "bytes_total")),
    "claims.code": lambda: with_claims(bytes_code=claimed(20_000, "bytes_code")),
    "claims.seeds": lambda: with_claims(seeds=(42, 314, 999, 1337)),
    "claims.steps": lambda: with_claims(steps=claimed(6_000, "steps")),
    "claims.delta": lambda: with_claims(deltas=(claimed(0.00874, "delta_nats").best,)),
    "claims.ratio": lambda: with_logs(val_tokens=found(20_000_000)),
    "evidence.train": lambda: with_logs(stop_ms=found(600_001.0)),
    "evidence.score": lambda: with_logs(total_eval_s=found(600.1)),
    "evidence.bytes": lambda: with_logs(counted=found(LIMITS.cap_bytes + 1)),
    "evidence.seeds": lambda: record(honest_logs()[:2]),
}


@pytest.mark.parametrize("check", FAULTS)
def test_each_fault_breaks_exactly_one_rule(check):
    # The exact mean of these logs, 1.08125741, is 1.0813 with four digits.
    assert failing(record()) == set()
    assert failing(FAULTS[check]()) == {check}


def test_a_copied_log_breaks_exactly_one_rule():
    more = score(1.1, name="sliding")
    logs = [dataclasses.replace(log, scores=(more, *log.scores)) for log in honest_logs()]
    copy = dataclasses.replace(logs[1], scores=logs[0].scores)
    assert failing(record([logs[0], copy, logs[2]])) == {"claims.copies"}
    assert failing(record(logs)) == set()


def test_a_file_that_had_to_be_mended_claims_nothing():
    logs = honest_logs()
    mended = claims_of(logs, strict_json=False, mended=True, error="Extra data", steps=Found())
    published = record(logs, mended)
    assert failing(published) == {"claims.json"}
    statuses = {name: finding.status for name, finding in checks_of(published).items()}
    about_claims = {"score", "loss", "rounding", "deviation", "bytes", "code", "delta"}
    assert {statuses[f"claims.{name}"] for name in about_claims} == {Status.NOT_RUN}
