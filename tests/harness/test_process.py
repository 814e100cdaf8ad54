"""Process trees: how they start, what their keeper says of them, and that nothing survives `kill`."""

import json
import os
import resource
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

import harness
from harness import process
from harness.clock import Deadline, Stopwatch, sleep
from harness.errors import ManifestError
from harness.sandbox.programs import PATH, resolve
from harness.session import ProtocolBreach
from tests import cells
from tests.harness.trees import planted
from tests.processes import all_gone, appear, carrying

ROOT = Path(harness.__file__).parents[1]

DAEMON = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2):
            os.close(fd)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True: time.sleep(60)
    os._exit(0)
os.wait()
print("out", flush=True)
"""

# --- how a command starts ---

PROBE = """
import json, os, resource, signal, stat
print(json.dumps({
    "fds": sorted(os.listdir("/proc/self/fd")),  # one more: the listing itself
    "stdin_is_socket": stat.S_ISSOCK(os.fstat(0).st_mode),
    "environ": open("/proc/self/environ").read().split("\\0")[:-1],
    "pid": os.getpid(), "sid": os.getsid(0), "pgid": os.getpgid(0), "cwd": os.getcwd(),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "status": [l for l in open("/proc/self/status") if l.startswith(("NoNewPrivs", "SigBlk", "SigIgn"))],
    "oom": open("/proc/self/oom_score_adj").read().strip(),
    "caps": [l.split()[1] for l in open("/proc/self/status") if l.startswith("Cap")],
}))
try:
    print(open(f"/proc/{os.getppid()}/environ").read())  # it holds nothing, and is closed besides
except PermissionError:
    pass
"""


def test_a_command_starts_with_what_it_was_given_and_nothing_else(tmp_path):
    given = {"LANG": "C.UTF-8", "EMPTY": "", "ODD": "a=b\nc é"}
    with planted(PROBE, tmp_path, env=given) as run:
        assert run.tree.wait_gone(Deadline(20.0))
        first, rest = run.stdout().split("\n", 1)
        said = json.loads(first)
        assert run.tree.exit_status == 0
    assert said["fds"] == ["0", "1", "2", "3"]
    assert said["stdin_is_socket"]
    assert sorted(said["environ"]) == sorted(
        f"{name}={value}" for name, value in {"MARKER": run.marker, **given}.items()
    )
    assert said["pid"] == said["sid"] == said["pgid"]
    assert said["cwd"] == str(run.own)
    assert said["core"] == [0, 0]
    ceiling = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 65536 if ceiling == resource.RLIM_INFINITY else min(65536, ceiling)
    assert said["files"] == [wanted, wanted]
    status = {line.split()[0]: line.split()[1] for line in said["status"]}
    assert status["NoNewPrivs:"] == "1"
    assert int(status["SigBlk:"], 16) == 0
    assert (
        int(status["SigIgn:"], 16) & ~(1 << (signal.SIGPIPE - 1)) & ~(1 << (signal.SIGXFSZ - 1))
        == 0
    )
    assert said["oom"] == "1000"
    assert rest.strip() == ""
    assert {int(capabilities, 16) for capabilities in said["caps"]} == {0}


@cells.each_level
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("pass", 0),
        ("import os; os._exit(3)", 3),
        ("import os; os._exit(255)", 255),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -11),
    ],
)
def test_the_exit_status_is_that_of_the_command(tmp_path, code, status, level):
    with planted(code, tmp_path, level=level) as run:
        assert run.tree.wait_exited(Deadline(20.0))
        assert run.tree.exit_status == status
        assert run.tree.left_behind == 0
        assert run.tree.wait_gone(Deadline(20.0))


def test_a_file_that_cannot_be_executed_says_so(tmp_path):
    (tmp_path / "script").write_text("not a program")
    with planted("", tmp_path, command=["../script"]) as run:
        assert run.tree.wait_gone(Deadline(20.0))
        assert run.tree.exit_status == 126
        assert "cannot start" in run.stderr()


def test_a_program_is_found_on_the_judges_path_or_beside_the_command(tmp_path):
    (tmp_path / "mine").write_text("")
    assert resolve(["python", "x"], tmp_path) == [str(Path(PATH.split(":")[0]) / "python"), "x"]
    assert resolve(["./mine"], tmp_path) == [str(tmp_path / "./mine")]
    for missing in ("no-such-program", "./absent", "mine"):
        with pytest.raises(ManifestError, match=r"no such program"):
            resolve([missing], tmp_path)


@cells.each_level
def test_the_channel_ends_when_the_command_does(tmp_path, level):
    """The keeper holds no copy of it: a scorer that ended is noticed at once, not at the deadline."""
    with planted(DAEMON, tmp_path, level=level) as run:
        with pytest.raises(ProtocolBreach, match="ended"):
            run.channel.receive(17, memoryview(b""))
        assert run.tree.wait_exited(Deadline(20.0))
        assert not run.tree.gone


@cells.each_level
def test_left_behind_and_the_memory_of_the_largest_process(tmp_path, level):
    code = """
    import os, time
    for _ in range(3):
        if os.fork() == 0:
            time.sleep(60)
    ballast = b"x" * (64 << 20)
    """
    with planted(code, tmp_path, level=level) as run:
        assert run.tree.wait_exited(Deadline(20.0))
        assert (run.tree.exit_status, run.tree.left_behind) == (0, 3)
        assert not run.tree.gone
    assert run.tree.gone
    assert carrying(run.marker) == []
    assert run.tree.peak_rss_mb is not None
    assert 64 < run.tree.peak_rss_mb < 200


# --- nothing survives ---

STUBBORN = """
import os, signal, time
for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
for depth in range(6):
    if os.fork(): break
    if depth % 2: os.setsid()
