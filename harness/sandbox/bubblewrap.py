"""A cell as a command line of bubblewrap: namespaces, and a root file system of exactly what is listed.

Two ways to start it. Root without a user namespace: bubblewrap makes the mounts as root and keeps the two
capabilities with which the shim becomes another user; run under a mapped user instead, root's processes would
still be the kernel's user 0 and own its files. Anybody else: with a user namespace.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.sandbox.sight import Sight

SHIM_AT = "/run/harness/shim.py"
TMP_BYTES = 1 << 30
SHARED_MEMORY_FRACTION = 0.5
"""Of the cell's memory: what /dev/shm may hold. NCCL and data loaders want gigabytes of it."""
ROOT = (
    "--cap-drop",
    "ALL",
    "--cap-add",
    "CAP_SETUID",
    "--cap-add",
    "CAP_SETGID",
    "--cap-add",
    "CAP_SETPCAP",
)
USER = ("--unshare-user", "--cap-drop", "ALL")


def arguments(
    program: str,
    sight: Sight,
    *,
    root: bool,
    shim: Path,
    writable: Iterable[Path],
    memory_bytes: int,
) -> list[str]:
    """Return the command line up to and with `--`; the shim's own command follows.

    `writable` are the folders of this phase; they exist, at the same path inside and outside.
    The shim goes to the working folder: root without capabilities may not enter what is another user's.
    """
    line = [program, *(ROOT if root else USER)]
    line += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    line += ["--unshare-cgroup-try"]
    # What asks for its own address (a store of torchrun's) must find the one that there is.
    line += ["--hostname", "localhost", "--die-with-parent", "--as-pid-1"]
    # What is mounted over comes first: the interpreter or this phase's folders may lie below /tmp.
    line += ["--proc", "/proc", "--ro-bind-try", "/sys", "/sys", "--dev", "/dev"]
    # Counters of the whole machine that one process can move and the next can read, to the unit. (A device
    # file that is bound without --dev-bind cannot be opened.)
    line += ["--tmpfs", "/sys/fs/cgroup", "--ro-bind", "/dev/null", "/proc/vmstat"]
    for device in sight.gpus:
        line += ["--dev-bind-try", str(device), str(device)]
    line += _memory_folder("/dev/shm", int(memory_bytes * SHARED_MEMORY_FRACTION))
    line += _memory_folder("/tmp", TMP_BYTES)
    line += _bound("--ro-bind", sight.shown)
    for where, to in sight.links:
        line += ["--symlink", to, where]
    for folder in sight.hidden:
        line += ["--tmpfs", str(folder)]
    line += _bound("--ro-bind", sight.entries)
    line += ["--ro-bind", str(shim), SHIM_AT]
    line += _bound("--bind", writable)
    for folder in (*sight.hidden, Path("/sys/fs/cgroup"), Path("/")):
        line += ["--remount-ro", str(folder)]
    return [*line, "--"]


def _bound(how: str, paths: Iterable[Path]) -> list[str]:
    """Return the arguments that show paths where they are, below folders that are open to all.

    Left to itself, bubblewrap makes the parents for root alone.
    """
    line: list[str] = []
    for path in paths:
        for parent in reversed(path.parents[:-1]):
            line += ["--dir", str(parent)]
        line += [how, str(path), str(path)]
    return line


def _memory_folder(where: str, size_bytes: int) -> list[str]:
    # --perms and --size are for the next --tmpfs only.
    return ["--perms", "1777", "--size", str(size_bytes), "--tmpfs", where]
