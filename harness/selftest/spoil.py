"""A data folder that says something untrue, made from a sound one by what an attack's [data] table asks for.

Sizes and digests are written anew, as anybody would who wanted it to be believed, and what need not be stated
is left out. `edited_val_tokens` alone leaves the digest of what was there before.

Legend: T tokens.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from harness.data.dataset import Dataset
from harness.data.record import (
    FILE_NAME,
    DatasetRecord,
    ShardRecord,
    TextRecord,
    read_record,
    write_record,
)
from harness.data.shards import HEADER_BYTES, TOKEN, Tokens, write_shard
from harness.data.text import TextWriter, read_text
from harness.data.writing import VAL_TEXT_FILE, file_record
from harness.selftest.corpus import Data


def spoil(sound: Dataset, folder: Path, wanted: Data) -> None:
    """Write a spoilt copy of a data set, which has one validation shard, to a folder that is not there."""
    shutil.copytree(sound.folder, folder)
    record = read_record(folder)
    (folder / FILE_NAME).unlink()
    if wanted.text_replaced:
        record = _with_text(folder, record, wanted.text_replaced)
    tokens_T = changed_tokens(sound.val.load_tokens(), sound.bos_id, wanted)
    record = _with_tokens(folder, record, tokens_T)
    if wanted.stated_bytes_factor is not None:
        record = _with_bytes(record, round(record.text.text_bytes * wanted.stated_bytes_factor))
    write_record(folder, record)
    if wanted.edited_val_tokens is not None:
        _edit(folder / record.val.shards[0].path, wanted.edited_val_tokens)


def changed_tokens(tokens_T: Tokens, bos_id: int | None, wanted: Data) -> Tokens:
    """Return the validation stream as the spoilt folder stores it, uint16[T] or shorter."""
    if wanted.reversed_documents and bos_id is not None:
        starts = np.flatnonzero(tokens_T == bos_id)[1:]
        tokens_T = np.concatenate(np.split(tokens_T, starts)[::-1])
    return tokens_T[: len(tokens_T) - (wanted.dropped_val_tokens or 0)]


def _with_text(
    folder: Path, record: DatasetRecord, replaced: tuple[tuple[str, str], ...]
) -> DatasetRecord:
    documents = list(read_text(folder / VAL_TEXT_FILE))
    (folder / VAL_TEXT_FILE).unlink()
    with TextWriter(folder / VAL_TEXT_FILE) as writer:
        for document in documents:
            for old, new in replaced:
                document = document.replace(old, new)
            writer.append(document)
    count = writer.digest.count()
    return replace(
        _with_bytes(record, count.text_bytes),
        val=replace(record.val, text_bytes=count.text_bytes, text_sha256=count.sha256),
        val_text=file_record(folder, VAL_TEXT_FILE),
    )


def _with_bytes(record: DatasetRecord, text_bytes: int) -> DatasetRecord:
    """Return the record with another denominator, and without the counts that would contradict it."""
    return replace(
        record,
        val=replace(record.val, text_bytes=text_bytes),
        text=TextRecord(
            text_bytes=text_bytes,
            decoded_bytes=None,
            normalised_bytes=None,
            differing_documents=None,
            documents=record.text.documents,
        ),
    )


def _with_tokens(folder: Path, record: DatasetRecord, tokens_T: Tokens) -> DatasetRecord:
    path = folder / record.val.shards[0].path
    path.unlink()
    shard = write_shard(path, tokens_T)
    documents = record.val.documents
    if record.bos_id is not None:
        documents = int(np.count_nonzero(tokens_T == record.bos_id))
    stored = ShardRecord(
        path=record.val.shards[0].path,
        tokens=shard.tokens,
        sha256=shard.sha256,
        size_bytes=shard.size_bytes,
    )
    changed = replace(record, val=replace(record.val, shards=(stored,), documents=documents))
    return _with_bytes(changed, record.text.text_bytes)


def _edit(shard: Path, count: int) -> None:
    """Change the lowest bit of the last `count` tokens, where no document begins."""
    tokens_T = np.fromfile(shard, dtype=TOKEN, offset=HEADER_BYTES)
    tokens_T[-count:] ^= 1
    with shard.open("r+b") as file:
        file.seek(HEADER_BYTES)
        file.write(tokens_T.tobytes())
