"""What the counts are asked with: any array of tokens in range, and a ValueError for the rest."""

import sys

import numpy as np
import pytest

from native import counts
from native.counts import Counts, parse_context
from native.words import TokenTables
from tests.native.drawn import (
    BLOCK,
    BUILDS,
    ENGLISH,
    SEVERAL,
    THREE,
    Scene,
    answers,
    english,
    roomy,
    smallest_table,
    tokens,
)

# Making a state.

EIGHT = [f"token:{n}" for n in range(8, 0, -1)]


def made(use_compiled, **changed) -> Counts:
    given = {
        "contexts": THREE,
        "tables": ENGLISH.tables(),
        "table_bytes": 1 << 12,
        "block_tokens": 9,
    }
    given |= changed
    contexts, tables = given.pop("contexts"), given.pop("tables")
    return Counts(contexts, tables, use_compiled=use_compiled, **given)


@BUILDS
@pytest.mark.parametrize(
    "changed",
    [
        {"contexts": []},
        {"contexts": ["token:0"]},
        {"contexts": ["token:32"]},
        {"contexts": [f"token:{1 << 31}"]},
        {"contexts": [f"token:{(1 << 32) + 1}"]},
        {"contexts": [f"token:{1 << 70}"]},
        {"contexts": ["within:5"]},
        {"contexts": ["word:0"]},
        {"contexts": ["word:5"]},
        {"contexts": ["words:1"]},
        {"contexts": ["token:-1"]},
        {"contexts": ["token:1", "token:2"]},
        {"contexts": ["token:2", "within:0", "token:3"]},
        {"contexts": ["within:0", "within:1"]},
        {"contexts": ["word:2", "token:9", "word:3"]},
        {"contexts": ["token:1", "token:1"]},
        {"contexts": ["token:3", "within:0", "within:0"]},
        {"contexts": ["word:2", "token:3", "word:2"]},
        {"contexts": ["token:9", *EIGHT], "table_bytes": 1 << 17},
        {"contexts": ["token:9", *EIGHT, "within:0"], "table_bytes": 1 << 17},
        {"contexts": EIGHT * 4, "table_bytes": 1 << 17},
        {"contexts": ["token:31"], "table_bytes": 63},
        {"table_bytes": 0},
        {"table_bytes": -64},
        {"table_bytes": smallest_table(THREE) - 1},
        {"table_bytes": 1 << 60},
        {"table_bytes": (1 << 64) * smallest_table(THREE)},
        {"contexts": ["token:1"], "table_bytes": 1 << 36},
        {"block_tokens": 0},
        {"block_tokens": -1},
        {"block_tokens": -2},
        {"block_tokens": (1 << 24) + 1},
        {"block_tokens": 1 << 32},
        {"tables": TokenTables(*(part[:0] for part in ENGLISH.tables()))},
        {"tables": TokenTables(*(np.tile(part.T, 6_554).T for part in ENGLISH.tables()))},
    ],
    ids=" ".join,
)
def test_arguments_out_of_range_raise_value_error(use_compiled, changed):
    with pytest.raises(ValueError):  # noqa: PT011 - each build has words of its own
        made(use_compiled, **changed)


@BUILDS
@pytest.mark.parametrize(
    "changed",
    [
        {"contexts": EIGHT, "table_bytes": 1 << 17},
        {"contexts": ["within:0"]},
        {"contexts": ["token:31"], "table_bytes": 64},
        {"contexts": ["word:4", "within:4", "token:31", "word:1", "within:0", "token:1"]},
        {"table_bytes": smallest_table(THREE)},
        {"block_tokens": 1},
    ],
    ids=" ".join,
)
def test_what_is_just_in_range_is_taken(use_compiled, changed):
    state = made(use_compiled, **changed)
    for token in english("the cat s the cat s"):
        state.accept(tokens([token]))
    assert state.accepted == 6


@BUILDS
def test_the_longest_block_is_taken(use_compiled):
    state = made(use_compiled, contexts=["within:0"], block_tokens=1 << 24)
    assert state.look(tokens([4])).open_T.tolist() == [0, 1]


@pytest.mark.parametrize("text", ["token:15", "within:0", "word:3", "token:99"])
def test_contexts_are_read_as_they_are_written(text):
    expert, length = parse_context(text)
    assert f"{expert}:{length}" == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ":3", "token", "token:", "word:-1", "word:+1", "word:x", "words:1", "Token:1"),
        *("token:1:2", "token:1.0", "token: 1", " token:1", "token:\u0663", "token:\u00b2"),
    ],
)
def test_what_names_no_context_is_refused(text):
    with pytest.raises(ValueError, match="write"):
        parse_context(text)
    with pytest.raises(ValueError, match="write"):
        made(False, contexts=[*THREE, text])


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


# Questions.


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


# With and without a compiler.


def test_without_a_compiled_build_it_cannot_be_asked_for(monkeypatch):
    monkeypatch.setattr(counts, "compiled", None)
    with pytest.raises(RuntimeError, match="C compiler"):
        made(use_compiled=True)


def test_without_a_compiled_build_the_twin_counts_alike(monkeypatch):
    stream = english("the cat s . The C at | the cat s the cat , the C at s . dog")

    def counted() -> tuple[bool, list[bytes], bytes]:
        state = Counts(SEVERAL, ENGLISH.tables(), table_bytes=1 << 12, block_tokens=20)
        state.accept(tokens(stream))
        return state.compiled, answers(state, stream), state.save()

    was_compiled, *told = counted()
    assert was_compiled == (counts.compiled is not None)
    monkeypatch.setattr(counts, "compiled", None)
    is_compiled, *told_now = counted()
    assert not is_compiled
    assert told_now == told


def scorers_answers() -> list[np.ndarray]:
    """Return all that a scorer with the mixer answers to a short stream, with what is here."""
    from submission.score import Scorer
    from tests.submission.tiny import VOCAB, random_artifact

    rng = np.random.default_rng(4)
    phrase_T = rng.integers(0, VOCAB, 9)
    stream_T = np.concatenate([phrase_T, rng.integers(0, VOCAB, 6), phrase_T, phrase_T])
    scorer, told = Scorer(random_artifact(), tokens=len(stream_T), block_tokens=16), []
    for first in range(0, len(stream_T), 11):
        block_T = stream_T[first : first + 11]
        told += [scorer.score(block_T), scorer.predict(block_T[:4])]
        scorer.accept(block_T)
    assert scorer._experts.counts.compiled == (counts.compiled is not None)
    return told


@pytest.mark.skipif(counts.compiled is None, reason="native._ngram was not built: no C compiler")
def test_a_scorer_without_the_compiled_build_answers_as_its_twin_does(monkeypatch):
    # Not under sanitisers, which stumble over what torch brings along: hence its name.
    pytest.importorskip("torch")
    told = scorers_answers()
    monkeypatch.setattr(counts, "compiled", None)
    monkeypatch.delitem(sys.modules, "native.reference", raising=False)
    for one, other in zip(told, scorers_answers(), strict=True):
        assert np.array_equal(one, other)
