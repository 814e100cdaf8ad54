"""The submission's side of the protocol, against the judge's own channel and in processes of its own."""

import ast
import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness import sdk
from harness.clock import Deadline
from harness.handover import Handover
from harness.sdk import Kind
from harness.session import Channel, ProtocolBreach, ScorerSession, socket_pair
from tests.strategies import VOCAB, streams

ROOT = Path(harness.__file__).parents[1]
OPENING = {
    "protocol": 1,
    "phase": "score",
    "vocab_size": VOCAB,
    "block_tokens": 8,
    "tokens": 40,
    "seed": 0,
}

# --- what contestants rely on ---


def test_the_surface_is_frozen():
    """Whoever changes one of these breaks every submission that was ever written."""
    public = {
        name
        for node in ast.parse(Path(sdk.__file__).read_text("utf-8")).body
        for name in (
            [node.name]
            if isinstance(node, (ast.ClassDef, ast.FunctionDef))
            else [
                target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)
            ]
        )
        if not name.startswith("_")
    }
    assert public == {
        "PROTOCOL", "MAGIC", "HEADER", "MAX_JSON_BYTES", "MAX_FILES", "TOKEN", "NATS", "LOGPROB",
        "Kind", "header", "ProtocolError", "Opening", "TrainFile", "Training", "Scorer", "Connection",
        "connect", "serve",
    }  # fmt: skip
    assert (sdk.PROTOCOL, sdk.MAGIC, sdk.HEADER.format, sdk.HEADER.size) == (
        1,
        b"HRN1",
        "<4sHHQ",
        16,
    )
    assert {kind.name: int(kind) for kind in Kind} == {
        "OPEN": 1, "DATA": 2, "SCORE": 3, "ACCEPT": 4, "PREDICT": 5, "CLOSE": 6,
        "READY": 17, "NATS": 18, "DONE": 19, "LOGPROBS": 20,
    }  # fmt: skip
    assert [d.str for d in (sdk.TOKEN, sdk.NATS, sdk.LOGPROB)] == ["<u4", "<f8", "<f4"]
    fields = {
        kind.__name__: [field.name for field in dataclasses.fields(kind)]
        for kind in (sdk.Opening, sdk.TrainFile, sdk.Training)
    }
    assert fields == {
        "Opening": ["phase", "vocab_size", "block_tokens", "tokens", "seed"],
        "TrainFile": ["name", "descriptor", "size_bytes"],
        "Training": [
            "shards",
            "tokenizer",
            "out",
            "seed",
            "train_s",
            "deadline_s",
            "cap_bytes",
            "fresh",
        ],
    }


def test_a_header_byte_by_byte():
    assert sdk.header(Kind.NATS, 0x0102030405) == (
        b"HRN1\x12\x00\x00\x00\x05\x04\x03\x02\x01\x00\x00\x00"
    )


# --- a conversation ---


@contextmanager
def serving(make_scorer):
    """Yield the judge's channel to an SDK connection that serves in a thread, after its `ready`."""
    ours, theirs = socket_pair()
    ends: list[BaseException | None] = []

    def run():
        try:
            connection = sdk.Connection(theirs)
            connection.serve(make_scorer(connection.opening))
            ends.append(None)
        except BaseException as end:
            ends.append(end)
        finally:
            theirs.close()

    thread = threading.Thread(target=run)
    thread.start()
    channel = Channel(ours)
    channel.deadline = Deadline(5.0)
    try:
        channel.send_json(Kind.OPEN, OPENING)
        channel.receive(Kind.READY, memoryview(b""))
        yield channel, ends
    finally:
        ours.close()
        thread.join(10.0)
    assert not thread.is_alive()


class Memory:
    """Keeps every array that it is given, and answers with simple functions of it."""

    def __init__(self, opening):
        self.opening = opening
        self.kept = []

    def _keep(self, what, tokens):
        assert tokens.dtype == np.uint32
        self.kept.append((what, tokens, tokens.tolist()))

    def score(self, block_T):
        self._keep("score", block_T)
        return block_T / 2

    def accept(self, block_T):
        self._keep("accept", block_T)
        block_T += 1  # its own copy: nobody else sees this

    def predict(self, prefix_M):
        self._keep("predict", prefix_M)
        return np.full(VOCAB, -float(len(prefix_M) + 1))


