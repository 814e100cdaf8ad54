"""The shim, in a forked child: what it gives up, and whom it signals."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from harness.clock import Deadline, sleep
from harness.sandbox import shim

LOOK = """
import json, os
lines = open("/proc/self/status").read().splitlines()
status = dict(line.split(":\\t", 1) for line in lines if ":\\t" in line)
print(json.dumps({"status": status, "fds": os.listdir("/proc/self/fd"), "cwd": os.getcwd(),
                  "env": open("/proc/self/environ").read(), "sid": os.getsid(0) == os.getpid()}))
"""
USER = 1_234_567_890
KILLED = 128 + signal.SIGKILL
"""How the shim exits where its command was killed, and had not ended just before."""


def none_but_one(kill):
    """Refuse a signal to everybody: the keeper here is this test, of the same user as all around it."""

    def one(pid, number):
        if pid <= 0:
            os._exit(98)
        kill(pid, number)

    return one


class Run:
    """A shim in a child of this process, which is its keeper."""

    def __init__(self, command, folder, **policy):
        self.report, report = os.pipe()
        kill, self.kill = os.pipe()
        self.out = folder / "out"
        self.out.touch()
        self.pid = os.fork()
        if self.pid == 0:
            status = 99
            try:
                os.close(self.report)
                os.close(self.kill)
                os.kill = none_but_one(os.kill)
                out = os.open(self.out, os.O_RDWR)
                os.dup2(out, 1)
                os.dup2(out, 2)
                whole = {
                    "command": command,
                    "env": {"A": "b"},
                    "cwd": "/",
                    "user": None,
                    "limits": {},
                    "landlock": None,
                    "filter": "",
                    "channel": os.open(os.devnull, os.O_RDWR),
                } | policy
                status = shim.run(whole, report, kill)
            finally:
                os._exit(status)
        os.close(report)
        os.close(kill)

    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def said(self):
        events = b""
        while data := os.read(self.report, 4096):
            events += data
        return [json.loads(line) for line in events.splitlines()]

    def close(self):
        for descriptor in (self.report, self.kill):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def start(tmp_path):
    runs = []

    def begin(code, **policy):
        command = code if isinstance(code, list) else [sys.executable, "-I", "-S", "-c", code]
        runs.append(Run(command, tmp_path, **policy))
        return runs[-1]

    yield begin
    for run in runs:
        run.close()


def test_a_command_has_no_capability_and_gets_none(start):
    run = start(LOOK)
    assert run.wait() == 0
    seen = json.loads(run.out.read_text())
    status = seen["status"]
    assert {int(status[name], 16) for name in status if name.startswith("Cap")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert sorted(seen["fds"]) == ["0", "1", "2", "3"]  # the last is the listing's own
    assert (seen["cwd"], seen["env"], seen["sid"]) == ("/", "A=b\0", True)
    assert run.said() == [{"event": "started"}, {"event": "exited", "status": 0}]


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may become another user")
def test_the_user_is_the_cells_own_and_no_capability_is_left_in_any_set(start):
    run = start(["/bin/cat", "/proc/self/status"], user=USER)
    assert run.wait() == 0
    lines = run.out.read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(USER)}
    assert status["Groups"].strip() == ""
    assert {int(status[name], 16) for name in status if name.startswith("Cap")} == {0}


@pytest.mark.parametrize(
    ("code", "exits", "says"),
    [
        ("import sys; sys.exit(3)", 3, 3),
        ("import os; os.abort()", 128 + 6, -6),
        (["/nowhere/program"], shim.CANNOT_START, shim.CANNOT_START),
    ],
)
def test_how_the_command_ended_is_said_once(start, code, exits, says):
    run = start(code)
    assert run.wait() == exits
    assert run.said()[1:] == [{"event": "exited", "status": says}]


def test_limits_are_set_and_never_above_what_the_judge_has(start):
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    run = start(code, limits={"RLIMIT_NOFILE": 77})
    assert run.wait() == 0
    assert run.out.read_text() == "(77, 77)\n"


def test_it_waits_for_what_the_command_leaves_and_reaps_it(start):
    code = "import os, time\nif os.fork() == 0:\n os.setsid(); time.sleep(0.3); os._exit(0)\n"
    run = start(code)
    began = time.monotonic()
    assert run.wait() == 0
    assert time.monotonic() - began >= 0.25


DAEMONS = """
import os, signal, time
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        os._exit(0)
print("up", flush=True)
"""


@pytest.mark.parametrize("how", ["word", "end"])
def test_one_word_or_the_keepers_end_kills_everything_below_and_nobody_else(start, how):
    bystander = os.fork()
    if bystander == 0:
        time.sleep(60)
        os._exit(0)
    try:
        run = start(DAEMONS)
        patience = Deadline(10.0)
        while "up" not in run.out.read_text() and not patience.passed:
            sleep(0.01)
        below = shim.descendants(run.pid)
        assert len(below) >= 5
        if how == "word":
            os.write(run.kill, b"x")
        else:
            os.close(run.kill)
            run.kill = -1
        assert run.wait() in (0, KILLED)
        assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
        assert os.waitpid(bystander, os.WNOHANG) == (0, 0)
    finally:
        os.kill(bystander, signal.SIGKILL)
        os.waitpid(bystander, 0)


@pytest.mark.parametrize(
    ("keeper", "answer", "alone"),
    [
        (0, None, True),
        (1234, PermissionError, True),
        (1234, None, False),
        (1234, ProcessLookupError, False),
    ],
)
def test_everybody_is_signalled_only_by_one_who_cannot_signal_its_keeper(
    monkeypatch, keeper, answer, alone
):
    def kill(pid, number):
        assert (pid, number) == (keeper, 0)
        if answer is not None:
            raise answer

    monkeypatch.setattr(os, "kill", kill)
    assert shim._is_alone(keeper) is alone


def test_signals_that_the_judge_ignores_or_blocks_are_as_usual(start):
    run = start(["/bin/cat", "/proc/self/status"])
    assert run.wait() == 0
    lines = run.out.read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert int(status["SigBlk"], 16) == int(status["SigIgn"], 16) == 0


def test_the_shim_keeps_no_end_of_the_conversation(start):
    """The judge sees the end of it when the command and its children have closed theirs."""
    ours, theirs = socket.socketpair()
    name = Path(f"/proc/self/fd/{theirs.fileno()}").readlink()
    run = start(DAEMONS, channel=theirs.fileno())
    theirs.close()
    patience = Deadline(10.0)
    while "up" not in run.out.read_text() and not patience.passed:
        sleep(0.01)
    assert name not in {path.readlink() for path in Path(f"/proc/{run.pid}/fd").iterdir()}
    os.write(run.kill, b"x")
    assert run.wait() in (0, KILLED)
    ours.close()
