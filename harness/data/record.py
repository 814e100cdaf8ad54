"""dataset.json: what a data folder says of itself, every file with its size and SHA-256.

Unknown fields are refused. Paths are relative, made of plain names, and stay in the folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from harness.errors import DataError
from harness.manifest import path_problem

FILE_NAME = "dataset.json"

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
VocabSize = Annotated[int, msgspec.Meta(ge=2, le=1 << 16)]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class FileRecord(_Record, frozen=True):
    """One file of the folder."""

    path: Name
    sha256: Sha256
    size_bytes: Count


class ShardRecord(FileRecord, frozen=True):
    """One shard."""

    tokens: Count


class SplitRecord(_Record, frozen=True):
    """Train or validation."""

    shards: Annotated[tuple[ShardRecord, ...], msgspec.Meta(min_length=1, max_length=100_000)]
    documents: Count
    text_bytes: Count | None = None
    """UTF-8 bytes of the documents themselves; None where nobody counted them."""
    text_sha256: Sha256 | None = None


class TextRecord(_Record, frozen=True):
    """The validation text as it was counted when the folder was built (checks.contract.TextBytes)."""

    text_bytes: Count
    decoded_bytes: Count | None
    normalised_bytes: Count | None
    differing_documents: Count | None
    documents: Count


class DatasetRecord(_Record, frozen=True):
    """A data folder."""

    schema: Literal[1]
    name: Name
    vocab_size: VocabSize
    train: SplitRecord
    val: SplitRecord
    text: TextRecord
    bos_id: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)] | None = None
    """The token in front of each document; None where documents are not marked."""
    tokenizer: FileRecord | None = None
    token_classes: FileRecord | None = None
    val_text: FileRecord | None = None
    notes: tuple[str, ...] = ()
    """What the build assumed, one sentence each."""


def read_record(folder: Path) -> DatasetRecord:
    """Read FOLDER/dataset.json; DataError with file, field and remedy where it is not one."""
    path = folder / FILE_NAME
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{path}: no such file; a data folder is made by `harness data build --text PATH --out DATA`"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; make it a readable file") from None
    try:
        record = msgspec.json.decode(data, type=DatasetRecord)
    except msgspec.DecodeError as error:
        raise DataError(f"{path}: {error}; build the data folder again") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; build the data folder again") from None
    for file in files(record):
        problem = path_problem(file.path)
        if problem:
            raise DataError(f"{path}: path {file.path!r} {problem}")
    return record


def write_record(folder: Path, record: DatasetRecord) -> None:
    """Write FOLDER/dataset.json, the last file of a folder: without it nothing opens."""
    path = folder / FILE_NAME
    data = msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; choose a place that can be written") from None


def files(record: DatasetRecord) -> list[FileRecord]:
    """Return every file that the record names."""
    single = [record.tokenizer, record.token_classes, record.val_text]
    return [
        *record.train.shards,
        *record.val.shards,
        *(file for file in single if file is not None),
    ]
