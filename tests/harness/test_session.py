"""The credited pass with peers that speak the protocol, and the values that they may answer."""

import contextlib
import itertools
import math
import socket
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.sdk import Kind
from harness.session import (
    MAX_NATS,
    ProtocolBreach,
    blocks,
)
from tests.harness.peers import (
    Honest,
    frame,
    nats_frame,
    pass_over,
    read_frame,
    send_in_pieces,
    session,
    talking_to,
)
from tests.strategies import cuts, forbidden_nats, honest_nats, streams


@given(st.data(), streams(), st.integers(1, 50))
@example(None, np.array([3], dtype=np.uint16), 1)
@example(None, np.array([3], dtype=np.uint16), 50)
@settings(max_examples=60)
def test_credits_every_position_once_and_in_order(data, stream_N, block_tokens):
    count = len(stream_N)
    nats_N = (
        [0.5] * count
        if data is None
        else data.draw(st.lists(honest_nats, min_size=count, max_size=count))
    )
    peer = Honest(nats_N)
    record, on_disk, calls = pass_over(stream_N, block_tokens, peer)

    assert record.breach is None
    assert not record.ended_by_clock
    assert record.credited_tokens == record.expected_tokens == count
    assert record.sum_nats == pytest.approx(math.fsum(nats_N), rel=1e-12, abs=1e-300)
    assert on_disk == np.array(nats_N, dtype="<f8").tobytes()

    plan = [
        tuple(stream_N[at : at + block_tokens].tolist()) for at in range(0, count, block_tokens)
    ]
    assert [part for kind, part in peer.heard if kind is Kind.SCORE] == plan
    assert [part for kind, part in peer.heard if kind is Kind.ACCEPT] == plan
    kinds = [kind for kind, _ in peer.heard]
    assert kinds == [Kind.SCORE, Kind.ACCEPT] * len(plan)
    assert peer.early == []
    assert [done for done, _ in calls] == [end for _, end in blocks(count, block_tokens)]
    assert math.fsum(nats for _, nats in calls) == record.sum_nats


def test_the_sum_is_exact_where_a_running_float32_sum_is_not():
    nats_N = [1e9, *([1e-9] * 4095)]
    record, _, _ = pass_over(np.zeros(4096, dtype=np.uint16), 64, Honest(nats_N))
    assert record.sum_nats == pytest.approx(math.fsum(nats_N), rel=1e-15)


@given(st.integers(1, 300), st.integers(1, 320))
def test_blocks_are_aligned_and_whole_but_for_the_last(tokens, block_tokens):
    plan = blocks(tokens, block_tokens)
    assert plan[0][0] == 0
    assert plan[-1][1] == tokens
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(plan))
    assert all(first % block_tokens == 0 for first, _ in plan)
    assert all(end - first == block_tokens for first, end in plan[:-1])
    assert 1 <= plan[-1][1] - plan[-1][0] <= block_tokens


def test_the_next_block_never_leaves_before_the_answer_to_this_one():
    """Ask the kernel, not the clock: while `nats` is held back, nothing may follow the first frame."""
    early = []

    def script(sock):
        for count in (2, 2, 1):
            kind, _ = read_frame(sock)
            assert kind == Kind.SCORE
            time.sleep(0.03)
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                early.append(sock.recv(1, socket.MSG_PEEK))
            sock.setblocking(True)
            sock.sendall(nats_frame([1.0] * count))
            kind, _ = read_frame(sock)
            assert kind == Kind.ACCEPT
            sock.sendall(frame(Kind.DONE))

    record, _, _ = pass_over(np.arange(5, dtype=np.uint16), 2, script)
    assert record.breach is None
    assert early == []


