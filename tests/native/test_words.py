"""Words without strings: the tables' hashes know two words apart exactly where their strings differ."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from native.words import BASE, STRIPPED, split, token_tables
from tests.native.drawn import (
    BUILDS,
    STREAMS,
    TEXTS,
    Reader,
    Vocabulary,
    roomy,
    spoken,
    tokens,
    vocabularies,
    within,
)
from tests.native.drawn import STRIPPED as STRIPPED_TEXT

MASK = 2**64 - 1
WORD = 2
"""The row of the word-start expert."""
ANY_TEXT = st.sampled_from(TEXTS) | st.binary(max_size=6) | st.text(max_size=6).map(str.encode)
PUNCTUATED = st.text(STRIPPED_TEXT + "aB", max_size=8).map(str.encode)


def lowered(text: bytes) -> bytes:
    try:
        return text.decode().lower().encode()
    except UnicodeDecodeError:
        return text


@given(ANY_TEXT | PUNCTUATED)
def test_a_piece_is_cut_into_what_is_stripped_and_what_is_left(text):
    lead, core, trail = split(text)
    assert lead + core + trail == lowered(text)
    if not core:
        assert (lead, trail) == (lowered(text), b"")
    assert core == core.strip(STRIPPED) == lowered(text).strip(STRIPPED)
    assert not lead.strip(STRIPPED)
    assert not trail.strip(STRIPPED)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ("", "", "")),
        ("The", ("", "the", "")),
        ("(Dr.", ("(", "dr", ".")),
        ("...", ("...", "", "")),
        ("a.b", ("", "a.b", "")),
        (" x, y. ", (" ", "x, y", ". ")),
        ("'s", ("'", "s", "")),
        ("É!", ("", "é", "!")),
        ("-", ("", "-", "")),
        ("`\"'<{[", ("`\"'<{[", "", "")),
    ],
)
def test_examples(text, parts):
    assert split(text.encode()) == tuple(part.encode() for part in parts)


def test_a_part_of_a_character_stays_as_it_is():
    assert split(b"A\xc3") == (b"", b"A\xc3", b"")
    assert split(b"\xa9,") == (b"", b"\xa9", b",")


def test_the_stripped_characters_are_these():
    assert STRIPPED_TEXT.encode() == STRIPPED


@given(st.lists(ANY_TEXT, min_size=1, max_size=6))
def test_hashes_are_of_the_texts_and_join(texts):
    tables = token_tables(texts, [False] * len(texts), [False] * len(texts))
    total, power = 0, 1
    for text, hash_3, power_3 in zip(
        texts, tables.hash_V3.tolist(), tables.power_V3.tolist(), strict=True
    ):
        for part, part_hash, part_power in zip(split(text), hash_3, power_3, strict=True):
            assert part_power == pow(BASE, len(part), 2**64)
            assert (part_power == 1) == (not part)
            assert part_hash == horner(part)
            total = (total * part_power + part_hash) & MASK
            power = power * part_power & MASK
    whole = b"".join(map(lowered, texts))
    assert (total, power) == (horner(whole), pow(BASE, len(whole), 2**64))


def horner(text: bytes) -> int:
    return sum((byte + 1) * BASE**place for place, byte in enumerate(reversed(text))) & MASK


def test_kinds_are_bits():
    tables = token_tables([b"a"] * 4, [False, True, False, True], [False, False, True, True])
    assert tables.kind_V.tolist() == [0, 1, 2, 3]
    assert tables.kind_V.dtype == np.uint8
    assert tables.hash_V3.dtype == tables.power_V3.dtype == np.uint64
    assert tables.hash_V3.shape == tables.power_V3.shape == (4, 3)


@pytest.mark.parametrize(
    ("texts", "starts", "boundary"),
    [(0, 0, 0), (1, 2, 1), (1, 1, 2), (2, 1, 1), (65_537, 65_537, 65_537)],
)
def test_tables_are_of_one_length(texts, starts, boundary):
    with pytest.raises(ValueError, match="one of each"):
        token_tables([b""] * texts, [False] * starts, [False] * boundary)


# What the counts make of the tables.


@st.composite
def two_streams(draw: st.DrawFn) -> tuple[Vocabulary, list[int], list[int]]:
    """A vocabulary and two streams, the second often the first with its pieces exchanged for others."""
    vocabulary = draw(vocabularies(max_size=10))
    one = within(draw(STREAMS), len(vocabulary.texts))[:40]
    other = within(draw(STREAMS), len(vocabulary.texts))[:40]
    if draw(st.booleans()):
        other = list(one)
        for at in draw(st.lists(st.integers(0, 39), max_size=3)):
            if at < len(other):
                other[at] = draw(st.integers(0, len(vocabulary.texts) - 1))
    return vocabulary, one, other


@BUILDS
@given(two=two_streams(), length=st.integers(1, 4))
def test_contexts_are_the_same_exactly_where_the_last_words_are(use_compiled, two, length):
    vocabulary, one, other = two
    # A word that is in neither stream marks the end of the first; after a boundary the second begins.
    vocabulary, marker = with_piece(vocabulary, b"marker", starts=True)
    vocabulary, boundary = with_piece(vocabulary, b"", boundary=True)
    context, reader = f"word:{length}", Reader(vocabulary)
    stream, contexts = [*one, marker, boundary, *other], []
    for token in stream:
        contexts.append(reader.context(context) if reader.class_of(token) == "starts" else None)
        reader.read(token)
    asked = reader.context(context)
    hints = roomy([context], vocabulary).after(use_compiled, stream).look(tokens([]))
    assert hints.met_CT[0, 0] == contexts.count(asked)
    if contexts.count(asked) == 1:
        assert (hints.token_XT[WORD, 0] == marker) == (contexts[len(one)] == asked)


def with_piece(vocabulary, text, starts=False, boundary=False) -> tuple[Vocabulary, int]:
    """Return the vocabulary with one more piece, and its number."""
    texts, starting, bounding = vocabulary
    return Vocabulary((*texts, text), (*starting, starts), (*bounding, boundary)), len(texts)


@BUILDS
@given(vocabulary=vocabularies(max_size=10), drawn=STREAMS, length=st.integers(1, 4))
def test_a_context_was_met_as_often_as_its_words(use_compiled, vocabulary, drawn, length):
    name = f"word:{length}"
    scene = roomy([name], vocabulary)
    stream = within(drawn, scene.vocab)
    met_T = scene.state(use_compiled).look(tokens(stream)).met_CT[0]
    reader, met = Reader(vocabulary), Counter()
    for t, token in enumerate(stream):
        context = reader.context(name)
        assert met_T[t] == met[context]
        met[context] += reader.class_of(token) == "starts"
        reader.read(token)


NAMES = "_a _b b _, , . _A _(a a) 's _É _C3 A9 89".split()
PIECES = spoken(" ".join(NAMES))._replace(
    texts=tuple(
        bytes.fromhex(name[-2:]) if name in ("_C3", "A9", "89") else name.removeprefix("_").encode()
        for name in NAMES
    )
)


def read(text: str) -> list[int]:
    return [NAMES.index(name) for name in text.split()]


@BUILDS
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("_a", "_A", True),
        ("_a", "_A . ,", True),
        ("_a", "_(a", True),
        ("_a b", "_(a b .", True),
        ("_a . b", "_a , b", False),  # inside a word punctuation stands
        ("_a . b", "_a b", False),
        ("_a . , b", "_a . , b ,", True),
        ("_a _, _b", "_a _b", True),  # what is all stripped is no word
        ("_a _, b _b", "_a _b _b", True),  # but it opens one
        ("_a 's", "_a b", False),
        ("_É", "_C3 A9", True),  # the bytes of "é"
        ("_É", "_C3 89", False),  # those of "É", which no piece makes small
        ("_b", "_a", False),
        ("_a _b", "_b _a", False),
        ("_a _a", "_a", False),
        ("_a a)", "_a a) .", True),
        ("_a a)", "_a a) b", False),
    ],
)
def test_words_by_example(use_compiled, one, other, same):
    vocabulary, boundary = with_piece(PIECES, b"", boundary=True)
    vocabulary, marker = with_piece(vocabulary, b"marker", starts=True)
    # After the first words comes the marker; it is the hint after the second exactly if they are the same.
    stream = [*read(one), marker, boundary, *read(other)]
    hints = roomy(["word:2"], vocabulary).after(use_compiled, stream).look(tokens([]))
    assert (hints.token_XT[WORD, 0] == marker) == same


@given(st.lists(st.sampled_from("aB.,( é"), max_size=12).map("".join), st.data())
def test_where_a_word_is_cut_into_pieces_does_not_matter(word, data):
    assume(word.strip(STRIPPED_TEXT))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(word)), max_size=4)))
    pieces = [word[i:j].encode() for i, j in zip([0, *cuts], [*cuts, len(word)], strict=True)]
    later = [False] * (len(pieces) - 1)
    vocabulary = Vocabulary(tuple(pieces), (True, *later), (False, *later))
    vocabulary, whole = with_piece(vocabulary, word.encode(), starts=True)
    vocabulary, following = with_piece(vocabulary, b"next", starts=True)
    vocabulary, boundary = with_piece(vocabulary, b"", boundary=True)
    stream = [whole, following, boundary, *range(len(pieces))]
    state = roomy(["word:1"], vocabulary).after(False, stream)
    assert state.look(tokens([])).token_XT[WORD, 0] == following
