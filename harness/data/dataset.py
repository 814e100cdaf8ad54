"""Data folders: what the judge trains and scores on, opened only if every byte is what it was.

    DATA/dataset.json               sizes, digests, counts (harness.data.record)
    DATA/train/train_000000.bin ... shards (harness.data.shards)
    DATA/val/val_000000.bin ...
    DATA/tokenizer.model            optional
    DATA/token_classes.bin          optional: one byte a token
    DATA/val_text.xz                optional: the validation documents (harness.data.text)

Legend: T tokens, V vocabulary.

Does not judge whether the tokens belong to the text: `harness.data.recount` counts, a check concludes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from checks.contract import TextBytes
from harness.data.record import (
    FILE_NAME,
    DatasetRecord,
    FileRecord,
    SplitRecord,
    TextRecord,
    read_record,
)
from harness.data.shards import Shard, Tokens, file_sha256, read_shard
from harness.errors import DataError


class TokenClass(IntEnum):
    """What kind of piece a token is; challenges substitute across these classes."""

    CONTROL = 0
    """Decodes to no text: padding, document boundary, unknown, unused."""
    BYTE = 1
    """One byte of text that has no piece of its own."""
    WORD_START = 2
    """Begins with a space."""
    CONTINUATION = 3
    """Everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerFile:
    """The tokenizer's model, not loaded."""

    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Train or validation: one stream of tokens in one or more shards."""

    shards: tuple[Shard, ...]
    tokens: int
    documents: int
    text_bytes: int | None
    """UTF-8 bytes of the documents; None where nobody counted them (never for validation)."""
    text_sha256: str | None
    sha256: str
    """Over the shards' digests in order, each in hexadecimal and followed by a line feed."""

    def load_tokens(self) -> Tokens:
        """Return the stream, uint16[T]: one shard as a memory map, several as one array in memory."""
        if len(self.shards) == 1:
            return read_shard(self.shards[0].path)
        return np.concatenate([read_shard(shard.path) for shard in self.shards])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """A data folder whose every file was what dataset.json says when it was opened."""

    folder: Path
    name: str
    vocab_size: int
    bos_id: int | None
    tokenizer: TokenizerFile | None
    train: Split
    val: Split
    token_classes_V: npt.NDArray[np.uint8] | None
    """TokenClass of each token, uint8[V]."""
    val_text: Path | None
    text: TextBytes
    """As it was counted when the folder was built; `recount.count_text` counts again."""
    digests: Mapping[str, str]
    """SHA-256 of "dataset", "train", "val" and, where there are such, "tokenizer", "token_classes",
    "train_text" and "val_text" (the last two: see harness.data.text)."""
    notes: tuple[str, ...]


def open_dataset(folder: Path) -> Dataset:
    """Open a data folder after checking every file's size, digest, header and tokens.

    Raises DataError naming the file and what to do.
    """
    record = read_record(folder)
    for file, kind in (
        (record.tokenizer, "tokenizer"),
        (record.token_classes, "token_classes"),
        (record.val_text, "val_text"),
    ):
        if file is not None:
            _verify(folder, file, kind)
    train = _open_split(folder, record, record.train, "train")
    val = _open_split(folder, record, record.val, "val")
    if record.text.text_bytes != record.val.text_bytes:
        raise DataError(
            f"{folder / FILE_NAME}: text.text_bytes is {record.text.text_bytes} but val.text_bytes is "
            f"{record.val.text_bytes}; build the data folder again"
        )
    return Dataset(
        folder=folder,
        name=record.name,
        vocab_size=record.vocab_size,
        bos_id=record.bos_id,
        tokenizer=_tokenizer(folder, record),
        train=train,
        val=val,
        token_classes_V=_classes(folder, record),
        val_text=folder / record.val_text.path if record.val_text else None,
        text=TextBytes(
            **{name: getattr(record.text, name) for name in TextRecord.__struct_fields__}
        ),
        digests=_digests(folder, record, train, val),
        notes=record.notes,
    )


