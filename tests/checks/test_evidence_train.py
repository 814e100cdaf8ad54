import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import evidence_score, evidence_train
from checks.contract import Status
from checks.published import Found, Value
from tests.checks.records import LIMITS, claims_of, found, honest_logs, record, score, with_logs

NON_RECORD = Value("non-record", ".", 0)
TIMES_MS = st.lists(st.floats(0, 700_000), min_size=3, max_size=3)


def stopping(*stops_ms, **changes):
    logs = [
        dataclasses.replace(log, stop_ms=found(stop, file=log.name, line=5))
        for log, stop in zip(honest_logs(), stops_ms, strict=False)
    ]
    return record(logs, **changes)


def verdict(published):
    finding = evidence_train.check(published, LIMITS)
    evidence = finding.evidence
    return finding.status, evidence["outcome"], evidence["outcome_with_grace"]


@given(TIMES_MS)
def test_the_latest_end_is_held_against_the_budget_strictly_and_with_the_grace(stops_ms):
    latest_s = max(stop / 1e3 for stop in stops_ms)
    strict = "over" if latest_s > 600 else "within"
    graced = "over" if latest_s > 601 else "within"
    status = Status.FAIL if strict == "over" else Status.PASS
    assert verdict(stopping(*stops_ms)) == (status, strict, graced)
    finding = evidence_train.check(stopping(*stops_ms), LIMITS)
    assert (finding.measured, finding.limit, finding.unit) == (latest_s, 600, "s")


def test_the_budget_itself_passes_and_the_message_says_what_the_grace_allows():
    assert verdict(stopping(600_000.0)) == (Status.PASS, "within", "within")
    within = evidence_train.check(stopping(600_071.0), LIMITS)
    assert within.message == (
        "train_seed42.log:5: training stopped at 600.071 s of 600 s, 71 ms over, within a grace of 1 s"
    )
    beyond = evidence_train.check(stopping(601_153.0), LIMITS)
    assert beyond.message.endswith("1,153 ms over, also beyond a grace of 1 s")


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((598_000.0, 599_000.0), (Status.PASS, "within", "within")),
        ((700_000.0, 599_000.0), (Status.NOT_RUN, "within", "within")),
        ((599_000.0, 700_000.0), (Status.NOT_RUN, "over", "over")),
        ((601_361.0, 601_153.0), (Status.FAIL, "over", "over")),
    ],
)
def test_several_ends_in_one_log_are_listed_and_settle_nothing_on_both_sides(ends, expected):
    published = with_logs(stop_ms=found(*ends))
    assert verdict(published) == expected
    message = evidence_train.check(published, LIMITS).message
    listed = ", ".join(f"{end / 1e3:.3f}" for end in ends)
    if expected[0] is Status.NOT_RUN:
        assert message.endswith(
            f"; the log states several ({listed}); which one counts cannot be told"
        )
    else:
        assert f" (the log has several: {listed})" in message


def test_a_run_that_is_over_decides_whatever_another_log_says():
    stops = (found(700_000.0, 599_000.0), found(600_500.0), found(599_000.0))
    logs = [
        dataclasses.replace(log, stop_ms=stop)
        for log, stop in zip(honest_logs(), stops, strict=True)
    ]
    assert verdict(record(logs)) == (Status.FAIL, "over", "within")
    assert verdict(record(logs[::2])) == (Status.NOT_RUN, "within", "within")


@pytest.mark.parametrize(
    ("ranks", "over"),
    [
        ((8, 1), "limited"),  # an evaluation on one GPU, printed after the training
        ((1, 8), "limited"),
        ((4,), "on 4 GPUs; the limit is for 8"),
        ((1,), "on 1 GPU; the limit is for 8"),
        ((1, 4), "on 1 or 4 GPUs; the limit is for 8"),
    ],
)
def test_one_line_of_another_number_of_gpus_does_not_switch_the_limits_off(ranks, over):
    for check, fault in (
        (evidence_train, {"stop_ms": found(900_000.0)}),
        (evidence_score, {"total_eval_s": found(900.0)}),
    ):
        finding = check.check(with_logs(ranks=found(*ranks), **fault), LIMITS)
        assert finding.status is (Status.FAIL if over == "limited" else Status.NOT_RUN)
        assert over == "limited" or finding.message.endswith(over)


def test_the_limit_is_for_the_record_track_and_its_gpus():
    over = stopping(900_000.0)
    non_record = dataclasses.replace(over, track=NON_RECORD)
    assert verdict(non_record) == (Status.NOT_RUN, "not_applicable", "not_applicable")
    one_gpu = with_logs(stop_ms=found(900_000.0), ranks=found(1))
    assert verdict(one_gpu) == (Status.NOT_RUN, "over", "over")
    assert evidence_train.check(one_gpu, LIMITS).message.endswith("on 1 GPU; the limit is for 8")
    unknown = with_logs(stop_ms=found(900_000.0), ranks=Found())
    assert verdict(unknown)[0] is Status.FAIL


