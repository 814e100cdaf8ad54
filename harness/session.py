"""The judge's side of a session: frames to one process, answers checked on arrival.

Everything that comes back is untrusted. An answer of the wrong kind, length or value raises ProtocolBreach,
which names the frame and the position; a process that is silent raises OutOfTime at the deadline. Neither
ever hangs or ends the judge.

Array names: n tokens of a block, V vocabulary.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from checks.contract import Breach, Credited
from harness import sdk
from harness.clock import Deadline
from harness.sdk import Kind

Tokens = npt.NDArray[np.uint32]
Nats = npt.NDArray[np.float64]

BUFFER_BYTES = 4 << 20
"""Asked of the kernel for each direction, so that a block crosses in few wake-ups."""
TICK_S = 0.1
"""How often a blocked read or write looks at the deadline."""
MAX_NATS = 1e9
"""Most nats for one token: far beyond any probability that a float can hold, and sums stay finite."""


class ProtocolBreach(Exception):
    """The other process broke the protocol; `breach` is the evidence."""

    def __init__(self, breach: Breach) -> None:
        super().__init__(breach.message)
        self.breach = breach


class OutOfTime(Exception):
    """The deadline passed while the judge waited for the other process."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return (the judge's end, the submission's end) of a stream socket, with large buffers."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in (ours, theirs):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    return ours, theirs


class Channel:
    """Frames over the judge's end of the socket, each read and write under a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.setblocking(True)
        seconds = int(TICK_S)
        tick = struct.pack("ll", seconds, int((TICK_S - seconds) * 1e6))
        # Kernel timeouts on a blocking socket: MSG_WAITALL then gathers a whole answer in one call, which
        # Python's own timeouts (a non-blocking socket and a poll before each read) would not allow.
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, tick)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, tick)
        self.frames_read = 0
        self.deadline = Deadline(0.0)
        self.question = "score"
        self.position: int | None = None

    def breach(self, kind: str, message: str, position: int | None = None) -> ProtocolBreach:
        """Return the exception for a breach at the present question."""
        return ProtocolBreach(
            Breach(
                kind=kind,
                message=message,
                frame=self.frames_read,
                position=self.position if position is None else position,
                question=self.question,
            )
        )

    def send(self, kind: Kind, payload: memoryview | bytes = b"") -> None:
        """Send one frame.

        Raises OutOfTime if the other side does not read, ProtocolBreach if it has closed.
        """
        self._send_all(sdk.header(kind, len(payload)))
        if len(payload):
            self._send_all(payload)

    def send_json(self, kind: Kind, facts: dict[str, Any]) -> None:
        """Send one frame of JSON."""
        self.send(kind, json.dumps(facts).encode())

    def send_files(self, kind: Kind, facts: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Send one frame of JSON with open descriptors attached to its header."""
        payload = json.dumps(facts).encode()
        head = sdk.header(kind, len(payload))
        sent = self._retrying(
            lambda: socket.send_fds(self._sock, [head], list(descriptors), socket.MSG_NOSIGNAL)
        )
        self._send_all(head[sent:])
        self._send_all(payload)

    def receive(self, kind: Kind, into: memoryview) -> None:
        """Read one frame of exactly `kind` and exactly as long as `into`.

        Raises ProtocolBreach for any other frame, OutOfTime at the deadline.
        """
        head = bytearray(sdk.HEADER.size)
        self._receive_exactly(memoryview(head))
        magic, got, reserved, length = sdk.HEADER.unpack(head)
        if magic != sdk.MAGIC or reserved:
            raise self.breach("malformed", f"not a frame: header {bytes(head).hex()}")
        if got != kind:
            name = Kind(got).name if got in Kind.__members__.values() else str(got)
            raise self.breach("malformed", f"expected a {kind.name} frame, got {name}")
        if length != len(into):
            raise self.breach(
                "count", f"{kind.name} frame of {length} bytes where {len(into)} were asked for"
            )
        if length:
            self._receive_exactly(into)
        self.frames_read += 1

    def _send_all(self, data: memoryview | bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._retrying(partial(self._sock.send, view, socket.MSG_NOSIGNAL)) :]

    def _receive_exactly(self, into: memoryview) -> None:
        while into:
            count = self._retrying(
                partial(self._sock.recv_into, into, len(into), socket.MSG_WAITALL)
            )
            if count == 0:
                raise self.breach(
                    "closed", "the process ended, or closed its end, without an answer"
                )
            into = into[count:]

    def _retrying(self, call: Callable[[], int]) -> int:
        """Make a call on the socket until it moved something, the deadline, or the other side's end."""
        while True:
            if self.deadline.passed:
                raise OutOfTime
            try:
                return call()
            except (BlockingIOError, InterruptedError):
                continue
            except OSError as error:
                raise self.breach(
                    "closed", f"the process closed its end ({error.strerror})"
                ) from None


