"""The other end of a session, scripted: a thread that answers, or misbehaves, on a real socket."""

from __future__ import annotations

import contextlib
import io
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from checks.contract import Credited
from harness.clock import Deadline
from harness.sdk import Kind, header
from harness.session import Channel, ScorerSession, credited_pass, socket_pair

HEADER = struct.Struct("<4sHHQ")
"""As docs/protocol.md describes it, written down once more."""

Script = Callable[[socket.socket], None]


def frame(kind: int, payload: bytes = b"", *, magic: bytes = b"HRN1", reserved: int = 0) -> bytes:
    return HEADER.pack(magic, kind, reserved, len(payload)) + payload


def nats_frame(values: Sequence[float]) -> bytes:
    return frame(18, np.array(values, dtype="<f8").tobytes())


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """Read that many bytes; fewer at the end of the conversation."""
    data = b""
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return data


def read_frame(sock: socket.socket) -> tuple[int, bytes] | None:
    """Read one frame of the judge's, or None at the end of the conversation."""
    head = read_exactly(sock, HEADER.size)
    if len(head) < HEADER.size:
        return None
    magic, kind, reserved, length = HEADER.unpack(head)
    assert (magic, reserved) == (b"HRN1", 0)
    return kind, read_exactly(sock, length)


def send_in_pieces(sock: socket.socket, data: bytes, cuts: Sequence[float], pause_s: float) -> None:
    places = [0, *(int(cut * len(data)) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(places):
        sock.sendall(data[start:end])
        time.sleep(pause_s)


@contextmanager
def talking_to(script: Script, *, in_s: float = 5.0) -> Iterator[Channel]:
    """Yield the judge's channel to a thread that runs `script`; a failure there is raised here."""
    ours, theirs = socket_pair()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with theirs, contextlib.suppress(ConnectionError):
                script(theirs)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        channel = Channel(ours)
        channel.deadline = Deadline(in_s)
        yield channel
    finally:
        ours.close()
        thread.join(timeout=10.0)
    assert not thread.is_alive(), "the peer is stuck"
    if failures:
        raise failures[0]


def session(channel: Channel, block_tokens: int, vocab_size: int = 16) -> ScorerSession:
    return ScorerSession(channel, vocab_size=vocab_size, block_tokens=block_tokens)


class Honest:
    """Answers `score` with given nats by stream position, and keeps what it was sent, in order."""

    def __init__(self, nats_N: Sequence[float]) -> None:
        self._nats_N = list(nats_N)
        self.heard: list[tuple[Kind, tuple[int, ...]]] = []
        self.early: list[int] = []
        """Positions of blocks that arrived before the answer to the block before them was out."""

    def __call__(self, sock: socket.socket) -> None:
        at = 0
        while (got := read_frame(sock)) is not None:
            kind, tokens_n = Kind(got[0]), np.frombuffer(got[1], dtype="<u4")
            self.heard.append((kind, tuple(tokens_n.tolist())))
            if kind is Kind.SCORE:
                # Nothing of the next block may be under way while this one is unanswered.
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    if sock.recv(1, socket.MSG_PEEK):
                        self.early.append(at)
                sock.setblocking(True)
                sock.sendall(nats_frame(self._nats_N[at : at + len(tokens_n)]))
            elif kind is Kind.ACCEPT:
                at += len(tokens_n)
                sock.sendall(header(Kind.DONE, 0))
            elif kind is Kind.CLOSE:
                return


def pass_over(
    stream_N: np.ndarray, block_tokens: int, script: Script, *, in_s: float = 5.0
) -> tuple[Credited, bytes, list[tuple[int, float]]]:
    """Run the credited pass against a peer; return (record, bytes on disk, progress calls)."""
    sink, calls = io.BytesIO(), []
    with talking_to(script, in_s=in_s) as channel:
        record = credited_pass(
            session(channel, block_tokens),
            stream_N,
            block_tokens,
            sink,
            lambda done, nats: calls.append((done, nats)),
        )
    return record, sink.getvalue(), calls
