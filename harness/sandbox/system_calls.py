"""The system calls that a submission is refused, as a compiled seccomp filter.

Everything is allowed but a list: what reaches into other processes, what outlives a phase (System V and POSIX
queues, shared memory, key rings), what changes the machine (mounts, namespaces, clocks, modules), and sockets
that lead outside. libseccomp compiles the list, through pyseccomp; harness.sandbox.shim loads the program.

Arguments are compared in their low 32 bits, as the kernel reads them: a filter that compares all 64 is walked
around by setting a bit that the kernel drops (CVE-2019-10063).

What is not refused is not safe by that: files and processes are the business of namespaces or of Landlock.
"""

from __future__ import annotations

import errno
import socket
import tempfile
from functools import cache
from typing import Any, Literal

Inet = Literal["none", "stream", "all"]
"""Internet sockets: none; TCP alone, for loopback where there is no network namespace; all, inside one."""

REACHES_INTO_OTHERS = (
    "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp"
).split()
OUTLIVES_A_PHASE = (
    "add_key request_key keyctl shmget shmat shmdt shmctl semget semop semtimedop semctl "
    "msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify "
    "mq_getsetattr"
).split()
CHANGES_THE_MACHINE = (
    "mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick "
    "mount_setattr unshare setns bpf perf_event_open userfaultfd fanotify_init "
    "open_by_handle_at clock_settime clock_adjtime settimeofday adjtimex swapon swapoff "
    "reboot kexec_load kexec_file_load init_module finit_module delete_module acct quotactl "
    "quotactl_fd syslog iopl ioperm sethostname setdomainname vhangup nfsservctl "
    "lookup_dcookie"
).split()
NOT_THERE = ("io_uring_setup io_uring_enter io_uring_register clone3").split()
"""Answered as by a kernel that lacks them: callers then take the older way, whose arguments can be seen."""

NAMESPACE_FLAGS = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
"""CLONE_NEW* of `clone`; the time namespace's would lie in its exit signal: clone3 and unshare know it."""
FAMILIES = 64
"""More than the kernel has; every one but those below is refused."""
LOCAL_FAMILIES = (socket.AF_UNIX, socket.AF_NETLINK)
INTERNET = (socket.AF_INET, socket.AF_INET6)
KINDS = 16
"""More kinds of sockets than the kernel has; it looks at the low four bits."""
LOW = 0xFFFFFFFF
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
MSG_FASTOPEN = 0x20000000
OTHER_STREAMS = (132, 256, 262)
"""SCTP, SMC and MPTCP: stream sockets that Landlock's rules for TCP ports do not see."""


@cache
def program(inet: Inet, *, named: bool = True) -> bytes:
    """Return the filter as an array of 8-byte BPF instructions, for this machine's architecture.

    `named` says whether local sockets may be reached by a path or a name. Where nothing but Landlock stands
    before those of the judge's own user (a container engine's, a session's message bus), they must not be:
    Landlock does not look at them. What is left then are pairs.

    Raises OSError or RuntimeError where libseccomp is not there.
    """
    import pyseccomp as seccomp

    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    refused = [*REACHES_INTO_OTHERS, *OUTLIVES_A_PHASE, *CHANGES_THE_MACHINE]
    for names, code in ((refused, errno.EPERM), (NOT_THERE, errno.ENOSYS)):
        for name in names:
            _refuse(seccomp, rules, code, name)
    for flag in NAMESPACE_FLAGS:
        has = seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag)
        _refuse(seccomp, rules, errno.EPERM, "clone", has)
    # Of another process: one second of processor time for the judge would be its end. Its own it may set.
    other, new = seccomp.Arg(0, seccomp.NE, 0), seccomp.Arg(2, seccomp.NE, 0)
    _refuse(seccomp, rules, errno.EPERM, "prlimit64", other, new)
    for request in (TIOCSTI, TIOCLINUX):
        is_it = seccomp.Arg(1, seccomp.MASKED_EQ, LOW, request)
        _refuse(seccomp, rules, errno.EPERM, "ioctl", is_it)
    for name, flags_at in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        fast = seccomp.Arg(flags_at, seccomp.MASKED_EQ, MSG_FASTOPEN, MSG_FASTOPEN)
        _refuse(seccomp, rules, errno.EPERM, name, fast)
    _sockets(seccomp, rules, inet)
    if not named:
        _pairs_alone(seccomp, rules)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _sockets(seccomp: Any, rules: Any, inet: Inet) -> None:
    allowed = {*LOCAL_FAMILIES, *(() if inet == "none" else INTERNET)}
    for family in set(range(FAMILIES)) - allowed:
        is_it = seccomp.Arg(0, seccomp.MASKED_EQ, LOW, family)
        _refuse(seccomp, rules, errno.EAFNOSUPPORT, "socket", is_it)
    if inet != "stream":
        return
    for family in INTERNET:
        of_it = seccomp.Arg(0, seccomp.MASKED_EQ, LOW, family)
        for kind in set(range(KINDS)) - {int(socket.SOCK_STREAM)}:
            typed = seccomp.Arg(1, seccomp.MASKED_EQ, KINDS - 1, kind)
            _refuse(seccomp, rules, errno.EPROTONOSUPPORT, "socket", of_it, typed)
        for protocol in OTHER_STREAMS:
            spoken = seccomp.Arg(2, seccomp.MASKED_EQ, LOW, protocol)
            _refuse(seccomp, rules, errno.EPROTONOSUPPORT, "socket", of_it, spoken)


def _pairs_alone(seccomp: Any, rules: Any) -> None:
    """Refuse what leads from one local socket to another: connecting, and datagrams, which name a target."""
    _refuse(seccomp, rules, errno.EACCES, "connect")
    local = seccomp.Arg(0, seccomp.MASKED_EQ, LOW, int(socket.AF_UNIX))
    for kind in set(range(KINDS)) - {int(socket.SOCK_STREAM), int(socket.SOCK_SEQPACKET)}:
        typed = seccomp.Arg(1, seccomp.MASKED_EQ, KINDS - 1, kind)
        for name in ("socket", "socketpair"):
            _refuse(seccomp, rules, errno.EPROTONOSUPPORT, name, local, typed)


def _refuse(seccomp: Any, rules: Any, code: int, name: str, *where: Any) -> None:
    try:
        number = seccomp.resolve_syscall(seccomp.system_arch(), name)
    except (OSError, ValueError):
        return  # unknown to this libseccomp, which is older than the call
    if number >= 0:
        # Negative numbers stand for calls that this architecture does not have.
        rules.add_rule(seccomp.ERRNO(code), number, *where)
