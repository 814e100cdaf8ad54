"""Arrays and their description to one compressed blob, and back, bit for bit, on all cores.

Layout, little-endian: magic "SPK2"; BLAKE2b-64 of what follows; u32 bytes of the body; u32 bytes of a
chunk; a u32 for each chunk, its compressed bytes; the chunks, each a Brotli stream of its own. The body, cut
into chunks of that size (the last may be shorter), is a u32 header length, a JSON header and the arrays one
after another, each byte-shuffled. The header holds free `meta` and, for each array in order, name, dtype,
shape and whether its matrices are laid down by columns. Nothing in it is ever executed or unpickled.

Does not guard the size (sizing.py), nor protect against anybody: the digest finds accidents, not malice.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import brotli
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
MAGIC = b"SPK2"
DIGEST_BYTES = 8
DTYPES = frozenset({"|i1", "|u1", "<i2", "<u2", "<i4", "<f2", "<f4", "<f8"})
CHUNK_BYTES = 1 << 20
"""Of the body in one Brotli stream. Smaller chunks are a little faster but larger in all: 512 KiB 0.02 %,
256 KiB 0.1 %. Cutting itself costs nothing measurable: an 8 MiB stream in one piece is no smaller."""
SAMPLE_BYTES = 1 << 20
"""Codes of each array on which its order is tried out."""
LARGEST_BODY_BYTES = (1 << 32) - 1
_NONSENSE = (brotli.error, struct.error, ValueError, TypeError, LookupError, RecursionError)
"""What Brotli, struct, json and numpy raise on it. A MemoryError would be the machine's."""
_LENGTH = struct.Struct("<I")
_SIZES = struct.Struct("<II")


class CorruptBlobError(ValueError):
    """The bytes are not what `pack` wrote."""


def shuffle(array: Array) -> bytes:
    """Return the array's bytes, first bytes of all elements first, then second bytes, and so on.

    Neighbouring elements resemble each other most in their high bytes. Source: the shuffle filter of HDF5.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    return np.ascontiguousarray(flat.view(np.uint8).reshape(-1, array.itemsize).T).tobytes()


def unshuffle(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Return the array that `shuffle` turned into `data`."""
    planes = np.frombuffer(data, dtype=np.uint8).reshape(dtype.itemsize, -1)
    return np.ascontiguousarray(planes.T).reshape(-1).view(dtype).reshape(shape)


