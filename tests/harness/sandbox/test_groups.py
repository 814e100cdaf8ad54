"""Control groups: which hierarchy is taken, which limits are set, that none stays; and a real one."""

import os
import time
from pathlib import Path

import pytest

from harness.clock import Deadline
from harness.sandbox import groups
from harness.sandbox.groups import Group, create
from tests import cells

FILES = {
    "cgroup2": "memory.max memory.swap.max memory.oom.group pids.max memory.events".split(),
    "memory": "memory.limit_in_bytes memory.memsw.limit_in_bytes memory.oom_control".split(),
    "pids": ["pids.max"],
}


class Kernel:
    """A kernel's control groups, below a folder: what makes a group makes its files."""

    def __init__(self, root, monkeypatch):
        self.root, self.own, self.absent = root, {}, set()
        self._kinds = {}
        self._mkdir, self._rmdir = Path.mkdir, Path.rmdir
        monkeypatch.setattr(groups, "_mounts", self.mounts)
        monkeypatch.setattr(groups, "_own_path", self.own.get)
        monkeypatch.setattr(Path, "mkdir", lambda path, **_: self.mkdir(path))
        monkeypatch.setattr(Path, "rmdir", lambda path: self.rmdir(path))

    def mount(self, name, own="/"):
        where = self.root / name
        os.makedirs(where / own.lstrip("/"))  # noqa: PTH103 - Path's is the kernel's here
        self._kinds[name] = where
        self.own["" if name == "cgroup2" else name] = own
        return where

    def mounts(self, kind):
        if kind == "cgroup2":
            return [(where, []) for name, where in self._kinds.items() if name == kind]
        return [(where, ["rw", name]) for name, where in self._kinds.items() if name != "cgroup2"]

    def mkdir(self, path):
        os.mkdir(path)  # noqa: PTH102
        name = path.relative_to(self.root).parts[0]
        for file in FILES[name]:
            if file not in self.absent and f"{path.parent.name}/{file}" not in self.absent:
                (path / file).touch()

    def rmdir(self, path):
        if path.is_dir():
            for file in path.iterdir():
                file.unlink()
        self._rmdir(path)

    def groups(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("mine"))


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    return Kernel(tmp_path, monkeypatch)


def test_version_2_at_the_top(kernel):
    where = kernel.mount("cgroup2")
    made = create("mine", 1000, 50)
    assert made == Group(version=2, memory=str(where / "mine"), folders=(str(where / "mine"),))
    said = {name: (where / "mine" / name).read_text() for name in FILES["cgroup2"][:4]}
    assert said == {
        "memory.max": "1000",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "50",
    }
    assert made.remove()
    assert kernel.groups() == []


def test_version_2_beside_ones_own_group_where_the_top_hands_nothing_down(kernel):
    kernel.mount("cgroup2", "/app.slice/run.scope")
    kernel.absent.add("cgroup2/memory.max")
    assert create("mine", 1000, 50)
    assert kernel.groups() == ["cgroup2/app.slice/mine"]


@pytest.mark.parametrize("file", ["memory.max", "pids.max"])
def test_a_controller_that_is_not_there_leaves_no_group(kernel, file):
    kernel.mount("cgroup2")
    kernel.absent.add(file)
    assert create("mine", 1000, 50) is None
    assert kernel.groups() == []


@pytest.mark.parametrize("file", ["memory.swap.max", "memory.oom.group"])
def test_a_kernel_without_swap_limits_is_one_all_the_same(kernel, file):
    kernel.mount("cgroup2")
    kernel.absent.add(file)
    assert create("mine", 1000, 50) is not None


