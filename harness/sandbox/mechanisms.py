"""What isolates on this machine, found out by trying each mechanism once, never by reading a setting.

    namespaces   mount, process, network, IPC and host name, by bubblewrap; and seccomp
    landlock     Landlock for files, seccomp for the network and the rest; a user of its own where root can
    bare         neither: a session of its own, a subreaper, resource limits

A setting can say yes where the call says no: on Ubuntu 24.04 `unshare` succeeds and the write that follows is
refused; in a container a capability may be there and the filter refuse the call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

from harness.sandbox import bubblewrap, groups, shim, system_calls
from harness.sandbox.sight import interpreter

Level = Literal["namespaces", "landlock", "bare"]
LEVELS: tuple[Level, ...] = ("namespaces", "landlock", "bare")
TRIAL_S = 10.0
PROGRAMS = "/usr/bin:/bin:/usr/local/bin"
USER_BASE, USERS_OF_A_JUDGE = 1_000_000_000, 100
"""User ids of cells: above any account, one range for each judge that runs at the same time."""
SMALL_USER_BASE, SMALL_USERS = 20_000, 40_000
"""Where a user namespace holds 65,536 ids only."""
SCOPE_ABI = 6
"""Landlock keeps signals and abstract sockets inside from this version on."""


class Mechanisms(msgspec.Struct, frozen=True, kw_only=True):
    """What works here; where something does not, why."""

    bubblewrap: str | None
    """Path of the program where a cell can be started with it."""
    bubblewrap_version: str
    bubblewrap_problem: str
    landlock_abi: int
    """0 where the kernel has no Landlock, or has it switched off."""
    seccomp: bool
    seccomp_problem: str
    own_user: bool
    """Whether this is root, and may become another user."""
    others_reach_interpreter: bool
    """Whether another user may read the interpreter: nothing on the way to it is closed to others."""
    group_version: Literal[0, 1, 2]
    """Of the control groups that take a limit on memory and processes; 0 where none does."""

    def level(self, most: Level = "namespaces") -> Level:
        """Return the strongest level that works, `most` at most."""
        works = {
            "namespaces": self.bubblewrap is not None and self.seccomp,
            "landlock": self.landlock_abi > 0 and self.seccomp,
            "bare": True,
        }
        return next(level for level in LEVELS[LEVELS.index(most) :] if works[level])


def probe() -> Mechanisms:
    """Try everything; takes some tens of milliseconds and leaves nothing behind."""
    own_user = _own_user()
    program, version, problem = _bubblewrap(root=own_user)
    seccomp_problem = _seccomp_problem()
    group = groups.create(groups.named("probe"), 1 << 28, 64)
    if group is not None:
        group.remove()
    return Mechanisms(
        bubblewrap=program,
        bubblewrap_version=version,
        bubblewrap_problem=problem,
        landlock_abi=_landlock_abi(),
        seccomp=not seccomp_problem,
        seccomp_problem=seccomp_problem,
        own_user=own_user,
        others_reach_interpreter=all(map(open_to_others, [Path(sys.executable), *interpreter()])),
        group_version=group.version if group else 0,
    )


def user_base() -> int:
    """Return the first user id of this judge's cells."""
    if _largest_user() > USER_BASE + (os.getpid() + 1) * USERS_OF_A_JUDGE:
        return USER_BASE + os.getpid() * USERS_OF_A_JUDGE
    return SMALL_USER_BASE + os.getpid() * USERS_OF_A_JUDGE % SMALL_USERS


def judge_of(user: int) -> int | None:
    """Return the process id of the judge whose cell a user id was given to; None where it was no cell's.

    Small ids are shared with accounts, and say nothing.
    """
    return (user - USER_BASE) // USERS_OF_A_JUDGE if user >= USER_BASE else None


def open_to_others(path: Path) -> bool:
    """Return whether a user who owns nothing may reach a path: each folder on the way lets others through."""
    real = path.resolve()
    steps = [*real.parents, *([real] if real.is_dir() else [])]
    return all(step.stat().st_mode & 0o001 for step in steps) and bool(real.stat().st_mode & 0o004)


def _own_user() -> bool:
    if os.geteuid() != 0:
        return False
    return _in_child(lambda: shim.become(user_base()))


def _landlock_abi() -> int:
    import landlockpy

    try:
        return landlockpy.abi_version()
    except OSError:
        return 0


def _seccomp_problem() -> str:
    try:
        program = system_calls.program("none")
    except (OSError, RuntimeError, ImportError) as error:
        return f"libseccomp is missing ({error}); install libseccomp2"

    def load() -> None:
        shim.control(shim.PR_SET_NO_NEW_PRIVS, 1)
        shim.load_filter(program)

    return "" if _in_child(load) else "the kernel refuses a seccomp filter"


def _bubblewrap(*, root: bool) -> tuple[str | None, str, str]:
    """Return (program, version, what is wrong)."""
    program = shutil.which("bwrap", path=PROGRAMS)
    if program is None:
        return None, "", "bubblewrap is not installed; install the package bubblewrap"
    version = _said([program, "--version"]).removeprefix("bubblewrap").strip()
    flags = bubblewrap.ROOT if root else bubblewrap.USER
    trial = [
        *(program, *flags, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--die-with-parent", "--as-pid-1", "--ro-bind", "/", "/", "--proc", "/proc"),
        *("--dev", "/dev", "--tmpfs", "/tmp", "--", "/bin/true"),
    ]
    problem = _said(trial)
    return (None, version, problem) if problem else (program, version, "")


def _said(command: list[str]) -> str:
    """Run a trusted program; return its first line, or how it ended where it failed in silence."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TRIAL_S, env={"PATH": PROGRAMS}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    lines = (done.stdout + done.stderr).strip().splitlines()
    if lines:
        return lines[0]
    return f"{command[0]}: status {done.returncode}" if done.returncode else ""


def _in_child(attempt: object) -> bool:
    """Return whether `attempt` raises nothing in a forked child, which it may change as it likes."""
    assert callable(attempt)
    child = os.fork()
    if child == 0:
        try:
            attempt()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0


def _largest_user() -> int:
    """Return the largest user id of this user namespace."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    return max(int(first) + int(count) for first, _, count in map(str.split, lines))
