"""The submission's side of the judge's protocol 1: one file, standard library and numpy alone.

A scorer is a class with three methods, handed to `serve`:

    class Mine:
        def __init__(self, opening): ...          # load the artifact; nothing of the text is known yet
        def score(self, block_T): ...             # -> nats_T: -ln p of each token given all before it
        def accept(self, block_T): ...            # the block is history now
        def predict(self, prefix_M): ...          # -> logprobs_V of the token after history + prefix

    if __name__ == "__main__":
        sdk.serve(Mine)

`score` and `predict` must leave the state as it was: only `accept` makes history. `predict` may be left out
if the manifest says so. A trainer calls `connect()`, prepares whatever needs no data, and then `ready()`,
which returns the train tokens and starts the train clock. Where what it returned says `fresh`, the judge only
tries things out (`harness check`): leave an artifact of untrained weights at once.

The judge speaks over one Unix stream socket, inherited as standard input. `connect` moves it to a private
descriptor and puts /dev/null on descriptor 0, so that no child process can hold it by accident. Under
torchrun only rank 0 may call `connect`; it shares what it learns.

Shapes: T tokens of a block, M tokens of a prefix, V vocabulary. Frames are described byte by byte in
docs/protocol.md. This file does not check what a scorer answers: the judge does, and names the position.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

PROTOCOL = 1
MAGIC = b"HRN1"
HEADER = struct.Struct("<4sHHQ")
"""Magic, kind, reserved (0), payload length in bytes."""
MAX_JSON_BYTES = 1 << 16
MAX_FILES = 250
"""Descriptors in one `data` frame; Linux passes at most 253 in one message."""
_MAX_PAYLOAD_BYTES = 4 << 24
"""No frame from the judge is longer: a block has at most 1 << 24 tokens, four bytes each."""

TOKEN = np.dtype("<u4")
NATS = np.dtype("<f8")
LOGPROB = np.dtype("<f4")


class Kind(IntEnum):
    """Frame kinds; those from the judge are below 16."""

    OPEN = 1
    DATA = 2
    SCORE = 3
    ACCEPT = 4
    PREDICT = 5
    CLOSE = 6
    READY = 17
    NATS = 18
    DONE = 19
    LOGPROBS = 20


def header(kind: Kind, length: int) -> bytes:
    """Return the 16-byte header of a frame."""
    return HEADER.pack(MAGIC, kind, 0, length)


class ProtocolError(Exception):
    """The judge's side broke off, or this process was not started by the judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What the judge says before anything else; no token of the data is in it."""

    phase: str
    """"train" or "score". The challenge process is told "score" as well."""
    vocab_size: int
    block_tokens: int
    tokens: int
    """Length of the stream to come; 0 in the train phase."""
    seed: int
    """The run's seed in the train phase; 0 when scoring."""


