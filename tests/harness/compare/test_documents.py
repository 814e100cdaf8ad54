"""Where a difference comes from: documents as clusters, against plain loops and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from harness.compare.documents import gather


def drawn(seed, lengths):
    """Documents of (nats of A, nats of B) a token, on a grid coarse enough for ties."""
    draw = np.random.default_rng(seed)
    return [(draw.integers(0, 8, (length, 2)) / 4).tolist() for length in lengths]


DOCUMENTS = st.builds(
    drawn, st.integers(0, 999), st.lists(st.integers(1, 6), min_size=1, max_size=8)
)
OF_ONE_LENGTH = st.builds(drawn, st.integers(0, 999), st.integers(2, 8).map(lambda n: [4] * n))


def gathered(documents):
    """The same as `gather` takes them."""
    starts = np.cumsum([0, *map(len, documents)])
    sums = np.array([np.sum(document, axis=0) for document in documents])
    return gather(sums[:, 0], sums[:, 1], starts[:-1].astype(np.int64), int(starts[-1]))


def slow(documents):
    """The difference and its standard error, by the formula's own loops."""
    tokens = sum(map(len, documents))
    gaps = [sum(b - a for a, b in document) for document in documents]
    difference = sum(gaps) / tokens
    squares = [(gap - difference * len(d)) ** 2 for gap, d in zip(gaps, documents, strict=True)]
    count = len(documents)
    error = math.sqrt(count / max(count - 1, 1) * sum(squares)) / tokens
    return difference, error, gaps


@given(DOCUMENTS)
def test_the_same_as_slow_loops(documents):
    found = gathered(documents)
    difference, error, gaps = slow(documents)
    assert found.difference == pytest.approx(difference, abs=1e-12)
    assert found.better == sum(gap < 0 for gap in gaps)
    assert found.worse == sum(gap > 0 for gap in gaps)
    assert [g.difference_nats for g in found.gains] == sorted(g for g in gaps if g < 0)[:3]
    assert [g.difference_nats for g in found.losses] == sorted(
        (g for g in gaps if g > 0), reverse=True
    )[:3]
    if len(documents) > 1 and error > 1e-9:
        half = special.stdtrit(len(documents) - 1, 0.975) * error
        assert found.interval == pytest.approx((difference - half, difference + half), abs=1e-9)
    else:
        assert found.interval is None


@given(DOCUMENTS)
def test_the_other_way_round_every_sign_changes(documents):
    one = gathered(documents)
    other = gathered([[(b, a) for a, b in document] for document in documents])
    assert other.difference == -one.difference
    assert (other.better, other.worse) == (one.worse, one.better)
    assert [d.difference_nats for d in other.gains] == [-d.difference_nats for d in one.losses]
    if one.interval is None:
        assert other.interval is None
    else:
        assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]))


@settings(max_examples=40)
@given(OF_ONE_LENGTH)
def test_documents_of_one_length_are_a_paired_t_test_over_their_means(documents):
    from scipy import stats

    found = gathered(documents)
    a, b = (np.array([[t[side] for t in d] for d in documents]).mean(axis=1) for side in (0, 1))
    if found.interval is not None:
        ends = stats.ttest_rel(b, a).confidence_interval(0.95)
        assert found.interval == pytest.approx((ends.low, ends.high), rel=1e-6, abs=1e-9)


@given(DOCUMENTS)
def test_a_run_against_itself_has_no_interval(documents):
    found = gathered([[(a, a) for a, _ in document] for document in documents])
    assert (found.difference, found.interval, found.better, found.worse) == (0, None, 0, 0)
    assert found.gains == found.losses == ()


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Documents differ in length and in how much better B is; their tokens share that."""
    draw, hits, rounds = np.random.default_rng(5), 0, 400
    for _ in range(rounds):
        lengths = draw.integers(20, 400, 60)
        luck = draw.normal(-0.01, 0.05, 60)
        gaps = lengths * luck + draw.normal(0, 1, 60) * np.sqrt(lengths)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        found = gather(np.zeros(60), gaps, starts.astype(np.int64), int(lengths.sum()))
        assert found.interval is not None
        hits += found.interval[0] <= -0.01 <= found.interval[1]
    assert 0.91 <= hits / rounds <= 0.98


def test_a_document_is_named_by_its_place():
    found = gathered([[(1.0, 1.0)], [(1.0, 0.5), (3.0, 1.5)], [(1.0, 4.0)]])
    (gain,), (loss,) = found.gains, found.losses
    assert (gain.number, gain.first, gain.tokens, gain.nats_a, gain.nats_b) == (2, 1, 2, 2.0, 1.0)
    assert (loss.number, loss.first, loss.difference_nats) == (3, 3, 3.0)
