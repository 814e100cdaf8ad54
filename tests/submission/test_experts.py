"""The experts: what the counts say, in the shapes that the mixer takes, and how large their tables are."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from native.counts import Counts, share
from submission.designs import DESIGNS
from submission.experts import (
    PUBLISHED,
    SHARE_BYTES,
    SMALLEST_SHARE,
    Experts,
    MixerConfig,
    as_counted,
    spoken,
    table_bytes,
)
from submission.mixer import NO_HINT
from submission.pieces import unknown
from tests.submission.tiny import CONTEXTS, PIECES, VOCAB

STREAMS = st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 17, 39]), max_size=60).map(
    lambda tokens: np.array(tokens, dtype=np.int64)
)
SOME = st.sampled_from(
    [CONTEXTS, PUBLISHED, ("token:2",), ("within:0",), ("word:1", "token:4", "token:1")]
)


def counts_of(contexts):
    return Counts(contexts, PIECES.tables(), table_bytes=1 << 20, block_tokens=100)


def experts_of(config, **sizes):
    return Experts(config, PIECES, **{"tokens": 100, "block_tokens": 100, **sizes})


@given(SOME, STREAMS, STREAMS)
def test_what_l6_hears_are_hints_and_rates(contexts, history, block):
    counts, mine = counts_of(contexts), experts_of(MixerConfig(contexts=contexts))
    counts.accept(history)
    mine.accept(history)
    said, hints = mine.say(block), counts.look(block)
    positions = len(block) + 1
    for name, dtype in (("token_TE", torch.int64), ("rate_TE", torch.float64)):
        assert getattr(said, name).shape == (positions, 3)
        assert getattr(said, name).dtype == dtype
    assert np.array_equal(said.token_TE.numpy().T, hints.token_XT)
    assert np.array_equal(said.rate_TE.numpy().T, hints.rate_XT)
    assert said.open_T.dtype == torch.bool
    assert np.array_equal(said.open_T.numpy(), hints.open_T > 0)
    assert said.confidence_TE.shape == (positions, 3)
    assert ((said.token_TE >= NO_HINT) & (said.token_TE < VOCAB)).all()
    given_TE = said.token_TE != NO_HINT
    assert ((said.rate_TE > 0) & (said.rate_TE < 1))[given_TE].all()


@given(SOME, STREAMS, STREAMS, st.sampled_from(DESIGNS[:-1]))
def test_what_the_others_hear_is_the_top_of_the_longest_context(contexts, history, block, design):
    counts = counts_of(contexts)
    mine = experts_of(MixerConfig(design=design, contexts=contexts))
    counts.accept(history)
    mine.accept(history)
    said, hints = mine.say(block), counts.look(block)
    assert said.token_TE.dtype == torch.int64
    assert said.confidence_TE.dtype == said.rate_TE.dtype == torch.float64
    assert said.rate_TE.shape == said.confidence_TE.shape == (len(block) + 1, 3)
    assert np.array_equal(said.open_T.numpy(), hints.open_T > 0)
    for expert, name in enumerate(("token", "within", "word")):
        # An expert's first context is its longest.
        rows = [c for c, context in enumerate(contexts) if context.startswith(name)]
        for t in range(len(block) + 1):
            top, sure = int(said.token_TE[t, expert]), float(said.confidence_TE[t, expert])
            if not rows or not hints.met_CT[rows[0], t]:
                assert (top, sure) == (NO_HINT, 0.0)
                continue
            assert top == hints.top_CT[rows[0], t]
            assert sure == hints.top_count_CT[rows[0], t] / hints.met_CT[rows[0], t]
            assert 0.0 < sure <= 1.0


def test_a_token_that_always_followed_is_sure_and_two_in_three_are_told():
    counts = counts_of(("token:1",))
    counts.accept(np.array([2, 3, 2, 3, 2, 3, 2, 3, 2, 5, 2, 5]))
    said = as_counted(counts.look(np.array([2])), counts.contexts)
    assert said.token_TE[:, 0].tolist() == [2, 3]
    assert said.confidence_TE[:, 0].tolist() == [1.0, 4 / 6]
    assert (said.token_TE[:, 1:] == NO_HINT).all()


@given(SOME, STREAMS, STREAMS, st.data())
def test_fewer_positions_are_the_last_of_all(contexts, history, block, data):
    mine = experts_of(MixerConfig(contexts=contexts))
    mine.accept(history)
    first = data.draw(st.integers(0, len(block)))
    every, some = mine.say(block), mine.say(block, first=first)
    for name in every.__slots__:
        assert torch.equal(getattr(every, name)[first:], getattr(some, name))


@given(STREAMS, STREAMS, st.sampled_from(DESIGNS))
def test_what_was_said_stays_as_it_was_said(block, other, design):
    """The counts answer with views of what the next question writes over; the experts with copies."""
    mine = experts_of(MixerConfig(design=design, contexts=CONTEXTS))
    mine.accept(np.array([1, 2, 3, 4, 2, 3, 4, 5, 2]))
    said = mine.say(block)
    before = [getattr(said, name).clone() for name in said.__slots__]
    mine.say(other)
    mine.accept(other)
    after = [getattr(said, name) for name in said.__slots__]
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


@given(STREAMS, STREAMS, STREAMS)
def test_to_ask_changes_nothing(history, asked, block):
    mine, quiet = (experts_of(MixerConfig(contexts=CONTEXTS)) for _ in range(2))
    for one in (mine, quiet):
        one.accept(history)
    mine.say(asked)
    one, two = mine.say(block), quiet.say(block)
    assert torch.equal(one.token_TE, two.token_TE)
    assert torch.equal(one.rate_TE, two.rate_TE)


def test_without_pieces_the_experts_of_words_say_nothing():
    stream = np.tile(np.arange(2, 12), 8)
    for pieces, silent in ((unknown(VOCAB), True), (PIECES, False)):
        mine = Experts(MixerConfig(contexts=CONTEXTS), pieces, tokens=100, block_tokens=100)
        mine.accept(stream)
        said = mine.say(stream)
        assert (said.token_TE[:, 0] != NO_HINT).any()
        assert bool((said.token_TE[:, 1:] == NO_HINT).all()) is silent
        assert bool(said.open_T.any()) is not silent


@given(SOME, st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**10))
def test_tables_grow_with_the_stream_up_to_their_bound(contexts, tokens, more, most):
    small, large = (table_bytes(contexts, count, most) for count in (tokens, tokens + more))
    assert small <= large <= most
    shares = sum(map(share, contexts))
    assert table_bytes(contexts, 0, 10**12) == SMALLEST_SHARE * shares
    assert table_bytes(contexts, 10**8, 10**12) == SHARE_BYTES * 10**8 * shares


@pytest.mark.parametrize("most", [20_000, 2_000_000])
def test_the_counts_keep_to_their_bound(most):
    sizes = []
    for tokens in (10, 30_000, 1_000_000):
        config = MixerConfig(contexts=CONTEXTS, most_table_bytes=most)
        sizes.append(experts_of(config, tokens=tokens).counts.table_bytes)
    assert sizes == sorted(sizes)
    assert sizes[-1] <= most
    # Whole buckets: less than one of 64 bytes for each context goes unused.
    assert sizes[-1] > most - 64 * len(CONTEXTS) - len(CONTEXTS)
    if most > 1_000_000:
        assert sizes[0] < sizes[-1]


def one_sentence(problem):
    return "\n" not in str(problem.value) and len(str(problem.value)) < 200


@pytest.mark.parametrize(
    "context", ["token", "token:", "token:x", "tokens:3", ":3", "word:-1", "within:1.5"]
)
def test_contexts_that_there_are_not_are_refused(context):
    with pytest.raises(ValueError, match='write "token:15"') as problem:
        MixerConfig(contexts=("token:2", context))
    assert one_sentence(problem)
    assert repr(context) in str(problem.value)


def test_designs_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="design 'L0' is unknown; use one of L1, L2") as problem:
        MixerConfig(design="L0")
    assert one_sentence(problem)


@pytest.mark.parametrize(
    "contexts", [("token:2", "token:3"), ("token:2", "token:2"), ("token:0",), ("within:5",), ()]
)
def test_contexts_out_of_order_or_range_are_refused(contexts):
    with pytest.raises(ValueError, match="contexts") as problem:
        MixerConfig(contexts=contexts)
    assert one_sentence(problem)


@pytest.mark.parametrize("most", [0, -1, True, 2.5e9, None, "2000"])
def test_tables_without_a_byte_or_of_no_number_are_refused(most):
    with pytest.raises(ValueError, match="most_table_bytes") as problem:
        MixerConfig(most_table_bytes=most)
    assert one_sentence(problem)


@given(SOME, st.integers(0, 10_000))
def test_as_many_bytes_as_are_asked_for_at_least_are_enough(contexts, tokens):
    with pytest.raises(ValueError, match="need") as problem:
        MixerConfig(contexts=contexts, most_table_bytes=1)
    least = int(str(problem.value).split("need ")[1].split()[0])
    experts_of(MixerConfig(contexts=contexts, most_table_bytes=least), tokens=tokens)
    with pytest.raises(ValueError, match="need"):
        MixerConfig(contexts=contexts, most_table_bytes=least - 1)


def test_hints_of_the_published_contexts_are_said_in_their_order():
    counts = counts_of(PUBLISHED)
    counts.accept(np.tile(np.arange(2, 12), 5))
    hints = counts.look(np.arange(2, 12))
    said, by_rate = as_counted(hints, PUBLISHED), spoken(hints)
    assert said.token_TE.shape == by_rate.token_TE.shape == (11, 3)
    assert (said.token_TE[5:, 0] == by_rate.token_TE[5:, 0]).all()
