"""What judges that were killed together with their keepers left on this machine, found and deleted.

A keeper cleans up when its judge is gone, and a shim when its keeper is. Where they were killed at once there
is nobody, until a judge starts again. A control group says in its name which judge made it, a file in shared
memory by its user. What belongs to somebody who lives is left alone.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from harness.sandbox import groups
from harness.sandbox.deletion import delete
from harness.sandbox.mechanisms import judge_of


def sweep() -> None:
    """Kill and delete what has no judge any more; what cannot be is left for the next time.

    Without root there are no users of our own and mostly no groups, so nothing is found; a cell of namespaces
    or of Landlock leaves nothing then either.
    """
    for judge, folder in list(groups.everywhere()):
        if not _lives(judge):
            groups.clear(folder)
    left = _ownerless_files()
    living = _living_users() if left else set()
    for path, user in left.items():
        if user not in living:
            with contextlib.suppress(OSError):
                delete(path)


def _ownerless_files() -> dict[Path, int]:
    """Return what lies in shared memory of users whose judge is gone, with the user."""
    found = {}
    with contextlib.suppress(OSError):
        for entry in os.scandir("/dev/shm"):
            with contextlib.suppress(OSError):  # it went a moment ago
                user = entry.stat(follow_symlinks=False).st_uid
                judge = judge_of(user)
                if judge is not None and not _lives(judge):
                    found[Path(entry.path)] = user
    return found


def _living_users() -> set[int]:
    """Return the users of all processes; a judge in another container may count its processes as ours."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            # Not the owner of its folder, which is root where the process is not dumpable.
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{name}/status").read_text("utf-8", "replace").splitlines()
                found |= {int(line.split()[1]) for line in lines if line.startswith("Uid:")}
    return found


def _lives(judge: int) -> bool:
    return Path(f"/proc/{judge}").exists()
