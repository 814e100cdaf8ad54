"""Writing a data folder: shards, classes, tokenizer, text, and dataset.json last.

`write_dataset` makes one from token arrays alone, without a tokenizer: for tests, and for shards that came
from elsewhere. `harness.data.build` makes one from text.

Legend: T tokens, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from checks.contract import TextBytes
from harness.data.dataset import Dataset, TokenClass, open_dataset
from harness.data.record import (
    DatasetRecord,
    FileRecord,
    ShardRecord,
    SplitRecord,
    TextRecord,
    write_record,
)
from harness.data.shards import MAX_TOKENS, Shard, ShardWriter, check_tokens, file_sha256
from harness.data.staging import staged
from harness.data.text import TextCount, TextWriter
from harness.errors import DataError

SHARD_TOKENS = 100_000_000
"""Tokens of a full shard, as in the contest."""
TOKENIZER_FILE = "tokenizer.model"
CLASSES_FILE = "token_classes.bin"
VAL_TEXT_FILE = "val_text.xz"


class SplitWriter:
    """Writes one split's stream into FOLDER/NAME/NAME_000000.bin and so on.

    A shard ends at exactly `shard_tokens`, inside a document if need be: the stream is one. A context
    manager: leaving it with an error closes what is open.
    """

    def __init__(
        self, folder: Path, name: str, vocab_size: int, shard_tokens: int = SHARD_TOKENS
    ) -> None:
        """Create the split's folder."""
        if not 1 <= shard_tokens <= MAX_TOKENS:
            raise DataError(
                f"shard tokens: {shard_tokens} is not in 1..{MAX_TOKENS}; choose another number"
            )
        self._folder = folder / name
        self._name = name
        self._vocab_size = vocab_size
        self._shard_tokens = shard_tokens
        self._done: list[Shard] = []
        self._open: ShardWriter | None = None
        try:
            self._folder.mkdir()
        except OSError as error:
            raise DataError(
                f"{self._folder}: {error.strerror}; choose a place that can be written"
            ) from None

    def append(self, tokens_T: npt.NDArray[np.generic]) -> None:
        """Write more of the stream."""
        while len(tokens_T):
            if self._open is None:
                self._open = ShardWriter(self._folder / f"{self._name}_{len(self._done):06d}.bin")
            part = tokens_T[: self._shard_tokens - self._open.tokens]
            self._open.append(part)
            check_tokens(part.astype(np.uint16, copy=False), self._vocab_size, self._name)
            tokens_T = tokens_T[len(part) :]
            if self._open.tokens == self._shard_tokens:
                self._end_shard()

    def finish(self) -> tuple[ShardRecord, ...]:
        """Close the last shard and return the records; DataError where there was no token."""
        if self._open is not None:
            self._end_shard()
        if not self._done:
            raise DataError(f"{self._name}: holds no tokens; give more text")
        return tuple(
            ShardRecord(
                path=f"{self._name}/{shard.path.name}",
                tokens=shard.tokens,
                sha256=shard.sha256,
                size_bytes=shard.size_bytes,
            )
            for shard in self._done
        )

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._open is not None:
            self._open.__exit__(kind, value, trace)

    def _end_shard(self) -> None:
        assert self._open is not None
        self._open.close()
        self._done.append(self._open.shard)
        self._open = None


def write_dataset(
    folder: Path,
    *,
    train_T: npt.ArrayLike,
    val_T: npt.ArrayLike,
    vocab_size: int,
    val_text_bytes: int | None = None,
    val_documents: Iterable[str] | None = None,
    bos_id: int | None = None,
    token_classes_V: npt.ArrayLike | None = None,
    name: str = "tokens",
    shard_tokens: int = SHARD_TOKENS,
) -> Dataset:
    """Make a data folder from tokens and open it; no tokenizer is needed.

    The bytes of the validation text are counted from `val_documents`, which are then stored, or given as
    `val_text_bytes`. With `bos_id`, documents are counted in the tokens; otherwise each split is one.
    Raises DataError where the folder is not empty, tokens do not fit the vocabulary, or the bytes are
    unknown.
    """
    with staged(folder) as stage:
        splits = {"train": np.asarray(train_T), "val": np.asarray(val_T)}
        records = {}
        for split, tokens_T in splits.items():
            with SplitWriter(stage, split, vocab_size, shard_tokens) as writer:
                writer.append(tokens_T)
                records[split] = writer.finish()
        documents = {
            split: 1 if bos_id is None else int(np.count_nonzero(tokens_T == bos_id))
            for split, tokens_T in splits.items()
        }
        val_text, text = _given_text(stage, val_text_bytes, val_documents)
        text_bytes = text.text_bytes if text else val_text_bytes
        if text_bytes is None:
            raise DataError(
                f"{folder}: the bytes of the validation text are unknown; "
                "give val_documents or val_text_bytes"
            )
        classes = (
            None if token_classes_V is None else write_classes(stage, token_classes_V, vocab_size)
        )
        record = DatasetRecord(
            schema=1,
            name=name,
            vocab_size=vocab_size,
            bos_id=bos_id,
            train=SplitRecord(shards=records["train"], documents=documents["train"]),
            val=SplitRecord(
                shards=records["val"],
                documents=documents["val"],
                text_bytes=text_bytes,
                text_sha256=text.sha256 if text else None,
            ),
            text=TextRecord(
                text_bytes=text_bytes,
                decoded_bytes=None,
                normalised_bytes=None,
                differing_documents=None,
                documents=text.documents if text else documents["val"],
            ),
            token_classes=classes,
            val_text=val_text,
        )
        write_record(stage, record)
    return open_dataset(folder)


def _given_text(
    stage: Path, text_bytes: int | None, documents: Iterable[str] | None
) -> tuple[FileRecord | None, TextCount | None]:
    """Store the validation documents, where there are any, and compare them with the bytes stated."""
    if documents is None:
        return None, None
    with TextWriter(stage / VAL_TEXT_FILE) as writer:
        for document in documents:
            writer.append(document)
    count = writer.digest.count()
    if text_bytes is not None and text_bytes != count.text_bytes:
        raise DataError(
            f"val_text_bytes: {text_bytes} was given, but the documents have {count.text_bytes}; leave it out"
        )
    return file_record(stage, VAL_TEXT_FILE), count


def write_classes(stage: Path, classes_V: npt.ArrayLike, vocab_size: int) -> FileRecord:
    """Store a TokenClass for each token; DataError where they are not that."""
    array_V = np.asarray(classes_V)
    if array_V.shape != (vocab_size,) or not np.isin(array_V, list(TokenClass)).all():
        raise DataError(
            f"token classes: give {vocab_size} numbers of 0..{int(max(TokenClass))}, one a token"
        )
    return write_file(stage, CLASSES_FILE, array_V.astype(np.uint8).tobytes())


def write_file(stage: Path, name: str, data: bytes) -> FileRecord:
    """Write a small file of the folder and return its record."""
    try:
        (stage / name).write_bytes(data)
    except OSError as error:
        raise DataError(
            f"{stage / name}: {error.strerror}; free some space or write elsewhere"
        ) from None
    return FileRecord(path=name, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def file_record(stage: Path, name: str) -> FileRecord:
    """Return the record of a file that is already in the folder."""
    path = stage / name
    return FileRecord(path=name, sha256=file_sha256(path), size_bytes=path.stat().st_size)


def text_record(text: TextBytes) -> TextRecord:
    """Return what dataset.json keeps of a count."""
    return TextRecord(**{name: getattr(text, name) for name in TextRecord.__struct_fields__})
