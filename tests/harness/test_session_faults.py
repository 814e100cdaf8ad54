"""Peers that are wrong, slow, silent, gone or too loud: a breach or the deadline, never a hang."""

import io
import os
import socket
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.clock import Deadline, Stopwatch
from harness.sdk import Kind
from harness.session import (
    MAX_NATS,
    OutOfTime,
    ProtocolBreach,
    credited_pass,
)
from tests.harness.peers import (
    frame,
    nats_frame,
    pass_over,
    read_frame,
    session,
    talking_to,
)

SHORT_S = 0.25
SLACK_S = 2.0
"""A shared core may stall; a hang is far longer."""


def nobody_listens(done: int, nats: float) -> None:
    pass


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (frame(Kind.DONE), "malformed", "expected a NATS frame, got DONE"),
        (frame(Kind.READY), "malformed", "expected a NATS frame, got READY"),
        (frame(99), "malformed", "expected a NATS frame, got 99"),
        (frame(18, bytes(16), magic=b"HRN2"), "malformed", "not a frame"),
        (frame(18, bytes(16), reserved=1), "malformed", "not a frame"),
        (nats_frame([1.0]), "count", "NATS frame of 8 bytes where 16 were asked for"),
        (nats_frame([1.0] * 3), "count", "24 bytes where 16"),
        (frame(18), "count", "0 bytes where 16"),
        (b"HRN1" + b"\xff" * 12, "malformed", "not a frame"),
        (frame(18)[:8] + b"\xff" * 8, "count", "18446744073709551615 bytes"),
        (b"the answer is 42\n", "malformed", "not a frame"),
        (b"", "closed", "without an answer"),
        (nats_frame([1.0, 1.0])[:7], "closed", "without an answer"),
        (nats_frame([1.0, 1.0])[:31], "closed", "without an answer"),
    ],
)
def test_a_wrong_frame_is_a_breach_that_says_what_came(answer, kind, says):
    def script(sock):
        read_frame(sock)
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_WR)
        read_frame(sock)

    record, on_disk, _ = pass_over(np.array([1, 2], dtype=np.uint16), 2, script)
    assert record.breach is not None
    assert record.breach.kind == kind
    assert says in record.breach.message
    assert (record.breach.frame, record.breach.question, record.breach.position) == (0, "score", 0)
    assert (record.credited_tokens, record.sum_nats, on_disk) == (0, 0.0, b"")


@pytest.mark.parametrize(
    ("after", "question", "frames", "position"),
    [(0, "score", 0, 0), (1, "accept", 1, 0), (2, "score", 2, 2), (3, "accept", 3, 2)],
)
def test_a_breach_names_the_question_the_frame_and_the_position(after, question, frames, position):
    answers = [nats_frame([1.0, 1.0]), frame(Kind.DONE)] * 2
    answers[after] = frame(Kind.READY)

    def script(sock):
        read_frame(sock)
        for answer in answers:
            sock.sendall(answer)
        while read_frame(sock) is not None:
            pass

    record, _, _ = pass_over(np.zeros(4, dtype=np.uint16), 2, script)
    assert record.breach is not None
    assert record.breach.question == question
    assert (record.breach.frame, record.breach.position) == (frames, position)


@given(st.binary(max_size=80), st.sampled_from([True, True, True, False]))
@settings(max_examples=60)
def test_any_bytes_end_in_a_breach_or_at_the_deadline(answer, closes):
    """Fuzz: nothing that a peer writes hangs the judge, ends it or earns credit by accident."""

    def script(sock):
        sock.sendall(answer)
        if not closes:
            while read_frame(sock) is not None:
                pass

    watch = Stopwatch()
    in_s = 5.0 if closes else 0.02
    record, _, _ = pass_over(np.zeros(4, dtype=np.uint16), 2, script, in_s=in_s)
    assert watch.elapsed_s < in_s + SLACK_S
    assert (record.breach is not None) or record.ended_by_clock
    assert record.credited_tokens < 4


@given(st.integers(0, 71), st.integers(0, 255))
@settings(max_examples=60)
def test_one_wrong_byte_in_a_right_conversation_never_hangs(place, byte):
    right = (nats_frame([1.0, 1.0]) + frame(Kind.DONE)) + nats_frame([1.0])
    wrong = bytearray(right)
    wrong[place] = byte

    def script(sock):
        sock.sendall(bytes(wrong) + frame(Kind.DONE))
        sock.shutdown(socket.SHUT_WR)
        while read_frame(sock) is not None:
            pass

    record, _, _ = pass_over(np.zeros(3, dtype=np.uint16), 2, script)
    if record.breach is None:  # another number of nats, or the same byte
        assert 0.0 <= record.sum_nats <= 3 * MAX_NATS
        assert record.credited_tokens == 3
    elif record.breach.position is not None:
        assert record.breach.position in range(3)


@given(st.integers(0, 89))
@settings(max_examples=45)
def test_a_peer_that_closes_at_any_byte_is_a_breach(length):
    right = nats_frame([1.0, 1.0]) + frame(Kind.DONE) + nats_frame([1.0]) + frame(Kind.DONE)

    def script(sock):
        sock.sendall(right[:length])
        sock.shutdown(socket.SHUT_WR)
        while read_frame(sock) is not None:
            pass

    record, _, _ = pass_over(np.zeros(3, dtype=np.uint16), 2, script)
    assert (record.breach is None) == (length >= len(right) == 88)
    if record.breach is not None:
        assert record.breach.kind == "closed"


