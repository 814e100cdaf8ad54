"""The mixer's weights: a minimum of the loss, from the hints that count, one expert after the other."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from submission.designs import EXPERTS, NEUTRAL, SCOPES, Mixture, fitted, only
from submission.mixer import EVERYWHERE, NO_HINT, joined, logit, offer, settle
from submission.score import Scorer
from submission.tune import fit, fit_weights, tune_mixer
from tests.submission.drawn import evidence
from tests.submission.tiny import VOCAB, of_design, random_artifact

DRAWN = pytest.mark.parametrize("seed", range(5))
"""For what is true of most draws: a property would find the one in a thousand where it is not."""


def loss(now, spoken, weights):
    return -float(Mixture("L6", weights)(now, spoken).logp_TK.mean())


def x_of(q_T, rate_T):
    """Return the features of hints, F x T."""
    return np.stack([np.ones_like(q_T), np.log(q_T / (1 - q_T)), np.log(rate_T / (1 - rate_T))])


@given(st.integers(0, 2**32))
def test_fitted_weights_are_a_minimum(seed):
    rng = np.random.default_rng(seed)
    x_FT = x_of(*rng.uniform(size=(2, 300)))
    right_T = rng.uniform(size=300) < 1 / (1 + np.exp(-np.array([0.3, 0.5, 0.8]) @ x_FT))
    got = np.array(fit_weights(x_FT, right_T, strength=1.0))

    def cost(weights):
        p_T = 1 / (1 + np.exp(-weights @ x_FT))
        nats = -np.log(np.where(right_T, p_T, 1 - p_T)).sum()
        return nats + 0.5 * np.square(weights - NEUTRAL).sum()

    for axis in np.eye(3):
        for move in (-0.01, 0.01):
            assert cost(got + move * axis) > cost(got)


def test_without_evidence_the_weights_are_neutral():
    assert fit_weights(np.empty((3, 0)), np.empty(0, dtype=bool)) == pytest.approx(NEUTRAL)
    now, spoken = evidence(0, knows=True, count=50)
    assert fit(now, only(spoken)) == (NEUTRAL,) * 3


@given(st.integers(0, 2**32), st.integers(1, 40), st.floats(-30, 30))
def test_little_evidence_stays_near_neutral_and_finite(seed, count, extreme):
    rng = np.random.default_rng(seed)
    x_FT = np.stack([np.ones(count), np.full(count, extreme), rng.uniform(-30, 30, count)])
    weights = fit_weights(x_FT, rng.random(count) < 0.5)
    assert np.isfinite(weights).all()
    assert (
        np.abs(np.subtract(fit_weights(x_FT, rng.random(count) < 0.5, 1e9), NEUTRAL)).max() < 1e-3
    )


@DRAWN
def test_experts_that_know_something_lower_the_loss(seed):
    (now, spoken), (later, said_later) = evidence(seed, knows=True), evidence(seed + 1, knows=True)
    weights = fit(now, spoken)
    assert loss(now, spoken, weights) < loss(now, spoken, (NEUTRAL,) * 3) - 0.1
    assert loss(later, said_later, weights) < loss(later, said_later, (NEUTRAL,) * 3) - 0.1
    # What the rate says besides the model: the posterior has both, with nothing taken off.
    assert np.allclose(weights, ((0.0, 1.0, 1.0),) * 3, atol=0.35)


@DRAWN
def test_experts_that_know_nothing_are_left_as_they_are(seed):
    """Any token for a hint: it comes true as often as the model says, and the weights stay near NEUTRAL."""
    now, spoken = evidence(seed, knows=False)
    weights = fit(now, spoken)
    assert np.allclose(weights, (NEUTRAL,) * 3, atol=0.3)
    assert abs(loss(now, spoken, weights) - loss(now, spoken, (NEUTRAL,) * 3)) < 0.005


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.booleans())
def test_every_expert_fitted_lowers_the_loss_of_what_is_left(seed, knows):
    """One more expert's weights never cost anything on the text that they were fitted on."""
    now, spoken = evidence(seed, knows=knows)
    weights = fit(now, spoken)
    steps = [
        loss(now, spoken, (*weights[:n], *(NEUTRAL,) * (3 - n))) for n in range(len(EXPERTS) + 1)
    ]
    assert all(after <= before + 1e-12 for before, after in pairwise(steps))


