"""Deleting what a submission left, whatever it made of it: closed folders, any depth, any names, any number.

A walk by paths fails on what is nested deeper than a path may be long, and one by recursion deeper than the
stack is high. Here every folder that is found is moved up beside the first one before it is looked into, so
that two descriptors are enough. No link is followed. Standard library alone: the keeper uses this too.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from pathlib import Path

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def delete(path: Path) -> None:
    """Delete a file, a link or a folder with all that is in it; what is not there is fine.

    Whoever may write to it must be dead. Raises OSError where something stays.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
        path.chmod(stat.S_IRWXU)
        top = os.open(path, OPEN)
        try:
            _empty(top)
        finally:
            os.close(top)
        path.rmdir()


def _empty(top: int) -> None:
    """Delete everything in a folder that is open at `top`."""
    # Nobody else's names: a folder that is moved up must not meet one that is there.
    fresh = (f"{os.urandom(8).hex()}-{number}" for number in itertools.count())
    waiting = _without_files(top)
    while waiting:
        name = waiting.pop()
        os.chmod(name, stat.S_IRWXU, dir_fd=top)
        inner = os.open(name, OPEN, dir_fd=top)
        try:
            for deeper in _without_files(inner):
                os.chmod(deeper, stat.S_IRWXU, dir_fd=inner)  # a closed folder cannot be moved
                moved = next(fresh)
                os.rename(deeper, moved, src_dir_fd=inner, dst_dir_fd=top)
                waiting.append(moved)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=top)


def _without_files(folder: int) -> list[str]:
    """Delete what is no folder in an open one; return the names of the folders."""
    with os.scandir(folder) as entries:
        found = list(entries)
    folders = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
    for entry in found:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=folder)
    return folders
