"""A shard of tokens: the judge's reader agrees with one written the slow way, and so does the sdk's.

The first byte chooses the vocabulary; the rest is the file.
"""

from __future__ import annotations

import os
import struct

from harness.data.shards import read_shard
from harness.errors import DataError
from harness.sdk import TrainFile
from tests.fuzz.scratch import scratch
from tests.fuzz.targets import refused

WORDS = (struct.pack("<iii", 20240520, 1, 1), struct.pack("<i", -1), bytes(1012))
VOCABULARIES = (None, 1 << 16, 64, 2)


def one(data: bytes) -> bool:
    vocab_size = VOCABULARIES[data[0] % len(VOCABULARIES)] if data else None
    file, path = data[1:], scratch() / "shard.bin"
    path.write_bytes(file)
    expected = _slowly(file, vocab_size)
    try:
        tokens = read_shard(path, vocab_size).tolist()
    except DataError as error:
        assert expected is None, "refused a shard"
        return refused(error, f"{path}: ")
    assert tokens == expected
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert TrainFile("shard.bin", descriptor, len(file)).tokens().tolist() == tokens
        assert TrainFile("shard.bin", descriptor, len(file)).read() == file
    finally:
        os.close(descriptor)
    return True


def _slowly(file: bytes, vocab_size: int | None) -> list[int] | None:
    if len(file) < 1024 or struct.unpack_from("<ii", file) != (20240520, 1):
        return None
    (count,) = struct.unpack_from("<i", file, 8)
    if count < 0 or len(file) != 1024 + 2 * count:
        return None
    tokens = [struct.unpack_from("<H", file, 1024 + 2 * at)[0] for at in range(count)]
    return None if vocab_size is not None and max(tokens, default=0) >= vocab_size else tokens
