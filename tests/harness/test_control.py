import dataclasses
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import agreement, norm_sum, norm_target, order_blind, order_future
from checks.contract import Status
from harness import control, ruleset
from harness.examine import _controls
from tests.scorers import LIMITS, Bigram, Noisy, counts, examine, stream, subject

CHECKS = {m.ID: m for m in (order_future, order_blind, norm_sum, norm_target)}
SECRETS = st.text("0123456789abcdef", min_size=4, max_size=4)


def honest(vocab_size=16, tokens=600, size=100, *, has_predict=True, make=Bigram):
    return subject(
        partial(make, vocab_size),
        stream(tokens, vocab_size),
        size,
        vocab_size,
        has_predict=has_predict,
    )


@given(
    st.sampled_from(list(CHECKS)),
    st.integers(1, 10_000),
    st.floats(1e-4, 0.1),
    st.floats(1e-3, 0.5),
)
def test_what_is_planted_is_met_and_is_no_smaller_than_the_threshold(
    check, questions, threshold, tolerance
):
    leak = control.planted(check, questions, threshold, tolerance)
    assert 0 < leak.fraction <= 1
    assert leak.gain_nats >= 2 * tolerance
    assert (1 - leak.fraction) ** questions <= control.MISS * (1 + 1e-6)
    assert leak.nats_per_token >= threshold * (1 - 1e-9)


def test_the_blind_leak_is_as_small_as_the_questions_allow():
    few, many = (control.planted("order.blind", n, 0.005, 0.02) for n in (8, 4000))
    assert many.fraction < 0.005 < 0.8 < few.fraction
    assert many.nats_per_token == pytest.approx(0.005)


@given(st.floats(0.001, 1.0), st.integers(0, 1 << 40))
def test_tainted_positions_are_spread_over_the_stream_at_the_fraction(fraction, first):
    tainted_n = control._tainted(first, 20_000, fraction)
    assert abs(tainted_n.mean() - fraction) < 0.02
    assert abs(tainted_n[::2].mean() - fraction) < 0.03
    later = control._tainted(first + 100, 500, fraction)
    assert (later == tainted_n[100:600]).all()


@pytest.mark.parametrize("has_predict", [True, False])
@pytest.mark.parametrize("name", ["smoke", "parameter-golf"])
def test_every_shipped_ruleset_catches_its_planted_leaks(name, has_predict):
    rules = ruleset.load(name).ruleset
    about = honest(vocab_size=32, tokens=4000, size=500, has_predict=has_predict)
    asked = counts(blind=0, target=0, target_whole=0, repeat=1)
    record = examine(partial(Bigram, 32), about, asked)
    for secret in range(8):
        planted = _controls(rules, about, record, str(secret))
        assert set(planted) == set(CHECKS)
        for check, leaking in planted.items():
            found = CHECKS[check]._judge(leaking, rules.tolerances())
            assert found.status is Status.FAIL, found.message


@pytest.mark.parametrize("check", list(CHECKS))
def test_a_leak_is_caught_by_its_own_check(check):
    """Other checks may see it too; what counts is that the one it is for does."""
    leak = control.planted(check, 60, 0.005, 0.02)
    record = control.examine(leak, honest(), counts(blind=60, future=8), "secret")
    assert CHECKS[check]._judge(record, LIMITS).status is Status.FAIL


@pytest.mark.parametrize("check", list(CHECKS))
def test_without_questions_nothing_is_caught(check):
    none = counts(blind=0, future=0, target=0, target_whole=0, repeat=0)
    leak = control.planted(check, 60, 0.005, 0.02)
    record = control.examine(leak, honest(), none, "secret")
    assert CHECKS[check]._judge(record, LIMITS).status is Status.NOT_RUN


@pytest.mark.parametrize("check", list(CHECKS))
@pytest.mark.parametrize("kind", ["target", "future", "sum", "class"])
def test_a_scorer_that_leaks_nothing_passes(check, kind):
    leak = control.Leak(kind=kind, fraction=0.0, gain_nats=0.0)
    record = control.examine(leak, honest(), counts(), "secret")
    assert CHECKS[check]._judge(record, LIMITS).status is Status.PASS


@given(SECRETS, st.booleans())
def test_a_control_depends_on_the_secret_and_not_on_the_submission(secret, has_predict):
    one = honest(has_predict=has_predict)
    other = dataclasses.replace(one, credited_N=np.full(len(one.stream_N), 3.0))
    leak = control.planted("order.blind", 40, 0.005, 0.02)
    assert control.examine(leak, one, counts(), secret) == control.examine(
        leak, other, counts(), secret
    )


def test_a_noisy_submission_has_to_face_a_larger_leak():
    """The leak follows the tolerance that the submission's own repeats set."""
    rules = ruleset.load("smoke").ruleset
    tolerances = []
    for make in (Bigram, Noisy):
        about = honest(make=make)
        record = examine(partial(make, 16, seed=0), about, counts(), "secret")
        tolerances.append(agreement.hard_tolerance_nats(record, LIMITS))
        for check, planted in _controls(rules, about, record, "secret").items():
            assert CHECKS[check]._judge(planted, LIMITS).status is Status.FAIL
    assert tolerances[0] == LIMITS.floor_nats


def test_no_challenge_no_control():
    assert _controls(ruleset.load("smoke").ruleset, honest(), None, "secret") == {}


def test_a_long_stream_is_replayed_to_the_control_only_so_far():
    about = honest(tokens=200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(control, "CONTROL_TOKENS", 150)
        leak = control.planted("norm.sum", 10, 0.005, 0.02)
        assert control.examine(leak, about, counts(), "secret").tokens == 150
