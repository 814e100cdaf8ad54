"""The counts: causal, and exact: what dictionaries would say, in tables with room and in full ones.

What a sequence of calls does is in test_counts_state.py, who makes room in test_full_tables.py.
"""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from native import counts, reference
from native.counts import EXPERTS, Counts, Hints
from tests.native.drawn import (
    BLOCK,
    BUILDS,
    ENGLISH,
    SEVERAL,
    STREAMS,
    Found,
    Oracle,
    Scene,
    all_starts,
    context_lists,
    english,
    roomy,
    scenes,
    smallest_table,
    spoken,
    tokens,
    unpacked,
    vocabularies,
    within,
)

LARGEST_RATE = 1 - 2**-24
"""The largest 32-bit float below 1."""

# What a position is told.


def copied(hints):
    return [part.copy() for part in hints]


@BUILDS
@given(scene=scenes(), history=STREAMS, stream=STREAMS, other=STREAMS, share=st.floats(0, 1))
def test_hints_depend_on_what_precedes_alone(use_compiled, scene, history, stream, other, share):
    history, stream, other = (within(drawn, scene.vocab) for drawn in (history, stream, other))
    t = round(share * len(stream))
    exchanged = (stream[:t] + other)[:BLOCK]
    state = scene.after(use_compiled, history)
    whole = copied(state.look(tokens(stream)))
    same_state = copied(state.look(tokens(exchanged)))
    fresh_state = copied(scene.after(use_compiled, history).look(tokens(exchanged)))
    for part, same, fresh in zip(whole, same_state, fresh_state, strict=True):
        assert np.array_equal(part[..., : t + 1], same[..., : t + 1])
        assert np.array_equal(part[..., : t + 1], fresh[..., : t + 1])


@BUILDS
@given(scene=scenes(), stream=STREAMS, cut=st.integers(1, BLOCK))
def test_one_block_or_many_are_told_the_same(use_compiled, scene, stream, cut):
    stream = within(stream, scene.vocab)
    whole = copied(scene.state(use_compiled).look(tokens(stream)))
    state = scene.state(use_compiled)
    for first in range(0, len(stream), cut):
        block = stream[first : first + cut]
        for part, told in zip(whole, state.look(tokens(block)), strict=True):
            assert np.array_equal(part[..., first : first + len(block) + 1], told)
        state.accept(tokens(block))


@BUILDS
@given(scene=scenes(), stream=STREAMS, first=st.integers(0, BLOCK))
def test_hints_from_a_position_on_are_the_end_of_them_all(use_compiled, scene, stream, first):
    stream = tokens(within(stream, scene.vocab))
    state = scene.state(use_compiled)
    first = min(first, len(stream))
    for part, end in zip(copied(state.look(stream)), state.look(stream, first), strict=True):
        assert np.array_equal(part[..., first:], end)


@BUILDS
@given(scene=scenes(), drawn=STREAMS)
def test_properties_of_hints_are_their_packed_fields(use_compiled, scene, drawn):
    hints = scene.state(use_compiled).look(tokens(within(drawn, scene.vocab)))
    for c, row in enumerate(unpacked(hints)):
        assert hints.top_CT[c].tolist() == [one.top if one.met else -1 for one in row]
        assert hints.met_CT[c].tolist() == [one.met for one in row]
        assert hints.top_count_CT[c].tolist() == [one.top_count for one in row]


# Against dictionaries.


def compare(hints: Hints, oracle: Oracle, stream: list[int], full: bool = False) -> None:
    """Compare all that is said of a question with what dictionaries say.

    Where the tables are `full`, those are told how often each context was met, and must forget the rest.
    """
    found = unpacked(hints)
    for t in range(len(stream) + 1):
        assert hints.open_T[t] == bool(oracle.reader.pieces)
        for c in range(len(found)):
            if full:
                oracle.forget(c, found[c][t].met)
            check_counts(found[c][t], oracle.known(c))
        for x in range(len(EXPERTS)):
            hint = oracle.hint(x)
            assert hints.token_XT[x, t] == (hint.token if hint else -1)
            wanted = min(oracle.rate(x), LARGEST_RATE) if hint else 0
            assert hints.rate_XT[x, t] == pytest.approx(wanted, rel=1e-6)
            assert (hints.rate_XT[x, t] > 0) == bool(hint)
            assert hints.rate_XT[x, t] < 1
        if t < len(stream):
            oracle.read(stream[t])


