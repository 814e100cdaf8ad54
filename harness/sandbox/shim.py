"""The shim: the last of the judge's code that runs before a submission's command, inside its cell.

Becomes the cell's user, gives up every capability, closes the doors that the policy names, starts the command
and stays as its reaper until nothing is left. As process 1 of a process namespace its end is the end of
everything in it; elsewhere it is the subreaper to which daemons fall.

    keeper                              shim                                command
      | policy (memory file), report      |                                    |
      |---------------------------------->| user, capabilities, Landlock       |
      |                          started  | fork                               |
      |<----------------------------------|----------------------------------->| Landlock, seccomp, exec
      |                          exited N | reaps                              |
      |<----------------------------------|<-----------------------------------|
      |  kill (or the keeper's end)       | SIGKILL to all it may signal       |
      |---------------------------------->| ends when no child is left         |

Run as a script by bubblewrap, `shim.py POLICY_FD`, or called as `run` in a child of the keeper. Standard
library alone, and landlockpy where the policy asks for Landlock. What it reports is not trusted for more than
how the command ended: that everything is gone is seen from outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys

# Started with every cell: typing and pathlib would cost ten milliseconds each time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63

CANNOT_START = 126
"""Exit status where the command could not be started; the reason is on its standard error."""


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def control(option: int, *values: int) -> None:
    """Call prctl.

    Raises OSError.
    """
    filled = [*values, 0, 0, 0, 0][:4]
    if _libc().prctl(option, *(ctypes.c_ulong(value) for value in filled)):
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def bound_capabilities() -> None:
    """Let no program that is started from here gain a capability, where this process may decide that."""
    for number in range(LAST_CAPABILITY + 1):
        with contextlib.suppress(
            OSError
        ):  # this kernel has fewer, or this process none that counts
            control(PR_CAPBSET_DROP, number)


def drop_capabilities() -> None:
    """Give up every capability, for good."""
    with contextlib.suppress(OSError):
        control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if _libc().capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")


def become(user: int | None) -> None:
    """Become the cell's user, with no group but its own; without one, stay. No capability is left."""
    bound_capabilities()  # before the change of user, which takes the capability that it needs
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    drop_capabilities()
    control(PR_SET_NO_NEW_PRIVS, 1)


def load_filter(program: bytes) -> None:
    """Load a compiled seccomp filter into the calling thread.

    Raises OSError.
    """
    # A filter's length counts instructions of eight bytes.
    filled = _Program(len(program) // 8, program)
    if _libc().prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filled), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp filter refused")


class Doors:
    """Landlock rules: opened while the paths can be reached, closed once the user has changed."""

    def __init__(self, policy: dict[str, Any]) -> None:
        """Open every path that the policy allows; those that are not there are left out."""
        sys.path.append(policy["library"])
        import ctypes.util

        import landlockpy

        # It would start ldconfig, to find the C library that is loaded already.
        ctypes.util.find_library = lambda name: None

        access = landlockpy.AccessFS
        self._all = landlockpy
        # None means all that the kernel knows: every port is closed.
        ports = landlockpy.AccessNet.NONE if policy["tcp"] else None
        self._rules = landlockpy.Ruleset(scoped=self._scopes(), handled_net=ports)
        reading = access.READ_FILE | access.READ_DIR | access.EXECUTE
        device = access.READ_FILE | access.WRITE_FILE | access.IOCTL_DEV
        no_devices = ~(access.MAKE_CHAR | access.MAKE_BLOCK)
        whole = landlockpy.fs_for_abi(landlockpy.abi_version()) & no_devices
        kinds = {
            "read": reading,
            "list": access.READ_DIR,
            "write": whole,
            "device": device,
            "process": reading | access.WRITE_FILE | access.TRUNCATE,
        }
        for kind, paths in policy["paths"].items():
            for path in paths:
                self._allow(path, kinds[kind])

    def _allow(self, path: str, wanted: Any) -> None:
        access = self._all.AccessFS
        if not os.path.isdir(path):  # noqa: PTH112
            # Rules of a file that name rights of folders are refused.
            wanted &= (
                access.READ_FILE
                | access.WRITE_FILE
                | access.EXECUTE
                | access.TRUNCATE
                | access.IOCTL_DEV
            )
        with contextlib.suppress(OSError):
            self._rules.allow_path(path, wanted)

    def close(self) -> None:
        """Restrict this thread and all it starts."""
        self._rules.restrict()
        self._rules.close()

    def close_against_us(self) -> None:
        """Restrict further: no signal and no abstract socket leads out of what is started from here."""
        if scopes := self._scopes():
            # A layer that does not speak of links and renames between folders forbids them.
            refer = self._all.AccessFS.REFER
            with self._all.Ruleset(
                handled_fs=refer, handled_net=self._all.AccessNet.NONE, scoped=scopes
            ) as inner:
                inner.allow_path("/", refer)
                inner.restrict()

    def _scopes(self) -> Any:
        return self._all.scope_for_abi(self._all.abi_version())