@given(st.lists(st.tuples(st.sampled_from(["score", "accept", "predict"]), streams(8)), max_size=6))
@settings(max_examples=40)
def test_what_the_judge_asks_is_what_the_scorer_gets(questions):
    scorers = []

    def make(opening):
        scorers.append(Memory(opening))
        return scorers[0]

    with serving(make) as (channel, ends):
        session = ScorerSession(channel, vocab_size=VOCAB, block_tokens=8)
        for what, stream_N in questions:
            tokens_n = stream_N.astype(np.uint32)
            if what == "score":
                assert session.score(tokens_n, 0).tolist() == (tokens_n / 2).tolist()
            elif what == "accept":
                session.accept(tokens_n)
            else:
                row_V = session.predict(tokens_n[:-1])
                assert row_V.tolist() == [-float(len(tokens_n))] * VOCAB
        session.close()
    assert ends == [None]
    memory = scorers[0]
    assert dataclasses.asdict(memory.opening) == {
        name: value for name, value in OPENING.items() if name != "protocol"
    }
    asked = [
        (what, (stream_N if what != "predict" else stream_N[:-1]).tolist())
        for what, stream_N in questions
    ]
    assert [(what, was) for what, _, was in memory.kept] == asked
    for what, tokens, was in memory.kept:  # arrays that were kept are still what they were
        assert tokens.tolist() == [token + (what == "accept") for token in was]


@pytest.mark.parametrize(
    "answer",
    [
        [1.0, 2.0, 3.0],
        (1, 2, 3),
        np.array([1, 2, 3], dtype=np.float32),
        np.array([1, 2, 3], dtype=np.int64),
        np.array([1.0, 0, 2.0, 0, 3.0, 0])[::2],
        np.array([1.0, 2.0, 3.0], dtype=">f8"),
    ],
)
def test_answers_of_any_numeric_kind_are_sent_as_float64(answer):
    class Fixed(Memory):
        def score(self, block_T):
            return answer

    with serving(Fixed) as (channel, _):
        session = ScorerSession(channel, vocab_size=VOCAB, block_tokens=8)
        assert session.score(np.zeros(3, dtype=np.uint32), 0).tolist() == [1.0, 2.0, 3.0]


def test_a_scorer_without_predict_says_so_when_it_is_asked():
    class Without:
        def __init__(self, opening):
            pass

        def score(self, block_T):
            return np.ones(len(block_T))

        def accept(self, block_T):
            pass

    with serving(Without) as (channel, ends):
        session = ScorerSession(channel, vocab_size=VOCAB, block_tokens=8)
        with pytest.raises(ProtocolBreach, match="closed its end"):
            session.predict(np.zeros(1, dtype=np.uint32))
    assert isinstance(ends[0], sdk.ProtocolError)
    assert "PREDICT" in str(ends[0])


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (sdk.header(Kind.SCORE, 0), "expected `open` from the judge, got SCORE"),
        (b"GET / HTTP/1.1\r\n", "not the judge's protocol"),
        (b"", "closed the connection"),
        (b"HRN1", "closed the connection"),
        (sdk.HEADER.pack(sdk.MAGIC, 99, 0, 0), "no frame of kind 99 and 0 bytes"),
        (sdk.header(Kind.OPEN, (1 << 64) - 1), "no frame of kind 1 and 18446744073709551615 bytes"),
        (sdk.header(Kind.OPEN, (1 << 26) + 1), "no frame of kind 1 and 67108865 bytes"),
        (sdk.header(Kind.OPEN, 1) + b"{", "`open` from the judge cannot be read: JSONDecodeError"),
        (sdk.header(Kind.OPEN, 2) + b"[]", "`open` from the judge cannot be read: TypeError"),
        (sdk.header(Kind.OPEN, 14) + b'{"protocol":1}', "cannot be read: KeyError"),
        (sdk.header(Kind.OPEN, 5000) + b"[" * 5000, "`open` from the judge cannot be read: "),
    ],
)
def test_somebody_else_at_the_other_end(first, says):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(first)
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(sdk.ProtocolError, match=says):
            sdk.Connection(theirs)