def test_a_peer_that_is_gone_before_the_first_question():
    record, _, _ = pass_over(np.zeros(4, dtype=np.uint16), 2, lambda sock: sock.close())
    assert record.breach is not None
    assert record.breach.kind == "closed"


def test_silence_ends_at_the_deadline():
    ended = threading.Event()

    def script(sock):
        ended.wait(10)

    watch = Stopwatch()
    with talking_to(script, in_s=SHORT_S) as channel:
        record = credited_pass(
            session(channel, 2), np.zeros(4, dtype=np.uint16), 2, io.BytesIO(), nobody_listens
        )
        elapsed_s = watch.elapsed_s
        ended.set()
    assert record.ended_by_clock
    assert record.breach is None
    assert SHORT_S <= elapsed_s < SHORT_S + SLACK_S


def test_a_trickle_does_not_move_the_deadline():
    stop = threading.Event()
    answer = nats_frame([1.0] * 4096)

    def script(sock):
        read_frame(sock)
        for byte in answer:
            if stop.is_set():
                return
            sock.sendall(bytes([byte]))
            time.sleep(0.002)

    watch = Stopwatch()
    with talking_to(script, in_s=SHORT_S) as channel:
        peer = session(channel, 4096)
        with pytest.raises(OutOfTime):
            peer.score(np.zeros(4096, dtype=np.uint32), 0)
        elapsed_s = watch.elapsed_s
        stop.set()
    assert elapsed_s < SHORT_S + SLACK_S


def test_a_peer_that_never_reads_ends_at_the_deadline():
    stop = threading.Event()
    block_n = np.zeros(1 << 23, dtype=np.uint32)  # 32 MiB, more than the socket holds
    watch = Stopwatch()
    with talking_to(lambda sock: stop.wait(10) and None, in_s=SHORT_S) as channel:
        with pytest.raises(OutOfTime):
            session(channel, 1).ask_score(block_n)
        elapsed_s = watch.elapsed_s
        stop.set()
    assert elapsed_s < SHORT_S + SLACK_S


def send_files_for_ever(channel):
    while True:
        channel.send_files(Kind.DATA, {"files": "x" * 4000}, [0])


def test_descriptors_for_a_peer_that_never_reads_end_at_the_deadline():
    stop = threading.Event()
    with talking_to(lambda sock: stop.wait(10) and None, in_s=SHORT_S) as channel:
        with pytest.raises(OutOfTime):
            send_files_for_ever(channel)
        stop.set()


def test_descriptors_for_a_peer_that_is_gone_are_a_breach():
    with talking_to(lambda sock: sock.close()) as channel:
        channel.question = "train"
        with pytest.raises(ProtocolBreach, match="closed its end") as caught:
            send_files_for_ever(channel)
    assert caught.value.breach.question == "train"


def test_a_flood_is_read_no_further_than_the_answer():
    """A peer that writes without end blocks itself: the judge reads what it asked for and no more."""
    stop = threading.Event()

    def script(sock):
        sock.setblocking(False)
        while not stop.is_set():
            try:
                sock.send(nats_frame([1.0, 1.0]) * 1000)
            except BlockingIOError:
                time.sleep(0.01)

    watch = Stopwatch()
    with talking_to(script, in_s=2.0) as channel:
        record = credited_pass(
            session(channel, 2), np.zeros(4, dtype=np.uint16), 2, io.BytesIO(), nobody_listens
        )
        stop.set()
    assert record.breach is not None
    assert record.breach.message == "expected a DONE frame, got NATS"
    assert watch.elapsed_s < 2.0


def test_a_passed_deadline_is_out_of_time_even_for_an_answer_that_lies_ready():
    def script(sock):
        sock.sendall(nats_frame([1.0]))
        read_frame(sock)

    with talking_to(script) as channel:
        channel.deadline = Deadline(0.0)
        with pytest.raises(OutOfTime):
            session(channel, 1).score(np.zeros(1, dtype=np.uint32), 0)


def test_goodbye_to_a_peer_that_is_gone_is_no_failure():
    with talking_to(lambda sock: sock.close()) as channel:
        time.sleep(0.02)
        session(channel, 1).close()


def test_descriptors_sent_by_the_peer_are_dropped():
    """A scorer cannot fill the judge's table of open files."""

    def script(sock):
        for _ in range(4):
            kind, _ = read_frame(sock)
            answer = frame(Kind.DONE) if kind == Kind.ACCEPT else nats_frame([1.0])
            socket.send_fds(sock, [answer], [0] * 100)

    before = len(os.listdir("/proc/self/fd"))
    counted = []

    def count(done, nats):
        counted.append(len(os.listdir("/proc/self/fd")))

    with talking_to(script) as channel:
        record = credited_pass(
            session(channel, 1), np.zeros(2, dtype=np.uint16), 1, io.BytesIO(), count
        )
    assert record.breach is None
    assert max(counted) <= before + 2  # the pair
