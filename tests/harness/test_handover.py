"""Train data as descriptors: readable, unchangeable, and without a path to what lies beside it."""

import fcntl
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.handover import Handover
from harness.sdk import MAX_FILES

PLENTY = 1 << 30
LISTING = """
import os
for number in range(300):
    try:
        print(os.readlink(f"/proc/self/fd/{number}"))
    except OSError:
        pass
"""


@pytest.fixture
def shards(tmp_path):
    folder = tmp_path / "secret-data-folder" / "train"
    folder.mkdir(parents=True)
    paths = []
    for number in range(3):
        paths.append(folder / f"train_{number}.bin")
        paths[-1].write_bytes(os.urandom(5000 + number))
    return paths


def where(descriptor) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def is_refused(action) -> bool:
    try:
        action()
    except OSError:
        return True
    return False


def test_the_content_is_that_of_the_files_and_each_opening_reads_from_the_start(shards):
    with Handover(shards[:2], shards[2], PLENTY) as handover:
        assert handover.hidden
        assert handover.facts() == {
            "files": [{"name": path.name, "size_bytes": path.stat().st_size} for path in shards],
            "shards": 2,
        }
        for descriptor, path in zip(handover.descriptors, shards, strict=True):
            assert os.read(descriptor, 10_000) == path.read_bytes()


@given(size=st.integers(0, 200_000))
@settings(max_examples=10)
def test_any_size_is_copied_whole(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("h") / "x"
    path.write_bytes(os.urandom(size))
    with Handover([path], None, PLENTY) as handover:
        assert handover.facts()["files"] == [{"name": "x", "size_bytes": size}]
        assert os.pread(handover.descriptors[0], size + 1, 0) == path.read_bytes()


def test_nobody_can_write_to_what_was_handed_over(shards):
    with Handover(shards, None, PLENTY) as handover:
        for descriptor, path in zip(handover.descriptors, shards, strict=True):
            assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            again = f"/proc/self/fd/{descriptor}"
            assert is_refused(lambda d=descriptor: os.write(d, b"x"))
            assert is_refused(lambda d=descriptor: os.pwrite(d, b"x", 0))
            assert is_refused(lambda d=descriptor: os.ftruncate(d, 0))
            assert is_refused(lambda d=descriptor: os.posix_fallocate(d, 0, 1 << 20))
            assert is_refused(
                lambda d=descriptor: mmap.mmap(d, 0, mmap.MAP_SHARED, mmap.PROT_WRITE)
            )
            assert is_refused(lambda a=again: _write_anew(a))
            assert is_refused(lambda a=again: os.truncate(a, 0))
            assert is_refused(lambda d=descriptor: fcntl.fcntl(d, fcntl.F_ADD_SEALS, 0))
            assert os.pread(descriptor, 10_000, 0) == path.read_bytes()


def _write_anew(path):
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


def test_the_path_of_a_descriptor_says_nothing_of_the_data_folder(shards):
    with Handover(shards, None, PLENTY) as handover:
        for descriptor, path in zip(handover.descriptors, shards, strict=True):
            assert where(descriptor) == f"/memfd:{path.name} (deleted)"


def test_data_larger_than_a_quarter_of_memory_is_not_copied_and_says_so(shards):
    total = sum(path.stat().st_size for path in shards)
    with Handover(shards, None, 4 * total) as handover:
        assert handover.hidden
    for memory_bytes in (4 * total - 1, 0):
        with Handover(shards, None, memory_bytes) as handover:
            assert not handover.hidden
            for descriptor, path in zip(handover.descriptors, shards, strict=True):
                assert where(descriptor) == str(path)
                assert os.pread(descriptor, 10_000, 0) == path.read_bytes()
                assert is_refused(lambda d=descriptor: os.write(d, b"x"))


def test_descriptors_are_closed_afterwards_and_not_inherited_before(shards):
    before = len(os.listdir("/proc/self/fd"))
    with Handover(shards, None, PLENTY) as handover:
        assert len(os.listdir("/proc/self/fd")) == before + len(shards)
        assert not any(os.get_inheritable(descriptor) for descriptor in handover.descriptors)
        child = subprocess.run(
            [sys.executable, "-I", "-S", "-c", LISTING],
            close_fds=False,
            capture_output=True,
            text=True,
        )
        assert "pipe:" in child.stdout
        assert "memfd" not in child.stdout
    assert len(os.listdir("/proc/self/fd")) == before


def test_more_files_than_one_message_carries_are_refused(shards):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DataError, match=f"{MAX_FILES + 1} train files.*build larger shards"):
        Handover([shards[0]] * MAX_FILES, shards[1], PLENTY)
    assert len(os.listdir("/proc/self/fd")) == before
    with Handover([shards[0]] * (MAX_FILES - 1), shards[1], PLENTY) as handover:
        assert len(handover.descriptors) == MAX_FILES
