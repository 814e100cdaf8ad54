"""The keeper: a small process between the judge and one submission's process tree.

Run as `python -I -S -B keeper.py CONTROL_FD`, never imported by the judge's commands. It exists so that
"every process of this submission" has a meaning: the keeper is a subreaper, so whatever the command forks,
daemons that fork twice and call setsid included, stays below it and dies with it.

  judge                keeper                      shim, in the cell          command
    | policy             |                            |                          |
    |------------------->| control group, fork        |                          |
    |                    |--------------------------->| closes the doors, fork   |
    |                    | pumps stdout and stderr    |------------------------->|
    |                    | into capped logs; watches memory and disk             |
    |      "exited"      |<---------------------------|<-------------------------|
    |<-------------------| waits for what it left behind
    |       "kill"       |
    |------------------->| by the strongest switch, until nothing is left
    |       "gone"       |
    |<-------------------| deletes the control group

If the judge dies, the control socket closes; the keeper sweeps, deletes the folders that were this phase's
alone and the control group, and ends: nothing survives.

Standard library alone. How the command is kept in its cell is harness.sandbox's business; what holds on this
machine is in the report.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Started apart from everything that is installed: the judge's own package is found from here.
    sys.path.append(str(Path(__file__).parents[1]))

from harness.sandbox import groups, shim
from harness.sandbox.deletion import delete
from harness.sandbox.shim import descendants
from harness.sandbox.watch import Excess, Watch

PR_SET_PDEATHSIG = 1
SWEEP_S = 10.0
"""How long a sweep goes on before the keeper reports survivors instead."""
SHIM_S = 2.0
"""How long the shim's own switch is given before the sweep takes the shim too."""
WATCH_S = 0.25


class CappedLog:
    """A file that keeps the first and the last bytes of a stream, never more than `cap_bytes` of them."""

    def __init__(self, path: str, cap_bytes: int) -> None:
        try:
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115, PTH123 - lives as long as the keeper
        except OSError:  # the same as where it can be opened and not be written
            self._file = open(os.devnull, "wb", buffering=0)  # noqa: SIM115, PTH123
        self._head_left = cap_bytes // 2
        self._tail_cap = cap_bytes - cap_bytes // 2
        self._tail = bytearray()
        self._dropped = 0

    def write(self, data: bytes) -> None:
        """Take some bytes of the stream."""
        head, rest = data[: self._head_left], data[self._head_left :]
        if head:
            self._put(head)
            self._head_left -= len(head)
        self._tail += rest
        if len(self._tail) > 2 * self._tail_cap:
            self._drop()

    def close(self) -> None:
        """Write the tail, with a line that says how much was left out before it."""
        self._drop()
        if self._dropped:
            self._put(b"\n[%d bytes left out]\n" % self._dropped)
        self._put(self._tail)
        self._file.close()

    def _drop(self) -> None:
        """Forget what lies before the last `tail_cap` bytes."""
        extra = max(0, len(self._tail) - self._tail_cap)
        del self._tail[:extra]
        self._dropped += extra

    def _put(self, data: bytes | bytearray) -> None:
        # A full disk must not stop the keeper: the log is for people, the sweep is not.
        with contextlib.suppress(OSError):
            self._file.write(data)