@dataclass(frozen=True, slots=True)
class TrainFile:
    """A read-only file that the judge handed over as a descriptor."""

    name: str
    descriptor: int
    size_bytes: int

    def read(self) -> bytes:
        """Return the whole content."""
        parts, at = [], 0
        while at < self.size_bytes and (
            part := os.pread(self.descriptor, self.size_bytes - at, at)
        ):
            parts.append(part)  # one call gives at most 2 GiB
            at += len(part)
        return b"".join(parts)

    def tokens(self) -> npt.NDArray[np.uint16]:
        """Return the tokens of a shard, uint16, memory-mapped read-only.

        Shards carry 256 little-endian int32 of header (magic 20240520, version 1, count) before the tokens.
        """
        mapped = mmap.mmap(self.descriptor, self.size_bytes, prot=mmap.PROT_READ)
        count = int(np.frombuffer(mapped, dtype="<i4", count=3)[2])
        return np.frombuffer(mapped, dtype="<u2", count=count, offset=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What `ready` returns: the data, and how long there is to use it."""

    shards: tuple[TrainFile, ...]
    tokenizer: TrainFile | None
    """The tokenizer's model, where the data set has one."""
    out: Path
    """Leave the files that the manifest declares here, inside the budget."""
    seed: int
    train_s: float
    """Budget in seconds, from the moment `ready` was received."""
    deadline_s: float
    """The same instant on CLOCK_MONOTONIC (time.monotonic()); every process is killed then."""
    cap_bytes: int
    """What the sealed artifact may have in all: code, manifest and outputs together."""
    fresh: bool = False
    """Whether an untrained artifact is asked for (`harness check`): make no steps, export straight away."""


class Scorer(Protocol):
    """What `serve` needs; see the module's first lines. `predict` is looked up and may be absent."""

    def score(self, block_T: npt.NDArray[np.uint32], /) -> npt.ArrayLike:
        """Return -ln p of each token, given the history and the tokens before it in the block."""
        ...

    def accept(self, block_T: npt.NDArray[np.uint32], /) -> None:
        """Make the block part of the history."""
        ...


class Connection:
    """The socket to the judge, and what it said first."""

    def __init__(self, sock: socket.socket) -> None:
        """Read `open` from a connected stream socket."""
        self._sock = sock
        kind, payload = self._read()
        if kind is not Kind.OPEN:
            raise ProtocolError(f"expected `open` from the judge, got {kind.name}")
        with _reading(kind):
            facts = json.loads(payload.tobytes())
            if facts["protocol"] != PROTOCOL:
                raise ProtocolError(
                    f"the judge speaks protocol {facts['protocol']}, this file {PROTOCOL}"
                )
            self.opening = Opening(**{name: facts[name] for name in Opening.__slots__})

    def ready(self) -> Training:
        """Say `ready` and wait for the train data: the train clock starts when it is handed over."""
        self._write(Kind.READY)
        head, descriptors = self._read_with_descriptors()
        kind, length = _unpack(head)
        if kind is not Kind.DATA:
            raise ProtocolError(f"expected `data` from the judge, got {kind.name}")
        payload = self._exactly(length)
        with _reading(kind):
            facts = json.loads(payload.tobytes())
            files = [
                TrainFile(entry["name"], descriptor, entry["size_bytes"])
                for entry, descriptor in zip(facts["files"], descriptors, strict=True)
            ]
            split = facts["shards"]
            return Training(
                shards=tuple(files[:split]),
                tokenizer=files[split] if len(files) > split else None,
                out=Path(facts["out"]),
                seed=self.opening.seed,
                train_s=facts["train_s"],
                deadline_s=facts["deadline_s"],
                cap_bytes=facts["cap_bytes"],
                fresh=bool(facts.get("fresh", False)),
            )

    def serve(self, scorer: Scorer) -> None:
        """Say `ready`, then answer until the judge closes."""
        predict: Callable[[npt.NDArray[np.uint32]], npt.ArrayLike] | None
        predict = getattr(scorer, "predict", None)
        self._write(Kind.READY)
        while True:
            kind, payload = self._read()
            if kind is Kind.SCORE:
                nats_T = np.ascontiguousarray(scorer.score(_tokens(payload)), dtype=NATS)
                self._write(Kind.NATS, nats_T)
            elif kind is Kind.ACCEPT:
                scorer.accept(_tokens(payload))
                self._write(Kind.DONE)
            elif kind is Kind.PREDICT and predict is not None:
                logprobs_V = np.ascontiguousarray(predict(_tokens(payload)), dtype=LOGPROB)
                self._write(Kind.LOGPROBS, logprobs_V)
            elif kind is Kind.CLOSE:
                return
            else:
                raise ProtocolError(
                    f"the judge sent {kind.name}, which this process does not answer"
                )

    def _write(self, kind: Kind, array: npt.NDArray[Any] | None = None) -> None:
        self._sock.sendall(header(kind, 0 if array is None else array.nbytes))
        if array is not None:
            self._sock.sendall(array.data.cast("B"))

    def _read(self) -> tuple[Kind, npt.NDArray[np.uint8]]:
        kind, length = _unpack(self._exactly(HEADER.size).tobytes())
        # A fresh array each time: a scorer may keep what it was given.
        return kind, self._exactly(length)

    def _read_with_descriptors(self) -> tuple[bytes, list[int]]:
        head, descriptors, _, _ = socket.recv_fds(self._sock, HEADER.size, MAX_FILES)
        if len(head) < HEADER.size:
            head += self._exactly(HEADER.size - len(head)).tobytes()
        return head, list(descriptors)

    def _exactly(self, size: int) -> npt.NDArray[np.uint8]:
        buffer = np.empty(size, dtype=np.uint8)
        view = buffer.data
        while view:
            count = self._sock.recv_into(view, len(view), socket.MSG_WAITALL)
            if count == 0:
                raise ProtocolError("the judge closed the connection")
            view = view[count:]
        return buffer


def _unpack(head: bytes) -> tuple[Kind, int]:
    magic, kind, reserved, length = HEADER.unpack(head)
    if magic != MAGIC or reserved:
        raise ProtocolError("this is not the judge's protocol")
    if kind not in list(Kind) or length > _MAX_PAYLOAD_BYTES:
        raise ProtocolError(f"the judge sends no frame of kind {kind} and {length} bytes")
    return Kind(kind), length


def _tokens(payload: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    if payload.nbytes % TOKEN.itemsize:
        raise ProtocolError(f"{payload.nbytes} bytes from the judge are no tokens")
    return payload.view(TOKEN)


@contextmanager
def _reading(kind: Kind) -> Iterator[None]:
    """Say so where the JSON of a frame is not what the protocol describes."""
    try:
        yield
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(
            f"`{kind.name.lower()}` from the judge cannot be read: {error!r}"
        ) from None


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:  # closed
        return False


def connect() -> Connection:
    """Take the judge's socket from standard input and read its opening.

    Raises ProtocolError where standard input is not that socket: a scorer or trainer that is started by
    hand has nobody to talk to.
    """
    if not _is_socket(0):
        raise ProtocolError(
            "standard input is not the judge's socket; start this with `harness run`"
        )
    private = os.dup(0)  # close-on-exec, unlike descriptor 0
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    return Connection(socket.socket(fileno=private))


def serve(make_scorer: Callable[[Opening], Scorer]) -> None:
    """Connect, build the scorer from the opening, and answer the judge until it closes.

    `make_scorer` runs inside the load phase. When the judge goes away, the process ends with status 0:
    there is nobody left to tell.
    """
    connection = connect()
    try:
        connection.serve(make_scorer(connection.opening))
    except (ConnectionError, ProtocolError) as gone:
        print(f"harness.sdk: {gone}", file=sys.stderr)