@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_each_expert_is_fitted_on_what_the_one_before_left(seed):
    now, spoken = evidence(seed, knows=True)
    weights = fit(now, spoken)
    left = now
    for expert, scope in enumerate(SCOPES):
        alone = only(spoken, EXPERTS[expert])
        assert fit(left, alone)[expert] == pytest.approx(weights[expert])
        if expert:
            # And not on what the model said.
            assert fit(now, alone)[expert] != pytest.approx(weights[expert], rel=1e-6)
        made = offer(left, spoken, expert, scope)
        left = settle(left, spoken, expert, made, fitted(weights)(expert, made, spoken))


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.sampled_from([1, 2]))
def test_hints_are_not_counted_where_the_token_is_of_another_class(seed, expert):
    """What an expert of one class says there is neither right nor wrong."""
    now, spoken = evidence(seed, knows=True)
    alone = only(spoken, EXPERTS[expert])
    elsewhere_T = now.class_TK[:, 0] != SCOPES[expert]
    assert 100 < elsewhere_T.sum() < 2900
    rate_TE, token_TE = alone.rate_TE.clone(), alone.token_TE.clone()
    rate_TE[elsewhere_T, expert] = 0.999
    token_TE[elsewhere_T[:, None] & (torch.arange(3) == expert)] = NO_HINT
    for changed in (replace(alone, rate_TE=rate_TE), replace(alone, token_TE=token_TE)):
        assert fit(now, changed) == fit(now, alone)
    kept = (~elsewhere_T).nonzero()[:, 0]
    some = type(now)(*(getattr(now, name)[kept] for name in now.__slots__))
    there = type(alone)(*(getattr(alone, name)[kept] for name in alone.__slots__))
    assert fit(some, there)[expert] == pytest.approx(fit(now, alone)[expert])


@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_hints_outside_their_scope_are_not_counted(seed):
    """A within-word expert that names what begins a word, as where none is open, says nothing."""
    now, spoken = evidence(seed, knows=True)
    assert fit(now, only(spoken, "token"))[1:] == (NEUTRAL, NEUTRAL)
    token_TE = spoken.token_TE.clone()
    token_TE[:, 0] = NO_HINT
    # Each expert of a class names what is of the other: the classes of the hints change with them.
    token_TE[:, [1, 2]] = token_TE[:, [2, 1]]
    hint_class_TE = now.hint_class_TE.clone()
    hint_class_TE[:, [1, 2]] = hint_class_TE[:, [2, 1]]
    outside = replace(now, hint_class_TE=hint_class_TE)
    assert fit(outside, replace(spoken, token_TE=token_TE)) == (NEUTRAL,) * 3


def test_weights_are_those_of_the_share_and_the_rate():
    now, spoken = evidence(3, knows=True)
    made = offer(now, spoken, 0, EVERYWHERE)
    x_TF = torch.stack(
        [
            torch.ones(len(spoken.open_T)).double(),
            logit(made.log_q_T),
            logit(spoken.rate_TE[:, 0].log()),
        ],
        1,
    )[made.active_T]
    right_T = (spoken.token_TE[:, 0] == now.token_TK[:, 0])[made.active_T]
    assert fit(now, spoken)[0] == pytest.approx(fit_weights(x_TF.numpy().T, right_T.numpy()))


# The stream that tuning plays.

TEXT = np.tile(np.random.default_rng(0).permutation(VOCAB), 10).astype(np.uint16)


def test_designs_without_weights_are_not_tuned():
    built = of_design("L5")
    assert tune_mixer(built, TEXT, until_s=1.0, now=lambda: 0.0) is None


def test_without_time_or_text_there_are_no_weights():
    built = random_artifact()
    assert tune_mixer(built, TEXT, until_s=1.0, now=lambda: 1.0) is None
    assert tune_mixer(built, TEXT[:0], until_s=1.0, now=lambda: 0.0) is None


def replayed(built, text, block_tokens):
    """Return what a scorer gets to hear of a text, block by block."""
    scorer, seen = Scorer(built, tokens=len(text), block_tokens=block_tokens), []
    for first in range(0, len(text), block_tokens):
        seen.append(scorer.evidence(text[first : first + block_tokens]))
        scorer.accept(text[first : first + block_tokens])
    return joined([one for one, _ in seen]), joined([one for _, one in seen])


@pytest.mark.parametrize(("until_s", "blocks"), [(1e9, 14), (3.0, 3)])
def test_the_weights_are_those_of_the_blocks_that_there_was_time_for(until_s, blocks):
    built, clock = random_artifact(), iter(range(100))
    got = tune_mixer(built, TEXT, until_s=until_s, block_tokens=30, now=lambda: float(next(clock)))
    wanted = fit(*replayed(built, TEXT[: 30 * blocks], 30))
    for mine, theirs in zip(got, wanted, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-3)


def test_what_the_artifact_was_tuned_to_before_does_not_matter():
    built = random_artifact()
    first = tune_mixer(built, TEXT, until_s=1.0, now=lambda: 0.0, block_tokens=100)
    built.mixer_weights = None
    assert tune_mixer(built, TEXT, until_s=1.0, now=lambda: 0.0, block_tokens=100) == first
    assert built.mixer_weights is None


def test_tuned_weights_pay_on_the_text_they_were_tuned_on():
    built = random_artifact()
    nats = {}
    for name in ("neutral", "tuned"):
        built.mixer_weights = None
        if name == "tuned":
            built.mixer_weights = tune_mixer(
                built, TEXT, until_s=1.0, now=lambda: 0.0, block_tokens=100
            )
        scorer, total = Scorer(built), 0.0
        for first in range(0, len(TEXT), 100):
            total += scorer.score(TEXT[first : first + 100]).sum()
            scorer.accept(TEXT[first : first + 100])
        nats[name] = total / len(TEXT)
    assert nats["tuned"] < nats["neutral"] - 0.5
