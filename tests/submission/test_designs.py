"""Each design beside its slow oracle, the published rule's sum, and what L5 counts by hand."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from submission.designs import (
    GATES,
    NEUTRAL,
    PSEUDO,
    Calibration,
    Mixture,
    only,
    published,
)
from submission.mixer import CONTINUES, NO_HINT, STARTS
from tests.submission import oracle
from tests.submission.drawn import CASES, WEIGHTS, Case, calibration, logs, mixtures, said

NEAR = {"rtol": 1e-9, "atol": 2e-11}
"""Logits end at +-30 in the code, and not in the oracle of L1 to L4: e^-30 times a boost is 2e-12."""


def example(hints=(NO_HINT, 1, NO_HINT), positions=1):
    """a: word start; b, c: continuations, inside a word."""
    return Case(
        torch.tensor([STARTS, CONTINUES, CONTINUES]),
        logs([[0.5, 0.3, 0.2]] * positions),
        said([list(hints)] * positions),
    )


def agree(got_TV, wanted):
    assert torch.allclose(got_TV.exp(), torch.tensor(wanted, dtype=torch.float64), **NEAR)


def mixed_row(design, case=None):
    case = case or example()
    return Mixture(design)(case.row(), case.spoken).logp_TK.exp()[0].tolist()


def test_the_worked_example():
    """A hint that only continuations hear, and only where the scored token is one: more than 1 in all."""
    case = example()
    credited, log_sum_T = published(case.row(), case.spoken)
    p_V = credited.logp_TK.exp()[0].tolist()
    assert p_V == pytest.approx([0.5, 0.475695, 0.149802], abs=1e-6)
    assert sum(p_V) == pytest.approx(1.125496, abs=1e-6)
    assert float(log_sum_T) == pytest.approx(math.log(sum(p_V)), abs=1e-14)
    more = 0.3 * math.expm1(0.75)
    assert sum(p_V) == pytest.approx(1 + 0.5 * more / (1 + more), abs=1e-14)


def test_the_worked_example_honestly():
    assert mixed_row("L1") == pytest.approx([0.5, 0.3, 0.2])
    assert mixed_row("L2") == pytest.approx([0.374504, 0.475695, 0.149802], abs=1e-6)
    assert mixed_row("L3") == pytest.approx([0.5, 0.380254, 0.119746], abs=1e-6)
    assert mixed_row("L4") == pytest.approx([0.444249, 0.422654, 0.133098], abs=1e-6)
    for design in ("L1", "L2", "L3", "L4"):
        assert sum(mixed_row(design)) == pytest.approx(1.0, abs=1e-14)


def test_two_that_agree_have_half_a_nat_more():
    """The token expert's boost of 2.625 and 0.5, over everything; of L3, inside the hint's class."""
    both = example(hints=(1, 1, NO_HINT))
    q, odds = 0.3, math.exp(3.125)
    assert mixed_row("L1", both)[1] == pytest.approx(
        q * math.exp(2.625) / (1 + q * math.expm1(2.625))
    )
    assert mixed_row("L2", both)[1] == pytest.approx(
        q * math.exp(3.375) / (1 + q * math.expm1(3.375))
    )
    assert mixed_row("L3", both)[1] == pytest.approx(0.5 * 0.6 * odds / (1 + 0.6 * (odds - 1)))
    credited, _ = published(both.row(), both.spoken)
    assert float(credited.logp_TK[0, 1].exp()) == pytest.approx(q * odds / (1 + q * (odds - 1)))


@given(CASES)
def test_published_and_its_sum_are_the_oracles(case):
    credited, log_sum_T = published(case.row(), case.spoken)
    agree(credited.logp_TK, [oracle.published(place) for place in oracle.places(case)])
    assert torch.allclose(credited.logp_TK.exp().sum(1).log(), log_sum_T, rtol=1e-12, atol=1e-12)
    assert not log_sum_T.isnan().any()


@given(CASES)
def test_the_sum_is_known_whichever_token_is_asked_about(case):
    _, wanted_T = published(case.row(), case.spoken)
    _, log_sum_T = published(case.asked(case.everything()[:, :1]), case.spoken)
    assert torch.equal(log_sum_T, wanted_T)


@given(CASES)
def test_l1_is_the_oracles(case):
    agree(Mixture("L1")(case.row(), case.spoken).logp_TK, [*map(oracle.l1, oracle.places(case))])


def off_the_gates(place):
    """L2's gates are on a product: one that lies on a gate falls on either side by its last digit."""
    weights = 1.0, place.mass(CONTINUES), place.mass(STARTS)
    products = (weight * sure for weight, sure in zip(weights, place.confidence, strict=True))
    return all(abs(product - gate) > 1e-9 for product, gate in zip(products, GATES, strict=True))