def test_no_stated_end_is_not_run_and_without_a_headline_every_log_counts():
    assert verdict(with_logs(stop_ms=Found())) == (Status.NOT_RUN, None, None)
    logs = [dataclasses.replace(log, scores=()) for log in honest_logs()]
    logs[1] = dataclasses.replace(logs[1], stop_ms=found(600_500.0))
    published = record(logs, claims_of(honest_logs()))
    assert verdict(published) == (Status.FAIL, "over", "within")


# evidence.score


def evaluated(eval_ms=None, total_s=None, claims_s=(), **changes):
    totals = Found() if total_s is None else found(total_s)
    logs = [
        dataclasses.replace(
            log,
            scores=(score(log.scores[-1].val_bpb, eval_ms=eval_ms),),
            total_eval_s=totals,
            **changes,
        )
        for log in honest_logs()
    ]
    claimed = tuple(Value(value, "submission.json", 5, "eval_time_s") for value in claims_s)
    return record(logs, claims_of(logs, eval_s=claimed))


def judged(published):
    finding = evidence_score.check(published, LIMITS)
    return finding.status, finding.evidence["outcome"], finding.measured


@given(st.floats(0, 1_200_000))
def test_the_time_of_the_score_is_held_against_the_budget(eval_ms):
    outcome = "over" if eval_ms / 1e3 > 600 else "within"
    status = Status.FAIL if outcome == "over" else Status.PASS
    assert judged(evaluated(eval_ms)) == (status, outcome, eval_ms / 1e3)


@given(st.floats(0, 1_200_000), st.floats(0, 1_200))
def test_of_a_stated_total_and_the_time_of_the_score_the_longer_counts(eval_ms, total_s):
    longer_s = max(eval_ms / 1e3, total_s)
    assert judged(evaluated(eval_ms, total_s)) == judged(evaluated(None, longer_s))


@pytest.mark.parametrize(
    ("totals", "own_ms", "expected"),
    [
        ((700.0, 300.0), 90_000.0, (Status.NOT_RUN, "within")),
        ((300.0, 700.0), None, (Status.NOT_RUN, "over")),
        ((700.0, 800.0), 90_000.0, (Status.FAIL, "over")),
        ((200.0, 300.0), 90_000.0, (Status.PASS, "within")),
        ((200.0, 300.0), 900_000.0, (Status.FAIL, "over")),  # less than its part is no total
        ((700.0, 300.0), 900_000.0, (Status.FAIL, "over")),
    ],
)
def test_several_totals_on_both_sides_of_the_budget_settle_nothing(totals, own_ms, expected):
    published = evaluated(own_ms)
    logs = [dataclasses.replace(log, total_eval_s=found(*totals)) for log in published.logs]
    finding = evidence_score.check(record(logs), LIMITS)
    assert (finding.status, finding.evidence["outcome"]) == expected
    assert ("which one counts cannot be told" in finding.message) is (expected[0] == "NOT-RUN")


def test_the_message_names_the_line_where_the_time_stands():
    logs = [
        dataclasses.replace(
            log,
            scores=(dataclasses.replace(log.scores[-1], eval_ms=700_000.0, eval_place="e.log:4"),),
        )
        for log in honest_logs()
    ]
    assert evidence_score.check(record(logs), LIMITS).message.startswith("e.log:4: evaluation")
    total = [
        dataclasses.replace(log, total_eval_s=found(800.0, file="t.log", line=7)) for log in logs
    ]
    assert evidence_score.check(record(total), LIMITS).message.startswith("t.log:7: evaluation")


@pytest.mark.parametrize(
    ("logged_ms", "claims_s", "expected"),
    [
        (115_300.0, (688.0,), (Status.FAIL, "over_by_json_only", 688.0)),
        (600_000.0, (600.0,), (Status.PASS, "within", 600.0)),
        (115_300.0, (115.0, 300.0), (Status.PASS, "within", 115.3)),
        (None, (688.0, 5.0), (Status.FAIL, "over_by_json_only", 688.0)),
        (None, (300.0,), (Status.NOT_RUN, None, 300.0)),
        (None, (), (Status.NOT_RUN, None, None)),
        (700_000.0, (688.0,), (Status.FAIL, "over", 700.0)),
    ],
)
def test_a_claim_over_the_budget_counts_and_one_within_it_proves_nothing(
    logged_ms, claims_s, expected
):
    assert judged(evaluated(logged_ms, None, claims_s)) == expected


def test_the_message_has_claim_and_log():
    finding = evidence_score.check(evaluated(115_300.0, None, (688.0,)), LIMITS)
    assert finding.message == (
        "submission.json:5 claims 688 s of evaluation (eval_time_s), of 600 s; the logs say 115.3 s"
    )


def test_the_evaluation_limit_too_is_for_the_record_track_and_its_gpus():
    over = evaluated(700_000.0)
    non_record = dataclasses.replace(over, track=NON_RECORD)
    assert judged(non_record) == (Status.NOT_RUN, "not_applicable", 700.0)
    assert judged(evaluated(700_000.0, ranks=found(1))) == (Status.NOT_RUN, "over", 700.0)
    assert judged(evaluated(700_000.0, ranks=found(8)))[0] is Status.FAIL
