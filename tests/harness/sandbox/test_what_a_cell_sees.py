"""A cell from inside, at each level that works here: one process looks around, the tests judge that."""

import itertools
import json
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from harness import packages
from harness.clock import Deadline
from harness.process import running
from harness.sandbox.cell import Folders
from harness.sandbox.sight import texts
from harness.sandbox.start import environment
from tests import cells

INSIDE = ["namespaces", "landlock"]

LOOKS = r"""
import errno, json, multiprocessing, os, socket, subprocess, sys, tempfile, threading
from pathlib import Path

facts = json.loads(sys.argv[1])
found = {}

def tried(name):
    def run(attempt):
        try:
            found[name] = attempt()
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return run

for folder in facts["folders"]:
    tried("ls " + folder)(lambda: sorted(os.listdir(folder)))
for file in facts["files"]:
    tried("cat " + file)(lambda: Path(file).read_bytes() and "read")
for place in facts["places"]:
    tried("touch " + place)(lambda: Path(place, "mark").write_text("x") and "written")
for name in facts["imports"]:
    sys.path[:0] = facts["sites"]
    tried("import " + name)(lambda: bool(__import__(name).__file__))

@tried("status")
def _():
    lines = Path("/proc/self/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

@tried("descriptors")
def _():
    return len(os.listdir("/proc/self/fd")) - 1

@tried("temporary")
def _():
    with tempfile.NamedTemporaryFile() as file:
        return file.name

@tried("shared memory")
def _():
    there = os.listdir("/dev/shm")
    Path("/dev/shm/left").write_text("x")
    return there

@tried("lock")
def _():
    with multiprocessing.Lock():
        return "locked"

@tried("thread")
def _():
    said = []
    thread = threading.Thread(target=said.append, args=("ran",))
    thread.start()
    thread.join()
    return said[0]

@tried("process")
def _():
    return subprocess.run(["/bin/sh", "-c", "echo ran"], capture_output=True, text=True).stdout.strip()

@tried("compiler")
def _():
    Path("x.c").write_text("int main(void) { return 7; }")
    subprocess.run(["cc", "x.c", "-o", "x"], check=True, capture_output=True)
    return subprocess.run(["./x"]).returncode

@tried("localhost")
def _():
    return sorted({where[0] for *_, where in socket.getaddrinfo("localhost", 1)})

@tried("loopback")
def _():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=5):
            return "connected"

@tried("core")
def _():
    child = os.fork()
    if child == 0:
        os.abort()
    os.waitpid(child, 0)
    return [name for name in os.listdir(".") if name.startswith("core")]

@tried("processes")
def _():
    mine = int(facts["judge"])
    return mine in map(int, filter(str.isdigit, os.listdir("/proc")))

print(json.dumps(found))
"""


def uncounted():
    """Return a file of prose of this machine and a wheel of its interpreter, where there are any."""
    prose = (path for folder in texts() for path in folder.rglob("*") if path.is_file())
    wheels = Path(os.__file__).with_name("ensurepip").glob("_bundled/*.whl")
    return [str(path) for found in (prose, wheels) for path in list(itertools.islice(found, 1))]


def look(level, folder, *, loopback=False):
    """Return what a process in a cell found, by what it looked at."""
    cells.skip_without(level)
    pinned = cells.pinned("packaging")
    entries = packages.readable(pinned)
    judge, own = folder / "judge", folder / "own"
    judge.mkdir(mode=0o700)
    for name in ("data/val", "runs/1"):
        (judge / name).mkdir(parents=True)
        (judge / name / "secret").write_text("what no submission may read")
    for name in ("", "home", "tmp"):
        (own / name).mkdir()
    secrets = [str(judge / "data" / "val" / "secret"), str(judge / "runs" / "1" / "secret")]
    facts = {
        "folders": [
            *"/ /etc /dev /root /home /tmp /var/tmp /run /sys/fs/cgroup".split(),
            str(judge),
        ],
        "files": [
            *"/etc/shadow /etc/passwd /proc/kcore /proc/1/environ /proc/vmstat".split(),
            *secrets,
            *uncounted(),
        ],
        "places": ["/", "/usr", "/etc", "/sys", "/var/tmp", str(folder), str(judge), str(own)],
        "imports": ["packaging", "pytest", "harness"],
        "sites": [
            entries[0].parent.as_posix(),
            *{str(p) for p in map(Path, sys.path) if p.is_dir()},
        ],
        "judge": os.getpid(),
    }
    box = replace(cells.sandbox(level), sight=cells.sandbox(level, entries=entries).sight)
    command = [sys.executable, "-I", "-S", "-c", LOOKS, json.dumps(facts)]
    env = environment(own / "home", own / "tmp", {})
    folders = Folders(cwd=own, writable=(own,), private=(own,))
    logs = folder / "log"
    with running(box, command, env, folders, logs=logs, loopback=loopback) as (tree, _):
        assert tree.wait_gone(Deadline(60.0))
    said = Path(f"{folder}/log.stdout").read_text()
    assert said, Path(f"{folder}/log.stderr").read_text()
    return {**json.loads(said), "own": own, "judge": judge, "secrets": secrets}


