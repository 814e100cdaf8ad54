"""The mixer: sums to one for every design and input, and no entry depends on which others are asked."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from submission.designs import (
    CLASS_SCOPES,
    DESIGNS,
    EXPERTS,
    NEUTRAL,
    SCOPES,
    Calibration,
    Mixture,
    fitted,
    only,
)
from submission.mixer import (
    CONTINUES,
    CONTROL,
    EVERYWHERE,
    LARGEST_LOGIT,
    NO_HINT,
    STARTS,
    Spoken,
    class_of,
    joined,
    logit,
    mixed,
    offer,
    settle,
    shares,
)
from tests.submission.drawn import CASES, WEIGHTS, Case, calibration, logs, mixtures, said

CLOSE = 1e-12
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def masses(case, logp_TV):
    """Add each class's probabilities up, slowly."""
    class_TV = case.class_TV()
    return torch.stack(
        [torch.where(class_TV == one, logp_TV.exp(), 0.0).sum(1) for one in range(3)], dim=1
    )


def fine(logp_TV):
    """Assert that these rows are distributions."""
    assert not logp_TV.isnan().any()
    assert (logp_TV <= CLOSE).all()
    assert ((logp_TV.exp().sum(1) - 1.0).abs() < CLOSE).all()


def in_scope(case):
    """Return the case where each expert, if it has a hint at all, has one in its scope."""
    class_TE = class_of(case.piece_V, case.spoken.token_TE, case.spoken.open_T[:, None])
    scope_E = torch.tensor(SCOPES)
    inside_TE = (scope_E == EVERYWHERE) | (class_TE == scope_E)
    token_TE = torch.where(inside_TE, case.spoken.token_TE, NO_HINT)
    return Case(case.piece_V, case.logp_TV, replace(case.spoken, token_TE=token_TE))


@given(CASES, mixtures())
def test_the_sum_is_one(case, mixture):
    fine(mixture(case.row(), case.spoken).logp_TK)


@pytest.mark.parametrize("design", DESIGNS)
@given(seed=st.integers(0, 2**32), beside=st.floats(0.0, 0.01), weights=WEIGHTS)
def test_the_sum_is_one_over_a_large_vocabulary_and_sure_hints(design, seed, beside, weights):
    rng = np.random.default_rng(seed)
    piece_V = torch.from_numpy(rng.integers(0, 3, 1024))
    logits_TV = rng.normal(0, 4, (3, 1024))
    logits_TV[:, 7] = np.logaddexp.reduce(np.delete(logits_TV, 7, axis=1), axis=1)
    logits_TV[:, 7] -= np.log(beside + 1e-300)
    hints = rng.choice([7, 7, 7, *rng.integers(0, 1024, 3)], (3, 3))
    rate_TE = torch.from_numpy(rng.choice([1e-6, 0.01, 0.5, 1 - 2.0**-24], (3, 3)))
    case = Case(
        piece_V,
        torch.from_numpy(logits_TV).log_softmax(-1),
        said(hints, rate_TE, None, [True, True, False]),
    )
    learnt = calibration(seed) if design == "L5" else None
    fine(Mixture(design, weights, calibration=learnt)(case.row(), case.spoken).logp_TK)


@given(CASES, mixtures(), st.data())
def test_an_entry_asked_alone_is_that_of_the_row(case, mixture, data):
    row_TV = mixture(case.row(), case.spoken).logp_TK
    size = row_TV.shape[1]
    target_T = torch.tensor([data.draw(st.integers(0, size - 1)) for _ in row_TV])
    alone = mixture(case.asked(target_T[:, None]), case.spoken)
    wanted_T1 = row_TV.gather(1, target_T[:, None])
    assert torch.allclose(alone.logp_TK, wanted_T1, rtol=CLOSE, atol=CLOSE)


@given(CASES, mixtures(), st.data())
def test_another_token_beside_it_changes_no_entry(case, mixture, data):
    """Swap one of several tokens that are asked about: the others get the same bits."""
    positions, size = case.logp_TV.shape
    tokens = st.integers(0, size - 1)
    asked_TK = torch.tensor(
        [data.draw(st.lists(tokens, min_size=4, max_size=4)) for _ in range(positions)]
    )
    other_TK = asked_TK.clone()
    swapped = data.draw(st.integers(0, 3))
    other_TK[:, swapped] = data.draw(tokens)
    one, two = (mixture(case.asked(some_TK), case.spoken) for some_TK in (asked_TK, other_TK))
    kept = [k for k in range(4) if k != swapped]
    assert torch.equal(one.logp_TK[:, kept], two.logp_TK[:, kept])