def check_counts(found: Found, followed: list[int]) -> None:
    """Compare what was found of a context with all that followed it."""
    assert found.met == len(followed)
    if not followed:
        assert found == (0, 0, 0, 0, 0)
        return
    often = Counter(followed)
    assert found.top_count >= max(1, found.second_count)
    assert found.top_count <= often[found.top]
    if len(often) > 2:
        assert found.second_count <= often[found.second]
        assert found.top != found.second
        return
    assert found.top_count == often[found.top] == max(often.values())
    assert found.second_count == found.met - found.top_count
    assert found.second_count == (often[found.second] if found.second != found.top else 0)
    if found.top_count == found.second_count:
        assert found.top == followed[-1]


@BUILDS
@given(contexts=context_lists(), vocabulary=vocabularies(), drawn=STREAMS)
def test_with_room_all_is_as_in_dictionaries(use_compiled, contexts, vocabulary, drawn):
    scene, oracle = roomy(contexts, vocabulary), Oracle(contexts, vocabulary)
    state, stream = scene.state(use_compiled), within(drawn, scene.vocab)
    compare(state.look(tokens(stream)), oracle, stream)
    assert not any(state.given_up)
    assert state.met == [len(list(filter(None, row.values()))) for row in oracle.followed]


@BUILDS
@given(contexts=context_lists(), vocabulary=vocabularies(), drawn=STREAMS, times=st.integers(1, 3))
def test_in_full_tables_all_is_as_in_dictionaries_that_forget(
    use_compiled, contexts, vocabulary, drawn, times
):
    scene = Scene(contexts, vocabulary.tables(), times * smallest_table(contexts))
    state, stream = scene.state(use_compiled), within(drawn, scene.vocab)
    compare(state.look(tokens(stream)), Oracle(contexts, vocabulary), stream, full=True)


@BUILDS
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_many_lengths_agree_and_disagree_as_dictionaries_do(use_compiled, seed, full):
    # Eight lengths, and phrases that come again with a token exchanged here and there.
    contexts = [f"token:{n}" for n in (11, 8, 7, 5, 4, 3, 2, 1)]
    contexts += [f"within:{n}" for n in (4, 3, 2, 1, 0)] + [f"word:{n}" for n in (4, 3, 2, 1)]
    vocabulary, rng = spoken("_a b _c d . _e | f"), np.random.default_rng(seed)
    phrase = rng.integers(0, 8, int(rng.integers(2, 25)))
    stream_T = np.resize(phrase, 400)
    exchanged_T = rng.random(400) < 0.06
    stream_T[exchanged_T] = rng.integers(0, 8, exchanged_T.sum())
    scene, oracle = roomy(contexts, vocabulary), Oracle(contexts, vocabulary)
    if full:
        scene = scene._replace(table_bytes=smallest_table(contexts))
    state = scene.state(use_compiled)
    for first in range(0, 400, BLOCK):
        block = stream_T[first : first + BLOCK].tolist()
        compare(state.look(tokens(block)), oracle, block, full)
        state.accept(tokens(block))
    assert full == any(state.given_up)


@BUILDS
def test_an_expert_says_the_same_whoever_else_is_there(use_compiled):
    rng = np.random.default_rng(3)
    stream_T = rng.integers(0, 10, BLOCK)
    hints = roomy(SEVERAL, ENGLISH).state(use_compiled).look(stream_T)
    for x, expert in enumerate(EXPERTS):
        rows = [c for c, context in enumerate(SEVERAL) if context.startswith(expert)]
        alone = roomy([SEVERAL[c] for c in rows], ENGLISH).state(use_compiled).look(stream_T)
        assert np.array_equal(alone.counts_CT, hints.counts_CT[rows])
        assert np.array_equal(alone.token_XT[x], hints.token_XT[x])
        assert np.array_equal(alone.rate_XT[x], hints.rate_XT[x])
        others = [y for y in range(len(EXPERTS)) if y != x]
        assert (alone.token_XT[others] == -1).all()
        assert not alone.rate_XT[others].any()


