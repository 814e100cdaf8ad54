"""Tables that are full: bounded memory, who makes room, and the largest states there are."""

import numpy as np
import pytest
from hypothesis import given

from native import counts
from native.words import TokenTables
from tests.native.drawn import (
    BLOCK,
    BUILDS,
    SLOTS,
    Scene,
    all_starts,
    scenes,
    smallest_table,
    spoken,
    tokens,
)


@BUILDS
@pytest.mark.parametrize("buckets", [1, 3])
def test_a_full_table_gives_up_contexts_and_stays_full(use_compiled, buckets):
    rng = np.random.default_rng(buckets)
    vocabulary = spoken("_a b _c d _e f _g h")
    contexts = ["token:31", "token:2"]
    scene = Scene(contexts, vocabulary.tables(), buckets * smallest_table(contexts))
    state, given_up = scene.state(use_compiled), [0, 0]
    most = [buckets * SLOTS * counts.share(context) for context in contexts]
    for _ in range(8):
        # Common tokens and rare ones: some contexts are met again, others make room.
        block_T = np.minimum(rng.geometric(0.4, BLOCK) - 1, 7)
        hints = state.look(block_T)
        assert all(met <= slots for met, slots in zip(state.met, most, strict=True))
        known_T = hints.met_CT[1].copy()
        state.accept(block_T)
        assert all(now >= before for now, before in zip(state.given_up, given_up, strict=True))
        given_up = state.given_up
    assert state.met == most
    assert given_up[1] > 100
    # Hardly any context of 31 tokens is met again: nearly each token is a newcomer.
    assert given_up[0] > 8 * BLOCK * 0.9
    assert known_T.any()


@BUILDS
def test_what_was_met_least_often_makes_room(use_compiled):
    # One bucket: the stream's start was met once, "b" twice, "a" thrice, "c" and "d" four times.
    said = "a a a b b c c c c d d d d e"
    vocabulary = spoken("_a _b _c _d _e")
    stream = tokens(["abcde".index(letter) for letter in said.split()])
    scene = Scene(["token:1"], vocabulary.tables(), 64)
    state = scene.after(use_compiled, stream)
    assert (state.met, state.given_up) == ([4], [1])  # the stream's start made room for "d"
    state.accept(tokens([4]))
    assert (state.met, state.given_up) == ([4], [2])
    known = [bool(state.look(tokens([token])).met_CT[0, 1]) for token in range(5)]
    assert known == [True, False, True, True, True]


@BUILDS
def test_of_those_met_as_often_each_makes_room_in_time(use_compiled):
    # All contexts are met once. Were it always the same slot, three of the first would stay for good.
    tables = all_starts([b"."] * 100)
    state = Scene(["token:1"], tables, 64).after(use_compiled, range(100))
    assert (state.met, state.given_up) == ([4], [96])
    assert not any(state.look(tokens([token])).met_CT[0, 1] for token in range(5))


@BUILDS
@given(scene=scenes())
def test_tables_take_what_they_were_given_at_most(use_compiled, scene):
    state = scene.state(use_compiled)
    assert state.table_bytes % 64 == 0
    least = scene.table_bytes - 64 * len(scene.contexts)
    assert least < state.table_bytes <= scene.table_bytes


@BUILDS
def test_tables_are_shared_out_by_context(use_compiled):
    contexts = ["token:5", "token:2", "word:2", "within:0"]
    shares = [counts.share(context) for context in contexts]
    scene = Scene(contexts, spoken("_a").tables(), 50 * 64 * sum(shares))
    saved, rows_at = scene.state(use_compiled).save(), 24 + 8 * (1 + 24 + 4 + 5) + 2 * 32
    buckets = [int.from_bytes(saved[rows_at + 32 * c + 8 :][:4], "little") for c in range(4)]
    assert buckets == [50 * share for share in shares]
    assert scene.state(use_compiled).table_bytes == scene.table_bytes


def test_the_longer_a_context_the_larger_its_share():
    for expert, lengths in (("token", range(1, 32)), ("within", range(5)), ("word", range(1, 5))):
        shares = [counts.share(f"{expert}:{n}") for n in lengths]
        assert shares[0] >= 1
        assert shares == sorted(shares)


@BUILDS
def test_the_largest_vocabulary_and_the_most_contexts(use_compiled):
    contexts = [f"token:{n}" for n in (31, 15, 8, 5, 4, 3, 2, 1)]
    contexts += [f"within:{n}" for n in (4, 3, 2, 1, 0)] + [f"word:{n}" for n in (4, 3, 2, 1)]
    rng = np.random.default_rng(0)
    hash_V3, power_V3 = rng.integers(0, 2**64, (2, 65_536, 3), dtype=np.uint64) | np.uint64(2)
    tables = TokenTables(rng.integers(0, 4, 65_536, dtype=np.uint8), hash_V3, power_V3)
    scene = Scene(contexts, tables, 1 << 16)
    state = scene.state(use_compiled)
    stream = rng.integers(65_500, 65_536, 100).astype(np.uint16)
    stream[50] = 65_535
    state.accept(stream)
    assert state.accepted == 100
    assert len(state.met) == len(state.given_up) == 17
    hints = state.look(tokens([65_535]))
    assert hints.token_XT.max() > 65_000
    if counts.compiled:
        assert scene.state(not use_compiled).load(state.save()) is None
