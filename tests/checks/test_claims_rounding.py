import statistics

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from checks import claims_deviation, claims_rounding
from checks.contract import Status
from checks.published import Found, Value
from tests.checks.records import (
    SCORES_BPB,
    bits,
    claimed,
    claims_of,
    honest_logs,
    record,
    with_claims,
)

EXACT = 1.08125741


def titled(text, logs=None, **claims):
    logs = logs or honest_logs()
    texts = (Value(text, "README.md", 1, "title"),)
    return claims_rounding.check(record(logs, claims_of(logs, **claims), texts=texts))


@given(st.lists(bits, min_size=1, max_size=6, unique=True), st.integers(4, 8))
def test_the_exact_mean_rounded_once_is_no_slip_at_any_number_of_digits(scores, digits):
    logs = honest_logs(scores, range(len(scores)))
    value = round(sum(scores) / len(scores), digits)
    finding = titled(f"{value:.{digits}f}", logs, val_bpb=claimed(value, "b"), bpb_digits=digits)
    assert (finding.status, finding.evidence["slips"]) == (Status.PASS, 0)


@given(st.lists(bits, min_size=2, max_size=6, unique=True))
def test_a_claim_fails_exactly_where_it_is_better_than_the_mean_rounded(scores):
    logs = honest_logs(scores, range(len(scores)))
    units = sum(scores) / len(scores) * 1e5
    assume(abs(units % 1 - 0.5) > 1e-3)  # half-way, both ways of rounding are right
    right = round(sum(scores) / len(scores), 5)
    for units, status in ((-1, Status.FAIL), (0, Status.PASS), (1, Status.PASS)):
        claim = claimed(round(right + units * 1e-5, 5), "val_bpb")
        finding = claims_rounding.check(record(logs, claims_of(logs, val_bpb=claim)))
        if finding.status is not Status.NOT_RUN:  # a whole unit and a half away: claims.score's
            assert finding.status is status
            assert finding.evidence["slips"] == abs(units)


def test_a_mean_of_rounded_values_is_told_from_a_cut_digit():
    # As PR #1302: 1.0791, 1.0792 and 1.0796 give 1.0793; exactly it is 1.07924.
    logs = honest_logs([1.07905, 1.07915, 1.07952])
    slip = titled("1.0793", logs)
    assert slip.status is Status.PASS
    assert slip.message == (
        "title in README.md:1 says 1.0793; the exact mean 1.07924000 rounds to 1.0792; "
        "it is the mean of values rounded to 4 digits"
    )
    cut = titled("1.0812")
    assert cut.message.endswith("rounds to 1.0813; digits were cut off")


@pytest.mark.parametrize(
    ("text", "slips"),
    [
        ("1.0812", 1),
        ("1.0813", 0),
        ("1.0811", 1),
        ("1.0810", 0),  # two units off and more: somebody else's
        ("1.082", 0),  # too short to be told from others
        ("11.0812", 0),
        ("1.08125", 1),
        ("1.08126 beats 1.0812", 1),
    ],
)
def test_only_quotes_of_the_mean_are_looked_at(text, slips):
    finding = titled(text)
    assert (finding.status, finding.evidence["slips"]) == (Status.PASS, slips)


def test_nothing_is_said_of_a_claim_that_the_logs_do_not_give():
    wrong = with_claims(val_bpb=claimed(1.07, "val_bpb"))
    assert claims_rounding.check(wrong).status is Status.NOT_RUN
    assert claims_rounding.check(record(claims=None)).status is Status.NOT_RUN


# claims.deviation


def deviation(value, digits, logs=None, **more):
    logs = logs or honest_logs()
    claims = claims_of(logs, std_bpb=claimed(value, "val_bpb_std"), std_digits=digits, **more)
    return claims_deviation.check(record(logs, claims))


@given(st.lists(bits, min_size=2, max_size=6, unique=True), st.integers(4, 8), st.booleans())
def test_both_deviations_are_agreed_to_at_any_number_of_digits(scores, digits, population):
    logs = honest_logs(scores, range(len(scores)))
    how = statistics.pstdev if population else statistics.stdev
    finding = deviation(round(how(scores), digits), digits, logs)
    assert finding.status is Status.PASS
    assert finding.measured == pytest.approx(statistics.stdev(scores))


@given(st.floats(1.05, 50) | st.floats(0.02, 0.75))
def test_another_deviation_fails(factor):
    finding = deviation(statistics.stdev(SCORES_BPB) * factor, 12)
    assert finding.status is Status.FAIL


def test_a_slip_in_the_last_of_two_digits_is_within_two_per_cent():
    # 0.00028183 as 0.00028 and, a unit too small, 0.000277.
    assert deviation(0.00028, 5).status is Status.PASS
    assert deviation(0.000277, 6).status is Status.PASS
    assert deviation(0.000275, 6).status is Status.FAIL


def test_the_message_says_of_what_it_is_the_deviation():
    rounded = statistics.stdev([round(value, 4) for value in SCORES_BPB])
    finding = deviation(round(rounded, 7), 7)
    assert finding.message == (
        f"submission.json:3 claims {rounded:.7f}; the deviation of scores rounded to 4 digits is "
        f"{rounded:.8f}"
    )
    assert finding.status is Status.PASS


def test_a_deviation_of_the_nats_agrees_where_the_key_does_not_say_bits_per_byte():
    nats = round(statistics.stdev([log.scores[-1].val_loss for log in honest_logs()]), 6)
    for key, status in (("std", Status.PASS), ("val_bpb_std", Status.FAIL)):
        finding = claims_deviation.check(with_claims(std_bpb=claimed(nats, key), std_digits=6))
        assert finding.status is status
        assert ("the logged nats per token" in finding.message) is (status is Status.PASS)
    other = with_claims(std_bpb=claimed(round(nats * 1.2, 6), "std"), std_digits=6)
    assert claims_deviation.check(other).status is Status.FAIL


def test_one_run_has_no_deviation_to_compare():
    assert deviation(0.0001, 4, honest_logs()[:1]).status is Status.NOT_RUN
    assert claims_deviation.check(with_claims(std_bpb=Found())).status is Status.NOT_RUN
    moved = deviation(0.5, 4, val_bpb=claimed(1.07, "val_bpb"))
    assert moved.status is Status.NOT_RUN  # which runs it is of is not known
