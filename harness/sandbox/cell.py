"""One process's cell: what its keeper and its shim are told to do, worked out from what this machine offers.

A `Sandbox` is made once for a run; `policy` is asked for each process that is started. Nothing is started or
restricted here.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.sandbox import bubblewrap, groups, shim, sight, system_calls
from harness.sandbox.mechanisms import (
    SCOPE_ABI,
    USERS_OF_A_JUDGE,
    Level,
    Mechanisms,
    open_to_others,
    user_base,
)

OPEN_FILES = 65536
RESERVE_BYTES = 512 << 20
"""Room on the disk that is the judge's: where less is left, it looks who took it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one process tree may take."""

    memory_bytes: int
    processes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """What one process has for itself, at the same path inside its cell and outside."""

    cwd: Path
    writable: tuple[Path, ...]
    private: tuple[Path, ...] = ()
    """Deleted by the keeper where the judge is gone."""


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """What a run's processes are started in."""

    mechanisms: Mechanisms
    level: Level
    sight: sight.Sight
    limits: Limits
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def own_users(self) -> bool:
        """Return whether each process gets a user of its own."""
        reached = self.level == "namespaces" or self._others_reach_everything()
        return self.mechanisms.own_user and self.level != "bare" and reached

    def policy(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        folders: Folders,
        *,
        loopback: bool,
    ) -> dict[str, Any]:
        """Return what the keeper of one process is told, but for its logs.

        `loopback` says whether its own processes talk to one another over TCP.
        """
        number = next(self._numbers) % USERS_OF_A_JUDGE
        user = user_base() + number if self.own_users else None
        inside = self.level == "namespaces"
        start: list[str] = []
        if inside:
            assert self.mechanisms.bubblewrap is not None
            start = bubblewrap.arguments(
                self.mechanisms.bubblewrap,
                self.sight,
                root=user is not None,
                shim=Path(shim.__file__),
                writable=folders.writable,
                memory_bytes=self.limits.memory_bytes,
            )
            start += [sys.executable, "-I", "-S", "-B", bubblewrap.SHIM_AT]
        return {
            "start": start,
            "cell": {
                "command": list(command),
                "env": dict(env),
                "cwd": str(folders.cwd),
                "user": user,
                "limits": self._resource_limits(own_user=user is not None),
                "landlock": self._doors(folders, user, loopback)
                if self.level == "landlock"
                else None,
                "filter": self._filter(user, loopback=loopback),
            },
            "switch": self._switch(user),
            "within_reach": self._within_reach(user),
            "group": {
                "name": groups.named(str(number)),
                "memory_bytes": self.limits.memory_bytes,
                "processes": self.limits.processes,
            }
            if self.mechanisms.group_version
            else None,
            "watch": {
                "memory_bytes": self.limits.memory_bytes,
                "disk_bytes": self.limits.disk_bytes,
                "reserve_bytes": RESERVE_BYTES,
                "folders": [str(path) for path in folders.writable],
            },
            "private": [str(path) for path in folders.private],
        }

    def _filter(self, user: int | None, *, loopback: bool) -> str:
        if not self.mechanisms.seccomp or self.level == "bare":
            return ""
        if self.level == "namespaces":
            return system_calls.program("all").hex()
        if loopback:
            return system_calls.program("stream").hex()
        # Sockets of other users are closed by their files' modes; those of the judge's are not.
        return system_calls.program("none", named=user is not None).hex()

    def _switch(self, user: int | None) -> str:
        if self.level == "namespaces":
            return "namespace"
        if user is not None:
            return "user"
        return "scope" if self.level == "landlock" else "sweep"

    def _within_reach(self, user: int | None) -> list[str]:
        """Return which of the judge's processes the command may signal, so that it can end them."""
        if self.level == "bare":
            return ["keeper", "shim"]
        if self.level == "landlock" and self.mechanisms.landlock_abi < SCOPE_ABI:
            return ["keeper", "shim"] if user is None else ["shim"]
        return []

    def _resource_limits(self, *, own_user: bool) -> dict[str, int]:
        limits = {
            "RLIMIT_CORE": 0,
            "RLIMIT_NOFILE": OPEN_FILES,
            "RLIMIT_FSIZE": self.limits.disk_bytes,
            "RLIMIT_MSGQUEUE": 0,
        }
        if own_user:
            # It counts all processes of a user: of an account that people use it would count theirs.
            limits["RLIMIT_NPROC"] = self.limits.processes
        return limits

    def _doors(self, folders: Folders, user: int | None, loopback: bool) -> dict[str, Any]:
        """Return the Landlock rules: paths by what may be done with them."""
        import landlockpy

        seen = self.sight
        shown = [*seen.shown, *(Path(where) for where, _ in seen.links)]
        # CUDA writes the names of its threads there; what else is there is protected by ownership, but not
        # from root, which may set the kernel's parameters even without capabilities.
        root = user is None and os.geteuid() == 0
        processes = "process" if seen.gpus and not root else "read"
        whole, listed = sight.without(shown, seen.hidden)
        paths: dict[str, list[Path]] = {
            "read": [*whole, *seen.entries, Path("/sys")],
            "list": listed,
            "write": list(folders.writable),
            "device": [*(Path("/dev") / name for name in sight.DEVICES), *seen.gpus],
        }
        paths.setdefault(processes, []).append(Path("/proc"))
        if user is not None:
            # What one of its processes leaves there is told by its user, and deleted.
            paths["write"].append(Path("/dev/shm"))
        return {
            "tcp": loopback,
            "library": str(Path(landlockpy.__file__).parents[1]),
            "paths": {kind: [str(path) for path in found] for kind, found in paths.items()},
        }

    def _others_reach_everything(self) -> bool:
        return self.mechanisms.others_reach_interpreter and all(
            map(open_to_others, self.sight.entries)
        )
