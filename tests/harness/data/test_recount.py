import dataclasses
import io
import lzma
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.build import Recipe, build_dataset
from harness.data.dataset import Dataset, open_dataset
from harness.data.embedded import MODEL_FILE
from harness.data.recount import compare_documents, count_text
from harness.data.tokenizers import SPACE, Tokenizer, load_tokenizer
from harness.errors import DataError

sentencepiece = pytest.importorskip("sentencepiece")
SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(MODEL_FILE)


def built(folder: Path, documents: list[str], model: Path = MODEL_FILE) -> Dataset:
    """Build with these validation documents, which may hold line breaks."""
    (folder / "train.txt").write_text("some text\n", encoding="utf-8")
    (folder / "val").mkdir()
    for number, document in enumerate(documents):
        (folder / "val" / f"{number:03d}").write_bytes(document.encode())
    recipe = Recipe(
        text=folder / "train.txt", tokenizer=model, val_text=folder / "val", documents="file"
    )
    return build_dataset(recipe, folder / "data")


@given(documents=st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_bytes_are_those_of_the_text(tokenizer: Tokenizer, documents: list[str]) -> None:
    tokens_T = np.concatenate(tokenizer.encode(documents))
    count, text = compare_documents(iter(documents), tokens_T, tokenizer, "here")
    assert count.text_bytes == text.text_bytes == sum(len(d.encode()) for d in documents)
    assert text.normalised_bytes == text.text_bytes
    assert text.decoded_bytes == text.text_bytes - 2 * sum(d.count(SPACE) for d in documents)
    assert text.differing_documents == sum(SPACE in d for d in documents)
    assert text.documents == len(documents)


@given(
    documents=st.lists(st.text(alphabet="ab ", max_size=9), min_size=1, max_size=4, unique=True),
    data=st.data(),
)
def test_tokens_of_another_text_differ(
    tokenizer: Tokenizer, documents: list[str], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(documents) - 1))
    other = [*documents]
    other[at] += "x"
    _, text = compare_documents(
        iter(documents), np.concatenate(tokenizer.encode(other)), tokenizer, "here"
    )
    assert text.differing_documents == 1
    assert text.decoded_bytes == text.text_bytes + 1


@pytest.mark.parametrize("number", [0, 1, 3])
def test_as_many_documents_as_texts(tokenizer: Tokenizer, number: int) -> None:
    tokens_T = np.concatenate([[], *tokenizer.encode(["a"] * number)]).astype(np.uint16)
    with pytest.raises(DataError, match="here: "):
        compare_documents(iter(["a", "b"]), tokens_T, tokenizer, "here")


def test_the_space_sign_is_counted_as_differing(tmp_path: Path) -> None:
    dataset = built(tmp_path, ["plain", f"bar {SPACE}{SPACE} bar", "plain too"])
    text = count_text(dataset)
    assert text == dataset.text
    assert text.differing_documents == 1
    assert text.text_bytes == text.normalised_bytes == (text.decoded_bytes or 0) + 4
    assert any("do not decode" in note for note in dataset.notes)


def test_a_normaliser_is_counted_apart(tmp_path: Path) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["some words of text to train a little tokenizer on"] * 9),
        model_writer=model,
        vocab_size=290,
        model_type="bpe",
        byte_fallback=True,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=2,
    )
    (tmp_path / "nfkc.model").write_bytes(model.getvalue())
    dataset = built(tmp_path, [" two  spaces\nｆｕｌｌ width ½ ", "plain"], tmp_path / "nfkc.model")
    text = count_text(dataset)
    plain = "two spaces full width 1⁄2plain"
    assert text.text_bytes == len(" two  spaces\nｆｕｌｌ width ½ plain".encode())
    assert text.decoded_bytes == text.normalised_bytes == len(plain.encode())
    assert text.differing_documents == 0


def test_another_tokenizer_in_the_folder_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    dataset = built(tmp_path, ["a text"])
    wrong = dataclasses.replace(dataset, vocab_size=500)
    with pytest.raises(DataError, match="vocab_size is 500, but the tokenizer's is 512"):
        count_text(wrong)
    unmarked = dataclasses.replace(dataset, bos_id=2)
    with pytest.raises(DataError, match="bos_id is 2, but the tokenizer's is 1"):
        count_text(unmarked)


def test_without_the_text_only_the_tokens_are_counted(tmp_path: Path) -> None:
    dataset = dataclasses.replace(built(tmp_path, ["a text", "and more"]), val_text=None)
    text = count_text(dataset)
    assert (text.text_bytes, text.decoded_bytes, text.documents) == (14, 14, 2)
    assert text.normalised_bytes is text.differing_documents is None


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data beside the repository")
def test_real_text_through_the_contests_tokenizer(tmp_path: Path) -> None:
    with lzma.open(SHARED / "fineweb_dev.txt.xz", "rb") as file:
        lines = [file.readline() for _ in range(20)]
    (tmp_path / "text.txt").write_bytes(b"".join(lines))
    dataset = build_dataset(
        Recipe(
            text=tmp_path / "text.txt",
            tokenizer=SHARED / "fineweb_1024_bpe.model",
            val_fraction=0.5,
        ),
        tmp_path / "data",
    )
    total = (dataset.train.text_bytes or 0) + (dataset.val.text_bytes or 0)
    assert total == sum(len(line) - 1 for line in lines)
    assert dataset.train.documents + dataset.val.documents == 20
    text = count_text(open_dataset(dataset.folder))
    assert text.differing_documents == 0
    assert text.decoded_bytes == text.normalised_bytes
    assert 2 < text.text_bytes / dataset.val.tokens < 3
