"""What a judge must not leave on a machine, and what of it is there.

Other judges may be at work at the same time, and be killed by tests of their own. A folder that a test
watches says which processes, mounts and files are its own; cells' users and control groups say which judge's
they are, and what belongs to one that lives is nobody's leftover.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from harness.clock import Deadline, sleep

FIRST_USER, USERS = 1_000_000_000, 100
"""Cells' users: a hundred for each judge, from the first on by its process id."""
SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run")
OF_A_STEP = (
    *("work", "trial", "phase", "harness-*"),
    *("*.partial", "*.unfinished", ".probe-*"),
)
"""Names below a run's folder that nothing has once the run is over."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What there is at one moment, in words."""

    processes: frozenset[str]
    mounts: frozenset[str]
    groups: frozenset[str]
    files: frozenset[str]


def snapshot(watched: Path, judges: Collection[int]) -> Snapshot:
    """Look at the whole machine.

    `watched` is the folder that a test's judges, runs and TMPDIR lie in, `judges` are their process ids.
    """
    gone = {judge for judge in judges if not Path(f"/proc/{judge}").exists()}
    return Snapshot(
        processes=frozenset(_processes(str(watched), gone)),
        mounts=frozenset(_mounts(str(watched))),
        groups=frozenset(_groups(gone)),
        files=frozenset(_files(watched, gone)),
    )


def difference(before: Snapshot, after: Snapshot) -> list[str]:
    """Return what is there and was not, one sentence each."""
    return [
        f"left in {field.name}: {what}"
        for field in fields(Snapshot)
        for what in sorted(getattr(after, field.name) - getattr(before, field.name))
    ]


def left(
    before: Snapshot, watched: Path, judges: Collection[int] = (), *, in_s: float = 5.0
) -> list[str]:
    """Return what is left once the machine has settled: a keeper may outlive its judge by a moment."""
    patience = Deadline(in_s)
    while (found := difference(before, snapshot(watched, judges))) and not patience.passed:
        sleep(0.02)
    return found


def _is_cells(user: int, judges: Collection[int]) -> bool:
    """Return whether a user id was one of a judge's cells."""
    return (user - FIRST_USER) // USERS in judges


def _processes(watched: str, gone: Collection[int]) -> Iterator[str]:
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        here = Path("/proc", name)
        with contextlib.suppress(OSError):
            state, user = _status(here)
            if state == "Z":
                continue
            words = (here / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            said = words + (here / "environ").read_bytes().decode("utf-8", "replace")
            inside = (here / "cwd").readlink().is_relative_to(watched)
            if inside or watched in said or _is_cells(user, gone):
                yield f"{name}: {words[:200]}"


def _status(process: Path) -> tuple[str, int]:
    facts = dict(
        line.split(":", 1)
        for line in (process / "status").read_text("utf-8", "replace").split("\n")[:-1]
    )
    return facts["State"].split()[0], int(facts["Uid"].split()[0])


def _mounts(watched: str) -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines():
        if watched in line:
            yield line


def _groups(gone: Collection[int]) -> Iterator[str]:
    for place, folders, _ in os.walk("/sys/fs/cgroup"):
        for name in fnmatch.filter(folders, "harness-*"):
            if name.split("-")[1] in map(str, gone):
                yield f"{place}/{name}"


def _files(watched: Path, gone: Collection[int]) -> Iterator[str]:
    for folder in SHARED:
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                with contextlib.suppress(OSError):
                    user = entry.stat(follow_symlinks=False).st_uid
                    if _is_cells(user, gone) or watched.name in entry.name:
                        yield entry.path
    for place, folders, files in os.walk(watched):
        for name in (*folders, *files):
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in OF_A_STEP):
                yield os.path.join(place, name)  # noqa: PTH118 - thousands
        folders[:] = [name for name in folders if not fnmatch.fnmatchcase(name, "work")]
