"""Records are taken by date, each against the one that stood; p is scipy's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.contract import Margin
from harness.board.records import Scores, chain
from tests.harness.board.made import FRONTIER, RULES

README, LATER = RULES.ruleset.margin(), FRONTIER.ruleset.margin()
PR1019 = Scores(name="PR #1019", nats_S=(1.88276292, 1.88156874, 1.88220393))
PR1302 = Scores(name="PR #1302", nats_S=(1.8759533, 1.87342257, 1.87626598))

NATS = st.integers(180_000, 190_000).map(lambda grid: grid / 1e5)
ENTRIES = st.lists(
    st.lists(NATS, min_size=1, max_size=4).map(
        lambda nats: Scores(name=str(nats), nats_S=tuple(nats))
    ),
    max_size=6,
)
MARGINS = st.builds(
    Margin,
    test=st.sampled_from(["welch", "one-sample"]),
    margin_nats=st.just(0.005),
    margin_in_null=st.booleans(),
    alpha=st.sampled_from([0.01, 0.25]),
    min_seeds=st.integers(2, 3),
)


def mean(scores):
    return sum(scores.nats_S) / len(scores.nats_S)


@settings(max_examples=60)
@given(ENTRIES, st.none() | st.just(PR1019), MARGINS)
def test_each_record_beats_the_one_before_and_only_records_stand(entries, bar, margin):
    judged = chain(entries, bar, margin)
    standing = bar
    for entry, found in zip(entries, judged, strict=True):
        assert found.against == (standing.name if standing else None)
        if found.record:
            assert len(entry.nats_S) >= margin.min_seeds
            if standing is not None:
                assert found.p < margin.alpha
                assert mean(entry) < mean(standing)
            standing = entry
        elif found.p is not None and len(entry.nats_S) >= margin.min_seeds:
            assert found.p >= margin.alpha
        else:
            assert found.why


@settings(max_examples=30)
@given(ENTRIES, ENTRIES, MARGINS)
def test_what_comes_later_changes_nothing(entries, later, margin):
    assert chain([*entries, *later], PR1019, margin)[: len(entries)] == chain(
        entries, PR1019, margin
    )


@settings(max_examples=30)
@given(st.lists(NATS, min_size=2, max_size=4, unique=True), MARGINS)
def test_p_is_that_of_scipy(nats, margin):
    from scipy import stats

    (found,) = chain([Scores(name="x", nats_S=tuple(nats))], PR1019, margin)
    shifted = [x + (margin.margin_nats if margin.margin_in_null else 0) for x in nats]
    if margin.test == "welch":
        expected = stats.ttest_ind(shifted, PR1019.nats_S, equal_var=False, alternative="less")
    else:
        expected = stats.ttest_1samp(shifted, mean(PR1019), alternative="less")
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)


def test_the_contest_s_two_rulesets_part_over_one_pull_request():
    (written,), (later,) = (chain([PR1302], PR1019, margin) for margin in (README, LATER))
    assert (written.record, round(written.p, 4)) == (False, 0.0746)
    assert (later.record, round(later.p, 5)) == (True, 0.00447)
    assert written.against == later.against == "PR #1019"


def test_a_better_score_that_came_first_is_the_one_to_beat():
    low, middle = ((x - 0.0001, x, x + 0.0001) for x in (1.80, 1.85))
    early, late = Scores(name="early", nats_S=low), Scores(name="late", nats_S=middle)
    assert [j.record for j in chain([early, late], PR1019, README)] == [True, False]
    assert [j.record for j in chain([late, early], PR1019, README)] == [True, True]


def test_without_a_bar_the_first_is_a_record_if_it_has_the_seeds():
    (first,) = chain([PR1302], None, README)
    assert (first.record, first.against, first.p) == (True, None, None)
    (few,) = chain([Scores(name="two", nats_S=(1.8, 1.9))], None, README)
    assert (few.record, few.why) == (False, "the ruleset asks for 3 seeds")


def test_a_p_below_alpha_of_too_few_seeds_makes_no_record():
    (found,) = chain([Scores(name="two", nats_S=(1.5, 1.5001))], PR1019, README)
    assert found.p < 0.01
    assert (found.record, found.why) == (False, "the ruleset asks for 3 seeds")
    (alone,) = chain([Scores(name="one", nats_S=(1.5,))], PR1019, README)
    assert (alone.record, alone.p, alone.why) == (False, None, "one seed has no interval")
