"""The counts: causal; exact where there is room, sound where there is none; saved whole or refused; no crash.

What a sequence of calls does is in test_counts_state.py.
"""

import copy
import struct
import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from native import counts, reference
from native.counts import Counts, Expert, parse_expert
from native.words import TokenTables, token_tables
from tests.native.drawn import (
    BLOCK,
    BUILDS,
    NEEDS_COMPILED,
    SLOTS,
    STREAMS,
    Oracle,
    Scene,
    answers,
    expert_lists,
    raw_tables,
    roomy,
    scenes,
    smallest_table,
    spoken,
    tokens,
    vocabularies,
    within,
)

LARGEST_RATE = 1 - 2**-24
"""The largest 32-bit float below 1."""
THREE = [Expert("token", 2), Expert("within", 0), Expert("word", 2)]
PIECES = "| _the _cat _C at s . _, _The _dog"
ENGLISH = spoken(PIECES)
NAMES = PIECES.replace("_", "").split()


def english(text: str) -> list[int]:
    return [NAMES.index(piece) for piece in text.split()]


def unpacked(hints):
    """Return token, second, total, top, next of each expert and position."""
    packed = hints.counts_ET.astype(object)
    return [
        [
            (one & 0xFFFF, one >> 16 & 0xFFFF, one >> 32 & 0xFFFF, one >> 48 & 0xFF, one >> 56)
            for one in row
        ]
        for row in packed
    ]


# What a position is told.


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


def copied(hints):
    return [part.copy() for part in hints]


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
@given(experts=expert_lists(), vocabulary=vocabularies(), drawn=STREAMS)
def test_with_room_counts_are_those_of_dictionaries(use_compiled, experts, vocabulary, drawn):
    scene = roomy(experts, vocabulary)
    stream = within(drawn, scene.vocab)
    state = scene.state(use_compiled)
    hints = state.look(tokens(stream))
    assert not any(state.given_up)
    found, oracle = unpacked(hints), Oracle(experts, vocabulary)
    for t in range(len(stream) + 1):
        assert hints.open_T[t] == bool(oracle.reader.pieces)
        for e in range(len(experts)):
            check(found[e][t], oracle.known(e))
            assert (hints.rate_ET[e, t] > 0) == bool(oracle.known(e))
        if t < len(stream):
            oracle.read(stream[t])
    assert state.contexts == [len(followed) for followed in oracle.followed]


def check(found: tuple[int, ...], followed: Counter[int]) -> None:
    """Compare what was found in a context with all that followed it."""
    token, second, total, top, runner_up = found
    assert total == followed.total()
    if not followed:
        assert found == (0, 0, 0, 0, 0)
        return
    assert top >= max(1, runner_up)
    if len(followed) <= 2:
        assert top == followed[token] == max(followed.values())
        assert runner_up == total - top
        assert runner_up == (followed[second] if second != token else 0)
    else:
        assert top <= followed[token]
        assert runner_up <= followed[second]
        assert token != second


@BUILDS
@given(scene=scenes(), drawn=STREAMS)
def test_properties_of_hints_are_their_packed_fields(use_compiled, scene, drawn):
    hints = scene.state(use_compiled).look(tokens(within(drawn, scene.vocab)))
    for e, row in enumerate(unpacked(hints)):
        for t, (token, _, total, top, _) in enumerate(row):
            assert hints.token_ET[e, t] == (token if total else -1)
            assert (hints.total_ET[e, t], hints.top_ET[e, t]) == (total, top)


TOP_FROM, MISSED_FROM = (0, 2, 3, 4, 6, 10, 20, 50), (0, 1, 2, 3, 5, 9, 21, 61)


@BUILDS
@given(experts=expert_lists(), vocabulary=vocabularies(), drawn=STREAMS, tight=st.booleans())
def test_rates_are_a_tally_of_what_came_true(use_compiled, experts, vocabulary, drawn, tight):
    scene = roomy(experts, vocabulary)
    if tight:
        scene = scene._replace(table_bytes=smallest_table(experts))
    stream = within(drawn, scene.vocab)
    hints = scene.state(use_compiled).look(tokens(stream))
    found, oracle = unpacked(hints), Oracle(experts, vocabulary)
    seen = [Counter() for _ in experts]
    came_true = [Counter() for _ in experts]
    for t in range(len(stream) + 1):
        for e in range(len(experts)):
            token, _, total, top, _ = found[e][t]
            if not total:
                assert hints.rate_ET[e, t] == 0
                continue
            kind = evidence(top, total - top)
            prior = 2 * top / (total + 1)
            wanted = (came_true[e][kind] + prior) / (seen[e][kind] + 2)
            assert hints.rate_ET[e, t] == pytest.approx(wanted, rel=1e-6)
            assert 0 < hints.rate_ET[e, t] < 1
            if t < len(stream) and oracle.counts(e, stream[t]):
                seen[e][kind] += 1
                came_true[e][kind] += token == stream[t]
        if t < len(stream):
            oracle.read(stream[t])


