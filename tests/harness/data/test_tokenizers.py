from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.data import tokenizers
from harness.data.dataset import TokenClass
from harness.data.embedded import MODEL_FILE
from harness.data.tokenizers import SPACE, Tokenizer, load_tokenizer, train_tokenizer
from harness.errors import DataError

pytest.importorskip("sentencepiece")

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "the",
    "mat",
    "and",
    "ran",
    "1984",
    "times,",
    "naïve",
    "café",
    "日本",
]
CORPUS = [" ".join(WORDS[i % 7 :] + WORDS[: i % 5]) for i in range(40)] + [
    "two  spaces\n\nand lines"
]


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train_tokenizer(CORPUS, 320)


@pytest.fixture(scope="module")
def synthetic() -> Tokenizer:
    return load_tokenizer(MODEL_FILE)


@given(text=st.text(max_size=60))
@example(text="  two  spaces \n\n and lines \r\n\t")
@example(text="👩\u200d👩\u200d👧 e\u0301 \ufeff \ufffd \u2028 \x85 \x00")
@example(text="<s></s><unk><0x41>")
@example(text=SPACE)
@example(text=f" {SPACE} a")
def test_nothing_is_lost_but_the_space_sign(trained: Tokenizer, text: str) -> None:
    tokens_T = trained.encode([text])[0]
    assert tokens_T[0] == trained.bos_id
    decoded = trained.decode([tokens_T[1:]])[0]
    assert decoded == text.replace(SPACE, " ")
    assert trained.normalise([text]) == [text]  # so U+2581 is seen to differ


@given(texts=st.lists(st.text(max_size=20), max_size=6))
def test_a_batch_is_each_alone(synthetic: Tokenizer, texts: list[str]) -> None:
    together = synthetic.encode(texts)
    assert [t.tolist() for t in together] == [synthetic.encode([t])[0].tolist() for t in texts]
    assert synthetic.decode(together) == [synthetic.decode([t])[0] for t in together]


@given(text=st.text(alphabet="ab \n", max_size=80), limit=st.integers(1, 9))
def test_pieces_are_the_text(text: str, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizers, "PIECE_CHARACTERS", limit)
        pieces = list(tokenizers.cut(text))
    assert "".join(pieces) == text.replace("\n", "")
    assert all(0 < len(piece) <= limit for piece in pieces)


def test_training_is_deterministic(trained: Tokenizer) -> None:
    assert train_tokenizer(CORPUS, 320).model == trained.model


def test_classes(trained: Tokenizer) -> None:
    classes_V = trained.classes()
    assert classes_V.shape == (320,)
    assert classes_V[:4].tolist() == [TokenClass.CONTROL] * 4
    assert classes_V[4:260].tolist() == [TokenClass.BYTE] * 256
    first, second = trained.encode(["t the"])[0][[1, 2]]
    assert classes_V[first] == TokenClass.CONTINUATION
    assert classes_V[second] == TokenClass.WORD_START
    for token in range(260, 320):
        starts = trained._processor.id_to_piece(token).startswith(SPACE)
        assert classes_V[token] == (TokenClass.WORD_START if starts else TokenClass.CONTINUATION)


def test_many_characters_become_bytes_and_are_not_lost() -> None:
    text = "".join(chr(0x4E00 + i * 7 % 3000) for i in range(6000))
    tokenizer = train_tokenizer([text[i : i + 90] for i in range(0, 6000, 90)], 300)
    assert tokenizer.decode([tokenizer.encode([text])[0][1:]]) == [text]


@pytest.mark.parametrize("vocab_size", [-1, 0, 261, 65537])
def test_impossible_vocabularies(vocab_size: int) -> None:
    with pytest.raises(DataError, match=r"--vocab: -?\d+ is not in 262..65536"):
        train_tokenizer(CORPUS, vocab_size)


def test_too_large_for_the_text() -> None:
    with pytest.raises(DataError, match=r"--vocab: 5000 does not suit this text: .*<= \d+; choose"):
        train_tokenizer(CORPUS, 5000)


@pytest.mark.parametrize("corpus", [[], [""], ["\n\n"], ["\0"]])
def test_no_text(corpus: list[str]) -> None:
    with pytest.raises(DataError, match="no text to train"):
        train_tokenizer(corpus, 300)


@given(cut=st.integers(0, 300))
def test_a_broken_model_is_refused_or_works(cut: int) -> None:
    model = MODEL_FILE.read_bytes()
    try:
        tokenizer = Tokenizer(model[: len(model) - cut], "m.model")
    except DataError as error:
        message = str(error)
        assert message.startswith("m.model: ")
    else:
        assert tokenizer.vocab_size <= 512


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        load_tokenizer(tmp_path / "none")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(DataError, match="empty: is empty"):
        load_tokenizer(tmp_path / "empty")


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentencepiece", None)
    with pytest.raises(DataError, match=r"pip install '\.\[data\]'"):
        load_tokenizer(MODEL_FILE)
