"""Control groups: a limit on memory and on the number of processes that covers a whole process tree.

Version 2 where its memory controller is there and writable, version 1 where that one is; otherwise none, and
the keeper watches the tree's memory instead. Standard library alone: the keeper uses this too.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

REMOVE_S = 2.0
"""How long the kernel may take to let go of a group whose processes are dead."""


class Group(NamedTuple):
    """One group of this judge: its folders, one a hierarchy."""

    version: Literal[1, 2]
    memory: str
    """The folder with the memory controller's files."""
    folders: tuple[str, ...]
    """All folders, `memory` included."""

    def join(self) -> None:
        """Move the calling process in; its children follow.

        Raises OSError.
        """
        for folder in self.folders:
            _write(Path(folder) / "cgroup.procs", "0")

    def killed_for_memory(self) -> int:
        """Return how many processes the kernel has killed because the limit was reached."""
        file = "memory.events" if self.version == 2 else "memory.oom_control"
        return _field(Path(self.memory) / file, "oom_kill")

    def kill(self) -> None:
        """Kill every process of the group at once, where the kernel can."""
        if self.version == 2:
            with contextlib.suppress(OSError):
                _write(Path(self.memory) / "cgroup.kill", "1")

    def remove(self) -> bool:
        """Delete the group, whose processes must be dead; return whether it is gone."""
        until = time.monotonic() + REMOVE_S
        left = [folder for folder in self.folders if not _removed(folder)]
        while left and time.monotonic() < until:
            time.sleep(0.005)
            left = [folder for folder in left if not _removed(folder)]
        return not left


def create(name: str, memory_bytes: int, processes: int) -> Group | None:
    """Make a group with these limits below the first hierarchy that takes it; None where none does."""
    return _create_v2(name, memory_bytes, processes) or _create_v1(name, memory_bytes, processes)


def named(number: str) -> str:
    """Return the name of a group of this process's: one for each `number`.

    It says which process made it, and in which process namespace: another container's may have the same id.
    """
    return f"harness-{os.getpid()}-{_process_namespace()}-{number}"


def everywhere() -> Iterator[tuple[int, str]]:
    """Yield (process id of its judge, folder) of every group that was made in this process namespace."""
    ours = f"harness-*-{_process_namespace()}-*"
    for mount, _ in (*_mounts("cgroup2"), *_mounts("cgroup")):
        for place, folders, _ in os.walk(mount):
            for name in fnmatch.filter(folders, ours):
                judge = name.split("-")[1]
                if judge.isdigit():
                    yield int(judge), os.path.join(place, name)  # noqa: PTH118 - there may be thousands


def clear(folder: str) -> bool:
    """Kill what is left in a group that has no keeper, and delete it; return whether it is gone."""
    until = time.monotonic() + REMOVE_S
    while not (gone := _removed(folder)) and time.monotonic() < until:
        with contextlib.suppress(OSError):
            for pid in map(int, (Path(folder) / "cgroup.procs").read_text().split()):
                if pid > 0:  # 0 stands for one that cannot be seen from here
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    return gone


def _create_v2(name: str, memory_bytes: int, processes: int) -> Group | None:
    for mount, _ in _mounts("cgroup2"):
        own = _own_path("")
        parents = [mount]
        if own not in (None, "/"):
            # A group with processes of its own cannot hand controllers down; its parent can.
            parents.append((mount / str(own).lstrip("/")).parent)
        for parent in parents:
            folder = parent / name
            limits = {
                "memory.max": str(memory_bytes),
                "memory.swap.max": "0",
                "memory.oom.group": "1",
                "pids.max": str(processes),
            }
            if _made(folder, limits, needed=("memory.max", "pids.max")):
                return Group(version=2, memory=str(folder), folders=(str(folder),))
    return None


def _create_v1(name: str, memory_bytes: int, processes: int) -> Group | None:
    wanted = {
        "memory": {
            "memory.limit_in_bytes": str(memory_bytes),
            # Memory and swap together; absent where the kernel does not account for swap.
            "memory.memsw.limit_in_bytes": str(memory_bytes),
        },
        "pids": {"pids.max": str(processes)},
    }
    folders = []
    for controller, limits in wanted.items():
        for mount, options in _mounts("cgroup"):
            if controller not in options:
                continue
            folder = mount / (_own_path(controller) or "/").lstrip("/") / name
            if _made(folder, limits, needed=tuple(limits)[:1]):
                folders.append(str(folder))
                break
    if len(folders) < len(wanted):
        for made in folders:
            _removed(made)
        return None
    return Group(version=1, memory=folders[0], folders=tuple(folders))


def _made(folder: Path, limits: dict[str, str], needed: tuple[str, ...]) -> bool:
    try:
        _removed(str(folder))  # of a judge that was killed, and whose number this one was given
        folder.mkdir()
    except OSError:
        return False
    for file, value in limits.items():
        try:
            _write(folder / file, value)
        except OSError:
            if file in needed:
                _removed(str(folder))
                return False
    return True


def _write(file: Path, value: str) -> None:
    """Write to a file of the kernel's, which is there or is not: never made here."""
    with file.open("r+") as there:
        there.write(value)


def _removed(folder: str) -> bool:
    try:
        Path(folder).rmdir()
    except OSError as error:
        return error.errno == errno.ENOENT
    return True


def _mounts(kind: str) -> list[tuple[Path, list[str]]]:
    """Return (where, options) of each mount of a file system kind."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, where, what, options, *_ = line.split(" ")
            if what == kind:
                found.append((Path(where), options.split(",")))
    return found


def _own_path(controller: str) -> str | None:
    """Return this process's group in one hierarchy; "" is version 2's."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return path
    return None


def _process_namespace() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino


def _field(path: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