print("out", flush=True)
while True: time.sleep(60)
"""
BOMB = """
import os, time
born = os.open("born", os.O_CREAT | os.O_RDWR)
print("out", flush=True)
while os.lseek(born, 0, os.SEEK_END) < 100:
    os.write(born, b".")
    if os.fork() == 0: os.setsid()
while True: time.sleep(60)
"""
STOPPED = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    os.kill(os.getpid(), signal.SIGSTOP)
print("out", flush=True)
while True: time.sleep(60)
"""
CHAIN = """
import os, time
if os.fork(): time.sleep(60)
os.setsid()
print("out", flush=True)
while True:
    if os.fork(): os._exit(0)
"""


@cells.each_level
@pytest.mark.parametrize("code", [DAEMON, STUBBORN, BOMB, STOPPED, CHAIN])
def test_nothing_survives_kill(tmp_path, code, level):
    with planted(code, tmp_path, level=level) as run:
        run.wait_for("out")
        if code is not CHAIN:  # of which one lives at a time, under ever new numbers
            assert appear(run.marker, {BOMB: 100, STUBBORN: 7, DAEMON: 1}.get(code, 2))
        watch = Stopwatch()
        run.tree.kill()
        assert watch.elapsed_s < 8.0
        assert run.tree.gone
        assert run.tree.survivors == 0
        assert carrying(run.marker) == []


def test_kill_is_harmless_when_nothing_is_left_and_when_said_twice(tmp_path):
    with planted("pass", tmp_path) as run:
        assert run.tree.wait_gone(Deadline(20.0))
        run.tree.kill()
        run.tree.kill()
    assert run.tree.exit_status == 0


def test_waiting_for_a_tree_that_lives_on_ends_at_the_deadline(tmp_path):
    with planted(DAEMON, tmp_path) as run:
        assert run.tree.wait_exited(Deadline(20.0))
        watch = Stopwatch()
        assert not run.tree.wait_gone(Deadline(0.2))
        assert 0.2 <= watch.elapsed_s < 2.0
        assert run.tree.left_behind == 1


