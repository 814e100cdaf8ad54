"""What a cell may take of the machine, leave to the next one, and do to its shim."""

import os
from dataclasses import replace

import pytest

from harness.clock import Deadline
from tests import cells
from tests.harness.trees import planted

INSIDE = ["namespaces", "landlock"]

# --- limits ---

EATS = """
held = []
for _ in range(64):
    held.append(bytearray(b"x") * (16 << 20))
print("ate it all")
"""
EATS_IN_A_CHILD = """
import os, time
if os.fork() == 0:
    held = []
    for _ in range(64):
        held.append(bytearray(b"x") * (16 << 20))
time.sleep(60)
"""


@cells.each_level
@pytest.mark.parametrize("code", [EATS, EATS_IN_A_CHILD])
def test_too_much_memory_ends_the_whole_tree_and_says_so(tmp_path, code, level):
    limits = replace(cells.LIMITS, memory_bytes=256 << 20)
    with planted(code, tmp_path, level=level, limits=limits) as run:
        assert run.tree.wait_gone(Deadline(30.0))
        assert run.tree.excess is not None
        assert run.tree.excess.endswith(f"; {256 << 20} are its limit")
        assert "ate it all" not in run.stdout()


MULTIPLIES = """
import os, time
for count in range(200):
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    except OSError:
        break
print(count, flush=True)
"""


@cells.each_level
def test_no_more_processes_than_allowed(tmp_path, level):
    box = cells.sandbox(level)
    if not box.mechanisms.group_version and not box.own_users:
        pytest.skip("neither a control group nor a user of its own counts them here")
    limits = replace(cells.LIMITS, processes=50)
    with planted(MULTIPLIES, tmp_path, level=level, limits=limits) as run:
        assert run.tree.wait_exited(Deadline(30.0))
        run.tree.kill()
        assert 30 < int(run.stdout()) <= 50


@cells.each_level
def test_no_file_is_larger_than_the_limit_of_the_disk(tmp_path, level):
    limits = replace(cells.LIMITS, disk_bytes=4096)
    code = """
    import os
    big = os.open("big", os.O_CREAT | os.O_WRONLY)
    os.write(big, bytes(8192))
    os.write(big, b"x")
    """
    with planted(code, tmp_path, level=level, limits=limits) as run:
        assert run.tree.wait_gone(Deadline(20.0))
        assert "File too large" in run.stderr()
    assert (run.own / "big").stat().st_size == 4096


# --- one after the other ---

LEAVES = """
import os, time
for place in ("/dev/shm", "/tmp", "/var/tmp", os.getcwd(), os.path.dirname(os.getcwd())):
    try:
        with open(place + "/left-behind", "w") as file:
            file.write("answers")
        os.chmod(place + "/left-behind", 0o666)
    except OSError:
        pass
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
"""
FINDS = """
import os
for place in ("/dev/shm", "/tmp", "/var/tmp", os.getcwd(), os.path.dirname(os.getcwd())):
    try:
        open(place + "/left-behind").close()
        print("found it in", place)
    except OSError:
        pass
print("looked", flush=True)
"""


@pytest.mark.parametrize("level", INSIDE)
def test_two_cells_share_nothing(tmp_path, level):
    with planted(LEAVES, tmp_path, level=level) as run:
        assert run.tree.wait_exited(Deadline(20.0))
        assert run.tree.left_behind == 1
    with planted(FINDS, tmp_path, level=level) as other:
        assert other.tree.wait_gone(Deadline(20.0))
        assert other.stdout() == "looked\n"
    assert list(tmp_path.rglob("left-behind")) == [run.own / "left-behind"]


# --- what the command might do to its keeper and its shim ---

SIGNALS = """
import os, signal
for number in sorted(signal.valid_signals()):
    for target in (os.getppid(), 1):
        try:
            os.kill(target, number)
        except OSError:
            pass
print("alive", flush=True)
"""


@pytest.mark.parametrize("level", INSIDE)
def test_the_shim_takes_no_signal_from_its_command(tmp_path, level):
    """Process 1 of a namespace is safe but for signals that it handles, as Python does SIGINT."""
    if level == "landlock" and os.geteuid() == 0 and not cells.mechanisms().landlock_abi >= 6:
        pytest.skip("this Landlock lets signals out")
    with planted(SIGNALS, tmp_path, level=level) as run:
        assert run.tree.wait_gone(Deadline(20.0))
        assert run.stdout() == "alive\n"
        assert run.tree.exit_status == 0
        assert not run.tree.keeper_killed


@pytest.mark.parametrize("level", INSIDE)
def test_a_tree_that_is_killed_is_no_tree_whose_shim_was(tmp_path, level):
    with planted(
        "import time; print('up', flush=True); time.sleep(60)", tmp_path, level=level
    ) as run:
        run.wait_for("up")
        run.tree.kill()
        assert not run.tree.keeper_killed
