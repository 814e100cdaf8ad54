"""A small data folder out of a larger one: what is taken, and that its bytes are counted."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import score_bytes
from checks.contract import Status
from harness.data.dataset import open_dataset
from harness.data.excerpt import LONGEST, excerpt
from harness.data.recount import count_text
from harness.data.text import read_text
from harness.data.writing import write_dataset
from harness.errors import DataError
from harness.selftest import spoken

BOS = 0
DOCUMENTS = st.lists(st.lists(st.integers(1, 9), max_size=12), min_size=1, max_size=8)


def whole(folder, documents, **given):
    """A data folder without a tokenizer, one letter a token."""
    stream = [token for document in documents for token in (BOS, *document)]
    texts = ["".join("?abcdefghi"[token] for token in document) for document in documents]
    return write_dataset(
        folder,
        train_T=np.arange(40) % 10,
        val_T=np.array(stream),
        vocab_size=10,
        val_documents=texts,
        bos_id=BOS,
        shard_tokens=7,
        **given,
    )


@pytest.fixture
def place():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@settings(max_examples=40)
@given(documents=DOCUMENTS, wanted=st.integers(1, 60))
def test_documents_are_taken_whole_from_the_beginning(documents, wanted):
    with tempfile.TemporaryDirectory() as folder:
        data = whole(Path(folder, "whole"), documents)
        part = excerpt(data, Path(folder, "part"), val_tokens=wanted, train_tokens=11)
        got_T, all_T = part.val.load_tokens(), data.val.load_tokens()
        assert got_T.tolist() == all_T[: len(got_T)].tolist()
        assert part.train.load_tokens().tolist() == data.train.load_tokens()[:11].tolist()
        ends = np.cumsum([1 + len(document) for document in documents])
        if ends[0] > LONGEST * wanted:
            assert len(got_T) == wanted
            return
        assert len(got_T) in ends
        assert len(got_T) >= min(wanted, ends[-1])
        assert part.val.documents == 1 or ends[part.val.documents - 2] < wanted
        texts = list(read_text(data.val_text))[: part.val.documents]
        assert list(read_text(part.val_text)) == texts
        assert part.text.text_bytes == sum(map(len, texts))
        assert count_text(part) == part.text


@pytest.fixture(scope="module")
def with_tokenizer(tmp_path_factory):
    pytest.importorskip("sentencepiece")
    return spoken.make(tmp_path_factory.mktemp("spoken") / "data")


@pytest.mark.parametrize("wanted", [1, 100, 700, 5000, 1 << 30])
def test_with_a_tokenizer_the_text_is_counted_and_score_bytes_holds(with_tokenizer, place, wanted):
    part = excerpt(with_tokenizer, place / "part", val_tokens=wanted, train_tokens=1000)
    counted = count_text(part)
    assert counted == part.text
    finding = score_bytes.check(counted, "identity")
    assert finding.status is (Status.PASS if wanted > 1 else Status.NOT_RUN)  # one token is bos
    assert part.train.tokens == 1000
    assert part.tokenizer.sha256 == with_tokenizer.tokenizer.sha256
    assert (part.token_classes_V == with_tokenizer.token_classes_V).all()
    assert part.vocab_size == with_tokenizer.vocab_size
    assert "no score on it counts" in part.notes[0]


def test_a_document_is_not_cut_inside_a_character(with_tokenizer, tmp_path, place):
    """Byte pieces: the three of an ideograph stand for nothing without each other."""
    from harness.data.build import Recipe, build_dataset
    from harness.data.embedded import MODEL_FILE

    (tmp_path / "text").mkdir()
    for name, text in (("a", "x"), ("b", "\u6f22" * 50)):
        (tmp_path / name).write_text(text, "utf-8")
    recipe = Recipe(
        text=tmp_path / "a", val_text=tmp_path / "b", tokenizer=MODEL_FILE, documents="file"
    )
    data = build_dataset(recipe, tmp_path / "data")
    assert data.val.tokens == 1 + 3 * 50
    for wanted, taken in ((4, 4), (5, 4), (6, 4), (7, 7)):
        part = excerpt(data, place / str(wanted), val_tokens=wanted, train_tokens=1)
        assert part.val.tokens == taken
        assert list(read_text(part.val_text)) == ["\u6f22" * (taken // 3)]
        assert count_text(part).differing_documents == 0
    del with_tokenizer


def test_without_text_the_bytes_are_in_proportion_and_said_to_be(place):
    data = write_dataset(
        place / "whole",
        train_T=np.zeros(5, dtype=int),
        val_T=np.arange(100) % 7,
        vocab_size=7,
        val_text_bytes=250,
    )
    part = excerpt(data, place / "part", val_tokens=40, train_tokens=9)
    assert (part.val.tokens, part.text.text_bytes, part.train.tokens) == (40, 100, 5)
    assert part.bos_id is None
    assert any("in proportion" in note for note in part.notes)
    assert any("cut inside a document" in note for note in part.notes)
    assert count_text(part) == part.text


def test_it_opens_again_and_is_never_written_over(place):
    data = whole(place / "whole", [[1, 2, 3], [4]])
    part = excerpt(data, place / "part", val_tokens=2, train_tokens=3)
    assert open_dataset(place / "part").digests == part.digests
    with pytest.raises(DataError, match="there already"):
        excerpt(data, place / "part", val_tokens=2, train_tokens=3)


def test_a_text_that_is_not_that_of_the_tokens_is_refused(with_tokenizer, place):
    from dataclasses import replace

    (place / "short.jsonl").write_text('"only one"\n')
    odd = replace(with_tokenizer, val_text=place / "short.jsonl")
    with pytest.raises(DataError, match="as many documents"):
        excerpt(odd, place / "part", val_tokens=5000, train_tokens=5)
    assert not (place / "part").exists()
