import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.data.shards import (
    HEADER_BYTES,
    MAGIC,
    Shard,
    ShardWriter,
    file_sha256,
    header,
    read_shard,
    write_shard,
)
from harness.errors import DataError

TOKENS = st.lists(st.integers(0, 65535), max_size=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


def fresh(folder: Path) -> Path:
    path = folder / "shard.bin"
    path.unlink(missing_ok=True)
    return path


def oracle(data: bytes) -> list[int] | None:
    """The format, read the slow way: None where it is not a shard."""
    if len(data) < 1024:
        return None
    magic, version, count = struct.unpack_from("<iii", data)
    if (magic, version) != (20240520, 1) or count < 0 or len(data) != 1024 + 2 * count:
        return None
    return [struct.unpack_from("<H", data, 1024 + 2 * i)[0] for i in range(count)]


@given(tokens=TOKENS)
@example(tokens=[])
@example(tokens=[65535])
def test_what_is_written_is_read(folder: Path, tokens: list[int]) -> None:
    path = fresh(folder)
    record = write_shard(path, np.array(tokens, dtype=np.int64))
    assert read_shard(path).tolist() == tokens
    assert oracle(path.read_bytes()) == tokens
    assert record == Shard(
        path=path, tokens=len(tokens), sha256=file_sha256(path), size_bytes=1024 + 2 * len(tokens)
    )


@given(parts=st.lists(TOKENS, max_size=5))
def test_pieces_make_the_same_file_as_the_whole(folder: Path, parts: list[list[int]]) -> None:
    path = fresh(folder)
    with ShardWriter(path) as writer:
        for part in parts:
            writer.append(np.array(part, dtype=np.uint16))
    pieces = path.read_bytes()
    path = fresh(folder)
    write_shard(path, np.array([token for part in parts for token in part], dtype=np.uint16))
    assert path.read_bytes() == pieces


@st.composite
def nearly_shards(draw: st.DrawFn) -> bytes:
    """A shard with some of its bytes changed, cut off or added."""
    tokens = draw(st.lists(st.integers(0, 65535), max_size=20))
    data = bytearray(header(len(tokens)) + np.array(tokens, dtype="<u2").tobytes())
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(0, 15))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(data)))
    return bytes(data[:cut] if draw(st.booleans()) else data) + draw(st.binary(max_size=3))


@given(data=st.binary(max_size=1100) | nearly_shards())
def test_any_bytes_parse_or_are_refused(folder: Path, data: bytes) -> None:
    path = fresh(folder)
    path.write_bytes(data)
    expected = oracle(data)
    if expected is None:
        with pytest.raises(DataError, match=r"shard\.bin: "):
            read_shard(path)
    else:
        assert read_shard(path).tolist() == expected


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "header has 0 of 1024 bytes"),
        (header(0)[:1000], "header has 1000 of 1024 bytes"),
        (header(2) + b"\0\0\0", "truncated"),
        (header(1) + b"\0\0\0", "1 bytes follow the 1 tokens"),
        (b"\0" * 1024, f"magic is 0, not {MAGIC}"),
        (struct.pack("<iii", MAGIC, 2, 0) + b"\0" * 1012, "version is 2, not 1"),
        (struct.pack("<iii", MAGIC, 1, -1) + b"\0" * 1012, "count is -1"),
    ],
)
def test_malformed(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "bad.bin"
    path.write_bytes(data)
    with pytest.raises(DataError, match=says):
        read_shard(path)


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_shard(tmp_path / "none.bin")
    with pytest.raises(DataError, match="directory"):
        read_shard(tmp_path)


@given(tokens=st.lists(st.integers(0, 40), min_size=1, max_size=50), vocab_size=st.integers(2, 41))
def test_a_token_outside_the_vocabulary_is_named(
    folder: Path, tokens: list[int], vocab_size: int
) -> None:
    path = fresh(folder)
    write_shard(path, tokens)
    wrong = [i for i, token in enumerate(tokens) if token >= vocab_size]
    if wrong:
        says = f"token {tokens[wrong[0]]} at position {wrong[0]} "
        with pytest.raises(DataError, match=says):
            read_shard(path, vocab_size)
    else:
        assert read_shard(path, vocab_size).tolist() == tokens


def test_what_is_read_cannot_be_written(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.bin", [1, 2, 3])
    with pytest.raises(ValueError, match="read-only"):
        read_shard(tmp_path / "a.bin")[0] = 9


@pytest.mark.parametrize("tokens", [[-1], [65536], [0.5], [[1, 2]]])
def test_what_is_not_a_token_is_not_written(tmp_path: Path, tokens: list[object]) -> None:
    with pytest.raises(DataError):
        write_shard(tmp_path / "a.bin", tokens)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"mine")
    with pytest.raises(DataError, match="File exists"):
        write_shard(tmp_path / "a.bin", [1])
    assert (tmp_path / "a.bin").read_bytes() == b"mine"


def test_an_unfinished_shard_does_not_read(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "a.bin")
    writer.append(np.array([1, 2], dtype=np.uint16))
    writer._file.flush()
    with pytest.raises(DataError):
        read_shard(tmp_path / "a.bin")
    writer.close()
    assert (tmp_path / "a.bin").stat().st_size == HEADER_BYTES + 4
