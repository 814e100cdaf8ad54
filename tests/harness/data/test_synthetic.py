import multiprocessing
import shutil
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import embedded as embedded_module
from harness.data.embedded import DIGESTS, MODEL_FILE, embedded
from harness.data.recount import count_text
from harness.data.synthetic import (
    TABLE,
    Lexicon,
    below,
    documents,
    draws,
    past,
    plural,
    third_person,
    zipf_table,
)
from harness.data.text import TextDigest
from harness.errors import DataError


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    lexicon = Lexicon()
    return {split: list(documents(lexicon, split)) for split in ("train", "val")}


def test_the_same_bytes_on_every_machine(texts: dict[str, list[str]]) -> None:
    for split, text in texts.items():
        digest = TextDigest()
        for document in text:
            digest.add(document)
        assert digest.count().sha256 == DIGESTS[f"{split}_text"]


def test_the_generator_is_shake() -> None:
    """The first numbers of one stream, worked out from FIPS 202's function alone."""
    import hashlib

    digest = hashlib.shake_256(b"synthetic-1/a key/0").digest(8)
    expected = [int.from_bytes(digest[i : i + 2], "little") for i in range(0, 8, 2)]
    draw = draws("a key")
    assert [draw() for _ in range(4)] == expected
    for _ in range(4092):
        draw()
    digest = hashlib.shake_256(b"synthetic-1/a key/1").digest(2)
    assert draw() == int.from_bytes(digest, "little")


@given(limit=st.integers(1, 65536), key=st.text(max_size=5))
def test_below(limit: int, key: str) -> None:
    draw = draws(key)
    assert all(0 <= below(draw, limit) < limit for _ in range(20))


@given(
    words=st.lists(st.text(min_size=1), min_size=1, max_size=200, unique=True),
    offset=st.integers(1, 9),
)
def test_zipf(words: list[str], offset: int) -> None:
    table = zipf_table(words, offset)
    counts = [table.count(word) for word in words]
    assert len(table) == sum(counts) == TABLE
    assert min(counts) >= 1
    assert counts == sorted(counts, reverse=True)


def test_validation_is_new_text(texts: dict[str, list[str]]) -> None:
    assert not set(texts["train"]) & set(texts["val"])
    train = " ".join(texts["train"])
    sentences = [s for d in texts["val"] for s in d.split(". ") if len(s) > 30]
    assert sum(sentence in train for sentence in sentences[:300]) < 15


def test_names_come_back_in_other_documents(texts: dict[str, list[str]]) -> None:
    """Capitalised words of a validation document that train text lacks and a sister document has."""
    train = set(" ".join(texts["train"]).split())
    inside = [{w for w in d.split() if w[0].isupper() and w not in train} for d in texts["val"]]
    shared = [any(names & other for other in inside if other is not names) for names in inside]
    assert sum(shared) > len(shared) // 2


def test_inflections() -> None:
    assert [plural(w) for w in ("tas", "to", "mosh", "tal")] == ["tases", "ton", "moshes", "talen"]
    assert [third_person("to"), past("to"), third_person("tal"), past("tal")] == [
        "tor",
        "tod",
        "talar",
        "taled",
    ]


def test_the_ruleset_names_the_same_data() -> None:
    text = (resources.files("harness") / "rulesets" / "smoke.toml").read_text("utf-8")
    section = tomllib.loads(text)["data"]
    assert section == {
        "name": "synthetic-1",
        **{f"{name}_sha256": DIGESTS[name] for name in ("val_text", "train_text", "tokenizer")},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("embedded") / "data"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_build, [folder, folder]) == [DIGESTS["val"]] * 2
    return folder


def _build(folder: Path) -> str:
    return embedded(folder).val.sha256


def test_embedded_is_what_the_rest_relies_on(folder: Path) -> None:
    dataset = embedded(folder)
    assert dataset.name == "synthetic-1"
    assert dataset.vocab_size == 512
    assert 120_000 < dataset.val.tokens < 140_000
    assert 1_900_000 < dataset.train.tokens < 2_200_000
    text = count_text(dataset)
    assert text.differing_documents == 0
    assert text.text_bytes == text.decoded_bytes == text.normalised_bytes == 418_404
    assert [path.name for path in folder.parent.iterdir()] == ["data"]


def test_embedded_refuses_other_data(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    monkeypatch.setattr(embedded_module, "DIGESTS", {**DIGESTS, "val": "0" * 64})
    with pytest.raises(DataError, match="val is not that of synthetic-1"):
        embedded(copy)
    (copy / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"or delete .*copy: it is made again"):
        embedded(copy)


def test_the_model_is_small() -> None:
    assert MODEL_FILE.stat().st_size < 20_000


def test_the_model_was_trained_as_the_script_says(texts: dict[str, list[str]]) -> None:
    pytest.importorskip("sentencepiece")
    from harness.data.embedded import VOCAB_SIZE
    from harness.data.tokenizers import train_tokenizer

    assert train_tokenizer(texts["train"], VOCAB_SIZE).model == MODEL_FILE.read_bytes()