# --- when the judge dies ---

JUDGE = """
import sys, time
from pathlib import Path
from harness.process import Tree
from harness.session import socket_pair
from harness.sandbox.cell import Folders
from harness.sandbox.start import own_folder
from tests import cells
code, folder, marker, level = sys.argv[1:]
ours, theirs = socket_pair()
own = Path(folder) / "own"
own.mkdir()
policy = cells.sandbox(level).policy(
    [sys.executable, "-I", "-S", "-c", code], {"MARKER": marker},
    Folders(cwd=own, writable=(own,), private=(own,)), loopback=False)
own_folder(own, policy)
tree = Tree(policy, logs=Path(folder) / "log", channel=theirs)
time.sleep(60)
"""


@cells.each_level
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_tree_goes_when_the_judge_dies(tmp_path, number, level):
    """And with it the folder that was the command's alone, and its control group."""
    cells.skip_without(level)
    marker, log = f"marker-{uuid.uuid4().hex}", tmp_path / "log.stdout"
    judge = subprocess.Popen(
        [sys.executable, "-c", JUDGE, DAEMON, str(tmp_path), marker, level],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        patience = Deadline(20.0)
        while not (log.exists() and "out" in log.read_text()) and not patience.passed:
            sleep(0.01)
        # The judge itself names the marker in its command line, the daemon in its environment.
        assert appear(marker, 2)
    finally:
        judge.send_signal(number)
        judge.wait(20)
    assert all_gone(marker)
    patience = Deadline(5.0)
    while (tmp_path / "own").exists() and not patience.passed:
        sleep(0.01)
    assert not (tmp_path / "own").exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/harness-{judge.pid}-*"))


# --- when the submission turns on its keeper ---

PARENTS = """
import os, signal, time
shim = os.getppid()
keeper = int(open(f"/proc/{shim}/stat").read().rsplit(")", 1)[1].split()[1])
"""
KILLS = """
target = {}
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("out", flush=True)
        os.kill(target, signal.SIGKILL)
        while True: time.sleep(60)
    os._exit(0)
time.sleep(60)
"""
STOPS_KEEPER = """
if os.fork() == 0:
    os.setsid()
    while True:
        os.kill(keeper, signal.SIGSTOP)
print("out", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("target", ["keeper", "shim"])
def test_a_keeper_killed_by_its_submission_is_noticed_and_the_tree_swept(tmp_path, target):
    """As it can be where nothing isolates: elsewhere neither can be signalled."""
    with planted(PARENTS + KILLS.format(target), tmp_path) as run:
        watch = Stopwatch()
        assert run.tree.wait_gone(Deadline(20.0))
        assert watch.elapsed_s < 10.0
        assert run.tree.exit_status is None  # nobody saw it end: never a success
        assert run.tree.keeper_killed
        assert carrying(run.marker) == []
    assert run.tree.survivors == 0


def test_a_keeper_killed_while_the_judge_is_waiting_for_its_sweep(tmp_path):
    """The judge's `kill` lies unread in the socket of a dead keeper."""
    with planted(PARENTS + STOPS_KEEPER, tmp_path) as run:
        assert appear(run.marker, 2)
        run.tree._control.send(b"kill")
        os.kill(run.tree._keeper.pid, signal.SIGKILL)
        assert run.tree.wait_gone(Deadline(10.0))
    assert carrying(run.marker) == []


def test_a_keeper_stopped_by_its_submission_does_not_stop_the_judge(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "PATIENCE_S", 0.5)
    with planted(PARENTS + STOPS_KEEPER, tmp_path) as run:
        assert appear(run.marker, 2)  # the command and its child
        sleep(0.1)
        watch = Stopwatch()
        run.tree.kill()
        assert watch.elapsed_s < 6.0
        assert carrying(run.marker) == []
        assert run.tree.survivors == 0
