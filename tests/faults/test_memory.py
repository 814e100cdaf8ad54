"""Out of memory: the submission ends, in whatever phase it is, with what it did; the judge does not."""

import pytest

from harness.errors import EXIT_RULE_BROKEN
from tests import cells
from tests.faults.minis import mini, rules

LIMIT_BYTES = 200 << 20
HOG = "hoard = []\nwhile True: hoard.append(bytearray(b'x') * (8 << 20))"
HERD = f"""
while True:
    if os.fork() == 0:
        hoard = bytearray(b'x') * {LIMIT_BYTES // 3}
        while True: time.sleep(60)
    time.sleep(0.05)
"""
SHARED = """
import mmap
file = os.open('/dev/shm/fault', os.O_CREAT | os.O_RDWR)
while True: os.write(file, bytes(1 << 20))
"""


@pytest.fixture(scope="module")
def tight(tmp_path_factory):
    return rules(tmp_path_factory.mktemp("tight"), memory_bytes=LIMIT_BYTES)


@pytest.mark.parametrize("place", ["start", "train", "load", "score", "challenge"])
def test_in_each_phase(bench, tight, tmp_path, place):
    ended = bench.judge(mini(tmp_path / "mine", **{place: HOG}), tight)
    assert ended.status == EXIT_RULE_BROKEN, ended.err
    (message,) = ended.findings("FAIL").values()
    if cells.mechanisms().group_version:
        assert "it ran out of memory" in message
    else:
        assert "bytes of memory" in message
    assert "are its limit, and everything was killed" in message


@cells.each_level
def test_by_many_processes_of_which_none_is_too_large(bench, tight, tmp_path, level):
    """Those that the kernel spared are not left: what is said of one is said of all."""
    cells.skip_without(level)
    ended = bench.judge(mini(tmp_path / "mine", train=HERD), tight, level)
    assert ended.status == EXIT_RULE_BROKEN, ended.err
    assert "are its limit, and everything was killed" in ended.findings("FAIL")["time.train"]


@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_shared_memory_counts_and_is_emptied(bench, tight, tmp_path, level):
    """A disk of its own that is full, or memory that is: either way the submission's own trouble."""
    cells.skip_without(level)
    ended = bench.judge(mini(tmp_path / "mine", train=SHARED), tight, level)
    assert ended.status == EXIT_RULE_BROKEN, ended.err
    message = ended.findings("FAIL")["time.train"]
    assert any(
        words in message for words in ("ran out of memory", "No space left", "Permission denied")
    )