@given(CASES)
def test_l2_is_the_oracles(case):
    places = oracle.places(case)
    sure_T1 = torch.full_like(case.spoken.confidence_TE[:, :1], 0.9)
    for place in places:
        place.confidence[0] = 0.9 if place.confidence[0] >= 0.8 else 0.0
        assume(off_the_gates(place))
    token_T1 = torch.where(case.spoken.confidence_TE[:, :1] >= 0.8, sure_T1, 0.0)
    confidence_TE = torch.cat([token_T1, case.spoken.confidence_TE[:, 1:]], 1)
    spoken = replace(case.spoken, confidence_TE=confidence_TE)
    agree(Mixture("L2")(case.row(), spoken).logp_TK, [*map(oracle.l2, places)])


@given(CASES)
def test_l3_is_the_oracles(case):
    agree(Mixture("L3")(case.row(), case.spoken).logp_TK, [*map(oracle.l3, oracle.places(case))])


@given(CASES)
def test_l4_is_the_oracles(case):
    agree(Mixture("L4")(case.row(), case.spoken).logp_TK, [*map(oracle.l4, oracle.places(case))])


@given(CASES, WEIGHTS)
def test_l6_settles_one_expert_after_the_other(case, weights):
    got_TV = Mixture("L6", weights)(case.row(), case.spoken).logp_TK
    agree(got_TV, [oracle.l6(place, weights) for place in oracle.places(case)])


def learnt_by_oracle(counts):
    five = oracle.L5()
    for bin_ in counts.seen_EQC.nonzero().tolist():
        five.seen[tuple(bin_)] = counts.seen_EQC[tuple(bin_)].item()
        five.true[tuple(bin_)] = counts.true_EQC[tuple(bin_)].item()
    return five


@given(CASES, st.integers(0, 2**32))
def test_l5_is_the_oracles(case, seed):
    counts = calibration(seed)
    five = learnt_by_oracle(counts)
    assume(not any(map(five.doubtful, oracle.places(case))))
    got_TV = Mixture("L5", calibration=counts)(case.row(), case.spoken).logp_TK
    agree(got_TV, [five(place) for place in oracle.places(case)])


@given(CASES, st.integers(0, 2**32), st.data())
def test_l5_counts_what_the_oracle_counts(case, seed, data):
    """Over blocks of several positions, each predicted with what the blocks before it left."""
    counts = calibration(seed)
    five, mixture = learnt_by_oracle(counts), Mixture("L5", calibration=counts)
    size = case.logp_TV.shape[1]
    for _ in range(2):
        assume(not any(map(five.doubtful, oracle.places(case))))
        target_T = torch.tensor([data.draw(st.integers(0, size - 1)) for _ in case.logp_TV])
        mixture.learn(case.asked(target_T[:, None]), case.spoken)
        five.learn([*zip(oracle.places(case), target_T.tolist(), strict=True)])
        again = learnt_by_oracle(counts)
        assert again.seen == {bin_: seen for bin_, seen in five.seen.items() if seen}
        assert {bin_: true for bin_, true in again.true.items() if true} == {
            bin_: true for bin_, true in five.true.items() if true
        }


WITHIN, WORD = 1, 2


def test_l5_counts_by_hand():
    """q = 0.6 of the continuations: logit 0.41, the bin in the middle; confidence 1, the last one."""
    mixture = Mixture("L5")
    counts = mixture.calibration
    assert counts.seen_EQC.shape == counts.true_EQC.shape == (3, 17, 11)
    bin_ = WITHIN, 8, 10
    case = example()
    # Predicted first: nothing was counted yet, r is q, and nothing moves.
    assert mixed(mixture, case) == pytest.approx([0.5, 0.3, 0.2])
    learn(mixture, case, 1)
    assert (counts.seen_EQC[bin_], counts.true_EQC[bin_]) == (1, 1)
    r = (1 + PSEUDO * 0.6) / (1 + PSEUDO)
    assert mixed(mixture, case) == pytest.approx([0.5, 0.5 * r, 0.5 * (1 - r)])
    # Another token of the class counts against the hint; one of another class not at all.
    learn(mixture, case, 2)
    learn(mixture, case, 0)
    assert (counts.seen_EQC[bin_], counts.true_EQC[bin_]) == (2, 1)
    r = (1 + PSEUDO * 0.6) / (2 + PSEUDO)
    assert mixed(mixture, case) == pytest.approx([0.5, 0.5 * r, 0.5 * (1 - r)])
    assert counts.seen_EQC.sum() == 2