# By example.


def of_letters(use_compiled: bool, contexts: list[str], said: str) -> tuple[Hints, Found]:
    """Return what is told after single letters, and what of it of the first context."""
    vocabulary = spoken("_a _b _c _d _e _x")
    stream = ["abcdex".index(letter) for letter in said.replace(" ", "")]
    hints = roomy(contexts, vocabulary).after(use_compiled, stream).look(tokens([]))
    return hints, unpacked(hints)[0][0]


@BUILDS
@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("abc abc abd ab", "d"),  # what followed last, not most often
        ("abc abd ab", "d"),
        ("abc xbd ab", "c"),  # in the longest context that was met
        ("abc xbd eb", "d"),  # else in a shorter one
        ("abc", None),
    ],
)
def test_the_hint_is_what_followed_last_in_the_longest_context_met(use_compiled, said, hint):
    hints, _ = of_letters(use_compiled, ["token:2", "token:1"], said)
    assert hints.token_XT[0, 0] == ("abcdex".index(hint) if hint else -1)


@BUILDS
@pytest.mark.parametrize(
    ("said", "top", "second", "counts"),
    [
        ("xa xa xb x", "a", "b", (3, 2, 1)),
        ("xa xb x", "b", "a", (2, 1, 1)),  # of two as frequent the later one
        ("xa xb xa x", "a", "b", (3, 2, 1)),
        ("xa xa xb xb x", "b", "a", (4, 2, 2)),
        ("xa xa xa xb xb xc x", "a", "b", (6, 3, 1)),  # a third takes one from the second
        ("xa xa xa xb xc x", "a", "c", (5, 3, 1)),  # or its place
        ("xa xb xc x", "c", "b", (3, 1, 1)),
    ],
)
def test_top_and_second_by_example(use_compiled, said, top, second, counts):
    _, found = of_letters(use_compiled, ["token:1"], said)
    wanted = ("abcdex".index(top), "abcdex".index(second))
    assert found == (*wanted, *counts)


# Which tokens an expert counts.


def met(use_compiled: bool, context: str, said: str) -> list[int]:
    """Return how often the context had been met, at each position."""
    hints = roomy([context], ENGLISH).state(use_compiled).look(tokens(english(said)))
    for x, expert in enumerate(EXPERTS):  # the expert itself says something exactly there
        own = hints.met_CT[0] if context.startswith(expert) else np.zeros(1)
        assert ((hints.token_XT[x] >= 0) == (own > 0)).all()
    return hints.met_CT[0].tolist()


@BUILDS
def test_token_contexts_count_every_token(use_compiled):
    assert met(use_compiled, "token:1", "the the the | the | the") == [0, 0, 1, 2, 0, 3, 1, 4]


@BUILDS
def test_within_contexts_count_what_continues_a_word_and_are_silent_elsewhere(use_compiled):
    # Nothing is open before the first token and after a boundary. "the" is followed by starts alone.
    assert met(use_compiled, "within:0", "C at s C at s") == [0, 0, 0, 0, 1, 1, 0]
    assert met(use_compiled, "within:0", "the cat the cat") == [0] * 5
    assert met(use_compiled, "within:0", "C at | C at | at") == [0, 0, 0, 0, 1, 0, 0, 0]


@BUILDS
def test_within_contexts_of_a_length_see_the_words_before(use_compiled):
    assert met(use_compiled, "within:1", "the C at dog C at the C at")[-2:] == [1, 0]
    assert met(use_compiled, "within:2", "the C at dog C at the C at")[-2:] == [0, 0]


@BUILDS
def test_word_contexts_count_what_starts_a_word(use_compiled):
    # Before "at" stands the context "c", which is counted for word starts alone.
    assert met(use_compiled, "word:1", "the cat the cat the") == [0, 0, 0, 1, 1, 2]
    assert met(use_compiled, "word:1", "C at s C at s") == [0, 0, 0, 0, 0, 0, 1]
    assert met(use_compiled, "word:1", "C at dog C at dog")[-2] == 1
    assert met(use_compiled, "word:1", "| the | the") == [0, 0, 0, 1, 0]


