"""Decoders and decompressors that never make more than they are allowed: the table that `literal` calls.

Each takes what the function of that name in the standard library takes. A decompressor is asked for a limited
length at a time and stopped at MAX_VALUE; lzma may take another LZMA_MEMORY for its dictionary.

Does not catch: formats that are not in the table (zstandard, a decoder of the script's own).
"""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import lzma
import zlib
from collections.abc import Callable
from typing import Any

MAX_VALUE = 16_000_000
"""Bytes of any one value."""
LZMA_MEMORY = 100_000_000
"""A dictionary of 64 MiB is what lzma's preset 9 asks for."""
_DICTIONARY = 1 << 24
_STREAMS = 10_000


class Unknown(Exception):
    """The expression is not made of literals, or is beyond a bound; the text says which, in a few words."""


def recoded(owner: str | bytes, encoding: str, errors: str) -> str | bytes:
    """Encode a text or decode bytes, in one of a few codings; Unknown for any other."""
    try:
        name = codecs.lookup(encoding).name
        if name not in _CODINGS:
            raise Unknown(f"the coding {encoding[:40]}")
        if errors not in ("strict", "ignore", "replace"):
            raise Unknown("an error handler")
        return owner.encode(name, errors) if isinstance(owner, str) else owner.decode(name, errors)
    except (LookupError, UnicodeError) as error:
        raise Unknown(f"not {encoding[:40]}: {type(error).__name__}") from None


_CODINGS = frozenset(
    {"utf-8", "ascii", "iso8859-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"}
)


def _octets(data: Any) -> bytes:
    if isinstance(data, str):
        return data.encode("ascii")
    if not isinstance(data, bytes):
        raise Unknown("neither text nor bytes")
    return data


def _bounded(make: Callable[[], Any], data: bytes) -> bytes:
    """Decompress all streams in `data`, one after the other, up to MAX_VALUE and not a byte beyond."""
    if not data:
        raise Unknown("nothing to decompress")
    pieces: list[bytes] = []
    size = 0
    while data:
        stream = make()
        while True:
            piece = stream.decompress(data, MAX_VALUE + 1 - size)
            pieces.append(piece)
            size += len(piece)
            if size > MAX_VALUE:
                raise Unknown(f"more than {MAX_VALUE:,} bytes come out")
            # zlib hands back what it did not look at; lzma and bz2 keep it.
            data = getattr(stream, "unconsumed_tail", b"")
            if stream.eof:
                data = stream.unused_data
                break
            if not piece and not data:
                raise Unknown("a stream that is cut off")
        if len(pieces) > _STREAMS or not _continues(stream, data):
            break
    return b"".join(pieces)


def _continues(stream: Any, rest: bytes) -> bool:
    """Return whether another stream follows, as gzip, bz2 and lzma allow; zlib and junk end it."""
    if isinstance(stream, lzma.LZMADecompressor):
        return rest.startswith(b"\xfd7zXZ\x00")
    if isinstance(stream, bz2.BZ2Decompressor):
        return rest.startswith(b"BZh")
    return rest.startswith(b"\x1f\x8b")


def _zlib(data: Any, wbits: Any = zlib.MAX_WBITS, bufsize: Any = 0) -> bytes:
    """Decompress zlib; `bufsize` changes nothing."""
    return _bounded(lambda: zlib.decompressobj(wbits), _octets(data))


def _gzip(data: Any) -> bytes:
    return _bounded(lambda: zlib.decompressobj(31), _octets(data))


def _bz2(data: Any) -> bytes:
    return _bounded(bz2.BZ2Decompressor, _octets(data))


def _lzma(
    data: Any, format: Any = lzma.FORMAT_AUTO, memlimit: Any = None, filters: Any = None
) -> bytes:
    """Decompress lzma with a memory limit of our own; `memlimit` changes nothing."""
    if format != lzma.FORMAT_RAW:
        return _bounded(lambda: lzma.LZMADecompressor(format, LZMA_MEMORY), _octets(data))
    chain = [dict(entry) for entry in filters]
    for entry in chain:
        # Nothing further back than the longest output is ever needed, whatever the script asks for.
        if entry.get("id") in (lzma.FILTER_LZMA1, lzma.FILTER_LZMA2):
            entry["dict_size"] = _DICTIONARY
    return _bounded(lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain), _octets(data))