@given(CASES, mixtures())
def test_positions_do_not_know_of_each_other(case, mixture):
    whole = mixture(case.row(), case.spoken).logp_TK
    for t in range(len(whole)):
        here = slice(t, t + 1)
        one = mixture(case.row().part(here), case.spoken.part(here)).logp_TK
        assert torch.allclose(one, whole[here], rtol=CLOSE, atol=CLOSE)


@given(CASES, mixtures(("L3", "L5")))
def test_each_class_keeps_its_mass_where_every_scope_is_one(case, mixture):
    after = mixture(case.row(), case.spoken)
    for mass_T3 in (masses(case, after.logp_TK), after.mass_T3.exp()):
        assert torch.allclose(mass_T3, masses(case, case.logp_TV), **EXACT)


@given(CASES, WEIGHTS)
def test_each_class_keeps_its_mass_under_the_experts_of_one(case, weights):
    heard = only(case.spoken, "within", "word")
    after = Mixture("L6", weights)(case.row(), heard)
    assert torch.allclose(masses(case, after.logp_TK), masses(case, case.logp_TV), **EXACT)


@given(CASES, mixtures(("L3", "L5", "L6")))
def test_masses_and_hints_that_are_carried_along_are_those_of_the_row(case, mixture):
    after = mixture(case.row(), case.spoken)
    assert torch.allclose(after.mass_T3.exp(), masses(case, after.logp_TK), **EXACT)
    given_TE = case.spoken.token_TE != NO_HINT
    hint_TE = after.logp_TK.gather(1, case.spoken.token_TE.clamp(min=0))
    carried_TE = after.hint_logp_TE
    assert torch.allclose(carried_TE.exp()[given_TE], hint_TE.exp()[given_TE], **EXACT)


@given(CASES)
def test_neutral_weights_leave_the_row_as_it_is(case):
    after = Mixture("L6", (NEUTRAL,) * 3)(case.row(), case.spoken).logp_TK
    assert torch.allclose(after.exp(), case.logp_TV.exp(), **EXACT)
    likely = case.logp_TV > -25
    assert torch.allclose(after[likely], case.logp_TV[likely], atol=1e-9)


@given(CASES, st.sampled_from(DESIGNS))
def test_a_design_that_learnt_nothing_and_hears_nothing_changes_nothing(case, design):
    """No hint, whatever stands beside it; L5 and L6 with every hint there is, while they know nothing."""
    quiet = Mixture(design)(case.row(), only(case.spoken))
    assert torch.allclose(quiet.logp_TK, case.logp_TV, **EXACT)
    if design in ("L5", "L6"):
        after = Mixture(design)(case.row(), case.spoken).logp_TK
        assert torch.allclose(after.exp(), case.logp_TV.exp(), **EXACT)


@given(CASES, st.sampled_from(("L1", "L2", "L3", "L4")))
def test_unsure_hints_are_not_heard_by_the_published_gates(case, design):
    unsure = replace(case.spoken, confidence_TE=case.spoken.confidence_TE.clamp(max=0.449))
    after = Mixture(design)(case.row(), unsure).logp_TK
    assert torch.allclose(after.exp(), case.logp_TV.exp(), **EXACT)


@given(CASES, WEIGHTS)
def test_hints_outside_their_scope_change_nothing(case, weights):
    mixture = Mixture("L6", weights)
    one = mixture(case.row(), case.spoken)
    inside = in_scope(case)
    assert torch.equal(one.logp_TK, mixture(inside.row(), inside.spoken).logp_TK)


@given(CASES, WEIGHTS)
def test_no_word_is_gone_on_with_where_none_is_open(case, weights):
    closed = replace(case.spoken, open_T=torch.zeros_like(case.spoken.open_T))
    case = Case(case.piece_V, case.logp_TV, closed)
    assert not (case.row().mass_T3[:, CONTINUES] > -torch.inf).any()
    after = Mixture("L6", weights)(case.row(), only(closed, "within")).logp_TK
    assert torch.equal(after, case.logp_TV)