def pack(
    arrays: Mapping[str, Array],
    meta: Mapping[str, Any],
    quality: int = 11,
    *,
    workers: int | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> bytes:
    """Return the blob of `arrays`, in their order, and JSON-able `meta`.

    Arrays are stored little-endian. `quality` is Brotli's, 0..11. `workers` threads, by default one for each
    core that this process may use; the bytes do not depend on how many. `chunk_bytes` is 1..2^32 - 1.
    Raises ValueError for a dtype that is not in DTYPES, and where all arrays together reach 4 GiB.
    """
    little = {name: _little(name, np.asarray(array)) for name, array in arrays.items()}
    with _threads(workers) as pool:
        by_columns = list(pool.map(_better_by_columns, little.values()))
        body = memoryview(_body(little, by_columns, meta))
        if len(body) > LARGEST_BODY_BYTES:
            raise ValueError(f"{len(body):,} bytes are too many for one blob: 4 GiB is the limit")
        pieces = (body[first : first + chunk_bytes] for first in range(0, len(body), chunk_bytes))
        chunks = list(pool.map(lambda piece: _deflate(piece, quality), pieces))
    lengths = b"".join(_LENGTH.pack(len(chunk)) for chunk in chunks)
    rest = b"".join([_SIZES.pack(len(body), chunk_bytes), lengths, *chunks])
    return MAGIC + _digest(rest) + rest


def unpack(blob: bytes, *, workers: int | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and the meta of a blob.

    `workers` as in `pack`. Memory is taken as chunks are decompressed, never on the word of a header, and no
    chunk may grow beyond the size stated for it.
    Raises CorruptBlobError if a byte of it is not as `pack` wrote it.
    """
    start = len(MAGIC) + DIGEST_BYTES
    if blob[: len(MAGIC)] != MAGIC:
        raise CorruptBlobError("not a packed blob: it does not begin with SPK2; export again")
    rest = memoryview(blob)[start:]
    if blob[len(MAGIC) : start] != _digest(rest):
        raise CorruptBlobError(
            "the blob's digest does not match: truncated or altered; export again"
        )
    try:
        with _threads(workers) as pool:
            body = _inflate_all(rest, pool)
        (size,) = _LENGTH.unpack_from(body)
        head = json.loads(body[_LENGTH.size : _LENGTH.size + size])
        return _arrays(body, _LENGTH.size + size, head["arrays"]), head["meta"]
    except _NONSENSE as error:
        raise CorruptBlobError(
            f"the blob does not hold what its header says: {error}; export again"
        ) from None


def _threads(workers: int | None) -> ThreadPoolExecutor:
    # Threads, not processes: Brotli lets go of the interpreter's lock while it works.
    return ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)))


def _little(name: str, array: Array) -> Array:
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if array.dtype.str not in DTYPES:
        raise ValueError(f"array {name!r} has dtype {array.dtype}; use one of {sorted(DTYPES)}")
    return array


def _better_by_columns(array: Array) -> bool:
    """Return whether a sample of these codes gets smaller with each matrix's columns one after another.

    Brotli gives every stretch of a few hundred bytes its own code lengths, which pays where a stretch has one
    scale. In trained weights it is the hidden units that differ: the rows of `up`, the columns of `down`, of
    which the order saves 4 %. Quality 5 chose as quality 11 did wherever that gained more than 0.2 %.
    """
    if array.dtype != np.int8 or array.ndim < 2 or not array.size:
        return False
    matrices = array.reshape(-1, *array.shape[-2:])
    sample = matrices[: max(1, SAMPLE_BYTES // matrices[0].size)]
    by_rows, by_columns = (
        len(brotli.compress(order.tobytes(), quality=5)) for order in (sample, _turned(sample))
    )
    return by_columns < by_rows


def _turned(array: Array) -> Array:
    return np.ascontiguousarray(np.swapaxes(array, -1, -2))


def _body(arrays: Mapping[str, Array], by_columns: list[bool], meta: Mapping[str, Any]) -> bytes:
    entries = [
        {"name": name, "dtype": array.dtype.str, "shape": array.shape, "by_columns": turn}
        for (name, array), turn in zip(arrays.items(), by_columns, strict=True)
    ]
    head = json.dumps({"meta": meta, "arrays": entries}, allow_nan=False).encode()
    laid = [
        shuffle(_turned(array) if turn else array)
        for array, turn in zip(arrays.values(), by_columns, strict=True)
    ]
    return b"".join([_LENGTH.pack(len(head)), head, *laid])


def _deflate(piece: memoryview, quality: int) -> bytes:
    # A window and a block as long as a chunk: together 0.01-0.02 % smaller than Brotli's own choice, and no
    # slower. The modes for text and fonts make no difference; quality 10 takes two thirds of the time but is
    # 0.1-0.3 % larger.
    return brotli.compress(piece, quality=quality, lgwin=20, lgblock=20)


def _inflate_all(rest: memoryview, pool: Executor) -> bytes:
    body_bytes, chunk_bytes = _SIZES.unpack_from(rest)
    if not chunk_bytes:
        raise ValueError("its chunks have 0 bytes")
    count = -(-body_bytes // chunk_bytes)
    start = _SIZES.size + _LENGTH.size * count
    if start > len(rest):
        raise ValueError(f"it states {count:,} chunks in {len(rest):,} bytes")
    lengths = np.frombuffer(rest, dtype="<u4", count=count, offset=_SIZES.size)
    ends = np.cumsum(np.concatenate([[start], lengths]), dtype=np.int64).tolist()
    if ends[-1] != len(rest):
        raise ValueError(f"its chunks end at {ends[-1]:,} of {len(rest):,} bytes")
    chunks = (rest[first:end] for first, end in pairwise(ends))
    sizes = (min(chunk_bytes, body_bytes - first) for first in range(0, body_bytes, chunk_bytes))
    return b"".join(pool.map(_inflate, chunks, sizes))


def _inflate(chunk: memoryview, size: int) -> bytes:
    decoder = brotli.Decompressor()
    # One byte more than is stated is enough to see that there is too much.
    data = decoder.process(chunk, output_buffer_limit=size + 1)
    if len(data) != size or not decoder.is_finished():
        raise ValueError(f"a chunk of {size:,} bytes holds fewer or more")
    return data


def _arrays(body: bytes, offset: int, entries: list[dict[str, Any]]) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for entry in entries:
        name, dtype_name, shape = entry["name"], entry["dtype"], tuple(entry["shape"])
        if dtype_name not in DTYPES or any(type(n) is not int or n < 0 for n in shape):
            raise ValueError(f"array {name!r} has dtype {dtype_name!r} and shape {shape}")
        dtype = np.dtype(dtype_name)
        size = math.prod(shape) * dtype.itemsize
        data = body[offset : offset + size]
        if len(data) != size:
            raise ValueError(f"array {name!r} ends after {len(data)} of {size} bytes")
        arrays[name] = _array(data, dtype, shape, entry["by_columns"])
        offset += size
    if offset != len(body):
        raise ValueError(f"{len(body) - offset} bytes are left over")
    return arrays


def _array(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], by_columns: bool) -> Array:
    if by_columns:
        *stack, rows, columns = shape
        return _turned(unshuffle(data, dtype, (*stack, columns, rows)))
    return unshuffle(data, dtype, shape)


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
