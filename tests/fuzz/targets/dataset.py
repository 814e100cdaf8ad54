"""dataset.json beside files that it may name: what opens is what the files hold, and lies in the folder."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from harness.data import record
from harness.data.dataset import open_dataset
from harness.data.shards import write_shard
from harness.errors import DataError
from tests.fuzz.scratch import scratch
from tests.fuzz.targets import refused

RECORDS = (
    record.DatasetRecord,
    record.SplitRecord,
    record.ShardRecord,
    record.FileRecord,
    record.TextRecord,
)
WORDS = (
    *(f'"{name}":'.encode() for kind in RECORDS for name in kind.__struct_fields__),
    *(b"null", b"[]", b"../", b"9007199254740993", b'"train.bin"', b'"val.bin"', b'"classes.bin"'),
)


@cache
def folder() -> Path:
    """Return the folder: two shards of tokens below 8, and a class for each of 8 tokens."""
    made = scratch() / "data"
    made.mkdir()
    write_shard(made / "train.bin", np.array([0, 1, 2, 3, 0, 7]))
    write_shard(made / "val.bin", np.array([0, 5, 6]))
    (made / "classes.bin").write_bytes(bytes([0, 1, 2, 3, 2, 2, 3, 3]))
    return made


def one(data: bytes) -> bool:
    path = folder() / record.FILE_NAME
    path.write_bytes(data)
    try:
        read = record.read_record(folder())
        opened = open_dataset(folder())
    except DataError as error:
        return refused(error, str(folder()))
    assert msgspec.json.decode(msgspec.json.encode(read), type=record.DatasetRecord) == read
    assert opened.digests["dataset"] == hashlib.sha256(data).hexdigest()
    for split in (opened.train, opened.val):
        tokens_T = split.load_tokens()
        assert len(tokens_T) == split.tokens > 0
        assert int(tokens_T.max()) < opened.vocab_size
        if opened.bos_id is not None:
            assert split.documents == tokens_T.tolist().count(opened.bos_id)
        for shard in split.shards:
            assert shard.path.is_relative_to(folder())
            assert os.path.normpath(shard.path) == str(shard.path)
            assert hashlib.sha256(shard.path.read_bytes()).hexdigest() == shard.sha256
    if opened.token_classes_V is not None:
        assert len(opened.token_classes_V) == opened.vocab_size
        assert int(opened.token_classes_V.max()) <= 3
    assert isinstance(opened.text.text_bytes, int)
    return True