@BUILDS
def test_rates_of_a_context_that_misses_hundreds_of_times(use_compiled):
    # Pieces that each start a word and have no core leave a word expert's context as it is.
    rng = np.random.default_rng(1)
    stream = np.minimum(rng.geometric(0.3, 2_000) - 1, 20)
    state = Counts(
        [Expert("word", 1)],
        all_starts([b"."] * 21),
        table_bytes=64,
        block_tokens=2_000,
        use_compiled=use_compiled,
    )
    hints = state.look(stream)
    seen, came_true = Counter(), Counter()
    for t, (token, _, total, top, _) in enumerate(unpacked(hints)[0][1:-1], start=1):
        kind = evidence(top, total - top)
        wanted = (came_true[kind] + 2 * top / (total + 1)) / (seen[kind] + 2)
        assert hints.rate_ET[0, t] == pytest.approx(wanted, rel=1e-6)
        seen[kind] += 1
        came_true[kind] += token == stream[t]
    assert total - top > 255


def evidence(top: int, missed: int) -> tuple[int, int]:
    return (
        max(k for k, least in enumerate(TOP_FROM) if top >= least),
        max(k for k, least in enumerate(MISSED_FROM) if missed >= least),
    )


@BUILDS
def test_a_hint_that_always_came_true_is_not_held_to_be_certain(use_compiled):
    # So often that its rate is nearer to 1 than to any 32-bit float below. The twin is told so, to save time.
    scene = Scene([Expert("token", 1)], spoken("_a").tables(), 64)
    if use_compiled:
        state = Counts(
            scene.experts, scene.tables, table_bytes=64, block_tokens=1 << 20, use_compiled=True
        )
        rate = state.look(np.zeros(600_000, np.uint16)).rate_ET.max()
    else:
        state = scene.after(use_compiled, [0] * 160)
        state._state._experts[0].tallies[8 * 7] = [600_000, 600_000]
        rate = state.look(tokens([0])).rate_ET[0, 1]
    assert rate == LARGEST_RATE


# Which tokens an expert counts.


def met(use_compiled: bool, expert: Expert, said: str, vocabulary=ENGLISH) -> list[int]:
    """Return how often the expert had met its context, at each position."""
    state = roomy([expert], vocabulary).state(use_compiled)
    return state.look(tokens(english(said))).total_ET[0].tolist()


@BUILDS
def test_token_experts_count_every_token(use_compiled):
    assert met(use_compiled, Expert("token", 1), "the the the | the | the") == [
        0,
        0,
        1,
        2,
        0,
        3,
        1,
        4,
    ]


@BUILDS
def test_within_experts_count_what_continues_a_word_and_are_silent_elsewhere(use_compiled):
    # Nothing is open before the first token and after a boundary. "the" is followed by starts alone.
    expert = Expert("within", 0)
    assert met(use_compiled, expert, "C at s C at s") == [0, 0, 0, 0, 1, 1, 0]
    assert met(use_compiled, expert, "the cat the cat") == [0] * 5
    assert met(use_compiled, expert, "C at | C at | at") == [0, 0, 0, 0, 1, 0, 0, 0]


@BUILDS
def test_within_experts_of_a_length_see_the_words_before(use_compiled):
    assert met(use_compiled, Expert("within", 1), "the C at dog C at the C at")[-2:] == [1, 0]
    assert met(use_compiled, Expert("within", 2), "the C at dog C at the C at")[-2:] == [0, 0]


@BUILDS
def test_word_experts_count_what_starts_a_word(use_compiled):
    # Before "at" stands the context "c", which is counted for word starts alone.
    expert = Expert("word", 1)
    assert met(use_compiled, expert, "the cat the cat the") == [0, 0, 0, 1, 1, 2]
    assert met(use_compiled, expert, "C at s C at s") == [0, 0, 0, 0, 0, 0, 1]
    assert met(use_compiled, expert, "C at dog C at dog")[-2] == 1
    assert met(use_compiled, expert, "| the | the") == [0, 0, 0, 1, 0]


@BUILDS
def test_words_are_what_is_left_of_their_text(use_compiled):
    # "Cat." is "cat" and "The" is "the"; a comma alone is no word.
    expert = Expert("word", 2)
    plain, dressed = "the cat dog", "| The C at . dog"
    assert met(use_compiled, expert, f"{plain} {dressed}")[-2] == 1
    assert met(use_compiled, expert, "the cat dog | the , cat dog")[-2] == 1
    assert met(use_compiled, expert, "the cat dog | the cat s dog")[-2] == 0


@BUILDS
@pytest.mark.parametrize("length", [1, 4])
def test_a_boundary_forgets_all_words(use_compiled, length):
    said = "the | cat | dog |"
    assert met(use_compiled, Expert("word", length), said) == [0, 0, 1, 0, 2, 0, 3]
    assert met(use_compiled, Expert("within", length), "the | C at | cat the | C at")[-2] == 1
    assert met(use_compiled, Expert("within", length), "the C at | cat the C at")[-2] == (
        length == 1
    )


@BUILDS
def test_experts_of_one_kind_and_length_say_the_same(use_compiled):
    rng = np.random.default_rng(3)
    scene = roomy([*THREE, *THREE], ENGLISH)
    hints = scene.state(use_compiled).look(rng.integers(0, scene.vocab, BLOCK))
    assert np.array_equal(hints.counts_ET[:3], hints.counts_ET[3:])
    assert np.array_equal(hints.rate_ET[:3], hints.rate_ET[3:])


# Limits.


