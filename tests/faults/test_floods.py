"""A submission that takes all it can of processes, logs and shared memory, and tries what it may not."""

from pathlib import Path

import pytest

from harness.errors import EXIT_PASS, EXIT_RULE_BROKEN
from harness.process import LOG_CAP_BYTES
from tests import cells
from tests.faults.minis import mini, rules

BOMB = """
born = os.open(out + "/born", os.O_CREAT | os.O_RDWR)
while os.lseek(born, 0, os.SEEK_END) < 150:
    os.write(born, b".")
    try:
        if os.fork() == 0: os.setsid()
    except OSError: pass
while True: time.sleep(60)
"""
TOO_MANY = """
born = []
try:
    while len(born) < 300:
        born.append(os.fork())
        while born[-1] == 0: time.sleep(60)
except OSError as error:
    for child in born: os.kill(child, signal.SIGKILL)
    sys.exit(f"refused after {len(born)}: {error}")
"""
TALK = """
for _ in range(400): os.write(1, b"x" * (1 << 16)); os.write(2, b"\\x1b[2J::error::y" * 4096)
"""
MOUNTS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
done = []
for flags in (0x00020000, 0x10000000 | 0x00020000):  # CLONE_NEWNS, with CLONE_NEWUSER
    if os.fork() == 0:
        worked = libc.unshare(flags) == 0
        for what in (b"tmpfs", b"proc"):
            worked |= libc.mount(what, os.environ["TMPDIR"].encode(), what, 0, None) == 0
        os._exit(worked)
    done.append(os.waitstatus_to_exitcode(os.wait()[1]))
print(done, libc.mount(b"tmpfs", out.encode(), b"tmpfs", 0, None), flush=True)
"""
SHARED = """
try:
    with open("/dev/shm/fault-MARK", "wb") as file: file.write(bytes(1 << 20))
    print("wrote", flush=True)
except OSError as error:
    print(error, flush=True)
"""


def test_a_bomb_of_processes_ends_with_its_phase(bench, tmp_path, level):
    ended = bench.judge(mini(tmp_path / "mine", train=BOMB), rules(tmp_path, train_s=1.0), level)
    assert ended.status == EXIT_RULE_BROKEN, ended.err
    assert "at the deadline" in ended.findings("FAIL")["time.train"]


def test_no_more_processes_than_the_ruleset_allows(bench, tmp_path):
    if not cells.mechanisms().group_version and not cells.mechanisms().own_user:
        pytest.skip("nothing here limits the processes of a tree")
    ended = bench.judge(mini(tmp_path / "mine", train=TOO_MANY), rules(tmp_path, processes=100))
    assert ended.status == EXIT_RULE_BROKEN, ended.err
    assert "its last line: refused after " in ended.findings("FAIL")["time.train"]


def test_a_log_of_any_length_is_cut_and_harmless(bench, quick, tmp_path):
    ended = bench.judge(mini(tmp_path / "mine", train=TALK, load=TALK), quick)
    assert ended.status == EXIT_PASS, ended.err
    assert "\x1b" not in ended.err
    logs = [path.stat().st_size for path in ended.run.rglob("*.std*")]
    assert len(logs) == 6
    assert max(logs) <= LOG_CAP_BYTES + 100


def test_what_it_mounts_is_nobodys_but_its_own(bench, quick, tmp_path, level):
    """Refused where anything isolates; else it may mount in a namespace of its own, which ends with it."""
    ended = bench.judge(mini(tmp_path / "mine", train=MOUNTS), quick, level)
    assert ended.status == EXIT_PASS, ended.err
    said = (ended.run / "seeds/5/logs/train.stdout").read_text()
    if level != "bare":
        assert said == "[0, 0] -1\n"
    assert said.endswith(" -1\n")


@cells.each_level
def test_shared_memory_is_empty_afterwards(bench, quick, tmp_path, level):
    """But where nothing isolates: there a file outlives its phase, as the report says under `ipc`."""
    cells.skip_without(level)
    mark = bench.place.name
    submission = mini(tmp_path / "mine", load=SHARED.replace("MARK", mark))
    ended = bench.judge(submission, quick, level)
    assert ended.status == EXIT_PASS, ended.err
    said = (ended.run / "seeds/5/logs/score.stdout").read_text()
    left = Path(f"/dev/shm/fault-{mark}")
    held = {line["name"]: line["state"] for line in ended.report["guarantees"]}
    if level == "bare":
        assert said == "wrote\n"
        assert held["ipc"] == "not enforced"
        assert bench.left(in_s=0.1) == [f"left in files: {left}"]
        left.unlink()
    else:
        assert said == "wrote\n" or "Permission denied" in said
        assert held["ipc"] != "not enforced"