def test_another_protocol_version_is_refused():
    ours, theirs = socket_pair()
    with ours, theirs:
        channel = Channel(ours)
        channel.deadline = Deadline(5.0)
        channel.send_json(Kind.OPEN, {**OPENING, "protocol": 2})
        with pytest.raises(sdk.ProtocolError, match="protocol 2, this file 1"):
            sdk.Connection(theirs)


@pytest.mark.parametrize("kind", [Kind.SCORE, Kind.ACCEPT, Kind.PREDICT])
def test_bytes_that_are_no_whole_tokens_never_reach_the_scorer(kind):
    ours, theirs = socket_pair()
    with ours, theirs:
        channel = Channel(ours)
        channel.deadline = Deadline(5.0)
        channel.send_json(Kind.OPEN, OPENING)
        channel.send(kind, bytes(6))
        with pytest.raises(sdk.ProtocolError, match="6 bytes from the judge are no tokens"):
            sdk.Connection(theirs).serve(Memory(None))


@pytest.mark.parametrize("facts", [{}, {"files": []}, {"files": [], "shards": "x"}, {"files": 1}])
def test_train_data_that_the_judge_does_not_describe(facts):
    ours, theirs = socket_pair()
    with ours, theirs:
        channel = Channel(ours)
        channel.deadline = Deadline(5.0)
        channel.send_json(Kind.OPEN, {**OPENING, "phase": "train"})
        channel.send_json(Kind.DATA, facts)
        with pytest.raises(sdk.ProtocolError, match="`data` from the judge cannot be read"):
            sdk.Connection(theirs).ready()


# --- train data ---


def shard(path, tokens_T):
    header_I = np.zeros(256, dtype="<i4")
    header_I[:3] = [20240520, 1, len(tokens_T)]
    path.write_bytes(header_I.tobytes() + np.asarray(tokens_T, dtype="<u2").tobytes())
    return path


@given(
    shards=st.lists(streams(30), min_size=1, max_size=4),
    tokenizer=st.none() | st.binary(min_size=1, max_size=50),
    fresh=st.none() | st.booleans(),
)
@settings(max_examples=25)
def test_train_files_arrive_as_they_are_on_disk(tmp_path_factory, shards, tokenizer, fresh):
    folder = tmp_path_factory.mktemp("shards")
    paths = [shard(folder / f"train_{n}.bin", tokens_T) for n, tokens_T in enumerate(shards)]
    model = None
    if tokenizer is not None:
        model = folder / "tokenizer.model"
        model.write_bytes(tokenizer)
    got = []
    ours, theirs = socket_pair()

    def run():
        got.append(sdk.Connection(theirs).ready())

    thread = threading.Thread(target=run)
    thread.start()
    with ours, theirs, Handover(paths, model, 1 << 30) as handover:
        channel = Channel(ours)
        channel.deadline = Deadline(5.0)
        channel.send_json(Kind.OPEN, {**OPENING, "phase": "train", "seed": 7})
        channel.receive(Kind.READY, memoryview(b""))
        facts = {**handover.facts(), "out": "/o", "train_s": 2.5, "deadline_s": 99.0}
        facts["cap_bytes"] = 12
        if fresh is not None:
            facts["fresh"] = fresh
        channel.send_files(Kind.DATA, facts, handover.descriptors)
        thread.join(10.0)
    training = got[0]
    try:
        assert (training.seed, training.train_s, training.deadline_s) == (7, 2.5, 99.0)
        assert training.cap_bytes == 12
        assert training.fresh is bool(fresh)
        assert training.out == Path("/o")
        assert [file.name for file in training.shards] == [path.name for path in paths]
        assert [file.tokens().tolist() for file in training.shards] == [s.tolist() for s in shards]
        assert [file.read() for file in training.shards] == [path.read_bytes() for path in paths]
        assert (None if training.tokenizer is None else training.tokenizer.read()) == tokenizer
        with pytest.raises(ValueError, match="read-only"):
            training.shards[0].tokens()[0] = 1
    finally:
        for file in (*training.shards, *([training.tokenizer] if training.tokenizer else [])):
            os.close(file.descriptor)


