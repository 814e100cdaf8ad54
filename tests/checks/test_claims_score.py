import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import claims_json, claims_score
from checks.contract import Status
from checks.published import Found, Value
from tests.checks.records import (
    JSON,
    SCORES_BPB,
    bits,
    claimed,
    claims_of,
    honest_logs,
    logged,
    record,
    score,
    with_claims,
)

MEAN = sum(SCORES_BPB) / 3


def outcome(published):
    finding = claims_score.check(published)
    return finding.status, finding.evidence["outcome"]


@given(st.lists(bits, min_size=2, max_size=5, unique=True), st.integers(4, 8))
def test_the_mean_of_the_logs_is_agreed_to_at_any_number_of_digits(scores, digits):
    logs = honest_logs(scores, range(len(scores)))
    value = claimed(round(sum(scores) / len(scores), digits), "val_bpb")
    finding = claims_score.check(record(logs, claims_of(logs, val_bpb=value, bpb_digits=digits)))
    assert finding.status is Status.PASS
    assert finding.measured == pytest.approx(sum(scores) / len(scores))
    assert finding.limit == value.value


@pytest.mark.parametrize(
    ("claim", "word"),
    [
        (1.07100, "json_better_than_every_log"),
        (1.09000, "json_worse_than_the_logs"),
        (1.08116, "differs"),
    ],
)
def test_a_claim_that_the_logs_do_not_give_is_told_apart_by_where_it_lies(claim, word):
    published = with_claims(val_bpb=claimed(claim, "val_bpb"))
    assert outcome(published) == (Status.FAIL, word)


def test_better_than_these_logs_and_not_than_others_names_these():
    old = dataclasses.replace(logged(7, score(1.07, name="other")), seed=Found())
    logs = [*honest_logs(), old]
    claims = claims_of(honest_logs(), val_bpb=claimed(1.07555, "val_bpb"))
    finding = claims_score.check(record(logs, claims))
    assert finding.evidence["outcome"] == "json_better_than_every_log"
    assert "better than each of these logs (best: 1.08098765)" in finding.message


def test_a_line_from_the_middle_of_training_is_named():
    logs = honest_logs()
    middle = score(1.077713, name="step", place="x", validation=True)
    logs[0] = dataclasses.replace(logs[0], scores=(middle, *logs[0].scores))
    claims = claims_of(logs, val_bpb=claimed(1.07771, "val_bpb"))
    finding = claims_score.check(record(logs, claims))
    assert finding.status is Status.FAIL
    assert finding.evidence["outcome"] == "claim_is_not_the_artifact_score"
    assert finding.message.endswith("the claim is a line from the middle of training (x)")


def test_nats_in_the_field_of_bits_are_named():
    logs = honest_logs()
    loss = claims_of(logs).val_loss.value
    claims = claims_of(logs, val_bpb=claimed(loss, "val_bpb"))
    assert outcome(record(logs, claims)) == (Status.FAIL, "agree_wrong_field")


def quantised_after(before, *finals):
    """Return a record that claims the score `before`, of logs that state it and then these final ones."""
    logs = [
        dataclasses.replace(
            log,
            scores=(
                score(1.02 + i / 1e4, name=before),
                *(score(value + i / 1e4, name=name) for name, value in finals),
            ),
        )
        for i, log in enumerate(honest_logs())
    ]
    claim = claimed(1.0201, "val_bpb")
    return record(logs, claims_of(logs, val_bpb=claim, val_loss=Found(), std_bpb=Found()))


BEFORE = [
    "diagnostic pre-quantization post-ema",
    "DIAGNOSTIC post_ema",
    "post_swa",
    "pre_quant",
    "ema",
]
FINAL = ("final_int6_sliding_window", 1.2)


@pytest.mark.parametrize("name", BEFORE)
def test_a_score_from_before_quantising_is_not_that_of_the_artifact(name):
    published = quantised_after(name, ("final_int6_roundtrip", 1.22), FINAL)
    assert outcome(published) == (Status.FAIL, "claim_is_not_the_artifact_score")
    assert claims_score.check(published).message.endswith(
        f"({name}, 3 logs); that is a score from before quantising, and the same logs state "
        "1.20010000 (final_int6_sliding_window)"
    )