@BUILDS
def test_counts_are_halved_when_the_top_would_pass_254(use_compiled):
    scene = Scene([Expert("token", 1)], spoken("_a _b").tables(), 64)
    rows = []
    state = scene.state(use_compiled)
    for block in ([0, 0, 0], [0] * 200, [0] * 60, [0] * 130):
        rows += unpacked(state.look(tokens(block)))[0][:-1]
        state.accept(tokens(block))
    tops, totals = [row[3] for row in rows], [row[2] for row in rows]
    assert tops == totals
    # The first token has no context, and the second is the first of its own.
    assert tops[:256] == [0, 0, *range(1, 255)]
    assert tops[256:384] == [*range(128, 255), 128]


@BUILDS
def test_the_second_is_halved_with_the_top(use_compiled):
    # After "a": ten times "b", then "c" until it leads, and on to the limit.
    stream = [0, 1] * 10 + [0, 2] * 255
    scene = Scene([Expert("token", 1)], spoken("_a _b _c").tables(), 64 * 50)
    state = scene.after(use_compiled, stream)
    assert unpacked(state.look(tokens([0])))[0][1] == (2, 1, 133, 128, 5)


@BUILDS
def test_counts_are_halved_when_the_total_would_pass_65534(use_compiled):
    # Pieces that each start a word and have no core leave a word expert's context as it is: 300 successors.
    tables = all_starts([b"."] * 300)
    state = Counts(
        [Expert("word", 1)], tables, table_bytes=64, block_tokens=70_000, use_compiled=use_compiled
    )
    totals = state.look(np.arange(66_000) % 300).total_ET[0].tolist()
    assert totals[:65_535] == [*range(65_535)]
    assert totals[65_535:] == [*range(32_768, 32_768 + 466)]
    assert state.contexts == [1]


def all_starts(pieces: list[bytes]) -> TokenTables:
    return token_tables(pieces, [True] * len(pieces), [False] * len(pieces))


@BUILDS
@pytest.mark.parametrize("buckets", [1, 3])
def test_a_full_table_gives_up_contexts_and_stays_sound(use_compiled, buckets):
    rng = np.random.default_rng(buckets)
    experts = [Expert("token", 2), Expert("token", 31)]
    vocabulary = spoken("_a b _c d _e f _g h")
    scene = Scene(experts, vocabulary.tables(), 2 * buckets * 64)
    state, oracle = scene.state(use_compiled), Oracle(experts, vocabulary)
    given_up = [0, 0]
    for _ in range(8):
        # Common tokens and rare ones: some contexts are met again, others make room.
        block = np.minimum(rng.geometric(0.4, BLOCK) - 1, 7)
        found = unpacked(state.look(block))
        assert all(contexts <= buckets * SLOTS for contexts in state.contexts)
        for t, token in enumerate(block):
            for e in range(2):
                hint, second, total, top, runner_up = found[e][t]
                followed = oracle.known(e)
                assert total <= followed.total()
                assert top <= followed[hint] or not total
                assert not runner_up or runner_up <= followed[second]
            oracle.read(int(token))
        state.accept(block)
        assert all(now >= before for now, before in zip(state.given_up, given_up, strict=True))
        given_up = state.given_up
    assert state.contexts == [buckets * SLOTS] * 2
    assert given_up[0] > 100
    # Hardly any context of 31 tokens is met again: nearly each token is a newcomer.
    assert given_up[1] > 8 * BLOCK * 0.9
    assert any(total for _, _, total, _, _ in found[0])


@BUILDS
def test_what_was_met_least_often_makes_room(use_compiled):
    # One bucket: the stream's start was met once, "b" twice, "a" thrice, the others four times.
    said = "a a a b b c c c c d d d d e e e e f"
    vocabulary = spoken("_a _b _c _d _e _f")
    stream = tokens(["abcdef".index(letter) for letter in said.split()])
    scene = Scene([Expert("token", 1)], vocabulary.tables(), 64)
    state = scene.after(use_compiled, stream)
    assert (state.contexts, state.given_up) == ([5], [1])  # the stream's start made room for "e"
    state.accept(tokens([5]))
    assert (state.contexts, state.given_up) == ([5], [2])
    known = [bool(state.look(tokens([token])).total_ET[0, 1]) for token in range(6)]
    assert known == [True, False, True, True, True, True]


@BUILDS
@given(scene=scenes())
def test_tables_take_what_they_were_given_at_most(use_compiled, scene):
    state = scene.state(use_compiled)
    assert state.table_bytes % 64 == 0
    assert (
        scene.table_bytes - 64 * (len(scene.experts) + 1) < state.table_bytes <= scene.table_bytes
    )


@BUILDS
def test_the_largest_vocabulary_and_the_most_experts(use_compiled):
    experts = [Expert("token", n) for n in (1, 2, 3, 5, 8, 15, 31)]
    experts += [Expert("within", n) for n in range(5)] + [Expert("word", n) for n in range(1, 5)]
    assert len(experts) == 16
    rng = np.random.default_rng(0)
    hash_V3, power_V3 = rng.integers(0, 2**64, (2, 65_536, 3), dtype=np.uint64) | np.uint64(2)
    tables = TokenTables(rng.integers(0, 4, 65_536, dtype=np.uint8), hash_V3, power_V3)
    scene = Scene(experts, tables, 1 << 16)
    state = scene.state(use_compiled)
    stream = rng.integers(65_500, 65_536, 100).astype(np.uint16)
    stream[50] = 65_535
    state.accept(stream)
    assert state.accepted == 100
    if counts.compiled:
        assert scene.state(not use_compiled).load(state.save()) is None


# As bytes.


