"""Saved states: whole and alike from both builds, or refused, and then nothing is left of any history."""

import struct

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from native import counts, reference
from native.counts import EXPERTS, Counts
from native.words import TokenTables
from tests.native.drawn import (
    BUILDS,
    ENGLISH,
    NEEDS_COMPILED,
    STREAMS,
    THREE,
    Scene,
    answers,
    english,
    raw_tables,
    scenes,
    smallest_table,
    spoken,
    tokens,
    within,
)

# The parts of a saved state, see native/saved.c: its head, then of each context length the numbers, the used
# buckets and their numbers; then the tallies, and the digest of it all.
HEAD_BYTES = 24 + 8 * (1 + 24 + 4 + 5) + 2 * 32
TALLIES_BYTES = 3 * 512 * 16
ROW_AT = HEAD_BYTES
USED_AT = ROW_AT + 12
BUCKET_AT = ROW_AT + 32
COUNTS_AT, TAGS_AT, LAST_AT = BUCKET_AT + 4, BUCKET_AT + 4 + 32, BUCKET_AT + 4 + 48

SCENE = Scene(THREE, ENGLISH.tables(), 8 * smallest_table(THREE))
SAVED = SCENE.after(False, english("the cat s , the C at . The dog | the C at s dog")).save()
FRESH = SCENE.state(False).save()
TALLIES_AT = len(SAVED) - 8 - TALLIES_BYTES


