import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data.dataset import Dataset, TokenClass, open_dataset
from harness.data.recount import count_text
from harness.data.shards import read_shard
from harness.data.writing import SplitWriter, write_dataset
from harness.errors import DataError
from tests.harness.data.tiny import tiny_dataset


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("data") / "tiny", train_tokens=600, val_tokens=400)


@pytest.fixture
def copy(tiny: Dataset, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny.folder, tmp_path / "copy"))


def edit(folder: Path, change: dict[str, Any]) -> None:
    """Overwrite fields of dataset.json, named with dots."""
    record = json.loads((folder / "dataset.json").read_text())
    for name, value in change.items():
        place = record
        *path, last = name.split(".")
        for part in path:
            place = place[int(part) if part.isdigit() else part]
        place[last] = value
    (folder / "dataset.json").write_text(json.dumps(record))


def test_tiny_has_what_checks_need(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "tiny")
    assert dataset.vocab_size == 64
    assert dataset.val.tokens == len(dataset.val.load_tokens()) == 8192
    assert dataset.token_classes_V is not None
    assert set(dataset.token_classes_V.tolist()) == set(TokenClass)
    assert set(dataset.val.load_tokens().tolist()) > set(range(4, 64))
    assert dataset.val.documents == dataset.text.documents > 30
    assert dataset.text == count_text(dataset)
    assert dataset.tokenizer is None
    assert dataset.val.sha256 != tiny_dataset(tmp_path / "other", seed=1).val.sha256


@given(
    train=st.lists(st.integers(0, 9), min_size=1, max_size=40),
    val=st.lists(st.integers(0, 9), min_size=1, max_size=40),
    shard_tokens=st.integers(1, 50),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_shards_join_into_the_stream(
    tmp_path: Path, train: list[int], val: list[int], shard_tokens: int
) -> None:
    shutil.rmtree(tmp_path / "d", ignore_errors=True)
    dataset = write_dataset(
        tmp_path / "d",
        train_T=train,
        val_T=val,
        vocab_size=10,
        val_text_bytes=7,
        shard_tokens=shard_tokens,
    )
    assert dataset.train.load_tokens().tolist() == train
    assert dataset.val.load_tokens().tolist() == val
    assert len(dataset.train.shards) == -(-len(train) // shard_tokens)
    assert all(shard.tokens == shard_tokens for shard in dataset.train.shards[:-1])
    assert dataset.text.text_bytes == dataset.val.text_bytes == 7


@given(place=st.floats(0, 1, exclude_max=True), number=st.integers(0), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_changed_bit_is_found(tiny: Dataset, place: float, number: int, bit: int) -> None:
    files = sorted(p for p in tiny.folder.rglob("*") if p.is_file() and p.suffix != ".json")
    path = files[number % len(files)]
    good = path.read_bytes()
    bad = bytearray(good)
    bad[int(place * len(bad))] ^= 1 << bit
    path.write_bytes(bad)
    try:
        with pytest.raises(DataError, match=path.name):
            open_dataset(tiny.folder)
    finally:
        path.write_bytes(good)


@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_any_damaged_record_opens_or_is_refused(
    tiny: Dataset, place: float, byte: int, cut: bool
) -> None:
    path = tiny.folder / "dataset.json"
    good = path.read_bytes()
    at = int(place * len(good))
    path.write_bytes(good[:at] if cut else good[:at] + bytes([byte]) + good[at + 1 :])
    try:
        dataset = open_dataset(tiny.folder)
        count_text(dataset)
    except DataError:
        pass
    else:  # a letter of its name or of a note, or a field that only train text has
        assert dataset.val.load_tokens().tolist() == tiny.val.load_tokens().tolist()
        assert dataset.text == tiny.text
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 2}, "schema"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"val.colour": "red"}, "unknown field `colour`"),
        ({"vocab_size": 20}, "is not below the vocabulary of 20"),
        ({"vocab_size": 65}, "token_classes.bin: must hold 65 bytes"),
        ({"vocab_size": 70000}, "vocab_size"),
        ({"val.shards": []}, "val.shards"),
        ({"val.shards.0.tokens": 399}, r"val.shards\[0\].tokens 399"),
        ({"val.shards.0.size_bytes": 9}, "size_bytes 9"),
        ({"val.shards.0.path": "../val_000000.bin"}, "leaves its folder"),
        ({"val.shards.0.path": "val/none.bin"}, "no such file"),
        ({"train.documents": 1}, "train.documents is 1"),
        ({"val.text_bytes": 1}, "val.text_bytes is 1"),
        ({"name": ""}, "name"),
    ],
)
def test_a_wrong_field_is_named(copy: Path, change: dict[str, Any], says: str) -> None:
    edit(copy, change)
    with pytest.raises(DataError, match=says):
        open_dataset(copy)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"val.text_bytes": 1, "text.text_bytes": 1}, "text.text_bytes is 1, but"),
        ({"text.documents": 99}, "text.documents is 99, but"),
        ({"val.text_sha256": "0" * 64}, "val.text_sha256 0000"),
    ],
)
def test_a_wrong_count_is_found_by_counting(copy: Path, change: dict[str, Any], says: str) -> None:
    edit(copy, change)
    dataset = open_dataset(copy)
    with pytest.raises(DataError, match=says):
        count_text(dataset)


