"""The keeper's parts: logs that never grow beyond their cap, and who descends from whom."""

import os
import re
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.clock import Deadline
from harness.keeper import CappedLog
from harness.process import LOG_CAP_BYTES
from harness.sandbox.shim import descendants
from tests import cells
from tests.harness.trees import planted

NOTE_BYTES = 40


@pytest.fixture(scope="module")
def log_path(tmp_path_factory):
    return tmp_path_factory.mktemp("logs") / "log"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=30), st.integers(0, 60))
@settings(max_examples=200)
def test_a_log_keeps_the_first_and_the_last_bytes(log_path, chunks, cap):
    log = CappedLog(str(log_path), cap)
    for chunk in chunks:
        log.write(chunk)
        assert log_path.stat().st_size <= cap // 2  # the tail is held back
    log.close()
    written, stream = log_path.read_bytes(), b"".join(chunks)
    if len(stream) <= cap:
        assert written == stream
    else:
        head, tail = stream[: cap // 2], stream[len(stream) - (cap - cap // 2) :]
        assert written == head + b"\n[%d bytes left out]\n" % (len(stream) - cap) + tail


def test_a_log_that_cannot_be_written_stops_nobody():
    log = CappedLog("/dev/full", 10)
    log.write(b"x" * 100)
    log.close()


def test_fifty_megabytes_leave_the_first_and_the_last_lines(tmp_path):
    code = r"""
    import sys
    sys.stdout.write("first line\n")
    for block in range(50):
        sys.stdout.write(("x" * 99 + "\n") * 10_000)
    sys.stdout.write("last line\n")
    sys.stderr.write("short")
    """
    with planted(code, tmp_path) as run:
        largest = 0
        while not run.tree.wait_gone(Deadline(0.02)):
            path = Path(f"{run.logs}.stdout")
            largest = max(largest, path.stat().st_size if path.exists() else 0)
        assert run.tree.exit_status == 0
        text = run.stdout()
    assert largest <= LOG_CAP_BYTES + NOTE_BYTES
    assert LOG_CAP_BYTES < len(text) <= LOG_CAP_BYTES + NOTE_BYTES
    assert text.startswith("first line\nxxx")
    assert text.endswith("xxx\nlast line\n")
    found = re.search(r"\n\[(\d+) bytes left out\]\n", text)
    assert found is not None
    assert int(found[1]) + LOG_CAP_BYTES == 50_000_000 + len("first line\nlast line\n")
    assert run.stderr() == "short"


def test_a_descendant_that_writes_for_ever_does_not_hold_up_the_end(tmp_path):
    code = """
    import os
    if os.fork() == 0:
        while True: os.write(1, b"x" * 65536)
    print("out", flush=True)
    """
    with planted(code, tmp_path) as run:
        assert run.tree.wait_exited(Deadline(20.0))
        run.tree.kill()
        assert run.tree.gone
    assert len(run.stdout()) <= LOG_CAP_BYTES + NOTE_BYTES


def test_closed_outputs_are_no_trouble(tmp_path):
    with planted("import os, time; os.close(1); os.close(2); time.sleep(0.05)", tmp_path) as run:
        assert run.tree.wait_gone(Deadline(20.0))
        assert run.tree.exit_status == 0


def test_words_of_the_last_instant_are_in_the_log(tmp_path):
    with planted("import os; os.write(2, b'the reason'); os.abort()", tmp_path) as run:
        assert run.tree.wait_gone(Deadline(20.0))
    assert run.stderr() == "the reason"


def test_descendants_are_found_whatever_their_name_says(tmp_path):
    """A process may call itself `x) R 1 (`; the parent's number comes after the last parenthesis."""
    code = """
    import ctypes, os, time
    ctypes.CDLL(None).prctl(15, b"x) R 1 (y", 0, 0, 0)  # PR_SET_NAME
    pids = [os.getpid()]
    for _ in range(3):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            inner = os.fork()
            if inner:
                os.write(write, str(inner).encode())
            os.close(write)
            while True: time.sleep(60)
        os.close(write)
        pids += [pid, int(os.read(read, 20))]
        os.close(read)
    print(*pids, flush=True)
    while True: time.sleep(60)
    """
    with planted(
        code, tmp_path, command=[sys.executable, "-I", "-c", textwrap.dedent(code)]
    ) as run:
        run.wait_for("\n")
        pids = {int(pid) for pid in run.stdout().split()}
        assert len(pids) == 7
        assert len(set(descendants(run.tree._keeper.pid)) - pids) == 1  # the shim
        assert pids < set(descendants(os.getpid()))
        root = int(run.stdout().split()[0])
        assert set(descendants(root)) == pids - {root}
    assert not pids & set(descendants(os.getpid()))


def test_no_file_grows_beyond_the_limit_of_the_disk(tmp_path):
    limits = replace(cells.LIMITS, disk_bytes=4096)
    with planted("open('big', 'wb').write(bytes(8192))", tmp_path, limits=limits) as run:
        assert run.tree.wait_gone(Deadline(20.0))
    assert (run.own / "big").stat().st_size == 4096
