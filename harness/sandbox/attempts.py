"""What a submission might try from inside its cell, tried by the judge before anything depends on it.

Run inside a cell as `python -I -S -B attempts.py FACTS_JSON`; prints one line of JSON: guarantee -> what
could be done that should not. An empty list means that everything tried was refused. Harmless where it
succeeds: nothing is changed but a file that it makes itself. Standard library alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PTRACE_SEIZE = 0x4206
IPC_CREAT, IPC_RMID = 0o1000, 0
SYS_ADD_KEY, SYS_KEYCTL, KEYCTL_UNLINK = 248, 250, 9  # x86_64; elsewhere glibc's numbers differ
SESSION_KEYRING = -3
TEST_NET = ("192.0.2.1", 9)
"""Reserved for documentation: nothing answers there, but a datagram can be sent off."""
DAEMON_S = 60.0


def attempts(facts: dict[str, Any]) -> dict[str, list[tuple[str, Callable[[], object]]]]:
    """Return what is tried, by the guarantee that should refuse it."""
    canary, judge = Path(facts["canary"]), int(facts["judge"])
    return {
        "files": [
            ("a file of the judge could be read", lambda: canary.read_bytes()),
            ("a folder of the judge could be listed", lambda: os.listdir(canary.parent)),
            ("a file could be written beside it", lambda: (canary.parent / "mark").write_text("x")),
            ("a socket file of the judge's user could be reached", lambda: _socket_file(canary)),
        ],
        "network": [
            ("a port of the machine could be reached", lambda: _connect(int(facts["port"]))),
            ("a datagram could be sent outside", _send_datagram),
            ("a machine socket could be made", lambda: socket.socket(socket.AF_VSOCK)),
        ],
        "channel": [
            ("the judge could be signalled", lambda: os.kill(judge, 0)),
            ("the judge's environment could be read", lambda: _read(f"/proc/{judge}/environ")),
            (
                "the judge's memory could be opened",
                lambda: Path(f"/proc/{judge}/mem").open("rb").close(),
            ),
            (
                "the judge's descriptors could be read",
                lambda: Path(f"/proc/{judge}/fd/0").readlink(),
            ),
            ("the judge could be traced", lambda: _trace(judge)),
            (
                "an abstract socket of the judge could be reached",
                lambda: _local("\0" + facts["abstract"]),
            ),
        ],
        "ipc": [
            ("System V shared memory could be made", _shared_memory),
            ("a POSIX message queue could be made", lambda: _queue(facts["mark"])),
            ("a key could be kept in a key ring", _key),
        ],
        "clock": [
            ("the clock could be set", lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))
        ],
    }


def _read(path: str) -> None:
    if not Path(path).read_bytes():
        raise PermissionError("it is empty")


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=1.0).close()


def _send_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"x", TEST_NET)


def _local(address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as out:
        out.connect(address)


def _socket_file(canary: Path) -> None:
    # By way of its folder: the path may be longer than an address.
    folder = os.open(canary.parent, os.O_PATH)
    try:
        _local(f"/proc/self/fd/{folder}/socket")
    finally:
        os.close(folder)


def _call(name: str, *arguments: Any) -> int:
    done = int(getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def _trace(judge: int) -> None:
    # Seized, not attached: the judge is not stopped, and is let go when this process ends.
    _call("ptrace", PTRACE_SEIZE, judge, 0, 0)


def _shared_memory() -> None:
    segment = _call("shmget", 0, ctypes.c_size_t(4096), IPC_CREAT | 0o600)
    _call("shmctl", segment, IPC_RMID, None)


def _queue(mark: str) -> None:
    name = f"/{mark}".encode()
    _call("mq_open", name, os.O_CREAT | os.O_RDWR, 0o600, None)
    _call("mq_unlink", name)


def _key() -> None:
    if os.uname().machine != "x86_64":
        raise PermissionError("not tried on this architecture")
    made = _call("syscall", SYS_ADD_KEY, b"user", b"harness", b"x", 1, SESSION_KEYRING)
    _call("syscall", SYS_KEYCTL, KEYCTL_UNLINK, made, SESSION_KEYRING)


def leave_behind(mark: str) -> None:
    """Leave a file in shared memory, and a daemon that ignores every signal that it can."""
    with contextlib.suppress(OSError):
        Path("/dev/shm", mark).touch()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            time.sleep(DAEMON_S)
        os._exit(0)
    os.wait()


def main(arguments: list[str]) -> None:
    """Try everything and say what worked."""
    facts = json.loads(arguments[0])
    worked: dict[str, list[str]] = {}
    for guarantee, tried in attempts(facts).items():
        worked[guarantee] = []
        for says, attempt in tried:
            try:
                attempt()
            except (OSError, ValueError):
                continue
            worked[guarantee].append(says)
    leave_behind(facts["mark"])
    print(json.dumps(worked), flush=True)  # noqa: T201 - the judge's own script, read by the judge


if __name__ == "__main__":
    main(sys.argv[1:])
