"""The instrument itself: what is planted is found, and named."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from harness.sandbox import groups, leftovers
from harness.sandbox.mechanisms import USER_BASE, USERS_OF_A_JUDGE
from tests.faults import machine
from tests.faults.bench import tmpfs, unmount

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and control groups need root")
SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def nobody():
    """A process id that nobody has."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


@pytest.mark.parametrize("told_by", ["cwd", "environment", "command line"])
def test_a_process_is_found(tmp_path, told_by):
    before = machine.snapshot(tmp_path, ())
    line = [sys.executable, "-c", SLEEP, *([str(tmp_path)] if told_by == "command line" else [])]
    env = {"WHERE": str(tmp_path)} if told_by == "environment" else {}
    child = subprocess.Popen(line, env=env, cwd=tmp_path if told_by == "cwd" else "/")
    try:
        (found,) = machine.left(before, tmp_path, in_s=0.1)
        assert found.startswith(f"left in processes: {child.pid}: ")
    finally:
        child.kill()
        child.wait()
    assert machine.left(before, tmp_path) == []


@as_root
def test_a_process_of_a_cell_whose_judge_is_gone_is_found(tmp_path, nobody):
    before = machine.snapshot(tmp_path, ())
    user = USER_BASE + nobody * USERS_OF_A_JUDGE + 7
    child = subprocess.Popen(["/bin/sleep", "60"], user=user, group=user, cwd="/", env={})
    try:
        assert machine.left(before, tmp_path, [os.getpid()], in_s=0.1) == []
        (found,) = machine.left(before, tmp_path, [nobody], in_s=0.1)
        assert "sleep 60" in found
    finally:
        child.kill()
        child.wait()


@as_root
def test_a_mount_is_found(tmp_path):
    before = machine.snapshot(tmp_path, ())
    try:
        tmpfs(tmp_path / "disk", 1 << 20)
    except subprocess.CalledProcessError:
        pytest.skip("nothing may be mounted here")
    try:
        (found,) = machine.left(before, tmp_path, in_s=0.1)
        assert found.startswith("left in mounts: harness-test ")
    finally:
        unmount(tmp_path / "disk")
    assert machine.left(before, tmp_path) == []


@pytest.mark.parametrize(
    "name", ["work", "trial", ".nats.f64.partial", "harness-trial-x", ".probe-1"]
)
def test_a_file_of_a_step_is_found(tmp_path, name):
    before = machine.snapshot(tmp_path, ())
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / name).write_text("")
    (tmp_path / "runs" / "one" / "nats.f64").write_text("")
    assert machine.left(before, tmp_path, in_s=0.1) == [
        f"left in files: {tmp_path}/runs/one/{name}"
    ]


@as_root
def test_what_a_killed_judge_and_keeper_leave_is_found_and_swept(tmp_path, nobody):
    """A group with a process in it, and a file in shared memory: both told by whose they are."""
    before = machine.snapshot(tmp_path, ())
    group = groups.create(groups.named("0").replace(f"-{os.getpid()}-", f"-{nobody}-"), 1 << 28, 64)
    if group is None:
        pytest.skip("no control group can be made here")
    child = subprocess.Popen(["/bin/sleep", "60"], preexec_fn=group.join, cwd="/", env={})
    shared = Path("/dev/shm", uuid.uuid4().hex)
    mine = Path("/dev/shm", uuid.uuid4().hex)
    user = USER_BASE + nobody * USERS_OF_A_JUDGE
    for path, owner in ((shared, user), (mine, USER_BASE + os.getpid() * USERS_OF_A_JUDGE)):
        path.mkdir()
        (path / "inside").touch()
        os.chown(path, owner, owner)
    own = groups.create(groups.named("test"), 1 << 28, 64)
    assert own is not None
    try:
        found = machine.left(before, tmp_path, [nobody, os.getpid()], in_s=0.1)
        assert {what.split(": ", 1)[1] for what in found} == {*group.folders, str(shared)}
        leftovers.sweep()
        assert machine.left(before, tmp_path, [nobody, os.getpid()], in_s=0.1) == []
        assert child.wait(5) == -9
        assert mine.exists()  # its judge lives
        assert all(Path(folder).exists() for folder in own.folders)
    finally:
        child.kill()
        child.wait()
        own.remove()
        group.remove()
        for path in (mine, shared):
            subprocess.run(["rm", "-rf", path], check=True)


@as_root
def test_a_group_that_another_judge_of_the_same_number_left_is_taken_over(tmp_path):
    name = groups.named("again")
    first = groups.create(name, 1 << 28, 64)
    if first is None:
        pytest.skip("no control group can be made here")
    second = groups.create(name, 1 << 27, 64)
    assert second == first
    assert second.remove()
