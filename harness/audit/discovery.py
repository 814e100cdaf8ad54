"""Which folders are records, among the paths given and all that lies beneath them.

A record is a folder with a `submission.json`, or one with logs that lies in none. Everything beneath belongs
to it. Links are not followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

CLAIMS = "submission.json"
TRAINER = "train_gpt.py"
MAX_DEPTH = 12

LOG = re.compile(r"\.(?:log|txt|out)$", re.I)
NO_LOG = re.compile(r"^(?:requirements|license|notice|readme|copying|authors)\b", re.I)
_SPEAKING = re.compile(
    r"(?<![a-z])(?:train(?:ing|ed)?|seeds?|runs?|eval(?:uation)?|logs?)+(?![a-z])", re.I
)
"""In the name of a .txt that alone makes a folder a record."""


def find_folders(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the record folders at or under each path, sorted within it; a folder given twice is one."""
    seen: set[str] = set()
    for path in paths:
        for folder, _ in _records(path, 0):
            key = os.path.realpath(folder)
            if key not in seen:
                seen.add(key)
                yield folder


def _records(folder: Path, depth: int) -> list[tuple[Path, bool]]:
    """Return the records of a tree, each with whether it has a submission.json.

    A folder that only looks like a record, with logs or a trainer, is one unless records lie below it: the
    root of a repository has a trainer too.
    """
    entries = entries_of(folder)
    if entries is None:
        # What cannot be listed may hold anything, and is shown with that problem.
        return [(folder, False)] if _is_there(folder) else []
    files = [entry.name for entry in entries if is_file(entry)]
    if CLAIMS in files:
        return [(folder, True)]
    below = [
        found
        for entry in entries
        if depth < MAX_DEPTH and not entry.name.startswith(".") and is_folder(entry)
        for found in _records(folder / entry.name, depth + 1)
    ]
    if any(claimed for _, claimed in below):
        return [found for found in below if found[1] or _has_logs(found[0])]
    if any(_is_log(name) or name == TRAINER for name in files):
        return [(folder, False)]
    return below


def _has_logs(folder: Path) -> bool:
    """Say whether a folder has logs, or may have some: one that cannot be listed."""
    entries = entries_of(folder)
    return entries is None or any(_is_log(e.name) and is_file(e) for e in entries)


def _is_log(name: str) -> bool:
    """Say whether a name alone says that a file is a log, as "notes.txt" does not."""
    if not LOG.search(name) or NO_LOG.match(name):
        return False
    return not name.lower().endswith(".txt") or bool(_SPEAKING.search(name))


def _is_there(path: Path) -> bool:
    """Say whether there is a folder at all."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def entries_of(folder: Path) -> list[os.DirEntry[str]] | None:
    """Return what lies in a folder, sorted, or None where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (OSError, ValueError):
        return None


def is_file(entry: os.DirEntry[str]) -> bool:
    """Say whether an entry is a regular file, and no link to one."""
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Say whether an entry is a folder, and no link to one."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
