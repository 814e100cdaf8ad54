"""Shards: files of tokens in the contest's format.

256 little-endian int32 of header (magic 20240520, version 1, count, the rest not read and written as 0), then
`count` little-endian uint16 tokens and nothing else. A shard is refused as a whole; nothing is guessed.

Legend: T tokens.

Source: the format of openai/parameter-golf and, before it, karpathy/llm.c (dev/data).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from harness.errors import DataError

MAGIC = 20240520
VERSION = 1
HEADER_INTS = 256
HEADER_BYTES = 4 * HEADER_INTS
MAX_VOCAB = 1 << 16
MAX_TOKENS = (1 << 31) - 1
"""The count is an int32."""

TOKEN = np.dtype("<u2")
CHECK_TOKENS = 1 << 22
"""How many tokens are looked at in one go, so that memory stays flat."""

Tokens = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One file of tokens, as dataset.json records it."""

    path: Path
    tokens: int
    sha256: str
    size_bytes: int


def header(count: int) -> bytes:
    """Return the 1024 bytes in front of `count` tokens."""
    ints = np.zeros(HEADER_INTS, dtype="<i4")
    ints[:3] = MAGIC, VERSION, count
    return ints.tobytes()


def read_shard(path: Path, vocab_size: int | None = None) -> Tokens:
    """Return the tokens of a shard, uint16[T], mapped into memory and not writable.

    With `vocab_size`, every token is compared with it. Raises DataError that names file, field and remedy
    on anything that is not exactly a shard.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
            size_bytes = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give the path of a shard") from None
    count = _count(path, head, size_bytes)
    if count == 0:
        return np.zeros(0, dtype=np.uint16)
    tokens_T = np.memmap(path, dtype=TOKEN, mode="r", offset=HEADER_BYTES, shape=(count,)).view(
        np.ndarray
    )
    if vocab_size is not None:
        check_tokens(tokens_T, vocab_size, str(path))
    return tokens_T


def _count(path: Path, head: bytes, size_bytes: int) -> int:
    """Return the number of tokens that a header states, once the file's size agrees with it."""
    if len(head) < HEADER_BYTES:
        raise DataError(
            f"{path}: header has {len(head)} of {HEADER_BYTES} bytes; the file is truncated, copy it again"
        )
    ints = np.frombuffer(head, dtype="<i4")
    magic, version, count = (int(value) for value in ints[:3])
    if magic != MAGIC:
        raise DataError(f"{path}: magic is {magic}, not {MAGIC}; this is not a shard, give one")
    if version != VERSION:
        raise DataError(
            f"{path}: version is {version}, not {VERSION} (uint16 tokens); build the shard again"
        )
    if count < 0:
        raise DataError(f"{path}: count is {count}, below 0; build the shard again")
    expected = HEADER_BYTES + count * TOKEN.itemsize
    if size_bytes < expected:
        raise DataError(
            f"{path}: count says {count} tokens, {expected} bytes, but the file has {size_bytes}; "
            "it is truncated, copy it again"
        )
    if size_bytes > expected:
        raise DataError(
            f"{path}: {size_bytes - expected} bytes follow the {count} tokens that count names; "
            "build the shard again"
        )
    return count


def check_tokens(tokens_T: Tokens, vocab_size: int, origin: str) -> None:
    """Raise DataError at the first token that is not below `vocab_size`."""
    if vocab_size >= MAX_VOCAB:
        return
    for start in range(0, len(tokens_T), CHECK_TOKENS):
        part = tokens_T[start : start + CHECK_TOKENS]
        if int(part.max()) >= vocab_size:
            at = start + int(np.argmax(part >= vocab_size))
            raise DataError(
                f"{origin}: token {int(tokens_T[at])} at position {at} is not below the vocabulary of "
                f"{vocab_size}; name the right vocabulary or build the shard again"
            )


def write_shard(path: Path, tokens_T: npt.ArrayLike) -> Shard:
    """Write tokens as one new shard and return its record.

    Raises DataError where a token does not fit uint16, the file exists, or it cannot be written.
    """
    array_T = np.asarray(tokens_T)
    if array_T.ndim != 1:
        raise DataError(f"{path}: tokens have shape {array_T.shape}; give one dimension")
    with ShardWriter(path) as writer:
        writer.append(array_T)
    return writer.shard


class ShardWriter:
    """Writes one shard piece by piece; the header's count is filled in at the end.

    Until `close` the header says nothing that a reader would accept. A context manager: leaving it without an
    error closes the shard, leaving it with one deletes it.
    """

    shard: Shard
    """The record; there after `close`."""

    def __init__(self, path: Path) -> None:
        """Create the file; it must not exist."""
        self.tokens = 0
        self._path = path
        try:
            self._file = path.open("xb")
            self._file.write(b"\0" * HEADER_BYTES)
        except OSError as error:
            raise DataError(
                f"{path}: {error.strerror}; choose a place that can be written"
            ) from None

    def append(self, tokens_T: npt.NDArray[np.generic]) -> None:
        """Write more tokens, integers in 0..65535."""
        if len(tokens_T) == 0:
            return
        if tokens_T.dtype.kind not in "ui":
            raise DataError(f"{self._path}: tokens are {tokens_T.dtype}; give whole numbers")
        low, high = int(tokens_T.min()), int(tokens_T.max())
        if low < 0 or high >= MAX_VOCAB:
            wrong = low if low < 0 else high
            raise DataError(
                f"{self._path}: token {wrong} does not fit uint16; use a vocabulary of at most {MAX_VOCAB}"
            )
        if self.tokens + len(tokens_T) > MAX_TOKENS:
            raise DataError(
                f"{self._path}: more than {MAX_TOKENS} tokens in one shard; use smaller shards"
            )
        self._write(np.ascontiguousarray(tokens_T, dtype=TOKEN).tobytes())
        self.tokens += len(tokens_T)

    def close(self) -> None:
        """Write the header, put everything on disk, and fill in `shard`."""
        self._file.seek(0)
        self._write(header(self.tokens))
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise self._unwritable(error) from None
        self.shard = Shard(
            path=self._path,
            tokens=self.tokens,
            sha256=file_sha256(self._path),
            size_bytes=HEADER_BYTES + self.tokens * TOKEN.itemsize,
        )

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(f"{self._path}: {error.strerror}; free some space or write elsewhere")

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()
            self._path.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; DataError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; make it a readable file") from None
