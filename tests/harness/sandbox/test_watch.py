"""What a tree takes, where nothing limits it: looked at, and said in one clause."""

import mmap
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sandbox import watch
from harness.sandbox.groups import Group
from harness.sandbox.watch import Watch, held_bytes, written_bytes

MEBIBYTE = 1 << 20
ROOMY = {"memory_bytes": 1 << 50, "disk_bytes": 1 << 50, "reserve_bytes": 0, "folders": []}


class Killed(Group):
    """A group whose kernel has killed."""

    def killed_for_memory(self):
        return 1


def grown(size_bytes):
    """Return a child that holds so much memory of its own until it is killed."""
    ready = os.pipe()
    child = os.fork()
    if child == 0:
        held = mmap.mmap(-1, size_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        held.write(b"x" * size_bytes)
        os.write(ready[1], b"x")
        time.sleep(60)
        os._exit(0)
    os.read(ready[0], 1)
    for descriptor in ready:
        os.close(descriptor)
    return child


def test_memory_is_counted_over_all_processes():
    pids = [grown(24 * MEBIBYTE) for _ in range(2)]
    try:
        one, both = held_bytes(pids[:1]), held_bytes(pids)
        assert both - one > 24 * MEBIBYTE
        limit = {**ROOMY, "memory_bytes": 40 * MEBIBYTE}
        found = Watch(limit, None).exceeded(pids)
        assert found is not None
        assert found.by_submission
        assert found.says.startswith("held ")
        assert found.says.endswith(f"; {40 * MEBIBYTE} are its limit")
        assert Watch({**limit, "memory_bytes": both + 20 * MEBIBYTE}, None).exceeded(pids) is None
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_a_process_that_is_gone_holds_nothing():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert held_bytes([child]) == 0
    assert held_bytes([]) == 0


def test_a_group_that_had_to_kill_ended_the_tree():
    group = Killed(version=2, memory="/nowhere", folders=("/nowhere",))
    found = Watch({**ROOMY, "memory_bytes": 7}, group).exceeded([os.getpid()])
    assert found == (True, "ran out of memory; 7 are its limit")


def test_a_group_that_did_not_is_believed_and_not_counted_after():
    group = Group(version=2, memory="/nowhere", folders=("/nowhere",))
    assert Watch({**ROOMY, "memory_bytes": 7}, group).exceeded([os.getpid()]) is None


@given(st.booleans(), st.booleans())
def test_a_disk_that_is_nearly_full_ends_the_tree_and_is_its_fault_where_it_wrote(full, wrote):
    taken = 5000
    limits = {
        **ROOMY,
        "folders": ["/"],
        "reserve_bytes": 1 << 60 if full else 0,
        "disk_bytes": 4999 if wrote else 5000,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "written_bytes", lambda _: taken)
        found = Watch(limits, None).exceeded([])
    if not full:
        assert found is None
    else:
        assert found is not None
        assert found.by_submission == wrote
        assert ("wrote 5000 bytes" in found.says) == wrote


def test_a_folder_that_is_gone_is_no_trouble():
    limits = {**ROOMY, "folders": ["/nowhere"], "reserve_bytes": 1 << 60}
    assert Watch(limits, None).exceeded([]) is None


def test_written_bytes_follow_no_link_and_count_blocks_not_lengths(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "big").write_bytes(b"x" * MEBIBYTE)
    (inside / "deep" / "real").write_bytes(b"x" * 65536)
    (inside / "link").symlink_to(outside)
    (inside / "link of a file").symlink_to(outside / "big")
    with (inside / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert 65536 <= written_bytes(inside) < 65536 + 4 * 4096
    assert written_bytes(Path("/nowhere")) == 0
