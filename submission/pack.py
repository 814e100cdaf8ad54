"""Arrays and their description to one compressed blob, and back, bit for bit.

Layout, little-endian: magic "SPK1"; BLAKE2b-64 of what follows; Brotli of (u32 header length, JSON header,
arrays one after another, each byte-shuffled). The header holds free `meta` and, for each array in order,
name, dtype and shape. Nothing in it is ever executed or unpickled.

Does not spread the compressor over processes, nor guard the size.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import brotli
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
MAGIC = b"SPK1"
DIGEST_BYTES = 8
DTYPES = frozenset({"|i1", "|u1", "<i2", "<u2", "<i4", "<f2", "<f4", "<f8"})
_LENGTH = struct.Struct("<I")


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


def pack(arrays: Mapping[str, Array], meta: Mapping[str, Any], quality: int = 11) -> bytes:
    """Return the blob of `arrays`, in their order, and JSON-able `meta`.

    Arrays are stored little-endian. Raises ValueError for a dtype that is not in DTYPES.
    """
    little = {name: np.asarray(array) for name, array in arrays.items()}
    little = {
        name: array.astype(array.dtype.newbyteorder("<"), copy=False)
        for name, array in little.items()
    }
    for name, array in little.items():
        if array.dtype.str not in DTYPES:
            raise ValueError(f"array {name!r} has dtype {array.dtype}; use one of {sorted(DTYPES)}")
    entries = [
        {"name": name, "dtype": array.dtype.str, "shape": array.shape}
        for name, array in little.items()
    ]
    head = json.dumps({"meta": meta, "arrays": entries}, allow_nan=False).encode()
    body = b"".join([_LENGTH.pack(len(head)), head, *map(shuffle, little.values())])
    packed = brotli.compress(body, quality=quality, lgwin=24)
    return MAGIC + _digest(packed) + packed


def unpack(blob: bytes) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and the meta of a blob.

    Raises CorruptBlobError if a byte of it is not as `pack` wrote it.
    """
    start = len(MAGIC) + DIGEST_BYTES
    if blob[: len(MAGIC)] != MAGIC:
        raise CorruptBlobError("not a packed blob: it does not begin with SPK1; export again")
    packed = blob[start:]
    if blob[len(MAGIC) : start] != _digest(packed):
        raise CorruptBlobError(
            "the blob's digest does not match: truncated or altered; export again"
        )
    try:
        body = brotli.decompress(packed)
        (size,) = _LENGTH.unpack_from(body)
        head = json.loads(body[_LENGTH.size : _LENGTH.size + size])
        return _arrays(body, _LENGTH.size + size, head["arrays"]), head["meta"]
    except (brotli.error, struct.error, ValueError, KeyError, TypeError) as error:
        raise CorruptBlobError(f"the blob does not hold what its header says: {error}") from None


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
        arrays[name] = unshuffle(data, dtype, shape)
        offset += size
    if offset != len(body):
        raise ValueError(f"{len(body) - offset} bytes are left over")
    return arrays


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