def mixed(mixture, case):
    return mixture(case.row(), case.spoken).logp_TK.exp()[0].tolist()


def learn(mixture, case, *targets):
    mixture.learn(case.asked(torch.tensor(targets)[:, None]), case.spoken)


def test_l5_learns_a_block_with_what_it_knew_before_it():
    """Two positions of one block have one bin: what the first counts there does not move the second."""
    mixture, case = Mixture("L5"), example(positions=2)
    learn(mixture, case, 1, 1)
    counts = mixture.calibration
    assert (counts.seen_EQC[WITHIN, 8, 10], counts.true_EQC[WITHIN, 8, 10]) == (2, 2)
    assert counts.seen_EQC.sum() == 2


def test_l5_moves_a_later_expert_to_the_bin_of_what_is_left():
    """The token expert speaks inside its hint's class, and the within-word expert of what that leaves."""
    counts = Calibration.empty()
    counts.seen_EQC[0, 8, 10] = counts.true_EQC[0, 8, 10] = 1e6
    mixture = Mixture("L5", calibration=counts)
    case = example(hints=(1, 1, NO_HINT))
    learn(mixture, case, 1)
    # r = 0.999992: a logit of 11.7, beyond the last bin.
    assert counts.seen_EQC[WITHIN].nonzero().tolist() == [[16, 10]]
    assert counts.seen_EQC[0, 8, 10] == 1e6 + 1


def test_l5_tells_confidences_and_experts_apart():
    counts = Calibration.empty()
    mixture = Mixture("L5", calibration=counts)
    sure = torch.tensor([[0.0, 0.52, 0.0], [0.0, 0.58, 0.0], [0.0, 0.0, 0.04]]).double()
    spoken = said([[NO_HINT, 2, NO_HINT]] * 2 + [[NO_HINT, NO_HINT, 0]], None, sure)
    pieces = torch.tensor([STARTS, CONTINUES, CONTINUES, STARTS])
    case = Case(pieces, logs([[0.4, 0.3, 0.2, 0.1]] * 3), spoken)
    learn(mixture, case, 1, 2, 0)
    # q = 0.4 twice, logit -0.41; q = 0.8, logit 1.39.
    assert counts.seen_EQC.nonzero().tolist() == [[WITHIN, 8, 5], [WITHIN, 8, 6], [WORD, 9, 0]]
    assert counts.true_EQC.nonzero().tolist() == [[WITHIN, 8, 6], [WORD, 9, 0]]


@given(CASES, mixtures(("L5",)), st.data())
def test_asking_l5_changes_nothing_that_it_counted(case, mixture, data):
    before = mixture.calibration.true_EQC.clone(), mixture.calibration.seen_EQC.clone()
    mixture(case.row(), case.spoken)
    after = mixture.calibration.true_EQC, mixture.calibration.seen_EQC
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


@given(CASES, mixtures())
def test_some_experts_alone_are_as_if_the_others_said_nothing(case, mixture):
    for name, expert in (("token", 0), ("within", WITHIN), ("word", WORD)):
        heard = only(case.spoken, name)
        assert torch.equal(heard.token_TE[:, expert], case.spoken.token_TE[:, expert])
        others = [e for e in range(3) if e != expert]
        assert (heard.token_TE[:, others] == NO_HINT).all()
    every = only(case.spoken, "token", "within", "word")
    assert torch.equal(every.token_TE, case.spoken.token_TE)


def test_l6_without_weights_is_neutral_and_l1_hears_the_token_expert_alone():
    assert Mixture("L6").weights == (NEUTRAL,) * 3
    for hints in ((NO_HINT, 1, 0), (NO_HINT, 2, NO_HINT)):
        assert mixed_row("L1", example(hints)) == pytest.approx([0.5, 0.3, 0.2])
    assert mixed_row("L1", example((2, 1, 0)))[2] > 0.5
