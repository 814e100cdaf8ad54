"""The mixer: sums to one for every input, never looks at the target, leaves no trace before `accept`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from submission.mixer import (
    NEUTRAL,
    NO_HINT,
    Hints,
    MatchModel,
    MixerConfig,
    features,
    fit_weights,
    mix_nats,
    mix_row,
    sigmoid,
)

CONFIG = MixerConfig(lengths=(1, 2, 4), table_bits=6)
STREAMS = st.lists(st.integers(0, 3), min_size=1, max_size=80).map(np.array)
WEIGHTS = st.tuples(*[st.floats(-5, 5)] * 3)


def brute_force(stream, position, config):
    """The slow oracle: per context length the token after its last occurrence, the longest match first."""
    tokens = []
    for length in config.lengths:
        context = list(stream[position - length : position]) if position >= length else None
        found = [
            at
            for at in range(length, position)
            if context is not None and list(stream[at - length : at]) == context
        ]
        tokens.append(int(stream[found[-1]]) if found else NO_HINT)
    matched = [k for k, token in enumerate(tokens) if token != NO_HINT]
    if not matched:
        return NO_HINT, 0
    hint = tokens[matched[-1]]
    return hint, matched[-1] * len(config.lengths) + tokens.count(hint) - 1


@st.composite
def rows(draw):
    """Normalised log-probabilities, with sure things and impossible ones among them."""
    logits = draw(st.lists(st.floats(-40, 40) | st.just(-np.inf), min_size=2, max_size=12))
    logits_V = np.array(logits)
    logits_V[draw(st.integers(0, len(logits) - 1))] = draw(st.floats(-40, 40))
    return log_softmax(logits_V)


def log_softmax(logits_V):
    """As torch does it: the largest first, so that a peaked row is normalised to the last digit."""
    shifted_V = logits_V - logits_V.max()
    return shifted_V - np.log(np.exp(shifted_V).sum())


@given(rows(), st.integers(0, 11), st.floats(0, 1), WEIGHTS)
def test_the_sum_is_one_and_credited_nats_are_its_entries(logp_V, hint, rate, weights):
    hint = hint % (len(logp_V) + 1) - 1  # NO_HINT among them
    row_V = mix_row(logp_V.copy(), hint, rate, weights)
    assert abs(np.exp(row_V).sum() - 1.0) < 1e-12
    size = len(logp_V)
    hints = Hints(np.full(size, hint), np.zeros(size, int), np.full(size, rate))
    log_q_T = np.full(size, logp_V[max(hint, 0)])
    nats_T = mix_nats(-logp_V, np.arange(size), hints, log_q_T, weights)
    finite = np.isfinite(row_V)
    assert (nats_T >= 0).all()
    assert np.array_equal(np.isfinite(nats_T), finite)
    assert np.allclose(nats_T[finite], -row_V[finite], rtol=1e-12, atol=1e-12)


@given(st.integers(0, 2**32), st.floats(0.0, 0.01))
def test_the_sum_is_one_over_a_large_vocabulary_and_a_sure_hint(seed, beside):
    logits_V = np.random.default_rng(seed).normal(0, 4, 1024)
    logits_V[7] = np.logaddexp.reduce(np.delete(logits_V, 7)) - np.log(beside + 1e-300)
    row_V = mix_row(log_softmax(logits_V), 7, 0.01, (0.0, 0.1, 1.0))
    assert abs(np.exp(row_V).sum() - 1.0) < 1e-12


@given(rows(), st.floats(0.01, 0.99))
def test_neutral_weights_leave_the_row_as_it_is(logp_V, rate):
    hint = int(np.argmin(logp_V))
    row_V = mix_row(logp_V.copy(), hint, rate, NEUTRAL)
    likely = logp_V > -25
    assert np.allclose(row_V[likely], logp_V[likely], atol=1e-9)


@given(rows(), st.floats(0.01, 0.99), WEIGHTS)
def test_the_others_keep_their_proportions(logp_V, rate, weights):
    row_V = mix_row(logp_V.copy(), 0, rate, weights)
    others = np.isfinite(logp_V[1:])
    shift = row_V[1:][others] - logp_V[1:][others]
    assert np.allclose(shift, shift[:1], atol=1e-9)


def test_the_row_handed_in_is_not_written_to():
    logp_V = np.log([0.5, 0.25, 0.25])
    mix_row(logp_V, 1, 0.9, (0.0, 0.5, 1.0))
    assert np.array_equal(logp_V, np.log([0.5, 0.25, 0.25]))


@given(STREAMS, st.integers(1, 20))
def test_hints_are_those_of_the_oracle(stream, block):
    # Slots enough for these few contexts not to replace one another often; a hash in 64 bits never collides.
    config = MixerConfig(lengths=(1, 2, 4), table_bits=16)
    matches = MatchModel(config)
    for first in range(0, len(stream), block):
        count = min(block, len(stream) - first)
        hints = matches.hints(stream, first, count)
        wanted = [brute_force(stream, first + i, config) for i in range(count)]
        assert list(zip(hints.token_T, hints.class_T, strict=True)) == [
            (token, kind) if token != NO_HINT else (token, hints.class_T[i])
            for i, (token, kind) in enumerate(wanted)
        ]
        matches.accept(stream, first, count)


@given(STREAMS, st.data())
def test_hints_do_not_see_their_target_nor_what_follows(stream, data):
    accepted = data.draw(st.integers(0, len(stream) - 1))
    position = data.draw(st.integers(accepted, len(stream) - 1))
    matches = MatchModel(CONFIG)
    matches.accept(stream, 0, accepted)
    count = len(stream) - accepted
    before = matches.hints(stream, accepted, count)
    other = stream.copy()
    other[position:] = data.draw(
        st.lists(st.integers(0, 3), min_size=count, max_size=count).map(np.array)
    )[: len(stream) - position]
    after = matches.hints(other, accepted, count)
    upto = position - accepted + 1
    for name in Hints._fields:
        assert np.array_equal(getattr(before, name)[:upto], getattr(after, name)[:upto])


@given(STREAMS, st.data())
def test_one_question_is_answered_like_many(stream, data):
    accepted = data.draw(st.integers(0, len(stream) - 1))
    matches = MatchModel(CONFIG)
    matches.accept(stream, 0, accepted)
    whole = matches.hints(stream, accepted, len(stream) - accepted)
    part = data.draw(st.integers(1, len(stream) - accepted))
    # The array ends where the last asked position begins: its token is not there to be read.
    few = matches.hints(np.append(stream[: accepted + part - 1], -9), accepted, part)
    for name in Hints._fields:
        assert np.array_equal(getattr(whole, name)[:part], getattr(few, name))
    asked = data.draw(st.integers(1, part))
    last = matches.hints(stream, accepted, part, asked=asked)
    for name in Hints._fields:
        assert np.array_equal(getattr(few, name)[-asked:], getattr(last, name))


class Session(RuleBasedStateMachine):
    """Any sequence of questions and acceptances ends in the state of the acceptances alone."""

    def __init__(self):
        super().__init__()
        self.asked = MatchModel(CONFIG)
        self.quiet = MatchModel(CONFIG)
        self.stream = np.zeros(0, dtype=np.int64)

    @rule(block=STREAMS)
    def ask(self, block):
        self.asked.hints(np.append(self.stream, block), len(self.stream), len(block))

    @rule(block=STREAMS)
    def accept(self, block):
        first = len(self.stream)
        self.stream = np.append(self.stream, block)
        self.asked.accept(self.stream, first, len(block))
        self.quiet.accept(self.stream, first, len(block))

    @invariant()
    def states_are_equal(self):
        assert np.array_equal(self.asked.last_at, self.quiet.last_at)
        assert np.array_equal(self.asked.hits_C, self.quiet.hits_C)
        assert np.array_equal(self.asked.seen_C, self.quiet.seen_C)


TestSession = Session.TestCase


def test_a_slot_that_is_taken_by_another_context_gives_no_false_match():
    # Two slots for all contexts: nearly every look-up finds another context's position.
    config = MixerConfig(lengths=(2,), table_bits=1)
    stream = np.random.default_rng(0).integers(0, 50, 400)
    matches = MatchModel(config)
    matches.accept(stream, 0, 200)
    hints = matches.hints(stream, 200, 200)
    for i in np.flatnonzero(hints.token_T != NO_HINT):
        assert brute_force(stream, 200 + i, config)[0] == hints.token_T[i]


def test_rates_follow_what_came_true():
    config = MixerConfig(lengths=(1,), table_bits=8)
    stream = np.tile([1, 2, 3, 4], 100)
    matches = MatchModel(config)
    matches.accept(stream, 0, len(stream))
    assert matches.hints(stream, len(stream), 1).rate_T[0] > 0.98


@given(st.integers(0, 2**32))
def test_fitted_weights_are_a_minimum(seed):
    rng = np.random.default_rng(seed)
    q_T, rate_T = rng.uniform(size=(2, 300))
    right_T = rng.uniform(size=300) < sigmoid([0.3, 0.5, 0.8] @ features(q_T, rate_T))
    fitted = np.array(fit_weights(q_T, rate_T, right_T, strength=1.0))

    def cost(weights):
        p_T = sigmoid(weights @ features(q_T, rate_T))
        loss = -np.log(np.where(right_T, p_T, 1 - p_T)).sum()
        return loss + 0.5 * np.square(weights - NEUTRAL).sum()

    for axis in np.eye(3):
        for move in (-0.01, 0.01):
            assert cost(fitted + move * axis) > cost(fitted)


def test_without_evidence_the_weights_are_neutral():
    nothing = np.empty(0)
    assert fit_weights(nothing, nothing, nothing.astype(bool)) == pytest.approx(NEUTRAL)


@pytest.mark.parametrize("lengths", [(2, 1), (0, 1), (1, 1)])
def test_lengths_must_rise(lengths):
    with pytest.raises(ValueError, match="rising"):
        MatchModel(MixerConfig(lengths=lengths))
