"""Other machines than this one, put on as a wrapper: `python tests/machines.py ROW -- COMMAND...`, as root.

    root in a container      the fourteen capabilities that Docker leaves, the calls that its default filter
                             refuses, control groups read-only
    a user                   no capability; may make user namespaces
    a hosted runner          the same, but that making a user namespace is refused, as AppArmor does it
    root on a machine        nothing is put on

A stand-in in each case: the kernel is this one, and only what the judge's mechanisms need is taken away. What
lies in a closed folder, as the interpreter below /root does here, is moved out of it in a mount namespace of
its own. Standard library and pyseccomp alone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path

ROWS = (
    "root in a container",
    "a user",
    "root on a machine",
    "a hosted runner",
)
USER = 54_321
"""Of the rows that are not root; no account has it."""

DOCKER_CAPABILITIES = (
    # chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod
    # audit_write setfcap
    *(0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31),
)
NEEDS_ADMIN = (
    "add_key bpf clock_adjtime clock_settime delete_module fanotify_init finit_module fsconfig fsmount "
    "fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup kcmp kexec_load keyctl "
    "lookup_dcookie mount mount_setattr move_mount open_by_handle_at open_tree perf_event_open "
    "pidfd_getfd pivot_root quotactl reboot request_key setdomainname sethostname setns settimeofday "
    "swapoff swapon syslog umount2 unshare userfaultfd vhangup"
).split()
"""Refused by Docker's default filter to a container without CAP_SYS_ADMIN and its like."""
NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
NEW_USER = 0x10000000
NEW_NS = 0x20000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, CAPABILITY_VERSION_3 = 24, 38, 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


def become(row: str) -> None:
    """Turn this process into one of a machine of this kind.

    Raises OSError where that cannot be done: not root, or in a container.
    """
    if row == ROWS[2]:
        return
    _check(_libc.unshare(NEW_NS), "unshare")
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _open_the_way(Path(os.path.realpath(sys.executable)).parents[1])
    _close_groups()
    if row == ROWS[0]:
        _refuse(NEEDS_ADMIN, namespaces=NAMESPACES)
        _keep(DOCKER_CAPABILITIES)
        return
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    if row == ROWS[3]:
        _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
        _refuse(["unshare"], namespaces=(NEW_USER,))


def _open_the_way(needed: Path) -> None:
    """Let everybody reach a folder: over a closed one on its way goes an empty one, in which it is alone."""
    closed = [folder for folder in needed.parents if not folder.stat().st_mode & 0o001]
    if not closed:
        return
    top = closed[-1]
    held = os.open(needed, os.O_PATH | os.O_DIRECTORY)
    _mount("none", str(top), "tmpfs", 0, "mode=755")
    needed.mkdir(parents=True)
    _mount(f"/proc/self/fd/{held}", str(needed), None, MS_BIND | MS_REC)
    os.close(held)


def _close_groups() -> None:
    """Make every control group read-only, as in a container."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split(" ")
        if kind.startswith("cgroup"):
            _mount("none", where, None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def _refuse(names: Iterable[str], *, namespaces: Iterable[int]) -> None:
    import pyseccomp as seccomp

    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    # A filter may be loaded with privilege instead, which a container's runtime does.
    rules.set_attr(seccomp.Attr.CTL_NNP, 0)
    refused = seccomp.ERRNO(errno.EPERM)
    for name in names:
        number = seccomp.resolve_syscall(seccomp.system_arch(), name)
        if number >= 0:
            rules.add_rule(refused, number)
    for flag in namespaces:
        rules.add_rule(refused, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    rules.load()


def _keep(capabilities: Iterable[int]) -> None:
    kept = set(capabilities)
    for number in range(64):
        if number not in kept:
            _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)  # refused where the kernel knows fewer
    low = sum(1 << number for number in kept)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    # Effective, permitted and inheritable, of the first 32; then of the others.
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)(low, low, low, 0, 0, 0)), "capset")


def _mount(what: str, where: str, kind: str | None, flags: int, options: str = "") -> None:
    words = [None if word is None else word.encode() for word in (what, where, kind)]
    _check(_libc.mount(*words, flags, options.encode()), f"mount {where}")


def _check(status: int, what: str) -> None:
    if status < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


CANNOT = 77
"""Exit status where this machine cannot stand in for another; the reason is on standard error."""

if __name__ == "__main__":
    _row, _dashes, *_command = sys.argv[1:]
    try:
        become(_row)
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(CANNOT)
    os.execvp(_command[0], _command)
