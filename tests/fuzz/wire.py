"""Frames as docs/protocol.md describes them, and a socket that somebody has already written to."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from harness.session import socket_pair

HEADER = struct.Struct("<4sHHQ")
WORDS = (
    *(HEADER.pack(b"HRN1", kind, 0, 0) for kind in (6, 17, 19)),
    *(HEADER.pack(b"HRN1", kind, 0, size) for kind, size in ((18, 24), (18, 8), (20, 20))),
    *(HEADER.pack(b"HRN1", kind, 0, 8) for kind in (3, 4, 5)),
    *(struct.pack("<d", value) for value in (1.5, float("nan"), float("inf"), -0.0, 1e9)),
    *(struct.pack("<f", value) for value in (-1.5, float("nan"), float("-inf"), 1e-3)),
    struct.pack("<Q", 1 << 40),
    struct.pack("<Q", (1 << 64) - 1),
)


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield both ends; the one who reads gets the end of the conversation, never a wait."""
    ours, theirs = socket_pair()
    with ours, theirs:
        yield ours, theirs


def frame(data: bytes) -> tuple[int, bytes] | None:
    """Return (kind, payload) of the frame that `data` begins with, or None where there is none."""
    if len(data) < HEADER.size:
        return None
    magic, kind, reserved, length = HEADER.unpack_from(data)
    if magic != b"HRN1" or reserved or len(data) < HEADER.size + length:
        return None
    return kind, data[HEADER.size : HEADER.size + length]
