"""The difference of two runs' scores: signs, pairing, what cannot be told, and scipy's answer to the same."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.compare.scores import NEITHER_VARIES, ONE_SEED, SAME, Scale, compare

SCALE = Scale(unit="nats/token", bits_per_byte=0.5)
# On a grid of 2^-20 nats, where sums and differences of a few are exact, and close enough to collide.
GRID = st.integers(1 << 20, 3 << 20).map(lambda grid: grid / (1 << 20))
SEEDS = st.dictionaries(st.integers(0, 9), GRID, min_size=1, max_size=6)
ANY = st.dictionaries(st.integers(0, 9), st.floats(0, 1e6), min_size=1, max_size=6)


def numbers(score):
    return score.difference, score.interval, score.t, score.df, score.p_b_better, score.p_a_better


def flat(score):
    return [x for x in (*numbers(score), *(score.interval or ())) if isinstance(x, float)]


# Properties.


@given(SEEDS, SEEDS)
def test_the_other_way_round_every_sign_changes_and_nothing_else(a, b):
    one, other = compare(a, b, SCALE), compare(b, a, SCALE)
    assert other.difference == -one.difference
    assert other.bits_per_byte_difference == -one.bits_per_byte_difference
    assert (other.test, other.df, other.undefined) == (one.test, one.df, one.undefined)
    assert (other.p_a_better, other.p_b_better) == (one.p_b_better, one.p_a_better)
    assert (other.left_out_a, other.left_out_b) == (one.left_out_b, one.left_out_a)
    if one.interval is None:
        assert other.interval is None
    else:
        assert other.interval == (-one.interval[1], -one.interval[0])


@given(SEEDS, SEEDS, st.integers(0, 1 << 20).map(lambda grid: grid / (1 << 20)))
def test_a_constant_added_to_both_changes_nothing(a, b, shift):
    moved = compare(
        {seed: nats + shift for seed, nats in a.items()},
        {seed: nats + shift for seed, nats in b.items()},
        SCALE,
    )
    one = compare(a, b, SCALE)
    assert (moved.undefined, moved.test) == (one.undefined, one.test)
    assert flat(moved) == pytest.approx(flat(one), rel=1e-6, abs=1e-9)


@given(SEEDS, SEEDS, st.integers(1, 1 << 20).map(lambda grid: grid / (1 << 20)))
def test_a_constant_added_to_b_moves_the_difference_by_as_much(a, b, shift):
    one = compare(a, b, SCALE)
    moved = compare(a, {seed: nats + shift for seed, nats in b.items()}, SCALE)
    assert moved.difference == pytest.approx(one.difference + shift)
    assert (one.interval is None) == (moved.interval is None)
    if one.interval and moved.interval and one.p_a_better is not None:
        width, other = (ends[1] - ends[0] for ends in (one.interval, moved.interval))
        assert other == pytest.approx(width)
        assert moved.p_a_better <= one.p_a_better


@given(SEEDS)
def test_a_run_against_itself_differs_by_nothing(a):
    score = compare(a, dict(reversed(a.items())), SCALE)
    assert numbers(score) == (0, None, None, None, None, None)
    assert score.undefined == (ONE_SEED if len(a) == 1 else SAME)
    assert score.paired


@given(ANY, ANY)
def test_whatever_comes_no_number_is_nan(a, b):
    score = compare(a, b, SCALE)
    found = [x for x in numbers(score) if isinstance(x, float)] + list(score.interval or ())
    assert all(math.isfinite(x) for x in found)
    assert (score.interval is None) == (score.p_b_better is None) == bool(score.undefined)
    if score.interval is not None:
        assert score.interval[0] <= score.difference <= score.interval[1]
        assert score.p_b_better + score.p_a_better == pytest.approx(1)


@given(SEEDS, SEEDS)
def test_pairs_are_made_wherever_two_seeds_are_in_common(a, b):
    score = compare(a, b, SCALE)
    common = set(a) & set(b)
    assert score.paired == (len(common) > 1 or (bool(common) and min(len(a), len(b)) == 1))
    if score.paired:
        assert set(score.a.seeds) == set(score.b.seeds) == common
        assert score.a.seeds == score.b.seeds
        assert set(score.left_out_a) == set(a) - common
        assert set(score.left_out_b) == set(b) - common
    else:
        assert (set(score.a.seeds), set(score.b.seeds)) == (set(a), set(b))
        assert not score.left_out_a
        assert not score.left_out_b
    assert score.a.nats == tuple(a[seed] for seed in score.a.seeds)
    assert score.b.nats == tuple(b[seed] for seed in score.b.seeds)


# scipy.stats, which takes a second to import, as the slow oracle.


@settings(max_examples=50)
@given(st.lists(st.tuples(GRID, GRID), min_size=2, max_size=8))
def test_pairs_as_scipy_has_them(pairs):
    from scipy import stats

    a = {seed: one for seed, (one, _) in enumerate(pairs)}
    b = {seed: other for seed, (_, other) in enumerate(pairs)}
    score = compare(a, b, SCALE)
    gaps = np.array([other - one for one, other in pairs])
    assume(len(set(gaps)) > 1)
    expected = stats.ttest_rel(list(b.values()), list(a.values()), alternative="less")
    ends = stats.ttest_rel(list(b.values()), list(a.values())).confidence_interval(0.95)
    assert score.t == pytest.approx(expected.statistic, rel=1e-6)
    assert score.df == expected.df
    assert score.p_b_better == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert score.interval == pytest.approx((ends.low, ends.high), rel=1e-6, abs=1e-9)


@settings(max_examples=50)
@given(
    st.lists(GRID, min_size=2, max_size=6, unique=True),
    st.lists(GRID, min_size=2, max_size=6, unique=True),
)
def test_means_as_scipy_has_them(a, b):
    from scipy import stats

    score = compare(dict(enumerate(a)), dict(enumerate(b, 100)), SCALE)
    expected = stats.ttest_ind(b, a, equal_var=False, alternative="less")
    ends = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert score.test == "Welch"
    assert score.t == pytest.approx(expected.statistic, rel=1e-6)
    assert score.df == pytest.approx(expected.df, rel=1e-6)
    assert score.p_b_better == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert score.interval == pytest.approx((ends.low, ends.high), rel=1e-6, abs=1e-9)


# Examples.


def test_pairing_sees_what_means_do_not():
    """Seeds that differ by far more than the programs do, and by the same in both."""
    a = {1: 1.90, 2: 1.80, 3: 1.70}
    b = {1: 1.891, 2: 1.790, 3: 1.689}
    paired, means = compare(a, b, SCALE), compare(a, {s + 10: x for s, x in b.items()}, SCALE)
    assert paired.difference == pytest.approx(-0.010)
    assert paired.p_b_better < 0.01
    assert means.p_b_better > 0.4


def test_one_seed_has_no_interval_and_says_so():
    score = compare({7: 1.9}, {7: 1.8}, SCALE)
    assert score.difference == pytest.approx(-0.1)
    assert numbers(score)[1:] == (None,) * 5
    assert score.undefined == ONE_SEED
    assert compare({7: 1.9}, {8: 1.8, 9: 1.7}, SCALE).undefined == ONE_SEED


def test_one_seed_of_many_is_paired_only_where_there_is_no_better():
    assert compare({1: 1.9}, {1: 1.8, 2: 1.7}, SCALE).left_out_b == (2,)
    several = compare({1: 1.9, 2: 1.8}, {2: 1.7, 3: 1.6}, SCALE)
    assert (several.test, several.interval is None) == ("Welch", False)


def test_scores_that_never_vary_give_no_test():
    assert compare({1: 2.0, 2: 2.0}, {3: 1.0, 4: 1.0}, SCALE).undefined == NEITHER_VARIES
    assert compare({1: 2.0, 2: 2.5}, {1: 1.0, 2: 1.5}, SCALE).undefined == SAME
    # 0.1 added to both is not the same number twice.
    assert compare({1: 1.7, 2: 1.9}, {1: 1.7 + 0.1, 2: 1.9 + 0.1}, SCALE).undefined == SAME
    assert compare({1: 5e5, 2: 5e5}, {1: 0.0, 2: 5e-324}, SCALE).undefined == SAME
    assert compare({1: 1e-300, 2: 2e-300}, {1: 3e-300, 2: 5e-300}, SCALE).df == 1


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="each side needs a seed"):
        compare({}, {1: 1.0}, SCALE)