@pytest.mark.parametrize(
    ("name", "finals"),
    [
        ("diagnostic post_ema", []),  # nothing else is there to claim
        ("diagnostic post_ema", [("delta", 1.2)]),
        ("diagnostic quantized", [FINAL]),
        ("final_int6_ema", [FINAL]),
        ("remaining", [FINAL]),
        ("diagnostic post_ema", [("final_int6_roundtrip", 1.02)]),  # the final one gives it, too
        ("diagnostic post_ema", [("quantized_ttt", 1.01)]),  # worse than the artifact's: no gain
    ],
)
def test_a_score_that_is_the_artifacts_or_no_better_is_not_accused(name, finals):
    assert outcome(quantised_after(name, *finals)) == (Status.PASS, "agree")


def test_a_log_without_a_final_score_leaves_it_open():
    published = quantised_after("diagnostic post_ema", FINAL)
    first, *rest = published.logs
    logs = [dataclasses.replace(first, scores=first.scores[:1]), *rest]
    assert outcome(record(logs, published.claims)) == (Status.PASS, "agree")


def test_nothing_to_compare_is_not_run_and_says_why():
    logs, mended = honest_logs(), claims_of(honest_logs(), mended=True)
    no_score = [dataclasses.replace(log, scores=()) for log in logs]
    assert outcome(record(claims=None)) == (Status.NOT_RUN, "no_claim")
    assert outcome(record(logs, mended)) == (Status.NOT_RUN, "json_unreadable")
    assert outcome(with_claims(val_bpb=Found())) == (Status.NOT_RUN, "no_claim")
    assert outcome(record([], claims_of(logs))) == (Status.NOT_RUN, "no_log")
    assert outcome(record(no_score, claims_of(logs))) == (Status.NOT_RUN, "no_metric_in_logs")


def test_the_message_names_line_claim_mean_and_score():
    assert claims_score.check(record()).message == (
        f"{JSON}:3 claims 1.08126; the logs' mean is {MEAN:.8f} (final, 3 logs)"
    )
    one = honest_logs()[:1]
    assert claims_score.check(record(one)).message.endswith("(final, 1 log)")


def test_json_is_judged_by_the_strict_reader():
    assert claims_json.check(record()).message == "submission.json is JSON"
    marked = claims_json.check(with_claims(strict_json=False, error="a byte order mark"))
    assert marked.status is Status.FAIL
    assert marked.message == "submission.json is not strict JSON: a byte order mark"
    mended = claims_json.check(with_claims(strict_json=False, mended=True, error="Extra data"))
    assert mended.message.endswith("it was read after mending, and no claim of it is used")
    assert claims_json.check(record(claims=None)).message == "there is no submission.json"
    assert claims_json.check(record(claims=None)).status is Status.FAIL


@pytest.mark.parametrize(
    ("problem", "file", "why"),
    [
        ("is a link; not followed", JSON, "is a link; not followed"),
        ("cannot be read", JSON, "it may not be read"),
        ("cannot be listed", ".", "the folder cannot be listed"),
        ("is a link; not followed", "train.log", None),
        ("cannot be listed", "logs/", None),
        ("more than 10,000 files or folders; not all are read", ".", None),
    ],
)
def test_a_file_that_cannot_be_read_is_not_called_missing(problem, file, why):
    finding = claims_json.check(record(claims=None, problems=(Value(problem, file, 0),)))
    if why is None:
        assert finding.status is Status.FAIL
    else:
        assert finding.status is Status.NOT_RUN
        assert finding.message == f"submission.json cannot be read ({why})"


def test_what_else_is_claimed_is_said():
    published = record()
    claims = published.claims
    first = claims.val_bpb.best
    second = dataclasses.replace(first, value=first.value - 0.03, line=9, words="mean_val_bpb")
    both = dataclasses.replace(claims, val_bpb=Found((second, first)))
    finding = claims_score.check(dataclasses.replace(published, claims=both))
    assert f"; also stated: mean_val_bpb {second.value:g} (submission.json:9)" in finding.message
    assert "also stated" not in claims_score.check(published).message