@BUILDS
@given(scene=scenes(), history=STREAMS, question=STREAMS, more=STREAMS)
def test_a_saved_state_goes_on_as_if_nothing_had_been(use_compiled, scene, history, question, more):
    history, question, more = (within(drawn, scene.vocab) for drawn in (history, question, more))
    state = scene.after(use_compiled, history)
    state.look(tokens(question))
    saved = state.save()
    other = scene.after(use_compiled, question)
    other.look(tokens(history))
    other.load(saved)
    assert other.accepted == len(history)
    assert other.save() == saved
    assert answers(other, more) == answers(state, more)
    other.accept(tokens(more))
    state.accept(tokens(more))
    assert other.save() == state.save()
    assert (other.contexts, other.given_up) == (state.contexts, state.given_up)


SAVED_SCENE = Scene(THREE, ENGLISH.tables(), 7 * 64 * 2)
SAVED = SAVED_SCENE.after(False, english("the cat s , the C at . The dog | the C at s dog")).save()
FRESH = SAVED_SCENE.state(False).save()


def refuse(state: Counts, saved: bytes, why: str = "") -> None:
    """Let a state with a history and a question refuse these bytes, and see that it forgets both."""
    state.accept(tokens(english("the dog")))
    state.look(tokens(english("the cat")))
    with pytest.raises(ValueError, match=rf"refused: .*{why}"):
        state.load(saved)
    assert (state.accepted, state.contexts, state.given_up) == (0, [0] * 3, [0] * 3)
    assert not state.look(tokens([])).counts_ET.any()
    assert state.save() == FRESH


@BUILDS
def test_every_flipped_byte_is_refused(use_compiled):
    state = SAVED_SCENE.state(use_compiled)
    rng = np.random.default_rng(0)
    for at in range(len(SAVED)):
        # All eight of a byte are one and the same to the twin, which takes its time.
        for bit in range(8) if use_compiled else [int(rng.integers(8))]:
            damaged = bytearray(SAVED)
            damaged[at] ^= 1 << bit
            with pytest.raises(ValueError, match="refused"):
                state.load(bytes(damaged))
            assert state.accepted == 0
    for at in (0, 5, 9, 20, 30, 300, len(SAVED) - 100, len(SAVED) - 1):
        refuse(state, SAVED[:at] + bytes([SAVED[at] ^ 255]) + SAVED[at + 1 :])
    state.load(SAVED)
    assert state.save() == SAVED


@BUILDS
def test_what_is_cut_short_or_too_long_is_refused(use_compiled):
    state = SAVED_SCENE.state(use_compiled)
    for size in range(len(SAVED)):
        with pytest.raises(ValueError, match="refused"):
            state.load(SAVED[:size])
    refuse(state, SAVED[:-1])
    refuse(state, b"", "cut short")
    refuse(state, SAVED[:300])
    refuse(state, SAVED + b"\0")
    refuse(state, SAVED + SAVED)
    refuse(state, bytes(len(SAVED)), "not a saved state")


@BUILDS
@pytest.mark.parametrize(
    ("scene", "why"),
    [
        (SAVED_SCENE._replace(experts=THREE[:2]), "other experts"),
        (SAVED_SCENE._replace(experts=[*THREE, THREE[0]]), "other experts"),
        (SAVED_SCENE._replace(experts=[Expert("token", 3), *THREE[1:]]), "other experts"),
        (SAVED_SCENE._replace(experts=[THREE[0], Expert("within", 2), THREE[2]]), "other experts"),
        (SAVED_SCENE._replace(experts=[THREE[0], THREE[2], THREE[1]]), "other experts"),
        (SAVED_SCENE._replace(table_bytes=7 * 64 * 4), "another table size"),
        (
            SAVED_SCENE._replace(tables=spoken("| _the _cat _C at s . _, _The dog").tables()),
            "another vocabulary",
        ),
        (
            SAVED_SCENE._replace(tables=spoken("| _the _cat _C at s . _, _The _cow").tables()),
            "another vocabulary",
        ),
        (
            SAVED_SCENE._replace(tables=spoken("| _the _cat _C at s . _, _The _dog a").tables()),
            "another vocabulary",
        ),
    ],
)
def test_what_another_state_saved_is_refused(use_compiled, scene, why):
    refuse(
        SAVED_SCENE.state(use_compiled), scene.after(use_compiled, english("the C at")).save(), why
    )


@BUILDS
def test_what_an_expert_of_another_kind_saved_is_refused(use_compiled):
    kinds = [Scene([Expert(kind, 2)], ENGLISH.tables(), 256) for kind in counts.KINDS]
    for one in kinds:
        for other in kinds:
            saved = one.after(use_compiled, english("the C at")).save()
            if one == other:
                other.state(use_compiled).load(saved)
                continue
            with pytest.raises(ValueError, match="other experts"):
                other.state(use_compiled).load(saved)


# Where in a saved state the first expert has its number of used buckets, its tallies and its first bucket.
USED_AT = 24 + 8 * 26 + 2 * 32 + 12
TALLIES_AT = USED_AT + 4 + 16
BUCKET_AT = TALLIES_AT + 16 * 64
FIRST_COUNTS, FIRST_TAG = (BUCKET_AT + 4 + 8 * k for k in (0, 5))


def forged(*changes: tuple[int, str, int]) -> bytes:
    """Return SAVED with other numbers in it, and a digest that fits them."""
    body = bytearray(SAVED[:-8])
    for at, form, value in changes:
        struct.pack_into(form, body, at, value)
    return with_digest(bytes(body))