@BUILDS
def test_words_are_what_is_left_of_their_text(use_compiled):
    # "Cat." is "cat" and "The" is "the"; a comma alone is no word.
    plain, dressed = "the cat dog", "| The C at . dog"
    assert met(use_compiled, "word:2", f"{plain} {dressed}")[-2] == 1
    assert met(use_compiled, "word:2", "the cat dog | the , cat dog")[-2] == 1
    assert met(use_compiled, "word:2", "the cat dog | the cat s dog")[-2] == 0


@BUILDS
@pytest.mark.parametrize("length", [1, 4])
def test_a_boundary_forgets_all_words(use_compiled, length):
    said, near = "the | cat | dog |", length == 1
    assert met(use_compiled, f"word:{length}", said) == [0, 0, 1, 0, 2, 0, 3]
    assert met(use_compiled, f"within:{length}", "the | C at | cat the | C at")[-2] == 1
    assert met(use_compiled, f"within:{length}", "the C at | cat the C at")[-2] == near


@BUILDS
def test_only_what_an_expert_counts_is_in_its_rate(use_compiled):
    # The word-start expert hints "cat" inside words too, and is not held to account there.
    contexts, said = ["word:1"], "the cat " * 3 + "the"
    state = roomy(contexts, ENGLISH).state(use_compiled)
    before = state.look(tokens(english(said))).rate_XT[2, -1]
    assert state.look(tokens(english(f"{said} at"))).token_XT[2, 7] == english("cat")[0]
    assert state.look(tokens(english(f"{said} at | | cat s the"))).rate_XT[2, -1] == before
    assert state.look(tokens(english(f"{said} dog the"))).rate_XT[2, -1] < before


# Limits.


@BUILDS
def test_counts_are_halved_when_the_top_would_pass_254(use_compiled):
    scene = Scene(["token:1"], spoken("_a _b").tables(), 64)
    rows = []
    state = scene.state(use_compiled)
    for block in ([0, 0, 0], [0] * 200, [0] * 60, [0] * 130):
        rows += unpacked(state.look(tokens(block)))[0][:-1]
        state.accept(tokens(block))
    tops = [row.top_count for row in rows]
    assert tops == [row.met for row in rows]
    # The first token has no context, and the second is the first of its own.
    assert tops[:256] == [0, 0, *range(1, 255)]
    assert tops[256:384] == [*range(127, 255)]


@BUILDS
def test_the_second_is_halved_with_the_top(use_compiled):
    # After "a": eleven times "b", then "c" until it leads, and on to the limit.
    stream = [0, 1] * 11 + [0, 2] * 255
    scene = Scene(["token:1"], spoken("_a _b _c").tables(), 64 * 50)
    state = scene.after(use_compiled, stream)
    assert unpacked(state.look(tokens([0])))[0][1] == (2, 1, 133, 127, 5)


def one_context(use_compiled: bool, pieces: int, block_tokens: int) -> Counts:
    """Return a state of one word context, which pieces without a core leave as it is."""
    return Counts(
        ["word:1"],
        all_starts([b"."] * pieces),
        table_bytes=64,
        block_tokens=block_tokens,
        use_compiled=use_compiled,
    )


@BUILDS
def test_counts_are_halved_when_the_times_met_would_pass_65534(use_compiled):
    stream_T = np.arange(66_000) % 300
    if use_compiled:
        met_T = one_context(True, 300, 66_000).look(stream_T).met_CT[0].tolist()
    else:  # its one context alone, to save time
        one, met_T = reference.new_context(1, 0), [0]
        for token in stream_T[1:].tolist():
            met_T.append(one.met)
            one = one.counted(token)
        met_T.append(one.met)
    assert met_T[:65_535] == [*range(65_535)]
    assert met_T[65_535:] == [*range(32_767, 32_767 + 466)]


