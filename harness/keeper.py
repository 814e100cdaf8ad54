"""The keeper: a small process between the judge and one submission's process tree.

Run as `python -I -S keeper.py CONTROL_FD POLICY_JSON -- COMMAND...`, never imported by the judge's commands.
It exists so that "every process of this submission" has a meaning: the keeper is a subreaper, so whatever the
command forks, daemons that fork twice and call setsid included, stays below it and dies with it.

  judge                keeper                      command
    | start, control fd  |                            |
    |------------------->| subreaper, fork            |
    |                    |--------------------------->| setsid, limits, exec
    |                    | pumps stdout and stderr into capped logs
    |      "exited"      |<---------------------------| the command itself ended
    |<-------------------| waits for what it left behind
    |       "kill"       |
    |------------------->| SIGKILL, again and again until nothing is left
    |       "gone"       |
    |<-------------------|

If the judge dies, the control socket closes and the keeper sweeps and ends: nothing survives. The order of
calls in the child matters: the parent-death signal comes after setsid and is checked against a parent that
died before it was set; limits come last, since they could stop the calls before them.

Standard library alone. Does not isolate: no namespace, no user of its own, no network rule. What a process of
the same user can do to this one (kill it, say) is reported by the judge as a guarantee that is not held.
"""

from __future__ import annotations

import contextlib
import ctypes
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

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
SWEEP_S = 10.0
"""How long a sweep goes on before the keeper reports survivors instead."""


class CappedLog:
    """A file that keeps the first and the last bytes of a stream, never more than `cap_bytes` of them."""

    def __init__(self, path: str, cap_bytes: int) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115, PTH123 - lives as long as the keeper
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


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _become(policy: dict[str, Any], command: list[str], keeper: int) -> None:
    """Turn this forked child into the command; returns only by raising."""
    os.setsid()
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(125)
    with contextlib.suppress(OSError):  # the submission goes first when memory runs out
        Path("/proc/self/oom_score_adj").write_text("1000")
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    os.closerange(3, 1 << 16)
    os.chdir(policy["cwd"])
    for name, (soft, hard) in policy["limits"].items():
        which = getattr(resource, name)
        _, ceiling = resource.getrlimit(which)
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(which, (soft, hard))
    os.execve(command[0], command, policy["env"])


def _parents() -> dict[int, int]:
    """Return parent by process, for every process that can be seen."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            # The name in parentheses may hold anything, a closing parenthesis included.
            with contextlib.suppress(OSError, IndexError, ValueError):
                stat = Path(f"/proc/{name}/stat").read_bytes()
                parents[int(name)] = int(stat[stat.rindex(b")") + 2 :].split()[1])
    return parents


def descendants(root: int) -> list[int]:
    """Return every process below `root`, in no order."""
    parents = _parents()
    below = {root}
    found: list[int] = []
    grew = True
    while grew:
        fresh = [pid for pid, parent in parents.items() if parent in below and pid not in below]
        below.update(fresh)
        found += fresh
        grew = bool(fresh)
    return found


class Keeper:
    """Watches one command and everything it starts."""

    def __init__(self, control: socket.socket, policy: dict[str, Any], command: list[str]) -> None:
        self._control = control
        self._policy = policy
        self._command = command
        self._logs: dict[int, CappedLog] = {}
        self._root = 0
        self._status: int | None = None
        self._killed = 0
        self._dying = False

    def run(self) -> None:
        """Start the command; return when nothing of it is left."""
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_term)
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        self._start()
        selector = selectors.DefaultSelector()
        selector.register(self._control, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        for descriptor in self._logs:
            selector.register(descriptor, selectors.EVENT_READ)
        try:
            while self._reap() and not self._dying:
                for key, _ in selector.select(timeout=1.0):
                    if key.fd in self._logs:
                        self._pump(key.fd, selector)
                    elif key.fd == wake_read:
                        os.read(wake_read, 512)
                    else:
                        self._listen()
        finally:
            # Whatever went wrong here, the sweep is the last thing that happens.
            self._sweep()
        self._finish()

    def _listen(self) -> None:
        try:
            self._dying = self._control.recv(64) in (b"", b"kill")
        except OSError:
            # The judge died with words of ours unread, which resets the connection.
            self._dying = True

    def _on_term(self, *_: object) -> None:
        self._dying = True

    def _start(self) -> None:
        streams = {}
        for name, target in (("stdout", 1), ("stderr", 2)):
            read, write = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(read, False)
            self._logs[read] = CappedLog(self._policy[name], self._policy["log_cap_bytes"])
            streams[target] = write
        keeper = os.getpid()
        self._root = os.fork()
        if self._root == 0:
            try:
                for target, write in streams.items():
                    os.dup2(write, target)
                _become(self._policy, self._command, keeper)
            except BaseException as error:
                os.write(2, f"cannot start {self._command[0]}: {error}\n".encode())
            os._exit(126)
        for write in streams.values():
            os.close(write)
        # The judge must see the end of the conversation when the command ends, not when the keeper does.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        self._say(event="started", pid=self._root)

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
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._root:
                self._status = os.waitstatus_to_exitcode(status)
                left = [p for p in descendants(os.getpid()) if p != pid]
                self._say(event="exited", status=self._status, left=len(left))

    def _sweep(self) -> None:
        until = time.monotonic() + SWEEP_S
        while self._reap() and time.monotonic() < until:
            for pid in descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self._killed += 1
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
        self._say(
            event="gone",
            status=self._status,
            survivors=len(descendants(os.getpid())),
            swept=self._dying,
            peak_rss_mb=usage.ru_maxrss / 1024,
            cpu_s=usage.ru_utime + usage.ru_stime,
        )

    def _say(self, **message: object) -> None:
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(message).encode() + b"\n")


def main(arguments: list[str]) -> None:
    """Run the keeper from its command line: CONTROL_FD, POLICY_JSON, --, command."""
    control = socket.socket(fileno=int(arguments[0]))
    Keeper(control, json.loads(arguments[1]), arguments[3:]).run()


if __name__ == "__main__":
    main(sys.argv[1:])