def with_digest(body: bytes) -> bytes:
    return body + struct.pack("<Q", reference.digest(reference.VERSION, body))


@NEEDS_COMPILED
@pytest.mark.parametrize(
    "saved",
    [
        forged((BUCKET_AT, "<I", 8)),
        forged((BUCKET_AT, "<I", 2**32 - 1)),
        forged((FIRST_COUNTS, "<H", 10)),
        forged((FIRST_COUNTS + 2, "<H", 10)),
        forged((FIRST_COUNTS + 4, "<H", 0)),
        forged((FIRST_COUNTS + 4, "<H", 65_535)),
        forged((FIRST_COUNTS + 4, "<H", 65_000), (FIRST_COUNTS + 6, "B", 0)),
        forged((FIRST_COUNTS + 4, "<H", 65_000), (FIRST_COUNTS + 6, "B", 255)),
        forged((FIRST_COUNTS + 4, "<H", 65_000), (FIRST_COUNTS + 7, "B", 200)),
        forged((FIRST_TAG, "<I", 2)),
        forged((FIRST_TAG, "<I", 0)),
        forged((FIRST_TAG + 20, "<I", 1)),
        forged((TALLIES_AT, "<q", -1)),
        forged((TALLIES_AT + 8, "<q", -1)),
        forged((TALLIES_AT, "<q", 1), (TALLIES_AT + 8, "<q", 2)),
        forged((TALLIES_AT, "<q", 2**63 - 1)),
        forged((USED_AT, "<I", 0)),
        forged((USED_AT, "<I", 2**32 - 1)),
        with_digest(SAVED[:-8] + b"\0"),
        with_digest(SAVED[: USED_AT + 100]),
    ],
)
def test_a_digest_that_fits_does_not_make_it_sound(saved):
    # Against accidents a digest is enough; these are what would lead the compiled state out of its memory.
    assert forged() == SAVED
    refuse(SAVED_SCENE.state(use_compiled=True), saved, "damaged|cut short|other experts")


@given(raw_tables(), st.integers(0, 2**32))
def test_each_number_of_a_vocabulary_matters(tables, seed):
    rng = np.random.default_rng(seed)
    one = Scene(THREE, tables, 1 << 10)
    parts = [part.copy() for part in tables]
    part = parts[rng.integers(3)].reshape(-1)
    part[rng.integers(len(part))] ^= part.dtype.type(1)
    other = one._replace(tables=TokenTables(*parts))
    with pytest.raises(ValueError, match="another vocabulary"):
        one.state(False).load(other.state(False).save())
    if counts.compiled:
        with pytest.raises(ValueError, match="another vocabulary"):
            one.state(True).load(other.state(True).save())


@BUILDS
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(use_compiled, data):
    state = SAVED_SCENE.state(use_compiled)
    for saved in (data, SAVED[:8] + data, SAVED[:-8] + data, data + SAVED):
        assume(saved != SAVED)
        with pytest.raises(ValueError, match="refused"):
            state.load(saved)


@BUILDS
@pytest.mark.parametrize(
    "kind", [bytearray, memoryview, lambda saved: np.frombuffer(saved, np.uint8)]
)
def test_anything_that_holds_bytes_is_loaded(use_compiled, kind):
    state = SAVED_SCENE.state(use_compiled)
    state.load(kind(SAVED))
    assert state.save() == SAVED


# What is refused.


@BUILDS
@pytest.mark.parametrize(
    "changed",
    [
        {"experts": []},
        {"experts": [Expert("token", 1)] * 17},
        {"experts": [Expert("token", 0)]},
        {"experts": [Expert("token", 32)]},
        {"experts": [Expert("token", -1)]},
        {"experts": [Expert("token", 1 << 40)]},
        {"experts": [Expert("within", -1)]},
        {"experts": [Expert("within", 5)]},
        {"experts": [Expert("word", 0)]},
        {"experts": [Expert("word", 5)]},
        {"experts": [Expert("words", 1)]},
        {"table_bytes": 0},
        {"table_bytes": -64},
        {"table_bytes": 63 * 7},
        {"table_bytes": 1 << 60},
        {"table_bytes": (1 << 64) * 7 + (64 * 7)},
        {"block_tokens": 0},
        {"block_tokens": -1},
        {"block_tokens": -2},
        {"block_tokens": (1 << 24) + 1},
        {"tables": TokenTables(*(part[:0] for part in ENGLISH.tables()))},
        {"tables": TokenTables(*(np.tile(part.T, 6_554).T for part in ENGLISH.tables()))},
    ],
    ids=lambda changed: " ".join(changed),
)
def test_arguments_out_of_range_raise_value_error(use_compiled, changed):
    given = {
        "experts": THREE,
        "tables": ENGLISH.tables(),
        "table_bytes": 1 << 12,
        "block_tokens": 9,
    }
    given |= changed
    with pytest.raises(ValueError):  # noqa: PT011 - each build has words of its own
        Counts(
            given["experts"],
            given["tables"],
            table_bytes=given["table_bytes"],
            block_tokens=given["block_tokens"],
            use_compiled=use_compiled,
        )


def asked(state: Counts, method: str, token_T) -> None:
    {"look": state.look, "accept": state.accept}[method](token_T)