@BUILDS
@settings(max_examples=settings.default.max_examples // 2)
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
    assert (other.met, other.given_up) == (state.met, state.given_up)


# What is refused.


def like_scene(contexts: list[str]) -> Scene:
    """Return a state whose tables are as large, but for a context that is another."""
    return SCENE._replace(contexts=contexts, table_bytes=8 * smallest_table(contexts))


def refuse(state: Counts, saved: bytes, why: str = "") -> None:
    """Let a state with a history and a question refuse these bytes, and see that it forgets both."""
    state.accept(tokens(english("the dog the dog")))
    assert (state.look(tokens(english("the cat"))).token_XT >= 0).any()
    with pytest.raises(ValueError, match=rf"refused: .*{why}"):
        state.load(saved)
    assert (state.accepted, state.met, state.given_up) == (0, [0] * 3, [0] * 3)
    hints = state.look(tokens([]))
    assert not hints.counts_CT.any()
    assert (hints.token_XT == -1).all()
    assert state.save() == FRESH


@BUILDS
def test_every_flipped_byte_is_refused(use_compiled):
    state = SCENE.state(use_compiled)
    rng = np.random.default_rng(0)
    # The twin takes its time; to it all bits of a byte are one and the same, and so are many bytes.
    some, few = (1, 1) if use_compiled else (5, 997)
    for at in [*range(0, TALLIES_AT, some), *range(TALLIES_AT, len(SAVED), few)]:
        all_bits = use_compiled and at < TALLIES_AT
        for bit in range(8) if all_bits else [int(rng.integers(8))]:
            damaged = bytearray(SAVED)
            damaged[at] ^= 1 << bit
            with pytest.raises(ValueError, match="refused"):
                state.load(bytes(damaged))
            assert state.accepted == 0
    for at in (0, 5, 9, 20, 30, 300, TALLIES_AT - 1, TALLIES_AT, len(SAVED) - 9, len(SAVED) - 1):
        refuse(state, SAVED[:at] + bytes([SAVED[at] ^ 255]) + SAVED[at + 1 :])
    state.load(SAVED)
    assert state.save() == SAVED


@BUILDS
def test_what_is_cut_short_or_too_long_is_refused(use_compiled):
    state = SCENE.state(use_compiled)
    step = 7 if use_compiled else 499
    sizes = {*range(HEAD_BYTES + 50), *range(TALLIES_AT - 9, TALLIES_AT + 9)}
    for size in sizes | {*range(0, len(SAVED), step)}:
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
        (SCENE._replace(contexts=THREE[:2]), "other contexts"),
        (SCENE._replace(contexts=[*THREE, "word:1"]), "other contexts"),
        (SCENE._replace(contexts=["token:3", *THREE[1:]]), "other contexts"),
        (SCENE._replace(contexts=["token:1", *THREE[1:]]), "other contexts"),
        (like_scene([THREE[0], "within:2", THREE[2]]), "other contexts"),
        (like_scene([*THREE[:2], "word:4"]), "other contexts"),
        (SCENE._replace(contexts=[THREE[0], THREE[2], THREE[1]]), "other contexts"),
        (SCENE._replace(table_bytes=SCENE.table_bytes * 2), "another table size"),
        (SCENE._replace(table_bytes=SCENE.table_bytes // 2), "another table size"),
        (
            SCENE._replace(tables=spoken("| _the _cat _C at s . _, _The dog").tables()),
            "another vocabulary",
        ),
        (
            SCENE._replace(tables=spoken("| _the _cat _C at s . _, _The _cow").tables()),
            "another vocabulary",
        ),
        (
            SCENE._replace(tables=spoken("| _the _cat _C at s . _, _The _dog a").tables()),
            "another vocabulary",
        ),
    ],
)
def test_what_another_state_saved_is_refused(use_compiled, scene, why):
    saved = scene.after(use_compiled, english("the C at")).save()
    refuse(SCENE.state(use_compiled), saved, why)


@BUILDS
def test_what_another_expert_saved_is_refused(use_compiled):
    scenes = [Scene([f"{expert}:2"], ENGLISH.tables(), 256) for expert in EXPERTS]
    for one in scenes:
        for other in scenes:
            saved = one.after(use_compiled, english("the C at")).save()
            if one == other:
                other.state(use_compiled).load(saved)
                continue
            with pytest.raises(ValueError, match="other contexts"):
                other.state(use_compiled).load(saved)


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
@settings(max_examples=settings.default.max_examples // 4)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(use_compiled, data):
    state = SCENE.state(use_compiled)
    for saved in (data, SAVED[:8] + data, SAVED[:-8] + data, data + SAVED):
        assume(saved != SAVED)
        with pytest.raises(ValueError, match="refused"):
            state.load(saved)


# Forged: other numbers, and a digest that fits them.


def forged(*changes: tuple[int, str, int]) -> bytes:
    body = bytearray(SAVED[:-8])
    for at, form, value in changes:
        struct.pack_into(form, body, at, value)
    return with_digest(bytes(body))


def with_digest(body: bytes) -> bytes:
    return body + struct.pack("<Q", reference.digest(reference.VERSION, body))


MET_OFTEN = (COUNTS_AT + 4, "<H", 65_000)


@NEEDS_COMPILED
@pytest.mark.parametrize(
    "saved",
    [
        forged((BUCKET_AT, "<I", 8)),
        forged((BUCKET_AT, "<I", 2**32 - 1)),
        forged((COUNTS_AT, "<H", 10)),
        forged((COUNTS_AT + 2, "<H", 10)),
        forged((COUNTS_AT + 4, "<H", 0)),
        forged((COUNTS_AT + 4, "<H", 65_535)),
        forged(MET_OFTEN, (COUNTS_AT + 6, "B", 0)),
        forged(MET_OFTEN, (COUNTS_AT + 6, "B", 255)),
        forged(MET_OFTEN, (COUNTS_AT + 7, "B", 200)),
        forged((COUNTS_AT + 4, "<H", 9), (COUNTS_AT + 6, "<H", 5 << 8 | 5)),
        forged((COUNTS_AT, "<Q", 0)),
        forged((TAGS_AT, "<I", 2)),
        forged((TAGS_AT, "<I", 0)),
        forged((LAST_AT, "<H", 10)),
        forged((LAST_AT + 2, "B", 0)),
        forged((LAST_AT + 3, "B", 1)),
        forged((LAST_AT, "<I", 0)),
        forged((COUNTS_AT + 24, "<Q", 1)),
        forged((TAGS_AT + 12, "<I", 1)),
        forged((LAST_AT + 12, "<I", 1 << 16)),
        forged((TALLIES_AT, "<q", -1)),
        forged((TALLIES_AT + 8, "<q", -1)),
        forged((TALLIES_AT, "<q", 1), (TALLIES_AT + 8, "<q", 2)),
        forged((TALLIES_AT, "<q", 2**53 + 1)),
        forged((TALLIES_AT, "<q", 2**63 - 1)),
        forged((TALLIES_AT + 2 * 512 * 16, "<q", -1)),
        forged((TALLIES_AT + TALLIES_BYTES - 8, "<q", 1)),
        forged((USED_AT, "<I", 0)),
        forged((USED_AT, "<I", 2**32 - 1)),
        with_digest(SAVED[:-8] + b"\0"),
        with_digest(SAVED[:-9]),
        with_digest(SAVED[:TALLIES_AT]),
        with_digest(SAVED[: USED_AT + 100]),
        with_digest(SAVED[: ROW_AT + 31]),
        with_digest(SAVED[:ROW_AT]),
    ],
)
def test_a_digest_that_fits_does_not_make_it_sound(saved):
    # Against accidents a digest is enough; these are what would lead the compiled state out of its memory.
    assert forged() == SAVED
    # The first bucket's first slot is in use, its last one is free.
    assert SAVED[COUNTS_AT : COUNTS_AT + 8] != bytes(8) == SAVED[COUNTS_AT + 24 : COUNTS_AT + 32]
    refuse(SCENE.state(use_compiled=True), saved, "damaged|cut short|other contexts")


@BUILDS
@pytest.mark.parametrize(
    "kind", [bytearray, memoryview, lambda saved: np.frombuffer(saved, np.uint8)]
)
def test_anything_that_holds_bytes_is_loaded(use_compiled, kind):
    state = SCENE.state(use_compiled)
    state.load(kind(SAVED))
    assert state.save() == SAVED
