import dataclasses
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import published
from checks.published import Found, Value, bytes_per_token, mean, place, std
from tests.checks.records import bits, found, record, score, with_claims

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=1, max_size=6))
def test_a_mean_is_finite_and_no_larger_than_its_values(values):
    assert math.isfinite(mean(values))
    assert abs(mean(values)) <= max(map(abs, values)) * (1 + 1e-12) + 1e-300


@given(st.lists(bits, min_size=2, max_size=6))
def test_mean_and_deviation_are_those_of_the_standard_library(values):
    assert mean(values) == pytest.approx(statistics.mean(values), rel=1e-15)
    assert std(values) == statistics.stdev(values)


def test_one_value_missing_makes_all_of_them_missing():
    assert mean([]) is None
    assert mean([1.0, None]) is None
    assert std([1.0, None, 2.0]) is None
    assert std([1.0]) is None


def test_what_no_float_holds_is_none_or_exact():
    assert mean([1.7e308] * 3) == 1.7e308
    assert std([1.7e308, -1.7e308]) is None
    assert bytes_per_token(1e300, 1e-300) is None
    assert bytes_per_token(1e-300, 1e300) is None


@given(bits, bits)
def test_bytes_per_token_are_nats_over_nats(loss, bpb):
    assert bytes_per_token(loss, bpb) == pytest.approx(loss / (math.log(2) * bpb))
    assert bytes_per_token(-loss, bpb) is None
    assert bytes_per_token(loss, 0.0) is None
    assert bytes_per_token(None, bpb) is None


def test_scored_bytes_are_ratio_times_tokens_or_what_the_line_says():
    run = record().headline.runs[0]
    assert run.scored_bytes == pytest.approx(3.727 * 40_540_160)
    stated = dataclasses.replace(run, score=score(1.0, val_loss=None, text_bytes=77))
    assert stated.scored_bytes == 77
    ambiguous = dataclasses.replace(run, val_tokens=found(1, 2))
    assert ambiguous.scored_bytes is None
    huge = dataclasses.replace(run, score=score(1e-290, val_loss=1e10), val_tokens=found(10**18))
    assert huge.scored_bytes is None


def test_equal_values_leave_nothing_to_choose():
    assert found(1, 1).candidates == ()
    assert [value.value for value in found(1, 2, 1).candidates] == [1, 2]
    assert Found().best is None
    assert found(1, 2).value == 2


def test_places_count_from_either_end():
    assert Value(1, "a.log", 7).place == "a.log:7"
    assert place("a.log", 0) == "a.log"
    assert place("a.log", -1234) == "a.log, line 1,234 from the end"


def test_claims_that_had_to_be_mended_are_not_usable():
    assert with_claims(mended=True).usable is None
    assert record(claims=None).usable is None
    assert record().usable is not None


@pytest.mark.parametrize(
    ("digits", "slack"), [(0, 0.0051), (1, 0.0051), (2, 0.0051), (3, 0.00051), (4, 1e-4), (8, 1e-8)]
)
def test_how_far_a_value_may_lie_from_its_digits(digits, slack):
    assert published.slack(digits) == pytest.approx(slack, rel=1e-12)


def test_a_score_is_completed_by_what_the_other_line_has_and_nothing_else():
    own = published.Score("a", "l:1", None, 1.1, None, bpb_digits=8)
    empty = dataclasses.replace(own, place="l:2")
    assert published.completed(own, empty) == own
    other = dataclasses.replace(
        own, place="l:3", val_loss=1.9, loss_digits=4, eval_ms=7.0, text_bytes=5
    )
    made = published.completed(own, other)
    assert (made.val_loss, made.loss_digits, made.loss_place) == (1.9, 4, "l:3")
    assert (made.eval_ms, made.eval_place, made.text_bytes) == (7.0, "l:3", 5)
    assert (made.place, made.bpb_digits) == ("l:1", 8)
    assert published.completed(made, dataclasses.replace(other, val_loss=2.0, eval_ms=8.0)) == made