@BUILDS
@pytest.mark.parametrize("method", ["look", "accept"])
@pytest.mark.parametrize(
    "token_T",
    [
        np.zeros(BLOCK + 1, np.uint16),
        np.array([0, 10], np.uint16),
        np.array([0, 65_535], np.uint16),
        np.array([0, 10]),
        np.array([65_536]),
        np.array([-1]),
        np.array([0, -65_536]),
        np.array([2**63], np.uint64),
        np.array([10], ">u2"),
        np.array([0.0, 1.0]),
        np.array([np.nan]),
        np.array([True, False]),
        np.array(["1"]),
        np.zeros((2, 3), np.uint16),
        np.zeros((2, 3), np.int64),
        np.ones((), np.uint16),
    ],
    ids=lambda token_T: f"{token_T.dtype}{token_T.shape}",
)
def test_what_is_no_question_is_refused_and_changes_nothing(use_compiled, method, token_T):
    scene = roomy(THREE, ENGLISH)
    state = scene.after(use_compiled, english("the cat the"))
    saved, before = state.save(), answers(state, english("cat s"))
    with pytest.raises((TypeError, ValueError)):
        asked(state, method, token_T)
    assert answers(state, english("cat s")) == before
    assert state.save() == saved


@BUILDS
@pytest.mark.parametrize("method", ["look", "accept"])
@pytest.mark.parametrize(
    "kind", ["u1", "i1", "<u2", ">u2", "i4", "i8", "u8", "strided", "backwards", "askew"]
)
def test_any_array_of_integers_is_a_question(use_compiled, method, kind):
    stream = english("the cat s . The C at | the cat s")
    state, other = (roomy(THREE, ENGLISH).state(use_compiled) for _ in range(2))
    plain = tokens(stream)
    if kind == "strided":
        given = np.repeat(plain, 3)[::3]
    elif kind == "backwards":
        given = plain[::-1].copy()[::-1]
    elif kind == "askew":
        given = np.frombuffer(b"\0" + plain.tobytes(), np.uint16, offset=1)
        assert not given.flags.aligned
    else:
        given = plain.astype(kind)
    asked(state, method, given)
    asked(other, method, plain)
    assert answers(state, stream) == answers(other, stream)
    assert state.save() == other.save()


@BUILDS
def test_tables_may_lie_anywhere(use_compiled):
    def askew(part):
        data = b"\0" + part.tobytes()
        return np.frombuffer(data, part.dtype, offset=1).reshape(part.shape)

    tables = ENGLISH.tables()
    others = [
        TokenTables(*map(askew, tables)),
        TokenTables(*map(np.asfortranarray, tables)),
        TokenTables(*(np.repeat(part, 2, axis=0)[::2] for part in tables)),
    ]
    stream = english("the cat s . The C at | the cat s")
    wanted = Scene(THREE, tables, 1 << 12).after(use_compiled, stream).save()
    for other in others:
        assert Scene(THREE, other, 1 << 12).after(use_compiled, stream).save() == wanted


@pytest.mark.parametrize("text", ["token:15", "within:0", "word:3"])
def test_experts_are_read_as_they_are_written(text):
    assert str(parse_expert(text)) == text


@pytest.mark.parametrize(
    "text", ["", "token", "token:", ":3", "word:-1", "word:x", "words:1", "token:1:2"]
)
def test_what_names_no_expert_is_refused(text):
    with pytest.raises(ValueError, match="write"):
        parse_expert(text)


def test_without_a_compiled_build_it_cannot_be_asked_for(monkeypatch):
    monkeypatch.setattr(counts, "compiled", None)
    with pytest.raises(RuntimeError, match="C compiler"):
        roomy(THREE, ENGLISH).state(use_compiled=True)
    assert not Counts(THREE, ENGLISH.tables(), table_bytes=1 << 12, block_tokens=1).compiled


# The compiled type by itself: whatever it is given, it raises or works.

V, E, T = 3, 2, 4


def given_raw(**changed):
    good = {
        "experts": [(0, 2, 64), (2, 1, 64)],
        "kind_V": np.zeros(V, np.uint8),
        "hash_V3": np.ones((V, 3), np.uint64),
        "power_V3": np.full((V, 3), 3, np.uint64),
        "block_tokens": T,
        "counts_ET": np.zeros((E, T + 1), np.uint64),
        "rate_ET": np.zeros((E, T + 1), np.float32),
        "open_T": np.zeros(T + 1, np.uint8),
    }
    return list((good | changed).values())


def raw(**changed):
    return counts.compiled.Ngram(*given_raw(**changed))


def read_only(shape, dtype):
    array = np.zeros(shape, dtype)
    array.flags.writeable = False
    return array


def askew(shape, dtype):
    size = np.dtype(dtype).itemsize * int(np.prod(shape))
    return np.frombuffer(bytearray(size + 1), dtype, offset=1).reshape(shape)


