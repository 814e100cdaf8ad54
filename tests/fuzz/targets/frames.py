"""What a scorer answers, as the judge reads it: taken if and only if the frame is right, value for value.

The first byte chooses the question; the rest is everything that the other side says before it closes. The
last question is the whole credited pass.
"""

from __future__ import annotations

import io
import math
import socket
import struct

import numpy as np

from checks.contract import Credited
from harness.clock import Deadline
from harness.sdk import Kind
from harness.session import Channel, ProtocolBreach, ScorerSession, credited_pass
from tests.fuzz import wire
from tests.fuzz.targets import MAX_BYTES

WORDS = wire.WORDS
BLOCK_TOKENS, STREAM_TOKENS, VOCAB_SIZE = 3, 7, 5
QUESTIONS = (Kind.READY, Kind.NATS, Kind.DONE, Kind.LOGPROBS, None)
PASS = (3, None, 3, None, 1, None)
"""Answers of the credited pass: so many nats, or `done`."""
BREACHES = {"malformed", "count", "value", "closed"}
WAIT_S = 30.0
"""Never spent: the other side has said its last word already."""


def one(data: bytes) -> bool:
    question = QUESTIONS[data[0] % len(QUESTIONS)] if data else Kind.READY
    said = data[1:MAX_BYTES]
    with wire.pair() as (ours, theirs):
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        channel = Channel(ours)
        channel.deadline = Deadline(WAIT_S)
        session = ScorerSession(channel, vocab_size=VOCAB_SIZE, block_tokens=BLOCK_TOKENS)
        if question is None:
            return _whole_pass(session, said)
        return _single(session, question, said)


def _single(session: ScorerSession, question: Kind, said: bytes) -> bool:
    expected = _values(said, question, BLOCK_TOKENS)
    got, breach = None, None
    try:
        got = _asked(session, question)
    except ProtocolBreach as broken:
        breach = broken.breach
    assert got == expected
    assert breach is None or (breach.kind in BREACHES and breach.message)
    return got is not None


def _asked(session: ScorerSession, question: Kind) -> list[float]:
    tokens_n = np.arange(BLOCK_TOKENS, dtype=np.uint32)
    if question is Kind.READY:
        session.channel.receive(Kind.READY, memoryview(b""))
    elif question is Kind.NATS:
        return session.score(tokens_n, 0).tolist()
    elif question is Kind.DONE:
        session.accept(tokens_n)
    else:
        return session.predict(tokens_n[:1]).tolist()
    return []


def _values(said: bytes, question: Kind, count: int) -> list[float] | None:
    """Return what the answer's frame holds, read the slow way; None where it must be refused."""
    got = wire.frame(said)
    if got is None or got[0] != question:
        return None
    form = {Kind.NATS: f"<{count}d", Kind.LOGPROBS: f"<{VOCAB_SIZE}f"}.get(question, "")
    if len(got[1]) != struct.calcsize(form):
        return None
    values = list(struct.unpack(form, got[1]))
    low, high = (-math.inf, 1e-3) if question is Kind.LOGPROBS else (0.0, 1e9)
    return values if all(low <= value <= high for value in values) else None


def _whole_pass(session: ScorerSession, said: bytes) -> bool:
    sink, progress = io.BytesIO(), []
    stream_N = np.arange(STREAM_TOKENS, dtype=np.uint16)
    record = credited_pass(
        session, stream_N, BLOCK_TOKENS, sink, lambda done, nats: progress.append(done)
    )
    credited: list[float] = []
    whole = True
    for count in PASS:
        values = _values(said, Kind.NATS if count else Kind.DONE, count or 0)
        if values is None:
            whole = False
            break
        credited += values
        said = said[16 + 8 * len(values) :]
    _agrees(record, credited, sink.getvalue())
    assert progress == sorted(set(progress))
    assert (record.breach is None) == whole
    return whole


def _agrees(record: Credited, credited: list[float], on_disk: bytes) -> None:
    assert record.expected_tokens == STREAM_TOKENS
    assert record.credited_tokens == len(credited)
    assert not record.ended_by_clock
    assert on_disk == struct.pack(f"<{len(credited)}d", *credited)
    assert math.isfinite(record.sum_nats)
    assert math.isclose(record.sum_nats, math.fsum(credited), rel_tol=1e-12)