@pytest.fixture(scope="module", params=INSIDE)
def seen(request):
    """What is seen; its folder is open to all, as a run's must be where cells have users of their own."""
    folder = Path(tempfile.mkdtemp(prefix="harness-seen-")).resolve()
    folder.chmod(0o755)
    try:
        yield {**look(request.param, folder), "level": request.param}
    finally:
        shutil.rmtree(folder)


def refused(said):
    return isinstance(said, str) and said.startswith(
        ("PermissionError", "FileNotFoundError", "OSError", "ModuleNotFoundError", "ImportError")
    )


def test_nothing_of_the_judge_can_be_read(seen):
    for path in (*seen["secrets"], "/etc/shadow", "/proc/kcore"):
        assert refused(seen[f"cat {path}"]), path
    assert refused(seen[f"ls {seen['judge']}"])
    for folder in ("/root", "/home", "/run"):
        said = seen[f"ls {folder}"]
        # A folder on the way to the interpreter is there, and holds nothing else.
        ways = {
            part
            for path in (sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve()))
            for part in Path(path).parts
        }
        assert refused(said) or set(said) <= ways | {"harness"}, folder


def test_nothing_but_its_own_folder_can_be_written(seen):
    for place in (
        "/",
        "/usr",
        "/etc",
        "/sys",
        "/var/tmp",
        str(seen["own"].parent),
        str(seen["judge"]),
    ):
        assert refused(seen[f"touch {place}"]), place
    assert seen[f"touch {seen['own']}"] == "written"
    assert Path(seen["temporary"]).parent == seen["own"] / "tmp"


def test_at_the_top_there_is_what_is_listed_and_no_more(seen):
    if seen["level"] == "landlock":
        assert refused(seen["ls /"])
        assert refused(seen["ls /etc"])
        assert refused(seen["ls /tmp"])
        return
    ways = {Path(path).parts[1] for path in (sys.prefix, sys.base_prefix, str(seen["own"]))}
    system = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "proc", "dev", "sys", "tmp"}
    assert set(seen["ls /"]) <= {*system, *ways, "etc", "run"}
    assert "shadow" not in seen["ls /etc"]
    assert not any("ssh" in name for name in seen["ls /etc"])
    assert set(seen["ls /tmp"]) <= {seen["own"].parts[2], Path(sys.prefix).parts[2]}


def test_of_devices_there_are_those_that_hold_nothing(seen):
    if seen["level"] == "landlock":
        assert refused(seen["ls /dev"])
    else:
        nothing = (
            "null zero full random urandom tty ptmx pts fd stdin stdout stderr core console shm"
        )
        gpus = {path.name for path in Path("/dev").glob("nvidia*")}
        assert set(seen["ls /dev"]) <= {*nothing.split(), *gpus}


def test_other_processes_cannot_be_looked_into(seen):
    assert seen["processes"] == (seen["level"] == "landlock")  # their numbers alone
    assert refused(seen["cat /proc/1/environ"])


def test_pinned_packages_can_be_imported_and_no_others(seen):
    assert seen["import packaging"] is True
    assert refused(seen["import pytest"])
    assert refused(seen["import harness"])


def test_it_has_no_privilege_and_cannot_get_one(seen):
    status = seen["status"]
    assert {int(status[name], 16) for name in status if name.startswith("Cap")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert seen["descriptors"] == 3


def test_it_is_another_user_where_root_can_arrange_it(seen):
    box = cells.sandbox(seen["level"])
    users = set(map(int, seen["status"]["Uid"].split()))
    groups = set(map(int, seen["status"]["Groups"].split()))
    if box.own_users:
        assert len(users) == 1
        assert min(users) > 10_000
        assert not groups
    else:
        assert users == {os.geteuid()}


def test_shared_memory_is_empty_or_closed(seen):
    if seen["level"] == "landlock" and not cells.sandbox("landlock").own_users:
        assert refused(seen["shared memory"])
    else:
        assert seen["shared memory"] == []
        assert seen["lock"] == "locked"
    assert not Path("/dev/shm/left").exists()


def test_what_honest_programs_need_works(seen):
    assert (seen["thread"], seen["process"]) == ("ran", "ran")
    assert "127.0.0.1" in seen["localhost"]
    if shutil.which("cc"):
        assert seen["compiler"] == 7


def test_no_core_is_left(seen):
    assert seen["core"] == []


def test_loopback_works_inside(seen):
    if seen["level"] == "namespaces":
        assert seen["loopback"] == "connected"
    else:
        assert refused(seen["loopback"])


def test_loopback_without_a_network_namespace_is_there_where_it_is_asked_for():
    folder = Path(tempfile.mkdtemp(prefix="harness-seen-")).resolve()
    folder.chmod(0o755)
    try:
        assert look("landlock", folder, loopback=True)["loopback"] == "connected"
    finally:
        shutil.rmtree(folder)


def test_text_and_packages_that_nobody_counts_cannot_be_read(seen):
    if not uncounted():
        pytest.skip("this machine has neither")
    for path in uncounted():
        assert seen[f"cat {path}"] != "read", path


def test_counters_that_carry_a_number_exactly_are_closed(seen):
    if seen["level"] != "namespaces":
        pytest.skip("Landlock cannot take one file out of /proc")
    assert seen["ls /sys/fs/cgroup"] == []
    assert "PermissionError" in seen["cat /proc/vmstat"]