@NEEDS_COMPILED
@pytest.mark.parametrize(
    "changed",
    [
        {"counts_ET": np.zeros((E, T + 1), np.int64)},
        {"counts_ET": np.zeros((E, T + 1), np.float64)},
        {"counts_ET": np.zeros((E, T + 1), ">u8")},
        {"counts_ET": np.zeros((E, T), np.uint64)},
        {"counts_ET": np.zeros((E, T + 2), np.uint64)},
        {"counts_ET": np.zeros((1, T + 1), np.uint64)},
        {"counts_ET": np.zeros(0, np.uint64)},
        {"counts_ET": np.zeros((E, 2 * T + 2), np.uint64)[:, ::2]},
        {"counts_ET": read_only((E, T + 1), np.uint64)},
        {"counts_ET": bytes(E * (T + 1) * 8)},
        {"counts_ET": askew((E, T + 1), np.uint64)},
        {"counts_ET": None},
        {"counts_ET": [0] * 10},
        {"rate_ET": np.zeros((E, T + 1), np.float64)},
        {"rate_ET": np.zeros((E, T + 1), np.int32)},
        {"rate_ET": np.zeros((E, T + 1), ">f4")},
        {"rate_ET": np.zeros((E, T), np.float32)},
        {"rate_ET": read_only((E, T + 1), np.float32)},
        {"rate_ET": askew((E, T + 1), np.float32)},
        {"open_T": np.zeros(T + 1, bool)},
        {"open_T": np.zeros(T + 1, np.int8)},
        {"open_T": np.zeros(T, np.uint8)},
        {"open_T": np.zeros(2 * T + 2, np.uint8)[::2]},
        {"open_T": bytes(T + 1)},
        {"kind_V": np.zeros(V, np.int8)},
        {"kind_V": np.zeros(V, np.uint16)},
        {"kind_V": np.zeros(V + 1, np.uint8)},
        {"kind_V": np.zeros(0, np.uint8)},
        {"kind_V": np.zeros(65_537, np.uint8)},
        {"kind_V": None},
        {"hash_V3": np.ones((V, 3), np.int64)},
        {"hash_V3": np.ones((V, 3), ">u8")},
        {"hash_V3": np.ones((V, 2), np.uint64)},
        {"hash_V3": np.ones((3, V), np.uint64).T[:, ::-1]},
        {"power_V3": np.ones((V, 3), np.float64)},
        {"power_V3": np.ones((V + 1, 3), np.uint64)},
        {"power_V3": "power"},
        {"block_tokens": 0},
        {"block_tokens": T + 1},
        {"block_tokens": -1},
        {"block_tokens": 1 << 32},
        {"block_tokens": (1 << 32) + T},
        {"block_tokens": 4.0},
        {"block_tokens": None},
        {"experts": []},
        {"experts": None},
        {"experts": 7},
        {"experts": [None, None]},
        {"experts": [(0, 2), (2, 1)]},
        {"experts": [(0, 2, 64, 0), (2, 1, 64)]},
        {"experts": [(0, 2, "64"), (2, 1, 64)]},
        {"experts": [(0.0, 2, 64), (2, 1, 64)]},
        {"experts": [(0, 2, 64), (2, 1, 63)]},
        {"experts": [(0, 2, 64), (2, 1, -64)]},
        {"experts": [(0, 2, 64), (2, 1, (1 << 64) + 64)]},
        {"experts": [(0, 2, 64), (2, 1, 64 * ((1 << 32) // 5 + 1))]},
        {"experts": [(0, 2, 64), (3, 1, 64)]},
        {"experts": [(0, 2, 64), (-1, 1, 64)]},
        {"experts": [(0, 2, 64), (1 << 40, 1, 64)]},
        {"experts": [(0, 2, 64)] * 17},
    ],
    ids=lambda changed: " ".join(changed),
)
def test_the_compiled_type_refuses_what_it_cannot_use(changed):
    with pytest.raises((TypeError, ValueError, BufferError, OverflowError)):
        raw(**changed)


@NEEDS_COMPILED
def test_the_compiled_type_wants_all_its_arguments():
    for count in range(8):
        with pytest.raises(TypeError):
            counts.compiled.Ngram(*given_raw()[:count])
    with pytest.raises(TypeError):
        counts.compiled.Ngram(*given_raw(), None)


USES = [
    lambda state: state.look(tokens([0])),
    lambda state: state.accept(tokens([0])),
    lambda state: state.save(),
    lambda state: state.load(b""),
    lambda state: state.accepted,
    lambda state: state.table_bytes,
    lambda state: state.contexts,
    lambda state: state.given_up,
]


@NEEDS_COMPILED
@pytest.mark.parametrize("use", USES)
def test_a_state_that_was_never_made_says_so(use):
    never = counts.compiled.Ngram.__new__(counts.compiled.Ngram)
    with pytest.raises(ValueError, match="never made"):
        use(never)
    for changed in (
        {"experts": [(0, 2, 63), (2, 1, 64)]},
        {"open_T": bytes(T + 1)},
        {"kind_V": None},
    ):
        failed = counts.compiled.Ngram.__new__(counts.compiled.Ngram)
        with pytest.raises((TypeError, ValueError, BufferError)):
            failed.__init__(*given_raw(**changed))
        with pytest.raises(ValueError, match="never made"):
            use(failed)


@NEEDS_COMPILED
def test_a_state_is_made_once():
    state = raw()
    state.accept(tokens([0, 1, 0]))
    saved = state.save()
    for arguments in (given_raw(), given_raw(experts=[(0, 2, 63)] * 2)):
        with pytest.raises(RuntimeError, match="made already"):
            state.__init__(*arguments)
    with pytest.raises(TypeError):
        state.__init__()
    assert state.save() == saved


@NEEDS_COMPILED
@pytest.mark.parametrize("method", ["look", "accept"])
@pytest.mark.parametrize(
    "token_T",
    [
        np.zeros(1, np.int16),
        np.zeros(1, np.int64),
        np.zeros(1, ">u2"),
        np.zeros(1, np.float16),
        np.zeros(4, np.uint16)[::2],
        askew((1,), np.uint16),
        np.zeros(T + 1, np.uint16),
        np.array([V], np.uint16),
        b"\0\0",
        "aa",
        [0],
        None,
    ],
    ids=repr,
)
def test_the_compiled_state_refuses_what_is_no_question(method, token_T):
    state = raw()
    with pytest.raises((TypeError, ValueError, BufferError)):
        getattr(state, method)(token_T)
    state.accept(tokens([0, 1]))
    assert state.accepted == 2


@NEEDS_COMPILED
@pytest.mark.parametrize(
    "saved", [None, "NGR1", 5, [1], np.zeros(2, np.uint16), memoryview(bytes(9))[::2]]
)
def test_the_compiled_state_loads_bytes_alone(saved):
    state = raw()
    state.accept(tokens([0, 1]))
    with pytest.raises((TypeError, ValueError, BufferError)):
        state.load(saved)
    assert state.accepted == 2


@NEEDS_COMPILED
def test_the_compiled_state_keeps_the_arrays_that_it_writes_to():
    arguments = given_raw()
    state = counts.compiled.Ngram(*arguments)
    outputs = arguments[-3:]
    with pytest.raises(ValueError, match="resize"):
        outputs[0].resize((1, 1))
    del arguments, outputs
    state.look(tokens([0, 1, 2, 0]))
    state.accept(tokens([0, 1, 2, 0]))
    assert state.accepted == 4
    with pytest.raises(TypeError):
        copy.copy(state)


@NEEDS_COMPILED
def test_the_compiled_state_copies_the_tables_of_tokens():
    arguments = given_raw()
    state, other = counts.compiled.Ngram(*arguments), raw()
    for table in arguments[1:4]:
        table[:] = 0
    for one in (state, other):
        one.accept(tokens([0, 1, 2, 0]))
    assert state.save() == other.save()


# Threads.


def large_state() -> tuple[Counts, np.ndarray]:
    vocabulary = spoken("| _a b _c d . _e f")
    state = Counts(
        THREE, vocabulary.tables(), table_bytes=1 << 20, block_tokens=1 << 17, use_compiled=True
    )
    return state, np.random.default_rng(0).integers(0, 8, 1 << 17).astype(np.uint16)


@NEEDS_COMPILED
def test_python_goes_on_while_a_state_works_and_a_second_thread_is_turned_away():
    # That a state is found in use is the proof: were the interpreter held, nobody could ask in the meantime.
    state, stream_T = large_state()
    ready, done = threading.Event(), threading.Event()

    def work():
        while not done.is_set():
            for question_T in (stream_T, stream_T[::-1].copy()):
                try:
                    state.look(question_T)
                except RuntimeError:  # the other thread was just asking
                    continue
            ready.set()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        ready.wait()
        with pytest.raises(RuntimeError, match="another thread"):
            ask_until_refused(state)
    finally:
        done.set()
        worker.join()
    assert state.accepted == 0
    state.accept(stream_T)
    assert state.accepted == len(stream_T)


def ask_until_refused(state: Counts) -> None:
    while True:  # a hang is a failure: the suite has a time limit
        assert state.accepted == 0


@NEEDS_COMPILED
def test_threads_that_share_a_state_never_corrupt_it():
    state, stream_T = large_state()
    accepted, problems = [], []

    def accept(block_T):
        state.accept(block_T)
        accepted.append(len(block_T))

    uses = [state.look, accept, lambda _: state.save(), lambda _: state.contexts]

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            first = int(rng.integers(0, len(stream_T) - 2_000))
            try:
                uses[rng.integers(4)](stream_T[first : first + 2_000])
            except RuntimeError:  # turned away
                continue
            except BaseException as problem:
                problems.append(problem)

    in_threads([lambda: work(0), lambda: work(1), lambda: work(2)])
    assert not problems
    assert state.accepted == sum(accepted)
    saved = state.save()
    state.load(saved)
    assert state.save() == saved


def in_threads(works) -> None:
    workers = [threading.Thread(target=work) for work in works]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


@NEEDS_COMPILED
def test_each_thread_with_a_state_of_its_own_counts_as_one_alone():
    found: list[bytes] = []

    def work():
        state, stream_T = large_state()
        for first in range(0, 1 << 16, 1 << 14):
            state.accept(stream_T[first : first + (1 << 14)])
        found.append(state.save())

    in_threads([work, work])
    work()
    assert len(found) == 3
    assert len(set(found)) == 1


# The twin's own parts, which say what the numbers are.


@settings(max_examples=20)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=700), st.integers(0, 3))
def test_one_context_counts_alike_in_both_builds(stream, often):
    # A word expert whose context never changes: four pieces without a core, one of them often.
    tables = all_starts([b".", b",", b":", b";"])
    stream = [often if n % 3 else token for n, token in enumerate(stream)]
    one, told = None, []
    for token in stream:
        told.append(one.packed() if one else 0)
        one = one.counted(token) if one else reference.Context(0, 1, token, 0, 1, 0)
    for use_compiled in [True, False] if counts.compiled else [False]:
        state = Counts(
            [Expert("word", 1)], tables, table_bytes=64, block_tokens=700, use_compiled=use_compiled
        )
        assert state.look(tokens(stream)).counts_ET[0, :-1].tolist() == told