class ScorerSession:
    """Protocol 1 with one scorer: the questions, and the checks on each answer's form."""

    def __init__(self, channel: Channel, *, vocab_size: int, block_tokens: int) -> None:
        self.channel = channel
        self._vocab_size = vocab_size
        self._nats_n = np.empty(block_tokens, dtype=sdk.NATS)
        self._row_V = np.empty(vocab_size, dtype=sdk.LOGPROB)

    def ask_score(self, tokens_n: Tokens) -> None:
        """Send `score` without waiting for the answer."""
        self.channel.send(Kind.SCORE, _bytes(tokens_n))

    def take_nats(self, count: int, first: int) -> Nats:
        """Read the answer to `score`: `count` nats, the first at stream position `first`.

        The array is reused by the next call. Raises ProtocolBreach naming the first position whose nats are
        NaN, negative or above MAX_NATS.
        """
        nats_n = self._nats_n[:count]
        self.channel.receive(Kind.NATS, _bytes(nats_n))
        # NaN carries through both: one pass each, no temporary, and the slow search only on a failure.
        if not (nats_n.min() >= 0.0 and nats_n.max() <= MAX_NATS):
            bad = int(np.flatnonzero(~((nats_n >= 0.0) & (nats_n <= MAX_NATS)))[0])
            value = float(nats_n[bad])
            raise self.channel.breach(
                "value",
                f"{value} nats for the token at position {first + bad}; "
                f"nats are finite and 0 or more, at most {MAX_NATS:g}",
                first + bad,
            )
        return nats_n

    def score(self, tokens_n: Tokens, first: int) -> Nats:
        """Ask for the nats of a block whose first token is at stream position `first`."""
        self.ask_score(tokens_n)
        return self.take_nats(len(tokens_n), first)

    def ask_accept(self, tokens_n: Tokens) -> None:
        """Send `accept` without waiting for `done`."""
        self.channel.send(Kind.ACCEPT, _bytes(tokens_n))

    def take_done(self) -> None:
        """Read the answer to `accept`."""
        self.channel.receive(Kind.DONE, memoryview(b""))

    def accept(self, tokens_n: Tokens) -> None:
        """Make a block history."""
        self.ask_accept(tokens_n)
        self.take_done()

    def predict(self, prefix_m: Tokens) -> npt.NDArray[np.float64]:
        """Return the log-probabilities of the token after the history and `prefix_m`, float64.

        Entries may be -inf (probability 0). Raises ProtocolBreach on NaN or an entry above 0 by more than
        rounding: no probability exceeds 1.
        """
        self.channel.send(Kind.PREDICT, _bytes(prefix_m))
        self.channel.receive(Kind.LOGPROBS, _bytes(self._row_V))
        with np.errstate(invalid="ignore"):  # of a NaN that signals, which is refused below
            row_V = self._row_V.astype(np.float64)
        bad = np.flatnonzero(~(row_V <= 1e-3))
        if bad.size:
            raise self.channel.breach(
                "value",
                f"log-probability {float(row_V[bad[0]])} for token {int(bad[0])}; "
                "log-probabilities are 0 or less",
            )
        return row_V

    def close(self) -> None:
        """Say goodbye; a process that is gone already is no breach."""
        try:
            self.channel.send(Kind.CLOSE)
        except (ProtocolBreach, OutOfTime):
            return


def blocks(tokens: int, block_tokens: int) -> list[tuple[int, int]]:
    """Return (first, end) of every block: aligned, `block_tokens` long, the last one shorter."""
    return [(at, min(at + block_tokens, tokens)) for at in range(0, tokens, block_tokens)]


def credited_pass(
    session: ScorerSession,
    stream_N: npt.NDArray[np.uint16],
    block_tokens: int,
    sink: BinaryIO,
    progress: Callable[[int, float], None],
) -> Credited:
    """Score the whole stream once, left to right, writing each block's nats to `sink` as it is answered.

    The next block is sent together with the `accept` of the one before, whose nats are then in the judge's
    hands already: checking and writing overlap the scorer's work. `progress` gets (tokens, sum of nats).
    Returns the record; breaches and the clock are in it, never raised.
    """
    tokens = len(stream_N)
    plan = blocks(tokens, block_tokens)
    sums: list[float] = []
    done = 0
    breach: Breach | None = None
    by_clock = False
    try:
        ahead_n = _block(stream_N, plan[0])
        session.channel.position = 0
        session.ask_score(ahead_n)
        for index, (first, end) in enumerate(plan):
            session.channel.question, session.channel.position = "score", first
            block_n, nats_n = ahead_n, session.take_nats(end - first, first)
            session.channel.question = "accept"
            session.ask_accept(block_n)
            if index + 1 < len(plan):
                ahead_n = _block(stream_N, plan[index + 1])
                session.ask_score(ahead_n)
            sink.write(_bytes(nats_n))
            sums.append(float(nats_n.sum()))
            done = end
            progress(done, sums[-1])
            session.take_done()
    except ProtocolBreach as broken:
        breach = broken.breach
    except OutOfTime:
        by_clock = True
    return Credited(
        expected_tokens=tokens,
        credited_tokens=done,
        sum_nats=math.fsum(sums),
        breach=breach,
        ended_by_clock=by_clock,
    )


def _block(stream_N: npt.NDArray[np.uint16], span: tuple[int, int]) -> Tokens:
    return stream_N[span[0] : span[1]].astype(sdk.TOKEN)


def _bytes(array: npt.NDArray[Any]) -> memoryview:
    # A memoryview of an empty array cannot be cast.
    return array.data.cast("B") if array.size else memoryview(b"")