@given(cuts(), cuts(), st.sampled_from([0.0, 0.002]))
@settings(max_examples=30)
def test_right_frames_in_any_pieces_are_accepted(of_nats, of_done, pause_s):
    def script(sock):
        while (got := read_frame(sock)) is not None:
            if got[0] == Kind.SCORE:
                answer, where = nats_frame([2.0] * (len(got[1]) // 4)), of_nats
            else:
                answer, where = frame(Kind.DONE), of_done
            send_in_pieces(sock, answer, where, pause_s)

    record, _, _ = pass_over(np.arange(7, dtype=np.uint16), 3, script)
    assert (record.breach, record.sum_nats) == (None, 14.0)


def test_answers_slower_than_the_kernel_timeout_are_put_together():
    def script(sock):
        read_frame(sock)
        send_in_pieces(sock, nats_frame([1.5, 2.5]), [0.3, 0.7], 0.15)  # a tick is 0.1 s
        read_frame(sock)
        sock.sendall(frame(Kind.DONE))

    record, _, _ = pass_over(np.array([1, 2], dtype=np.uint16), 2, script)
    assert (record.breach, record.sum_nats) == (None, 4.0)


@given(st.integers(1, 30), st.data(), forbidden_nats)
@settings(max_examples=60)
def test_a_forbidden_value_is_named_by_its_position(count, data, value):
    block_tokens = data.draw(st.integers(1, count + 3))
    bad = data.draw(st.integers(0, count - 1))
    nats_N = [1.0] * count
    nats_N[bad] = value
    record, on_disk, _ = pass_over(np.zeros(count, dtype=np.uint16), block_tokens, Honest(nats_N))
    assert record.breach is not None
    assert (record.breach.kind, record.breach.position) == ("value", bad)
    assert f"position {bad}" in record.breach.message
    credited = bad // block_tokens * block_tokens
    assert record.credited_tokens == credited
    assert record.sum_nats == credited
    assert len(on_disk) == 8 * credited
    assert math.isfinite(record.sum_nats)


def test_the_first_of_several_forbidden_values_is_named():
    nats_N = [0.0, 1.0, math.inf, math.nan, -1.0]
    record, _, _ = pass_over(np.zeros(5, dtype=np.uint16), 5, Honest(nats_N))
    assert record.breach is not None
    assert record.breach.position == 2


def test_zero_and_the_largest_nats_are_taken_and_their_sum_is_finite():
    nats_N = [0.0, -0.0, MAX_NATS, MAX_NATS]
    record, _, _ = pass_over(np.zeros(4, dtype=np.uint16), 3, Honest(nats_N))
    assert record.breach is None
    assert record.sum_nats == 2 * MAX_NATS


@given(st.integers(0, 15), st.sampled_from([math.nan, math.inf, 0.01, 1.0]))
@settings(max_examples=30)
def test_a_row_with_a_value_that_is_no_log_probability_is_refused(bad, value):
    row_V = np.full(16, -1.0, dtype="<f4")
    row_V[bad] = value

    def script(sock):
        read_frame(sock)
        sock.sendall(frame(Kind.LOGPROBS, row_V.tobytes()))

    with talking_to(script) as channel, pytest.raises(ProtocolBreach, match=f"for token {bad};"):
        session(channel, 4).predict(np.array([1], dtype=np.uint32))


@pytest.mark.parametrize("bits", [0xFF800001, 0x7F800001, 0xFFC00000])
def test_a_nan_that_signals_is_refused_like_any_other(bits):
    row_V = np.full(16, -1.0, dtype="<f4")
    row_V.view("<u4")[5] = bits

    def script(sock):
        read_frame(sock)
        sock.sendall(frame(Kind.LOGPROBS, row_V.tobytes()))

    with talking_to(script) as channel, pytest.raises(ProtocolBreach, match="nan for token 5;"):
        session(channel, 4).predict(np.array([1], dtype=np.uint32))


def test_a_row_may_hold_zeros_of_probability_and_rounding():
    row_V = np.full(16, -np.inf, dtype="<f4")
    row_V[3] = 1e-6

    def script(sock):
        read_frame(sock)
        sock.sendall(frame(Kind.LOGPROBS, row_V.tobytes()))

    with talking_to(script) as channel:
        assert session(channel, 4).predict(np.array([], dtype=np.uint32)).tolist() == row_V.tolist()
