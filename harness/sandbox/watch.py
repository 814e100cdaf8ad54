"""What a process tree takes of the machine, looked at a few times a second where nothing enforces a limit.

Memory: where there is no control group, the tree's private pages and the largest shared part of it; where
there is one, whether the kernel had to kill for it, which ends the phase at once instead of leaving some
processes behind. Disk: what is left on the file system of the phase's folders. Standard library alone.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, NamedTuple

from harness.sandbox.groups import Group

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Excess(NamedTuple):
    """A limit that was exceeded."""

    by_submission: bool
    """False where the machine is short of something that the submission did not take."""
    says: str
    """A clause that follows "it"."""


class Watch:
    """Limits of one process tree, and whether they are kept."""

    def __init__(self, limits: dict[str, Any], group: Group | None) -> None:
        """Take `memory_bytes`, `disk_bytes`, `reserve_bytes` and the `folders` that count as disk."""
        self._memory_bytes = int(limits["memory_bytes"])
        self._disk_bytes = int(limits["disk_bytes"])
        self._reserve_bytes = int(limits["reserve_bytes"])
        self._folders = [Path(folder) for folder in limits["folders"]]
        self._group = group

    def exceeded(self, pids: list[int]) -> Excess | None:
        """Return which limit is exceeded by the processes `pids` and what they wrote, if one is."""
        return self._memory(pids) or self._disk()

    def _memory(self, pids: list[int]) -> Excess | None:
        if self._group is not None:
            killed = self._group.killed_for_memory()
            taken = "" if not killed else "ran out of memory"
        else:
            held = held_bytes(pids)
            taken = "" if held <= self._memory_bytes else f"held {held} bytes of memory"
        return Excess(True, f"{taken}; {self._memory_bytes} are its limit") if taken else None

    def _disk(self) -> Excess | None:
        for folder in self._folders:
            with contextlib.suppress(OSError):
                room = os.statvfs(folder)
                if room.f_bavail * room.f_frsize >= self._reserve_bytes:
                    continue
                # Only now is it worth a walk: nearly full, and by whom?
                written = sum(map(written_bytes, self._folders))
                if written > self._disk_bytes:
                    says = f"wrote {written} bytes to the disk; {self._disk_bytes} are its limit"
                    return Excess(True, says)
                return Excess(False, f"was stopped, because the disk of {folder} is nearly full")
        return None


def held_bytes(pids: list[int]) -> int:
    """Return the private resident bytes of all processes, and the largest shared part among them."""
    private, shared = 0, 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            _, resident, of_files, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
            private += max(0, resident - of_files)
            shared = max(shared, of_files)
    return (private + shared) * PAGE_BYTES


def written_bytes(folder: Path) -> int:
    """Return the bytes that files below a folder take on the disk; what cannot be read counts nothing."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH118 - many files
    return total