@given(CASES, st.integers(0, 2), st.floats(-100, 100))
def test_one_hint_gets_its_share_and_the_others_keep_their_proportions(case, expert, logit_r):
    """And no more happens to what lies outside the scope than that it stays as it was."""
    now, spoken = case.row(), case.spoken
    made = offer(now, spoken, expert, SCOPES[expert])
    logit_T = torch.full((len(spoken.open_T),), logit_r, dtype=torch.float64)
    after = settle(now, spoken, expert, made, logit_T)
    for t in range(len(spoken.open_T)):
        before_V, after_V = case.logp_TV[t], after.logp_TK[t]
        if not made.active_T[t]:
            assert torch.equal(before_V, after_V)
            continue
        class_V, hint = case.class_TV()[t], int(spoken.token_TE[t, expert])
        inside_V = (class_V == SCOPES[expert]) | torch.tensor(SCOPES[expert] == EVERYWHERE)
        assert torch.equal(before_V[~inside_V], after_V[~inside_V])
        mass = float(before_V[inside_V].exp().sum())
        q = float(made.log_q_T[t].exp())
        wanted = max(1 / (1 + np.exp(-logit_r)), 2 * q - 1)
        assert float(after_V[hint].exp()) == pytest.approx(wanted * mass, rel=1e-9, abs=1e-15)
        inside_V[hint] = False
        shift = (after_V - before_V)[inside_V & (before_V > -torch.inf)]
        assert torch.allclose(shift, shift[:1], atol=1e-9)
        assert (shift <= np.log(2) + 1e-9).all()


def test_the_shares_handed_in_are_not_written_to():
    case = Case(
        torch.tensor([STARTS, CONTINUES, CONTINUES]),
        logs([[0.5, 0.3, 0.2]]),
        said([[1, 1, 0]]),
    )
    now, wanted = case.row(), case.row()
    for design in DESIGNS:
        Mixture(design, ((1.0, 0.5, 0.9),) * 3)(now, case.spoken)
    for name in now.__slots__:
        assert torch.equal(getattr(now, name), getattr(wanted, name))


@given(st.floats(max_value=0.0))
def test_logits_are_within_their_bounds(log_q):
    got = float(logit(torch.tensor([log_q], dtype=torch.float64)))
    assert -LARGEST_LOGIT <= got <= LARGEST_LOGIT
    if -25 < log_q < -1e-9:
        assert got == pytest.approx(log_q - np.log(-np.expm1(log_q)), rel=1e-6, abs=1e-9)


@given(CASES)
def test_classes_are_those_of_the_next_token(case):
    """Where no word is open, what would go on with one begins one; control tokens are of none."""
    for t, open_ in enumerate(case.spoken.open_T.tolist()):
        for token, piece in enumerate(case.piece_V.tolist()):
            wanted = piece if open_ or piece == CONTROL else STARTS
            assert int(case.class_TV()[t, token]) == wanted
    assert torch.allclose(case.row().mass_T3.exp(), masses(case, case.logp_TV), **EXACT)


@given(CASES, st.integers(1, 3))
def test_parts_that_are_joined_are_the_whole(case, at):
    now = case.row()
    for whole in (now, case.spoken):
        back = joined([whole.part(slice(at)), whole.part(slice(at, None))])
        for name in whole.__slots__:
            assert torch.equal(getattr(back, name).nan_to_num(), getattr(whole, name).nan_to_num())
    moved = now.on(torch.device("meta"))
    assert {getattr(moved, name).device.type for name in moved.__slots__} == {"meta"}


@given(CASES)
@example(Case(torch.tensor([STARTS]), torch.zeros(1, 1).double(), said([[0, 0, 0]])))
def test_scopes_by_class_and_one_scope_for_all_meet_the_same_hints(case):
    """A scope of None stands for the hint's own class: naming that class for each position is the same."""
    now, spoken = case.row(), case.spoken
    rule = lambda expert, made, _: logit(made.log_q_T) + 1.0
    by_class = mixed(now, spoken, CLASS_SCOPES, rule)
    for expert in range(len(EXPERTS)):
        scope = now.hint_class_TE[:, expert] if expert == 0 else SCOPES[expert]
        made = offer(now, spoken, expert, scope)
        now = settle(now, spoken, expert, made, rule(expert, made, spoken))
    assert torch.equal(by_class.logp_TK, now.logp_TK)


