"""What the judge says, as a submission reads it: served to the end, or ProtocolError."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path

import numpy as np

from harness.sdk import Connection, ProtocolError
from tests.fuzz import wire
from tests.fuzz.targets import MAX_BYTES

WORDS = (
    *wire.WORDS,
    *(b'"protocol":1', b'"phase":"train"', b'"shards":', b'"files":', b'"out":', b'"train_s":'),
)
TRAIN_FILES = 2
VOCAB_SIZE = 4


class Echo:
    """Answers anything, and keeps what it was told."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return np.zeros(len(block_T))

    def accept(self, block_T: np.ndarray) -> None:
        self.heard += block_T.tolist()

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return np.zeros(VOCAB_SIZE)


class Remembering(Connection):
    """Keeps the descriptors that it got, so that they can be closed whatever comes of them."""

    def _read_with_descriptors(self) -> tuple[bytes, list[int]]:
        head, self.descriptors = super()._read_with_descriptors()
        return head, self.descriptors


def one(data: bytes) -> bool:
    data = data[:MAX_BYTES]
    with wire.pair() as (theirs, judge):
        _say(judge, data)
        try:
            connection = Remembering(theirs)
        except ProtocolError:
            return False
        try:
            return _answered(connection, data)
        finally:
            for descriptor in getattr(connection, "descriptors", ()):
                os.close(descriptor)


def _say(judge: socket.socket, data: bytes) -> None:
    """Send everything, with descriptors on what follows the first frame."""
    first = wire.frame(data)
    edge = len(data) if first is None else wire.HEADER.size + len(first[1])
    judge.sendall(data[:edge])
    if rest := data[edge:]:
        with Path(os.devnull).open("rb") as null:
            socket.send_fds(judge, [rest], [null.fileno()] * TRAIN_FILES)
    judge.shutdown(socket.SHUT_WR)


def _answered(connection: Remembering, data: bytes) -> bool:
    if connection.opening.phase == "train":
        with contextlib.suppress(ProtocolError):
            training = connection.ready()
            assert len(training.shards) + (training.tokenizer is not None) <= TRAIN_FILES
            return True
        return False
    scorer = Echo()
    try:
        connection.serve(scorer)
    except ProtocolError:
        return False
    finally:
        assert scorer.heard == _accepted(data)
    return True


def _accepted(data: bytes) -> list[int]:
    """Return the tokens that became history, read the slow way."""
    tokens: list[int] = []
    data = data[wire.HEADER.size + len(wire.frame(data)[1]) :]
    while (got := wire.frame(data)) is not None:
        kind, payload = got
        if kind not in (3, 4, 5) or len(payload) % 4:
            break
        if kind == 4:
            tokens += struct.unpack(f"<{len(payload) // 4}I", payload)
        data = data[wire.HEADER.size + len(payload) :]
    return tokens