def test_truncated_and_missing_files(copy: Path) -> None:
    shard = copy / "val" / "val_000000.bin"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"val_000000.bin: val.shards\[0\]: 1823 bytes"):
        open_dataset(copy)
    shard.unlink()
    with pytest.raises(DataError, match="no such file; restore it"):
        open_dataset(copy)
    (copy / "dataset.json").unlink()
    with pytest.raises(DataError, match="harness data build"):
        open_dataset(copy)
    with pytest.raises(DataError, match="harness data build"):
        open_dataset(copy / "nowhere")


def test_the_bytes_of_the_text_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are unknown"):
        write_dataset(tmp_path / "d", train_T=[1], val_T=[1], vocab_size=4)
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_contradict_the_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="5 was given, but the documents have 4"):
        write_dataset(
            tmp_path / "d",
            train_T=[1],
            val_T=[1],
            vocab_size=4,
            val_text_bytes=5,
            val_documents=["aé", "b"],
        )


@pytest.mark.parametrize("bad", [{"val_T": []}, {"val_T": [4]}, {"token_classes_V": [0, 1, 2, 4]}])
def test_what_does_not_fit_the_vocabulary_is_refused(tmp_path: Path, bad: dict[str, Any]) -> None:
    given = {"train_T": [1], "val_T": [1], "vocab_size": 4, "val_text_bytes": 1, **bad}
    with pytest.raises(DataError):
        write_dataset(tmp_path / "d", **given)
    assert list(tmp_path.iterdir()) == []


@given(
    parts=st.lists(st.lists(st.integers(0, 9), max_size=7), max_size=6),
    shard_tokens=st.integers(1, 9),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_shards_are_full_however_the_stream_arrives(
    tmp_path: Path, parts: list[list[int]], shard_tokens: int
) -> None:
    shutil.rmtree(tmp_path / "train", ignore_errors=True)
    stream = [token for part in parts for token in part]
    with SplitWriter(tmp_path, "train", 10, shard_tokens) as writer:
        for part in parts:
            writer.append(np.array(part, dtype=np.uint16))
        if not stream:
            with pytest.raises(DataError, match="holds no tokens"):
                writer.finish()
            return
        shards = writer.finish()
    assert {shard.tokens for shard in shards[:-1]} <= {shard_tokens}
    assert shards[-1].tokens <= shard_tokens
    joined = np.concatenate([read_shard(tmp_path / shard.path) for shard in shards])
    assert joined.tolist() == stream


def test_without_marks_a_split_is_one_document(tmp_path: Path) -> None:
    dataset = write_dataset(
        tmp_path / "d", train_T=np.arange(5), val_T=[1], vocab_size=6, val_text_bytes=1
    )
    assert (dataset.train.documents, dataset.val.documents) == (1, 1)
    assert count_text(dataset) == dataset.text
