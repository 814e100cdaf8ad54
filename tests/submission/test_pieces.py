"""Pieces: what a tokenizer says of its tokens, to the artifact and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.dataset import TokenClass
from harness.data.embedded import embedded
from harness.data.tokenizers import Tokenizer
from native.words import BOUNDARY
from native.words import STARTS as STARTS_BIT
from submission import pack
from submission.mixer import CONTINUES, CONTROL, STARTS
from submission.pieces import WORD_START, Pieces, from_arrays, from_tokenizer, unknown
from tests.judged import ROOT
from tests.submission.tiny import PIECES

SYNTHETIC = ROOT / "harness/data/synthetic.model"

DRAWN = st.lists(
    st.tuples(st.binary(max_size=6), st.sampled_from([CONTROL, CONTINUES, STARTS])), min_size=1
).map(
    lambda drawn: Pieces(
        tuple(text for text, _ in drawn), np.array([own for _, own in drawn], dtype=np.uint8)
    )
)


def same(one, two):
    return one.texts == two.texts and np.array_equal(one.class_V, two.class_V)


@given(DRAWN)
def test_arrays_come_back_as_pieces(pieces):
    assert same(from_arrays(pieces.arrays()), pieces)
    arrays, _ = pack.unpack(pack.pack(pieces.arrays(), {}))
    back = from_arrays(arrays)
    assert same(back, pieces)
    assert all(type(text) is bytes for text in back.texts)


@given(DRAWN)
def test_tables_know_starts_and_boundaries(pieces):
    kind_V = pieces.tables().kind_V
    assert np.array_equal(kind_V & STARTS_BIT > 0, pieces.class_V == STARTS)
    assert np.array_equal(kind_V & BOUNDARY > 0, pieces.class_V == CONTROL)


@pytest.mark.parametrize(
    "change",
    [
        {"class_V": np.full(40, 3, np.uint8)},
        {"class_V": PIECES.class_V[:-1]},
        {"class_V": np.zeros(0, np.uint8)},
        {"size_V": PIECES.arrays()["size_V"][1:]},
        {"size_V": PIECES.arrays()["size_V"] + np.uint16(1)},
        {"text": PIECES.arrays()["text"][1:]},
        {
            "text": np.zeros(0, np.uint8),
            "size_V": np.zeros(0, "<u2"),
            "class_V": np.zeros(0, np.uint8),
        },
    ],
    ids=["class 3", "a class less", "no class", "a size less", "larger", "shorter", "nothing"],
)
def test_arrays_that_do_not_fit_together_are_refused(change):
    with pytest.raises(ValueError, match="fit together"):
        from_arrays({**PIECES.arrays(), **change})


@pytest.mark.parametrize("name", ["text", "size_V", "class_V"])
def test_an_array_that_is_missing_is_named(name):
    arrays = PIECES.arrays()
    del arrays[name]
    with pytest.raises(KeyError, match=name):
        from_arrays(arrays)


def test_of_a_vocabulary_without_a_tokenizer_nothing_is_known():
    pieces = unknown(7)
    assert pieces.texts == (b"",) * 7
    assert pieces.class_V.tolist() == [CONTROL] * 7


def test_the_embedded_tokenizer_is_read():
    """Control, bytes, word starts and the rest; the judge has read the same classes on its own."""
    pytest.importorskip("sentencepiece")
    model = SYNTHETIC.read_bytes()
    pieces, theirs = from_tokenizer(model), Tokenizer(model, "synthetic").classes()
    wanted = {
        TokenClass.CONTROL: CONTROL,
        TokenClass.BYTE: CONTINUES,
        TokenClass.CONTINUATION: CONTINUES,
        TokenClass.WORD_START: STARTS,
    }
    assert pieces.class_V.tolist() == [wanted[TokenClass(own)] for own in theirs]
    assert pieces.texts[:4] == (b"",) * 4
    assert (pieces.class_V[:4] == CONTROL).all()
    assert pieces.texts[4 : 4 + 256] == tuple(bytes([byte]) for byte in range(256))
    assert min(np.bincount(pieces.class_V)) >= 4
    rest = range(260, len(pieces.texts))
    assert not any(WORD_START.encode() in pieces.texts[token] for token in rest)


def test_texts_of_a_sentence_are_the_sentence(tmp_path):
    """The pieces of encoded text, with a space where a word starts, are that text."""
    sentencepiece = pytest.importorskip("sentencepiece")
    model = SYNTHETIC.read_bytes()
    pieces = from_tokenizer(model)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    text = " Goumou dul rail, naïve \x07 nou."
    tokens = processor.encode(text)
    spelt = b"".join(
        b" " * bool(pieces.class_V[token] == STARTS) + pieces.texts[token] for token in tokens
    )
    assert spelt.decode() == text


class Made:
    """A tokenizer of a few pieces."""

    names = (
        "<unk>",
        "<s>",
        "<unused>",
        "<0xC3>",
        WORD_START,
        f"{WORD_START}Ab",
        f"a{WORD_START}b",
        "é",
    )

    def __init__(self, model_proto):
        assert model_proto == b"model"

    def get_piece_size(self):
        return len(self.names)

    def id_to_piece(self, token):
        return self.names[token]

    def is_unknown(self, token):
        return token == 0

    def is_control(self, token):
        return token == 1

    def is_unused(self, token):
        return token == 2

    def is_byte(self, token):
        return token == 3


def test_every_kind_of_piece_is_told_apart(monkeypatch):
    sentencepiece = pytest.importorskip("sentencepiece")
    monkeypatch.setattr(sentencepiece, "SentencePieceProcessor", Made)
    pieces = from_tokenizer(b"model")
    assert pieces.texts == (b"", b"", b"", b"\xc3", b"", b"Ab", b"a b", "é".encode())
    classes = [CONTROL] * 3 + [CONTINUES, STARTS, STARTS, CONTINUES, CONTINUES]
    assert pieces.class_V.tolist() == classes


def test_the_tokenizer_of_a_data_set_has_a_piece_for_each_token(tmp_path):
    pytest.importorskip("sentencepiece")
    data = embedded(tmp_path / "data")
    model = (tmp_path / "data" / "tokenizer.model").read_bytes()
    assert len(from_tokenizer(model).texts) == data.vocab_size
