"""Start, watch and kill one submission's process tree, through a keeper (see harness.keeper).

The only module that starts processes. `Tree` owns one command and everything below it; leaving its `with`
block kills whatever is left. Does not decide whether a phase passed, and reads no clock but for its own
patience.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness import keeper as keeper_file
from harness.clock import Deadline
from harness.errors import JudgeError
from harness.sandbox import groups, shim
from harness.sandbox.cell import Folders, Sandbox
from harness.sandbox.start import own_folder, touch_devices
from harness.session import socket_pair

LOG_CAP_BYTES = 4 << 20
PATIENCE_S = keeper_file.SWEEP_S + 5.0
"""How long a keeper may take to sweep before the judge kills it and sweeps by itself."""


@contextlib.contextmanager
def running(
    sandbox: Sandbox,
    command: Sequence[str],
    env: Mapping[str, str],
    folders: Folders,
    *,
    logs: Path,
    loopback: bool = False,
) -> Iterator[tuple[Tree, socket.socket]]:
    """Start a command in a cell of its own; yield its tree and the judge's end of its standard input.

    What it may write to is given to its user first. On leaving, every process of it is dead.
    """
    policy = sandbox.policy(command, env, folders, loopback=loopback)
    for folder in folders.writable:
        own_folder(folder, policy)
    touch_devices(sandbox.sight.gpus)
    ours, theirs = socket_pair()
    with ours, Tree(policy, logs=logs, channel=theirs) as tree:
        yield tree, ours


class Tree:
    """One running command, its keeper, and what the keeper said of it."""

    def __init__(self, policy: Mapping[str, Any], *, logs: Path, channel: socket.socket) -> None:
        """Start what a cell's `policy` says with `channel` as its standard input.

        Its streams become LOGS.stdout and LOGS.stderr. `channel` is closed on this side, so that the end of
        the conversation can be seen.
        """
        become_subreaper()
        self._before = _children()
        self._logs = logs
        self._within_reach: list[str] = policy["within_reach"]
        self._group: str | None = policy["group"]["name"] if policy["group"] else None
        whole = {
            **policy,
            "stdout": f"{logs}.stdout",
            "stderr": f"{logs}.stderr",
            "log_cap_bytes": LOG_CAP_BYTES,
        }
        with channel:
            self._keeper, self._control = _start(whole, channel)
        self._buffer = b""
        self._asked_to_kill = False
        self.exit_status: int | None = None
        """Of the command itself: 0 or more, or minus a signal; None while it runs or if it was swept."""
        self.left_behind = 0
        """Processes still alive when the command itself ended."""
        self.gone = False
        self.keeper_killed = False
        """Whether a process that could signal it ended the keeper, or its shim.

        Raises JudgeError instead where no process of the submission could.
        """
        self.survivors = 0
        self.peak_rss_mb: float | None = None
        self.excess: str | None = None
        """Which limit it exceeded, as a clause that follows "it"."""

    def __enter__(self) -> Self:
        """Return the tree."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill what is left."""
        self.kill()
        self._control.close()

    @property
    def exited(self) -> bool:
        """Return whether the command itself has ended (its children may live on)."""
        self._listen(0.0)
        return self.exit_status is not None or self.gone

    def wait_exited(self, deadline: Deadline) -> bool:
        """Wait until the command itself has ended, or the deadline; return whether it has."""
        while not self.exited and not deadline.passed:
            self._listen(max(0.0, deadline.remaining_s))
        return self.exited

    def wait_gone(self, deadline: Deadline) -> bool:
        """Wait until no process of the tree is left, or the deadline; return whether none is."""
        while not self.gone and not deadline.passed:
            self._listen(min(1.0, max(0.0, deadline.remaining_s)))
        return self.gone

    def kill(self) -> None:
        """Kill every process of the tree and wait until they are gone.

        Raises JudgeError where something survives SIGKILL: the machine, not the submission, is at fault.
        """
        if not self.gone:
            self._asked_to_kill = True
            with contextlib.suppress(OSError):
                self._control.send(b"kill")
            # A process of our own user may have stopped the keeper.
            self._keeper.send_signal(signal.SIGCONT)
            self.wait_gone(Deadline(PATIENCE_S))
        if not self.gone:
            self._keeper.kill()
            self._sweep_orphans()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(timeout=5.0)
        if self.survivors:
            raise JudgeError(
                f"{self.survivors} processes of the submission survived SIGKILL; restart the machine"
            )

    def _listen(self, timeout_s: float) -> None:
        if self.gone:
            return
        self._control.settimeout(timeout_s)
        try:
            data = self._control.recv(4096)
        except (TimeoutError, BlockingIOError):
            return
        except OSError:  # it died with our words unread, which resets the connection
            data = b""
        if not data:
            # The keeper is dead: somebody who may signal it killed it. Its children are ours now.
            self.keeper_killed = True
            self._sweep_orphans()
            self._excuse("keeper")
            return
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if message["event"] == "exited":
            self.exit_status = message["status"]
            self.left_behind = message["left"]
        elif message["event"] == "gone":
            self.gone = True
            self.survivors = message["survivors"]
            self.peak_rss_mb = message["peak_rss_mb"] or None
            self.keeper_killed = message["shim_killed"]
            if message["excess"] is not None:
                by_submission, says = message["excess"]
                if not by_submission:
                    raise JudgeError(f"the submission {says}; make room and resume the run")
                self.excess = says
            if self.keeper_killed and self.excess is None:
                self._excuse("shim")
            if not message["began"] and not self._asked_to_kill:
                raise JudgeError(
                    f"the sandbox could not be started: {self._last_words()}; `harness doctor` says what "
                    "works on this machine"
                )

    def _excuse(self, killed: str) -> None:
        """Raise JudgeError where a process was killed that no process of the submission could reach."""
        if killed not in self._within_reach:
            raise JudgeError(
                f"the {killed} of a cell was killed from outside, which is nothing that the submission could "
                "do; resume the run"
            )

    def _last_words(self) -> str:
        try:
            lines = Path(f"{self._logs}.stderr").read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1][:300] if lines else "its first process was killed"

    def _sweep_orphans(self) -> None:
        """Kill the processes that fell to the judge when their keeper was killed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(timeout=1.0)
        patience = Deadline(keeper_file.SWEEP_S)
        while (orphans := _children() - self._before - {self._keeper.pid}) and not patience.passed:
            for orphan in orphans:
                for pid in (orphan, *shim.descendants(orphan)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(orphan, os.WNOHANG)
        self.survivors = len(orphans)
        self.gone = True
        for _, folder in list(groups.everywhere()):
            if Path(folder).name == self._group:
                groups.clear(folder)


def _start(
    policy: dict[str, Any], channel: socket.socket
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a keeper and tell it the policy; return it and the judge's end of the control socket."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            keeper = subprocess.Popen(
                [
                    sys.executable,
                    *("-I", "-S", "-B", keeper_file.__file__, str(theirs.fileno())),
                ],
                stdin=channel.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={},
                start_new_session=True,
            )
        with contextlib.suppress(OSError):  # a keeper that is dead is noticed when it says nothing
            ours.sendall(json.dumps(policy).encode() + b"\n")
    except BaseException:
        ours.close()
        raise
    return keeper, ours


def become_subreaper() -> None:
    """Let orphans fall to this process, should a keeper be killed; once is enough, again is harmless."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(shim.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise JudgeError("this kernel has no child subreapers; Linux 3.4 or later is needed")


def _children() -> set[int]:
    return {
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    }