def _brotli(data: Any) -> bytes:
    """Decompress brotli, if it is installed and can be bounded."""
    try:
        import brotli  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise Unknown("brotli is not installed") from None
    stream = brotli.Decompressor()
    pieces = [stream.process(_octets(data), output_buffer_limit=1 << 20)]
    size = len(pieces[0])
    while not stream.is_finished():
        piece = stream.process(b"", output_buffer_limit=1 << 20)
        size += len(piece)
        if size > MAX_VALUE:
            raise Unknown(f"more than {MAX_VALUE:,} bytes come out")
        if not piece:
            raise Unknown("a stream that is cut off")
        pieces.append(piece)
    return b"".join(pieces)


def _bytes(data: Any = b"", encoding: Any = "utf-8", errors: Any = "strict") -> bytes:
    if isinstance(data, str):
        coded = recoded(data, str(encoding)[:40], str(errors)[:20])
        return coded if isinstance(coded, bytes) else b""
    if isinstance(data, list):
        return bytes(data)
    return _octets(data)


def _str(data: Any = "", encoding: Any = None, errors: Any = "strict") -> str:
    if isinstance(data, bytes) and encoding is not None:
        return str(recoded(data, str(encoding)[:40], str(errors)[:20]))
    if isinstance(data, str):
        return data
    raise Unknown("a call of str")


def _codec(data: Any, encoding: Any = "utf-8", errors: Any = "strict") -> str | bytes:
    name = str(encoding).lower().replace("-", "_").removesuffix("_codec")
    if name in _BYTE_CODECS:
        return _BYTE_CODECS[name](data)
    if name in ("rot13", "rot_13"):
        return _rot13(data)
    if not isinstance(data, str | bytes):
        raise Unknown("neither text nor bytes")
    return recoded(data, str(encoding)[:40], str(errors)[:20])


def _rot13(data: Any, encoding: Any = "rot13") -> str:
    if not isinstance(data, str) or encoding not in ("rot13", "rot_13"):
        raise Unknown("a codec")
    return codecs.encode(data, "rot13")


def _same(data: Any, *_: Any, **__: Any) -> Any:
    """Return the first argument: what compile, memoryview and io.BytesIO are given."""
    return data


_BYTE_CODECS: dict[str, Callable[[Any], bytes]] = {
    "hex": lambda data: binascii.unhexlify(_octets(data)),
    "base64": lambda data: binascii.a2b_base64(_octets(data)),
    "base_64": lambda data: binascii.a2b_base64(_octets(data)),
    "zlib": _zlib,
    "zip": _zlib,
    "bz2": _bz2,
}

DECOMPRESS: dict[str, Callable[..., Any]] = {
    "zlib.decompress": _zlib,
    "gzip.decompress": _gzip,
    "bz2.decompress": _bz2,
    "lzma.decompress": _lzma,
    "brotli.decompress": _brotli,
}

OBJECTS = {
    "zlib.decompressobj": "zlib.decompress",
    "bz2.BZ2Decompressor": "bz2.decompress",
    "lzma.LZMADecompressor": "lzma.decompress",
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **DECOMPRESS,
    **{
        f"base64.{name}": getattr(base64, name)
        for name in "b64decode b32decode b16decode b85decode a85decode standard_b64decode "
        "urlsafe_b64decode decodebytes b32hexdecode".split()
    },
    "binascii.a2b_base64": binascii.a2b_base64,
    "binascii.unhexlify": binascii.unhexlify,
    "binascii.a2b_hex": binascii.unhexlify,
    "bytes.fromhex": bytes.fromhex,
    "bytearray.fromhex": bytes.fromhex,
    "codecs.decode": _codec,
    "codecs.encode": _rot13,
    "compile": _same,
    "builtins.compile": _same,
    "bytes": _bytes,
    "bytearray": _bytes,
    "memoryview": _bytes,
    "str": _str,
}
PLAIN = frozenset({"compile", "builtins.compile", "bytes", "bytearray", "memoryview", "str"})