def _verify(folder: Path, file: FileRecord, field: str) -> None:
    """Raise DataError unless the file has the size and the digest on record."""
    path = folder / file.path
    if not path.is_file():
        raise DataError(f"{path}: {field}: no such file; restore it or build the data folder again")
    size_bytes = path.stat().st_size
    if size_bytes != file.size_bytes:
        raise DataError(
            f"{path}: {field}: {size_bytes} bytes, but {FILE_NAME} says size_bytes {file.size_bytes}; "
            "restore the file or build the data folder again"
        )
    digest = file_sha256(path)
    if digest != file.sha256:
        raise DataError(
            f"{path}: {field}: SHA-256 is {digest[:16]}..., but {FILE_NAME} says {file.sha256[:16]}...; "
            "restore the file or build the data folder again"
        )


def _open_split(folder: Path, record: DatasetRecord, split: SplitRecord, field: str) -> Split:
    shards: list[Shard] = []
    documents = 0
    for number, shard in enumerate(split.shards):
        _verify(folder, shard, f"{field}.shards[{number}]")
        path = folder / shard.path
        tokens_T = read_shard(path, record.vocab_size)
        if len(tokens_T) != shard.tokens:
            raise DataError(
                f"{path}: {len(tokens_T)} tokens, but {FILE_NAME} says {field}.shards[{number}].tokens "
                f"{shard.tokens}; build the data folder again"
            )
        if record.bos_id is not None:
            documents += int(np.count_nonzero(tokens_T == record.bos_id))
        shards.append(
            Shard(path=path, tokens=shard.tokens, sha256=shard.sha256, size_bytes=shard.size_bytes)
        )
    if record.bos_id is not None and documents != split.documents:
        raise DataError(
            f"{folder / FILE_NAME}: {field}.documents is {split.documents}, but the shards hold {documents} "
            f"tokens bos_id {record.bos_id}; build the data folder again"
        )
    tokens = sum(shard.tokens for shard in shards)
    if tokens == 0:
        raise DataError(f"{folder / FILE_NAME}: {field} holds no tokens; build it from more text")
    return Split(
        shards=tuple(shards),
        tokens=tokens,
        documents=split.documents,
        text_bytes=split.text_bytes,
        text_sha256=split.text_sha256,
        sha256=shards_sha256(shard.sha256 for shard in shards),
    )


def _tokenizer(folder: Path, record: DatasetRecord) -> TokenizerFile | None:
    if record.tokenizer is None:
        return None
    file = record.tokenizer
    return TokenizerFile(path=folder / file.path, sha256=file.sha256, size_bytes=file.size_bytes)


def _classes(folder: Path, record: DatasetRecord) -> npt.NDArray[np.uint8] | None:
    if record.token_classes is None:
        return None
    path = folder / record.token_classes.path
    classes_V = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    if len(classes_V) != record.vocab_size or int(classes_V.max()) > max(TokenClass):
        raise DataError(
            f"{path}: must hold {record.vocab_size} bytes of 0..{int(max(TokenClass))}, one a token; "
            "build the data folder again"
        )
    return classes_V


def _digests(folder: Path, record: DatasetRecord, train: Split, val: Split) -> dict[str, str]:
    optional = {
        "tokenizer": record.tokenizer.sha256 if record.tokenizer else None,
        "token_classes": record.token_classes.sha256 if record.token_classes else None,
        "train_text": train.text_sha256,
        "val_text": val.text_sha256,
    }
    return {
        "dataset": file_sha256(folder / FILE_NAME),
        "train": train.sha256,
        "val": val.sha256,
        **{name: digest for name, digest in optional.items() if digest is not None},
    }


def shards_sha256(digests: Iterable[str]) -> str:
    """Return the digest of a split from those of its shards."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()