def test_version_1_takes_two_hierarchies_each_below_ones_own_group(kernel):
    kernel.mount("cgroup2")
    kernel.absent.add("memory.max")
    memory, pids = kernel.mount("memory", "/a/b"), kernel.mount("pids", "/")
    made = create("mine", 1000, 50)
    assert made is not None
    assert (made.version, made.memory) == (1, str(memory / "a" / "b" / "mine"))
    assert made.folders == (made.memory, str(pids / "mine"))
    assert (memory / "a" / "b" / "mine" / "memory.limit_in_bytes").read_text() == "1000"
    assert (memory / "a" / "b" / "mine" / "memory.memsw.limit_in_bytes").read_text() == "1000"
    assert (pids / "mine" / "pids.max").read_text() == "50"


@pytest.mark.parametrize("absent", ["memory.limit_in_bytes", "pids.max"])
def test_half_of_version_1_is_none_of_it(kernel, absent):
    kernel.mount("memory")
    kernel.mount("pids")
    kernel.absent.add(absent)
    assert create("mine", 1000, 50) is None
    assert kernel.groups() == []


def test_without_any_hierarchy_there_is_no_group(kernel):
    assert create("mine", 1000, 50) is None


def test_what_the_kernel_says_is_read(tmp_path):
    group = Group(version=2, memory=str(tmp_path), folders=(str(tmp_path),))
    assert group.killed_for_memory() == 0
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 1\n")
    assert group.killed_for_memory() == 2
    old = Group(version=1, memory=str(tmp_path), folders=(str(tmp_path),))
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
    assert old.killed_for_memory() == 4


def test_no_file_is_made_where_the_kernel_has_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        Group(version=2, memory=str(tmp_path), folders=(str(tmp_path),)).join()
    assert list(tmp_path.iterdir()) == []


def test_mounts_and_ones_own_path_are_those_of_the_kernel():
    if not Path("/sys/fs/cgroup").is_dir():
        pytest.skip("no control groups here")
    mounts = [where for kind in ("cgroup", "cgroup2") for where, _ in groups._mounts(kind)]
    assert all(where.is_dir() for where in mounts)
    for where, options in groups._mounts("cgroup"):
        if "memory" in options:
            own = groups._own_path("memory")
            tasks = (where / own.lstrip("/") / "cgroup.procs").read_text().split()
            assert str(os.getpid()) in tasks


# --- a real one ---


@pytest.fixture
def real():
    if not cells.mechanisms().group_version:
        pytest.skip("no control group can be made here")
    made = create(groups.named("test"), 64 << 20, 20)
    assert made is not None
    yield made
    patience = Deadline(5.0)
    while not made.remove() and not patience.passed:
        time.sleep(0.01)
    assert not any(Path(folder).exists() for folder in made.folders)


def in_group(group, act):
    """Return how a child in the group ends."""
    child = os.fork()
    if child == 0:
        try:
            group.join()
            act()
        except BaseException:
            os._exit(9)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_memory_ends_at_the_limit(real):
    assert in_group(real, lambda: bytearray(b"x") * (32 << 20)) == 0
    assert real.killed_for_memory() == 0
    assert in_group(real, lambda: bytearray(b"x") * (128 << 20)) == -9
    assert real.killed_for_memory() >= 1


def test_memory_files_count(real):
    def fill():
        descriptor = os.memfd_create("x")
        for _ in range(128):
            os.write(descriptor, bytes(1 << 20))

    assert in_group(real, fill) == -9


def test_no_more_processes_than_the_limit(real):
    def multiply():
        children = []
        try:
            for _ in range(30):
                child = os.fork()
                if child == 0:
                    time.sleep(60)
                    os._exit(0)
                children.append(child)
        except BlockingIOError:
            pass
        for child in children:
            os.kill(child, 9)
            os.waitpid(child, 0)
        os._exit(100 + len(children))

    assert in_group(real, multiply) == 119


def test_a_group_with_processes_in_it_stays(real, monkeypatch):
    monkeypatch.setattr(groups, "REMOVE_S", 0.05)
    ready, wait = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(wait[1])
        real.join()
        os.write(ready[1], b"x")
        os.read(wait[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    assert not real.remove()
    for descriptor in (*ready, *wait):
        os.close(descriptor)
    os.waitpid(child, 0)