def test_weights_too_large_for_floats_are_still_a_distribution():
    case = Case(
        torch.tensor([STARTS, CONTINUES, CONTINUES]),
        logs([[0.5, 0.3, 0.2]]),
        said([[1, 1, 0]], [[0.0, 1.0, 0.5]]),
    )
    for bias in (-1e300, 1e300):
        fine(Mixture("L6", ((bias, 1e300, -1e300),) * 3)(case.row(), case.spoken).logp_TK)


@given(st.floats(-1e9, -50), st.sampled_from([0, 1, 2]))
def test_no_weight_makes_a_hint_quite_impossible(bias, expert):
    """A share of e^-40 is left of it: what comes true against all evidence costs 40 nats, not the run."""
    hints = [NO_HINT] * 3
    hints[expert] = 0 if expert == 2 else 1
    case = Case(
        torch.tensor([STARTS, CONTINUES, CONTINUES, STARTS]),
        logs([[0.1, 0.1, 0.4, 0.4]]),
        said([hints], [[0.5] * 3]),
    )
    row_V = Mixture("L6", ((bias, 1.0, 1.0),) * 3)(case.row(), case.spoken).logp_TK[0]
    share = float(row_V[max(hints)]) - (0.0 if expert == 0 else np.log(0.5))
    assert share == pytest.approx(-40.0)


def test_rates_of_a_hint_raise_and_lower_it():
    case = Case(
        torch.tensor([STARTS, CONTINUES, CONTINUES]),
        logs([[0.5, 0.3, 0.2]] * 3),
        said([[NO_HINT, 1, NO_HINT]] * 3, [[0.5] * 3, [0.01] * 3, [0.99] * 3]),
    )
    p_TV = Mixture("L6", ((0.0, 0.5, 0.5),) * 3)(case.row(), case.spoken).logp_TK.exp()
    assert p_TV[1, 1] < p_TV[0, 1] < p_TV[2, 1]
    assert torch.allclose(p_TV[:, 0], torch.tensor(0.5).double())


def test_unknown_designs_and_weights_of_another_number_are_refused():
    with pytest.raises(ValueError, match="'L7' is unknown; use one of L1, L2"):
        Mixture("L7")
    broken = [(NEUTRAL, NEUTRAL, (0.0, 1.0, none)) for none in (np.nan, np.inf, None, "1")]
    for weights in ((NEUTRAL,) * 2, (NEUTRAL, NEUTRAL, (0.0, 1.0)), (), *broken):
        with pytest.raises(ValueError, match="give three for each of token, within, word"):
            Mixture("L6", weights)


def test_only_the_design_that_learns_has_something_to_learn_with():
    assert Mixture("L6").calibration is None
    assert Mixture("L5").calibration is not Mixture("L5").calibration
    kept = Calibration.empty()
    assert Mixture("L5", calibration=kept).calibration is kept


def test_the_rule_of_l6_reads_one_experts_numbers():
    spoken = said([[0, 0, 0]], [[0.5, 0.25, 0.75]])
    case = Case(torch.tensor([STARTS, STARTS]), logs([[0.2, 0.8]]), spoken)
    made = offer(case.row(), spoken, 0, EVERYWHERE)
    weights = ((1.0, 2.0, 3.0), (0.5, 0.0, 2.0), (0.0, 0.0, -1.0))
    wanted = [
        1.0 + 2.0 * np.log(0.25),
        0.5 + 2.0 * np.log(1 / 3),
        -np.log(3.0),
    ]
    got = [float(fitted(weights)(expert, made, spoken)) for expert in range(3)]
    assert got == pytest.approx(wanted)


def test_shares_of_a_distribution_say_what_is_asked():
    piece_V = torch.tensor([CONTROL, CONTINUES, STARTS])
    logp_TV = logs([[0.2, 0.3, 0.5]])
    spoken = Spoken(
        torch.tensor([[2, NO_HINT, 1]]),
        torch.zeros(1, 3).double(),
        torch.zeros(1, 3).double(),
        torch.tensor([False]),
    )
    now = shares(
        piece_V, spoken, torch.tensor([[1]]), logp_TV[:, 1:2], logp_TV[:, [2, 0, 1]], logp_TV
    )
    assert now.class_TK.tolist() == [[STARTS]]
    assert now.hint_class_TE[0, [0, 2]].tolist() == [STARTS, STARTS]
    assert now.mass_T3.exp()[0].tolist() == pytest.approx([0.2, 0.0, 0.8])