def run(policy: dict[str, Any], report: int, kill: int) -> int:
    """Carry out the policy; return the status to exit with once nothing is left.

    `report` takes one line of JSON an event; `kill` becomes readable, or ends, when everything is to die.
    """
    keeper = os.getppid()
    # Process 1 is safe from the signals of its namespace but for those that it handles, as Python does this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control(PR_SET_CHILD_SUBREAPER, 1)
    doors = Doors(policy["landlock"]) if policy["landlock"] else None
    become(policy["user"])
    control(PR_SET_DUMPABLE, 0)  # changing the user has set it again
    if doors is not None:
        doors.close()
    _say(report, event="started")
    command = os.fork()
    if command == 0:
        try:
            _become_command(policy, doors)
        except BaseException as error:
            os.write(2, f"cannot start {policy['command'][0]}: {error}\n".encode())
        os._exit(CANNOT_START)
    # The judge must see the end of the conversation when the command ends, not when this process does.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in {0, 1, 2, policy["channel"]}:
        os.dup2(null, descriptor)
    return _reap(command, report, kill, alone=_is_alone(keeper))


def _is_alone(keeper: int) -> bool:
    """Return whether a signal to everybody would stay inside the cell, so that it may be sent."""
    if keeper == 0:
        return True  # process 1 of a namespace
    try:
        os.kill(keeper, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass  # dead, so that it cannot be told
    return False


def _become_command(policy: dict[str, Any], doors: Doors | None) -> None:
    """Turn this child into the command; returns only by raising."""
    os.setsid()
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.dup2(policy["channel"], 0)
    os.closerange(3, 1 << 16)
    os.chdir(policy["cwd"])
    for name, limit in policy["limits"].items():
        which = getattr(resource, name)
        _, ceiling = resource.getrlimit(which)
        if ceiling != resource.RLIM_INFINITY:
            limit = min(limit, ceiling)
        resource.setrlimit(which, (limit, limit))
    if doors is not None:
        doors.close_against_us()
    if policy["filter"]:
        load_filter(bytes.fromhex(policy["filter"]))
    os.execve(policy["command"][0], policy["command"], policy["env"])


def _reap(command: int, report: int, kill: int, *, alone: bool) -> int:
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    status, dying = CANNOT_START, False
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == command:
            code = os.waitstatus_to_exitcode(ended)
            status = code if code >= 0 else 128 - code
            _say(report, event="exited", status=code)
        if pid:
            continue
        if dying:
            # A re-forking bomb is outrun by one signal to everybody, not by a walk through the list.
            for target in [-1] if alone else descendants(os.getpid()):
                with contextlib.suppress(OSError):
                    os.kill(target, signal.SIGKILL)
        readable, _, _ = select.select([wake_read, kill], [], [], 0.001 if dying else 1.0)
        if wake_read in readable:
            os.read(wake_read, 512)
        if kill in readable and not dying:
            dying = True


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


def _parents() -> dict[int, int]:
    """Return parent by process, for every process that can be seen."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            # The name in parentheses may hold anything, a closing parenthesis included.
            with contextlib.suppress(OSError, IndexError, ValueError):
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    stat = file.read()
                parents[int(name)] = int(stat[stat.rindex(b")") + 2 :].split()[1])
    return parents


def _say(report: int, **message: object) -> None:
    with contextlib.suppress(OSError):
        os.write(report, json.dumps(message).encode() + b"\n")


def main(arguments: list[str]) -> None:
    """Run from bubblewrap's command line: the descriptor of a file with the policy."""
    with os.fdopen(int(arguments[0]), "rb") as file:
        policy = json.loads(file.read())
    os._exit(run(policy, policy["report"], policy["kill"]))  # nothing is left to tidy


if __name__ == "__main__":
    main(sys.argv[1:])