class Keeper:
    """Watches one command and everything it starts."""

    def __init__(self, control: socket.socket, policy: dict[str, Any], told: bytes) -> None:
        self._control = control
        self._policy = policy
        # Made here and not by the judge: whoever deletes it must outlive whatever may befall the judge.
        self._group = groups.create(**policy["group"]) if policy["group"] else None
        self._watch = Watch(policy["watch"], self._group)
        self._logs: dict[int, CappedLog] = {}
        self._root = 0
        self._report = -1
        self._kill = -1
        self._heard = b""
        self._started = False
        self._status: int | None = None
        self._dying = told == b"kill"
        self._judge_gone = False
        self._shim_killed = False
        self._excess: Excess | None = None

    def run(self) -> None:
        """Start the command; return when nothing of it is left."""
        shim.control(shim.PR_SET_CHILD_SUBREAPER, 1)
        shim.control(shim.PR_SET_DUMPABLE, 0)
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_term)
        shim.control(PR_SET_PDEATHSIG, signal.SIGTERM)
        self._start()
        selector = selectors.DefaultSelector()
        selector.register(self._control, selectors.EVENT_READ)
        for descriptor in (wake_read, self._report, *self._logs):
            selector.register(descriptor, selectors.EVENT_READ)
        watched_at = time.monotonic()
        try:
            while self._reap() and not self._dying:
                for key, _ in selector.select(timeout=WATCH_S):
                    if key.fd in self._logs:
                        self._pump(key.fd, selector)
                    elif key.fd == wake_read:
                        os.read(wake_read, 512)
                    elif key.fd == self._report:
                        self._hear(selector)
                    else:
                        self._listen()
                if time.monotonic() - watched_at >= WATCH_S:
                    self._look()
                    watched_at = time.monotonic()
        finally:
            # Whatever went wrong here, the sweep is the last thing that happens.
            self._sweep()
        self._finish()

    def _look(self) -> None:
        self._excess = self._watch.exceeded(descendants(os.getpid()))
        self._dying = self._dying or self._excess is not None

    def _listen(self) -> None:
        try:
            heard = self._control.recv(64)
        except OSError:
            # The judge died with words of ours unread, which resets the connection.
            heard = b""
        self._judge_gone = not heard
        self._dying = heard in (b"", b"kill")

    def _on_term(self, *_: object) -> None:
        self._judge_gone = self._dying = True

    def _start(self) -> None:
        streams = {}
        for name, target in (("stdout", 1), ("stderr", 2)):
            read, write = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(read, False)
            self._logs[read] = CappedLog(self._policy[name], self._policy["log_cap_bytes"])
            streams[target] = write
        self._report, report = os.pipe2(os.O_CLOEXEC)
        kill, self._kill = os.pipe2(os.O_CLOEXEC)
        self._root = os.fork()
        if self._root == 0:
            try:
                for target, write in streams.items():
                    os.dup2(write, target)
                os.close(self._kill)
                os.close(self._report)
                self._become_shim(report, kill)
            except BaseException as error:
                os.write(2, f"cannot start the cell: {error}\n".encode())
            os._exit(shim.CANNOT_START)
        for descriptor in (*streams.values(), report, kill):
            os.close(descriptor)
        # The judge must see the end of the conversation when the command ends, not when the keeper does.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        self._say(event="started", pid=self._root)

    def _become_shim(self, report: int, kill: int) -> None:
        """Turn this forked child into the shim; returns only by raising."""
        os.setsid()
        self._control.close()
        if self._group is not None:
            self._group.join()
        elif self._policy["group"]:
            raise OSError("no control group can be made, although one could be before")
        with contextlib.suppress(OSError):  # the submission goes first when memory runs out
            Path("/proc/self/oom_score_adj").write_text("1000")
        channel = os.dup(0)
        policy = {**self._policy["cell"], "channel": channel, "report": report, "kill": kill}
        if not self._policy["start"]:
            os._exit(shim.run(policy, report, kill))
        file = os.memfd_create("policy")
        os.write(file, json.dumps(policy).encode())
        os.lseek(file, 0, os.SEEK_SET)
        for descriptor in (file, channel, report, kill):
            os.set_inheritable(descriptor, True)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        start = [*self._policy["start"], str(file)]
        os.execve(start[0], start, {})

    def _hear(self, selector: selectors.BaseSelector | None = None) -> None:
        """Take what the shim says."""
        data = os.read(self._report, 4096)
        if not data and selector is not None:
            selector.unregister(self._report)
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["event"] == "started":
                self._started = True
            elif message["event"] == "exited":
                self._ended(message["status"])

    def _ended(self, status: int) -> None:
        """Tell the judge that the command itself has ended, and how many processes it left behind."""
        if self._status is None:
            self._status = status
            ours = {self._root, *((self._policy["start"] and self._inner()) or ())}
            left = [pid for pid in descendants(os.getpid()) if pid not in ours and not _dead(pid)]
            self._say(event="exited", status=status, left=len(left))

    def _inner(self) -> list[int]:
        """Return the shim inside bubblewrap: its only child."""
        return _children(self._root)

    def _pump(self, descriptor: int, selector: selectors.BaseSelector | None = None) -> bool:
        """Move some bytes of a stream to its log; return whether there were any."""
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return False
        if data:
            self._logs[descriptor].write(data)
        elif selector is not None:
            selector.unregister(descriptor)
        return bool(data)

    def _reap(self) -> bool:
        """Collect the dead; return whether anybody is left."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._root:
                self._drain_report()
                if self._started and self._status is None and not self._dying:
                    # Not killed by this keeper, and before it could say how its command ended.
                    self._shim_killed = True
                    self._dying = True

    def _drain_report(self) -> None:
        os.set_blocking(self._report, False)
        with contextlib.suppress(BlockingIOError):
            self._hear()

    def _sweep(self) -> None:
        until = time.monotonic() + SWEEP_S
        if self._reap():
            self._strong_switch()
        while self._reap() and time.monotonic() < until:
            for pid in descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)

    def _strong_switch(self) -> None:
        """Kill by what a bomb that forks faster than a list is walked cannot outrun."""
        switch = self._policy["switch"]
        if self._group is not None:
            self._group.kill()
        if switch == "user":
            _kill_user(self._policy["cell"]["user"])
        elif switch == "scope":
            os.close(self._kill)
            until = time.monotonic() + SHIM_S
            while self._reap() and _exists(self._root) and time.monotonic() < until:
                time.sleep(0.001)

    def _finish(self) -> None:
        for descriptor, log in self._logs.items():
            for _ in range(
                256
            ):  # a pipe holds less than this, so the loop ends even if somebody writes on
                if not self._pump(descriptor):
                    break
            log.close()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        if self._excess is None:
            # A process that the kernel killed a moment ago may have been the last.
            self._excess = self._watch.exceeded([])
        if self._group is not None:
            self._group.remove()
        if self._policy["switch"] == "user":
            _delete_shared_memory(self._policy["cell"]["user"])
        if self._judge_gone:
            for folder in self._policy["private"]:
                with contextlib.suppress(OSError):
                    delete(Path(folder))
        self._say(
            event="gone",
            began=self._started,
            status=self._status,
            shim_killed=self._shim_killed,
            survivors=len(descendants(os.getpid())),
            excess=self._excess,
            peak_rss_mb=usage.ru_maxrss / 1024,
        )

    def _say(self, **message: object) -> None:
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(message).encode() + b"\n")


def _kill_user(user: int) -> None:
    """Kill every process of a user that is this cell's alone; the caller must be root."""
    killer = os.fork()
    if killer == 0:
        with contextlib.suppress(OSError):
            os.setresuid(user, user, user)
            os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(killer, 0)


def _delete_shared_memory(user: int) -> None:
    with contextlib.suppress(OSError):
        for entry in list(os.scandir("/dev/shm")):
            with contextlib.suppress(OSError):  # one that cannot be deleted keeps no other
                if entry.stat(follow_symlinks=False).st_uid == user:
                    delete(Path(entry.path))


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _dead(pid: int) -> bool:
    """Return whether a process is a zombie that nobody has collected yet."""
    with contextlib.suppress(OSError, IndexError):
        line = Path(f"/proc/{pid}/stat").read_bytes()
        return line[line.rindex(b")") + 2 :].split()[0] == b"Z"
    return True


def main(arguments: list[str]) -> None:
    """Run the keeper from its command line: CONTROL_FD, over which one line of JSON comes first."""
    control = socket.socket(fileno=int(arguments[0]))
    words = b""
    while b"\n" not in words:
        heard = control.recv(1 << 16)
        if not heard:
            return
        words += heard
    line, _, more = words.partition(b"\n")
    Keeper(control, json.loads(line), told=more).run()


if __name__ == "__main__":
    main(sys.argv[1:])
    os._exit(0)  # nothing is left to tidy, and the judge waits