@BUILDS
def test_rates_of_a_context_that_was_met_thousands_of_times(use_compiled):
    # Runs of all lengths, beyond 255 too, and numbers that were halved.
    rng = np.random.default_rng(1)
    pieces = np.minimum(rng.geometric(0.3, 400) - 1, 20)
    stream = np.repeat(pieces, rng.integers(1, 9, 400)).tolist()
    stream = [*stream[:500], *[3] * 300, *stream[500:]]
    hints = one_context(use_compiled, 21, len(stream)).look(np.array(stream))
    found, seen, came_true, runs = unpacked(hints)[0], Counter(), Counter(), 0
    for t in range(1, len(stream)):
        runs = runs + 1 if t > 1 and stream[t - 1] == stream[t - 2] else 1
        kind = sum(runs >= n for n in (2, 3, 6)), found[t].met == found[t].top_count
        prior = 2 * min(runs, 255, found[t].met) / (found[t].met + 1)
        wanted = min(LARGEST_RATE, (came_true[kind] + prior) / (seen[kind] + 2))
        assert hints.token_XT[2, t] == stream[t - 1]
        assert hints.rate_XT[2, t] == pytest.approx(wanted, rel=1e-6)
        seen[kind] += 1
        came_true[kind] += stream[t - 1] == stream[t]
    assert len(seen) > 5


@BUILDS
def test_a_hint_that_always_came_true_is_not_held_to_be_certain(use_compiled):
    scene = Scene(["token:1"], spoken("_a").tables(), 64)
    # 255 times in a row, in a context whose numbers were halved.
    state = scene.after(use_compiled, [0] * 300)
    assert 0.9999 < state.look(tokens([])).rate_XT[0, 0] < LARGEST_RATE
    # So often that the rate is nearer to 1 than to any 32-bit float below; the twin is told so, to save time.
    twin = scene.after(False, [0] * 160)
    twin._state._tallies[0][0b111] = [600_000, 600_000]
    raw = (600_000 + 2 * 159 / 160) / 600_002
    assert raw < 1 == np.float32(raw)
    state = scene.state(use_compiled)
    state.load(twin.save())
    assert state.look(tokens([])).rate_XT[0, 0] == LARGEST_RATE


# The twin's own parts, which say what the numbers are.


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 2_000), st.floats(0.2, 0.95))
def test_one_context_counts_alike_in_both_builds(seed, length, often):
    stream = np.minimum(np.random.default_rng(seed).geometric(often, length) - 1, 3).tolist()
    one, told, hints = None, [], []
    for token in stream:
        told.append(one.packed() if one else 0)
        hints.append(one.last if one else -1)
        one = one.counted(token) if one else reference.new_context(1, token)
    for use_compiled in [True, False] if counts.compiled else [False]:
        found = one_context(use_compiled, 4, 2_000).look(tokens(stream))
        assert found.counts_CT[0, :-1].tolist() == told
        assert found.token_XT[2, :-1].tolist() == hints


def test_every_kind_of_evidence_has_a_number_of_its_own():
    numbers = {}
    for chosen, run, beside in product(range(8), [1, 2, 3, 4, 5, 6, 7, 100, 255], [0, 1]):
        one = reference.Context(1, 5 + beside, 0, 5, 0, 0, 0, run)
        for agreeing in range(8 - chosen):
            kind = (chosen, agreeing, sum(run >= least for least in (2, 3, 6)), beside)
            number = reference.evidence(chosen, agreeing, one)
            assert numbers.setdefault(kind, number) == number
            assert 0 <= number < reference.EVIDENCE
    assert len(set(numbers.values())) == len(numbers) == 36 * 4 * 2


@BUILDS
def test_halving_does_not_forget_that_another_token_followed(use_compiled):
    stream = [0, 1] + [0, 2] * 300
    scene = Scene(["token:1"], spoken("_a _b _c").tables(), 64 * 50)
    state = scene.state(use_compiled)
    for first in range(0, len(stream), 100):
        block = tokens(stream[first : first + 100])
        rows = unpacked(state.look(block))[0]
        state.accept(block)
        after_a = [row for t, row in enumerate(rows[:-1]) if stream[first + t - 1] == 0]
        assert all(row.met > row.top_count for row in after_a if row.met > 1)