def test_a_file_longer_than_one_read_call_comes_whole(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(bytes(range(100)))
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: real(fd, min(size, 7), at))
    with path.open("rb") as file:
        assert sdk.TrainFile("x", file.fileno(), 100).read() == bytes(range(100))


# --- as a process ---

PROBE = """
import json, os, subprocess, sys
from harness import sdk
connection = sdk.connect()
private = connection._sock.fileno()
child = subprocess.run(
    [sys.executable, "-S", "-c", "import os; print([os.readlink(f'/proc/self/fd/{n}') "
     "for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')])"],
    close_fds=False, stdout=subprocess.PIPE, text=True)
print(json.dumps({
    "stdin": os.readlink("/proc/self/fd/0"),
    "private": os.readlink(f"/proc/self/fd/{private}"),
    "inheritable": os.get_inheritable(private),
    "child": child.stdout,
}), flush=True)
class Scorer:
    def score(self, block_T): return block_T * 0.0
    def accept(self, block_T): raise ConnectionResetError("as a judge that died would cause")
connection.serve(Scorer())
"""


def start(code, stdin, before=()):
    return subprocess.Popen(
        [*before, sys.executable, "-c", code],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_the_socket_is_private_to_the_process_that_connects():
    ours, theirs = socket_pair()
    with ours, theirs:
        process = start(PROBE, theirs)
        theirs.close()
        channel = Channel(ours)
        channel.deadline = Deadline(20.0)
        channel.send_json(Kind.OPEN, OPENING)
        channel.receive(Kind.READY, memoryview(b""))
        channel.send(Kind.CLOSE)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    said = json.loads(out)
    assert said["stdin"] == "/dev/null"
    assert said["private"].startswith("socket:")
    assert not said["inheritable"]
    assert "socket" not in said["child"]


@pytest.mark.parametrize("stdin", ["null", "closed", "pipe"])
def test_started_by_hand_it_says_how_to_start_it(stdin):
    process = start(
        "from harness import sdk; sdk.connect()",
        subprocess.PIPE if stdin == "pipe" else subprocess.DEVNULL,
        before=["sh", "-c", 'exec "$@" <&-', "sh"] if stdin == "closed" else [],
    )
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err.strip().endswith(
        "ProtocolError: standard input is not the judge's socket; start this with `harness run`"
    )


SERVE = """
from harness import sdk
class Scorer:
    def __init__(self, opening): pass
    def score(self, block_T): return [0.0] * len(block_T)
    def accept(self, block_T): pass
sdk.serve(Scorer)
"""


@pytest.mark.parametrize("leaves", ["before ready", "waiting", "mid-question", "unread answer"])
def test_a_judge_that_goes_away_ends_the_process_with_status_0(leaves):
    ours, theirs = socket_pair()
    with ours, theirs:
        process = start(SERVE, theirs)
        theirs.close()
        channel = Channel(ours)
        channel.deadline = Deadline(20.0)
        channel.send_json(Kind.OPEN, OPENING)
        if leaves != "before ready":
            channel.receive(Kind.READY, memoryview(b""))
        if leaves == "mid-question":
            ours.sendall(sdk.header(Kind.SCORE, 400) + b"half")
        if leaves == "unread answer":
            channel.send(Kind.SCORE, bytes(4))
            ours.recv(1, socket.MSG_PEEK)
        ours.close()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err.startswith("harness.sdk: ")
    assert "Traceback" not in err
