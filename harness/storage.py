"""What the judge's own disk refuses, as one sentence; and folders that are there whole or not at all.

A full or read-only disk is no finding about a submission and no fault of the judge's code: it ends a run with
exit code 3, and the run goes on once there is room.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import JudgeError
from harness.sandbox.deletion import delete

REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO),
    *(errno.ENOMEM, errno.EMFILE, errno.ENFILE),
}
UNFINISHED = re.compile(r"\.\d{8}-\d{6}-[a-z0-9-]+-[0-9a-f]{6}\.unfinished")
"""A run's folder that is being made; nothing else in a folder of somebody's is ever touched."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the disk under a run's FOLDER refuses into JudgeError; any other OSError stays what it is."""
    try:
        yield
    except shutil.Error as several:  # of a copied tree: texts alone
        reasons = [str(reason) for _, _, reason in several.args[0]]
        known = [
            text for code in REFUSALS if any((text := os.strerror(code)) in r for r in reasons)
        ]
        if not known:
            raise
        raise _sentence(folder, known[0]) from None
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        raise _sentence(Path(str(error.filename or folder)), os.strerror(error.errno)) from None


def _sentence(path: Path, reason: str) -> JudgeError:
    return JudgeError(f"{path}: {reason}; make room for the judge's files and resume the run")


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """Yield a new hidden folder beside FOLDER that gets its name on leaving, or is deleted on an exception.

    What a judge that was killed left of its own is deleted by the next one that makes a folder there. Raises
    OSError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for name in filter(UNFINISHED.fullmatch, os.listdir(folder.parent)):
        with contextlib.suppress(FileNotFoundError), _locked(folder.parent / name) as ours:
            if ours:
                delete(folder.parent / name)
    beside = folder.with_name(f".{folder.name}.unfinished")
    beside.mkdir()
    with _locked(beside):
        try:
            yield beside
            beside.rename(folder)
        except BaseException:
            delete(beside)
            raise


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold a folder; yield whether it could be had: its maker lives where it could not."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(held)
